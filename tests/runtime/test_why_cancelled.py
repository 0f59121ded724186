"""What is said when a run is cancelled comes out of it, and is in its trace, however it ends."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, RunFinished
from hush.observability import LocalTracer, TraceStore


def waits(begun, ends):
    async def code():
        begun.set()
        await asyncio.Event().wait()

    with GraphNode(name="g") as graph:
        CodeNode(name="code", code_fn=code)
    return graph


def lingers(begun, ends):
    """A thread that ends only after it was cancelled, so that what is raised there is not what was caught."""
    loop = asyncio.get_running_loop()

    def code():
        loop.call_soon_threadsafe(begun.set)
        ends.wait()
        return {}

    with GraphNode(name="g") as graph:
        CodeNode(name="code", code_fn=code, executor="thread")
    return graph


def lingers_in_a_map(begun, ends):
    loop = asyncio.get_running_loop()
    inside = []

    def code(n):
        inside.append(n)
        if len(inside) == 4:
            loop.call_soon_threadsafe(begun.set)
        ends.wait()
        return {"m": n}

    with GraphNode(name="g") as graph, MapNode(name="map", inputs={"n": Each(range(4))}):
        CodeNode(name="code", code_fn=code, inputs={"n": PARENT["n"]}, outputs=PARENT, executor="thread")
    return graph


def cleans_up(begun, ends):
    async def code():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)

    with GraphNode(name="g") as graph, GraphNode(name="inner"):
        CodeNode(name="one", code_fn=code)
        CodeNode(name="two", code_fn=code)
    return graph


@pytest.mark.parametrize(
    ("make", "again"),
    [
        *((make, again) for make in (waits, lingers, lingers_in_a_map) for again in (False, True)),
        (cleans_up, False),  # a second one ends the clean-up, and is what comes out of that
    ],
)
async def test_it_comes_out(make, again):
    begun, ends, told = asyncio.Event(), threading.Event(), []
    run = asyncio.create_task(Hush(make(begun, ends)).run(tracer=Told(told)))
    await begun.wait()
    run.cancel("the shop is closed")
    await asyncio.sleep(0)
    if again:
        run.cancel()
        await asyncio.sleep(0)
    ends.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await run
    assert caught.value.args == ("the shop is closed",)
    (finished,) = told
    assert (finished.status, finished.error.args) == ("cancelled", ("the shop is closed",))


class Told:
    def __init__(self, told):
        self.told = told

    def emit(self, event):
        if isinstance(event, RunFinished):
            self.told.append(event)


async def test_of_a_stream_that_is_left():
    told, begun = [], asyncio.Event()
    stream = Hush(waits(begun, None)).stream({}, tracer=Told(told))
    async with stream:
        async for _ in stream:
            break
    (finished,) = told
    assert finished.error.args == ("nobody reads its stream any more",)


async def test_it_is_no_error_in_the_file_of_traces(tmp_path):
    """Of what did not fail, ``error`` is ``NULL``: whoever counts failures with SQL does not count it."""
    begun, tracer = asyncio.Event(), LocalTracer(tmp_path / "t.db")
    run = asyncio.create_task(Hush(waits(begun, None)).run(tracer=tracer))
    await begun.wait()
    run.cancel("the shop is closed")
    with pytest.raises(asyncio.CancelledError):
        await run
    assert tracer.flush()
    with closing(sqlite3.connect(tmp_path / "t.db")) as file:
        assert file.execute("SELECT status, error FROM runs").fetchall() == [("cancelled", None)]
        assert file.execute("SELECT DISTINCT status, error FROM spans").fetchall() == [("cancelled", None)]
    (kept,) = TraceStore(tmp_path / "t.db").runs()
    assert kept.failure.message == "the shop is closed"
