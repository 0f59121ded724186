"""Where a pipeline could lose a run, spin, hang or go on for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable
from threading import Condition
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapStarted,
    NodeAnswered,
    NodeCalled,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeRerouted,
    NodeRetrying,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability import LocalTracer, TraceStore, _pipeline
from hush.observability._bounds import PREVIEW
from hush.observability._complaints import Complaints
from hush.observability._delivery import Delivery
from hush.observability._ending import close_all
from hush.observability._exporter import ExportError
from hush.observability._pending import Pending
from hush.observability._pipeline import pipeline_of
from hush.observability._recorder import MOST_QUEUED, RunRecorder
from hush.observability._sampling import Sampling
from hush.observability._span import Batch, RunRecord, Totals
from hush.observability._tracer import SpanTracer
from observability.fakes import PATIENCE_S, Fake, Gate, Told, again, flushed


def doubling() -> Hush:
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": 2 * x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    return Hush(graph)


def test_no_run_is_left_running_however_many_end_while_nothing_is_taken():
    refuses = threading.Event()
    fake = Fake(lambda batch: again(batch) if refuses.is_set() else None)
    tracer = SpanTracer(fake)
    refuses.set()
    for number in range(12_000):
        Told(tracer, f"r{number}").end()
    tracer.flush(0.01)
    refuses.clear()
    flushed(tracer)
    assert {record.status for record in fake.runs.values()} == {"ok"}
    assert len(fake.runs) == len(fake.spans) == 12_000


def test_an_event_behind_the_last_one_does_not_hide_it():
    """As of a command that records the end itself, after a signal."""
    fake = Fake()
    tracer = SpanTracer(fake)
    recorder = tracer.for_run()
    recorder.emit(RunStarted("r", "g", None, 1, 1))
    recorder.emit(NodeStarted("r", "g/n", None, 2, ()))
    recorder.emit(RunFinished("r", "g", None, 9, "cancelled", 1.0, CancelledError()))
    recorder.emit(NodeFinished("r", "g/n", None, 10, (), None))
    recorder.emit(NodeRan("r", "g/n", None, 12, (), 11, 11, {}, {}))
    flushed(tracer)
    assert [record.status for record in fake.runs.values()] == ["cancelled"]
    assert not tracer._pipeline._recorders
    assert tracer.counts.produced == len(fake.spans) == 2


class Sly(BaseException):
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "event",
    [
        NodeAnswered("r", "g/n", None, 2, "llm:a", None),  # type: ignore[arg-type]
        NodeCalled("r", "g/n", None, 2, 3),  # type: ignore[arg-type]
        NodeRan("r", "g/n", None, 2, (), 2, 2, 3, 4),  # type: ignore[arg-type]
        NodeFailed("r", "g/n", None, 2, Sly()),
        NodeRetrying("r", "g/n", None, 2, 1, Sly(), 0.0),
        NodeRerouted("r", "g/n", None, 2, 1, Sly(), "llm:a", "llm:b"),
        ItemFailed("r", "g/n", 0, 2, Sly()),
        NodeFinished("r", "g/n", None, 2, 7),  # type: ignore[arg-type]
        NodeFailed("r", "g/n", "no number", 2, ValueError(), outer=3),  # type: ignore[arg-type]
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_cannot_be_kept_or_understood_does_not_cost_the_trace(event):
    fake = Fake()
    tracer = SpanTracer(fake)
    recorder = tracer.for_run()
    recorder.emit(RunStarted("r", "g", None, 1, 1, kinds={"g/n": "code"}))
    recorder.emit(NodeStarted("r", "g/n", None, 2, ()))
    recorder.emit(event)
    recorder.emit(RunFinished("r", "g", None, 9, "ok", 1.0))
    flushed(tracer)
    assert [record.status for record in fake.runs.values()] == ["ok"]
    assert not tracer._pipeline._recorders


def test_a_tracer_that_nobody_refers_to_ends_its_thread_and_closes_its_file(tmp_path):
    engine, threads = doubling(), []
    for number in range(10):
        tracer = LocalTracer(tmp_path / f"{number}.db")
        tracer._pipeline.linger_s = 0.0
        asyncio.run(engine.run({"x": 1}, tracer=tracer))
        flushed(tracer)
        threads.append(tracer._pipeline._thread)
        exporter = tracer._pipeline._delivery.exporter
    del tracer
    gc.collect()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert exporter._connection is None


def test_one_of_a_later_tracer_goes_on_where_the_first_ended(tmp_path):
    engine = doubling()
    for number in range(3):
        tracer = LocalTracer(tmp_path / "traces.db")
        asyncio.run(engine.run({"x": 1}, tracer=tracer, request_id=str(number)))
        flushed(tracer)
        pipeline, thread = tracer._pipeline, tracer._pipeline._thread
        pipeline.linger_s = 0.0 if number else 60.0
        del tracer
        gc.collect()
        assert thread is not None
        if number:
            pipeline.wake()
            thread.join(PATIENCE_S)
        assert thread.is_alive() is (number == 0)
    assert [run.request_id for run in TraceStore(tmp_path / "traces.db").runs()] == ["2", "1", "0"]


def test_places_that_nobody_writes_to_any_more_are_forgotten(tmp_path):
    """Of a service that writes a file for each request each of them stayed in memory for ever."""
    used = LocalTracer(tmp_path / "used.db")
    told_of = LocalTracer(tmp_path / "complaints.db")._pipeline
    told_of.complain("something is wrong")
    asyncio.run(doubling().run({"x": 1}, tracer=LocalTracer(tmp_path / "waits.db")))
    waits = pipeline_of(("local", str(tmp_path / "waits.db")), Fake(), 1)
    waits.let_go()
    gc.collect()
    for number in range(200):
        LocalTracer(tmp_path / f"{number}.db")
    shared = _pipeline._shared
    assert len([key for key in shared if str(tmp_path) in str(key)]) < 100
    assert {used._pipeline, told_of, waits} <= set(shared.values())
    assert LocalTracer(tmp_path / "used.db")._pipeline is used._pipeline
    told_of.close(PATIENCE_S)  # or it would be said at the end of all tests


def test_after_the_end_of_the_process_nothing_is_exported_over_and_over():
    gate = Gate(most=1)
    tracer = SpanTracer(gate)
    for number in range(20):
        Told(tracer, str(number)).end()
    tracer._pipeline.wake()
    thread = tracer._pipeline._thread
    assert gate.entered.wait(PATIENCE_S)
    tracer._pipeline.close(0.01)
    gate.open.set()
    assert thread is not None
    thread.join(PATIENCE_S)
    assert gate.calls < 5


def test_an_exporter_that_asks_for_a_day_is_asked_again_within_minutes():
    fake = Fake(lambda _: ExportError("full", again=True, retry_after_s=86_400))
    tracer = SpanTracer(fake)
    Told(tracer).end()
    tracer.flush(PATIENCE_S)
    assert 200 < tracer._pipeline._delivery.asked_until_s - time.monotonic() <= 300
    tracer._pipeline.close(0.01)


def test_of_two_tracers_of_one_run_that_write_to_one_place_one_is_heard(tmp_path, caplog):
    tracers = [LocalTracer(tmp_path / "traces.db") for _ in range(2)]
    for _ in range(2):
        asyncio.run(doubling().run({"x": 1}, tracer=tracers))
    flushed(tracers[0])
    store = TraceStore(tmp_path / "traces.db")
    for run in store.runs():
        spans = list(store.spans(run.trace))
        assert len({span.id for span in spans}) == len(spans) == 2
    assert "two tracers of one run write to the same place" in caplog.text
    assert tracers[0].counts.produced == 4


def test_a_run_that_never_rests_is_never_far_ahead_of_its_tracer():
    """What it tells waits in memory: the pipeline's thread must not stand in its way when it makes spans itself."""
    fake = Fake(most=5_000)
    tracer = SpanTracer(fake)
    told = Told(tracer)
    told.emit(NodeStarted("r", "g/m", None, told.at_ns))
    told.emit(MapStarted("r", "g/m", None, told.at_ns, 150_000))
    most = 0
    for item in range(150_000):
        told.emit(NodeRan("r", "g/m/n", item, item + 2, (), item, item, {"x": item}, {"y": item}))
        told.emit(ItemFinished("r", "g/m", item, item + 3))
        if not item % 100:
            most = max(most, told.recorder.waiting())
    told.end()
    flushed(tracer)
    assert MOST_QUEUED // 2 < most < 1.25 * MOST_QUEUED
    assert tracer.counts.produced == tracer.counts.exported + tracer.counts.left_out


