"""``Pipeline``: the thread in which an exporter is fed, and the count of what becomes of spans.

Runs put events into queues of their own (``_recorder``). The thread of the pipeline makes spans of them, a slice at a
time, and hands them to the exporter in batches. It starts with the first run and is a daemon: when the process ends it
is given a bounded time, and what is left then is counted as dropped.
"""

from __future__ import annotations

import atexit
import os
from collections import Counter, deque
from collections.abc import Callable, Hashable
from itertools import islice
from threading import Condition, Lock, Thread, current_thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from hush.core.extend import logger
from hush.observability._exporter import Exporter, ExportError
from hush.observability._preview import said
from hush.observability._span import Batch, RunRecord, Span

if TYPE_CHECKING:
    from hush.observability._recorder import RunRecorder

log = logger("hush.tracing")

TICK_S = 0.25
"""How often the queues of runs are looked at: what they hold is written that much later at most."""
EXIT_S = 4.0
"""For so long the end of the process waits for all pipelines together."""
_COMPLAIN_EVERY_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_SLICE = 256
_HOLDING = frozenset({"run", "graph", "map", "for", "while"})
_MOST_RUNS = 10_000
"""Records of runs that wait while nobody takes them: then the oldest are forgotten, their spans are not."""


class Counts(NamedTuple):
    """What has become of the spans that have ended: ``produced == exported + left_out + dropped + pending``.

    ``left_out`` are those that sampling did not keep, ``pending`` those that wait to be exported.
    """

    produced: int
    exported: int
    left_out: int
    dropped: int
    pending: int


_all: WeakSet[Pipeline] = WeakSet()
_shared: dict[Hashable, Pipeline] = {}
_sharing = Lock()


def pipeline_of(key: Hashable | None, make: Callable[[], Exporter], max_pending: int) -> Pipeline:
    """The pipeline that is shared under ``key``, made if there is none; a new one if it is ``None``."""
    if key is None:
        return Pipeline(make, max_pending)
    with _sharing:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = Pipeline(make, max_pending)
        found.max_pending = max(found.max_pending, max_pending)
        return found


