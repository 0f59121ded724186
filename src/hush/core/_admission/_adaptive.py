"""``Adaptive``: the controller behind ``Limit(concurrency="auto")``, a pure class that is told of starts and ends.

A server may be limited by calls at a time (slots) or by calls in a time (a rate), and may refuse what is too much or
let it wait. The controller is told only how calls end, and must find out:

- **Doubling.** Until the first overload the level, calls at a time, doubles in a latency (and at most in 0.1 s) while
  it is in full use. Starts are spread a little, so that the first refusal comes before many more calls are under way.
- **Cut.** On an overload, once for an episode (``_episode``), the level is not halved blindly: it becomes 97 % of the
  *goodput*, the starts of the last second that were not refused (``_measure``). With a server that admits N in any
  second this is N, whatever the latency. From then on starts are *paced* (RFC 9002, 7.7): with short latencies the
  right level is below one call at a time, which no count of permits can express.
- **Hold, then probe** (``_plateau``). Growth counts only time in which the level was in full use (RFC 7661).
- **Slots** (``_slots``). Where signs point to them, calls at a time bind, and starts are spread at twice their pace.
- **Closed gate** (``_probes``). A refusal right after a cut, or eight in a row, closes the gate but for single probes.
- **Retry-After.** The caller closes its gate for everybody; here it says what a refusal costs.
- **Chance** (``_chance``). Where cuts do not help, a share of calls is refused whatever the rate: it is expected from
  then on, and only more than that is an overload.
- **Queues** (``_queueing``). Some servers do not refuse but let calls wait.

The rate that got through as the target is the idea of the AWS SDKs' adaptive retry mode; bounding the level by
latency that of Netflix's concurrency-limits, and of TCP Vegas and BBR before. What all this reaches is measured with
``tests/kit/adaptive_servers``, and written there.
"""

from __future__ import annotations

from math import inf

from hush.core._admission._chance import Chance
from hush.core._admission._episode import Call
from hush.core._admission._level import DOUBLING, PACED, Level
from hush.core._admission._overload import Overload

ROUND_S = 0.1  # doubling takes a latency, and at least this long
CREDIT_S = 0.01  # what a late timer may make up for; and the widest spacing while doubling


