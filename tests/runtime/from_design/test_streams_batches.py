"""Lists from a stream: cut as from a whole column, larger than any window, and not kept waiting by `batch_wait_s=`."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, MapNode
from hush.testing import run_virtual
from kit.faults import Boom, label
from runtime.from_design.streamed import Tap, looked_at, over, row
from runtime.observing import outcome

seeds = pytest.mark.parametrize("seed", range(3))


def lists(source, received, *, seconds=0, **options):
    """A map that notes at what time it was handed which list; `ys` is their column."""

    async def body(xs):
        received.append((round(asyncio.get_running_loop().time(), 3), list(xs)))
        await asyncio.sleep(seconds)
        return {"y": xs}

    with MapNode(name="b", inputs={"xs": Each(source)}, **options) as b:
        CodeNode(name="b_n", code_fn=body, inputs={"xs": PARENT["xs"]}, outputs=PARENT)
    b["y"] >> PARENT["ys"]
    b["error"] >> PARENT["errors"]
    return b


async def at(*pairs):
    """Each item at its time; an item that is None is none, but a pause at the end."""
    loop = asyncio.get_running_loop()
    for at_s, item in pairs:
        await asyncio.sleep(at_s - loop.time())
        if item is not None:
            yield item


def straight(received, **options):
    """Lists of a source."""
    with GraphNode(name="g") as graph:
        lists(PARENT["rows"], received, **options)
    return graph


def behind(received, body, first=None, **options):
    """Lists of what another map gives."""
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], body, **(first or {}))
        lists(a["y"], received, **options)
    return graph


def cut(rows, size):
    rows = list(rows)
    return [rows[place : place + size] for place in range(0, len(rows), size)]


# ── Lists of a stream ────────────────────────────────────────────────────────────────────────────────────────────────


@seeds
@pytest.mark.parametrize("size", [1, 3, 32, 33, 150, 1000])
@pytest.mark.parametrize("window", [None, 1, 2, 40])
def test_a_list_may_be_larger_than_the_window_of_the_map_that_fills_it(seed, size, window):
    """A row in a list that is not full yet has been taken: else both would wait for each other."""
    tap, received = Tap(), []
    first = {"max_concurrency": 2} if window is None else {"window": window}
    graph = behind(received, tap.body("a", seconds=lambda x: (x * 7) % 3), first, batch=size)
    result = outcome(graph, {"rows": tap.lines(150)}, seed=seed).result
    assert result["ys"] == cut(range(150), size)
    assert tap.open == 0


@pytest.mark.parametrize("window", [1, 2])
def test_the_window_of_a_map_of_lists_counts_lists(window):
    tap, received = Tap(), []
    graph = behind(received, tap.body("a"), {"window": 5}, batch=10, window=window, seconds=100)
    looks, result = looked_at(graph, [50], lambda: (tap.pulled, len(received)), {"rows": tap.lines(200)})
    assert looks[0][1] == window
    assert 10 * window <= looks[0][0] <= 10 * window + 5
    assert result["ys"] == cut(range(200), 10)


@seeds
def test_a_list_is_handed_over_as_soon_as_it_is_full(seed):
    received = []
    graph = behind(received, Tap().body("a"), batch=2)
    rows = at(*((second, second) for second in range(1, 7)))
    outcome(graph, {"rows": rows}, seed=seed)
    assert received == [(2, [1, 2]), (4, [3, 4]), (6, [5, 6])]


@seeds
def test_failed_items_are_left_out_of_lists_from_a_stream(seed):
    def picky(x):
        if x % 3 == 0:
            raise Boom(x)
        return x

    received = []
    graph = behind(received, Tap().body("a", picky, seconds=lambda x: (x * 7) % 5), batch=4)
    result = outcome(graph, {"rows": range(30)}, seed=seed).result
    good = [x for x in range(30) if x % 3]
    assert result["ys"] == cut(good, 4)
    assert result["errors"] == [None] * 5
    assert [label(error) for error in result.errors] == [str(x) for x in range(0, 30, 3)]


@seeds
def test_if_all_items_failed_there_is_no_list(seed):
    def fail(x):
        raise Boom(x)

    received = []
    result = outcome(behind(received, Tap().body("a", fail), batch=4), {"rows": range(9)}, seed=seed).result
    assert (result["ys"], result["errors"], received) == ([], [], [])


@seeds
def test_out_of_order_lists_hold_what_came_first(seed):
    received = []
    body = Tap().body("a", seconds=lambda x: 6 - x)
    result = outcome(behind(received, body, batch=2, ordered=False), {"rows": range(6)}, seed=seed).result
    assert result["ys"] == [[5, 4], [3, 2], [1, 0]]


def test_lists_and_then_single_ones_again():
    tap, received = Tap(), []
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), window=3)
        b = lists(a["y"], received, batch=5)
        c = over("c", b["y"], tap.body("c", sum, seconds=1), window=2)
        over("d", c["y"], tap.body("d"), window=1)["y"] >> PARENT["sums"]
    result = outcome(graph, {"rows": tap.lines(50)}).result
    assert result["sums"] == [sum(each) for each in cut(range(50), 5)]


# ── Not longer than so many seconds ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["source", "map"])
@seeds
def test_what_is_there_is_handed_over_so_long_after_the_first_of_the_list_came(how, seed):
    received = []
    options = {"batch": 100, "batch_wait_s": 0.5}
    graph = straight(received, **options) if how == "source" else behind(received, Tap().body("a"), **options)
    rows = at((1, "a"), (1.1, "b"), (1.4, "c"), (10, "d"), (20, "e"), (20.25, "f"), (20.6, "g"), (30, None))
    result = outcome(graph, {"rows": rows}, seed=seed).result
    assert received == [(1.5, ["a", "b", "c"]), (10.5, ["d"]), (20.5, ["e", "f"]), (21.1, ["g"])]
    assert result["ys"] == [each for _, each in received]


@pytest.mark.parametrize("how", ["source", "map"])
def test_a_full_list_does_not_wait_and_neither_does_the_last(how):
    received = []
    options = {"batch": 2, "batch_wait_s": 5}
    graph = straight(received, **options) if how == "source" else behind(received, Tap().body("a"), **options)
    outcome(graph, {"rows": at((1, "a"), (2, "b"), (3, "c"), (4, None))})
    assert received == [(2, ["a", "b"]), (4, ["c"])]


def test_an_item_that_failed_is_none_that_a_list_waits_for():
    """At least one item is handed over, and one that is left out is none."""

    def picky(x):
        if x == "bad":
            raise Boom(x)
        return x

    received = []
    graph = behind(received, Tap().body("a", picky), batch=100, batch_wait_s=0.5)
    outcome(graph, {"rows": at((1, "bad"), (3, "b"), (3.25, "bad"), (3.375, "c"), (10, "bad"), (20, None))})
    assert received == [(3.5, ["b", "c"])]


@seeds
def test_nothing_is_lost_or_doubled_when_a_wait_ends_while_an_item_is_on_its_way(seed):
    received, cancelled = [], []

    async def rows():
        try:
            for number in range(200):
                await asyncio.sleep(0.25 * ((number * 7) % 5))
                yield number
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    graph = straight(received, batch=4, batch_wait_s=0.5, max_concurrency=3)
    result = outcome(graph, {"rows": rows()}, seed=seed).result
    assert [number for each in result["ys"] for number in each] == list(range(200))
    assert all(1 <= len(each) <= 4 for each in result["ys"])
    assert not cancelled, "a source that is waited for too long is waited for again"


@seeds
@pytest.mark.parametrize("ordered", [True, False])
def test_nothing_is_lost_or_doubled_between_maps(seed, ordered):
    tap, received = Tap(), []
    more = {} if ordered else {"ordered": False}
    graph = behind(
        received,
        tap.body("a", seconds=lambda x: (x * 7) % 5),
        {"window": 3},
        batch=4,
        batch_wait_s=0.5,
        max_concurrency=2,
        seconds=1,
        **more,
    )
    result = outcome(graph, {"rows": tap.lines(100)}, seed=seed).result
    numbers = [number for each in result["ys"] for number in each]
    assert sorted(numbers) == list(range(100))
    assert numbers == list(range(100)) or not ordered


def test_a_wait_of_several_each_counts_from_the_first_row():
    received = []

    async def body(x, z):
        received.append((asyncio.get_running_loop().time(), x, z))
        return {}

    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], Tap().body("a"))
        with MapNode(name="b", inputs={"x": Each(a["y"]), "z": Each(["p", "q", "r"])}, batch=100, batch_wait_s=0.5):
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"], "z": PARENT["z"]})
    outcome(graph, {"rows": at((1, 1), (1.25, 2), (3, 3), (9, None))})
    assert received == [(1.5, [1, 2], ["p", "q"]), (3.5, [3], ["r"])]


async def test_a_wait_on_a_real_loop_loses_nothing_where_a_source_is_pulled_in_a_thread():
    received = []
    result = await Hush(straight(received, batch=7, batch_wait_s=60)).run({"rows": (number for number in range(100))})
    assert result["ys"] == cut(range(100), 7)


def test_a_run_that_is_cancelled_during_a_wait_closes_its_source():
    tap, received = Tap(), []
    engine = Hush(straight(received, batch=7, batch_wait_s=60))

    async def main():
        task = asyncio.ensure_future(engine.run({"rows": tap.rows(5, every_s=10)}))
        await asyncio.sleep(25)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), tap.open

    assert run_virtual(main) == (True, 0)
    assert received == []


# ── Options that cannot be meant ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"window": -1},
        {"window": 1.5},
        {"window": "8"},
        {"window": True},
        {"ordered": 1},
        {"ordered": "no"},
        {"ordered": None},
        {"batch": 2, "batch_wait_s": -1},
        {"batch": 2, "batch_wait_s": "1"},
        {"batch": 2, "batch_wait_s": True},
        {"batch_wait_s": 1},
    ],
    ids=str,
)
def test_wrong_options_are_told_before_anything_runs(wrong):
    with pytest.raises(HushError, match=list(wrong)[-1]):
        with GraphNode(name="g") as graph:
            over("a", [1], lambda x: {"y": x}, **wrong)
        Hush(graph)


@pytest.mark.parametrize("right", [{"window": 1}, {"window": 10_000}, {"ordered": False}, {"ordered": True}], ids=str)
def test_options_of_a_stream_may_stand_where_nothing_streams(right):
    assert outcome(row(range(3), lambda x: {"y": x}, a=right)).result["ys"] == [0, 1, 2]


@pytest.mark.parametrize("wait_s", [None, 0.1])
def test_a_source_that_raises_cancelled_error_has_not_ended(wait_s):
    async def rows():
        for number in range(5):
            yield number
        raise asyncio.CancelledError("of the source")

    async def run():
        await Hush(straight([], batch=3, batch_wait_s=wait_s)).run({"rows": rows()})

    with pytest.raises(asyncio.CancelledError, match="of the source"):
        run_virtual(run)
