"""``Chance``: refusals that come at any rate, told from those that the rate causes.

A shared or overloaded server may refuse a share of all calls, however few they are. Cutting does not help then, and
would go on down to nothing.

- **Suspicion** (``_suspicion``). Cuts in a row did not help, and nothing speaks for a capacity that is exhausted.
- **Experiment.** Calls are made at a rate below what got through lately: no capacity is that low. If as many of them
  are refused as before, it is chance. If three times as many calls as go to a refusal are served, cutting has helped;
  the rate grows back while that is seen. A refusal that comes once it has grown says little by itself. But if eight
  times as many have been served at the low rate by then, it was the rate, and the experiment is over.
- **Expectation.** The share becomes what is to be expected, and a refusal means nothing by itself. A cumulative sum
  (CUSUM: E. S. Page, "Continuous inspection schemes", 1954) tells when there are more of them. The share is learned
  where the level has not grown past a plateau, and only from as many calls as were followed by as many others without
  an alarm, so that what growth costs is not taken for chance. Where nothing is refused for long, it is given up; also
  after a second run of refusals in a row.

All of it is in the order in which calls started: served ones end late, and refused ones at once.
"""

from __future__ import annotations

from math import log

from hush.core._admission._suspicion import RARE, RUN, Stretch, Suspicion

STILL_LOW = 2.0  # times the low rate
ENOUGH = 3  # refusals at that rate are chance;
HELPED = 3.0  # if so many were to be expected and none came, the rate it was; also
SURE = 8.0  # if so many were, and then the rate grew and was refused

RUN_EVER = 1e-5  # how unlikely chance must make a run to speak against it, where the share is known
GONE = 10.0  # so many refusals were to be expected, and none came: there is no chance any more

ALARM = 12.0  # the cumulative sum, from which on there are too many refusals
MEMORY = 4.0  # so many refusals are to be expected among those that the share is learned from
MOST_BLOCKS = 6  # of which it is the average
MOST = 0.75


class Chance:
    """What is known of refusals that come at any rate.

    Attributes:
        share: The share of calls that is refused whatever the rate; 0 where there is no sign of that.
        past: The stretches so far.
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
        "_until",
        "alarmed_once",
        "past",
        "row",
        "run",
        "share",
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
        self.past = Suspicion()
        self.sum = 0.0
        self._more = self._less = 0.0  # what a refusal adds to the sum, and what a call takes off that is served
        self._gap = 0  # calls since the last refusal
        self._doubted = False  # whether there was a run of refusals since the share was learned
        self._known = 1  # how many times the share was learned
        self._seen = -1.0  # the share of the block before, if there was one, and
        self._calls = self._refused = 0  # since the share was learned, below a plateau
        self._stray = 0  # refusals in the experiment, and
        self._enough = ENOUGH
        self._calm = 0  # calls that were served in it at the low rate since the last of them, and
        self._need = 0.0

    def served(self, stretch: Stretch) -> None:
        """A call of ``stretch`` was let in."""
        stretch.served += 1
        if self.tries and stretch is self.past.stretch:
            self._gap += 1
            self._calm += self.grown() <= STILL_LOW
            if self._gap > self._until:
                self.forget_before()

    def refused(self, stretch: Stretch, in_row: int) -> None:
        """A call of ``stretch`` was refused, as the last of so many in a row."""
        stretch.refused += 1
        if self.tries and stretch is self.past.stretch:
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

    def forget(self, at_s: float) -> None:
        """What was seen so far has another reason."""
        self.past.forget(at_s)
        self.tries = False

    def forget_before(self) -> None:
        """The level has grown before this refusal: that is reason enough."""
        self.past.forget_before()
        self.tries = False

    def begin(self) -> None:
        """The experiment begins with the stretch that has just begun."""
        mean = self.past.mean()
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
        self._expect(self.past.refused / (self.past.refused + self.past.served))
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
