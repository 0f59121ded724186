"""``Overload``: what a refusal says, and what is done about it: a cut, a closed gate, an experiment, or nothing.

A call that has started is *young* until it is known whether it was let in: what takes longer than refusals do was.
"""

from __future__ import annotations

from collections import deque
from math import inf

from hush.core._admission._chance import Chance
from hush.core._admission._episode import Call, Episode
from hush.core._admission._level import DOUBLING, PACED, SLOTS, Level
from hush.core._admission._plateau import KEEP, RATE_LEAST, SHORT_HOLD_S
from hush.core._admission._probes import Probes
from hush.core._admission._slots import SlotSigns

ROW = 3  # refusals in a row, of which more end an experiment
LEAST_AT_ONCE = 0.5  # of the plateau, below which no cut goes whose measure is incomplete
LONG = 1.2  # memories: of an episode as long, a refusal that costs a pause tells of the ceiling
OUTAGE = 8  # refusals in a row, whenever they started, that close the gate
REOPEN_AGAIN = 0.6  # of the plateau's rate, where the last reopening failed
NO_EPISODE = -1  # that of calls that do not count


class Overload:
    """What is known of refusals, for the level that it changes.

    Attributes:
        level: That.
        chance: Whether they come at any rate.
        episode: The overload that goes on, or is over.
        probes: The gate that they close.
        signs: What points to calls at a time as what the server is limited by.
        bursts: Whether all that there is room for starts at once, since the next pause comes soon.
        low: The rate of an experiment.
    """

    __slots__ = ("_before", "_surely", "_young", "bursts", "chance", "episode", "level", "low", "probes", "signs")

    def __init__(self, level: Level) -> None:
        self.level = level
        self.chance = Chance()
        self.episode = Episode()
        self.probes = Probes()
        self.signs = SlotSigns()
        self.bursts = False
        self.low = 0.0
        self._surely = inf  # what was measured where the rate is a guess, since there was too little time for more
        self._before = level.room  # calls at a time before the cuts that are not explained yet
        self._young: deque[Call] = deque()

    def begin(self, now_s: float) -> None:
        """The first call starts: whatever the clock says then, it begins here."""
        self.episode.opened_s = self.chance.past.stretch.began_s = now_s
        self.signs.begin(now_s)

    def call(self, now_s: float, beside: int, *, full: bool, waited: bool) -> Call:
        """A call starts, with so many in flight."""
        stretch = self.chance.past.stretch
        stretch.started += 1
        call = Call(now_s, beside, self.episode.number, stretch, full=full, waited=waited)
        self._young.append(call)
        return call

    def look_at_young(self, now_s: float) -> None:
        """Settle what became of calls, in the order of their starts: what takes longer than refusals do was let in."""
        level = self.level
        young, before_s, chance = self._young, now_s - 3 * level.measure.refusal_s, self.chance
        while young and (young[0].known or young[0].at_s < before_s):
            call = young.popleft()
            if not call.known:
                self.let_in(call)
            if chance.share and call.episode == self.episode.number:
                chance.count(call.refused, now_s, probed=level.probed)

    def let_in(self, call: Call) -> None:
        """A call is being served, or was."""
        call.known = True
        self.episode.in_row = 0
        self.chance.served(call.stretch)

    def withdrawn(self, call: Call) -> None:
        """A call says nothing of the server."""
        self.level.measure.withdrawn(call.at_s)
        call.stretch.started -= 1
        call.stretch.served -= call.known
        call.known = True
        call.episode = NO_EPISODE
        if self.probes.closed:
            self.probes.withdrawn(call.at_s)

    def refused(self, call: Call, now_s: float, took_s: float, retry_after_s: float) -> None:
        """A call was refused after so long; ``retry_after_s`` is 0 if it asks for no pause."""
        level = self.level
        episode, costly = self.episode, retry_after_s > 0
        if call.known:  # it took so long
            call.stretch.served -= 1
        call.known = call.refused = True
        self.look_at_young(now_s)
        episode.in_row += 1
        level.measure.refused(call.at_s, took_s)
        self.chance.refused(call.stretch, episode.in_row)
        current = call.episode == episode.number
        if self._is_chance(now_s, retry_after_s, current=current):
            return
        if not current:
            if episode.in_row >= OUTAGE and not self.probes.closed:
                self._close(now_s, again=False, costly=costly)
        elif self.probes.closed:
            level.next_s = self.probes.failed(now_s)
        elif episode.fresh:
            self._close(now_s, again=True, costly=costly)
            if not self.chance.tries and self.chance.past.is_due(costly=costly):
                self._try_less(now_s, costly=costly)
        else:
            self._cut(call, now_s, retry_after_s)
            if not self.chance.tries and self.chance.past.is_due(costly=costly):
                self._try_less(now_s + retry_after_s, costly=costly)

    def _is_chance(self, now_s: float, retry_after_s: float, *, current: bool) -> bool:
        """After a refusal: whether it is no sign of too much, or was seen to already."""
        level = self.level
        chance, in_row, is_open = self.chance, self.episode.in_row, not self.probes.closed
        if chance.share:
            if is_open and not chance.alarms:
                if retry_after_s:
                    level.measure.forget(now_s + retry_after_s)
                    level.plateau.pause(now_s, retry_after_s)
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
                level.measure.forget(now_s + retry_after_s)
            return True
        elif current and is_open and level.probed:
            chance.forget_before()
        return False

    def _cut(self, call: Call, now_s: float, retry_after_s: float) -> None:
        level = self.level
        measure, plateau, signs, costly = level.measure, level.plateau, self.signs, retry_after_s > 0
        good = measure.per_s(call.at_s) / (1 - self.chance.share)
        self._surely = inf
        self._next_stretch(now_s, retry_after_s)
        ramp = level.rate > 1.25 * good and level.mode != SLOTS
        sign = signs.is_sign(call.beside, self.episode.served)
        signs.note(sign, held_s=plateau.grown_s if level.mode == SLOTS else None, costly=costly)
        if self.chance.share:
            measured = plateau.probed
        else:
            long_open = now_s - self.episode.opened_s >= 1.5 * measure.memory_s
            measured = plateau.probed and not ramp and long_open
        if not measure.any_served:
            level.room = max(1.0, level.room / 2)
        elif level.mode != DOUBLING and (sign or level.mode == SLOTS) and signs.suffice(costly=costly):
            level.mode = SLOTS
            level.rate = inf
            signs.rate = KEEP * good
            level.room = plateau.base = float(max(1, min(call.beside, level.most) - 1))
        else:
            measured = self._pace(call, now_s, good, costly=costly, sign=sign) or measured
        pause_s = 0.0 if self.chance.share else retry_after_s  # where chance costs pauses, growth makes no odds
        plateau.settle(now_s, measured=measured, retry_after_s=pause_s, paced=level.mode == PACED)
        measure.look_back(level.rate)
        self.episode.begin(now_s + retry_after_s)
        signs.begin(now_s + retry_after_s)
        if costly:
            measure.forget(now_s + retry_after_s)
        level.fit()

    def _next_stretch(self, now_s: float, pause_s: float = 0.0) -> None:
        """The calls of another level are counted by themselves."""
        level = self.level
        if not self.chance.past.begun:
            self._before = level.at_a_time(level.rate)
        self.chance.past.next_stretch(now_s, pause_s)
        if not self.chance.past.begun:
            self._before = level.at_a_time(level.rate)

    def _try_less(self, now_s: float, *, costly: bool) -> None:
        """Cuts do not seem to help: see what becomes of calls at a rate that is surely low."""
        level = self.level
        self.probes.open()
        if level.mode != PACED:
            level.fall_back(self.signs.rate)
        level.rate = self.low = max(RATE_LEAST, self.chance.past.low(costly=costly))
        level.next_s = now_s + 1 / level.rate
        self.chance.begin()
        level.fit()

    def _go_back(self, now_s: float, retry_after_s: float) -> None:
        """It was not the rate: go on from half the level before the cuts, doubling."""
        level = self.level
        level.mode = DOUBLING
        self.probes.open()
        self.probes.over()
        self.episode.begin(now_s + retry_after_s)
        self.episode.fresh = False
        self.signs.begin(now_s + retry_after_s)
        level.measure.forget(now_s + retry_after_s)
        level.next_s = now_s
        level.room = max(1.0, self._before / 2, level.at_a_time(level.rate))
        self.bursts = retry_after_s > 0 and not self.chance.alarmed_once
        level.rate = inf
        level.fit()

    def _pace(self, call: Call, now_s: float, good: float, *, costly: bool, sign: bool) -> bool:
        """Make the plateau a rate, after ``good`` got through; gives whether the pause says that it is measured."""
        level = self.level
        measure, plateau = level.measure, level.plateau
        probed = plateau.probed
        open_s = now_s - self.episode.opened_s
        before = plateau.base if level.mode == PACED else inf
        known = max(RATE_LEAST, min(level.rate, good))
        if level.mode == DOUBLING:
            made = level.room / max(0.001, measure.latency_s) if self.chance.share else measure.made_per_s(now_s)
            if self.chance.share or not costly:
                known = max(known, LEAST_AT_ONCE * made)
                self._surely = good
            elif not good:
                known = max(known, min(made, measure.per_s(now_s)))
        if level.mode != DOUBLING and not measure.is_whole(call.at_s):
            known = max(known, LEAST_AT_ONCE * (plateau.base if level.mode == PACED else self.signs.rate))
        if not call.waited:  # little was asked for lately
            known = max(known, min(level.rate, call.stretch.per_s))
        if level.mode == PACED and probed:  # the plateau was held without a refusal
            known = max(known, plateau.base)
        long_open = open_s > LONG * measure.memory_s
        saved = costly and not probed and long_open
        plateau.lower(known, probed=probed or level.mode == DOUBLING, refill_s=open_s if saved else None)
        measured = costly and long_open and plateau.compare(before, probed=probed, sign_of_slots=sign)
        level.rate = plateau.base if level.rate == inf else max(RATE_LEAST, plateau.base * max(0.5, known / level.rate))
        level.mode = PACED
        level.next_s = max(level.next_s, now_s + 1 / level.rate)
        return measured

    def _close(self, now_s: float, *, again: bool, costly: bool) -> None:
        level = self.level
        plateau = level.plateau
        if level.mode == SLOTS:
            if not self.signs.judge(plateau.grown_s, refuted=again):
                level.fall_back(self.signs.rate)
        elif level.mode == DOUBLING:
            if level.measure.any_served:
                rate = self._surely = level.measure.per_s(now_s)
                if self.episode.in_row == 1:
                    rate = max(rate, LEAST_AT_ONCE * level.measure.made_per_s(now_s))
                level.fall_back(rate)
        elif self._surely < inf and not self.episode.served and self.episode.in_row > 1:
            level.fall_back(KEEP * level.measure.per_s(now_s))
            self._surely = inf
        elif self.episode.reopened:  # what it came back with was too much
            plateau.base *= REOPEN_AGAIN
            self.probes.widen()
        self._next_stretch(now_s)
        if costly and level.mode == PACED:  # each further closing would cost a pause
            plateau.base = max(RATE_LEAST, min(plateau.base, self.chance.past.filled_per_s()))
        self.episode.begin(now_s)
        self.signs.begin(now_s)
        level.next_s = self.probes.close(now_s)

    def reopen(self, now_s: float) -> None:
        """Open the gate, since a call was let in."""
        level = self.level
        probes, plateau = self.probes, level.plateau
        if probes.failures > 1 and level.mode == PACED:
            plateau.base = min(plateau.base, max(RATE_LEAST, self._surely))
            self._surely = inf
        probes.open()
        self.episode.reopen(now_s)
        level.measure.forget(now_s)
        stretch = self.chance.past.stretch
        stretch.rested_s += min(1.0, now_s - stretch.began_s)
        stretch.began_s = now_s
        level.next_s = now_s
        if level.mode == SLOTS:
            plateau.grown_s = 0.0
        elif level.mode == PACED:
            # One call was served in about the last gap.
            plateau.base = max(RATE_LEAST, plateau.base, 0.5 / probes.gap_s)
            level.rate = max(RATE_LEAST, plateau.base * probes.share)
            level.next_s = max(now_s, probes.at_s + 1 / level.rate)
            plateau.grown_s = 0.0
            plateau.hold_s = max(plateau.hold_s, 2 * SHORT_HOLD_S)
        level.fit()
