"""A run that is cancelled from outside, nodes that do not want to hear of it, and nodes that cancel themselves."""

from __future__ import annotations

import asyncio
import time

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._pass import BUDGET_NS
from hush.testing import Recorder, run_virtual
from kit.faults import Boom, label
from runtime.observing import outcome


def cancelled_at(graph, *seconds, tracer=None, inputs=None):
    """Run the graph and cancel it at these times: its task, done, and how late it is then."""
    engine = Hush(graph)

    async def main():
        task = asyncio.ensure_future(engine.run(inputs, tracer=tracer))
        loop = asyncio.get_running_loop()
        for each in seconds:
            loop.call_at(each, task.cancel)
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return task, loop.time()

    return run_virtual(main)


class Sleeper:
    """Nodes that sleep, and what became of them."""

    def __init__(self):
        self.said = []

    def node(self, name, seconds=9, **options):
        async def code():
            self.said.append(f"{name} began")
            try:
                await asyncio.sleep(seconds)
                self.said.append(f"{name} ended")
                return {"y": name}
            except asyncio.CancelledError:
                self.said.append(f"{name} cancelled")
                raise

        return CodeNode(name=name, code_fn=code, inputs={}, **options)


@pytest.fixture
def sleeper():
    return Sleeper()


def test_everything_in_a_cancelled_run_is_cancelled(sleeper):
    with GraphNode(name="g") as graph:
        sleeper.node("one") >> sleeper.node("never")
        with GraphNode(name="inner"):
            sleeper.node("two")
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
            sleeper.node("three")
    task, at_s = cancelled_at(graph, 1)
    assert task.cancelled()
    assert at_s == 1
    assert sorted(sleeper.said) == [
        "one began",
        "one cancelled",
        *["three began"] * 2,
        *["three cancelled"] * 2,
        "two began",
        "two cancelled",
    ]


def test_a_run_cancelled_before_its_first_step_starts_nothing(sleeper):
    with GraphNode(name="g") as graph:
        sleeper.node("one")
    engine = Hush(graph)

    async def main():
        task = asyncio.ensure_future(engine.run())
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run_virtual(main)
    assert sleeper.said == []


def test_what_would_handle_a_failure_does_not_handle_a_cancellation(sleeper):
    handled = []
    with GraphNode(name="g") as graph:
        one = sleeper.node("one", on_error="collect")
        CodeNode(name="two", code_fn=lambda e: {"n": handled.append(e)}, inputs={"e": one["error"]})
        with GraphNode(name="inner", on_error="collect"):
            sleeper.node("three")
    assert cancelled_at(graph, 1)[0].cancelled()
    assert handled == []


def test_a_map_that_collects_does_not_collect_a_cancellation(sleeper):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(9))}, max_concurrency=2) as each:
            sleeper.node("one")
        each["error"] >> PARENT["errors"]
    assert cancelled_at(graph, 1)[0].cancelled()
    assert sleeper.said.count("one began") == 2


def test_a_node_that_swallows_its_cancellation_does_not_keep_the_run_alive(sleeper):
    async def stubborn():
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            sleeper.said.append("swallowed")
        return {"y": 1}

    with GraphNode(name="g") as graph:
        one = CodeNode(name="stubborn", code_fn=stubborn, inputs={}, outputs=PARENT)
        one >> sleeper.node("never")
    task, at_s = cancelled_at(graph, 1)
    assert task.cancelled(), "CancelledError is never swallowed"
    assert (sleeper.said, at_s) == (["swallowed"], 1)


def test_items_that_swallow_their_cancellation_do_not_keep_the_run_alive():
    began = []

    async def stubborn(x):
        began.append(x)
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            pass
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(9))}, max_concurrency=2) as each:
            CodeNode(name="n", code_fn=stubborn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    task, at_s = cancelled_at(graph, 1)
    assert task.cancelled()
    assert (sorted(began), at_s) == ([0, 1], 1)


def test_a_sibling_that_swallows_its_cancellation_does_not_hide_the_failure():
    async def stubborn():
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return {"y": 1}

    async def bad():
        await asyncio.sleep(1)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="stubborn", code_fn=stubborn, inputs={})
        CodeNode(name="bad", code_fn=bad, inputs={})
    found = outcome(graph)
    assert (label(found.error), found.at_s, found.cancelling) == ("bad", 2, 0)


