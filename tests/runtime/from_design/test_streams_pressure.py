"""A streaming map starts with the first item, and no more is pulled than the maps behind can take."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import run_virtual
from runtime.from_design.streamed import Tap, looked_at, over, row, until_s
from runtime.observing import cheapest, outcome

COUNT = 300
WINDOW = 16 + 32  # of a map that says nothing
kinds = pytest.mark.parametrize("kind", ["lines", "rows"])
paces = pytest.mark.parametrize("seconds", [None, 0, 1], ids=["def", "suspends", "sleeps"])
seeds = pytest.mark.parametrize("seed", range(2))


# ── The first item ───────────────────────────────────────────────────────────────────────────────────────────────────


@kinds
@paces
@seeds
def test_the_third_map_has_its_first_item_before_the_first_has_pulled_more_than_the_windows_hold(kind, seconds, seed):
    tap = Tap()
    graph = row(PARENT["rows"], *[tap.body(name, seconds=seconds) for name in "abc"])
    result = outcome(graph, {"rows": tap.source(kind, COUNT)}, seed=seed).result
    assert result["ys"] == list(range(COUNT))
    assert tap.at_first["b"]["pulled"] <= 2 * WINDOW
    assert tap.at_first["c"]["pulled"] <= 3 * WINDOW


@kinds
@seeds
def test_with_windows_of_one_maps_go_in_lockstep(kind, seed):
    tap = Tap()
    one = {"window": 1, "max_concurrency": 1}
    graph = row(PARENT["rows"], *[tap.body(name, seconds=1) for name in "abc"], a=one, b=one, c=one)
    result = outcome(graph, {"rows": tap.source(kind, 20)}, seed=seed).result
    assert result["ys"] == list(range(20))
    assert tap.at_first["c"]["pulled"] <= 3
    assert tap.most_unfinished["c"] <= 3


def test_an_item_goes_on_when_the_one_after_it_has_not_come_yet():
    """Not only when a window is full, or a source has ended."""
    tap = Tap()
    graph = row(PARENT["rows"], tap.body("a"), tap.body("b", seconds=1), tap.body("c", seconds=0))
    looks, _ = looked_at(graph, [15, 25], lambda: (tap.pulled, tap.ended["c"]), {"rows": tap.rows(5, every_s=10)})
    assert looks == [(1, 1), (2, 2)]


def test_three_maps_take_as_long_as_the_slowest_and_not_the_sum():
    tap = Tap()
    one = {"max_concurrency": 1}
    graph = row(list(range(100)), *[tap.body(name, seconds=1) for name in "abc"], a=one, b=one, c=one)
    assert outcome(graph).at_s == 102


# ── Bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SIZES = [
    ({}, {}, {}),
    ({"window": 3, "max_concurrency": 2}, {"window": 2, "max_concurrency": 1}, {"window": 4, "max_concurrency": 4}),
    ({"window": 1}, {"window": 1}, {"window": 1}),
    ({"window": 5}, {"window": 50}, {"window": 1, "max_concurrency": 1}),
    ({"max_concurrency": 1}, {"max_concurrency": 3}, {"max_concurrency": 2, "window": 2}),
]


def window_of(options):
    return options.get("window", options.get("max_concurrency", 16) + 32)


@kinds
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("stuck", ["a", "b", "c"])
@seeds
def test_a_map_that_stands_still_holds_all_before_it_and_goes_on_where_it_stood(kind, sizes, stuck, seed):
    """However long it stands: no more is pulled than the windows of the maps up to it hold together."""
    tap = Tap()
    bodies = [tap.body(name, seconds=until_s(1000) if name == stuck else 0) for name in "abc"]
    graph = row(PARENT["rows"], *bodies, **dict(zip("abc", sizes, strict=True)))
    looks, result = looked_at(
        graph, [500, 999], lambda: (tap.pulled, tap.begun[stuck]), {"rows": tap.source(kind, COUNT)}, seed
    )
    place = "abc".index(stuck)
    bound = sum(map(window_of, sizes[: place + 1]))
    at_work = min(window_of(sizes[place]), sizes[place].get("max_concurrency", 16))
    assert looks[0] == looks[1]
    assert at_work <= looks[0][0] <= bound
    assert looks[0][1] == at_work
    assert result["ys"] == list(range(COUNT))
    assert tap.pulled == COUNT


@kinds
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@seeds
def test_at_no_time_is_more_pulled_and_not_finished_by_the_last_than_all_windows(kind, sizes, seed):
    tap = Tap()
    bodies = [tap.body(name, seconds=lambda x: (x * 7 + 3) % 5) for name in "abc"]
    graph = row(PARENT["rows"], *bodies, **dict(zip("abc", sizes, strict=True)))
    result = outcome(graph, {"rows": tap.source(kind, 200)}, seed=seed).result
    assert result["ys"] == list(range(200))
    for place, name in enumerate("abc"):
        # The head of a map may be slow while those behind it have ended: of the last map these do not count.
        assert tap.most_unfinished[name] <= sum(map(window_of, sizes[: place + 1]))


async def test_the_bound_holds_where_a_source_is_pulled_in_a_thread():
    tap = Tap()
    bodies = [tap.body(name, seconds=0) for name in "abc"]
    options = {"max_concurrency": 2, "window": 6}
    graph = row(PARENT["rows"], *bodies, a=options, b=options, c=options)
    result = await Hush(graph).run({"rows": tap.lines(COUNT)})
    assert result["ys"] == list(range(COUNT))
    assert tap.most_unfinished["c"] <= 18 + 1  # one in the hand of the generator
    assert tap.open == 0


def test_a_window_below_the_concurrency_bounds_it():
    tap = Tap()
    now = []
    graph = row(
        range(20), tap.body("a", seconds=lambda x: now.append(tap.begun["a"] - tap.ended["a"]) or 1), a={"window": 2}
    )
    assert outcome(graph).at_s == 10
    assert max(now) == 2


@kinds
def test_a_window_bounds_a_map_that_streams_to_nobody(kind):
    tap = Tap()
    graph = row(PARENT["rows"], tap.body("a", seconds=1), a={"window": 7, "max_concurrency": 3})
    outcome(graph, {"rows": tap.source(kind, 50)})
    assert tap.most_unfinished["a"] <= 7


def test_a_barrier_pulls_all_though_nobody_takes_yet():
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), window=2, max_concurrency=1)
        b = over("b", a["y"], tap.body("b", seconds=until_s(1000)), max_concurrency=1)
        a >> b
    looks, _ = looked_at(graph, [999], lambda: (tap.pulled, tap.begun["b"]), {"rows": tap.lines(COUNT)})
    assert looks == [(COUNT, 1)]


def test_what_a_code_node_reads_never_holds_the_stream_back():
    tap, lengths = Tap(), []
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), window=2)
        b = over("b", a["y"], tap.body("b"), window=2)
        CodeNode(name="k", code_fn=lambda ys: lengths.append((len(ys), tap.ended["b"])) or {}, inputs={"ys": a["y"]})
        a["error"] >> PARENT["errors"]
        b["y"] >> PARENT["ys"]
    result = outcome(graph, {"rows": tap.lines(COUNT)}).result
    assert tap.at_first["b"]["pulled"] <= 4
    assert lengths[0][0] == COUNT
    assert lengths[0][1] >= COUNT - 4
    assert (result["ys"], result["errors"]) == (list(range(COUNT)), [None] * COUNT)


# ── Slow heads, and order ────────────────────────────────────────────────────────────────────────────────────────────


@seeds
def test_a_slow_head_holds_those_behind_it_and_with_that_the_source(seed):
    tap = Tap()
    head = tap.body("a", seconds=lambda x: 100 if x == 0 else 0)
    graph = row(PARENT["rows"], head, tap.body("b"), a={"max_concurrency": 4, "window": 6})
    looks, result = looked_at(graph, [50, 99], lambda: (tap.pulled, tap.begun["b"]), {"rows": tap.lines(COUNT)}, seed)
    assert looks[0] == looks[1]
    assert looks[0][0] <= 6
    assert looks[0][1] == 0
    assert tap.seen["b"] == result["ys"] == list(range(COUNT))


@seeds
@pytest.mark.parametrize("window", [2, 6])
def test_out_of_order_a_slow_head_holds_nobody(seed, window):
    tap = Tap()
    head = tap.body("a", seconds=lambda x: 100 if x == 0 else 0)
    graph = row(
        PARENT["rows"],
        head,
        tap.body("b", fn=lambda x: -x),
        a={"max_concurrency": 2, "window": window},
        b={"ordered": False},
    )
    looks, result = looked_at(graph, [99], lambda: (tap.pulled, tap.ended["b"]), {"rows": tap.lines(COUNT)}, seed)
    assert looks == [(COUNT, COUNT - 1)]
    assert tap.seen["b"] == [*range(1, COUNT), 0]
    assert result["ys"] == [*range(-1, -COUNT, -1), 0], "in the order in which its own items came"


@seeds
def test_out_of_order_concerns_the_reader_alone_and_not_the_columns_of_the_map_before(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(10), tap.body("a", seconds=lambda x: 10 - x))
        b = over("b", a["y"], tap.body("b"), ordered=False, max_concurrency=1)
        a["y"] >> PARENT["a"]
        b["y"] >> PARENT["b"]
    result = outcome(graph, seed=seed).result
    assert result["a"] == list(range(10))
    assert result["b"] == list(range(9, -1, -1))


@seeds
def test_out_of_order_a_failed_item_stands_where_it_came(seed):
    def picky(x):
        if x == 2:
            raise LookupError(x)
        return x

    tap = Tap()
    graph = row(range(4), tap.body("a", picky, seconds=lambda x: 4 - x), tap.body("b"), b={"ordered": False})
    result = outcome(graph, seed=seed).result
    assert result["ys"] == [3, None, 1, 0]
    assert [str(error) for error in result["errors"]] == ["None", "2", "None", "None"]


def test_a_slow_head_in_the_middle_map_holds_all_before_it():
    tap = Tap()
    head = tap.body("b", seconds=lambda x: 100 if x == 0 else 0)
    small = {"max_concurrency": 2, "window": 4}
    graph = row(PARENT["rows"], tap.body("a"), head, tap.body("c"), a=small, b=small, c=small)
    looks, result = looked_at(graph, [99], lambda: (tap.pulled, tap.begun["c"]), {"rows": tap.lines(COUNT)})
    assert looks[0][0] <= 8
    assert looks[0][1] == 0
    assert result["ys"] == list(range(COUNT))


def test_a_slow_head_in_the_last_map_holds_nobody():
    """Its columns are whole lists: what has ended behind the head has finished."""
    tap = Tap()
    head = tap.body("b", seconds=lambda x: 100 if x == 0 else 0)
    small = {"max_concurrency": 2, "window": 4}
    graph = row(PARENT["rows"], tap.body("a"), head, a=small, b=small)
    looks, result = looked_at(graph, [99], lambda: (tap.pulled, tap.ended["b"]), {"rows": tap.lines(COUNT)})
    assert looks == [(COUNT, COUNT - 1)]
    assert result["ys"] == list(range(COUNT))


@seeds
@pytest.mark.parametrize("ordered", [True, False])
def test_ordered_or_not_a_barrier_gives_the_same(seed, ordered):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(10), tap.body("a", seconds=lambda x: 10 - x))
        b = over("b", a["y"], tap.body("b"), **({} if ordered else {"ordered": False}))
        a >> b
        b["y"] >> PARENT["ys"]
    assert outcome(graph, seed=seed).result["ys"] == list(range(10))


# ── What it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


def pipeline_of(count, body):
    with GraphNode(name="g") as graph:
        column = range(count)
        for name in "abc":
            with MapNode(name=name, inputs={"x": Each(column)}, max_concurrency=4) as each:
                CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="inline")
            column = each["y"]
        each["y"] >> PARENT["ys"]
    return graph


def test_the_number_of_tasks_does_not_grow_with_that_of_items():
    few, many = (cheapest(pipeline_of(count, lambda x: {"y": x})).tasks for count in (100, 1000))
    assert few == many <= 6


def test_maps_that_suspend_make_a_task_for_each_worker_and_none_for_an_item():
    async def body(x):
        await asyncio.sleep(0)
        return {"y": x}

    assert cheapest(pipeline_of(300, body)).tasks <= 3 * 4 + 3


@pytest.mark.parametrize("seed", range(5))
def test_an_empty_source_gives_empty_columns_all_the_way(seed):
    tap = Tap()
    graph = row(PARENT["rows"], *[tap.body(name) for name in "abc"])
    for rows in ([], tap.lines(0), tap.rows(0)):
        result = run_virtual(lambda rows=rows: Hush(graph).run({"rows": rows}), seed=seed)
        assert result == {"ys": [], "errors": []}
    assert not tap.begun
