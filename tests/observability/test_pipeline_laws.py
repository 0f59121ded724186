"""Spans between runs and an exporter: each is counted, none is waited for by a run, and nothing is kept for ever."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core.events import RunFinished
from hush.observability import _pipeline
from hush.observability._exporter import ExportError
from hush.observability._pipeline import Counts
from hush.observability._tracer import SpanTracer
from observability.fakes import PATIENCE_S, Fake, Gate, Told, again, flushed, never

pytestmark = pytest.mark.filterwarnings("error")


CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE_S}


def holds(counts: Counts) -> Counts:
    """The law of the counts."""
    assert counts.produced == counts.exported + counts.left_out + counts.dropped + counts.pending
    assert min(counts) >= 0
    return counts


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "hush")
    return caplog


# ── What an exporter may do ──────────────────────────────────────────────────────────────────────────────────────────
def test_all_spans_are_exported_by_one_thread_children_first():
    fake = Fake(most=7)
    tracer = SpanTracer(fake)
    for number in range(5):
        Told(tracer, f"r{number}").quick(20).end()
    flushed(tracer)
    assert holds(tracer.counts) == (105, 105, 0, 0, 0)
    assert len(fake.threads) == 1
    assert threading.get_ident() not in fake.threads
    assert len({span.id for span in fake.spans}) == 105
    seen, over = set[Any](), set[str]()
    for batch in fake.batches:
        for span in batch.ended:
            assert span.parent not in seen
            seen.add(span.id)
        assert over.isdisjoint(span.trace for span in batch.ended)
        over |= {record.trace for record in batch.runs if record.ended_ns is not None}  # its end comes with its last
    assert sorted(record.request_id for record in fake.runs.values()) == [f"r{number}" for number in range(5)]


def test_a_batch_that_is_refused_for_good_is_dropped_and_the_next_is_tried(quiet):
    fake = Fake(lambda batch: never(batch) if len(fake.batches) % 2 == 0 and fake.calls % 2 else None, most=10)
    tracer = SpanTracer(fake)
    Told(tracer).quick(99).end()
    flushed(tracer)
    counts = holds(tracer.counts)
    assert (counts.produced, counts.pending) == (100, 0)
    assert counts.dropped >= 10
    assert counts.exported == len(fake.spans)
    assert [record.name for record in quiet.records] == ["hush.tracing"]


def test_what_was_taken_of_a_refused_batch_is_counted_as_exported():
    tracer = SpanTracer(Fake(lambda _: ExportError("full", again=False, taken=3), most=10))
    Told(tracer).quick(9).end()
    flushed(tracer)
    assert holds(tracer.counts) == (10, 3, 0, 7, 0)


def test_a_batch_that_may_be_offered_again_is_and_comes_once():
    fake = Fake(lambda batch: again(batch) if fake.calls <= 2 else None)
    tracer = SpanTracer(fake)
    Told(tracer).quick(9).end()
    while not tracer.flush(PATIENCE_S):
        assert fake.calls <= 2
        assert holds(tracer.counts) == (10, 0, 0, 0, 10)
    assert holds(tracer.counts) == (10, 10, 0, 0, 0)
    assert len(fake.runs) == 1


def test_few_are_offered_to_whoever_has_not_answered_yet_or_not_the_last_time():
    refusals = {1: again, 4: again, 6: never}
    offered = []

    def refuse(batch):
        offered.append(len(batch.ended))
        return refusals.get(len(offered), lambda _: None)(batch)

    tracer = SpanTracer(Fake(refuse, live=False, most=50))
    Told(tracer).quick(299).end()
    while not tracer.flush(PATIENCE_S):
        pass
    assert max(offered) == 50
    for number, count in enumerate(offered):
        answered = number > 0 and refusals.get(number) is not again
        assert count <= (50 if answered else 32)
    assert tracer.counts.exported + tracer.counts.dropped == 300


def test_what_is_done_of_a_refused_batch_is_not_offered_again():
    fake = Fake(lambda _: ExportError("busy", again=True, done=3, taken=2) if fake.calls == 1 else None)
    tracer = SpanTracer(fake)
    told = Told(tracer).quick(9)
    while not tracer.flush(PATIENCE_S):
        pass
    told.end()
    flushed(tracer)
    assert holds(tracer.counts) == (10, 9, 0, 1, 0)
    assert len({span.id for span in fake.spans}) == len(fake.spans) == 7
    (run,) = fake.runs.values()
    assert run.dropped == 1


def test_a_file_is_told_whose_spans_they_are_with_the_first_that_fit_at_once():
    """Else the run would stand there without a name, and under way, until the rest comes."""
    fake = Fake(most=500)
    tracer = SpanTracer(fake)
    flushed(tracer)
    Told(tracer).quick(100).end()
    flushed(tracer)
    known = set[str]()
    for batch in fake.batches:
        known |= {record.trace for record in batch.runs} | {span.trace for span in batch.running}
        assert {span.trace for span in batch.ended} <= known


def test_of_a_run_that_was_cancelled_how_it_ended_is_told_first_where_somebody_waits():
    """Whoever cancels it may have no time for all its spans, and then it would pass for one that has crashed."""
    gate = Gate(most=10)
    tracer = SpanTracer(gate)
    told = Told(tracer)
    assert gate.entered.wait(PATIENCE_S)
    told.quick(95)
    told.emit(RunFinished("r", "g", None, told.at_ns, "cancelled", 1.0))
    assert not tracer.flush(0.0)
    gate.open.set()
    flushed(tracer)
    statuses = [[run.status for run in batch.runs] for batch in gate.batches if batch.ended]
    assert statuses == [["cancelled"], *[[]] * 8, ["cancelled"]]
    assert holds(tracer.counts) == (96, 96, 0, 0, 0)


def test_whoever_refuses_for_good_has_answered():
    offered = []

    def refuse(batch):
        offered.append(len(batch.ended))
        return never(batch)

    tracer = SpanTracer(Fake(refuse, live=False, most=50))
    told = Told(tracer).quick(300)
    flushed(tracer)
    assert max(offered) == 50
    told.end()


def test_who_is_busy_every_other_time_and_says_for_how_long_is_offered_as_many_as_ever():
    """Such a server counts requests: small ones would be a sixteenth of what it takes."""
    offered = []

    def refuse(batch):
        offered.append(len(batch.ended))
        return ExportError("busy", again=True, retry_after_s=0.001) if len(offered) % 2 == 0 else None

    tracer = SpanTracer(Fake(refuse, live=False, most=500))
    told = Told(tracer).quick(5_000)
    while not tracer.flush(PATIENCE_S):
        assert len(offered) < 50
    told.end()


@pytest.mark.parametrize(("done", "taken", "lost"), [(3, 2, 1), (3, 3, 0), (0, 0, 0), (0, 3, 0), (50, 1, 9)])
def test_it_is_said_how_many_were_lost_of_a_batch_of_which_the_rest_is_offered_again(quiet, done, taken, lost):
    fake = Fake(lambda _: ExportError("busy", again=True, done=done, taken=taken) if fake.calls == 1 else None)
    tracer = SpanTracer(fake)
    told = Told(tracer).quick(10)
    while not tracer.flush(PATIENCE_S):
        assert fake.calls <= 1
    told.end()
    flushed(tracer)
    assert holds(tracer.counts) == (11, 11 - lost, 0, lost, 0)
    assert [record.dropped for record in quiet.records if record.name == "hush.tracing"] == [lost]


def test_a_batch_is_urgent_if_somebody_waits_for_it():
    came = threading.Event()

    class Waking(Fake):
        def export(self, batch):
            super().export(batch)
            came.set()

    fake = Waking()
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    assert came.wait(PATIENCE_S)
    before = len(fake.batches)
    assert not any(batch.urgent for batch in fake.batches[:1])
    flushed(tracer)
    Told(tracer, "second").quick(3).end()
    flushed(tracer)
    assert len(fake.batches) > before
    assert fake.batches[-1].urgent


@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_it_raises_the_thread_goes_on(error):
    fake = Fake(lambda _: error("what") if fake.calls == 1 else None)
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    flushed(tracer)
    Told(tracer).quick(3).end()
    flushed(tracer)
    assert holds(tracer.counts) == (8, 4, 0, 4, 0)


def test_an_error_whose_text_cannot_be_read_does_no_harm():
    class Mute(Exception):
        def __str__(self) -> str:
            raise OSError

    fake = Fake(lambda _: Mute())
    tracer = SpanTracer(fake)
    Told(tracer).end()
    flushed(tracer)
    assert holds(tracer.counts) == (1, 0, 0, 1, 0)


@pytest.mark.parametrize("most", [0, -1])
def test_an_exporter_that_takes_nothing_at_once_gets_one_at_a_time(most):
    fake = Fake()
    tracer = SpanTracer(fake)
    fake.most = 1
    Told(tracer).quick(3).end()
    flushed(tracer)
    assert all(len(batch.ended) <= 1 for batch in fake.batches)
    assert holds(tracer.counts).exported == 4


def test_one_that_cannot_be_made_yet_is_made_later():
    made: list[Fake] = []

    def make() -> Fake:
        made.append(Fake())
        if len(made) < 3:
            raise OSError("not yet")
        return made[-1]

    tracer = SpanTracer(make)
    Told(tracer).quick(3).end()
    while not tracer.flush(PATIENCE_S):
        assert len(made) < 3
    assert holds(tracer.counts) == (4, 4, 0, 0, 0)
    (record,) = made[-1].runs.values()
    assert record.status == "ok"


def test_of_one_that_can_never_be_made_the_spans_are_dropped():
    def make() -> Fake:
        raise ExportError("no such key", again=False)

    tracer = SpanTracer(make)
    Told(tracer).quick(3).end()
    tracer.flush(PATIENCE_S)
    assert holds(tracer.counts) == (4, 0, 0, 4, 0)


# ── A black hole ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("quick", [False, True])
def test_fifty_thousand_spans_into_a_black_hole(quick):
    """No more than the bound is held, and each that is not is counted; those that say little are left out before."""
    gate = Gate()
    tracer = SpanTracer(gate, max_pending=1_000)
    told = Told(tracer)
    assert gate.entered.wait(PATIENCE_S)
    (told.quick if quick else told.slow)(50_000)
    held = tracer._pipeline
    assert len(held._pending) <= 1_000
    assert len(told.recorder._queue) <= 8_193
    holds(tracer.counts)
    told.end()
    gate.open.set()
    flushed(tracer)
    counts = holds(tracer.counts)
    assert (counts.produced, counts.pending) == (50_001, 0)
    assert (counts.left_out if quick else counts.dropped) >= 40_000
    assert (counts.dropped if quick else counts.left_out) == 0
    assert counts.exported == len(gate.spans)
    (record,) = gate.runs.values()
    assert (record.left_out, record.dropped) == (counts.left_out, counts.dropped)
    assert record.totals[0].calls == 50_000  # totals lose nothing
    assert "run" in {span.kind for span in gate.spans}  # there is room left for what holds others together


@pytest.mark.parametrize("count", [0, 10, 5_000, 30_000])
def test_while_an_exporter_hangs_every_span_is_in_the_counts(count):
    """The thread that makes spans is the one that hangs, and the run has ended."""
    gate = Gate()
    tracer = SpanTracer(gate, max_pending=1_000)
    first = Told(tracer, "first")
    assert gate.entered.wait(PATIENCE_S)
    Told(tracer, "second").slow(count).end()  # begins while it hangs
    first.slow(count).end()
    counts = holds(tracer.counts)
    assert counts.produced == 2 * (count + 1)
    assert counts.pending <= 2_000
    assert counts.exported == 0
    gate.open.set()
    flushed(tracer)
    assert holds(tracer.counts)._replace(exported=0, dropped=0) == (2 * (count + 1), 0, 0, 0, 0)


def test_twenty_thousand_runs_into_one_that_refuses():
    refusing = Fake(again)
    tracer = SpanTracer(refusing, max_pending=500)
    for number in range(12_000):
        Told(tracer, f"r{number}").end()
    tracer.flush(PATIENCE_S)
    pipeline = tracer._pipeline
    assert len(pipeline._delivery._runs) <= 10_000
    assert len(pipeline._pending) <= 1_000
    assert len(pipeline._delivery._running) <= 10_000
    assert not pipeline._recorders
    assert holds(tracer.counts).produced == 12_000
    refusing.refuse = lambda _: None
    flushed(tracer)


def test_a_busy_run_does_not_keep_spans_from_being_exported():
    """While the queue never empties, what came of it goes out."""
    fake = Fake(most=100)
    tracer = SpanTracer(fake, max_pending=1_000_000)
    told = Told(tracer)
    flushed(tracer)
    fold, folds = told.recorder.fold, []

    def busy(most: int, *, wait: bool = True) -> bool:
        fold(most, wait=wait)
        folds.append(len(fake.spans))
        if len(folds) < 3_000:
            told.quick(300)
        return len(folds) < 3_000

    told.recorder.fold = busy  # type: ignore[method-assign]
    told.quick(300)
    flushed(tracer)
    told.recorder.fold = fold  # type: ignore[method-assign]
    assert folds[-1] > 0 or len(folds) < 3_000
    told.end()
    flushed(tracer)
    holds(tracer.counts)


def test_the_counts_are_right_at_any_time():
    fake = Fake(lambda _: never(_) if fake.calls % 3 == 0 else None, most=50)
    tracer = SpanTracer(fake, max_pending=400)
    stop, wrong, seen = threading.Event(), [], []

    def look() -> None:
        while not stop.is_set():
            counts = tracer.counts
            seen.append(counts)
            if min(counts) < 0:
                wrong.append(counts)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    runners = [threading.Thread(target=lambda: [Told(tracer).map(300).end() for _ in range(10)]) for _ in range(3)]
    for thread in (*lookers, *runners):
        thread.start()
    for thread in runners:
        thread.join()
    flushed(tracer)
    stop.set()
    for thread in lookers:
        thread.join()
    assert not wrong
    assert holds(tracer.counts)._replace(exported=0, left_out=0, dropped=0) == (30 * 602, 0, 0, 0, 0)


# ── What is let go ───────────────────────────────────────────────────────────────────────────────────────────────────
class Thing:
    """Something of the user's."""