def test_a_cancellation_that_comes_with_the_last_step_is_not_lost(sleeper):
    """The run ends and is cancelled in the same pass: whoever cancelled it must get one or the other, whole."""
    with GraphNode(name="g") as graph:
        sleeper.node("one", 1, outputs=PARENT)
    for seed in range(10):
        engine = Hush(graph)

        async def main(engine=engine):
            task = asyncio.ensure_future(engine.run())
            asyncio.get_running_loop().call_at(1, task.cancel)
            await asyncio.wait([task])
            return task.cancelled() or task.result() == {"y": "one"}

        assert run_virtual(main, seed=seed)


# ── Cancelled by itself ──────────────────────────────────────────────────────────────────────────────────────────────


async def gives_up():
    await asyncio.sleep(1)
    raise asyncio.CancelledError("mine")


def gives_up_at_once():
    raise asyncio.CancelledError("mine")


async def awaits_a_cancelled_task():
    task = asyncio.ensure_future(asyncio.sleep(9))
    asyncio.get_running_loop().call_later(1, task.cancel, "mine")
    await task


own = pytest.mark.parametrize("fn", [gives_up, gives_up_at_once, awaits_a_cancelled_task])


@own
def test_a_node_that_raises_cancelled_error_itself_is_a_failed_node(fn):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={})
        CodeNode(name="o", code_fn=lambda: asyncio.sleep(3), inputs={})
    found = outcome(graph)
    assert isinstance(found.error, asyncio.CancelledError)
    assert found.error.args == ("mine",)
    assert (found.error.hush.path, found.cancelling) == ("g/n", 0)


@own
def test_a_nodes_own_cancelled_error_can_be_handled(fn):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={}, outputs={"error": PARENT["e"]})
        CodeNode(name="o", code_fn=lambda: asyncio.sleep(3, {"y": 1}), inputs={}, outputs=PARENT)
    found = outcome(graph)
    assert isinstance(found.result["e"], asyncio.CancelledError)
    assert (found.result["y"], found.result.status) == (1, "ok")


@own
def test_a_nodes_own_cancelled_error_in_a_nested_graph_is_a_failure(fn):
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner:
            CodeNode(name="n", code_fn=fn, inputs={})
        inner["error"] >> PARENT["e"]
    assert isinstance(outcome(graph).result["e"], asyncio.CancelledError)


@own
@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_an_items_own_cancelled_error_fails_the_item(fn, on_error):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(3))}, on_error=on_error) as each:
            CodeNode(name="n", code_fn=fn, inputs={})
        each["error"] >> PARENT["errors"]
    found = outcome(graph)
    if on_error == "raise":
        assert isinstance(found.error, asyncio.CancelledError)
    else:
        assert [error.args for error in found.result["errors"]] == [("mine",)] * 3


def test_a_nodes_own_cancelled_error_in_a_thread_is_a_failed_node():
    def give_up():
        raise asyncio.CancelledError("mine")

    async def main():
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=give_up, inputs={}, executor="thread")
        with pytest.raises(asyncio.CancelledError) as caught:
            await Hush(graph).run()
        assert caught.value.hush.path == "g/n"
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_an_own_cancelled_error_beside_a_failure_loses_neither():
    async def breaks_down():
        try:
            await asyncio.sleep(9)
        finally:
            raise Boom("cleanup")

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=gives_up, inputs={})
        CodeNode(name="o", code_fn=breaks_down, inputs={})
    error = outcome(graph).error
    assert isinstance(error, BaseExceptionGroup)
    assert sorted(map(label, error.exceptions)) == ["cancelled mine", "cleanup"]


# ── Cancelled and failing ────────────────────────────────────────────────────────────────────────────────────────────


async def fails_while_cancelled():
    try:
        await asyncio.sleep(9)
    finally:
        raise Boom("cleanup")


def test_a_failure_during_a_cancellation_is_raised_and_the_request_stays():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fails_while_cancelled, inputs={})
    task, _ = cancelled_at(graph, 1)
    assert label(task.exception()) == "cleanup"
    assert task.cancelling() == 1