class Hangs(Fake):
    def __init__(self, opened: threading.Event) -> None:
        super().__init__()
        self.entered, self.opened = threading.Event(), opened

    def export(self, batch: Batch, /) -> None:
        self.entered.set()
        assert self.opened.wait(PATIENCE_S)


def test_however_many_hang_the_end_of_the_process_waits_for_all_of_them_together():
    opened = threading.Event()
    fakes = [Hangs(opened) for _ in range(30)]
    tracers = [SpanTracer(fake) for fake in fakes]
    waits: list[float] = []
    for tracer, fake in zip(tracers, fakes, strict=True):
        Told(tracer).end()
        tracer._pipeline.wake()
        assert fake.entered.wait(PATIENCE_S)
    pipelines = [_Timed(tracer._pipeline, waits.append) for tracer in tracers]
    close_all(pipelines, 0.05)  # type: ignore[arg-type]
    assert len(waits) == 30
    assert sum(waits) <= 0.05 + 30 * 0.011
    opened.set()


class _Timed:
    """Notes for how long a pipeline is asked to wait."""

    def __init__(self, pipeline: Any, note: Callable[[float], None]) -> None:
        self.begin_to_close = pipeline.begin_to_close
        self._close, self._note = pipeline.close, note

    def close(self, timeout_s: float) -> None:
        began_s = time.monotonic()
        self._close(timeout_s)
        self._note(min(timeout_s, time.monotonic() - began_s))


