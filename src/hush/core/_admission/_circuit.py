"""``Circuit``: whether a resource is known to be down, so that others are asked in its place until it has been probed.

A pure class that is told of failures and answers, and given the time. Nygard, "Release It!", has the pattern.
"""

from __future__ import annotations

from threading import Lock

STRIKES = 3
"""So many calls in a row have to fail before others are asked first, unless one failure says enough by itself."""
SHORTEST_S = 1.0
LONGEST_S = 60.0
PROBE_S = 30.0
"""A probe that has told nothing after so many seconds counts as lost, and another may be made."""


class Circuit:
    """What is known of one resource. From any thread."""

    __slots__ = ("_lock", "_opened_s", "_opens_s", "_pause_s", "_probed_s", "_strikes")

    def __init__(self) -> None:
        self._lock = Lock()
        self._strikes = 0
        self._pause_s = SHORTEST_S
        self._opened_s: float | None = None  # when it was found to be down
        self._opens_s = 0.0  # when it may be probed
        self._probed_s: float | None = None

    def is_open(self, now_s: float) -> bool:
        """Whether it is known to be down. Changes nothing."""
        return self._opened_s is not None and now_s < self._opens_s

    def admits(self, now_s: float) -> bool:
        """Whether to ask it; of a resource that is down, true once for each probe."""
        if self._opened_s is None:
            return True
        with self._lock:
            if self._opened_s is None:
                return True
            if now_s < self._opens_s or (self._probed_s is not None and now_s < self._probed_s + PROBE_S):
                return False
            self._probed_s = now_s
            return True

    def answered(self) -> None:
        """It has answered."""
        if self._opened_s is None and not self._strikes:
            return
        with self._lock:
            self._strikes = 0
            self._pause_s = SHORTEST_S
            self._opened_s = self._probed_s = None

    def failed(self, began_s: float, now_s: float, *, for_s: float | None = None, surely: bool = False) -> None:
        """A call that began at ``began_s`` has failed in a way that others may fail in too.

        ``for_s`` is for how long it says so itself; ``surely``, that one such failure is enough.
        """
        with self._lock:
            if self._opened_s is not None and began_s < self._opened_s:
                return  # one of those that were under way when it was found out
            self._strikes += 1
            probing = self._opened_s is not None
            if not (probing or surely or for_s is not None or self._strikes >= STRIKES):
                return
            self._pause_s = min(LONGEST_S, self._pause_s * 2) if probing else SHORTEST_S
            pause_s = max(self._pause_s, LONGEST_S / 2 if surely else 0.0, for_s or 0.0)
            self._opened_s, self._opens_s, self._probed_s = now_s, now_s + pause_s, None
