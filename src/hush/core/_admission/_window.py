"""Rates, exactly: ``Window`` counts what started in the last period, ``Pace`` keeps starts apart.

A server counts when calls arrive, and that is later than they start here: at the latest when they end. So what starts
at ``s`` and takes ``d`` leaves a window of ``p`` seconds not at ``s + p`` but at ``s + p + min(d, 3 % of p)``. Of more
than ``most`` calls, the last can then only start when another has left, so no sooner than ``p`` after the arrival of
that one, if it took no longer than 3 % of ``p``: the server sees at most ``most`` arrivals in any ``p`` seconds,
half-open.

A call may be longer on its way than that: fifty that start at once open fifty connections first, and the next fifty
find them open. That shows in how long it takes. If ``u`` is the shortest time that calls took lately, an answer comes
about ``u`` after the arrival at the earliest, so the call arrived by ``s + d - u``, and stays in the window that much
longer; the first calls, which might all be late, stay by all of ``d``. Where answers take now short, now long, this
costs much of the rate. So there is a credit for it: half a second, refilled by 1 % of the time that passes, and used up
by what really kept somebody waiting. Where it does not suffice, or nothing is known since no call has ended, what
starts at once is spread over 0.3 s: then calls are not in each other's way, and the rate is none the lower for it.

Entries leave in the order in which they came, which makes every step cost O(1) and loses less than 4 % of the rate.
"""

from __future__ import annotations

import math
from collections import deque

SLACK = 0.03
"""The share of a period by which an entry may always stay longer."""
CREDIT_S = 0.5
"""For how long entries may stay longer than that in all; of a period below a second, so much less."""
REFILL = 0.01
"""The share of the time that passes by which this is refilled."""
SPREAD_S = 0.3
"""Over how much time the starts of a whole window are spread, at least, where they seem to be in each other's way."""
BLOCK = 64
"""The shortest time that calls took is that of the last 64 to 128."""


class Entry:
    """What one call takes of one window, from its start until it leaves.

    Attributes:
        took_s: How long the call took; ``None`` while it is under way.
        tight: Whether it would not have fitted if it, and all others under way then, took twice what is expected.
    """

    __slots__ = ("amount", "gone", "start_s", "tight", "took_s")

    def __init__(self, start_s: float, amount: int, *, tight: bool) -> None:
        self.start_s = start_s
        self.took_s: float | None = None
        self.amount = amount
        self.gone = False
        self.tight = tight


