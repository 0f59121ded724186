"""A run that ends while the disk is full has ended: its row says so as soon as there is room, and what is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import LocalTracer, TraceStore
from hush.observability._tracer import SpanTracer
from observability.fakes import PATIENCE_S, Fake, Told, flushed, never


async def test_a_row_fits_where_the_spans_did_not(tmp_path):
    """The file has room for a page, and the spans of the last batch need a hundred."""
    began, go = asyncio.Event(), asyncio.Event()

    async def waits(n):
        began.set()
        await go.wait()
        return {"text": str(n) * 3_000}

    with GraphNode(name="shop") as graph:
        with MapNode(name="each", inputs={"n": Each(range(100, 200))}) as each:
            CodeNode(name="one", code_fn=waits, inputs={"n": PARENT["n"]}, outputs=PARENT)
        each["text"] >> PARENT["texts"]
    tracer = LocalTracer(tmp_path / "traces.db", keep_values=True)
    handle = Hush(graph).start({}, tracer=tracer, request_id="full")
    await began.wait()
    assert await asyncio.to_thread(tracer.flush, PATIENCE_S)
    store = TraceStore(tmp_path / "traces.db")
    assert store.find("full").status == "running"
    disk = tracer._pipeline._delivery.exporter._connection
    pages = disk.execute("PRAGMA page_count").fetchone()[0]
    disk.execute(f"PRAGMA max_page_count = {pages + 1}")
    go.set()
    await handle
    await asyncio.to_thread(tracer.flush, PATIENCE_S)
    run, counts = store.find("full"), tracer.counts
    assert run.status == "ok"
    assert run.ended_ns is not None
    assert run.dropped == counts.dropped > 0
    assert run.produced == counts.produced == counts.exported + counts.dropped
    assert not list(store.spans(run.trace, failed=True))  # nothing in it is taken to be under way
    tracer._pipeline.close(PATIENCE_S)


@pytest.mark.parametrize("when", ["later", "at the end of the process"])
def test_one_that_takes_nothing_is_told_how_the_run_ended_when_it_takes_something(when):
    full = threading.Event()
    fake = Fake(lambda batch: never(batch) if full.is_set() else None)
    tracer = SpanTracer(fake)
    told = Told(tracer)
    flushed(tracer)
    (run,) = fake.runs
    assert fake.runs[run].status == "running"
    full.set()
    told.quick(20).end()
    flushed(tracer)
    assert fake.runs[run].status == "running"
    full.clear()
    if when == "later":
        flushed(tracer)
    tracer._pipeline.close(PATIENCE_S)
    assert fake.runs[run].status == "ok"
    assert (fake.runs[run].produced, fake.runs[run].dropped) == (21, 21)
    assert tracer.counts == (21, 0, 0, 21, 0)


def test_one_that_never_takes_anything_is_asked_now_and_then():
    fake = Fake(never)
    tracer = SpanTracer(fake)
    for _ in range(50):
        Told(tracer).quick(20).end()
        tracer.flush(PATIENCE_S)
    # At each flush: once with the spans, once with the runs alone. Between two it is left alone.
    assert fake.calls <= 110
    assert len(tracer._pipeline._delivery._runs) <= 50
    tracer._pipeline.close(PATIENCE_S)
    assert tracer.counts == (1_050, 0, 0, 1_050, 0)
