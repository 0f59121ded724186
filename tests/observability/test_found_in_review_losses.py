"""What is lost is counted: found by counting with an exporter that hangs, and a disk that is full."""

from __future__ import annotations

import asyncio
import logging
from threading import Event

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, code_node
from hush.observability._exporter import ExportError
from hush.observability._recorder import MOST_QUEUED
from hush.observability._tracer import SpanTracer
from observability.fakes import PATIENCE_S, Gate, Told, flushed


@code_node
def same(i):
    return {"y": i}


def mapped():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"i": Each(PARENT["xs"])}) as each:
            same(inputs={"i": PARENT["i"]}, outputs=PARENT)
        each["y"] >> PARENT["y"]
    return graph


class Hanging:
    live = False
    most = 10

    def __init__(self):
        self.hangs, self.goes_on = Event(), Event()

    def export(self, batch, /):
        self.hangs.set()
        self.goes_on.wait(30)

    def close(self):
        pass


async def test_what_a_hanging_exporter_kept_from_being_made_is_lost_and_counted(caplog):
    exporter = Hanging()
    tracer = SpanTracer(lambda: exporter)
    try:
        await Hush(mapped()).run({"xs": range(3)}, tracer=tracer)
        assert await asyncio.to_thread(exporter.hangs.wait, 30)
        await Hush(mapped()).run({"xs": range(100)}, tracer=tracer)  # nobody makes spans of this one
        with caplog.at_level(logging.WARNING, "hush.tracing"):
            tracer._pipeline.close(0.0)
        counts = tracer.counts
        assert counts.produced == counts.dropped == (2 + 2 * 3) + (2 + 2 * 100)
        assert f"{counts.dropped} spans were not exported before the process ended: no answer yet" in caplog.text
    finally:
        exporter.goes_on.set()


@pytest.mark.parametrize("live", [True, False])
def test_runs_that_end_while_an_exporter_hangs_do_not_pile_up(live):
    """Nobody made spans of them, so there was no bound to what waited: 16 KB for each run of 20 calls."""
    gate = Gate(live=live)
    tracer = SpanTracer(gate, max_pending=100)
    Told(tracer, "first").end()
    assert gate.entered.wait(PATIENCE_S)
    for number in range(3_000):
        Told(tracer, f"r{number}").quick(20).end()
    pipeline = tracer._pipeline
    assert sum(each.waiting() for each in pipeline._new) <= MOST_QUEUED + 22
    before = tracer.counts
    gate.open.set()
    flushed(tracer)
    after = tracer.counts
    for counts in (before, after):
        assert counts.produced == counts.exported + counts.left_out + counts.dropped + counts.pending == 1 + 3_000 * 21
    assert before.exported == after.pending == 0
    assert len(gate.runs) == 3_001
    assert {run.status for run in gate.runs.values()} == {"ok"}
    told = [(run.produced, run.left_out + run.dropped) for run in gate.runs.values() if run.request_id != "first"]
    assert {produced for produced, _ in told} == {21}
    assert sum(lost for _, lost in told) == after.left_out + after.dropped
    assert not pipeline._new
    assert not pipeline._hearing


class Refusing:
    """Takes everything but the first batch with spans in it."""

    live = True
    most = 1000

    def __init__(self):
        self.refused, self.taken, self.runs = 0, 0, []

    def export(self, batch, /):
        if batch.ended and not self.refused:
            self.refused = len(batch.ended)
            raise ExportError("the disk is full", again=False)
        self.taken += len(batch.ended)
        self.runs += batch.runs

    def close(self):
        pass


def test_an_exporter_that_hangs_does_not_take_the_time_of_another_at_exit():
    hanging, other = Hanging(), Hanging()
    other.goes_on.set()
    one, another = SpanTracer(lambda: hanging), SpanTracer(lambda: other)
    try:
        Hush(mapped()).run_sync({"xs": range(3)}, tracer=[one, another])
        one._pipeline.begin_to_close()
        another._pipeline.begin_to_close()
        another._pipeline._thread.join(30)
        assert another.counts.exported == another.counts.produced == 8
        assert one.counts.exported == 0
    finally:
        hanging.goes_on.set()
        one._pipeline.close(30)


async def test_a_run_knows_what_of_it_was_refused():
    exporter = Refusing()
    tracer = SpanTracer(lambda: exporter)

    @code_node
    async def written(y):
        await asyncio.to_thread(tracer.flush)

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"i": Each(PARENT["xs"])}) as each:
            same(inputs={"i": PARENT["i"]}, outputs=PARENT)
        written(inputs={"y": each["y"]})
    await Hush(graph).run({"xs": range(5)}, tracer=tracer)
    await asyncio.to_thread(tracer.flush)
    last = exporter.runs[-1]
    assert last.status == "ok"
    assert exporter.refused
    assert (last.produced, last.dropped) == (exporter.taken + exporter.refused, exporter.refused)
