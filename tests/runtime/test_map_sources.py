"""What `Each` goes through: every kind of source, zipped, consumed, refused, failing, and always closed."""

from __future__ import annotations

import asyncio
import collections
import itertools
import threading
import time

import pytest

from hush.core import PARENT, CodeNode, Each, GraphError, GraphNode, Hush, HushError, MapNode, SourceError
from hush.testing import run_virtual
from kit.faults import Boom, label
from runtime.observing import outcome, until


def double(x):
    return {"y": x * 2}


async def double_later(x):
    await asyncio.sleep(0.003 / (1 + x))
    return {"y": x * 2}


def mapped(source=PARENT["rows"], fn=double, **options):
    """A graph of one map over the source; `ys` is its column."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(source)}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


def zipped(fn=lambda a, b: {"y": (a, b)}, **options):
    """A graph of one map over two sources at once."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"a": Each(PARENT["a"]), "b": Each(PARENT["b"])}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"a": PARENT["a"], "b": PARENT["b"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


async def arange(count):
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number


class Rows:
    """An iterable that can be gone through as often as one likes."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


class AsyncRows(Rows):
    __iter__ = None

    def __aiter__(self):
        return arange(self.count)


class OldRows:
    """An iterable of the old kind, with `__getitem__` alone."""

    def __getitem__(self, index):
        if index >= 5:
            raise IndexError
        return index


SOURCES = {
    "list": lambda: [0, 1, 2, 3, 4],
    "tuple": lambda: (0, 1, 2, 3, 4),
    "range": lambda: range(5),
    "generator": lambda: (number for number in range(5)),
    "map": lambda: map(int, "01234"),
    "iterator": lambda: iter([0, 1, 2, 3, 4]),
    "deque": lambda: collections.deque(range(5)),
    "iterable": lambda: Rows(5),
    "async iterable": lambda: AsyncRows(5),
    "async generator": lambda: arange(5),
    "old iterable": OldRows,
    "endless and cut": lambda: itertools.islice(itertools.count(), 5),
    "dict values": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}.values,
}


@pytest.mark.parametrize("fn", [double, double_later])
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_its_items_in_order(kind, fn):
    assert outcome(mapped(fn=fn), {"rows": SOURCES[kind]()}).result["ys"] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("fn", [double, double_later])
@pytest.mark.parametrize("kind", SOURCES)
async def test_every_source_works_on_a_real_loop(kind, fn):
    """Where generators are pulled in threads."""
    result = await Hush(mapped(fn=fn)).run({"rows": SOURCES[kind]()})
    assert result["ys"] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 100])
@pytest.mark.parametrize("kind", [iter, lambda rows: (row for row in rows), list])
async def test_no_item_is_lost_at_the_border_of_a_chunk(kind, count):
    result = await Hush(mapped(max_concurrency=3)).run({"rows": kind(range(count))})
    assert result["ys"] == [number * 2 for number in range(count)]


def test_a_literal_source_is_gone_through_in_every_run():
    engine = Hush(mapped([1, 2, 3]))
    assert [run_virtual(engine.run)["ys"] for _ in range(2)] == [[2, 4, 6]] * 2


def test_a_source_may_be_the_output_of_a_node():
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": (n for n in range(3))}, inputs={})
        with MapNode(name="m", inputs={"x": Each(make["rows"])}) as each:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    engine = Hush(graph)
    for _ in range(2):
        assert run_virtual(engine.run)["ys"] == [0, 2, 4]


def test_none_and_false_are_items_like_others():
    items = [None, False, 0, "", [], ..., NotImplemented, StopIteration]
    for rows in (items, iter(items)):
        assert outcome(mapped(fn=lambda x: {"y": x}), {"rows": rows}).result["ys"] == items


def test_other_inputs_are_handed_whole_to_every_item():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2]), "k": PARENT["k"], "j": [7]}) as each:
            reads = {key: PARENT[key] for key in "xkj"}
            CodeNode(name="n", code_fn=lambda x, k, j: {"y": (x, k, j)}, inputs=reads, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    assert outcome(graph, {"k": [1, 2, 3]}).result["ys"] == [(1, [1, 2, 3], [7]), (2, [1, 2, 3], [7])]


# ── Several sources ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("a", SOURCES)
@pytest.mark.parametrize("b", ["list", "generator", "async generator"])
async def test_several_sources_are_zipped(a, b):
    result = await Hush(zipped()).run({"a": SOURCES[a](), "b": SOURCES[b]()})
    assert result["ys"] == [(number, number) for number in range(5)]


LENGTHS = [(3, 2), (2, 3), (0, 1), (1, 0), (40, 41)]


@pytest.mark.parametrize("on_error", ["collect", "raise"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_lists_of_unequal_lengths_fail_the_map_before_any_item(lengths, on_error):
    ran = []
    graph = zipped(lambda a, b: ran.append(a) or {"y": 0}, on_error=on_error)
    error = outcome(graph, {"a": [0] * lengths[0], "b": [0] * lengths[1]}).error
    assert isinstance(error, SourceError)
    assert isinstance(error, ValueError)
    assert "must have the same length" in str(error)
    assert error.hush.path == "g/m"
    assert ran == []


async def at_once(count):
    for number in range(count):
        yield number


MAKERS = {"range": range, "generator": lambda count: (number for number in range(count)), "async": at_once}


@pytest.mark.parametrize("a", MAKERS)
@pytest.mark.parametrize("b", MAKERS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
async def test_sources_of_unequal_lengths_fail_the_map_whatever_they_are(lengths, a, b):
    with pytest.raises(SourceError, match="must have the same length"):
        await Hush(zipped()).run({"a": MAKERS[a](lengths[0]), "b": MAKERS[b](lengths[1])})


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def generator_function():
    yield 1


async def async_generator_function():
    yield 1


class DataFrame:
    """Goes through the names of its columns, as those of pandas and polars do."""

    columns = ("a", "b")

    def __iter__(self):
        return iter(self.columns)

    def iterrows(self):
        return enumerate([1, 2])


REFUSED = [
    "text",
    b"bytes",
    bytearray(b"bytes"),
    {"a": 1},
    collections.OrderedDict(),
    {1, 2},
    frozenset(),
    None,
    generator_function,
    async_generator_function,
    DataFrame(),
    5,
    object(),
]


@pytest.mark.parametrize("rows", REFUSED, ids=lambda rows: type(rows).__name__)
@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_what_cannot_be_gone_through_is_refused_with_advice(rows, on_error):
    error = outcome(mapped(on_error=on_error), {"rows": rows}).error
    assert isinstance(error, SourceError)
    assert error.hush.path == "g/m"
    assert len(str(error)) > 40, "it says what to write instead"


@pytest.mark.parametrize("rows", REFUSED, ids=lambda rows: type(rows).__name__)
def test_a_literal_that_cannot_be_gone_through_is_refused_before_anything_runs(rows):
    """At the earliest moment at which it can be known."""
    with pytest.raises((GraphError, SourceError)):
        Hush(mapped(rows))


def test_a_string_is_told_apart_from_a_list_of_one():
    error = outcome(mapped(), {"rows": "Huế"}).error
    assert "[" in str(error), "the line to write: Each([text])"


# ── Consumed ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ITERATORS = ["generator", "map", "iterator", "async generator", "endless and cut"]


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_run_over_the_same_iterator_is_an_error(kind):
    """Else it would quietly give nothing."""
    rows = SOURCES[kind]()
    engine = Hush(mapped())
    assert run_virtual(lambda: engine.run({"rows": rows}))["ys"] == [0, 2, 4, 6, 8]
    with pytest.raises(SourceError, match="function"):
        run_virtual(lambda: engine.run({"rows": rows}))


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_run_over_an_iterator_that_the_graph_holds_is_an_error(kind):
    engine = Hush(mapped(SOURCES[kind]()))
    assert run_virtual(engine.run)["ys"] == [0, 2, 4, 6, 8]
    with pytest.raises(SourceError):
        run_virtual(engine.run)


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_each_over_the_same_iterator_is_an_error(kind):
    with GraphNode(name="g") as graph:
        for name in "ab":
            with MapNode(name=name, inputs={"x": Each(PARENT["rows"])}):
                CodeNode(name="n", code_fn=double_later, inputs={"x": PARENT["x"]})
    assert isinstance(outcome(graph, {"rows": SOURCES[kind]()}).error, SourceError)


@pytest.mark.parametrize("kind", ITERATORS)
def test_two_sources_of_one_map_may_not_be_the_same_iterator(kind):
    rows = SOURCES[kind]()
    assert isinstance(outcome(zipped(), {"a": rows, "b": rows}).error, SourceError)


def test_an_iterable_that_is_no_iterator_may_be_gone_through_twice():
    rows = Rows(3)
    assert outcome(zipped(), {"a": rows, "b": rows}).result["ys"] == [(0, 0), (1, 1), (2, 2)]


# ── Failing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def breaks_after(count, error):
    yield from range(count)
    raise error


async def breaks_after_async(count, error):
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number
    raise error


@pytest.mark.parametrize("on_error", ["collect", "raise"])
@pytest.mark.parametrize("make", [breaks_after, breaks_after_async])
@pytest.mark.parametrize("count", [0, 1, 50])
async def test_a_source_that_raises_fails_the_map_with_the_users_own_exception(make, count, on_error):
    error = Boom("source")
    with pytest.raises(Boom) as caught:
        await Hush(mapped(on_error=on_error)).run({"rows": make(count, error)})
    assert caught.value is error
    assert error.hush.path == "g/m"
    assert error.hush.columns is not None


def test_a_source_that_raises_has_the_columns_so_far():
    error = outcome(mapped(max_concurrency=1), {"rows": breaks_after(3, Boom("source"))}).error
    assert error.hush.columns["y"][:3] == [0, 2, 4]


@pytest.mark.parametrize("make", [breaks_after, breaks_after_async])
def test_items_in_flight_end_before_a_source_that_raised_is_told(make):
    alive = 0

    async def body(x):
        nonlocal alive
        alive += 1
        try:
            await asyncio.sleep(5)
        finally:
            alive -= 1
        return {"y": 1}

    assert label(outcome(mapped(fn=body), {"rows": make(3, Boom("source"))}).error) == "source"
    assert alive == 0


def test_naming_the_error_column_does_not_handle_a_source_that_raises():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}) as each:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]})
        each["error"] >> PARENT["errors"]
    assert label(outcome(graph, {"rows": breaks_after(1, Boom("source"))}).error) == "source"


def test_a_source_that_cannot_even_begin_fails_the_map():
    class Closed:
        def __iter__(self):
            raise Boom("closed")

    error = outcome(mapped(), {"rows": Closed()}).error
    assert (label(error), error.hush.path) == ("closed", "g/m")


async def test_an_error_in_the_closing_of_a_source_is_not_lost():
    def rows():
        try:
            yield from range(1000)
        finally:
            raise Boom("closing")

    def body(x):
        raise LookupError(x)

    with pytest.raises(ExceptionGroup) as caught:
        await Hush(mapped(fn=body, on_error="raise", max_concurrency=1)).run({"rows": rows()})
    assert caught.group_contains(Boom)
    assert caught.group_contains(LookupError)


async def test_an_error_in_the_closing_of_an_async_source_is_not_lost():
    async def rows():
        try:
            for number in range(1000):
                yield number
        finally:
            await asyncio.sleep(0)
            raise Boom("closing")

    def body(x):
        raise LookupError(x)

    with pytest.raises(ExceptionGroup) as caught:
        await Hush(mapped(fn=body, on_error="raise", max_concurrency=1)).run({"rows": rows()})
    assert caught.group_contains(Boom)
    assert caught.group_contains(LookupError)


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


# ── Closed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("error", [HushError, StopIteration, StopAsyncIteration], ids=lambda error: error.__name__)
def test_a_body_may_raise_anything_without_ending_the_map(error):
    def body(x):
        raise error("mine")

    found = outcome(mapped(fn=body), {"rows": (number for number in range(3))}).result
    assert (found["ys"], found.errors.total) == ([None] * 3, 3)


def test_a_source_in_a_thread_that_waits_for_the_items_it_gave():
    """It gives two at once, then nothing until they have ended: none is held back until a chunk is full."""
    ended = threading.Semaphore(0)

    def bursts():
        for number in range(8):
            yield number
            if number % 2:
                for _ in range(2):
                    assert ended.acquire(timeout=20)

    def end(x):
        ended.release()
        return {"y": x}

    assert Hush(mapped(fn=end, max_concurrency=2)).run_sync({"rows": bursts()})["ys"] == list(range(8))


def test_a_source_that_has_ended_in_its_thread_is_gone_through_first():
    """The loop learns late what a thread has pulled; who looks meanwhile must not take the source to have ended."""
    second, over = threading.Event(), threading.Event()

    class Ends:
        """Slow at first, so that the second chunk is pulled while the first item is at work."""

        def __init__(self):
            self.number = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.number += 1
            if self.number == 1:
                until_ns = time.perf_counter_ns() + 6_000_000
                while time.perf_counter_ns() < until_ns:
                    pass
            if self.number == 2:
                second.set()
            if self.number == 4:
                over.set()
                raise StopIteration
            return self.number

    async def body(a, b):
        if a == 1:
            await until(second.is_set)
            assert await_thread(over)
        return {"y": (a, b)}

    def await_thread(event):
        """On the loop: it hears of nothing meanwhile."""
        there = event.wait(20)
        until_ns = time.perf_counter_ns() + 20_000_000
        while time.perf_counter_ns() < until_ns:
            time.sleep(0)  # lets the thread go on
        return there

    result = Hush(zipped(body, max_concurrency=2)).run_sync({"a": Ends(), "b": [1, 2, 3]})
    assert result["ys"] == [(1, 1), (2, 2), (3, 3)]
