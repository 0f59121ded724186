"""``Delivery``: hands an exporter what waits for it, and leaves it alone for a while when it cannot take it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from math import ceil
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

from hush.observability._complaints import Complaints
from hush.observability._exporter import Exporter, ExportError
from hush.observability._failure import described
from hush.observability._pending import Pending
from hush.observability._preview import said
from hush.observability._span import Batch, RunRecord, Span

if TYPE_CHECKING:
    from hush.observability._recorder import RunRecorder

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_LONGEST_ASKED_S = 300.0
"""An exporter may ask for no longer: one that says a day by mistake would keep spans from being sent for as long."""
_PROBE = 32
"""So many spans at most are offered to whoever has not answered yet, or not the last time: more would be made ready in
vain, at a price that runs pay too, since they share the interpreter."""
_MOST_RUNS = 10_000
"""Records of runs that wait while nobody takes them: as many as there can be spans of runs, and so many at least."""


class Delivery:
    """What one exporter is to be told. Used in the pipeline's thread, but for the pauses.

    There are two: one of our own, longer each time, which may be cut short, and one that whoever takes spans has asked
    for, which nobody cuts short: https://opentelemetry.io/docs/specs/otlp/#otlphttp-throttling.

    Args:
        make: Makes the exporter, when there is first something for it.
        lock: The pipeline's.

    Attributes:
        exporter: Once it is made.
        paused_until_s: Until then it is left alone; whoever flushes sets it to 0.
        asked_until_s: Until then it has asked to be left alone.
        wrong: Why it is left alone.
        retired: Whether nobody will begin a run any more.
    """

    def __init__(self, make: Callable[[], Exporter], pending: Pending, complaints: Complaints, lock: Condition) -> None:
        self.exporter: Exporter | None = None
        self.paused_until_s = self.asked_until_s = 0.0
        self.wrong = ""
        self.retired = False
        self._make = make
        self._pending = pending
        self._complaints = complaints
        self._lock = lock
        self._runs: dict[str, RunRecord] = {}
        self._totals = 0  # of all of these together
        self._with_totals: deque[str] = deque()  # those that have any, as they came
        self._running: dict[str, Span] = {}
        self._gone: list[tuple[str, str]] = []
        self._pause_s = 0.0
        self._answers = False  # whether somebody has looked at the last that was offered

    @property
    def asked_s(self) -> float:
        """For how long from now on it has asked to be left alone; 0 or less if that is over."""
        return self.asked_until_s - monotonic()

    @property
    def pause_s(self) -> float:
        """For how long from now on it is left alone; 0 or less if it is not."""
        return max(self.paused_until_s, self.asked_until_s) - monotonic()

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to hand over."""
        return bool(self._pending or self._runs)

    @property
    def most_runs(self) -> int:
        """How many records of runs may wait, and how many totals of nodes in them, each as large as a span."""
        return max(_MOST_RUNS, 2 * self._pending.most)

    def reason(self, *, hangs: bool) -> str:
        """Why what waits has not been handed over; ``hangs`` if the exporter is still at it."""
        if self.wrong:
            asked_s = ceil(self.asked_s)
            return f"{self.wrong}; it is to be left alone for {asked_s} s more" if asked_s > 0 else self.wrong
        if not hangs:
            return "there was no time for more"
        where = getattr(self.exporter, "where", None)
        return f"no answer yet from {where}" if where else "no answer yet"

    def open(self) -> bool:
        """Make the exporter; whether it wants to be told of what is under way."""
        try:
            self.exporter = self._make()
        except BaseException as exc:
            self._fail(exc, again=not isinstance(exc, ExportError) or exc.again)
            return False
        return self.exporter.live

    def tell(self, running: Sequence[Span], gone: Sequence[tuple[str, str]], run: RunRecord | None) -> None:
        """What has changed of a run, besides the spans that have ended."""
        for span in running:
            self._running[span.id] = span
        for trace, span_id in gone:
            if self._running.pop(span_id, None) is None:
                self._gone.append((trace, span_id))
        if run is not None:
            self._keep(run)

    def _keep(self, run: RunRecord) -> None:
        """Have it wait. Of too many the oldest go, and their totals before that."""
        before = self._runs.get(run.trace)
        self._runs[run.trace] = run
        self._totals += len(run.totals) - (0 if before is None else len(before.totals))
        if run.totals:
            self._with_totals.append(run.trace)
        while self._totals > self.most_runs and len(self._with_totals) > 1:
            oldest = self._runs.get(self._with_totals.popleft())
            if oldest is not None and oldest is not run:
                self._totals -= len(oldest.totals)
                self._runs[oldest.trace] = oldest._replace(totals=())
        if len(self._runs) > self.most_runs:
            self._totals -= len(self._runs.pop(next(iter(self._runs))).totals)

    def _forget_runs(self) -> None:
        self._runs.clear()
        self._with_totals.clear()
        self._totals = 0

    def export(self, recorders: Sequence[RunRecorder], *, surely: bool) -> bool:
        """Hand over what waits, unless the exporter is to be left alone for a while; ``True`` if that is done.

        ``recorders`` are those of runs that have not ended; ``surely`` cuts a pause of our own short.
        """
        first = True
        left = len(self._pending)  # what comes meanwhile is for the next time: runs have something to tell too
        while left or self._runs or self._running or self._gone:
            if (self.asked_s if surely else self.pause_s) > 0:
                return False
            if self.exporter is None and not self.open():
                return False
            exporter = self.exporter
            assert exporter is not None
            most = max(exporter.most, 1)
            if not (self._answers or exporter.live):  # a file is there, and is told all of a run at once
                most = min(most, _PROBE)
            ended = self._pending.first(min(most, left))
            if self._running:
                for span in ended:
                    self._running.pop(span.id, None)
            left = left - len(ended) if ended else 0  # the process ends, and they have been dropped
            running = tuple(self._running.values())
            # What ends a file's run comes with its last spans; a collector is told whose spans they are with the first.
            runs = tuple(self._runs.values()) if not left or not exporter.live else ()
            if not runs and surely and first:  # whoever cancels a run may have no time for more than how it ended
                runs = tuple(run for run in self._runs.values() if run.status == "cancelled")
            first = False
            batch = Batch(ended, running, tuple(self._gone), runs, surely, early=bool(left))
            kept = False
            try:
                exporter.export(batch)
            except BaseException as exc:  # a border: a task of theirs that was cancelled must not end this thread
                if not self._refused(exc, batch, recorders):
                    return False
                # What became of runs is worth more than their spans, and may fit where these did not: it is offered
                # once more without them, and again from time to time, as when the process ends.
                kept = exporter.live and not self.retired
            else:
                self._pending.done(len(ended), len(ended))
                self._pause_s = 0.0
                self.wrong = ""
                self._answers = True
            if not left and not kept:
                self._forget_runs()
            self._running.clear()
            self._gone.clear()
            if kept and runs and not ended:
                self._pause()  # the spans are off our hands, and nobody need wait for the rest
                break
        return True

    def sit_out(self, since_s: float, until_s: float) -> bool:
        """Wait for the end of a pause that was asked for, and has not been over by ``since_s``.

        In any thread. ``False``, at once, if there is none, or it goes on until after ``until_s``.
        """
        with self._lock:
            if self.asked_until_s <= since_s:
                return False
            while self.asked_until_s < until_s:
                left_s = self.asked_s
                if left_s <= 0:
                    return True
                self._lock.wait(left_s)
            return False

    def _refused(self, exc: BaseException, batch: Batch, recorders: Sequence[RunRecorder]) -> bool:
        """The exporter could not take a batch; ``True`` if it is dropped, so that the next one can be tried."""
        told = exc if isinstance(exc, ExportError) else ExportError("", again=False)
        done = batch.ended[: told.done] if told.again else batch.ended
        taken = min(told.taken, len(done))
        self._pending.done(len(done), taken)
        lost = Counter(span.trace for span in done[taken:])
        if lost:
            for recorder in recorders:
                recorder.lose(lost[recorder.tree.trace])
            for trace, run in self._runs.items():
                self._runs[trace] = run._replace(dropped=run.dropped + lost[trace])
        reason = why(exc)
        self.wrong = reason if told.again else ""  # what is dropped for good is no reason to keep the others waiting
        self._answers = told.answered
        about = {"run": batch.run}
        if told.again:
            if told.soon:
                self._pause_s = 0.0
            self._pause(told.retry_after_s or 0.0)
            self._complaints.say(f"spans cannot be exported for now: {reason}", len(done) - taken, about, passing=True)
            return False
        self._complaints.say(f"spans cannot be exported: {reason}", len(done) - taken, about)
        return True

    def _pause(self, asked_s: float = 0.0) -> None:
        """Leave the exporter alone for a while, longer each time, and for as long as it asked."""
        self._pause_s = min(_LONGEST_PAUSE_S, max(2 * self._pause_s, _FIRST_PAUSE_S))
        with self._lock:
            now_s = monotonic()
            self.paused_until_s = now_s + self._pause_s
            if asked_s > 0:
                self.asked_until_s = now_s + min(asked_s, _LONGEST_ASKED_S)

    def _fail(self, exc: BaseException, *, again: bool) -> None:
        """There is no exporter."""
        if again:
            self._pause()
            self.wrong = why(exc)
            self._complaints.say(f"spans cannot be exported for now: {self.wrong}", 0, passing=True)
            return
        waiting = self._pending.drop()
        self._forget_runs()
        self._running.clear()
        self._gone.clear()
        self._complaints.say(f"spans cannot be exported: {why(exc)}", waiting)


def why(exc: BaseException) -> str:
    """What an exporter raised, in a line."""
    return said(exc) if isinstance(exc, ExportError) else described(exc)