class Adaptive:
    """Decides when one more call may start, from how earlier ones ended.

    Not thread-safe and without a clock: its owner calls it under a lock and passes monotonic seconds that never go
    back. Every method takes constant time (amortized), about a microsecond.

    Args:
        start: Calls at a time before anything is known.
        most: Calls at a time that are never exceeded.

    Attributes:
        in_flight: Calls that have started and not ended.
    """

    __slots__ = ("_last_s", "_level", "_overload", "in_flight")

    def __init__(self, *, start: int = 4, most: int = 1024) -> None:
        if most < 1 or start < 1:
            raise ValueError(f"start and most are at least 1, not {start} and {most}")
        self.in_flight = 0
        self._level = Level(start, most)
        self._overload = Overload(self._level)
        self._last_s = -inf  # the last start

    @property
    def most(self) -> int:
        """Calls at a time that are never exceeded."""
        return self._level.most

    @property
    def mode(self) -> str:
        """``"doubling"`` (no overload seen yet), ``"paced"`` (starts a second) or ``"slots"`` (calls at a time)."""
        return self._level.mode

    @property
    def episodes(self) -> int:
        """Episodes of overload so far; each made one cut, or one closing."""
        return self._overload.episode.number

    @property
    def closed(self) -> bool:
        """Whether only single probes are let through, because nothing but refusals came back."""
        return self._overload.probes.closed

    @property
    def level(self) -> float:
        """Calls at a time that it aims at now; below 1 where a rate binds that keeps less than one call in flight."""
        return self._level.aim

    @property
    def per_s(self) -> float:
        """Starts a second that it allows now; ``inf`` where calls at a time bind, 0 while the gate is closed."""
        return 0.0 if self._overload.probes.closed else self._level.rate

    @property
    def chance(self) -> Chance:
        """What is known of refusals that come at any rate."""
        return self._overload.chance

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        """The earliest time at which one more call may start.

        At or before ``now_s``: now. ``inf``: not before a call has ended; never if ``in_flight`` is 0.
        """
        level, probes = self._level, self._overload.probes
        if in_flight >= level.cap:
            return inf
        if probes.under_way and in_flight:
            return max(level.next_s, probes.waits_until_s(level.measure.refusal_s))
        return level.next_s

    def started(self, now_s: float) -> object:
        """A call starts. What is returned goes to ``ended``, once."""
        level, overload = self._level, self._overload
        beside = self.in_flight = self.in_flight + 1
        if self._last_s == -inf:
            overload.begin(now_s)
        since_s, self._last_s = now_s - self._last_s, now_s
        level.measure.started(now_s)
        overload.look_at_young(now_s)
        if overload.probes.closed:
            if overload.probes.starts(now_s, level.measure.refusal_s):
                return overload.call(now_s, beside, full=False, waited=False)
            overload.reopen(now_s)
        waited = beside >= level.cap
        if level.mode == PACED:
            spacing_s = 1 / level.rate
            if now_s - level.next_s <= max(spacing_s / 2, 2 * CREDIT_S):  # it waited for the pace
                waited = True
                if overload.chance.tries:
                    level.rate = min(max(overload.low, level.plateau.base), overload.low * overload.chance.grown())
                else:
                    level.grow(min(since_s, 2 * spacing_s + 2 * CREDIT_S))
                spacing_s = 1 / level.rate
        elif overload.chance.share and overload.bursts:
            spacing_s = 0.0
        else:
            spacing_s = level.measure.latency_s / (2 * level.room)
            if level.mode == DOUBLING:
                spacing_s = min(spacing_s, CREDIT_S)
            elif beside >= level.cap:
                level.grow(min(since_s, 1.0))
        level.next_s = max(level.next_s, now_s - CREDIT_S) + spacing_s
        return overload.call(now_s, beside, full=beside * 4 >= level.cap * 3, waited=waited)

    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None:
        """A call has ended.

        Args:
            token: What ``started`` gave for it.
            now_s: The time.
            overloaded: Whether it was refused for load: 429, 503 and their like. Whatever else became of it, the
                server let it in.
            retry_after_s: The pause that the refusal asks for. Keeping it is the caller's part; here it says what a
                refusal costs, and so how often to risk one.
        """
        level, overload = self._level, self._overload
        assert isinstance(token, Call)
        self.in_flight = max(0, self.in_flight - 1)
        took_s = now_s - token.at_s
        if overloaded:
            overload.refused(token, now_s, took_s, retry_after_s or 0.0)
            return
        if not token.known:
            overload.let_in(token)
        level.measure.served(took_s)
        if token.episode != overload.episode.number:
            return
        overload.episode.served += 1
        if overload.probes.closed:
            overload.reopen(now_s)
            return
        overload.signs.served(token.at_s, token.beside, level.measure.refusal_s)
        level.queueing.served(token.beside, token.full, token.at_s, now_s, level.cap)
        if level.mode == DOUBLING and token.beside * 2 > level.room and level.queueing.may_grow:
            level.room += min(1.0, took_s / ROUND_S)
        level.fit()
        if overload.episode.calm(now_s, overload.probes.gap_s):
            overload.probes.over()

    def withdrawn(self, token: object) -> None:
        """In place of ``ended``, of a call that says nothing of the server: it was never made, or refused for else."""
        assert isinstance(token, Call)
        self.in_flight = max(0, self.in_flight - 1)
        self._overload.withdrawn(token)

    def was_at_ease(self, token: object) -> bool:
        """Whether the level was far from binding when the call started for which ``token`` was given.

        That is, it had not waited for the level, and since the last overload calls were served that had as many beside
        them.
        """
        assert isinstance(token, Call)
        overload = self._overload
        return not overload.probes.closed and not token.waited and overload.signs.is_safe(token.beside)
