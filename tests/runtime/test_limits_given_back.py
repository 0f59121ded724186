"""Places in limits are given back by whoever has them: cancelled, failed, late, or left behind in a thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeReleased, NodeTimeout, RunFinished
from hush.core._runtime._admitting import limit_state
from hush.testing import Recorder, cancel_everywhere, run_virtual
from kit.faults import Boom
from runtime.limiting import Inside, mapped
from runtime.observing import outcome, until


def limited(limits):
    """Nodes and maps that wait for each other's limits, some of which fail."""

    def body(name, seconds, *, fails=False):
        async def code(x=0):
            await asyncio.sleep(seconds)
            if fails and x == 1:
                raise Boom(name)
            return {"y": x}

        return code

    a, b, rate = limits
    with GraphNode(name="g") as graph:
        for number in range(2):
            with MapNode(name=f"m{number}", inputs={"x": Each([0, 1, 2])}, max_concurrency=3):
                CodeNode(
                    name="n",
                    code_fn=body("n", 0.5, fails=True),
                    inputs={"x": PARENT["x"]},
                    limit=[a, b],
                    priority=number,
                )
                CodeNode(name="r", code_fn=body("r", 0.2), inputs={}, limit=[b, rate])
        CodeNode(name="late", code_fn=body("late", 5), inputs={}, limit=a, timeout_s=0.3, on_error="collect")
    return graph


@pytest.mark.parametrize("times", [1, 2])
def test_a_permit_survives_a_cancellation_at_every_tick(times):
    limits = Limit(concurrency=1), Limit(concurrency=2), Limit(per_second=3)
    engine = Hush(limited(limits))

    async def run_and_look():
        try:
            await engine.run()
        finally:
            loop = asyncio.get_running_loop()
            for limit in limits:
                state = limit_state(limit, loop)
                assert (state.in_use, state.waiting) == (0, 0), str(state)

    assert cancel_everywhere(run_and_look, times=times, window=3, seed=times) > 20


def test_a_waiter_that_is_cancelled_in_the_tick_in_which_it_is_admitted_hands_its_place_on():
    """At every tick of a run that shares the limit with another, which must get what the first gives back."""
    limit = Limit(concurrency=1)
    engine = Hush(mapped(Inside().work(0.5), range(3), limit=limit))

    async def main(at):
        loop = asyncio.get_running_loop()
        one, other = asyncio.ensure_future(engine.run()), asyncio.ensure_future(engine.run())
        loop.at_pass(at, one.cancel)
        assert (await other)["ys"] == [0, 1, 2]
        await asyncio.wait([one])
        state = limit_state(limit, loop)
        assert (state.in_use, state.waiting) == (0, 0)
        return loop.passes

    at = 1
    while at < run_virtual(lambda at=at: main(at), seed=at):
        at += 1
    assert at > 15


def test_the_time_of_a_node_begins_when_it_is_admitted():
    limit = Limit(concurrency=1)
    found = outcome(mapped(Inside().work(1), range(5), limit=limit, timeout_s=1.5))
    assert (found.result["errors"], found.at_s) == ([None] * 5, 5)


def test_a_node_out_of_time_gives_its_place_back():
    found = outcome(mapped(Inside().work(9), range(3), limit=Limit(concurrency=1), timeout_s=1))
    assert all(isinstance(error, NodeTimeout) for error in found.result["errors"])
    assert found.at_s == 3


class TooMany(Exception):
    def __init__(self, retry_after_s):
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


def test_a_failure_that_says_when_to_come_back_holds_back_everybody():
    starts = []

    async def code(x):
        starts.append((x, asyncio.get_running_loop().time()))
        await asyncio.sleep(0.5 if x == 0 else 1)
        if x == 0:
            raise TooMany(10)
        return {"y": x}

    found = outcome(mapped(code, range(5), limit=Limit(concurrency=2)))
    assert found.result["ys"] == [None, 1, 2, 3, 4]
    assert sorted(starts) == [(0, 0), (1, 0), (2, 10.5), (3, 10.5), (4, 11.5)]


class Call:
    """A `def` that blocks until it is let go."""

    def __init__(self):
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self):
        self.started.set()
        assert self.go.wait(20)
        self.ended.set()
        return {"y": 1}


@pytest.fixture
def call():
    made = Call()
    yield made
    made.go.set()


async def test_a_call_that_is_left_behind_keeps_its_place_until_it_returns(call):
    limit, loop = Limit(concurrency=1), asyncio.get_running_loop()
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)
    task = asyncio.ensure_future(Hush(graph, grace_s=0).run())
    await until(call.started.is_set)
    task.cancel()
    await asyncio.wait([task])
    assert limit_state(limit, loop).in_use == 1
    next_one = asyncio.ensure_future(Hush(mapped(Inside().work(0), [7], limit=limit)).run())
    await until(lambda: limit_state(limit, loop).waiting)
    call.go.set()
    assert (await asyncio.wait_for(next_one, 10))["ys"] == [7]
    assert limit_state(limit, loop).in_use == 0


def test_a_call_that_is_left_behind_gives_its_place_back_when_its_loop_is_closed(call):
    limit = Limit(concurrency=1)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)

    async def main():
        task = asyncio.ensure_future(Hush(graph, grace_s=0).run())
        await until(call.started.is_set)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())

    async def after():
        next_one = asyncio.ensure_future(Hush(mapped(Inside().work(0), [7], limit=limit)).run())
        await until(lambda: limit_state(limit, asyncio.get_running_loop()).waiting)
        call.go.set()
        return (await asyncio.wait_for(next_one, 10))["ys"]

    assert asyncio.run(after(), debug=True) == [7]  # in debug mode a loop says when another thread wakes it wrongly


async def test_a_call_that_is_left_behind_while_the_run_goes_on_tells_when_it_gives_its_place_back(call):
    recorder = Recorder()

    async def wait_for_it():
        call.go.set()
        await until(call.ended.is_set)
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    with GraphNode(name="g") as graph:
        late = CodeNode(
            name="n", code_fn=call, inputs={}, limit=Limit(concurrency=1), timeout_s=0.01, on_error="collect"
        )
        late["error"] >> PARENT["error"]
        late >> CodeNode(name="after", code_fn=wait_for_it, inputs={})
    await Hush(graph, grace_s=0).run(tracer=recorder)
    assert [type(event) for event in recorder.events].count(NodeReleased) == 1
    assert isinstance(recorder.events[-1], RunFinished)


async def test_nobody_is_told_of_a_call_that_is_left_behind_after_the_end_of_its_run(call):
    recorder, limit = Recorder(), Limit(concurrency=1)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)
    task = asyncio.ensure_future(Hush(graph, grace_s=0).run(tracer=recorder))
    await until(call.started.is_set)
    task.cancel()
    await asyncio.wait([task])
    call.go.set()
    await until(lambda: not limit_state(limit, asyncio.get_running_loop()).in_use)
    await asyncio.sleep(0.01)
    assert isinstance(recorder.events[-1], RunFinished)


def test_who_no_longer_waits_leaves_no_timer_behind():
    """It would keep a loop from being idle, and make the clock of a test jump to it."""
    engine = Hush(mapped(Inside().work(0), range(3), limit=Limit(per_minute=1)))

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(engine.run())
        await asyncio.sleep(1)
        assert [timer.when() for timer in loop._scheduled if not timer.cancelled()] == [60]
        task.cancel()
        await asyncio.wait([task])
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]

    run_virtual(main)