@pytest.mark.parametrize("where", ["node", "graph", "map"])
def test_a_failure_during_a_cancellation_that_would_have_been_handled_is_dropped(where):
    policy = {"on_error": "collect"} if where == "node" else {}
    with GraphNode(name="g") as graph:
        if where == "node":
            CodeNode(name="n", code_fn=fails_while_cancelled, inputs={}, **policy)
        elif where == "graph":
            with GraphNode(name="inner", on_error="collect"):
                CodeNode(name="n", code_fn=fails_while_cancelled, inputs={})
        else:
            with MapNode(name="m", inputs={"x": Each(range(3))}):
                CodeNode(name="n", code_fn=fails_while_cancelled, inputs={})
    assert cancelled_at(graph, 1)[0].cancelled()


def test_a_failing_run_that_is_cancelled_raises_its_failure():
    async def cleans_up():
        try:
            await asyncio.sleep(9)
        finally:
            await asyncio.sleep(1)

    async def bad():
        await asyncio.sleep(1)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=bad, inputs={})
        CodeNode(name="o", code_fn=cleans_up, inputs={})
    task, _ = cancelled_at(graph, 1.5)
    assert label(task.exception()) == "bad"
    assert task.cancelling() == 1


# ── Whoever surrounds the run ────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_in_a_task_group_is_cancelled_by_it(sleeper):
    with GraphNode(name="g") as graph:
        sleeper.node("one")
        sleeper.node("two")
    engine = Hush(graph)

    async def bad():
        await asyncio.sleep(1)
        raise Boom("group")

    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.run())
                group.create_task(bad())
        assert [label(error) for error in caught.value.exceptions] == ["group"]

    run_virtual(main)
    assert sleeper.said.count("one cancelled") == sleeper.said.count("two cancelled") == 1


def test_a_failing_run_in_a_timeout_is_not_taken_for_the_timeout():
    async def bad():
        await asyncio.sleep(1)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=bad, inputs={})
        CodeNode(name="o", code_fn=lambda: asyncio.sleep(9), inputs={})
    engine = Hush(graph)

    async def main():
        with pytest.raises(Boom):
            async with asyncio.timeout(5):
                await engine.run()
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(1)

    run_virtual(main)


def test_a_caller_that_was_cancelled_before_may_run_a_graph_in_its_cleanup():
    """`cancelling()` is above 0 then all the while: that is no reason to think that the run was cancelled."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: asyncio.sleep(1, {"y": 1}), inputs={}, outputs=PARENT)
        CodeNode(name="b", code_fn=gives_up, inputs={}, outputs={"error": PARENT["e"]}, timeout_s=5)
        CodeNode(name="t", code_fn=lambda: asyncio.sleep(9), inputs={}, timeout_s=2, outputs={"error": PARENT["t"]})
    engine = Hush(graph)
    results = []

    async def work():
        try:
            await asyncio.sleep(9)
        finally:
            results.append(await engine.run())

    async def main():
        task = asyncio.ensure_future(work())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run_virtual(main)
    (result,) = results
    assert (result["y"], label(result["e"]), label(result["t"])) == (1, "cancelled mine", "NodeTimeout")


def test_a_cancelled_run_says_so_last():
    tracer = Recorder()
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: asyncio.sleep(9), inputs={})
    cancelled_at(graph, 1, tracer=tracer)
    assert tracer.events[-1].status == "cancelled"


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
@pytest.mark.parametrize("on_error", ["raise", "collect"])
async def test_an_item_that_spends_the_budget_and_fails_is_not_lost_when_the_request_comes_then(kind, on_error):
    """Its worker waits for its turn then, and is cancelled there, before it has told the map."""
    loop, tasks = asyncio.get_running_loop(), []

    def fail(x):
        loop.call_soon(tasks[0].cancel)
        end_ns = time.perf_counter_ns() + 2 * BUDGET_NS
        while time.perf_counter_ns() < end_ns:
            pass
        raise kind("bad")

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}, on_error=on_error):
        CodeNode(name="n", code_fn=fail, inputs={"*": PARENT}, executor="inline")

    async def run():
        tasks.append(asyncio.current_task())  # an eager task begins before its maker has it
        try:
            await Hush(graph).run()
        except BaseException as error:
            return error

    task = asyncio.ensure_future(run())
    error = await task
    assert task.cancelling() == 1
    assert isinstance(error, asyncio.CancelledError if kind is Boom and on_error == "collect" else kind)
