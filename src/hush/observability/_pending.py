"""``Pending``: the spans that wait for an exporter, bounded, and what has become of those that do not wait any more."""

from __future__ import annotations

from collections import deque
from itertools import islice
from threading import Condition

from hush.observability._span import Span
from hush.observability._thinning import lasting


class Pending:
    """Spans that have ended, oldest first.

    Args:
        lock: The pipeline's, so that what it reads together was true together. It may be entered twice.
        most: How many may wait.

    Attributes:
        exported: How many have been.
        dropped: How many were not, and never will be.
    """

    def __init__(self, lock: Condition, most: int) -> None:
        self.most = most
        self.exported = self.dropped = 0
        self._lock = lock
        self._spans: deque[Span] = deque()
        self._held = 0  # by runs

    def __len__(self) -> int:
        return len(self._spans)

    def take(self, spans: list[Span]) -> int:
        """Keep spans; give how many there was no room for.

        What failed, what holds others together, and what is in items and rounds, since of these it was decided how much
        there is room for, may use twice the room.
        """
        with self._lock:
            if len(spans) <= self.most - len(self._spans):
                self._spans += spans
                return 0
            dropped = 0
            lasts = lasting(spans)
            for span in spans:
                if len(self._spans) < (2 * self.most if span.id in lasts else self.most):
                    self._spans.append(span)
                else:
                    dropped += 1
            self.dropped += dropped
        return dropped

    def crowd(self, held: int) -> tuple[int, int]:
        """So many more are held back by a run, or fewer; gives how many are in memory, and how many may be."""
        with self._lock:
            self._held += held
            return len(self._spans) + self._held, self.most

    def first(self, most: int) -> tuple[Span, ...]:
        """The oldest ones; they go on waiting."""
        with self._lock:
            return tuple(islice(self._spans, most))

    def done(self, count: int, exported: int) -> None:
        """The first ``count`` wait no longer, so many of them exported."""
        with self._lock:
            count = min(count, len(self._spans))  # none if the process ended meanwhile: they are dropped
            if count == len(self._spans):
                self._spans.clear()
            for _ in range(count if self._spans else 0):
                self._spans.popleft()
            exported = min(max(exported, 0), count)
            self.exported += exported
            self.dropped += count - exported

    def drop(self) -> int:
        """All of them; gives how many there were."""
        with self._lock:
            count = len(self._spans)
            self._spans.clear()
            self.dropped += count
        return count
