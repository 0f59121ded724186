"""What a scripted server has seen: counted on its own side, whatever its clients believe."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from typing import Any, NamedTuple

from hush.testing._scripted._exchange import Exchange

# Two clocks are never read at the same instant.
_JUST_NOW_S = 0.001
# A call that comes by another connection this soon may have been on its way when the answer was sent; in process, where
# there is no connection, it may have been ready to run.
_ON_ITS_WAY_S = 0.1
_READY_S = 0.005


class _Told(NamedTuple):
    at_s: float
    opens_at_s: float
    source: object


class Stats:
    """The counts of one server, since it was made or reset.

    Attributes:
        calls: All calls of models, whatever became of them.
        answered: Those that got an answer to its end, bent ones among them.
        refused: Those that got an error with a status: over a limit, on order, or for a mistake of theirs.
        violations: Those over one of ``limits``.
        early: Those that came before the time that an error to the same model had named, by ``Retry-After`` or
            ``retry-after-ms``. Those that may have been on their way are not: by another connection than the one that
            was told for 0.1 s, in process for 5 ms.
        abandoned: Those whose client went away before the end.
        at_once: How many are in the server now.
        most_at_once: The most that were in it at one time, with those that were refused as they came.
        faults: How often each fault has happened, by its name.
        by_model: Calls by model. ``by_endpoint``: by endpoint. ``by_status``: by the status that was answered.
        prompt_tokens: Those of the calls that were admitted, as charged; so are the other tokens.
        bytes_in: Bytes that came over HTTP. ``bytes_out``: those that went.
        arrivals_s: When each call came, in seconds since the first.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.answered = 0
        self.refused = 0
        self.violations = 0
        self.early = 0
        self.abandoned = 0
        self.at_once = 0
        self.most_at_once = 0
        self.faults: Counter[str] = Counter()
        self.by_model: Counter[str] = Counter()
        self.by_endpoint: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens = 0
        self.reasoning_tokens = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.arrivals_s: array[float] = array("d")
        self._told: dict[str, list[_Told]] = {}

    # --- told by the core ---------------------------------------------------------------------------------
    def arrived(self, exchange: Exchange) -> None:
        """A call came."""
        request = exchange.request
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.by_model[request.model] += 1
        self.by_endpoint[request.endpoint] += 1
        self.arrivals_s.append(request.at_s)
        told = self._told.get(request.model)
        if told:
            self._told[request.model] = told = [each for each in told if each.opens_at_s > exchange.at_s]
            for each in told:
                if each.source is None and exchange.source is None:
                    known_s = each.at_s + _READY_S
                else:
                    known_s = each.at_s + (0.0 if each.source is exchange.source else _ON_ITS_WAY_S)
                if known_s < exchange.at_s and exchange.at_s < each.opens_at_s - _JUST_NOW_S:
                    self.early += 1
                    break

    def charged(self, exchange: Exchange) -> None:
        """A call was admitted and its usage is known."""
        usage = exchange.usage
        if usage is not None:
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens
            self.cached_tokens += usage.cached_tokens
            self.reasoning_tokens += usage.reasoning_tokens

    def told(self, exchange: Exchange, at_s: float, after_s: float) -> None:
        """A call was told to come back in so many seconds."""
        self._told.setdefault(exchange.request.model, []).append(_Told(at_s, at_s + after_s, exchange.source))

    def forget_told(self) -> None:
        """Nobody has been told to come back."""
        self._told.clear()

    def ended(self, exchange: Exchange, *, abandoned: bool) -> None:
        """A call has got what it gets, or its client has gone."""
        self.at_once -= 1
        for kind in exchange.bends:
            self.faults[kind] += 1
        if exchange.fault is not None:
            self.faults[str(exchange.fault.kind)] += 1
        if exchange.refusal is not None:
            self.refused += 1
            self.by_status[exchange.refusal.status] += 1
            if exchange.refusal.kind not in ("limited", "wrong", "script_ended"):
                self.faults[exchange.refusal.kind] += 1
        if abandoned:
            self.abandoned += 1
        elif exchange.refusal is None and exchange.fault is None:
            self.answered += 1
            self.by_status[200] += 1

    # --- read by users ------------------------------------------------------------------------------------
    def most_in_any(self, period_s: float) -> int:
        """The most calls that came in any window of this length, half-open."""
        window: deque[float] = deque()
        most = 0
        for at_s in self.arrivals_s:
            window.append(at_s)
            while window[0] <= at_s - period_s:
                window.popleft()
            most = max(most, len(window))
        return most

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        found: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name.startswith("_"):
                continue
            if isinstance(value, Counter):
                found[name] = {str(key): count for key, count in value.items()}
            else:
                found[name] = list(value) if isinstance(value, array) else value
        return found

    def __repr__(self) -> str:
        told = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return f"Stats({', '.join(f'{name}={value}' for name, value in told.items())})"
