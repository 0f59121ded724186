"""A worker hosts items that are awaited one after the other: each has its own time, its own end and its turn."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeFinished
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._worker import Worker
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.observing import counted, outcome

pytestmark = pytest.mark.usefixtures("silence")


def mapped(fn: Any, items: int, **options: Any) -> Any:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(items))}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_time_of_an_item_counts_from_its_own_begin(most):
    async def fn(x: int) -> dict[str, int]:
        await asyncio.sleep(2 if x == 4 else 0.6)
        return {"y": x}

    found = outcome(mapped(fn, 7, max_concurrency=most, item_timeout_s=1)).result
    assert found["ys"] == [0, 1, 2, 3, None, 5, 6]
    assert [error is not None for error in found["errors"]] == [x == 4 for x in range(7)]


def test_items_that_are_awaited_and_never_suspend_leave_the_loop_its_turns():
    """Sixty times a millisecond of work is ten passes; without turns it would be one."""
    turns: list[int] = []

    async def fn(x: int) -> dict[str, int]:
        until_ns = perf_counter_ns() + 1_000_000
        while perf_counter_ns() < until_ns:
            pass
        return {"y": x}

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(0)
            nonlocal handle
            handle = loop.call_soon(turn)

        handle = loop.call_soon(turn)
        await Hush(mapped(fn, 60, max_concurrency=1)).run({})
        handle.cancel()

    asyncio.run(main())
    assert len(turns) >= 6


def test_an_item_that_sets_a_context_variable_costs_its_map_one_task_and_no_other():
    var: ContextVar[int] = ContextVar("var")

    async def sets(x: int) -> dict[str, int]:
        assert var.get(None) is None
        var.set(x)
        await asyncio.sleep(0)
        return {"y": x}

    found = counted(mapped(sets, 20, max_concurrency=1))
    assert found.result["ys"] == [*range(20)]
    assert found.tasks <= 20


@pytest.mark.parametrize("seed", range(4))
def test_no_item_begins_before_all_of_the_one_before_has_ended(seed):
    under_way: set[int] = set()

    async def quick(x: int) -> dict[str, int]:
        under_way.add(x)
        assert under_way == {x}
        await asyncio.sleep(0.1 * (x % 3))
        return {"y": x}

    async def slow(x: int) -> dict[str, int]:
        under_way.add(x)
        assert under_way == {x}
        await asyncio.sleep(0.1 * (x % 2))
        await asyncio.sleep(0.1)
        under_way.discard(x)
        return {"z": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(12))}, max_concurrency=1) as each:
            CodeNode(name="one", code_fn=quick, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
            CodeNode(name="two", code_fn=slow, inputs={"x": PARENT["x"]}, outputs={"z": PARENT["z"]})
        each["y"] >> PARENT["ys"]
        each["z"] >> PARENT["zs"]
    found = run_virtual(lambda: Hush(graph).run({}), seed=seed)
    assert (found["ys"], found["zs"], found.errors) == ([*range(12)], [*range(12)], ())


def test_a_kept_failure_keeps_nothing_of_its_map():
    """Nor one that no line of the user's raised, whose traceback has the engine's own frame.

    From Python 3.12 on a traceback keeps the frames that awaited its own, and so a worker, and its map without values.
    """
    most = 0 if sys.version_info < (3, 12) else 2

    def fn(x: int) -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if x == 2:
            loop.call_later(1, future.set_exception, Boom(x))
        else:
            loop.call_later(1, future.set_result, {"y": x})
        return future

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(4))}, max_concurrency=1):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]}, executor="inline")
    before = sum(type(one) in (Worker, Fanout) for one in gc.get_objects())
    result = run_virtual(lambda: Hush(graph).run({}))
    assert [type(error) for error in result.errors] == [Boom]
    gc.collect()  # it is about what is kept, not about when the rest goes
    assert sum(type(one) in (Worker, Fanout) for one in gc.get_objects()) <= before + most


def test_no_item_begins_after_a_cancellation_that_came_as_the_one_before_ended():
    began: list[int] = []

    async def fn(x: int) -> dict[str, int]:
        began.append(x)
        await asyncio.sleep(0.1)
        return {"y": x}

    class Cancels:
        def emit(self, event: Any, /) -> None:
            if type(event) is NodeFinished and event.item == 1:
                task.cancel()

    async def main() -> None:
        nonlocal task
        task = asyncio.current_task()
        await Hush(graph).run({}, tracer=Cancels())

    task: Any = None
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(4))}, max_concurrency=1):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
    with pytest.raises(asyncio.CancelledError):
        run_virtual(main)
    assert began == [0, 1]