def test_nothing_of_the_users_is_kept_by_what_waits():
    gate = Gate()
    tracer = SpanTracer(gate)
    told = Told(tracer)
    assert gate.entered.wait(PATIENCE_S)
    things = [Thing() for _ in range(4)]
    refs = [weakref.ref(thing) for thing in things]

    class Mine(Exception):
        """Which can be referred to weakly."""

    error = Mine("x")
    error.thing = things[0]  # type: ignore[attr-defined]
    refs.append(weakref.ref(error))
    told.quick(1, thing=things[1], inner=[{"k": things[2]}])
    told.end(error=error, result={"thing": things[3]})
    del things, error
    gc.collect()
    try:
        assert [ref() for ref in refs] == [None] * 5
    finally:
        gate.open.set()
    flushed(tracer)


def test_the_thread_of_a_tracer_that_nobody_has_ends_when_all_is_exported():
    fake = Fake()
    tracer = SpanTracer(fake)
    told = Told(tracer)
    flushed(tracer)
    pipeline = weakref.ref(tracer._pipeline)
    thread = tracer._pipeline._thread
    assert thread is not None
    del tracer
    gc.collect()
    told.quick(5).end()  # the run goes on without it
    del told
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert (len(fake.spans), fake.closed) == (6, 1)
    del thread
    gc.collect()
    assert pipeline() is None


