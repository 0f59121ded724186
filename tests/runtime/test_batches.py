"""`batch=`: the body is handed lists; failed items are left out of them, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapNode,
    MapStarted,
    SourceError,
)
from hush.core._runtime._iterator_source import _pull_some
from hush.testing import Recorder, run_virtual
from kit.faults import Boom, label
from kit.tiers import by_day
from runtime.observing import outcome


def as_it_is(xs):
    return {"y": xs}


async def as_it_is_later(xs):
    await asyncio.sleep(1 / (1 + len(xs)))
    return {"y": xs}


def batched(source=PARENT["rows"], size=3, fn=as_it_is, **options):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"xs": Each(source)}, batch=size, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"xs": PARENT["xs"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph


def cut(rows, size):
    rows = list(rows)
    return [rows[at : at + size] for at in range(0, len(rows), size)]


async def agen(count):
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number


class Threaded:
    """An iterable that is pulled in a thread where there is a real loop."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter([*range(self.count)])


KINDS = {
    "list": lambda count: [*range(count)],
    "range": range,
    "generator": lambda count: (number for number in range(count)),
    "async generator": agen,
    "iterable": Threaded,
}
kinds = pytest.mark.parametrize("kind", KINDS)


# ── What the body is handed ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fn", [as_it_is, as_it_is_later])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, 31, 32, 33, 100])
@kinds
def test_items_come_in_order_in_lists_of_that_size_and_the_last_may_be_short(kind, count, fn):
    found = outcome(batched(fn=fn, max_concurrency=4), {"rows": KINDS[kind](count)}).result
    assert found["ys"] == cut(range(count), 3)
    assert found["errors"] == [None] * len(found["ys"])


@pytest.mark.parametrize("count", by_day([0, 1, 33, 64, 65], 0, 4))
@kinds
async def test_also_on_a_real_loop_where_sources_are_pulled_in_threads(kind, count):
    result = await Hush(batched(size=5, fn=as_it_is_later, max_concurrency=3)).run({"rows": KINDS[kind](count)})
    assert result["ys"] == cut(range(count), 5)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_batch_of_one_is_a_list_too_and_one_larger_than_the_source_is_the_source(size):
    assert outcome(batched([1, 2, 3], size)).result["ys"] == cut([1, 2, 3], size)


def test_none_and_falsy_items_are_items():
    rows = [None, 0, "", [], None]
    assert outcome(batched(rows, 2)).result["ys"] == [[None, 0], ["", []], [None]]


def test_every_list_is_the_bodys_own():
    """A body that changes its list changes nothing of another's."""

    def empties(xs):
        taken = len(xs)
        xs.clear()
        return {"y": taken}

    rows = [1, 2, 3, 4, 5]
    assert outcome(batched(rows, 2, empties)).result["ys"] == [2, 2, 1]
    assert outcome(batched(PARENT["rows"], 5, empties), {"rows": rows}).result["ys"] == [5]
    assert rows == [1, 2, 3, 4, 5]


def test_several_each_are_cut_alike():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"a": Each(PARENT["a"]), "b": Each(PARENT["b"]), "k": 9}, batch=2) as each:
            CodeNode(
                name="n",
                code_fn=lambda a, b, k: {"y": (a, b, k)},
                inputs={"a": PARENT["a"], "b": PARENT["b"], "k": PARENT["k"]},
                outputs=PARENT,
            )
        each["y"] >> PARENT["ys"]
    found = outcome(graph, {"a": [1, 2, 3], "b": (letter for letter in "xyz")}).result
    assert found["ys"] == [([1, 2], ["x", "y"], 9), ([3], ["z"], 9)]


@pytest.mark.parametrize(("a", "b"), [(3, 4), (4, 3), (2, 4), (0, 1)])
@pytest.mark.parametrize("kind", ["list", "generator", "async generator"])
def test_unequal_lengths_fail_the_map_though_the_lists_would_be_as_many(kind, a, b):
    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"a": Each(PARENT["a"]), "b": Each(PARENT["b"])}, batch=2),
    ):
        CodeNode(name="n", code_fn=lambda a, b: {}, inputs={"a": PARENT["a"], "b": PARENT["b"]})
    error = outcome(graph, {"a": KINDS[kind](a), "b": KINDS[kind](b)}).error
    assert isinstance(error, SourceError)
    assert "same length" in str(error)


