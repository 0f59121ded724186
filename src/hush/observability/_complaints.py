"""``Complaints``: says in the log what is wrong with an exporter, not too often, and of each loss why and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Condition
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeAlias

from hush.core.extend import logger

log = logger("hush.tracing")

Fields: TypeAlias = Mapping[str, Any]
"""What a record is about, as far as that is known: ``run``, ``node`` and ``item``."""
NOTHING: Fields = MappingProxyType({})
EVERY_S = 60.0
"""How often something is said, at most."""
MOST_REASONS = 20
"""So many reasons are kept apart meanwhile: some of them name what they are of."""
OTHERS = "there are yet other reasons"


class Complaints:
    """Of one pipeline; ``lock`` is its own. ``clock`` gives seconds."""

    def __init__(self, lock: Condition, clock: Callable[[], float] = monotonic) -> None:
        self._lock = lock
        self._clock = clock
        self._said_s = float("-inf")
        # What is wrong, how many spans that has cost since it was said, and what all of it is about.
        self._unsaid: dict[str, tuple[int, Fields]] = {}

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to say, and for a while there was nothing."""
        return not self._unsaid and self._clock() - self._said_s >= EVERY_S

    def note(self, message: str, lost: int = 0, about: Fields = NOTHING) -> None:
        """Something to be said by the pipeline's thread: a run's own must not log."""
        with self._lock:
            if message not in self._unsaid and len(self._unsaid) >= MOST_REASONS:
                message = OTHERS
            before, same = self._unsaid.get(message, (0, about))
            if same != about:  # of several runs, or nodes
                same = {name: value for name, value in same.items() if about.get(name) == value}
            self._unsaid[message] = before + lost, same

    def say(self, message: str, lost: int, about: Fields = NOTHING, *, passing: bool = False) -> None:
        """Log what is wrong; within a minute of the last time, later.

        What is ``passing`` may be over by then, and is not said later unless it has cost something.
        """
        if passing and not lost and self._clock() - self._said_s < EVERY_S:
            return
        self.note(message, lost, about)
        self.say_noted()

    def say_noted(self) -> None:
        """Say what there is to say, if it is time for that."""
        if not self._unsaid:
            return
        with self._lock:
            now_s = self._clock()
            if now_s - self._said_s < EVERY_S:
                return
            self._said_s = now_s
            unsaid, self._unsaid = self._unsaid, {}
        _log(unsaid)

    def say_rest(self) -> None:
        """Nothing more will be said: all that has not been."""
        with self._lock:
            unsaid, self._unsaid = self._unsaid, {}
        _log(unsaid)

    def say_last(self, lost: int, why: str) -> None:
        """The process ends, and these spans were still waiting."""
        self.say_rest()
        if lost:
            were = "was" if lost == 1 else "were"
            text = "%s %s not exported before the process ended: %s"
            log.warning(text, _spans(lost), were, why, extra={"dropped": lost})


def _log(unsaid: dict[str, tuple[int, Fields]]) -> None:
    for message, (lost, about) in unsaid.items():
        log.warning("%s (%s lost)", message, _spans(lost), extra={**about, "dropped": lost})


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count:,} spans"