def test_a_run_that_begins_after_its_tracer_was_thrown_away_is_exported():
    fake = Fake()
    tracer = SpanTracer(fake)
    Told(tracer).end()
    flushed(tracer)
    recorder, thread = tracer.for_run(), tracer._pipeline._thread
    assert thread is not None
    pipeline = tracer._pipeline
    del tracer
    gc.collect()
    thread.join(PATIENCE_S)
    Told(recorder).end()
    assert pipeline.flush(PATIENCE_S)
    assert len(fake.spans) == 2
    second = pipeline._thread
    if second is not None:
        second.join(PATIENCE_S)


def test_a_run_that_never_ends_is_told_of_and_holds_up_nobody():
    fake = Fake()
    tracer = SpanTracer(fake)
    Told(tracer, "forgotten").quick(3)
    Told(tracer, "other").quick(3).end()
    flushed(tracer)
    assert holds(tracer.counts) == (7, 7, 0, 0, 0)
    found = {record.request_id: record.status for record in fake.runs.values()}
    assert found == {"forgotten": "running", "other": "ok"}
    assert any(span.kind == "run" for batch in fake.batches for span in batch.running)


# ── Several at once ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_tracers_with_one_key_share_one_exporter():
    made = []

    def make() -> Fake:
        made.append(Fake())
        return made[-1]

    key = object()
    first, second = SpanTracer(make, key=key), SpanTracer(make, key=key, max_pending=50_000)
    try:
        Told(first).end()
        Told(second).end()
        flushed(first)
        assert len(made) == 1
        assert holds(first.counts) == second.counts == (2, 2, 0, 0, 0)
        assert first._pipeline._pending.most == 50_000
    finally:
        first._pipeline.linger_s = 0.0
        del _pipeline._shared[key]


