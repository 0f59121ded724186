"""Faults that a review of the first engine found: failures, cancellation, and what a run leaves behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._run import Run
from hush.core.errors import NodeTimeout
from hush.core.events import RunFinished
from hush.testing import Recorder, run_virtual
from kit.faults import Boom
from runtime.observing import outcome

var: contextvars.ContextVar[int] = contextvars.ContextVar("var")


def mark_of(x):
    return {"seen": var.get()}


# ── Failures that are handled ────────────────────────────────────────────────────────────────────────────────────────


def test_keeping_an_error_that_was_wrapped_does_not_end_who_is_still_at_work():
    """Clearing the frame of a suspended coroutine closes it, and the timeout's own frames are of the strand's task."""

    async def slow():
        await asyncio.sleep(5)

    async def wait():
        await asyncio.sleep(0.3)
        return {"ok": 1}

    async def wrap(error):
        await asyncio.sleep(0.05)
        raise RuntimeError("wrapped") from error

    with GraphNode(name="g") as graph:
        late = CodeNode(name="late", code_fn=slow, timeout_s=0.05)
        after = CodeNode(name="after", code_fn=wait, outputs=PARENT)
        late >> after
        CodeNode(name="wrap", code_fn=wrap, inputs={"error": late["error"]}, on_error="collect")
    found = outcome(graph)
    assert found.error is None
    assert found.result == {"ok": 1}
    assert [type(error) for error in found.result.errors] == [NodeTimeout, RuntimeError]
    assert found.result.errors[1].__cause__ is found.result.errors[0]


def test_keeping_an_error_that_a_client_raises_again_and_again_does_not_end_who_has_handled_it():
    """One exception object: its traceback leads into a node that caught it, and sleeps."""
    down = ConnectionError("down")

    async def connect():
        raise down

    async def fallback():
        try:
            await connect()
        except ConnectionError:
            await asyncio.sleep(0.2)
            return {"y": "fallback"}

    async def plain():
        await asyncio.sleep(0.05)
        await connect()

    with GraphNode(name="g") as graph:
        CodeNode(name="careful", code_fn=fallback, outputs=PARENT)
        CodeNode(name="plain", code_fn=plain, on_error="collect")
    found = outcome(graph)
    assert found.error is None
    assert (found.result, list(found.result.errors)) == ({"y": "fallback"}, [down])


def handled_graph():
    return GraphNode(name="part", on_error="collect")


def map_of_one():
    return MapNode(name="part", inputs={"x": Each([1])})


@pytest.mark.parametrize("make", [handled_graph, map_of_one])
def test_a_cancellation_of_a_nodes_own_beside_another_failure_is_handled(make):
    """The two make a BaseExceptionGroup, and what matters is what is in it."""

    async def own():
        await asyncio.sleep(0.01)
        raise asyncio.CancelledError("mine")

    async def cleans_up():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            raise Boom("clean-up") from None

    with GraphNode(name="g") as graph, make():
        CodeNode(name="own", code_fn=own)
        CodeNode(name="cleans_up", code_fn=cleans_up)
    found = outcome(graph)
    assert found.error is None
    assert found.result.status == "partial"
    (group,) = found.result.errors
    assert [type(error) for error in group.exceptions] == [asyncio.CancelledError, Boom]


# ── Failures that are raised ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("executor", ["inline", "thread", "auto"])
async def test_stop_iteration_is_raised_as_something_that_says_where_it_comes_from(executor):
    """A coroutine cannot raise it, and what Python makes of it then has no record and names no node."""

    def first():
        return {"y": next(iter([]))}

    with GraphNode(name="g") as graph:
        CodeNode(name="first", code_fn=first, executor=executor)
    with pytest.raises(RuntimeError, match="g/first raised StopIteration") as caught:
        await Hush(graph).run()
    assert type(caught.value.__cause__) is StopIteration
    assert caught.value.hush.path == "g/first"
    assert any("raised in g/first" in note for note in caught.value.__notes__)


# ── Nothing is left ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_that_a_function_returned_ends_before_its_failed_run():
    """It was never awaited, so nothing else would cancel it."""
    ends = []

    async def work():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            ends.append("cleaned up")

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)

    def bad():
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="returns", code_fn=lambda: task, executor="inline")
        CodeNode(name="bad", code_fn=bad, executor="inline")
    with pytest.raises(Boom):
        await Hush(graph).run()
    assert (task.done(), ends) == (True, ["cleaned up"])
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("turns", range(6))
def test_coroutines_that_functions_returned_are_closed_if_the_run_fails_before_their_tasks_begin(turns):
    """Else Python complains that they were never awaited: where, depends on when they are collected."""
    made = []

    async def never():
        return {}

    def returns():
        made.append(never())
        return made[-1]

    async def bad():
        for _ in range(turns):
            await asyncio.sleep(0)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="bad", code_fn=bad)
        for number in range(5):
            CodeNode(name=f"n{number}", code_fn=returns, executor="inline")
    assert isinstance(outcome(graph).error, Boom)
    assert [inspect.getcoroutinestate(each) for each in made] == [inspect.CORO_CLOSED] * 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@pytest.mark.parametrize("fails", [False, True])
def test_a_loop_whose_tasks_are_eager(fails):
    """Such a task runs, and may end, before who makes it has been given it."""

    async def now(x):
        return {"y": x}

    async def later(x):
        await asyncio.sleep(0.01)
        if fails and x == 3:
            raise Boom(x)
        return {"z": x}

    with GraphNode(name="g") as graph:
        for number in range(3):
            CodeNode(name=f"n{number}", code_fn=later, inputs={"x": number})
        with MapNode(name="m", inputs={"x": Each(range(20))}, max_concurrency=7, on_error="raise") as each:
            one = CodeNode(name="now", code_fn=now, inputs={"x": PARENT["x"]})
            CodeNode(name="later", code_fn=later, inputs={"x": one["y"]}, outputs=PARENT)
        each["z"] >> PARENT["z"]

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await asyncio.wait_for(Hush(graph).run(), 5)

    if fails:
        with pytest.raises(Boom):
            run_virtual(main)
    else:
        assert run_virtual(main) == {"z": list(range(20))}


# ── The same result each time ────────────────────────────────────────────────────────────────────────────────────────


def test_tags_are_in_the_same_order_whoever_is_first():
    async def tagged(seconds, tag):
        await asyncio.sleep(seconds)
        return {"$tags": tag}

    def tags_of(first_s, second_s):
        recorder = Recorder()
        with GraphNode(name="g") as graph:
            CodeNode(name="a", code_fn=tagged, inputs={"seconds": first_s, "tag": "one"})
            CodeNode(name="b", code_fn=tagged, inputs={"seconds": second_s, "tag": "two"})
        found = outcome(graph, tracer=recorder).result.tags
        assert recorder.events[-1].tags == found
        return tuple(found)

    assert tags_of(1, 2) == tags_of(2, 1) == ("one", "two")


@pytest.mark.parametrize("executor", [None, "process"])
def test_of_a_tag_that_each_item_has_one_place_is_kept(executor):
    """A map over a million items held a million of them."""
    held = []

    class Last:
        def emit(self, event):
            if isinstance(event, RunFinished):
                held.extend(len(one._tags) for one in gc.get_objects() if type(one) is Run and one._tags)

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([*range(300)])}, executor=executor):
        CodeNode(name="n", code_fn=lambda x: {"$tags": ["all", f"{x % 3}"]}, inputs={"x": PARENT["x"]})
    gc.collect()
    found = Hush(graph).run_sync(tracer=Last())
    assert list(found.tags) == ["0", "all", "1", "2"]
    assert held == [4]


async def test_what_a_node_sets_does_not_reach_the_caller_nor_the_next_run():
    """The first node runs in the caller's own task, so what it sets stays there unless somebody sets it back."""

    async def count():
        var.set(var.get() + 1)
        return {"y": var.get()}

    with GraphNode(name="g") as graph:
        CodeNode(name="count", code_fn=count, outputs=PARENT)
    engine = Hush(graph)
    var.set(200)
    assert [(await engine.run())["y"] for _ in range(3)] == [201] * 3
    assert var.get() == 200


class Counting:
    """An iterator that sets the variable each time."""

    def __init__(self):
        self.left = 3

    def __iter__(self):
        return self

    def __next__(self):
        var.set(300 + self.left)
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left


async def counting():
    for number in range(3):
        var.set(400 + number)
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("make", [Counting, counting])
@pytest.mark.parametrize("pull", ["auto", "inline"])
async def test_what_a_source_sets_its_items_do_not_see(make, pull):
    """Where a source is pulled depends on how quick it is, and no result may depend on that."""
    var.set(200)
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"], pull=pull)}, max_concurrency=1) as each:
            CodeNode(name="n", code_fn=mark_of, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["seen"] >> PARENT["seen"]
        after = CodeNode(name="after", code_fn=mark_of, inputs={"x": each["seen"]})
        after["seen"] >> PARENT["after"]
    assert await Hush(graph).run({"xs": make()}) == {"seen": [200] * 3, "after": 200}
    assert var.get() == 200
