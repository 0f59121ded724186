"""``SpanTracer``: what the tracers have in common: events go in, spans reach an exporter in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from hush.core.events import Event
from hush.observability._exporter import Exporter


class Counts(NamedTuple):
    """What has become of the spans of a tracer: ``produced == exported + left_out + dropped + pending``."""

    produced: int
    exported: int
    left_out: int
    dropped: int
    pending: int


class SpanTracer:
    """The base of ``LocalTracer``, ``OTelTracer`` and ``LangfuseTracer``.

    Args:
        make: Makes the exporter, in the thread that will use it, when there is first something to export.
        key: Tracers with the same key share one exporter, one thread and one queue; ``None`` for one of its own.
        keep_values: ``None`` for previews of what nodes read and gave, ``True`` for all of it, ``False`` for nothing.
        tags: Added to those of each run.
        max_pending: How many spans may wait to be exported; what comes then is dropped and counted.
    """

    def __init__(
        self,
        make: Callable[[], Exporter],
        *,
        key: Hashable | None = None,
        keep_values: bool | None = None,
        tags: tuple[str, ...] = (),
        max_pending: int = 20_000,
    ) -> None:
        raise NotImplementedError

    def emit(self, event: Event, /) -> None:
        """Take one event, in the run's thread. It never blocks."""

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until what was told so far is exported; ``False`` if it is not after ``timeout_s``. It blocks."""
        raise NotImplementedError

    @property
    def counts(self) -> Counts:
        """What has become of its spans so far."""
        raise NotImplementedError
