"""Faults on order: what goes wrong, and with which calls.

Refusals are answers with a status and an error; breaks are answers that do not arrive as they should; bends are answers
that arrive, but not as everybody sends them. One call has at most one refusal or break, and any number of bends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from random import Random
from typing import Any, NamedTuple

from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._named import check_keys, nearest, number_of, whole_of


class RefusalKind(NamedTuple):
    """How one kind of refusal is told by OpenAI: https://platform.openai.com/docs/guides/error-codes."""

    status: int
    type: str
    code: str | None
    message: str


REFUSALS: dict[str, RefusalKind] = {
    "bad_request": RefusalKind(400, "invalid_request_error", None, "The request is not valid."),
    "context_length_exceeded": RefusalKind(
        400, "invalid_request_error", "context_length_exceeded", "The messages are longer than this model's context."
    ),
    "unauthorized": RefusalKind(401, "invalid_request_error", "invalid_api_key", "The API key is not valid."),
    "forbidden": RefusalKind(403, "permission_error", None, "This key may not use this model."),
    "not_found": RefusalKind(404, "invalid_request_error", "model_not_found", "There is no such model."),
    "request_timeout": RefusalKind(408, "timeout", None, "The request timed out."),
    "too_large": RefusalKind(413, "invalid_request_error", None, "The request is too large."),
    "rate_limited": RefusalKind(429, "requests", "rate_limit_exceeded", "Rate limit reached."),
    "insufficient_quota": RefusalKind(
        429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota; check plan and billing."
    ),
    "server_error": RefusalKind(500, "server_error", None, "The server had an error."),
    "bad_gateway": RefusalKind(502, "server_error", None, "Bad gateway."),
    "unavailable": RefusalKind(503, "server_error", None, "The service is not available."),
    "gateway_timeout": RefusalKind(504, "server_error", None, "Gateway timeout."),
    "overloaded": RefusalKind(529, "overloaded_error", None, "Overloaded."),
}

BREAKS: dict[str, str] = {
    "reset": "the connection is reset before anything is answered",
    "close": "the connection is closed before anything is answered",
    "timeout": "nothing is answered, ever",
    "reset_after_headers": "the connection is reset after the headers",
    "reset_in_stream": "the connection is reset in the middle of the body",
    "half_body": "the body ends before its length; a stream's connection closes in its middle",
    "half_stream": "a stream ends properly, but without a finish_reason and without [DONE]",
    "stalled_stream": "a stream stops in its middle and stays open",
    "error_in_stream": "an error stands in the middle of a stream",
    "error_in_200": "the status is 200 and the body an error",
    "html": "a gateway's page, with the status 502 unless another is given",
    "bad_json": "the body, or one event of a stream, is no JSON",
}

BENDS: dict[str, str] = {
    "slow_first_token": "delay_s more before the first byte",
    "slow_chunks": "delay_s before each chunk of a stream, or in the middle of a body",
    "empty_choices": "choices is an empty list",
    "empty_content": "the content is empty, and no tool is called",
    "finish_reason_null": "the answer is whole, but finish_reason is null",
    "length": "half of the content, and finish_reason is length",
    "content_filter": "half of the content, and finish_reason is content_filter",
    "no_usage": "usage is left out",
    "no_done": "a stream ends without [DONE], but with a finish_reason",
    "split_bytes": "characters of several bytes are cut in their middle, in packets of their own",
    "keep_alives": "comments stand between the events of a stream",
    "crlf": "lines of a stream end in CR LF",
}

