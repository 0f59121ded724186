"""Generators that a map goes through are always closed, and at once, however the map ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, SourceError
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.feeding import breaks_after, mapped, zipped
from runtime.observing import outcome, until


class Opened:
    """Sources that count how often they are open."""

    def __init__(self):
        self.open = 0
        self.began = threading.Event()

    def rows(self, count=1000):
        self.open += 1
        self.began.set()
        try:
            yield from range(count)
        finally:
            self.open -= 1

    async def async_rows(self, count=1000):
        self.open += 1
        self.began.set()
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            self.open -= 1


KINDS = pytest.mark.parametrize("kind", ["rows", "async_rows"])
LOOPS = pytest.mark.parametrize("run", [run_virtual, lambda make: asyncio.run(make())], ids=["virtual", "real"])


@KINDS
@LOOPS
def test_a_generator_is_closed_after_success(kind, run):
    opened = Opened()
    engine = Hush(mapped())
    run(lambda: engine.run({"rows": getattr(opened, kind)(10)}))
    assert opened.open == 0


@KINDS
@LOOPS
def test_a_generator_is_closed_after_a_failure(kind, run):
    """It is not at its end: somebody must close it, at once, and not the garbage collector some day."""
    opened = Opened()

    async def body(x):
        raise Boom("item")

    engine = Hush(mapped(fn=body, on_error="raise"))
    with pytest.raises(Boom):
        run(lambda: engine.run({"rows": getattr(opened, kind)()}))
    assert opened.open == 0


@KINDS
@LOOPS
def test_a_generator_is_closed_when_the_run_is_cancelled(kind, run):
    opened, rows = Opened(), []

    async def body(x):
        await asyncio.Event().wait()
        return {"y": x}

    engine = Hush(mapped(fn=body, max_concurrency=2))

    async def main():
        rows.append(getattr(opened, kind)())
        task = asyncio.ensure_future(engine.run({"rows": rows[0]}))
        await until(opened.began.is_set)
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert opened.open == 0

    run(main)


@KINDS
@LOOPS
def test_a_generator_is_closed_when_a_sibling_of_its_map_fails(kind, run):
    opened = Opened()

    async def fails():
        await until(opened.began.is_set)
        raise Boom("sibling")

    async def body(x):
        await asyncio.Event().wait()

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}):
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]})
        CodeNode(name="fails", code_fn=fails, inputs={})
    engine = Hush(graph)
    with pytest.raises(Boom):
        run(lambda: engine.run({"rows": getattr(opened, kind)()}))
    assert opened.open == 0


@KINDS
@LOOPS
def test_the_longer_generator_is_closed_when_lengths_differ(kind, run):
    opened = Opened()
    engine = Hush(zipped())
    with pytest.raises(SourceError):
        run(lambda: engine.run({"a": getattr(opened, kind)(), "b": [1, 2, 3]}))
    assert opened.open == 0


@KINDS
@LOOPS
def test_a_generator_is_closed_when_the_source_beside_it_raises(kind, run):
    opened = Opened()
    engine = Hush(zipped())
    with pytest.raises(Boom):
        run(lambda: engine.run({"a": getattr(opened, kind)(), "b": breaks_after(5, Boom("b"))}))
    assert opened.open == 0


@KINDS
def test_a_generator_is_closed_when_a_later_source_is_refused(kind):
    """Opened or not: what was handed to a map that cannot start is closed as well."""
    opened, rows = Opened(), []

    async def main():
        rows.append(getattr(opened, kind)())
        with pytest.raises(SourceError):
            await Hush(zipped()).run({"a": rows[0], "b": "text"})

    run_virtual(main)
    assert opened.open == 0
    assert (rows[0].gi_frame if kind == "rows" else rows[0].ag_frame) is None


@LOOPS
def test_a_generator_inside_an_item_of_another_map_is_closed(run):
    opened = Opened()

    def body(x):
        raise Boom("item")

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"i": Each(range(3))}):
        make = CodeNode(name="make", code_fn=lambda i: {"rows": opened.rows()}, inputs={"i": PARENT["i"]})
        with MapNode(name="n", inputs={"x": Each(make["rows"])}, on_error="raise"):
            CodeNode(name="o", code_fn=body, inputs={"x": PARENT["x"]})
    assert run(Hush(graph).run).errors.total == 3
    assert opened.open == 0


def test_the_finally_of_a_generator_runs_once_and_its_cleanup_is_waited_for():
    closed = []

    async def rows():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(3)
            closed.append(1)

    async def body(x):
        await asyncio.sleep(1)
        raise Boom("item")

    found = outcome(mapped(fn=body, on_error="raise"), {"rows": rows()})
    assert (closed, found.at_s) == ([1], 4)


def test_an_async_source_is_cancelled_while_it_waits_and_may_clean_up():
    closed = []

    async def rows():
        try:
            yield 1
            await asyncio.sleep(9)
            yield 2
        finally:
            await asyncio.sleep(0.5)
            closed.append("rows")

    engine = Hush(mapped())

    async def main():
        task = asyncio.ensure_future(engine.run({"rows": rows()}))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), asyncio.get_running_loop().time()

    assert run_virtual(main) == (True, 1.5)
    assert closed == ["rows"]
