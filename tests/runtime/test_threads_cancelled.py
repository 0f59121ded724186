"""Calls in threads cannot be stopped: what happens to them when their run is cancelled or out of time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout, RunTimeout
from runtime.blocking import LONG_S, SHORT_S, Call, engine_of, soon, started
from runtime.observing import until


@pytest.fixture
def call():
    made = Call()
    yield made
    made.go.set()


# ── Control returns ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_control_returns_after_the_grace_and_the_call_is_said_to_be_abandoned(call, caplog):
    task = await started(engine_of(call, grace_s=SHORT_S), call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert not call.ended.is_set()
    (record,) = [record for record in caplog.records if record.name.startswith("hush")]
    assert record.levelno == logging.WARNING
    assert "g/call" in record.getMessage()


async def test_control_returns_as_soon_as_the_call_ends(call, caplog):
    task = await started(engine_of(call, grace_s=LONG_S), call)
    task.cancel()
    asyncio.get_running_loop().call_later(0.005, call.go.set)
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert call.ended.is_set()
    assert not caplog.records


async def test_without_a_grace_control_returns_at_once(call):
    task = await started(engine_of(call, grace_s=0), call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert not call.ended.is_set()


async def test_more_requests_do_not_make_the_grace_longer_or_shorter(call):
    task = await started(engine_of(call, grace_s=LONG_S), call)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.001)
    assert not task.done(), "a second request must not cut the grace short"
    call.go.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert task.cancelling() == 3


def fan_of(calls):
    with GraphNode(name="g") as graph:
        for number, each in enumerate(calls):
            CodeNode(name=f"n{number}", code_fn=each, inputs={})
    return graph


def nest_of(calls):
    with GraphNode(name="g") as graph, contextlib.ExitStack() as levels:
        for number, each in enumerate(calls):
            levels.enter_context(GraphNode(name=f"level{number}", on_error="collect"))
            CodeNode(name=f"n{number}", code_fn=each, inputs={})
    return graph


def map_of(calls):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(calls)}, max_concurrency=99):
        CodeNode(name="n", code_fn=lambda x: x(), inputs={"x": PARENT["x"]}, executor="thread")
    return graph


@pytest.mark.parametrize("make", [fan_of, nest_of, map_of])
@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_many_calls_share_one_grace(make, how):
    """Control returns within `grace_s`, not within as many of them as there are calls, or levels around them."""
    calls, grace_s = [Call() for _ in range(10)], 0.1
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(Hush(make(calls), grace_s=grace_s).run(timeout_s=0.05 if how == "timeout" else None))
    for each in calls:
        await soon(each.start())
    if how == "cancel":
        task.cancel()
    began_s = loop.time()
    await soon(asyncio.wait([task]))
    for each in calls:
        each.go.set()
    assert (loop.time() - began_s) / grace_s < 1.8


async def test_an_abandoned_call_that_ends_later_harms_nobody(call):
    engine = engine_of(call, grace_s=0)
    task = await started(engine, call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    call.go.set()
    assert await soon(engine.run()) == {"y": 1}


def test_an_abandoned_call_may_outlive_its_loop(call):
    """It has nobody to tell that it has ended; that is no error."""

    async def main():
        with pytest.raises(NodeTimeout):
            await engine_of(call, grace_s=0, timeout_s=SHORT_S).run()

    asyncio.run(main())
    call.go.set()
    assert call.ended.wait(10)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("hush")]
    assert all(thread.is_alive() for thread in threads)


async def test_nothing_starts_after_a_call_that_was_cancelled(call):
    after = []
    with GraphNode(name="g") as graph:
        first = CodeNode(name="call", code_fn=call, inputs={})
        first >> CodeNode(name="after", code_fn=lambda: after.append(1), inputs={})
    task = await started(Hush(graph, grace_s=LONG_S), call)
    task.cancel()
    await asyncio.sleep(0)
    call.go.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert not after


# ── Out of time ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_node_out_of_time_fails_and_its_call_is_left_behind(call, caplog):
    with pytest.raises(NodeTimeout) as caught:
        await soon(engine_of(call, grace_s=SHORT_S, timeout_s=SHORT_S).run())
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.hush.path == "g/call"
    assert not call.ended.is_set()
    assert "g/call" in caplog.text


async def test_a_node_out_of_time_can_be_handled(call):
    with GraphNode(name="g") as graph:
        CodeNode(name="call", code_fn=call, inputs={}, timeout_s=SHORT_S, outputs={"error": PARENT["error"]})
    result = await soon(Hush(graph, grace_s=0).run())
    assert isinstance(result["error"], NodeTimeout)


async def test_a_run_out_of_time_is_left_within_the_grace(call):
    with pytest.raises(RunTimeout):
        await soon(engine_of(call, grace_s=SHORT_S).run(timeout_s=SHORT_S))
    assert not call.ended.is_set()


async def test_a_call_that_is_in_time_keeps_its_result(call):
    call.go.set()
    assert await soon(engine_of(call, grace_s=0, timeout_s=20).run()) == {"y": 1}


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Rows:
    """A generator that blocks before its second item."""

    def __init__(self):
        self.blocked, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.rows = self._rows()

    def _rows(self):
        try:
            yield 1
            self.blocked.set()
            assert self.go.wait(20)
            yield 2
        finally:
            self.closed.set()

    async def block(self):
        await until(self.blocked.is_set)


def map_over(rows, *, grace_s):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(rows)}):
        CodeNode(name="n", code_fn=lambda x: {}, inputs={"x": PARENT["x"]})
    return Hush(graph, grace_s=grace_s)


async def test_a_source_that_does_not_return_is_left_behind_and_closed_once_it_does(caplog):
    """Generators are always closed; this one cannot be while its thread is in it."""
    source = Rows()
    task = asyncio.ensure_future(map_over(source.rows, grace_s=SHORT_S).run())
    await soon(source.block())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert not source.closed.is_set()
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    source.go.set()
    await soon(until(source.closed.is_set))


async def test_a_source_that_returns_within_the_grace_is_closed_before_control_returns():
    source = Rows()
    task = asyncio.ensure_future(map_over(source.rows, grace_s=LONG_S).run())
    await soon(source.block())
    task.cancel()
    asyncio.get_running_loop().call_later(0.005, source.go.set)
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert source.closed.is_set()