def test_a_source_that_raises_fails_the_map_under_batch_too():
    def rows():
        yield from range(4)
        raise Boom("source")

    error = outcome(batched(size=3), {"rows": rows()}).error
    assert label(error) == "source"


# ── Items that failed before ─────────────────────────────────────────────────────────────────────────────────────────


def risky(x):
    if x < 0:
        raise Boom(x)
    return {"y": x}


async def risky_later(x):
    await asyncio.sleep(abs(x))
    return risky(x)


def after_another(rows, size=2, fn=risky, again=as_it_is, each_of=None):
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(rows)}) as before:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        inputs = {"xs": Each(before["y"])} if each_of is None else each_of(before)
        with MapNode(name="b", inputs=inputs, batch=size) as each:
            CodeNode(name="n", code_fn=again, inputs={"xs": PARENT["xs"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph


@pytest.mark.parametrize("fn", [risky, risky_later])
@pytest.mark.parametrize(
    "rows", [[1, -2, 3, 4, -5, 6, 7], [-1, 2], [2, -1], [-1], [-1, -2, -3], [], [1, 2, -3, -4]], ids=str
)
def test_items_that_failed_in_the_map_before_are_left_out_before_lists_are_cut(fn, rows):
    found = outcome(after_another(rows, fn=fn)).result
    assert found["ys"] == cut([x for x in rows if x >= 0], 2)
    assert found["errors"] == [None] * len(found["ys"])
    assert [label(error) for error in found.errors] == [str(x) for x in rows if x < 0]


def test_where_the_column_of_errors_is_taken_beside_nothing_is_left_out():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3])}) as before:
            CodeNode(name="n", code_fn=risky, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="b", inputs={"xs": Each(before["y"]), "es": Each(before["error"])}, batch=2) as each:
            CodeNode(
                name="n",
                code_fn=lambda xs, es: {"y": (xs, [e is not None for e in es])},
                inputs={"xs": PARENT["xs"], "es": PARENT["es"]},
                outputs={"y": PARENT["y"]},
            )
        each["y"] >> PARENT["ys"]
    assert outcome(graph).result["ys"] == [([1, None], [False, True]), ([3], [False])]


def test_of_several_each_the_whole_row_is_left_out():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3, 4])}) as before:
            CodeNode(name="n", code_fn=risky, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="b", inputs={"xs": Each(before["y"]), "ks": Each(["p"])}, batch=2) as bad:
            CodeNode(name="n", code_fn=lambda xs, ks: {}, inputs={"xs": PARENT["xs"], "ks": PARENT["ks"]})
        with MapNode(name="c", inputs={"xs": Each(before["y"]), "ks": Each(list("pqrs"))}, batch=2) as each:
            CodeNode(
                name="n",
                code_fn=lambda xs, ks: {"y": (xs, ks)},
                inputs={"xs": PARENT["xs"], "ks": PARENT["ks"]},
                outputs={"y": PARENT["y"]},
            )
        each["y"] >> PARENT["ys"]
    assert bad is not None
    error = outcome(graph).error
    assert isinstance(error, SourceError)  # b: four items and one


# ── A list is an item ────────────────────────────────────────────────────────────────────────────────────────────────


def fails_on_zero(xs):
    if 0 in xs:
        raise Boom("zero")
    return {"y": sum(xs)}


def test_a_list_fails_and_is_counted_and_numbered_as_one_item():
    recorder = Recorder()
    found = outcome(batched([1, 2, 0, 4, 5, 6], 2, fails_on_zero), tracer=recorder).result
    assert found["ys"] == [3, None, 11]
    assert [error is None for error in found["errors"]] == [True, False, True]
    (error,) = found.errors
    assert error.hush.item == 1
    assert [event.total for event in recorder.of(MapStarted)] == [3]
    assert [event.item for event in recorder.of(ItemFailed)] == [1]
    assert sorted(event.item for event in recorder.of(ItemFinished)) == [0, 2]


