"""``Complaints``: says in the log what is wrong with an exporter, not too often, and with all that was lost."""

from __future__ import annotations

from threading import Condition
from time import monotonic

from hush.core.extend import logger

log = logger("hush.tracing")

_EVERY_S = 60.0


class Complaints:
    """Of one pipeline; ``lock`` is its own."""

    def __init__(self, lock: Condition) -> None:
        self._lock = lock
        self._said_s = float("-inf")
        self._lost = 0
        self._noted = ""

    def note(self, message: str, lost: int = 0) -> None:
        """Something to be said by the pipeline's thread: a run's own must not log."""
        with self._lock:
            self._lost += lost
        self._noted = message

    def say_noted(self) -> None:
        """Say it."""
        if self._noted:
            noted, self._noted = self._noted, ""
            self.say(noted, 0)

    def say(self, message: str, lost: int) -> None:
        """Log what is wrong, at most once a minute; what is lost meanwhile is said with the next."""
        with self._lock:
            self._lost += lost
            now_s = monotonic()
            if now_s - self._said_s < _EVERY_S:
                return
            self._said_s = now_s
            lost, self._lost = self._lost, 0
        log.warning("%s (%s spans lost so far)", message, f"{lost:,}", extra={"dropped": lost})

    def say_last(self, lost: int, why: str) -> None:
        """The process ends: what was lost and has not been said."""
        with self._lock:
            lost, self._lost = self._lost + lost, 0
        if lost:
            log.warning("%s spans were not exported before the process ended: %s", f"{lost:,}", why)
