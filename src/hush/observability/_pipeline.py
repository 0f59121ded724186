"""``Pipeline``: the thread in which an exporter is fed, and the count of what becomes of spans.

Runs put events into queues of their own (``_recorder``). The thread of the pipeline makes spans of them, a slice at a
time, and hands them to the exporter in batches. It starts with the first run and is a daemon: when the process ends it
is given a bounded time, and what is left then is counted as dropped.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable
from threading import Condition, Lock, Thread, current_thread
from time import monotonic, sleep
from typing import NamedTuple

from hush.core.extend import logger
from hush.observability._complaints import NOTHING, Complaints, Fields
from hush.observability._delivery import Delivery, why
from hush.observability._ending import close_at_end
from hush.observability._exporter import Exporter
from hush.observability._pending import Pending
from hush.observability._recorder import LET_GO_S, MOST_QUEUED, SLICE, RunRecorder
from hush.observability._span import RunRecord, Span

log = logger("hush.tracing")

TURN = 32
"""Events of which spans are made at a time: for a seventh of a millisecond, in which the run has to wait for the
interpreter. Then the thread lets it go, and beside a run that never rests gets it back 5 ms later. Where somebody waits
for all of it, ``SLICE`` at a time."""
TICK_S = 0.25
"""How often the queues of runs are looked at: what they hold is written that much later at most."""
_LINGER_S = 5.0
"""So long after the last tracer that shares it is gone an exporter is closed: there may be a new one for each run."""
_MOST_IDLE = 64
"""Of more pipelines those are forgotten that nobody uses: a service may write a file for each request."""


class Counts(NamedTuple):
    """What has become of the spans that have ended: ``produced == exported + left_out + dropped + pending``.

    ``left_out`` are those that sampling did not keep, ``pending`` those that wait to be exported.
    """

    produced: int
    exported: int
    left_out: int
    dropped: int
    pending: int


_shared: dict[Hashable, Pipeline] = {}
_sharing = Lock()


def pipeline_of(key: Hashable | None, make: Callable[[], Exporter], max_pending: int) -> Pipeline:
    """The pipeline that is shared under ``key``, made if there is none; a new one if it is ``None``."""
    if key is None:
        found = Pipeline(make, max_pending)
        found.hold(max_pending)
        return found
    with _sharing:
        there = _shared.get(key)
        if there is None:
            if len(_shared) >= _MOST_IDLE:
                for idle in [key for key, one in _shared.items() if one.is_idle]:
                    del _shared[idle]
            there = _shared[key] = Pipeline(make, max_pending, linger_s=_LINGER_S)
        there.hold(max_pending)  # before anybody else takes it for idle
    return there


class Pipeline:
    """Feeds one exporter from any number of runs.

    Args:
        make: Makes the exporter, in the thread that uses it.
        max_pending: How many spans may wait for it.
        linger_s: How long it goes on when nobody will begin a run with it any more.
    """

    def __init__(self, make: Callable[[], Exporter], max_pending: int, linger_s: float = 0.0) -> None:
        self.linger_s = linger_s
        self._make = make
        self._users = 0
        self._begin(max_pending)
        close_at_end(self)

    def _begin(self, max_pending: int) -> None:
        self._lock = Condition()  # may be entered twice: ``let_go`` is called wherever garbage is collected
        self._pending = Pending(self._lock, max_pending)
        self._complaints = Complaints(self._lock)
        self._delivery = Delivery(self._make, self._pending, self._complaints, self._lock)
        self._recorders: list[RunRecorder] = []
        self._new: dict[RunRecorder, None] = {}  # that the thread does not know of
        self._over: deque[RunRecord] = deque()  # those of runs that it never knew of
        self._totals = 0  # in these
        self._left = 0  # events of runs that have ended, since it looked
        self._hearing: set[Hashable] = set()  # the runs that these are of
        self._thread: Thread | None = None
        self._threadless = False  # it could not be started
        self._awake = False
        self._idle = True  # whether nothing but ``wake`` makes the thread look
        self._asked = self._answered = 0  # flushes
        self._handed = True  # whether all that was told before the last one was answered is off our hands
        self._closing = False
        self._until_s = 0.0  # then it ends
        self._closed_produced = self._closed_left_out = 0  # of runs that have ended

    # --- from tracers --------------------------------------------------------------------------------------
    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it, nothing is left to do, and one made anew would not say again what was just said."""
        with self._lock:
            used = self._users or self._thread or self._new or self._delivery.is_waiting
            return not used and self._complaints.quiet

    def hold(self, max_pending: int) -> None:
        """A tracer will begin runs with it, and lets so many spans wait."""
        with self._lock:
            self._users += 1
            self._delivery.retired = False
            self._pending.most = max(self._pending.most, max_pending)

    def let_go(self) -> None:
        """One will no more; when it was the last and all is exported, the thread ends."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._delivery.retired = True
                self._lock.notify_all()

    # --- from runs' threads --------------------------------------------------------------------------------
    def add(self, recorder: RunRecorder, run: Hashable) -> bool:
        """A run begins; ``False`` if another tracer tells this exporter of the same ``run`` already."""
        if run in self._hearing:
            self.complain("two tracers of one run write to the same place: one is heard", {"run": recorder.run[0]})
            return False
        self._hearing.add(run)
        with self._lock:
            self._new[recorder] = None
        if self._idle:  # else it looks soon by itself, and a run need not pay for waking it
            self.wake()
        return True

    def wake(self) -> None:
        """There is something to do now."""
        with self._lock:
            self._awake = True
            if self._thread is None and not self._closing:
                thread = Thread(target=self._work, name="hush-tracer", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # as always since Python 3.12 while the interpreter ends: ``close`` does its work
                    self._threadless = True
                else:
                    self._thread, self._threadless = thread, False
            self._lock.notify_all()

    def take(self, spans: list[Span], run: str) -> int:
        """Spans of ``run`` have ended: keep them for the exporter; give how many there is no room for."""
        dropped = self._pending.take(spans)
        if dropped:
            self.complain(f"spans are dropped: {self._pending.most:,} wait already", {"run": run}, dropped)
        return dropped

    def crowd(self, held: int) -> tuple[int, int]:
        """A run holds so many more spans back, or fewer; gives how many are in memory, and how many may be."""
        return self._pending.crowd(held)

    def is_behind(self, events: int) -> bool:
        """A run has ended with so many events in its queue; whether too many wait for the thread, which is held up."""
        with self._lock:
            self._left += events
            return self._left > max(self._pending.most, MOST_QUEUED)

    def leave(self, recorder: RunRecorder, record: RunRecord) -> None:
        """A run that has ended has made all its spans itself: no more is kept of it, unless the thread has it."""
        with self._lock:
            if recorder not in self._new:
                return
            del self._new[recorder]
            self._hearing.discard(recorder.run)
            self._count_closed(recorder)
            self._totals += len(record.totals)
            most = self._delivery.most_runs
            self._over.append(record if self._totals <= most else record._replace(totals=()))
            if len(self._over) > most:
                self._over.popleft()

    def _count_closed(self, recorder: RunRecorder) -> None:
        self._closed_produced += recorder.tree.produced
        self._closed_left_out += recorder.tree.left_out

    # --- from anywhere -------------------------------------------------------------------------------------
    def flush(self, timeout_s: float) -> bool:
        """Wait until what has been told so far is exported, or has been dropped for good.

        A pause that whoever takes it has asked for is waited for as well; if there is no time for that, not at all.
        """
        if current_thread() is self._thread:
            return False
        now_s = monotonic()
        until_s = now_s + timeout_s
        while not (handed := self._hand_over(until_s)) and self._delivery.sit_out(now_s, until_s):
            now_s = monotonic()
        return handed

    def _hand_over(self, until_s: float) -> bool:
        with self._lock:
            if self._thread is None and not self._new:
                return True
            self._asked += 1
            mine = self._asked
            self._delivery.paused_until_s = 0.0
        self.wake()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # nobody answers: it is closed, or has not begun
                return not (self._new or self._recorders)
            while self._answered < mine:
                left_s = until_s - monotonic()
                if left_s <= 0:
                    return False
                self._lock.wait(left_s)
            return self._handed

    def counts(self) -> Counts:
        """What has become of the spans so far; whoever asks makes those that nobody has made yet.

        Else what runs have told while an exporter hangs, and the thread with it, would be in no number.
        """
        self._fold_rest()
        with self._lock:
            recorders = [*self._recorders, *self._new]
            # Trees grow meanwhile, in other threads: what has been left out was produced before.
            left_out = self._closed_left_out + sum(one.tree.left_out for one in recorders)
            exported, dropped = self._pending.exported, self._pending.dropped
            produced = self._closed_produced + sum(one.tree.produced for one in recorders)
        return Counts(produced, exported, left_out, dropped, produced - exported - left_out - dropped)

    def _fold_rest(self) -> None:
        """Make the spans that nobody has made yet, in the thread of whoever asks."""
        with self._lock:
            recorders = [*self._recorders, *self._new]
        for recorder in recorders:
            recorder.fold(recorder.waiting(), wait=False)

    def begin_to_close(self, until_s: float = 0.0) -> None:
        """Have the thread export what is left, and end; there is time until ``until_s``. It is not waited for."""
        with self._lock:
            self._closing = True
            self._until_s = max(self._until_s, until_s)
            self._delivery.paused_until_s = 0.0
            self._lock.notify_all()

    def close(self, timeout_s: float) -> None:
        """Export what is left for at most ``timeout_s``; the rest is dropped."""
        self.begin_to_close(monotonic() + timeout_s)
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        elif self._threadless:
            self._work()
        hangs = thread is not None and thread.is_alive()
        if hangs:  # count also what it did not come to
            self._fold_rest()
        self._complaints.say_last(self._pending.drop(), self._delivery.reason(hangs=hangs))

    def reopen(self) -> None:
        """Take runs again, and those go on that have not ended; not if the thread hangs."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._until_s = 0.0
            self._closing, self._thread, self._idle = False, None, True
        if self._new or self._recorders or self._over:
            self.wake()

    def complain(self, message: str, about: Fields = NOTHING, lost: int = 0) -> None:
        """Have the thread say what is wrong, and with what."""
        self._complaints.note(message, lost, about)

    # --- the thread ----------------------------------------------------------------------------------------
    def _work(self) -> None:
        exporter: Exporter | None = None
        while True:
            with self._lock:
                if not self._awake and not self._closing:
                    rest_s = self._rest_s()
                    self._idle = rest_s is None  # before the second look, so that ``add`` sees it or is seen
                    if self._delivery.retired and rest_s is None and not self._new:
                        if self.linger_s and self._lock.wait(self.linger_s):
                            continue
                        if self._delivery.retired and not self._new:
                            self._thread = None  # whoever comes nevertheless starts a new one
                            exporter, self._delivery.exporter = self._delivery.exporter, None
                            break
                    elif rest_s is not None or not self._new:
                        self._lock.wait(rest_s)
                    self._idle = False
                self._awake = False
                closing, asked = self._closing, self._asked
            handed, began_s = False, monotonic()
            try:
                self._fold(SLICE if closing or asked > self._answered else TURN)
                handed = self._delivery.export(self._recorders, surely=closing or asked > self._answered)
            except Exception:  # a fault of ours, which must not keep spans from being counted, nor others from waiting
                log.exception("spans were not handed on")
            self._complaints.say_noted()
            with self._lock:
                if asked > self._answered:  # else the next round would answer for this one, if nobody is awake yet
                    self._answered, self._handed = asked, handed
                self._lock.notify_all()
            if closing and (handed or not self._delivery.sit_out(began_s, self._until_s)):
                exporter, self._delivery.exporter = self._delivery.exporter, None
                break
        if exporter is not None:
            try:
                exporter.close()
            except BaseException as exc:  # a border: whatever it raises, the thread ends
                self._complaints.say(f"an exporter could not be closed: {why(exc)}", 0)
        if not self.linger_s:  # else it is kept for the next tracer, and until the process ends
            self._complaints.say_rest()

    def _rest_s(self) -> float | None:
        """For how long there is nothing to do, unless somebody calls."""
        if self._recorders or self._new or self._over:
            return TICK_S
        if self._delivery.is_waiting:
            return max(0.01, self._delivery.pause_s)
        return None

    def _fold(self, most: int) -> None:
        """Make spans of what runs have told, at most so many at a time, and learn what else has changed."""
        delivery = self._delivery
        paused = delivery.pause_s > 0
        if delivery.exporter is None and self._new and not paused:
            delivery.open()
        # Nobody is told of what goes on while nobody listens: it would only pile up.
        live = delivery.exporter is not None and delivery.exporter.live and not paused
        with self._lock:
            self._recorders += self._new
            self._new.clear()
            records, self._over, self._totals, self._left = self._over, deque(), 0, 0
        for record in records:
            delivery.tell((), (), record)
        for place, recorder in enumerate(list(self._recorders)):
            # What has been told until now, and not what comes meanwhile: of a busy run there would be no end of it, and
            # nobody would export.
            left = recorder.waiting()
            while recorder.fold(min(left, most)) and left > most:
                left -= most
                sleep(LET_GO_S)
            over = recorder.finished  # before its news, since whoever counts may fold its end meanwhile
            running, gone, news = recorder.news(live=live, beats=not place)
            delivery.tell(running, gone, news)
            if over:
                recorder.end()
                with self._lock:
                    self._recorders.remove(recorder)
                    self._hearing.discard(recorder.run)
                    self._count_closed(recorder)

    def after_fork(self) -> None:
        """In a child nobody runs the thread, and what was pending is the parent's to export."""
        retired = self._delivery.retired
        self._begin(self._pending.most)
        self._delivery.retired = retired


def _after_fork() -> None:
    global _sharing  # noqa: PLW0603  # another thread of the parent may have held it
    _sharing = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