KINDS = (*REFUSALS, *BREAKS, *BENDS)
_OF_STATUS = {kind.status: name for name, kind in reversed(REFUSALS.items())} | {429: "rate_limited"}
_RETRY_AFTER_AS = ("seconds", "ms", "date", "both")
_ENDPOINTS = ("chat", "embeddings", "rerank")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on order.

    Given as one of ``faults=``, it says with which calls: with all for which everything holds that is given of
    ``first``, ``every``, ``numbers``, ``from_s``, ``until_s`` and ``probability``. Calls are counted from 1, for each
    fault on its own, and only those of its ``model``, ``contains`` and ``endpoint``. Seconds count from the first call.
    Given as an answer of a rule or of a script it goes wrong there.

    Attributes:
        kind: One of `REFUSALS`, `BREAKS` and `BENDS`, or a status such as 503.
        first: The first so many calls.
        every: Every so-manieth call: ``every=5`` is the 5th, the 10th, ...
        numbers: The calls with these numbers.
        from_s: Calls from this second on.
        until_s: Calls before this second.
        probability: Each call with this probability, drawn from the model's seed in the order of arrival.
        model: Only calls to this model; ``*`` stands for anything: ``"gpt-4*"``.
        contains: Only calls with this text in their last user message.
        endpoint: Only calls to ``"chat"`` (Anthropic's messages, too), ``"embeddings"`` or ``"rerank"``.
        retry_after_s: When to come back; a refusal without it does not say.
        retry_after_as: ``"seconds"`` and ``"date"`` are forms of ``Retry-After``, ``"ms"`` is ``retry-after-ms``,
            ``"both"`` is seconds and ms. A date is a whole second, and is rounded up.
        delay_s: How long; for a refusal, how long until it comes. Of the slow kinds it is 1 s if not given.
        after: How many chunks of a stream come before it breaks; half of them if not given.
        status: Of ``"html"``, or of a refusal in place of its own.
        message: What the error says.
        body: The whole body of the error in place of the one that would be made.
    """

    kind: str | int
    _: KW_ONLY
    first: int | None = None
    every: int | None = None
    numbers: Sequence[int] | None = None
    from_s: float | None = None
    until_s: float | None = None
    probability: float | None = None
    model: str | None = None
    contains: str | None = None
    endpoint: str | None = None
    retry_after_s: float | None = None
    retry_after_as: str = "seconds"
    delay_s: float | None = None
    after: int | None = None
    status: int | None = None
    message: str | None = None
    body: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", _kind_of(self.kind))
        for name in ("first", "every", "after"):
            if getattr(self, name) is not None:
                whole_of(name, getattr(self, name), least=0 if name == "after" else 1)
        for name in ("from_s", "until_s", "retry_after_s", "delay_s"):
            if getattr(self, name) is not None:
                number_of(name, getattr(self, name))
        if self.probability is not None and number_of("probability", self.probability) > 1:
            raise ScriptError(f"probability is from 0 to 1, not {self.probability!r}", ("probability",))
        if self.numbers is not None:
            if isinstance(self.numbers, str) or not isinstance(self.numbers, Sequence):
                raise ScriptError(f"numbers is a list of the calls' numbers, not {self.numbers!r}", ("numbers",))
            object.__setattr__(self, "numbers", tuple(whole_of("numbers", each, least=1) for each in self.numbers))
        for name, known in (("retry_after_as", _RETRY_AFTER_AS), ("endpoint", _ENDPOINTS)):
            if (given := getattr(self, name)) is not None and given not in known:
                raise ScriptError(f"{name} is one of {', '.join(known)}, not {given!r}", (name,))
        for name in ("model", "contains", "message"):
            if not isinstance(getattr(self, name), str | None):
                raise ScriptError(f"{name} is text, not {getattr(self, name)!r}", (name,))
        if self.status is not None and not 200 <= whole_of("status", self.status) <= 599:
            raise ScriptError(f"status is from 200 to 599, not {self.status}", ("status",))

    @property
    def is_bend(self) -> bool:
        """Whether the answer arrives all the same."""
        return self.kind in BENDS

    @property
    def is_scheduled(self) -> bool:
        """Whether it says with which calls."""
        return any(getattr(self, name) is not None for name in SCHEDULE)


SCHEDULE = (
    "first", "every", "numbers", "from_s", "until_s", "probability", "model", "contains", "endpoint",
)  # fmt: skip
FIELDS = tuple(each.name for each in fields(Fault))


def _kind_of(given: Any) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        if given not in _OF_STATUS:
            known = ", ".join(str(status) for status in sorted(_OF_STATUS))
            raise ScriptError(f"there is no fault for the status {given}; there are {known}", ("kind",))
        return _OF_STATUS[given]
    if given not in KINDS:
        raise ScriptError(f"there is no fault {given!r}{nearest(given, KINDS)}", ("kind",))
    return str(given)


class Armed:
    """One fault of ``faults=``, with the count of the calls it has seen."""

    __slots__ = ("_seen", "fault")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._seen = 0

    def fires(self, endpoint: str, model: str, text: str, at_s: float, draw: Random) -> bool:
        """Whether this call gets it; the call is counted if it is one of those that it is about."""
        fault = self.fault
        if fault.endpoint not in (None, endpoint) or not model_fits(fault.model, model):
            return False
        if fault.contains is not None and fault.contains not in text:
            return False
        self._seen += 1
        # Drawn for each call, so that what else is asked for does not change what the next ones draw.
        drawn = fault.probability is None or draw.random() < fault.probability
        return (
            drawn
            and (fault.first is None or self._seen <= fault.first)
            and (fault.every is None or self._seen % fault.every == 0)
            and (fault.numbers is None or self._seen in fault.numbers)
            and (fault.from_s is None or at_s >= fault.from_s)
            and (fault.until_s is None or at_s < fault.until_s)
        )

    def reset(self) -> None:
        """Count from 1 again."""
        self._seen = 0


def as_fault(given: Any, at: tuple[str | int, ...] = (), *, here: bool = False) -> Fault:
    """A fault from its name, a status, a `Fault`, or a mapping: ``{"fault": "timeout", "first": 3}``.

    ``at`` is where in the script it stands. With ``here`` it stands where it is to happen, so that it does not say with
    which calls.
    """
    try:
        if isinstance(given, Fault):
            made = given
        elif isinstance(given, str | int):
            made = Fault(given)
        elif isinstance(given, Mapping):
            check_keys(given, ("fault", *FIELDS[1:]), "a fault")
            if "fault" not in given:
                raise ScriptError("a fault is named under 'fault'")
            named = dict(given)
            kind = named.pop("fault")
            made = Fault(kind, **named)
        else:
            raise ScriptError(f"a fault is a name, a status, a Fault or a mapping, not {given!r}")
        if here and made.is_scheduled:
            raise ScriptError("it happens here: 'first', 'every' and the like are for the list 'faults' of the model")
    except ScriptError as error:
        raise error.within(*at) from None
    return made


def model_fits(wanted: str | None, model: str) -> bool:
    """Whether a model has the name that is wanted, in which ``*`` stands for anything."""
    if wanted is None or wanted == model:
        return True
    if "*" not in wanted:
        return False
    from fnmatch import fnmatchcase

    return fnmatchcase(model, wanted)
