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

from collections import deque
from math import inf

from hush.core._admission._chance import Chance
from hush.core._admission._episode import Call, Episode
from hush.core._admission._measure import Measure
from hush.core._admission._plateau import KEEP, RATE_LEAST, SHORT_HOLD_S, Plateau
from hush.core._admission._probes import Probes
from hush.core._admission._queueing import Queueing
from hush.core._admission._slots import SlotSigns

ROUND_S = 0.1  # doubling takes a latency, and at least this long
CREDIT_S = 0.01  # what a late timer may make up for; and the widest spacing while doubling
BY_A_START = 1.05  # growth of the rate with one start, at most: there are few to learn from where the rate is low

ROW = 3  # refusals in a row, of which more end an experiment
LEAST_AT_ONCE = 0.5  # of the plateau, below which no cut goes whose measure is incomplete
LONG = 1.2  # memories: of an episode as long, a refusal that costs a pause tells of the ceiling
OUTAGE = 8  # refusals in a row, whenever they started, that close the gate
REOPEN_AGAIN = 0.6  # of the plateau's rate, where the last reopening failed

NO_EPISODE = -1  # that of calls that do not count

DOUBLING, PACED, SLOTS = "doubling", "paced", "slots"


class Adaptive:
    """Decides when one more call may start, from how earlier ones ended.

    Not thread-safe and without a clock: its owner calls it under a lock and passes monotonic seconds that never go
    back. Every method takes constant time (amortized), about a microsecond.

    Args:
        start: Calls at a time before anything is known.
        most: Calls at a time that are never exceeded.

    Attributes:
        most: As given.
        mode: ``"doubling"`` (no overload seen yet: calls at a time, doubled each round), ``"paced"`` (starts a second)
            or ``"slots"`` (calls at a time).
        in_flight: Calls that have started and not ended.
    """

    __slots__ = (
        "_before",
        "_bursts",
        "_cap",
        "_chance",
        "_episode",
        "_last_s",
        "_low",
        "_measure",
        "_next_s",
        "_plateau",
        "_probes",
        "_queueing",
        "_rate",
        "_room",
        "_signs",
        "_surely",
        "_young",
        "in_flight",
        "mode",
        "most",
    )

    def __init__(self, *, start: int = 4, most: int = 1024) -> None:
        if most < 1 or start < 1:
            raise ValueError(f"start and most are at least 1, not {start} and {most}")
        self.most = most
        self.mode = DOUBLING
        self.in_flight = 0

        self._room = float(min(start, most))  # calls at a time: what binds while doubling, and among slots
        self._rate = inf  # starts a second: what binds when paced
        self._cap = int(self._room)  # calls at a time, whatever binds
        self._next_s = -inf  # when the pace, or the closed gate, lets the next call start
        self._last_s = -inf  # the last start

        self._bursts = False  # whether all that there is room for starts at once, since the next pause comes soon
        self._low = 0.0  # the rate of an experiment
        self._surely = inf  # what was measured where the rate is a guess, since there was too little time for more
        self._before = self._room  # calls at a time before the cuts that are not explained yet
        self._young: deque[Call] = deque()  # calls of which it is not known whether they were let in

        self._chance = Chance()
        self._episode = Episode()
        self._measure = Measure()
        self._plateau = Plateau()
        self._probes = Probes()
        self._signs = SlotSigns()
        self._queueing = Queueing()

    @property
    def episodes(self) -> int:
        """Episodes of overload so far; each made one cut, or one closing."""
        return self._episode.number

    @property
    def closed(self) -> bool:
        """Whether only single probes are let through, because nothing but refusals came back."""
        return self._probes.closed

    @property
    def level(self) -> float:
        """Calls at a time that it aims at now; below 1 where a rate binds that keeps less than one call in flight."""
        cap = float(self._cap)
        return min(self._rate * self._measure.latency_s, cap) if self.mode == PACED else cap

    @property
    def per_s(self) -> float:
        """Starts a second that it allows now; ``inf`` where calls at a time bind, 0 while the gate is closed."""
        return 0.0 if self._probes.closed else self._rate

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        """The earliest time at which one more call may start.

        At or before ``now_s``: now. ``inf``: not before a call has ended; never if ``in_flight`` is 0.
        """
        if in_flight >= self._cap:
            return inf
        if self._probes.under_way and in_flight:
            return max(self._next_s, self._probes.waits_until_s(self._measure.refusal_s))
        return self._next_s

    def started(self, now_s: float) -> object:
        """A call starts. What is returned goes to ``ended``, once."""
        beside = self.in_flight = self.in_flight + 1
        if self._last_s == -inf:  # whatever the clock says then, it begins here
            self._episode.opened_s = self._chance.past.stretch.began_s = now_s
            self._signs.begin(now_s)
        since_s, self._last_s = now_s - self._last_s, now_s
        self._measure.started(now_s)
        self._look_at_young(now_s)
        if self._probes.closed:
            if self._probes.starts(now_s, self._measure.refusal_s):
                return self._call(now_s, beside, full=False, waited=False)
            self._reopen(now_s)
        waited = beside >= self._cap
        if self.mode == PACED:
            spacing_s = 1 / self._rate
            if now_s - self._next_s <= max(spacing_s / 2, 2 * CREDIT_S):  # it waited for the pace
                waited = True
                if self._chance.tries:
                    self._rate = min(max(self._low, self._plateau.base), self._low * self._chance.grown())
                else:
                    self._grow(min(since_s, 2 * spacing_s + 2 * CREDIT_S))
                spacing_s = 1 / self._rate
        elif self._chance.share and self._bursts:
            spacing_s = 0.0
        else:
            spacing_s = self._measure.latency_s / (2 * self._room)
            if self.mode == DOUBLING:
                spacing_s = min(spacing_s, CREDIT_S)
            elif beside >= self._cap:
                self._grow(min(since_s, 1.0))
        self._next_s = max(self._next_s, now_s - CREDIT_S) + spacing_s
        return self._call(now_s, beside, full=beside * 4 >= self._cap * 3, waited=waited)

    def _call(self, now_s: float, beside: int, *, full: bool, waited: bool) -> Call:
        stretch = self._chance.past.stretch
        stretch.started += 1
        call = Call(now_s, beside, self._episode.number, stretch, full=full, waited=waited)
        self._young.append(call)
        return call

    def _look_at_young(self, now_s: float) -> None:
        """Settle what became of calls, in the order of their starts: what takes longer than refusals do was let in."""
        young, before_s, chance = self._young, now_s - 3 * self._measure.refusal_s, self._chance
        while young and (young[0].known or young[0].at_s < before_s):
            call = young.popleft()
            if not call.known:
                self._let_in(call)
            if chance.share and call.episode == self._episode.number:
                chance.count(call.refused, now_s, probed=self._probed)

    def _let_in(self, call: Call) -> None:
        call.known = True
        self._episode.in_row = 0
        self._chance.served(call.stretch)

    @property
    def _probed(self) -> bool:
        return self.mode != DOUBLING and self._plateau.probed

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
        assert isinstance(token, Call)
        self.in_flight = max(0, self.in_flight - 1)
        took_s = now_s - token.at_s
        if overloaded:
            self._refused(token, now_s, took_s, retry_after_s or 0.0)
            return
        if not token.known:
            self._let_in(token)
        self._measure.served(took_s)
        if token.episode != self._episode.number:
            return
        self._episode.served += 1
        if self._probes.closed:
            self._reopen(now_s)
            return
        self._signs.served(token.at_s, token.beside, self._measure.refusal_s)
        self._queueing.served(token.beside, token.full, token.at_s, now_s, self._cap)
        if self.mode == DOUBLING and token.beside * 2 > self._room and self._queueing.may_grow:
            self._room += min(1.0, took_s / ROUND_S)
        self._fit()
        if self._episode.calm(now_s, self._probes.gap_s):
            self._probes.over()

    def was_at_ease(self, token: object) -> bool:
        """Whether the level was far from binding when the call started for which ``token`` was given.

        That is, it had not waited for the level, and since the last overload calls were served that had as many beside
        them.
        """
        assert isinstance(token, Call)
        return not self._probes.closed and not token.waited and self._signs.is_safe(token.beside)

    def withdrawn(self, token: object) -> None:
        """In place of ``ended``, of a call that says nothing of the server: it was never made, or refused for else."""
        assert isinstance(token, Call)
        self.in_flight = max(0, self.in_flight - 1)
        self._measure.withdrawn(token.at_s)
        token.stretch.started -= 1
        token.stretch.served -= token.known
        token.known = True
        token.episode = NO_EPISODE
        if self._probes.closed:
            self._probes.withdrawn(token.at_s)

    def _grow(self, used_s: float) -> None:
        """Go on along the curve, by a time in which the level was in full use."""
        plateau = self._plateau
        much = plateau.grow(used_s)
        if plateau.probed:
            if self.mode == PACED:
                self._rate = min(plateau.base * much, self._rate * BY_A_START)
            else:
                self._room = min(plateau.base * much, float(self.most))
            self._fit()
        elif self.mode == PACED and self._rate < plateau.base:
            self._rate = min(plateau.base, self._rate * 2**used_s)

    def _fit(self) -> None:
        if self.mode == PACED:
            self._rate = min(self._rate, self.most / max(0.001, self._measure.latency_s))
        room = 2 + 2 * self._rate * self._measure.latency_s if self.mode == PACED else self._room
        self._room = min(self._room, float(self.most))
        self._cap = max(1, int(min(room, self._queueing.bound, self.most)))

    def _refused(self, call: Call, now_s: float, took_s: float, retry_after_s: float) -> None:
        episode, costly = self._episode, retry_after_s > 0
        if call.known:  # it took so long
            call.stretch.served -= 1
        call.known = call.refused = True
        self._look_at_young(now_s)
        episode.in_row += 1
        self._measure.refused(call.at_s, took_s)
        self._chance.refused(call.stretch, episode.in_row)
        current = call.episode == episode.number
        if self._is_chance(now_s, retry_after_s, current=current):
            return
        if not current:
            if episode.in_row >= OUTAGE and not self._probes.closed:
                self._close(now_s, again=False, costly=costly)
        elif self._probes.closed:
            self._next_s = self._probes.failed(now_s)
        elif episode.fresh:
            self._close(now_s, again=True, costly=costly)
            if not self._chance.tries and self._chance.past.is_due(costly=costly):
                self._try_less(now_s, costly=costly)
        else:
            self._cut(call, now_s, retry_after_s)
            if not self._chance.tries and self._chance.past.is_due(costly=costly):
                self._try_less(now_s + retry_after_s, costly=costly)

    def _is_chance(self, now_s: float, retry_after_s: float, *, current: bool) -> bool:
        """After a refusal: whether it is no sign of too much, or was seen to already."""
        chance, in_row, is_open = self._chance, self._episode.in_row, not self._probes.closed
        if chance.share:
            if is_open and not chance.alarms:
                if retry_after_s:
                    self._measure.forget(now_s + retry_after_s)
                    self._plateau.pause(now_s, retry_after_s)
                return True
            if chance.row >= chance.run:
                chance.ran(now_s)
                if current and is_open:
                    self._close(now_s, again=True, costly=retry_after_s > 0)
                    return True
            elif current:
                chance.alarmed()
            return False
        if chance.past.against(in_row):
            chance.forget(now_s)
        elif chance.tries and current and is_open:
            if in_row > ROW:
                chance.forget(now_s)
                self._close(now_s, again=True, costly=retry_after_s > 0)
            elif chance.convinced(now_s):
                self._go_back(now_s, retry_after_s)
            elif retry_after_s:
                self._measure.forget(now_s + retry_after_s)
            return True
        elif current and is_open and self._probed:
            chance.forget_before()
        return False

    def _cut(self, call: Call, now_s: float, retry_after_s: float) -> None:
        measure, plateau, signs, costly = self._measure, self._plateau, self._signs, retry_after_s > 0
        good = measure.per_s(call.at_s) / (1 - self._chance.share)
        self._surely = inf
        self._next_stretch(now_s, retry_after_s)
        ramp = self._rate > 1.25 * good and self.mode != SLOTS
        sign = signs.is_sign(call.beside, self._episode.served)
        signs.note(sign, held_s=plateau.grown_s if self.mode == SLOTS else None, costly=costly)
        if self._chance.share:
            measured = plateau.probed
        else:
            long_open = now_s - self._episode.opened_s >= 1.5 * measure.memory_s
            measured = plateau.probed and not ramp and long_open
        if not measure.any_served:
            self._room = max(1.0, self._room / 2)
        elif self.mode != DOUBLING and (sign or self.mode == SLOTS) and signs.suffice(costly=costly):
            self.mode = SLOTS
            self._rate = inf
            signs.rate = KEEP * good
            self._room = plateau.base = float(max(1, min(call.beside, self.most) - 1))
        else:
            measured = self._pace(call, now_s, good, costly=costly, sign=sign) or measured
        pause_s = 0.0 if self._chance.share else retry_after_s  # where chance costs pauses, growth makes no odds
        plateau.settle(now_s, measured=measured, retry_after_s=pause_s, paced=self.mode == PACED)
        measure.look_back(self._rate)
        self._episode.begin(now_s + retry_after_s)
        signs.begin(now_s + retry_after_s)
        if costly:
            measure.forget(now_s + retry_after_s)
        self._fit()

    def _next_stretch(self, now_s: float, pause_s: float = 0.0) -> None:
        """The calls of another level are counted by themselves."""
        if not self._chance.past.begun:
            self._before = self._level(self._rate)
        self._chance.past.next_stretch(now_s, pause_s)
        if not self._chance.past.begun:
            self._before = self._level(self._rate)

    def _try_less(self, now_s: float, *, costly: bool) -> None:
        """Cuts do not seem to help: see what becomes of calls at a rate that is surely low."""
        self._probes.open()
        if self.mode != PACED:
            self._fall_back(self._signs.rate)
        self._rate = self._low = max(RATE_LEAST, self._chance.past.low(costly=costly))
        self._next_s = now_s + 1 / self._rate
        self._chance.begin()
        self._fit()

    def _go_back(self, now_s: float, retry_after_s: float) -> None:
        """It was not the rate: go on from half the level before the cuts, doubling."""
        self.mode = DOUBLING
        self._probes.open()
        self._probes.over()
        self._episode.begin(now_s + retry_after_s)
        self._episode.fresh = False
        self._signs.begin(now_s + retry_after_s)
        self._measure.forget(now_s + retry_after_s)
        self._next_s = now_s
        self._room = max(1.0, self._before / 2, self._level(self._rate))
        self._bursts = retry_after_s > 0 and not self._chance.alarmed_once
        self._rate = inf
        self._fit()

    def _level(self, rate: float) -> float:
        """Calls at a time."""
        return self._room if rate == inf else rate * self._measure.latency_s

    def _pace(self, call: Call, now_s: float, good: float, *, costly: bool, sign: bool) -> bool:
        """Make the plateau a rate, after ``good`` got through; gives whether the pause says that it is measured."""
        measure, plateau = self._measure, self._plateau
        probed = plateau.probed
        open_s = now_s - self._episode.opened_s
        before = plateau.base if self.mode == PACED else inf
        known = max(RATE_LEAST, min(self._rate, good))
        if self.mode == DOUBLING:
            made = self._room / max(0.001, measure.latency_s) if self._chance.share else measure.made_per_s(now_s)
            if self._chance.share or not costly:
                known = max(known, LEAST_AT_ONCE * made)
                self._surely = good
            elif not good:
                known = max(known, min(made, measure.per_s(now_s)))
        if self.mode != DOUBLING and not measure.is_whole(call.at_s):
            known = max(known, LEAST_AT_ONCE * (plateau.base if self.mode == PACED else self._signs.rate))
        if not call.waited:  # little was asked for lately
            known = max(known, min(self._rate, call.stretch.per_s))
        if self.mode == PACED and probed:  # the plateau was held without a refusal
            known = max(known, plateau.base)
        long_open = open_s > LONG * measure.memory_s
        saved = costly and not probed and long_open
        plateau.lower(known, probed=probed or self.mode == DOUBLING, refill_s=open_s if saved else None)
        measured = costly and long_open and plateau.compare(before, probed=probed, sign_of_slots=sign)
        self._rate = plateau.base if self._rate == inf else max(RATE_LEAST, plateau.base * max(0.5, known / self._rate))
        self.mode = PACED
        self._next_s = max(self._next_s, now_s + 1 / self._rate)
        return measured

    def _close(self, now_s: float, *, again: bool, costly: bool) -> None:
        plateau = self._plateau
        if self.mode == SLOTS:
            if not self._signs.judge(plateau.grown_s, refuted=again):
                self._fall_back(self._signs.rate)
        elif self.mode == DOUBLING:
            if self._measure.any_served:
                rate = self._surely = self._measure.per_s(now_s)
                if self._episode.in_row == 1:
                    rate = max(rate, LEAST_AT_ONCE * self._measure.made_per_s(now_s))
                self._fall_back(rate)
        elif self._surely < inf and not self._episode.served and self._episode.in_row > 1:
            self._fall_back(KEEP * self._measure.per_s(now_s))
            self._surely = inf
        elif self._episode.reopened:  # what it came back with was too much
            plateau.base *= REOPEN_AGAIN
            self._probes.widen()
        self._next_stretch(now_s)
        if costly and self.mode == PACED:  # each further closing would cost a pause
            plateau.base = max(RATE_LEAST, min(plateau.base, self._chance.past.filled_per_s()))
        self._episode.begin(now_s)
        self._signs.begin(now_s)
        self._next_s = self._probes.close(now_s)

    def _fall_back(self, rate: float) -> None:
        """Pace starts at a rate that was not measured well."""
        self.mode = PACED
        self._rate = self._plateau.base = max(RATE_LEAST, rate)
        self._plateau.hold_s = SHORT_HOLD_S

    def _reopen(self, now_s: float) -> None:
        probes, plateau = self._probes, self._plateau
        if probes.failures > 1 and self.mode == PACED:
            plateau.base = min(plateau.base, max(RATE_LEAST, self._surely))
            self._surely = inf
        probes.open()
        self._episode.reopen(now_s)
        self._measure.forget(now_s)
        stretch = self._chance.past.stretch
        stretch.rested_s += min(1.0, now_s - stretch.began_s)
        stretch.began_s = now_s
        self._next_s = now_s
        if self.mode == SLOTS:
            plateau.grown_s = 0.0
        elif self.mode == PACED:
            # One call was served in about the last gap.
            plateau.base = max(RATE_LEAST, plateau.base, 0.5 / probes.gap_s)
            self._rate = max(RATE_LEAST, plateau.base * probes.share)
            self._next_s = max(now_s, probes.at_s + 1 / self._rate)
            plateau.grown_s = 0.0
            plateau.hold_s = max(plateau.hold_s, 2 * SHORT_HOLD_S)
        self._fit()
