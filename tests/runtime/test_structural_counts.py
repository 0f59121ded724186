"""What a run costs in tasks, passes of the loop, events and items pulled ahead: counted, never timed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import Recorder, run_virtual
from runtime.observing import chain, cheapest, counted, fan, until


def step(x):
    return {"x": x + 1}


async def async_step(x):
    return {"x": x + 1}


async def suspending_step(x):
    await asyncio.sleep(0)
    return {"x": x + 1}


def mapped(fn, items, **options):
    """A map over the items whose body is one call, its column `ys` and its errors."""
    executor = {} if asyncio.iscoroutinefunction(fn) else {"executor": "inline"}
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(items)}, **options) as each:
            CodeNode(name="body", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"x": PARENT["y"]}, **executor)
        each["y"] >> PARENT["ys"]
    return graph


# ── Tasks and passes ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [chain, fan])
def test_a_sync_graph_makes_no_task_and_no_pass(make):
    found = cheapest(make(100, step, executor="inline"), {"x": 0} if make is chain else None)
    assert (found.tasks, found.passes) == (0, 0)
    assert found.result["x"] == 100


@pytest.mark.parametrize("make", [chain, fan])
def test_coroutines_that_never_suspend_make_no_task_and_no_pass(make):
    found = cheapest(make(100, async_step), {"x": 0} if make is chain else None)
    assert (found.tasks, found.passes) == (0, 0)


def test_an_async_chain_makes_no_task_and_a_pass_for_each_suspension():
    found = cheapest(chain(100, suspending_step), {"x": 0})
    assert (found.tasks, found.passes) == (0, 100)
    assert found.result["x"] == 100


@pytest.mark.parametrize("width", [1, 2, 10, 100])
def test_a_fan_of_suspending_nodes_makes_one_task_less_than_it_is_wide(width):
    """The task that finishes a step goes on with one of those it made ready."""
    found = cheapest(fan(width, suspending_step))
    assert found.tasks == width - 1
    assert found.passes <= 4
    assert found.result["x"] == width


def test_layers_all_to_all_keep_the_tasks_they_have():
    """Ten layers of ten: each layer ends in one task, which makes nine more for the next."""
    with GraphNode(name="g") as graph:
        layer = [PARENT]
        for depth in range(10):
            layer = [
                CodeNode(
                    name=f"n{depth}_{place}",
                    code_fn=lambda xs: asyncio.sleep(0, {"x": sum(xs) % 97 + 1}),
                    inputs={"xs": [node["x"] for node in layer]},
                    executor="inline",
                )
                for place in range(10)
            ]
        layer[0]["x"] >> PARENT["x"]
    assert cheapest(graph, {"x": 1}).tasks <= 90


def test_nested_graphs_make_no_task():
    with GraphNode(name="g") as graph, contextlib.ExitStack() as stack:
        for depth in range(10):
            stack.enter_context(GraphNode(name=f"level{depth}", inputs={"x": PARENT["x"]}, outputs=PARENT))
        CodeNode(name="leaf", code_fn=step, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="inline")
    found = cheapest(graph, {"x": 1})
    assert (found.tasks, found.passes, found.result["x"]) == (0, 0, 2)


@pytest.mark.parametrize("items", [range(500), list(range(500)), tuple(range(500))], ids=["range", "list", "tuple"])
def test_a_sync_map_makes_no_task(items):
    found = cheapest(mapped(step, items))
    assert (found.tasks, found.passes) == (0, 0)
    assert found.result["ys"] == [number + 1 for number in range(500)]


def test_a_map_over_items_that_suspend_makes_no_more_tasks_than_run_at_once():
    found = cheapest(mapped(suspending_step, range(1000), max_concurrency=10))
    assert 1 <= found.tasks <= 10
    assert found.passes <= 1000 / 10 + 20


def test_a_map_makes_no_more_tasks_than_it_has_items():
    """Workers are started when an item suspends, not because there may be more."""
    found = cheapest(mapped(suspending_step, [1, 2], max_concurrency=500))
    assert found.tasks <= 2


def test_maps_that_nest_make_no_more_tasks_than_their_products():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(20))}, max_concurrency=3) as outer:
            with MapNode(name="n", inputs={"y": Each(range(20)), "x": PARENT["x"]}, max_concurrency=4) as inner:
                CodeNode(name="body", code_fn=suspending_step, inputs={"x": PARENT["x"]}, outputs=PARENT)
            inner["x"] >> PARENT["x"]
        outer["x"] >> PARENT["x"]
    # Each of the 20 inner maps has its own workers, 3 and the host; the outer map has 2 and the host.
    assert cheapest(graph).tasks <= 2 + 20 * 3


def test_the_limit_of_a_map_is_reached_and_never_passed():
    running, most = 0, 0

    async def body(x):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return {"x": x}

    counted(mapped(body, range(40), max_concurrency=7))
    assert most == 7


# ── Size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("fn", "policies"), [(step, {"executor": "inline"}), (async_step, {}), (suspending_step, {})])
def test_a_chain_of_ten_thousand_nodes_runs(fn, policies):
    """Nothing in describing, checking, compiling and running recurses along the graph."""
    assert counted(chain(10_000, fn, **policies), {"x": 0}).result["x"] == 10_000


@pytest.mark.parametrize("inner", [False, True])
def test_ten_thousand_nodes_in_a_row_are_skipped(inner):
    def bad():
        raise LookupError

    with GraphNode(name="g") as graph:
        before = CodeNode(name="bad", code_fn=bad, inputs={}, on_error="collect")
        for number in range(5_000 if inner else 10_000):
            if inner:
                with GraphNode(name=f"g{number}", inputs={"x": before["x"]}, outputs={"x": PARENT["x"]}) as nested:
                    CodeNode(name="n", code_fn=step, inputs={"x": PARENT["x"]}, outputs=PARENT)
                before = nested
            else:
                before = CodeNode(name=f"n{number}", code_fn=step, inputs={"x": before["x"]})
    assert counted(graph).result.status == "partial"


def test_a_fan_of_ten_thousand_nodes_runs():
    assert counted(fan(10_000, step, executor="inline")).result["x"] == 10_000


@pytest.mark.parametrize(
    "policies", [{}, {"timeout_s": 60}, {"on_error": "collect"}], ids=["plain", "timed", "handled"]
)
@pytest.mark.parametrize("fn", [step, suspending_step])
def test_two_hundred_nested_graphs_run(fn, policies):
    with GraphNode(name="g") as graph, contextlib.ExitStack() as stack:
        for depth in range(200):
            inner = GraphNode(name=f"level{depth}", inputs={"x": PARENT["x"]}, outputs={"x": PARENT}, **policies)
            stack.enter_context(inner)
        CodeNode(name="leaf", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"x": PARENT})
    assert counted(graph, {"x": 1}).result["x"] == 2


def test_thirty_nested_maps_run():
    with GraphNode(name="g") as graph, contextlib.ExitStack() as stack:
        source = Each([1])
        for depth in range(30):
            stack.enter_context(MapNode(name=f"m{depth}", inputs={"x": source}, outputs={"x": PARENT}))
            source = Each([1, 2]) if depth == 28 else Each([1])
        CodeNode(name="leaf", code_fn=step, inputs={"x": PARENT["x"]}, outputs={"x": PARENT}, executor="inline")
    found = counted(graph).result["x"]
    for _ in range(29):
        (found,) = found
    assert found == [2, 3]


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def events_made(graph, **options):
    """How many named tuples, which is what events are, the interpreter saw being made during one run."""
    made = 0

    def look(frame, what, callee):
        nonlocal made
        if what == "c_call" and callee == tuple.__new__:
            made += 1

    async def main():
        engine = Hush(graph)
        sys.setprofile(look)
        try:
            await engine.run(**options)
        finally:
            sys.setprofile(None)

    run_virtual(main)
    return made


def test_without_a_sink_no_event_object_is_made():
    graph, tracer = mapped(suspending_step, range(20)), Recorder()
    assert events_made(graph, tracer=tracer) == len(tracer.events) > 60
    assert events_made(graph) == 0


# ── Items pulled ahead ───────────────────────────────────────────────────────────────────────────────────────────────


class Ahead:
    """Counts what is pulled and not finished, and the most of it there ever was."""

    def __init__(self, count):
        self.count = count
        self.now = self.most = 0

    def _pulled(self):
        self.now += 1
        self.most = max(self.most, self.now)

    def generator(self):
        for number in range(self.count):
            self._pulled()
            yield number

    async def async_generator(self):
        for number in range(self.count):
            await asyncio.sleep(0)
            self._pulled()
            yield number

    def iterable(self):
        return AsList(self)

    async def body(self, x):
        await asyncio.sleep(0 if x % 3 else 0.0001)
        self.now -= 1
        return {"x": x}


class AsList(list):
    """A list that sees how it is gone through."""

    def __init__(self, ahead):
        super().__init__(range(ahead.count))
        self._ahead = ahead

    def __iter__(self):
        return self._ahead.generator()


@pytest.mark.parametrize("loop", ["virtual", "real"])
@pytest.mark.parametrize("kind", ["generator", "async_generator", "iterable"])
@pytest.mark.parametrize("limit", [1, 5, 40])
def test_no_more_items_are_pulled_ahead_than_the_limit_and_a_chunk(kind, limit, loop):
    """A source of ten million rows must not be in memory because the body is slow."""
    ahead = Ahead(400)
    engine = Hush(mapped(ahead.body, PARENT["items"], max_concurrency=limit))
    run = lambda: engine.run({"items": getattr(ahead, kind)()})  # noqa: E731
    result = run_virtual(run) if loop == "virtual" else asyncio.run(run())
    assert result["ys"] == [*range(400)]
    assert ahead.most <= limit + 32
    assert ahead.now == 0


async def test_nothing_more_is_pulled_while_no_item_finishes():
    """The generator is pulled in a thread here, in chunks: they count as well."""
    ahead, go = Ahead(400), asyncio.Event()
    started = 0

    async def body(x):
        nonlocal started
        started += 1
        await go.wait()
        return {"x": x}

    task = asyncio.ensure_future(
        Hush(mapped(body, PARENT["items"], max_concurrency=6)).run({"items": ahead.generator()})
    )
    await until(lambda: started == 6)
    for _ in range(5):
        await asyncio.sleep(0.001)
    assert started == 6
    assert ahead.most <= 6 + 32
    go.set()
    await task


def test_a_source_is_not_touched_before_its_map_starts():
    pulled = []

    def rows():
        pulled.append(threading.get_ident())
        yield 1

    async def first():
        await asyncio.sleep(1)
        assert not pulled
        return {}

    with GraphNode(name="g") as graph:
        wait = CodeNode(name="wait", code_fn=first, inputs={})
        with MapNode(name="m", inputs={"x": Each(PARENT["items"])}) as each:
            CodeNode(name="body", code_fn=async_step, inputs={"x": PARENT["x"]}, outputs={"x": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        wait >> each
    assert counted(graph, {"items": rows()}).result["ys"] == [2]
