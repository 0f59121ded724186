"""``Episode`` and ``Call``: an overload and what came after it, and which of them a call belongs to.

Refusals of calls that started before the last cut make no other, as in RFC 6582: one episode, one cut. A refusal right
after a cut is its sequel; so is nothing once eight calls were served and 0.1 s have passed.
"""

from __future__ import annotations

from hush.core._admission._suspicion import Stretch

PROVEN = 8  # calls served in an episode, and
PROVEN_S = 0.1  # the time they took: the next refusal is a new episode and no sequel
SLOW_S = 1.0  # with fewer calls


class Call:
    """A call under way.

    Attributes:
        at_s: Its start.
        beside: Calls in flight then, itself among them.
        episode: The episode that it belongs to, by number.
        full: Whether about as many calls were in flight as were allowed.
        waited: Whether it is the level that it waited for, or the next one will.
        stretch: The stretch that it belongs to.
        known: Whether it is known if it was let in, and if so,
        refused: whether it was not.
    """

    __slots__ = ("at_s", "beside", "episode", "full", "known", "refused", "stretch", "waited")

    def __init__(self, at_s: float, beside: int, episode: int, stretch: Stretch, *, full: bool, waited: bool) -> None:
        self.at_s = at_s
        self.beside = beside
        self.episode = episode
        self.full = full
        self.waited = waited
        self.stretch = stretch
        self.known = False
        self.refused = False


class Episode:
    """The episode that goes on.

    Attributes:
        number: Episodes so far.
        fresh: Whether a refusal now would be a sequel.
        reopened: Whether it would be one of a gate that has just been opened.
        in_row: Refusals in a row, of whichever episode.
        served: Calls that were served since it began, or since the gate was opened in it, and
        opened_s: when that was.
    """

    __slots__ = ("fresh", "in_row", "number", "opened_s", "reopened", "served")

    def __init__(self) -> None:
        self.number = 0
        self.fresh = False
        self.reopened = False
        self.in_row = 0
        self.served = 0
        self.opened_s = 0.0

    def begin(self, now_s: float) -> None:
        """Another one begins, from which calls start at ``now_s``."""
        self.number += 1
        self.fresh = True
        self.reopened = False
        self.served = 0
        self.opened_s = now_s

    def reopen(self, now_s: float) -> None:
        """The gate was closed in it and is opened."""
        self.reopened = True
        self.served = 0
        self.opened_s = now_s

    def calm(self, now_s: float, gap_s: float) -> bool:
        """After a call was served: whether calls have been for so long that a gate that closes now is a new matter."""
        open_s = now_s - self.opened_s
        if not ((self.served >= PROVEN and open_s >= PROVEN_S) or (self.served > 1 and open_s >= SLOW_S)):
            return False
        self.fresh = self.reopened = False
        return open_s >= SLOW_S and (self.served >= PROVEN or open_s >= gap_s)
