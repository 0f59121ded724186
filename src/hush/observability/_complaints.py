"""``Complaints``: says in the log what is wrong with an exporter, not too often, and of each loss why and how much."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from time import monotonic

from hush.core.extend import logger

log = logger("hush.tracing")

EVERY_S = 60.0
"""How often something is said, at most."""
MOST_REASONS = 20
"""So many reasons are kept apart meanwhile: some of them name what they are of."""
OTHERS = "spans are lost for yet other reasons"


class Complaints:
    """Of one pipeline; ``lock`` is its own. ``clock`` gives seconds."""

    def __init__(self, lock: Condition, clock: Callable[[], float] = monotonic) -> None:
        self._lock = lock
        self._clock = clock
        self._said_s = float("-inf")
        self._unsaid: dict[str, int] = {}  # what is wrong, and how many spans that has cost since it was said

    def note(self, message: str, lost: int = 0) -> None:
        """Something to be said by the pipeline's thread: a run's own must not log."""
        with self._lock:
            if message not in self._unsaid and len(self._unsaid) >= MOST_REASONS:
                message = OTHERS
            self._unsaid[message] = self._unsaid.get(message, 0) + lost

    def say(self, message: str, lost: int) -> None:
        """Log what is wrong. Within a minute of the last time, what that cost is said later."""
        self.note(message, lost)
        self.say_noted()

    def say_noted(self) -> None:
        """Say what there is to say, if it is time for that."""
        if not self._unsaid:
            return
        with self._lock:
            now_s = self._clock()
            if now_s - self._said_s < EVERY_S:
                # What cost nothing may be over long before that.
                self._unsaid = {message: lost for message, lost in self._unsaid.items() if lost}
                return
            self._said_s = now_s
            unsaid, self._unsaid = self._unsaid, {}
        _log(unsaid)

    def say_rest(self) -> None:
        """Nothing more will be said: what was lost and has not been."""
        with self._lock:
            unsaid, self._unsaid = self._unsaid, {}
        _log({message: lost for message, lost in unsaid.items() if lost})

    def say_last(self, lost: int, why: str) -> None:
        """The process ends, and these spans were still waiting."""
        self.say_rest()
        if lost:
            were = "was" if lost == 1 else "were"
            text = "%s %s not exported before the process ended: %s"
            log.warning(text, _spans(lost), were, why, extra={"dropped": lost})


def _log(unsaid: dict[str, int]) -> None:
    for message, lost in unsaid.items():
        log.warning("%s (%s lost)", message, _spans(lost), extra={"dropped": lost})


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count:,} spans"