def test_the_number_of_lists_at_a_time_is_bounded_not_that_of_items():
    now, most = 0, 0

    async def body(xs):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(1)
        now -= 1
        return {"y": len(xs)}

    found = outcome(batched(range(100), 10, body, max_concurrency=2))
    assert (most, found.at_s, found.result["ys"]) == (2, 5.0, [10] * 10)


def test_a_map_may_go_through_the_list_it_is_handed():
    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"xs": Each(range(7))}, batch=3) as outer:
            with MapNode(name="inner", inputs={"ys": Each(PARENT["xs"])}, batch=2) as inner:
                CodeNode(name="n", code_fn=lambda ys: {"s": sum(ys)}, inputs={"ys": PARENT["ys"]}, outputs=PARENT)
            inner["s"] >> PARENT["sums"]
        outer["sums"] >> PARENT["all"]
    assert outcome(graph).result["all"] == [[1, 2], [7, 5], [6]]


@pytest.mark.parametrize("seed", range(5))
def test_lists_that_end_in_any_order_stand_in_input_order(seed):
    async def body(xs):
        await asyncio.sleep((sum(xs) * 7919) % 13)
        return {"y": xs}

    engine = Hush(batched(agen(50), 4, body, max_concurrency=5))
    assert run_virtual(engine.run, seed=seed)["ys"] == cut(range(50), 4)


# ── With `first=` ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first", "size", "gives"), [(4, 3, [[0, 1, 2], [3]]), (3, 3, [[0, 1, 2]]), (1, 3, [[0]])])
@kinds
def test_first_counts_items_of_the_source_not_lists(kind, first, size, gives):
    assert outcome(batched(size=size, first=first), {"rows": KINDS[kind](10)}).result["ys"] == gives


def test_first_counts_items_that_failed_before_as_well():
    """It takes ten of the source; what of it has failed is left out afterwards."""
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2, -3, 4, 5])}) as before:
            CodeNode(name="n", code_fn=risky, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="b", inputs={"xs": Each(before["y"])}, batch=2, first=4) as each:
            CodeNode(name="n", code_fn=as_it_is, inputs={"xs": PARENT["xs"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    assert outcome(graph).result["ys"] == [[2, 4]]


@pytest.mark.parametrize("size", [1, 7, 20, 300, 1000])
def test_no_more_is_pulled_for_a_batch_than_goes_into_it(size):
    """Where `next()` is cheap, several values are pulled at once."""
    pulled, seen = [0], []

    def numbers():
        for number in range(1000):
            pulled[0] += 1
            yield number

    def look(xs):
        seen.append((pulled[0], xs))

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"xs": Each(numbers(), pull="inline")}, batch=size, max_concurrency=1):
            CodeNode(name="n", code_fn=look, executor="inline", inputs={"xs": PARENT["xs"]})
    run_virtual(Hush(graph).run)
    assert [number for _, xs in seen for number in xs] == list(range(1000))
    assert [count for count, _ in seen] == [min(1000, size * (number + 1)) for number in range(len(seen))]


@pytest.mark.parametrize("at", [0, 1, 5, 30, 31, 99])
def test_what_came_before_an_error_of_the_source_goes_into_a_batch_first(at):
    seen = []

    def numbers():
        for number in range(100):
            if number == at:
                raise ValueError(at)
            yield number

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"xs": Each(PARENT["source"])}, batch=10, max_concurrency=1):
            CodeNode(name="n", code_fn=lambda xs: seen.extend(xs), executor="inline", inputs={"xs": PARENT["xs"]})
    with pytest.raises(ValueError, match=str(at)):
        run_virtual(lambda: Hush(graph).run({"source": numbers()}))
    assert seen == list(range(at // 10 * 10))


def test_so_many_are_pulled_as_were_asked_for_and_the_end_is_told():
    found: list[int] = []
    longest_ns, ended = _pull_some(iter(range(500)), 100, found)
    assert (found, ended) == (list(range(100)), False)
    assert longest_ns > 0
    found = []
    _, ended = _pull_some(iter(range(50)), 100, found)
    assert (found, ended) == (list(range(50)), True)