def test_a_pipeline_that_is_closed_answers_a_flush_at_once():
    fake = Fake()
    tracer = SpanTracer(fake)
    Told(tracer).end()
    flushed(tracer)
    tracer._pipeline.close(PATIENCE_S)
    began_s = time.monotonic()
    assert tracer.flush(PATIENCE_S)
    assert time.monotonic() - began_s < PATIENCE_S / 2


def test_where_no_thread_may_start_what_was_told_is_exported_at_the_end(monkeypatch):
    """As since Python 3.12 while the interpreter ends."""
    fake = Fake()
    tracer = SpanTracer(fake)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    Told(tracer).quick(3).end()
    assert not tracer.flush(PATIENCE_S)
    tracer._pipeline.close(PATIENCE_S)
    assert len(fake.spans) == 4
    assert fake.closed == 1
    assert fake.threads == {threading.get_ident()}


def test_a_thread_that_could_not_start_is_tried_again(monkeypatch):
    fake = Fake()
    tracer = SpanTracer(fake)
    with monkeypatch.context() as patch:
        patch.setattr(
            threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread"))
        )
        Told(tracer, "first").end()
    Told(tracer, "second").end()
    flushed(tracer)
    assert len(fake.runs) == 2


def test_of_runs_that_wait_the_totals_have_a_bound_too():
    """While a collector was down, 30 KB waited of each run of a graph of 50 nodes, of up to 80,000 runs."""
    lock, fake = Condition(), Fake(again)
    pending = Pending(lock, 10)
    delivery = Delivery(fake, pending, Complaints(lock), lock)
    totals = tuple(Totals(f"g/{number}", "code") for number in range(100))
    for number in range(300):
        told = RunRecord(f"{number:032}", str(number), "g", "running", 1)
        delivery.tell((), (), told)
        delivery.tell((), (), told._replace(status="ok", totals=totals))
    assert not delivery.export((), surely=True)
    fake.refuse = lambda _: None
    assert delivery.export((), surely=True)
    assert [(run.status, len(run.totals)) for run in fake.runs.values()] == [("ok", 0)] * 200 + [("ok", 100)] * 100
    assert not delivery.is_waiting
    delivery.tell((), (), told._replace(totals=200 * totals))
    assert delivery.export((), surely=True)
    assert len(fake.batches[-1].runs[0].totals) == 20_000


class _FoldedMeanwhile(RunRecorder):
    """Its end is folded by somebody who counts, just after it was asked for its news."""

    end_of: Callable[[], Any] | None = None

    def news(self, *, live: bool, beats: bool = True) -> Any:
        found = super().news(live=live, beats=beats)
        if self.end_of is not None:
            end, self.end_of = self.end_of, None
            end()
            self.fold(self.waiting())
        return found


def test_a_run_whose_end_is_folded_between_two_looks_is_told_of_as_ended():
    fake = Fake()
    tracer = SpanTracer(fake)
    recorder = _FoldedMeanwhile(tracer._pipeline, PREVIEW, Sampling(), (), None)
    told = Told(recorder)
    recorder.end_of = told.end
    flushed(tracer)
    flushed(tracer)
    assert [record.status for record in fake.runs.values()] == ["ok"]


def test_of_runs_of_which_nothing_is_heard_one_says_that_their_process_is_there():
    fake = Fake()
    tracer = SpanTracer(fake)
    told = [Told(tracer, run) for run in "abc"]
    flushed(tracer)
    assert {*"abc"} == {run.request_id for run in fake.runs.values()}
    before = len(fake.batches)
    for each in told:
        each.recorder._told_ns = 1  # long ago
    flushed(tracer)
    assert {run.request_id for batch in fake.batches[before:] for run in batch.runs} == {"a"}
    for each in told:
        each.end()
    flushed(tracer)
    assert {run.status for run in fake.runs.values()} == {"ok"}


def test_what_a_run_that_is_over_held_back_in_vain_crowds_nobody():
    """After a fault of ours in its end."""
    tracer = SpanTracer(Fake())
    told = Told(tracer)
    told.emit(NodeStarted("r", "g/m", None, told.at_ns))
    told.emit(MapStarted("r", "g/m", None, told.at_ns, 3))
    told.emit(NodeStarted("r", "g/m/n", 0, told.at_ns))
    told.emit(NodeFinished("r", "g/m/n", 0, told.at_ns))
    flushed(tracer)
    pipeline = tracer._pipeline
    assert pipeline.crowd(0) == (1, pipeline._pending.most)
    told.recorder.tree._close = None  # type: ignore[method-assign,assignment]
    told.end()
    assert tracer.flush(PATIENCE_S)
    assert not pipeline._recorders
    assert pipeline.crowd(0)[0] == 0
