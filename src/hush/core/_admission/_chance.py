"""``Chance``: refusals that come at any rate, told from those that the rate causes.

A shared or overloaded server may refuse a share of all calls, however few they are. Cutting does not help then, and
would go on down to nothing. So what becomes of calls is counted by *stretches*, each at one level, between two cuts.

- **Suspicion.** Three cuts in a row (five where refusals ask for a pause), each after a refusal with served calls
  before it and without growth. A stretch much longer than those before it says that cutting has helped; runs of
  refusals, and stretches of about the same length, speak of a capacity that is exhausted.
- **Experiment.** Calls are made at a rate below what got through lately: no capacity is that low. If as many of them
  are refused as before, it is chance. If three times as many calls as go to a refusal are served, cutting has helped;
  the rate grows back while that is seen.
- **Expectation.** The share becomes what is to be expected, and a refusal means nothing by itself. A cumulative sum
  (CUSUM: E. S. Page, "Continuous inspection schemes", 1954) tells when there are more of them. The share is learned
  where the level has not grown past a plateau, and only from as many calls as were followed by as many others without
  an alarm, so that what growth costs is not taken for chance. Where nothing is refused for long, it is given up; also
  after a second run of refusals in a row.

All of it is in the order in which calls started: served ones end late, and refused ones at once.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, log

SUSPECT = 3  # cuts in a row make an experiment due, and
SUSPECT_MORE = 2  # more of them where each refusal costs a pause
LOW = 0.6  # of what got through is what it is made at
MEAN_LEAST = 8.0  # calls for one that is refused: there is too little to learn that from
LOW_WHERE_RARE = 0.8  # is low enough where refusals are that rare:
RARE = 25  # so many calls for one
REGULAR = 1.1  # times as long as the one before is a long stretch that is like it; and
ALIKE = 2  # such pairs are no chance
EVEN = 0.4  # of their mean is what stretches by chance differ by, at least
EVEN_FROM = 12.0  # if it is so many calls
DEEPEST = 16.0  # it is not lower than the highest rate divided by this
STILL_LOW = 2.0  # times that level
ENOUGH = 3  # refusals at that level are chance;
HELPED = 3.0  # if so many were to be expected and none came, the rate it was
SAME = 0.2
SURE = 5.0
FEW = 3
STRETCHES = 16  # are looked back on
WINDOW_S = 1.0  # what a server may let in at once after a pause, in the time that it takes at its rate

RUN = 4  # refusals in a row that speak against chance, where little is known of it, and
RUN_BY_CHANCE = 0.01  # how unlikely chance must make a run to speak against it
RUN_EVER = 1e-5  # the same, where the share is known
GONE = 10.0  # so many refusals were to be expected, and none came: there is no chance any more
LONGER = 5.0  # times the mean of the others is too long a stretch for chance

ALARM = 12.0  # the cumulative sum, from which on there are too many refusals
MEMORY = 4.0  # so many refusals are to be expected among those that the share is learned from
MOST_BLOCKS = 6  # of which it is the average
MOST = 0.75


class Stretch:
    """The calls at one level.

    Attributes:
        began_s: When it began.
        open_s: How long it was.
        rested_s: A pause before it, of which a server may have saved up some calls.
        started: Calls that started in it, of which these are known to be
        served: or
        refused.
        counts: Whether it is a sign of chance though it is the first: it began with nothing known.
    """

    __slots__ = ("began_s", "counts", "open_s", "refused", "rested_s", "served", "started")

    def __init__(self, began_s: float, *, pause_s: float = WINDOW_S) -> None:
        self.began_s = began_s
        self.counts = False
        self.rested_s = pause_s
        self.started = 0
        self.open_s = 0.02
        self.served = 0
        self.refused = 0

    def end(self, now_s: float) -> None:
        """Measure its time until now."""
        self.open_s = max(0.02, now_s - self.began_s)


class Chance:
    """What is known of refusals that come at any rate.

    Attributes:
        share: The share of calls that is refused whatever the rate; 0 where there is no sign of that.
        stretch: The one that goes on.
        alarmed_once: Whether there ever were more refusals than the share.
        run: Refusals in a row that make an outage.
        row: Refusals in a row, where a share is refused by chance, in the order of starts.
        sum: The cumulative sum.
        tries: Whether an experiment goes on.
    """

    __slots__ = (
        "_calls",
        "_calm",
        "_doubted",
        "_enough",
        "_gap",
        "_known",
        "_less",
        "_more",
        "_need",
        "_refused",
        "_seen",
        "_stray",
        "_stretches",
        "_until",
        "alarmed_once",
        "row",
        "run",
        "share",
        "stretch",
        "sum",
        "tries",
    )

    def __init__(self) -> None:
        self.share = 0.0
        self.alarmed_once = False
        self.run = RUN
        self.row = 0
        self.tries = False
        self._until = 0.0
        self.stretch = Stretch(0.0)
        self.stretch.counts = True
        self._stretches = [self.stretch]
        self.sum = 0.0
        self._more = self._less = 0.0  # what a refusal adds to the sum, and what a call takes off that is served
        self._gap = 0  # calls since the last refusal
        self._doubted = False  # whether there was a run of refusals since the share was learned
        self._known = 1  # how many times the share was learned
        self._seen = -1.0  # the share of the block before, if there was one, and
        self._calls = self._refused = 0  # since the share was learned, below a plateau
        self._calm = 0
        self._need = 0.0
        self._stray = 0  # refusals in the experiment, and
        self._enough = ENOUGH

    @property
    def begun(self) -> bool:
        """Whether there were cuts before this stretch that are still to be explained."""
        return len(self._stretches) > 1

    def served(self, stretch: Stretch) -> None:
        """A call of ``stretch`` was let in."""
        stretch.served += 1
        if self.tries and stretch is self.stretch:
            self._gap += 1
            self._calm += self.grown() <= STILL_LOW
            if self._gap > self._until:
                self.forget_before()

    def refused(self, stretch: Stretch, in_row: int) -> None:
        """A call of ``stretch`` was refused, as the last of so many in a row."""
        stretch.refused += 1
        if self.tries and stretch is self.stretch:
            if self.grown() > STILL_LOW:
                if self._calm >= self._need:
                    self.forget_before()
            elif in_row == 1:
                self._stray += 1
                self._calm = 0
            self._until = max(self._until, HELPED * self._gap)
            self._gap = 0

    def count(self, refused: bool, now_s: float, *, probed: bool) -> None:
        """Where a share is refused by chance: what became of the next call, in the order of their starts.

        ``probed`` says whether the level had grown past a plateau.
        """
        share = self.share
        if refused:
            self.row += 1
            self.sum += self._more
        else:
            self.row = 0
            self.sum = max(0.0, self.sum - self._less)
        if probed:
            return
        self._gap = 0 if refused else self._gap + 1
        self._calls += 1
        self._refused += refused
        if self._gap * share >= GONE:  # nothing is refused by chance any more
            self.give_up(now_s)
        elif self._calls * share >= MEMORY:
            seen, self._seen = self._seen, self._refused / self._calls
            self._calls = self._refused = 0
            self._doubted = False
            if seen >= 0:  # it has stood for as long again, without an alarm
                self._known = min(MOST_BLOCKS, self._known + 1)
                self._expect(share + (seen - share) / self._known)

    def give_up(self, now_s: float) -> None:
        """It was not chance, or is no longer."""
        self.share = 0.0
        self.run = RUN
        self.forget(now_s)

    def ran(self, now_s: float) -> None:
        """There was a run of refusals: once that is too high a level, and twice in a row it was not chance."""
        if self._doubted:
            self.give_up(now_s)
        else:
            self._doubted = True
            self.row = 0
            self.alarmed()

    def alarmed(self) -> None:
        """A cut is made for too many refusals: those before it tell nothing of chance."""
        self.alarmed_once = True
        self._start_over()

    def _start_over(self) -> None:
        self.sum = 0.0
        self._seen = -1.0
        self._calls = self._refused = 0

    @property
    def alarms(self) -> bool:
        """Whether there are more refusals than the share."""
        return self.sum >= ALARM or self.row >= self.run

    def next_stretch(self, now_s: float, pause_s: float = 0.0) -> None:
        """A stretch ends, since another level is tried; the next one begins after a pause."""
        stretch = self.stretch
        stretch.end(now_s)
        if not stretch.started:
            stretch.began_s = now_s + pause_s
            stretch.rested_s = max(stretch.rested_s, pause_s)
            return
        before = self._suspect()
        if before and stretch.served > LONGER * max(4.0, _mean(before)):
            stretch.counts = True  # cutting has helped
            del self._stretches[:-1]
        self.stretch = Stretch(now_s + pause_s, pause_s=max(WINDOW_S, pause_s) if pause_s else 0.0)
        self._stretches.append(self.stretch)
        del self._stretches[:-STRETCHES]

    def forget(self, at_s: float) -> None:
        """What was seen so far has another reason."""
        self.stretch = Stretch(at_s)
        self._stretches = [self.stretch]
        self.tries = False

    def forget_before(self) -> None:
        """The level has grown before this refusal: that is reason enough."""
        del self._stretches[:-1]
        self.tries = False

    def against(self, in_row: int) -> bool:
        """Whether so many refusals in a row speak against chance."""
        if in_row < RUN:
            return False
        refused = sum(each.refused for each in self._stretches) - in_row
        calls = sum(each.served for each in self._stretches) + refused
        return in_row * log((max(0, refused) + 0.5) / (max(0, calls) + 1)) < log(RUN_BY_CHANCE)

    def suspects(self, *, costly: bool) -> bool:
        """After a cut: whether there have been so many in a row that an experiment is due."""
        seen = self._suspect()
        least = SUSPECT + SUSPECT_MORE * costly
        if self.tries or len(seen) < least:
            return False
        last = seen[-least:]
        if _same(last) or (costly and all(before.served <= after.served for before, after in pairwise(last))):
            return False
        if costly:
            mean = _mean(seen)
            spread = (sum((each.served - mean) ** 2 for each in seen) / len(seen)) ** 0.5
            if mean >= EVEN_FROM and spread < EVEN * mean:
                return False
        long = [each.served for each in seen if each.served >= RARE]
        alike = sum(max(pair) <= REGULAR * min(pair) for pair in pairwise(long))
        return alike < ALIKE  # else it is a window of the server that is full each time

    def _suspect(self) -> list[Stretch]:
        """The stretches that ended though calls were served and the level had not grown."""
        first = 0 if self._stretches[0].counts else 1
        seen = [each for each in self._stretches[first:-1] if each.served]
        for since in range(len(seen) - 2, 0, -1):
            before, after = seen[:since], seen[since:]
            if _mean(before) > LONGER * _mean(after):
                return after  # something has changed
        return seen

    def filled_per_s(self) -> float:
        last = [each for each in self._stretches[:-1] if each.served][-2:]
        if len(last) < 2 or not _same(last) or not 1 < last[0].served <= FEW:
            return inf
        return sum(each.served for each in last) / sum(each.open_s + min(WINDOW_S, each.rested_s) for each in last)

    def low(self, *, costly: bool) -> float:
        """A rate below which no capacity can be, as far as what got through lately tells."""
        seen = self._suspect()
        last = seen[-2:]
        got_through = sum(max(each.started - each.refused, each.served) for each in last)
        share = LOW if self._mean() < RARE else LOW_WHERE_RARE
        low = share * got_through / sum(each.open_s + each.rested_s for each in last)
        ended = self._stretches[:-1]
        so_far_s = sum(each.open_s for each in ended) + sum(each.rested_s for each in ended[1:])
        if not costly and so_far_s < WINDOW_S:  # that is little to go by
            low = max(low, max(each.started / each.open_s for each in ended) / DEEPEST)
        return low

    def _mean(self) -> float:
        """How many calls are served for one that is refused."""
        seen = self._suspect()[-SUSPECT:]
        return max(MEAN_LEAST, sum(each.served for each in seen) / max(1, sum(each.refused for each in seen)))

    def begin(self) -> None:
        """The experiment begins with the stretch that has just begun."""
        mean = self._mean()
        self._until = HELPED * mean
        self._need = SURE * mean
        self._enough = ENOUGH if mean < RARE else ENOUGH - 1
        self.tries = True
        self._gap = self._stray = self._calm = 0

    def grown(self) -> float:
        """How many times the low rate is tried by now: more, the longer nothing is refused."""
        return float(max(1.0, 4.0 ** (HELPED * self._gap / self._until - 1)))

    def convinced(self, now_s: float) -> bool:
        """After a refusal in the experiment: whether it was chance."""
        if self._stray < self._enough:
            return False
        refused = sum(each.refused for each in self._stretches)
        served = sum(each.served for each in self._stretches)
        self._expect(refused / (refused + served))
        self._start_over()
        self.row, self._gap, self._known, self._doubted = 0, 0, 1, False
        self.forget(now_s)
        return True

    def _expect(self, share: float) -> None:
        self.share = share = min(share, MOST)
        more = min((1 + share) / 2, share + 0.75 * (share * (1 - share)) ** 0.5)
        self._more = log(more / share)
        self._less = log((1 - share) / (1 - more))
        self.run = max(2 * RUN, int(log(RUN_EVER) / log(share)))


def _mean(stretches: list[Stretch]) -> float:
    return sum(each.served for each in stretches) / len(stretches)


def _same(stretches: list[Stretch]) -> bool:
    served = [each.served for each in stretches]
    return max(served) - min(served) <= SAME * max(served)
