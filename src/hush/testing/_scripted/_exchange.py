"""One call and what becomes of it: what the core says, the wire writes and the client gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from math import ceil
from typing import Any

from hush.testing._scripted._faults import REFUSALS, Fault
from hush.testing._scripted._limits import Limiter, Standing
from hush.testing._scripted._reply import Reply, Usage
from hush.testing._scripted._request import ScriptedRequest


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error with a status.

    Attributes:
        kind: A key of `REFUSALS`; ``"limited"``: over a limit of the server.
        retry_after_s: When it says to come back.
        retry_after_as: In which form; as `Fault.retry_after_as`, or ``"whole"``: whole seconds, and ms beside them.
        body: The whole body, in place of the one that would be made.
    """

    kind: str
    status: int
    type: str
    code: str | None
    message: str
    retry_after_s: float | None = None
    retry_after_as: str = "seconds"
    body: Any = None

    def headers(self, wall_s: float) -> tuple[dict[str, str], float | None]:
        """What its headers say of coming back, and in how many seconds whoever reads them may."""
        after_s = self.retry_after_s
        if after_s is None:
            return {}, None
        if self.retry_after_as == "date":
            then_s = ceil(wall_s + after_s)
            dates = {"date": formatdate(wall_s, usegmt=True), "retry-after": formatdate(then_s, usegmt=True)}
            return dates, then_s - wall_s
        ms = ceil(after_s * 1000 - 1e-6)
        if self.retry_after_as == "ms":
            return {"retry-after-ms": str(ms)}, ms / 1000
        if self.retry_after_as == "both":
            return {"retry-after": f"{after_s:g}", "retry-after-ms": str(ms)}, min(after_s, ms / 1000)
        if self.retry_after_as == "whole":
            return {"retry-after": str(ceil(after_s)), "retry-after-ms": str(ms)}, ms / 1000
        return {"retry-after": f"{after_s:g}"}, after_s


def refusal_of(fault: Fault) -> Refusal:
    """The refusal that a fault orders."""
    kind = str(fault.kind)
    status, type_, code, message = REFUSALS[kind]
    return Refusal(
        kind,
        fault.status or status,
        type_,
        code,
        fault.message or message,
        fault.retry_after_s,
        fault.retry_after_as,
        fault.body,
    )


_OF_A_BODY = {"half_stream": "half_body", "error_in_stream": "error_in_200"}


@dataclass(slots=True)
class Exchange:
    """One call. Exactly one of ``refusal``, ``reply`` and ``payload`` is there, but for breaks that need none of them.

    Attributes:
        refusal: The error that is answered.
        reply: What a chat model answers.
        payload: The body that is answered to embeddings and rerank, and to what is no call of a model.
        usage: The tokens of it.
        finish_reason: Why the reply ends, in OpenAI's word, or ``None``.
        pieces: The content as a stream cuts it.
        fault: The break, if it does not arrive as it should.
        bends: Kind → the fault that bends it.
        wait_s: How long until the first byte.
        per_token_s: How long each token of a stream takes.
        standing: What is left of the limits, for headers.
        source: Which connection it came by.
        at_s: When it came, by the clock of whoever calls.
        told_s: In how many seconds it has been told to come back.
    """

    request: ScriptedRequest
    at_s: float
    source: object = None
    refusal: Refusal | None = None
    reply: Reply | None = None
    payload: Mapping[str, Any] | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    pieces: list[str] = field(default_factory=list[str])
    fault: Fault | None = None
    bends: dict[str, Fault] = field(default_factory=dict[str, Fault])
    wait_s: float = 0.0
    per_token_s: float = 0.0
    standing: Standing | None = None
    limiters: tuple[Limiter, ...] = ()
    told_s: float | None = None
    ended: bool = False

    @property
    def breaks(self) -> str | None:
        """The kind of its break."""
        return None if self.fault is None else str(self.fault.kind)

    @property
    def breaks_body(self) -> str | None:
        """The kind of its break where it is no stream: what breaks streams breaks bodies likewise."""
        kind = self.breaks
        return kind if kind is None else _OF_A_BODY.get(kind, kind)

    @property
    def name(self) -> str:
        """Its number as an id that is the same in every equal run."""
        return f"{self.request.number:08d}"

    def slow_s(self, kind: str) -> float:
        """How long one of the slow bends takes."""
        fault = self.bends.get(kind)
        if fault is None:
            return 0.0
        return 1.0 if fault.delay_s is None else fault.delay_s

    def refused_headers(self, wall_s: float) -> dict[str, str]:
        """The headers of its refusal, which it has then been told."""
        assert self.refusal is not None
        headers, self.told_s = self.refusal.headers(wall_s)
        return headers

    def error(self) -> Refusal:
        """The error that stands in a body with the status 200, or in a stream."""
        fault = self.fault
        message = (fault and fault.message) or "Provider returned error"
        return Refusal(
            "error", (fault and fault.status) or 502, "server_error", None, message, body=fault and fault.body
        )