class Shortest:
    """The shortest time that calls took lately.

    Attributes:
        seconds: It; 0 before it is known, which needs calls that started after others had ended: those that start
            together may all be late.
        first_s: When the first call ended.
    """

    __slots__ = ("_block_s", "_seen", "first_s", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.first_s = math.inf
        self._block_s = math.inf
        self._seen = 0

    def learn(self, start_s: float, end_s: float) -> None:
        """A call has gone on from here to there."""
        if start_s < self.first_s:
            self.first_s = min(self.first_s, end_s)
            return
        took_s = end_s - start_s
        self.seconds = min(self.seconds or math.inf, took_s)
        self._block_s = min(self._block_s, took_s)
        self._seen += 1
        if self._seen == BLOCK:
            self.seconds, self._block_s, self._seen = self._block_s, math.inf, 0


class Credit:
    """For how long entries may stay longer than by the slack alone.

    All that leave within a period may stay equally long at the cost of one: those after them come that much later.
    """

    __slots__ = ("_left_s", "_most_s", "_paid_at_s", "_paid_s", "_period_s", "_refilled_s")

    def __init__(self, period_s: float) -> None:
        self._left_s = self._most_s = CREDIT_S * min(1.0, period_s)
        self._period_s = period_s
        self._refilled_s = -math.inf
        self._paid_s = 0.0  # in the period that began then
        self._paid_at_s = -math.inf

    def _at(self, now_s: float) -> tuple[float, float]:
        """What is left, and what has been paid in the period that goes on. Only ``pay`` changes anything."""
        left_s = min(self._most_s, self._left_s + REFILL * (now_s - self._refilled_s))
        return left_s, 0.0 if now_s >= self._paid_at_s + self._period_s else self._paid_s

    def most_s(self, now_s: float) -> float:
        """How much longer an entry may stay."""
        left_s, paid_s = self._at(now_s)
        return paid_s + left_s

    def leaves_s(self, plain_s: float, longer_s: float, now_s: float) -> float:
        """When an entry leaves that is to stay until ``plain_s`` and by ``longer_s`` longer: at that time or later."""
        left_s, paid_s = self._at(now_s)
        at_s = plain_s + min(longer_s, paid_s + left_s)
        over_s = self._paid_at_s + self._period_s
        if paid_s and at_s >= over_s:  # by then what has been paid is worth nothing more
            return max(over_s, plain_s + min(longer_s, left_s))
        return at_s

    def pay(self, longer_s: float, now_s: float) -> None:
        """An entry stayed so much longer, and somebody waited for it."""
        left_s, paid_s = self._at(now_s)
        if longer_s > paid_s:
            self._left_s, self._refilled_s = left_s - (longer_s - paid_s), now_s
            if not paid_s:
                self._paid_at_s = now_s
            self._paid_s = longer_s


class Window:
    """At most ``most`` in any ``period_s`` seconds: of starts, or of tokens.

    Args:
        most: How many.
        period_s: In how long a time.
        spreads: Whether it may spread what starts at once.

    Attributes:
        held: How much is set aside for those who come first but must wait for something else as well.
    """

    __slots__ = (
        "_awaited",
        "_credit",
        "_entries",
        "_gap_s",
        "_last_s",
        "_open",
        "_shortest",
        "_slack_s",
        "_spread",
        "_used",
        "held",
        "most",
        "period_s",
    )

    def __init__(self, most: float, period_s: float, *, spreads: bool = True) -> None:
        self.most = most
        self.period_s = period_s
        self.held = 0
        self._slack_s = SLACK * period_s
        self._entries: deque[Entry] = deque()
        self._used = 0
        self._open = 0  # of that, what is expected of those under way
        self._awaited = False  # whether somebody waits for the first entry to leave
        self._shortest = Shortest()
        self._credit = Credit(period_s)
        self._spread = False
        self._gap_s = SPREAD_S * min(1.0, period_s) / most if spreads else 0.0
        self._last_s = -math.inf

    def until_s(self, amount: int, now_s: float) -> float:
        """When ``amount`` may fit: now if it does; else a time before which it does not; infinite if that is unknown.

        More than ``most`` fits when nothing else is there: it would never otherwise.
        """
        self._expire(now_s)
        if self._used + self.held + min(amount, self.most) <= self.most:
            if not self._spread:
                return now_s
            self._spread = now_s - self._last_s < 2 * self.period_s
            return max(now_s, self._last_s + self._gap_s)
        self._awaited = True
        return self._leaves_s(self._entries[0], now_s) if self._entries else math.inf

    def fits_at_s(self, amount: int, now_s: float) -> float:
        """When ``amount`` will fit if nothing else starts and what is under way takes long: for people who ask.

        It changes nothing: who looks does not wait.
        """
        over, at_s = self._used + min(amount, self.most) - self.most, now_s
        for entry in self._entries:
            if over <= 0:
                break
            over -= entry.amount
            at_s = max(at_s, self._leaves_s(entry, now_s))
        if at_s <= now_s < self._last_s + 2 * self.period_s and self._spread:
            return max(now_s, self._last_s + self._gap_s)
        return at_s

    def _leaves_s(self, entry: Entry, now_s: float) -> float:
        return self._credit.leaves_s(self._plain_s(entry), self._longer_s(entry), now_s)

    def _plain_s(self, entry: Entry) -> float:
        took_s = entry.took_s
        return entry.start_s + self.period_s + (self._slack_s if took_s is None else min(took_s, self._slack_s))

    def _longer_s(self, entry: Entry) -> float:
        took_s, shortest_s = entry.took_s, self._shortest.seconds
        if took_s is None:  # if others are answered within a period, what is not by then is late
            return math.inf if 0 < shortest_s < self.period_s else 0.0
        return max(0.0, min(took_s - self._slack_s, took_s - shortest_s))

    def _expire(self, now_s: float) -> None:
        entries = self._entries
        while entries:
            entry = entries[0]
            plain_s = self._plain_s(entry)
            if plain_s > now_s:  # the usual case, and the quickest
                break
            wanted_s = self._longer_s(entry)
            longer_s = min(wanted_s, self._credit.most_s(now_s))
            if plain_s + longer_s > now_s:
                break
            if self._awaited:
                self._spread = self._spread or longer_s < wanted_s or self._shortest.first_s == math.inf
                self._credit.pay(longer_s, now_s)
            entries.popleft()
            entry.gone = True
            self._used -= entry.amount
            if entry.took_s is None:
                self._open -= entry.amount
            self._awaited = bool(entries) and self._awaited

    def enter(self, amount: int, now_s: float) -> Entry:
        """A call starts that takes ``amount``."""
        self._awaited = False
        self._last_s = now_s
        self._used += amount
        self._open += amount
        entry = Entry(now_s, amount, tight=self._used + self._open > self.most)
        self._entries.append(entry)
        return entry

    def end(self, entry: Entry, now_s: float, amount: int, *, failed: bool) -> None:
        """The call has ended and has really taken ``amount``."""
        if not failed:
            self._shortest.learn(entry.start_s, now_s)
        if entry.gone:
            return
        entry.took_s = now_s - entry.start_s
        self._open -= entry.amount
        self._used += amount - entry.amount
        entry.amount = amount

    def undo(self, entry: Entry) -> None:
        """The call never started."""
        self._last_s = -math.inf
        if not entry.gone:
            self._used -= entry.amount
            self._open -= entry.amount
            entry.amount = 0
            entry.start_s = -math.inf


class Pace:
    """A token bucket: at most ``burst`` starts at one instant, then one in each ``interval_s``.

    Kept as the one number that the generic cell rate algorithm (ITU-T I.371) needs, the time at which the bucket will
    be full again. So the time at which the next may start is compared as it was computed: no refill is rounded away.
    """

    __slots__ = ("_full_s", "_interval_s", "_spread_s")

    def __init__(self, burst: int, interval_s: float) -> None:
        self._interval_s = interval_s
        self._spread_s = (burst - 1) * interval_s
        self._full_s = -math.inf

    def until_s(self, now_s: float, held: int) -> float:
        """When one more may start, behind ``held`` others."""
        if held:
            return max(self._full_s, now_s) + held * self._interval_s - self._spread_s
        return self._full_s - self._spread_s

    def start(self, now_s: float) -> float:
        """A call starts. What is given goes to ``undo``."""
        self._full_s = max(self._full_s, now_s) + self._interval_s
        return self._full_s

    def undo(self, full_s: float) -> None:
        """A call that was to start did not. It gives back what it took if it was the last.

        If others have started since, what it took may have been refilled before they did: then it is not given back,
        since that could be one too many, and the next start comes later by one interval at most.
        """
        if self._full_s == full_s:
            self._full_s -= self._interval_s
