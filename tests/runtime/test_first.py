"""`first=`: only so many items are taken; no further one is pulled, and sources are closed."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, MapStarted, SourceError
from hush.testing import Recorder, leak_check, run_virtual
from kit.faults import Boom, label
from runtime.observing import outcome


def double(x):
    return {"y": x * 2}


async def double_later(x):
    await asyncio.sleep(0.001 * (7 - x % 7))
    return {"y": x * 2}


bodies = pytest.mark.parametrize("fn", [double, double_later])


def mapped(source=PARENT["rows"], fn=double, pull=None, **options):
    each_of = Each(source) if pull is None else Each(source, pull=pull)
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": each_of}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


class Watched:
    """A generator of numbers that counts what is pulled, and knows whether it was closed."""

    def __init__(self, count=None, fails_at=None):
        self.pulled = []
        self.closed = False
        self._count, self._fails_at = count, fails_at

    def rows(self):
        try:
            for number in itertools.count() if self._count is None else range(self._count):
                if number == self._fails_at:
                    raise Boom("source")
                self.pulled.append(number)
                yield number
        finally:
            self.closed = True

    async def arows(self):
        try:
            for number in itertools.count() if self._count is None else range(self._count):
                await asyncio.sleep(0)
                if number == self._fails_at:
                    raise Boom("source")
                self.pulled.append(number)
                yield number
        finally:
            self.closed = True
            await asyncio.sleep(0)


kinds = pytest.mark.parametrize("kind", ["rows", "arows"])


# ── No further item is pulled ────────────────────────────────────────────────────────────────────────────────────────


@bodies
@kinds
@pytest.mark.parametrize("workers", [1, 3, 16])
@pytest.mark.parametrize("first", [1, 2, 10, 33, 70])
def test_of_an_endless_generator_just_so_many_are_pulled_and_it_is_closed(first, workers, kind, fn):
    source = Watched()
    found = outcome(mapped(fn=fn, first=first, max_concurrency=workers), {"rows": getattr(source, kind)()}).result
    assert found["ys"] == [x * 2 for x in range(first)]
    assert (source.pulled, source.closed) == ([*range(first)], True)


@bodies
@kinds
@pytest.mark.parametrize("first", [1, 10, 40])
async def test_nor_on_a_real_loop_where_a_thread_pulls_in_chunks(first, kind, fn):
    source = Watched()
    async with leak_check():
        result = await Hush(mapped(fn=fn, first=first)).run({"rows": getattr(source, kind)()})
    assert result["ys"] == [x * 2 for x in range(first)]
    assert (source.pulled, source.closed) == ([*range(first)], True)


async def test_nor_where_it_is_pulled_inline():
    source = Watched()
    result = await Hush(mapped(fn=double_later, pull="inline", first=3)).run({"rows": source.rows()})
    assert (result["ys"], source.pulled, source.closed) == ([0, 2, 4], [0, 1, 2], True)


@kinds
def test_a_source_that_would_fail_at_the_next_item_does_not(kind):
    source = Watched(fails_at=5)
    assert outcome(mapped(first=5), {"rows": getattr(source, kind)()}).result["ys"] == [0, 2, 4, 6, 8]


@kinds
def test_a_source_that_fails_before_still_fails_the_map(kind):
    source = Watched(fails_at=4)
    assert label(outcome(mapped(first=5), {"rows": getattr(source, kind)()}).error) == "source"


@kinds
@pytest.mark.parametrize(("count", "first"), [(0, 1), (3, 4), (3, 3), (3, 1000)])
def test_a_shorter_source_gives_what_it_has(count, first, kind):
    source = Watched(count)
    found = outcome(mapped(first=first), {"rows": getattr(source, kind)()}).result
    assert found["ys"] == [x * 2 for x in range(min(count, first))]
    assert source.closed


@pytest.mark.parametrize("rows", [[*range(9)], range(9), tuple(range(9))], ids=lambda rows: type(rows).__name__)
def test_of_a_list_the_first_are_taken(rows):
    recorder = Recorder()
    assert outcome(mapped(first=4), {"rows": rows}, tracer=recorder).result["ys"] == [0, 2, 4, 6]
    assert [event.total for event in recorder.of(MapStarted)] == [4]


def test_what_waits_for_an_eleventh_item_does_not_hang():
    """A queue that never gets an eleventh item: whoever asks for one waits for ever."""

    async def main():
        queue = asyncio.Queue()
        for number in range(10):
            queue.put_nowait(number)

        async def rows():
            while True:
                yield await queue.get()

        return await Hush(mapped(fn=double_later, first=10)).run({"rows": rows()})

    assert run_virtual(main)["ys"] == [x * 2 for x in range(10)]


async def test_nor_does_one_in_a_thread():
    never = threading.Event()

    def rows():
        yield from range(10)
        never.wait(30)

    async with asyncio.timeout(5):
        result = await Hush(mapped(first=10)).run({"rows": rows()})
    assert len(result["ys"]) == 10


# ── Several Each ─────────────────────────────────────────────────────────────────────────────────────────────────────


def zipped(**options):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"a": Each(PARENT["a"]), "b": Each(PARENT["b"])}, **options) as each:
            CodeNode(
                name="n",
                code_fn=lambda a, b: {"y": (a, b)},
                inputs={"a": PARENT["a"], "b": PARENT["b"]},
                outputs={"y": PARENT["y"]},
            )
        each["y"] >> PARENT["ys"]
    return graph


@pytest.mark.parametrize("workers", [1, 16])
@pytest.mark.parametrize("one", ["rows", "arows"])
@pytest.mark.parametrize("other", ["rows", "arows"])
def test_of_each_of_several_sources_just_so_many_are_pulled(one, other, workers):
    a, b = Watched(), Watched()
    graph = zipped(first=5, max_concurrency=workers)
    found = outcome(graph, {"a": getattr(a, one)(), "b": getattr(b, other)()}).result
    assert found["ys"] == [(x, x) for x in range(5)]
    assert (a.pulled, b.pulled, a.closed, b.closed) == ([*range(5)], [*range(5)], True, True)


def test_an_endless_source_beside_a_list_can_be_tried():
    b = Watched()
    assert len(outcome(zipped(first=3), {"a": [7, 8, 9, 10], "b": b.rows()}).result["ys"]) == 3
    assert b.pulled == [0, 1, 2]


def test_one_that_ends_too_early_fails_the_map():
    error = outcome(zipped(first=5), {"a": Watched(3).rows(), "b": Watched(9).rows()}).error
    assert isinstance(error, SourceError)


# ── With the rest ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_failed_items_count_among_the_first():
    def body(x):
        if x < 3:
            raise Boom(x)
        return {"y": x}

    source = Watched()
    found = outcome(mapped(fn=body, first=4), {"rows": source.rows()}).result
    assert (found["ys"], found.errors.total, source.pulled) == ([None, None, None, 3], 3, [0, 1, 2, 3])


def test_each_inner_map_takes_its_own_first():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"row": Each([[1, 2, 3], [], [4], [5, 6]])}, first=3) as outer:
            with MapNode(name="b", inputs={"x": Each(PARENT["row"])}, first=2) as inner:
                CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs=PARENT)
            inner["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["all"]
    assert outcome(graph).result["all"] == [[2, 4], [], [8]]


def test_a_generator_that_was_tried_is_used_up():
    rows = (number for number in range(9))
    engine = Hush(mapped(first=2))
    assert run_virtual(lambda: engine.run({"rows": rows}))["ys"] == [0, 2]
    with pytest.raises(SourceError):
        run_virtual(lambda: engine.run({"rows": rows}))


@kinds
def test_the_generator_is_closed_by_a_cancelled_run_too(kind):
    async def body(x):
        await asyncio.sleep(100)
        return {"y": x}

    source = Watched()

    async def main():
        task = asyncio.ensure_future(Hush(mapped(fn=body, first=10)).run({"rows": getattr(source, kind)()}))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run_virtual(main)
    assert source.closed
    assert len(source.pulled) <= 10
