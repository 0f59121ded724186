"""``SpanTracer``: what the tracers have in common: events go in, spans reach an exporter in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from weakref import finalize

from hush.core.errors import UsageError
from hush.core.events import Event, RunFinished, RunStarted
from hush.core.protocols import Place, Tracer
from hush.observability._annotations import Annotating
from hush.observability._bounds import EVERYTHING, PREVIEW
from hush.observability._exporter import Exporter
from hush.observability._ids import Ids
from hush.observability._pipeline import Counts, pipeline_of
from hush.observability._recorder import RunRecorder, Sink
from hush.observability._sampling import USUAL, Sampling

__all__ = ("Counts", "SpanTracer")


class SpanTracer:
    """The base of ``LocalTracer``, ``OTelTracer`` and ``LangfuseTracer``.

    One tracer may watch any number of runs, at the same time too, on any loop and in any thread. What it takes from a
    run is bounded: its thread makes no blocking call, and puts no object of the user's into a queue.

    A subclass may define ``entering(ids, annotating)``, which is called with the ids of a run's nodes, and with what
    keeps what code puts on their spans, and gives what makes the places (``hush.core.protocols.Place``) in which their
    functions are called.

    Args:
        make: Makes the exporter, in the thread that will use it, when there is first something to export.
        key: Tracers with the same key share one exporter, one thread and one queue; ``None`` for one of its own.
        keep_values: ``None`` for previews of what nodes read and gave, ``True`` for all of it, ``False`` for nothing
            but what messages of errors quote. Secrets are removed in any case.
        tags: Added to those of each run.
        sampling: Which items of large maps become spans.
        max_pending: How many spans may be in memory. Before there are so many, items that ended well are left out;
            what comes then is dropped and counted, except that as many again of what failed may wait.
    """

    sees_calls = True
    entering: Callable[[Ids, Annotating], Callable[[], Place]] | None = None

    def __init__(
        self,
        make: Callable[[], Exporter],
        *,
        key: Hashable | None = None,
        keep_values: bool | None = None,
        tags: Sequence[str] = (),
        sampling: Sampling = USUAL,
        max_pending: int = 40_000,
    ) -> None:
        if keep_values is not None and not isinstance(keep_values, bool):
            raise UsageError(f"keep_values={keep_values!r}: None keeps previews, True everything, False nothing.")
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise UsageError(f"tags={tags!r}: they are a list of strings.")
        if isinstance(max_pending, bool) or not isinstance(max_pending, int) or max_pending < 1:
            raise UsageError(f"max_pending={max_pending!r}: it is a number of spans, at least 1.")
        if not isinstance(sampling, Sampling):
            raise UsageError(f"sampling={sampling!r}: it is a Sampling(first=, slowest=, random=).")
        self._bounds = PREVIEW if keep_values is None else EVERYTHING if keep_values else None
        self._tags = tuple(tags)
        self._sampling = sampling.checked()
        self._pipeline = pipeline_of(key, make, max_pending)
        finalize(self, self._pipeline.let_go).atexit = False
        self._told: dict[str, Tracer] = {}  # runs that are told of by ``emit`` itself

    def for_run(self) -> Tracer:
        """What hears one run, which begins in this context."""
        return RunRecorder(self._sink(), self._bounds, self._sampling, self._tags, self.entering)

    def _sink(self) -> Sink:
        """Where the spans of a run go that begins in this context."""
        return self._pipeline

    def emit(self, event: Event, /) -> None:
        """Take one event of any run, in the run's thread: for whoever passes events on. It never blocks.

        Runs that go on at the same time must have different ids. Of one whose beginning was not told, nothing is kept.
        """
        recorder = self._told.get(event.run)
        if isinstance(event, RunStarted):
            recorder = self._told[event.run] = self.for_run()
        if recorder is None:
            return
        recorder.emit(event)
        if isinstance(event, RunFinished):
            del self._told[event.run]

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until what was told so far is exported; ``False`` if it is not after ``timeout_s``. It blocks.

        A pause that a server has asked for (``Retry-After``) is kept: it is waited for too, or, if it goes on for
        longer than ``timeout_s``, nothing is sent and it is ``False`` at once. What waits then is sent later.
        """
        return self._pipeline.flush(timeout_s)

    @property
    def counts(self) -> Counts:
        """What has become of the spans of this tracer, and of those that share its exporter, so far.

        Whoever asks makes the spans of what is still queued, at most 8,192 events a run: some tens of milliseconds.
        """
        return self._pipeline.counts()