def small() -> GraphNode:
    def double(x: int) -> dict[str, int]:
        return {"y": 2 * x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as each:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


def test_runs_with_one_id_at_once_on_several_loops_and_threads_do_not_mix():
    fake = Fake()
    tracer = SpanTracer(fake)
    engine = Hush(small())
    barrier = threading.Barrier(3)

    async def many(size: int) -> None:
        barrier.wait(PATIENCE_S)
        await asyncio.gather(
            *(engine.run(inputs={"xs": [*range(size)]}, tracer=tracer, request_id="same") for _ in range(10))
        )

    threads = [threading.Thread(target=asyncio.run, args=(many(size),)) for size in (3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    flushed(tracer)
    traces: dict[str, list[Any]] = {}
    for span in fake.spans:
        traces.setdefault(span.trace, []).append(span)
    assert sorted(len(spans) for spans in traces.values()) == sorted([2 + 2 * size for size in (3, 5, 7)] * 10)
    for spans in traces.values():
        ids = {span.id for span in spans}
        assert len(ids) == len(spans)
        assert all(span.parent in ids for span in spans if span.kind != "run")


def test_the_runs_thread_waits_for_no_lock_that_is_held_while_something_blocks():
    """With the exporter blocked, and another thread making spans of the run, nothing that a run calls waits."""
    gate = Gate()
    tracer = SpanTracer(gate)
    told = Told(tracer)
    assert gate.entered.wait(PATIENCE_S)
    told.recorder._lock.acquire()  # as if the thread stood in the middle of its work
    try:
        told.quick(20_000).end()
    finally:
        told.recorder._lock.release()
    assert tracer._pipeline._lock.acquire(blocking=False)
    tracer._pipeline._lock.release()
    gate.open.set()
    flushed(tracer)
    assert holds(tracer.counts).produced == 20_001


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_exports_what_it_does_itself_and_nothing_of_its_parent():
    code = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))!r})
