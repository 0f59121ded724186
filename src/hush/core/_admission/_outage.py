"""``Outage``: holds everybody back while whoever is called refuses everything, and says no time to come back.

A limit of a fixed size knows nothing of what its calls come to. When refusals for load (429, 503) come in a row, its
gate closes, and one call at a time tries whether that is over: 0.1 s, 0.2 s, 0.4 s, at most 2 s after the last
one was refused. So an outage of seconds costs a few calls, and not all the attempts that each call has. Of a server
that is a resource, lost connections and answers such as 502 count as refusals do, under any limit: it is being started
again.

One that is served opens the gate, and so does one that is not refused within a few times what refusals take: it takes
its time because it was let in. After 10 s the gate opens in any case, and stays so until a call is served: then it is
no outage of seconds, and the calls fail as their ``Retry`` says. ``concurrency="auto"`` has rules of its own.
"""

from __future__ import annotations

from math import inf

IN_A_ROW = 4
"""Refusals with none served between them that close the gate."""
FIRST_GAP_S = 0.1
GAP_MOST_S = 2.0
LONGEST_S = 10.0
"""For how long the gate is closed at most."""


class Outage:
    """Refusals in a row, and the gate that they close. It lives from the first refusal until a call is served.

    Every method is told the time, in seconds that never go back.
    """

    __slots__ = ("_began_s", "_closed", "_first_s", "_gap_s", "_next_s", "_probe_s", "_refusal_s", "_row")

    def __init__(self) -> None:
        self._row = 0
        self._closed = False
        self._began_s = inf
        self._first_s = inf  # when the first of the row was refused
        self._gap_s = FIRST_GAP_S
        self._next_s = -inf
        self._probe_s: float | None = None  # when the call started that is under way through the closed gate
        self._refusal_s = 0.0

    def until_s(self, now_s: float) -> float:
        """When one more call may start: now or before, it may."""
        if not self._closed or now_s >= self._began_s + LONGEST_S:
            return now_s
        if self._probe_s is None:
            return min(self._next_s, self._began_s + LONGEST_S)
        return min(self._probe_s + FIRST_GAP_S + 3 * self._refusal_s, self._began_s + LONGEST_S)

    def started(self, now_s: float) -> None:
        """A call starts."""
        if not self._closed:
            return
        if self._probe_s is None and now_s < self._began_s + LONGEST_S:
            self._probe_s = now_s
        else:
            self._closed = False  # the one before takes its time; or this is no outage of seconds

    def is_closed(self, now_s: float) -> bool:
        """Whether only single calls are let through."""
        return self._closed and now_s < self._began_s + LONGEST_S

    def served(self, started_s: float) -> bool:
        """A call that started then was served: whether that ends it. One that was let in before says nothing."""
        return started_s >= self._first_s

    def refused(self, started_s: float, now_s: float) -> None:
        """A call that started then was refused."""
        self._row += 1
        self._first_s = min(self._first_s, now_s)
        self._refusal_s = max(self._refusal_s / 2, now_s - started_s)
        if self._closed:
            if started_s == self._probe_s:
                self._gap_s = min(2 * self._gap_s, GAP_MOST_S)
                self._gone(now_s)
        elif self._row >= IN_A_ROW and now_s < self._began_s + LONGEST_S:
            if self._began_s == inf:
                self._began_s = now_s
            self._closed = True
            self._gone(now_s)

    def broke(self, started_s: float, now_s: float) -> None:
        """A call that started then has come to nothing, which says nothing: another one tries."""
        if self._closed and started_s == self._probe_s:
            self._gone(now_s)

    def _gone(self, now_s: float) -> None:
        self._probe_s = None
        self._next_s = now_s + self._gap_s
