"""The limits that a scripted server keeps: windows that slide, by the clock of whoever calls, and calls at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._named import check_keys, number_of, whole_of

_ROUNDING_S = 1e-9  # sums of floats: what waited as long as it was told is not early
_RETRY_AFTER = ("whole", "seconds", "ms", "date", "both", "none")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a scripted server allows. What is above it is refused with 429, and counted as a violation.

    Attributes:
        rpm: Requests in any minute.
        rps: Requests in any second.
        tpm: Tokens in any minute. A call is refused if its prompt does not fit; the tokens of its answer are counted
            from its arrival, too.
        concurrency: Calls at once.
        count_refused: Refused calls count as requests, as OpenAI's do.
        retry_after: How a refusal says when to come back: ``"whole"`` seconds with ``retry-after-ms`` beside them,
            ``"seconds"``, ``"ms"``, ``"date"``, ``"both"``, or ``"none"``.
        retry_after_s: What a refusal by ``concurrency`` says, which by itself says nothing.
    """

    rpm: int | None = None
    rps: float | None = None
    tpm: int | None = None
    concurrency: int | None = None
    count_refused: bool = False
    retry_after: str = "whole"
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm", "concurrency"):
            if getattr(self, name) is not None:
                whole_of(name, getattr(self, name), least=1)
        if self.rps is not None and number_of("rps", self.rps) <= 0:
            raise ScriptError("rps is above 0", ("rps",))
        if self.retry_after_s is not None:
            number_of("retry_after_s", self.retry_after_s)
        if self.retry_after not in _RETRY_AFTER:
            known = ", ".join(_RETRY_AFTER)
            raise ScriptError(f"retry_after is one of {known}, not {self.retry_after!r}", ("retry_after",))


def as_limits(given: Any) -> ServerLimits:
    """Limits from a `ServerLimits`, or a mapping with its fields."""
    if given is None or isinstance(given, ServerLimits):
        return given or ServerLimits()
    if not isinstance(given, Mapping):
        raise ScriptError(f"limits is a mapping such as {{'rpm': 60}}, not {given!r}")
    check_keys(given, [each.name for each in fields(ServerLimits)], "limits")
    return ServerLimits(**given)


class Excess(NamedTuple):
    """Why a call is over a limit.

    Attributes:
        what: The limit, such as ``"requests per minute"``.
        after_s: When it would not be; ``None``: nobody knows, or never.
        never: It will not be admitted however long it waits.
    """

    what: str
    limit: float
    after_s: float | None
    never: bool = False


class Standing(NamedTuple):
    """What is left of the limits a minute, for the headers of an answer. ``None`` where there is no such limit."""

    requests: tuple[int, int, float] | None
    tokens: tuple[int, int, float] | None


class _Window:
    """At most ``limit`` in any ``period_s``, half-open: what came at 0 has left at ``period_s``."""

    __slots__ = ("_entries", "limit", "period_s", "used", "what")

    def __init__(self, what: str, limit: float, period_s: float) -> None:
        self.what = what
        self.limit = limit
        self.period_s = period_s
        self.used = 0
        self._entries: deque[tuple[float, int]] = deque()

    def slide(self, now_s: float) -> None:
        entries = self._entries
        while entries and entries[0][0] + self.period_s <= now_s + _ROUNDING_S:
            self.used -= entries.popleft()[1]

    def excess(self, amount: int, now_s: float) -> Excess | None:
        self.slide(now_s)
        if self.used + amount <= self.limit:
            return None
        left = self.used
        for at_s, each in self._entries:
            left -= each
            if left + amount <= self.limit:
                return Excess(self.what, self.limit, at_s + self.period_s - now_s)
        return Excess(self.what, self.limit, None, never=True)

    def take(self, amount: int, now_s: float) -> None:
        self._entries.append((now_s, amount))
        self.used += amount

    def left(self, now_s: float) -> tuple[int, int, float]:
        self.slide(now_s)
        reset_s = self._entries[-1][0] + self.period_s - now_s if self._entries else 0.0
        return int(self.limit), max(0, int(self.limit - self.used)), reset_s


class Limiter:
    """Keeps one set of limits. It reads no clock."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.inside = 0
        self._requests: list[_Window] = []
        self._minute: _Window | None = None
        self._tokens: _Window | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what came; who is inside stays there."""
        limits = self.limits
        self._minute = None if limits.rpm is None else _Window("requests per minute", limits.rpm, 60.0)
        self._tokens = None if limits.tpm is None else _Window("tokens per minute", limits.tpm, 60.0)
        self._requests = [] if self._minute is None else [self._minute]
        if limits.rps is not None:  # fewer than one a second is one in so many seconds
            period_s = max(1.0, 1.0 / limits.rps)
            self._requests.append(_Window("requests per second", max(1, int(limits.rps * period_s + 1e-9)), period_s))

    def excess(self, tokens: int, now_s: float) -> Excess | None:
        """What a call that comes now, with a prompt of so many tokens, is over; of several the longest to wait for."""
        limits = self.limits
        found = [window.excess(1, now_s) for window in self._requests]
        if self._tokens is not None:
            found.append(self._tokens.excess(tokens, now_s))
        over = [each for each in found if each is not None]
        if over:
            return max(over, key=lambda each: float("inf") if each.after_s is None else each.after_s)
        if limits.concurrency is not None and self.inside >= limits.concurrency:
            return Excess("calls at once", limits.concurrency, limits.retry_after_s)
        return None

    def refuse(self, now_s: float) -> None:
        """A call has been refused."""
        if self.limits.count_refused:
            for window in self._requests:
                window.take(1, now_s)

    def admit(self, now_s: float) -> None:
        """A call has been admitted."""
        self.inside += 1
        for window in self._requests:
            window.take(1, now_s)

    def charge(self, tokens: int, now_s: float) -> None:
        """A call that came now takes so many tokens."""
        if self._tokens is not None:
            self._tokens.take(tokens, now_s)

    def leave(self) -> None:
        """A call has ended."""
        self.inside -= 1

    def standing(self, now_s: float) -> Standing:
        """What is left now."""
        minute, tokens = self._minute, self._tokens
        return Standing(None if minute is None else minute.left(now_s), None if tokens is None else tokens.left(now_s))
