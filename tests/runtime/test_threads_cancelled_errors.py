"""Errors of calls in threads whose run, or whose siblings, end meanwhile: raised or collected, and never lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from kit.faults import Boom, label, members
from runtime.blocking import LONG_S, Call, engine_of, soon, started


async def test_an_error_of_a_call_that_is_being_cancelled_is_not_lost():
    call = Call(Boom("thread"))
    task = await started(engine_of(call, grace_s=LONG_S), call)
    task.cancel()
    await asyncio.sleep(0)
    call.go.set()
    with pytest.raises(Boom) as caught:
        await soon(task)
    assert caught.value is call.error
    assert task.cancelling() == 1


async def test_an_error_of_a_handled_call_that_is_being_cancelled_gives_way_to_the_cancellation():
    call = Call(Boom("thread"))
    task = await started(engine_of(call, grace_s=LONG_S, on_error="collect"), call)
    task.cancel()
    await asyncio.sleep(0)
    call.go.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)


async def test_a_call_that_fails_because_its_sibling_did_is_raised_beside_it():
    call = Call(Boom("thread"))

    async def fails():
        await call.start()
        asyncio.get_running_loop().call_later(0.005, call.go.set)
        raise Boom("loop")

    with GraphNode(name="g") as graph:
        CodeNode(name="call", code_fn=call, inputs={})
        CodeNode(name="fails", code_fn=fails, inputs={})
    with pytest.raises(ExceptionGroup) as caught:
        await soon(Hush(graph, grace_s=LONG_S).run())
    assert sorted(map(label, members(caught.value))) == ["loop", "thread"]


@pytest.mark.parametrize("where", ["map", "graph"])
@pytest.mark.parametrize("first", ["call", "bad"])
async def test_a_collected_failure_beside_a_call_in_a_thread_touches_nothing_else(where, first):
    """Whichever of the two the container's own task runs: its call is cancelled by the container, not by the caller."""

    async def fails(call):
        await call.start()
        asyncio.get_running_loop().call_later(0.003, call.go.set)
        raise Boom("bad")

    async def after():
        return {"y": "after"}

    def both(call):
        nodes = {
            "call": lambda: CodeNode(
                name="call", code_fn=lambda call: call(), inputs={"call": call}, executor="thread"
            ),
            "bad": lambda: CodeNode(name="bad", code_fn=fails, inputs={"call": call}),
        }
        for name in sorted(nodes, reverse=first == "call"):
            nodes[name]()

    with GraphNode(name="g") as graph:
        if where == "map":
            with MapNode(name="c", inputs={"call": Each([Call(), Call()])}, max_concurrency=1) as container:
                both(PARENT["call"])
        else:
            with GraphNode(name="c", on_error="collect") as container:
                both(Call())
        container >> CodeNode(name="after", code_fn=after, inputs={}, outputs=PARENT)
    result = await soon(Hush(graph, grace_s=LONG_S).run())
    assert result == {"y": "after"}
    assert result.errors.total == (2 if where == "map" else 1)
    assert asyncio.current_task().cancelling() == 0


async def test_failures_on_two_levels_at_once_are_collected_on_both():
    """Both levels ask the one task that holds the call to stop: neither may take that for a request from outside."""
    call, now, and_now = Call(), asyncio.Event(), asyncio.Event()

    async def fails():
        await now.wait()
        and_now.set()  # the other fails before the task that holds the call has heard of this one
        raise Boom("inner")

    async def fails_too():
        await and_now.wait()
        asyncio.get_running_loop().call_later(0.003, call.go.set)
        raise Boom("outer")

    async def start():
        await call.start()
        now.set()

    with GraphNode(name="g") as graph:
        with GraphNode(name="outer", on_error="collect") as outer:
            with GraphNode(name="inner", on_error="collect"):
                CodeNode(name="call", code_fn=call, inputs={})
                CodeNode(name="fails", code_fn=fails, inputs={})
            CodeNode(name="fails_too", code_fn=fails_too, inputs={})
        outer >> CodeNode(name="after", code_fn=lambda: asyncio.sleep(0, {"y": 1}), inputs={}, outputs=PARENT)
    result, _ = await soon(asyncio.gather(Hush(graph, grace_s=LONG_S).run(), start()))
    assert result == {"y": 1}
    assert asyncio.current_task().cancelling() == 0


async def test_a_map_that_fails_fast_waits_for_the_calls_in_flight():
    began, ended, all_three, go = [], [], threading.Barrier(3), threading.Event()
    loop = asyncio.get_running_loop()

    def body(x):
        began.append(x)
        all_three.wait(20)
        if x == 0:
            loop.call_soon_threadsafe(loop.call_later, 0.01, go.set)
            raise Boom("item")
        assert go.wait(20)
        ended.append(x)

    options = {"max_concurrency": 3, "on_error": "raise"}
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(50))}, **options):
        CodeNode(name="body", code_fn=body, inputs={"x": PARENT["x"]}, executor="thread")
    with pytest.raises(Boom) as caught:
        await soon(Hush(graph, grace_s=LONG_S).run())
    assert caught.value.hush.item == 0
    assert (sorted(began), sorted(ended)) == ([0, 1, 2], [1, 2])
