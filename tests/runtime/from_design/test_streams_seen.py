"""What is seen of streaming maps from outside: events, metrics, kept results, items as they come, and `why()`."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFinished,
    NodeStarted,
)
from hush.testing import Recorder, run_virtual
from kit.faults import Boom
from runtime.from_design.streamed import Tap, over, row
from runtime.observing import outcome

COUNT = 60
SMALL = {"window": 3, "max_concurrency": 2}
seeds = pytest.mark.parametrize("seed", range(3))


def picky(x):
    if x % 10 == 3:
        raise Boom(x)
    return x


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@seeds
def test_a_streaming_map_starts_before_the_one_it_reads_has_finished(seed):
    recorder = Recorder()
    tap = Tap()
    graph = row(range(COUNT), *[tap.body(name, seconds=1) for name in "abc"], a=SMALL, b=SMALL, c=SMALL)
    outcome(graph, seed=seed, tracer=recorder)
    told = [(type(event), event.path.rpartition("/")[2]) for event in recorder.events]
    for kind, end in ((MapStarted, MapFinished), (NodeStarted, NodeFinished)):
        for before, after in ("ab", "bc"):
            assert told.index((kind, before)) < told.index((kind, after))
            assert told.index((kind, after)) < told.index((end, before))
            assert told.index((end, before)) < told.index((end, after))


@seeds
def test_every_item_of_every_map_is_told_once_and_after_the_item_it_came_from(seed):
    recorder = Recorder()
    tap = Tap()
    graph = row(range(COUNT), tap.body("a", picky, 1), tap.body("b", seconds=1), tap.body("c"), a=SMALL, b=SMALL)
    outcome(graph, seed=seed, tracer=recorder)
    told = {}
    for place, event in enumerate(recorder.events):
        if isinstance(event, ItemFinished | ItemFailed):
            assert (event.path, event.item) not in told
            told[event.path, event.item] = place
            assert isinstance(event, ItemFailed) == (event.item % 10 == 3)
    assert sorted(told) == [(f"g/{name}", item) for name in "abc" for item in range(COUNT)]
    for item in range(COUNT):
        assert told["g/a", item] < told["g/b", item] < told["g/c", item]
    ends = {event.path: (event.done, event.failed) for event in recorder.of(MapFinished)}
    assert ends == {f"g/{name}": (COUNT, COUNT // 10) for name in "abc"}


@seeds
def test_the_number_of_items_is_told_rightly_or_not_at_all(seed):
    recorder = Recorder()
    outcome(row(range(COUNT), *[Tap().body(name, seconds=0) for name in "abc"]), seed=seed, tracer=recorder)
    totals = {event.path: event.total for event in recorder.of(MapStarted)}
    assert totals.pop("g/a") == COUNT
    assert set(totals.values()) <= {COUNT, None}


@seeds
def test_out_of_order_an_item_is_numbered_as_it_comes(seed):
    recorder = Recorder()
    tap = Tap()
    graph = row(range(5), tap.body("a", seconds=lambda x: 5 - x), tap.body("b", seconds=0), b={"ordered": False})
    result = outcome(graph, seed=seed, tracer=recorder).result
    assert [event.item for event in recorder.of(ItemFinished) if event.path == "g/b"] == [0, 1, 2, 3, 4]
    assert result["ys"] == [4, 3, 2, 1, 0]


# ── Metrics, and what is kept ────────────────────────────────────────────────────────────────────────────────────────


@seeds
def test_metrics_count_what_came_and_what_failed_on_its_way(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), tap.body("a", picky, 1), **SMALL)
        b = over("b", a["y"], tap.body("b", seconds=1), **SMALL)
        a["iteration_metrics"] >> PARENT["a"]
        b["iteration_metrics"] >> PARENT["b"]
    result = outcome(graph, seed=seed).result
    for name in "ab":
        metrics = result[name]
        counts = [metrics[key] for key in ("total_iterations", "success_count", "error_count")]
        assert counts == [COUNT, COUNT * 9 // 10, COUNT // 10]
        assert 0 <= metrics["latency_p50_ms"] <= metrics["latency_p95_ms"] <= metrics["latency_p99_ms"]


@seeds
def test_everything_is_kept_if_it_is_asked_for(seed):
    tap = Tap()
    graph = row(range(COUNT), tap.body("a", picky, 1), tap.body("b", lambda x: -x), a=SMALL, b=SMALL)
    nodes = outcome(graph, seed=seed, keep=True).result.nodes
    good = [None if x % 10 == 3 else x for x in range(COUNT)]
    assert nodes["a"]["y"] == good
    assert nodes["b"]["y"] == [None if x is None else -x for x in good]
    assert nodes["a"]["error"] == nodes["b"]["error"]
    assert nodes["a"]["iteration_metrics"]["total_iterations"] == COUNT


def test_keeping_does_not_turn_a_stream_into_a_barrier():
    tap = Tap()
    graph = row(tap.lines(COUNT), tap.body("a"), tap.body("b"), a=SMALL, b=SMALL)
    outcome(graph, keep=True)
    assert tap.at_first["b"]["pulled"] <= 6


def test_a_run_that_fails_keeps_what_had_finished():
    tap = Tap()
    with GraphNode(name="g") as graph:
        k = CodeNode(name="k", code_fn=lambda: {"v": 1}, inputs={})
        a = over("a", range(COUNT), tap.body("a"), **SMALL)
        b = over("b", a["y"], tap.body("b", picky), on_error="raise", **SMALL)
        k >> a
        b["y"] >> PARENT["ys"]
    error = outcome(graph, keep=True).error
    assert error.hush.nodes["k"]["v"] == 1
    assert "g/b" not in dict(error.hush.nodes)


# ── Items as they come ───────────────────────────────────────────────────────────────────────────────────────────────


@seeds
@pytest.mark.parametrize("items", ["a", "b", "c"])
def test_a_slow_reader_of_any_map_slows_the_source(seed, items):
    tap = Tap()
    bodies = [tap.body(name, seconds=0) for name in "abc"]
    engine = Hush(row(PARENT["rows"], *bodies, a=SMALL, b=SMALL, c=SMALL))

    async def main():
        async with engine.stream({"rows": tap.lines(COUNT * 5)}, items=items, buffer=4) as events:
            await anext(events)
            for _ in range(1_000):
                await asyncio.sleep(0)
            held = tap.pulled
            rest = [event.item async for event in events]
        return held, rest

    held, rest = run_virtual(main, seed=seed)
    assert held <= 1 + 4 + 2 + 3 * 3
    assert len(rest) == COUNT * 5 - 1
    assert (tap.pulled, tap.open) == (COUNT * 5, 0)


@seeds
def test_items_of_the_last_map_come_while_the_source_is_still_giving(seed):
    tap = Tap()
    engine = Hush(row(PARENT["rows"], *[tap.body(name, seconds=1) for name in "abc"]))

    async def main():
        loop = asyncio.get_running_loop()
        events = engine.stream({"rows": tap.rows(4, every_s=10)}, items="c")
        return [(loop.time(), event.item, event.outputs["y"], tap.pulled) async for event in events]

    assert run_virtual(main, seed=seed) == [(13, 0, 0, 1), (23, 1, 1, 2), (33, 2, 2, 3), (43, 3, 3, 4)]


def test_a_reader_of_all_events_that_is_slow_gets_every_one():
    tap = Tap()
    engine = Hush(row(PARENT["rows"], *[tap.body(name, seconds=0) for name in "abc"], a=SMALL, b=SMALL, c=SMALL))

    async def main():
        seen = []
        async for event in engine.stream({"rows": tap.rows(COUNT)}, buffer=1):
            await asyncio.sleep(1)
            seen.append(event)
        return [event for event in seen if isinstance(event, ItemFinished)]

    assert len(run_virtual(main)) == 3 * COUNT


# ── Why it takes so long ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_can_say_at_any_moment_what_it_waits_for():
    tap = Tap()
    bodies = [tap.body("a", seconds=2), tap.body("b", seconds=3), tap.body("c", seconds=5)]
    engine = Hush(row(PARENT["rows"], *bodies, a=SMALL, b=SMALL, c=SMALL))

    async def main():
        handle = engine.start({"rows": tap.rows(10, every_s=1)})
        said = []
        for _ in range(30):
            said.append(handle.why())
            await asyncio.sleep(1)
        await handle
        return said

    said = run_virtual(main)
    assert all(str(each) for each in said)
    done = {each.path: each.done for each in said[8].maps}  # the third has had its first item for two seconds
    assert set(done) == {"g/a", "g/b", "g/c"}
    assert done["g/a"] > done["g/b"] > done["g/c"] == 0
