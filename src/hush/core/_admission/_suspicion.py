"""``Suspicion``: what cuts in a row tell of a server, before anything is tried.

What becomes of calls is counted by *stretches*, each at one level, between two cuts. Three of them in a row (five where
refusals ask for a pause), each with served calls and without growth, give rise to a suspicion: cutting does not help,
and refusals come at any rate. But a capacity is lowered to by cuts in a row too, and the fewer calls a second it is,
the more of them. What speaks for it:

- **All stretches are the same**, and of few calls, or about the same and long: a window of the server that is full each
  time. By chance they differ by as much as they have calls. But each third call may be refused too, so short ones put
  the experiment off and do not rule it out.
- **Each is longer than the one before**: cutting helps. Five of them are by chance one in a hundred times.
- **One is much longer** than those before it: cutting has helped.
- **Runs of refusals**, more than chance can make.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, log

SUSPECT = 3  # cuts in a row make an experiment due, and
SUSPECT_MORE = 2  # more of them where each refusal costs a pause
SAME = 0.2  # of the longest is what stretches differ by, at most, that are the same; and
FEW = 3  # calls, at most, are what a window lets in whose capacity is taken from two of them;
SAME_MORE = 6  # stretches more are waited for where that may be so
REGULAR = 1.1  # times as long as the one before is a long stretch that is like it; and
ALIKE = 2  # such pairs are no chance
EVEN = 0.4  # of their mean is what stretches by chance differ by, at least
EVEN_FROM = 12.0  # if it is so many calls
LONGER = 5.0  # times the mean of the others is too long a stretch for chance
STRETCHES = 16  # are looked back on

LOW = 0.6  # of what got through is what an experiment is made at
LOW_WHERE_RARE = 0.8  # is low enough where refusals are that rare:
RARE = 25  # so many calls for one
DEEPEST = 16.0  # it is not lower than the highest rate divided by this
MEAN_LEAST = 8.0  # calls for one that is refused: there is too little to learn that from
WINDOW_S = 1.0  # what a server may let in at once after a pause, in the time that it takes at its rate

RUN = 4  # refusals in a row that speak against chance, where little is known of it, and
RUN_BY_CHANCE = 0.01  # how unlikely chance must make a run to speak against it


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

    @property
    def per_s(self) -> float:
        """Calls a second that were served in all of it, when it has ended; of less than a second, in a second."""
        return self.served / max(WINDOW_S, self.open_s)


class Suspicion:
    """The last stretches.

    Attributes:
        stretch: The one that goes on.
    """

    __slots__ = ("_stretches", "stretch")

    def __init__(self) -> None:
        self.stretch = Stretch(0.0)
        self.stretch.counts = True
        self._stretches = [self.stretch]

    @property
    def begun(self) -> bool:
        """Whether there were cuts before this stretch that are still to be explained."""
        return len(self._stretches) > 1

    @property
    def refused(self) -> int:
        """Calls of these stretches that were refused."""
        return sum(each.refused for each in self._stretches)

    @property
    def served(self) -> int:
        """Calls of these stretches that were served."""
        return sum(each.served for each in self._stretches)

    def next_stretch(self, now_s: float, pause_s: float = 0.0) -> None:
        """A stretch ends, since another level is tried; the next one begins after a pause."""
        stretch = self.stretch
        stretch.end(now_s)
        if not stretch.started:
            stretch.began_s = now_s + pause_s
            stretch.rested_s = max(stretch.rested_s, pause_s)
            return
        before = self._seen()
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

    def forget_before(self) -> None:
        """What was seen before this stretch has another reason."""
        del self._stretches[:-1]

    def against(self, in_row: int) -> bool:
        """Whether so many refusals in a row speak against chance."""
        if in_row < RUN:
            return False
        refused = self.refused - in_row
        calls = self.served + refused
        return in_row * log((max(0, refused) + 0.5) / (max(0, calls) + 1)) < log(RUN_BY_CHANCE)

    def is_due(self, *, costly: bool) -> bool:
        """After a cut: whether there have been so many in a row that an experiment is due.

        ``costly`` says whether refusals ask for a pause.
        """
        seen, least = self._seen(), SUSPECT + SUSPECT_MORE * costly
        if len(seen) < least:
            return False
        last = seen[-least:]
        if _same(last):
            if last[0].served <= FEW and len(seen) < least + SAME_MORE:
                return False
        elif costly and all(before.served <= after.served for before, after in pairwise(last)):
            return False
        if costly:
            mean = _mean(seen)
            spread = (sum((each.served - mean) ** 2 for each in seen) / len(seen)) ** 0.5
            if mean >= EVEN_FROM and spread < EVEN * mean:
                return False
        long = [each.served for each in seen if each.served >= RARE]
        alike = sum(max(pair) <= REGULAR * min(pair) for pair in pairwise(long))
        return alike < ALIKE

    def _seen(self) -> list[Stretch]:
        """The stretches that ended though calls were served and the level had not grown."""
        first = 0 if self._stretches[0].counts else 1
        seen = [each for each in self._stretches[first:-1] if each.served]
        for since in range(len(seen) - 2, 0, -1):
            before, after = seen[:since], seen[since:]
            if _mean(before) > LONGER * _mean(after):
                return after  # something has changed
        return seen

    def filled_per_s(self) -> float:
        """The rate of a server that has let in the same few calls twice, each time after a pause; else ``inf``.

        One cut after the other would find it too, but each of them costs a pause.
        """
        last = [each for each in self._stretches[:-1] if each.served][-2:]
        if len(last) < 2 or not _same(last) or not 1 < last[0].served <= FEW:
            return inf
        return sum(each.served for each in last) / sum(each.open_s + min(WINDOW_S, each.rested_s) for each in last)

    def low(self, *, costly: bool) -> float:
        """A rate below which no capacity can be, as far as what got through lately tells.

        In the pauses nothing was tried, but what was saved up in them may have got through.
        """
        seen = self._seen()
        last = seen[-2:]
        got_through = sum(max(each.started - each.refused, each.served) for each in last)
        share = LOW if self.mean() < RARE else LOW_WHERE_RARE
        low = share * got_through / sum(each.open_s + each.rested_s for each in last)
        ended = self._stretches[:-1]
        so_far_s = sum(each.open_s for each in ended) + sum(each.rested_s for each in ended[1:])
        if not costly and so_far_s < WINDOW_S:  # what may be a burst is all there is
            low = max(low, max(each.started / each.open_s for each in ended) / DEEPEST)
        return low

    def mean(self) -> float:
        """How many calls are served for one that is refused."""
        seen = self._seen()[-SUSPECT:]
        return max(MEAN_LEAST, sum(each.served for each in seen) / max(1, sum(each.refused for each in seen)))


def _mean(stretches: list[Stretch]) -> float:
    return sum(each.served for each in stretches) / len(stretches)


def _same(stretches: list[Stretch]) -> bool:
    served = [each.served for each in stretches]
    return max(served) - min(served) <= SAME * max(served)
