"""The seam between what makes spans and what takes them: ``Exporter``, and how it says that it cannot."""

from __future__ import annotations

from typing import Protocol

from hush.observability._span import Batch


class ExportError(Exception):
    """A batch could not be exported.

    Attributes:
        again: Whether the batch may be offered again; else its spans are dropped and counted.
        answered: Whether somebody has looked at it; to those who do not, few spans are offered the next time.
        done: How many of the batch's ended spans, from the first on, need not be offered again.
        taken: How many of the batch's ended spans, or of these, were exported nevertheless.
        soon: Whether it may well be taken in a moment: nobody is down, others are in the way.
        retry_after_s: How long to wait at least, if whoever refused it said so. Neither who flushes nor the end of the
            process cuts that short.
    """

    def __init__(
        self,
        message: str,
        *,
        again: bool,
        answered: bool = False,
        done: int = 0,
        taken: int = 0,
        soon: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.again = again
        self.answered = answered or not again or retry_after_s is not None
        self.done = done
        self.taken = taken
        self.soon = soon
        self.retry_after_s = retry_after_s


class Exporter(Protocol):
    """Whatever takes spans: a file, a collector.

    All calls come from one thread of its own, never from a run's. They may block; at the end of the process they are
    waited for a bounded time only. What ``export`` raises, an ``ExportError`` or anything else, is counted, and
    logged at most once a minute.

    Attributes:
        live: Whether it also takes spans that are still under way.
        most: How many ended spans it takes at once.
    """

    live: bool
    most: int

    def export(self, batch: Batch, /) -> None:
        """Take a batch, wholly or not at all unless the error says otherwise."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...