from observability.fakes import *
gate = Gate()
tracer = SpanTracer(gate)
Told(tracer, "parent").quick(10).end()
assert gate.entered.wait(60)
child = os.fork()
if child == 0:
    gate.open.set()
    Told(tracer, "child").quick(2).end()
    assert tracer.flush(60)
    assert tracer.counts == (3, 3, 0, 0, 0), tracer.counts
    assert {{one.request_id for one in gate.runs.values()}} == {{"child"}}
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
gate.open.set()
assert tracer.flush(60)
assert tracer.counts == (11, 11, 0, 0, 0), tracer.counts
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, **CAPTURED)
    assert done.returncode == 0, done.stderr


# ── The end of the process ───────────────────────────────────────────────────────────────────────────────────────────
def ended(code: str) -> subprocess.CompletedProcess[str]:
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    begin = f"import sys; sys.path.insert(0, {folder!r})\nfrom observability.fakes import *\n"
    return subprocess.run([sys.executable, "-c", begin + code], check=False, **CAPTURED)


def test_what_is_left_when_the_process_ends_is_exported():
    done = ended(
        """
class Loud(Fake):
    def close(self):
        print(len(self.spans), [one.status for one in self.runs.values()])
tracer = SpanTracer(Loud())
Told(tracer).quick(10_000).end()
"""
    )
    assert (done.stdout, done.stderr, done.returncode) == ("10001 ['ok']\n", "", 0)


def test_a_process_whose_exporter_hangs_ends_in_time_says_so_and_the_other_exporters_finish():
    """It is given 4 s; what the clock bounds here is the least that a test can wait for."""
    done = ended(
        """
import time, threading
class Hanging(Fake):
    def export(self, batch):
        threading.Event().wait()
refused = threading.Event()
class Slow(Fake):  # and left alone for a while, but that the process ends
    def export(self, batch):
        if not refused.is_set():
            refused.set()
            raise ExportError("later", again=True)
        time.sleep(0.01)
        super().export(batch)
    def close(self):
        print(len(self.spans))
tracers = [SpanTracer(Slow(most=50)), *(SpanTracer(Hanging()) for _ in range(4))]
for tracer in tracers:
    Told(tracer).quick(2_000).end()
assert refused.wait(60)
"""
    )
    assert (done.stdout, done.returncode) == ("2001\n", 0)
    assert done.stderr.count("2,001 spans were not exported before the process ended") == 4