class Pipeline:
    """Feeds one exporter from any number of runs.

    Args:
        make: Makes the exporter, in the thread that uses it.
        max_pending: How many spans may wait for it.
    """

    def __init__(self, make: Callable[[], Exporter], max_pending: int) -> None:
        self.max_pending = max_pending
        self._make = make
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = Condition()  # may be entered twice: ``retire`` is called wherever garbage is collected
        self._recorders: list[RunRecorder] = []
        self._new: deque[RunRecorder] = deque()
        self._pending: deque[Span] = deque()
        self._runs: dict[str, RunRecord] = {}
        self._running: dict[str, Span] = {}
        self._gone: list[tuple[str, str]] = []
        self._thread: Thread | None = None
        self._exporter: Exporter | None = None
        self._awake = False
        self._idle = True  # whether nothing but ``wake`` makes the thread look
        self._asked = self._answered = 0  # flushes
        self._handed = True  # whether all that was told before the last one was answered is off our hands
        self._closing = False
        self._wrong = ""  # why the exporter is left alone for a while
        self._retired = False
        self._exported = self._dropped = 0
        self._closed_produced = self._closed_left_out = 0  # of runs that have ended
        self._pause_s, self._paused_until_s = 0.0, 0.0
        self._complained_s = float("-inf")
        self._unsaid = 0
        self._complaint = ""  # of a run's thread, which must not log

    # --- from runs' threads --------------------------------------------------------------------------------
    def add(self, recorder: RunRecorder) -> None:
        """A run begins."""
        self._new.append(recorder)
        if self._idle:  # else it looks soon by itself, and a run need not pay for waking it
            self.wake()

    def wake(self) -> None:
        """There is something to do now."""
        with self._lock:
            self._awake = True
            if self._thread is None and not self._closing:
                self._thread = Thread(target=self._work, name="hush-tracer", daemon=True)
                self._thread.start()
            self._lock.notify_all()

    def take(self, spans: list[Span]) -> int:
        """Spans have ended: keep them for the exporter; give how many there is no room for.

        Failures, and what holds others together, may use twice the room.
        """
        with self._lock:
            room = self.max_pending - len(self._pending)
            if len(spans) <= room:
                self._pending += spans
                return 0
            dropped = 0
            for span in spans:
                most = self.max_pending
                if span.failure is not None or (not span.items and span.kind in _HOLDING):
                    most *= 2
                if len(self._pending) < most:
                    self._pending.append(span)
                else:
                    dropped += 1
            self._dropped += dropped
            self._unsaid += dropped
            if dropped:
                self._complaint = f"spans are dropped: {self.max_pending:,} wait already"
        return dropped

    # --- from anywhere -------------------------------------------------------------------------------------
    def flush(self, timeout_s: float) -> bool:
        """Wait until what has been told so far is exported, or has been dropped for good."""
        if current_thread() is self._thread:
            return False
        until_s = monotonic() + timeout_s
        with self._lock:
            if self._thread is None and not self._new:
                return True
            self._asked += 1
            mine = self._asked
            self._paused_until_s = 0.0
        self.wake()
        with self._lock:
            while self._answered < mine:
                left_s = until_s - monotonic()
                if left_s <= 0:
                    return False
                self._lock.wait(left_s)
            return self._handed

    def counts(self) -> Counts:
        """What has become of the spans so far."""
        with self._lock:
            recorders = [*self._recorders, *self._new]
            # Trees grow meanwhile, in other threads: what has been left out was produced before.
            left_out = self._closed_left_out + sum(one.tree.left_out for one in recorders)
            exported, dropped = self._exported, self._dropped
            produced = self._closed_produced + sum(one.tree.produced for one in recorders)
        return Counts(produced, exported, left_out, dropped, produced - exported - left_out - dropped)

    def retire(self) -> None:
        """Nobody will begin a run with it any more: when all is exported the thread ends."""
        self._retired = True
        with self._lock:
            self._lock.notify_all()

    def begin_to_close(self) -> None:
        """Have the thread export what is left, and end. It is not waited for."""
        with self._lock:
            self._closing = True
            self._paused_until_s = 0.0
            self._lock.notify_all()

    def close(self, timeout_s: float) -> None:
        """Export what is left for at most ``timeout_s``; the rest is dropped."""
        self.begin_to_close()
        thread = self._thread
        if thread is None:
            return
        thread.join(timeout_s)
        why = self._wrong or "there was no time for more"
        if thread.is_alive():  # it hangs: count also what it did not come to
            why = self._wrong or f"no answer yet{_from(self._exporter)}"
            for recorder in [*self._recorders, *self._new]:
                recorder.fold(recorder.waiting(), wait=False)
        with self._lock:
            left = len(self._pending)
            if left:
                self._pending.clear()
                self._dropped += left
                self._unsaid += left
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid:
            log.warning("%s spans were not exported before the process ended: %s", f"{unsaid:,}", why)

    def complain(self, message: str) -> None:
        """Have the thread say what is wrong."""
        self._complaint = message

    def _say(self, message: str, dropped: int) -> None:
        """Log what is wrong, at most once a minute; what is lost meanwhile is said with the next."""
        with self._lock:
            self._unsaid += dropped
            now_s = monotonic()
            if now_s - self._complained_s < _COMPLAIN_EVERY_S:
                return
            self._complained_s = now_s
            lost, self._unsaid = self._unsaid, 0
        log.warning("%s (%s spans lost so far)", message, f"{lost:,}", extra={"dropped": lost})

    # --- the thread ----------------------------------------------------------------------------------------
    def _work(self) -> None:
        exporter: Exporter | None = None
        while True:
            with self._lock:
                if not self._awake and not self._closing:
                    rest_s = self._rest_s()
                    self._idle = rest_s is None  # before the second look, so that ``add`` sees it or is seen
                    if self._retired and rest_s is None and not self._new:
                        self._thread = None  # whoever comes nevertheless starts a new one
                        exporter, self._exporter = self._exporter, None
                        break
                    if rest_s is not None or not self._new:
                        self._lock.wait(rest_s)
                    self._idle = False
                self._awake = False
                closing, asked = self._closing, self._asked
            handed = False
            try:
                self._fold()
                handed = self._export(surely=closing or asked > self._answered)
            except Exception:  # a fault of ours, which must not keep spans from being counted, nor others from waiting
                log.exception("spans were not handed on")
            if self._complaint:
                self._say(self._complaint, 0)
                self._complaint = ""
            with self._lock:
                self._answered, self._handed = asked, handed
                self._lock.notify_all()
            if closing:
                exporter, self._exporter = self._exporter, None
                break
        if exporter is not None:
            try:
                exporter.close()
            except BaseException as exc:  # a border: whatever it raises, the thread ends
                self._say(f"an exporter could not be closed: {_said(exc)}", 0)

    def _rest_s(self) -> float | None:
        """For how long there is nothing to do, unless somebody calls."""
        if self._recorders or self._new:
            return TICK_S
        if self._pending or self._runs:
            return max(0.01, self._paused_until_s - monotonic())
        return None

    def _fold(self) -> None:
        """Make spans of what runs have told, and learn what else has changed."""
        paused = monotonic() < self._paused_until_s
        if self._exporter is None and self._new and not paused:
            self._opened()
        # Nobody is told of what goes on while nobody listens: it would only pile up.
        live = self._exporter is not None and self._exporter.live and not paused
        with self._lock:
            while self._new:
                self._recorders.append(self._new.popleft())
        for recorder in list(self._recorders):
            # What has been told until now, and not what comes meanwhile: of a busy run there would be no end of it, and
            # nobody would export.
            left = recorder.waiting()
            while recorder.fold(min(left, _SLICE)) and left > _SLICE:
                left -= _SLICE
                sleep(0)  # whoever waits for the interpreter has it now, not after 5 ms
            running, gone, record = recorder.news(live=live)
            for span in running:
                self._running[span.id] = span
            for trace, span_id in gone:
                if self._running.pop(span_id, None) is None:
                    self._gone.append((trace, span_id))
            if record is not None:
                self._runs[record.trace] = record
                if len(self._runs) > _MOST_RUNS:
                    del self._runs[next(iter(self._runs))]
            if recorder.finished:
                with self._lock:
                    self._recorders.remove(recorder)
                    self._closed_produced += recorder.tree.produced
                    self._closed_left_out += recorder.tree.left_out

    def _opened(self) -> bool:
        try:
            self._exporter = self._make()
        except BaseException as exc:
            self._fail(exc, again=not isinstance(exc, ExportError) or exc.again)
            return False
        return self._exporter.live

    def _export(self, *, surely: bool) -> bool:
        """Hand over what waits, unless the exporter is to be left alone for a while; ``True`` if that is done."""
        left = len(self._pending)  # what comes meanwhile is for the next time: runs have something to tell too
        while left or self._runs or self._running or self._gone:
            if not surely and monotonic() < self._paused_until_s:
                return False
            if self._exporter is None and not self._opened():
                return False
            exporter = self._exporter
            assert exporter is not None
            with self._lock:
                ended = tuple(islice(self._pending, min(max(exporter.most, 1), left)))
            if self._running:
                for span in ended:
                    self._running.pop(span.id, None)
            left -= len(ended)
            running = tuple(self._running.values())
            # What ends a file's run comes with its last spans; a collector is told whose spans they are with the first.
            runs = tuple(self._runs.values()) if not left or not exporter.live else ()
            batch = Batch(ended, running, tuple(self._gone), runs)
            kept = False
            try:
                exporter.export(batch)
            except BaseException as exc:  # a border: a task of theirs that was cancelled must not end this thread
                if not self._refused(exc, batch):
                    return False
                # What became of runs is worth more than their spans, and may fit where these did not: it is offered
                # once more without them, and again from time to time, as when the process ends.
                kept = exporter.live and not self._retired
            else:
                self._done(batch, len(ended))
                self._pause_s = 0.0
                self._wrong = ""
            if not left and not kept:
                self._runs.clear()
            self._running.clear()
            self._gone.clear()
            if kept and runs and not ended:
                self._pause(0.0)  # the spans are off our hands, and nobody need wait for the rest
                break
        return True

    def _done(self, batch: Batch, exported: int) -> None:
        with self._lock:
            count = min(len(batch.ended), len(self._pending))  # none if the process ended meanwhile: they are dropped
            if count == len(self._pending):
                self._pending.clear()
            for _ in range(count if self._pending else 0):
                self._pending.popleft()
            exported = min(max(exported, 0), count)
            self._exported += exported
            self._dropped += count - exported

    def _refused(self, exc: BaseException, batch: Batch) -> bool:
        """The exporter could not take a batch; ``True`` if it is dropped, so that the next one can be tried."""
        again = isinstance(exc, ExportError) and exc.again
        if again:
            asked_s = exc.retry_after_s if isinstance(exc, ExportError) else None
            self._pause(asked_s or 0.0)
            self._wrong = said(exc)
            self._say(f"spans cannot be exported for now: {self._wrong}", 0)
            return False
        self._wrong = _said(exc)
        taken = min(exc.taken, len(batch.ended)) if isinstance(exc, ExportError) else 0
        self._done(batch, taken)
        lost = Counter(span.trace for span in batch.ended[taken:])
        for recorder in self._recorders:
            recorder.tree.dropped += lost[recorder.tree.trace]
        for trace, run in self._runs.items():
            self._runs[trace] = run._replace(dropped=run.dropped + lost[trace])
        self._say(f"spans cannot be exported: {_said(exc)}", len(batch.ended) - taken)
        return True

    def _pause(self, least_s: float) -> None:
        """Leave the exporter alone for a while, longer each time, unless somebody flushes."""
        self._pause_s = min(_LONGEST_PAUSE_S, max(2 * self._pause_s, _FIRST_PAUSE_S))
        with self._lock:
            self._paused_until_s = monotonic() + max(self._pause_s, least_s)

    def _fail(self, exc: BaseException, *, again: bool) -> None:
        """There is no exporter."""
        if again:
            self._pause(0.0)
            self._wrong = _said(exc)
            self._say(f"spans cannot be exported for now: {self._wrong}", 0)
            return
        with self._lock:
            waiting = len(self._pending)
            self._pending.clear()
            self._dropped += waiting
        self._runs.clear()
        self._running.clear()
        self._gone.clear()
        self._say(f"spans cannot be exported: {_said(exc)}", waiting)

    def after_fork(self) -> None:
        """In a child nobody runs the thread, and what was pending is the parent's to export."""
        self._begin()


def _said(exc: BaseException) -> str:
    return said(exc) if isinstance(exc, ExportError) else f"{type(exc).__name__}: {said(exc)}"


def _from(exporter: Exporter | None) -> str:
    where = getattr(exporter, "where", None)
    return f" from {where}" if where else ""


def _at_exit() -> None:
    until_s = monotonic() + EXIT_S
    for pipeline in list(_all):  # all of them first: one that hangs must not take the others' time
        pipeline.begin_to_close()
    for pipeline in list(_all):
        pipeline.close(max(0.1, until_s - monotonic()))


def _after_fork() -> None:
    global _sharing  # noqa: PLW0603  # another thread of the parent may have held it
    _sharing = Lock()
    for pipeline in list(_all):
        pipeline.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
