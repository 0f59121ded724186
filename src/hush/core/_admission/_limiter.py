"""``Limiter``: the state of one ``Limit``: what is in use, what started lately, and whether its gate is closed."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from hush.core._admission._adaptive import Adaptive
from hush.core._admission._outage import Outage
from hush.core._admission._window import Entry, Pace, Window
from hush.core._spec._policies import Limit

STARTS, TOTAL, INPUT, OUTPUT = range(4)
"""What a window counts: calls, or tokens of one kind."""

_FORGETS_S = 60.0
"""Refusals that are further apart are not of one row: nobody has asked in between."""
_EXCUSED_OF = 100
"""For so many calls that are served, one refusal may be put down to the tokens. Where there are more, the server
refuses for something else, or counts otherwise."""
_EXCUSED_MOST = 4
"""Refusals in a row, at most, that are put down to the tokens."""
_SMALL = 20  # to round a rate above it down to a whole number costs less than 5 % of it

Tokens = tuple[int | None, int | None, int | None]
"""How many tokens a call takes: all, of its input, of its output; ``None`` where that is not known."""

NOT_KNOWN: Tokens = (None, None, None)


class End(NamedTuple):
    """How a call ended.

    Attributes:
        tokens: What its reply says that it took.
        failed: Whether it raised.
        overloaded: Whether its failure says that there was too much at once.
        down: Whether its failure says that who was called serves nobody, as when connections are refused.
        retry_after_s: Seconds from now before which nobody is to come back, if the failure says so.
    """

    tokens: Tokens = NOT_KNOWN
    failed: bool = False
    overloaded: bool = False
    retry_after_s: float | None = None
    down: bool = False


WELL = End()
BROKEN = End(failed=True)


class Counter:
    """A window with what it counts.

    Attributes:
        typical: How many tokens calls took lately, where replies told; ``None`` before the first did.
    """

    __slots__ = ("kind", "typical", "window")

    def __init__(self, kind: int, window: Window) -> None:
        self.kind = kind
        self.window = window
        self.typical: float | None = None

    def estimate(self, tokens: Tokens) -> int:
        """How much of the window a call is expected to take."""
        if self.kind == STARTS:
            return 1
        known = tokens[self.kind - 1]
        if known is not None:
            return known
        # Nobody knows: the first call goes alone, and its reply says what the others will take.
        return math.ceil(self.window.most if self.typical is None else self.typical)

    def learn(self, tokens: Tokens, reserved: int, end: End) -> int:
        """How much a call took that has ended."""
        if self.kind == STARTS:
            return 1
        took = end.tokens[self.kind - 1]
        if took is not None:
            self.typical = took if self.typical is None else self.typical + (took - self.typical) / 8
            return took
        if tokens[self.kind - 1] is not None or self.typical is not None:
            return reserved  # also of one that failed: it may have been counted
        if not end.failed:
            self.typical = 0.0  # its replies do not say
        return 0


class Taken:
    """What one call has taken of one limiter that keeps more than a count."""

    __slots__ = ("entries", "full_s", "limiter", "run")

    def __init__(self, limiter: Limiter, run: object, entries: list[Entry], full_s: float) -> None:
        self.limiter = limiter
        self.run = run
        self.entries = entries
        self.full_s = full_s


class Limiter:
    """The state of one ``Limit`` under one clock. Whoever calls it holds the lock of its ``Admission``.

    Attributes:
        most: Calls at once; ``None`` for as many as there are, or as ``adaptive`` says.
        in_use: Calls under way.
        held: Starts that are set aside for those who come first but must wait for another limiter.
        opens_at_s: Until when its gate is closed.
        lanes: Those in which someone waits for it.
        outage: What refusals have closed; ``None`` while calls are served.
        refusing_s: Since when it refuses all calls for load; ``None`` while it serves some.
        refused_s: When it last refused one.
        horizon_s: How long something may be set aside for who waits for a time.
    """

    __slots__ = (
        "__weakref__",
        "_counters",
        "_excuses",
        "_pace",
        "_plain",
        "adaptive",
        "held",
        "horizon_s",
        "in_use",
        "lanes",
        "most",
        "name",
        "opens_at_s",
        "outage",
        "refused_s",
        "refusing_s",
    )

    def __init__(self, limit: Limit) -> None:
        self.name = limit.name or repr(limit)
        self.adaptive = Adaptive() if limit.concurrency == "auto" else None
        self.most = None if limit.concurrency == "auto" else limit.concurrency
        self.in_use = 0
        self.held = 0
        self.opens_at_s = -math.inf
        self.outage: Outage | None = None
        self.refusing_s: float | None = None
        self.refused_s = -math.inf
        self.lanes: dict[Any, None] = {}  # of ``Lane``, which is made of limiters
        rates = [(rate, period_s) for rate, period_s in ((limit.per_second, 1.0), (limit.per_minute, 60.0)) if rate]
        counters = [Counter(STARTS, _window(rate, period_s)) for rate, period_s in rates]
        tokens = (limit.tokens_per_minute, limit.input_tokens_per_minute, limit.output_tokens_per_minute)
        for kind, each in zip((TOTAL, INPUT, OUTPUT), tokens, strict=True):
            if each is not None:
                counters.append(Counter(kind, Window(each, 60.0, spreads=False)))
        self._counters = tuple(counters)
        self._excuses = _EXCUSED_MOST * _EXCUSED_OF  # calls that were served for refusals that were not taken for load
        self._pace: Pace | None = None
        if limit.burst is not None:
            self._pace = Pace(limit.burst, max(period_s / rate for rate, period_s in rates))
        self._plain = not counters and self.adaptive is None
        self.horizon_s = max((each.window.period_s for each in counters), default=0.0)

    def until_s(self, tokens: Tokens, now_s: float, *, looks: bool = False) -> float:
        """When one more call may start: now or before, it may; infinite if some call must end first.

        ``looks`` is for people who ask: it is as exact as it is known now, and nothing changes by asking. Else somebody
        waits from now on.
        """
        if self.most is not None and self.in_use + self.held >= self.most:
            return math.inf
        at_s = self.opens_at_s
        if self.outage is not None:
            at_s = max(at_s, self.outage.until_s(now_s))
        if self._plain:
            return at_s
        if self.adaptive is not None:
            at_s = max(at_s, self.adaptive.admit_at_s(now_s, self.in_use + self.held))
        for counter in self._counters:
            until_s = counter.window.fits_at_s if looks else counter.window.until_s
            at_s = max(at_s, until_s(counter.estimate(tokens), now_s))
        if self._pace is not None:
            at_s = max(at_s, self._pace.until_s(now_s, self.held))
        return at_s

    def take(self, tokens: Tokens, now_s: float) -> Taken | None:
        """A call starts; ``None`` if counting it is all there is to it."""
        self.in_use += 1
        if self.outage is not None:
            self.outage.started(now_s)
        if self._plain:
            return None
        full_s = 0.0 if self._pace is None else self._pace.start(now_s)
        entries = [each.window.enter(each.estimate(tokens), now_s) for each in self._counters]
        return Taken(self, None if self.adaptive is None else self.adaptive.started(now_s), entries, full_s)

    def begin(self, taken: Taken, now_s: float) -> None:
        """A call that was admitted some time ago is made only now. Needs no lock: entries then stay longer."""
        for entry in taken.entries:
            entry.start_s = now_s

    def give(self, taken: Taken, tokens: Tokens, now_s: float, end: End) -> None:
        """What a call has taken besides its place, when it has ended."""
        if self.adaptive is not None:
            if end.overloaded and self._is_of_tokens(self.adaptive, taken):
                self.adaptive.withdrawn(taken.run)
            else:
                self.adaptive.ended(taken.run, now_s, overloaded=end.overloaded, retry_after_s=end.retry_after_s)
            if not end.failed:
                self._excuses = min(self._excuses + 1, _EXCUSED_MOST * _EXCUSED_OF)
        for counter, entry in zip(self._counters, taken.entries, strict=True):
            counter.window.end(entry, now_s, counter.learn(tokens, entry.amount, end), failed=end.failed)

    def _is_of_tokens(self, adaptive: Adaptive, taken: Taken) -> bool:
        """Whether a refusal is put down to calls that took more tokens than was expected, and not to the level.

        When a minute's tokens are all but used up, the server may have counted more of them than are known here. No
        lower level would help against that; and how many calls started in the seconds before was decided by how many
        tokens were left, which says nothing of how many the server bears.
        """
        if self._excuses < _EXCUSED_OF or not adaptive.was_at_ease(taken.run):
            return False
        for counter, entry in zip(self._counters, taken.entries, strict=True):
            if counter.kind != STARTS and entry.tight:
                self._excuses -= _EXCUSED_OF
                return True
        return False

    def undo(self, taken: Taken, now_s: float) -> None:
        """As ``give``, of a call that was admitted and then never made."""
        if self.adaptive is not None:
            self.adaptive.withdrawn(taken.run)
        if self._pace is not None:
            self._pace.undo(taken.full_s)
        for counter, entry in zip(self._counters, taken.entries, strict=True):
            counter.window.undo(entry)

    def judge(self, started_s: float, now_s: float, end: End, *, begun: bool) -> None:
        """What the end of a call says of an outage; to be told while there is one, and of each refusal."""
        if end.down or (end.overloaded and self.adaptive is None):
            if self.outage is None:
                self.outage = Outage()
            self.outage.refused(started_s, now_s)
        elif self.outage is not None:
            if end.failed or not begun:
                self.outage.broke(started_s, now_s)
            elif self.outage.served(started_s):
                self.outage = None

    def hear(self, started_s: float, now_s: float, end: End) -> None:
        """What the end of a call says of whether all are refused; to be told of each refusal, and after one of each."""
        if end.overloaded:
            if self.refusing_s is None or now_s > self.refused_s + _FORGETS_S:
                self.refusing_s = now_s
            self.refused_s = now_s
        elif not end.failed and self.refusing_s is not None and started_s >= self.refusing_s:
            self.refusing_s = None

    def refused_for_s(self, now_s: float) -> float:
        """For how long it has seen nothing but refusals."""
        if self.refusing_s is None or now_s > self.refused_s + _FORGETS_S:
            return 0.0
        return now_s - self.refusing_s

    def is_shut(self, now_s: float) -> bool:
        """Whether refusals have closed it, so that only single calls are let through."""
        if self.outage is not None and self.outage.is_closed(now_s):
            return True
        return self.adaptive is not None and self.adaptive.closed

    def close_until(self, at_s: float) -> None:
        """Nobody is admitted before ``at_s``. A later time extends that, an earlier one does not shorten it."""
        self.opens_at_s = max(self.opens_at_s, at_s)

    def hold(self, tokens: Tokens) -> None:
        """Set aside what one call takes."""
        self.held += 1
        for counter in self._counters:
            counter.window.held += counter.estimate(tokens)

    def let_go(self) -> None:
        """Nothing is set aside any more."""
        self.held = 0
        for counter in self._counters:
            counter.window.held = 0


def _window(rate: float, period_s: float) -> Window:
    """At most ``rate`` starts in ``period_s``. What is no whole number is one start at a time, if it is small."""
    if rate == int(rate) or rate > _SMALL:
        return Window(int(rate), period_s)
    return Window(1, period_s / rate)
