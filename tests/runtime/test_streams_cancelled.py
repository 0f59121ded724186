"""A reader of a stream is cancelled, or leaves, while the run is failing: the failure is told, as `run` tells it."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeStarted
from hush.testing import end_of, leak_check
from kit.cancel_shapes import Log
from kit.faults import Boom, label

pytestmark = pytest.mark.usefixtures("leak_check")  # a failure that nobody took is told to the loop


def failing(log: Log) -> Hush:
    """A run that fails after one second, and takes half a second to end then."""
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    return Hush(graph)


def breaking_down(log: Log) -> Hush:
    """A run that fails when it is cancelled, half a second later."""
    with GraphNode(name="g") as graph:
        log.node("sleeps", seconds=9, cleanup_s=0.5, broken_cleanup=True)
    return Hush(graph)


def cancelled_at(main, *seconds):
    """Run it in virtual time, cancelled at these times: what became of it, and the requests that stayed."""

    async def cancelled():
        task = asyncio.current_task()
        for each in seconds:
            asyncio.get_running_loop().call_at(each, task.cancel)
        return await main()

    return end_of(cancelled)


async def read(engine):
    async for _ in engine.stream():
        pass


async def read_in_a_block(engine):
    async with engine.stream() as events:
        async for _ in events:
            pass


async def read_slowly(engine):
    async with engine.stream() as events:
        async for _ in events:
            await asyncio.sleep(9)


async def close(engine):
    events = engine.stream()
    await anext(events)
    await asyncio.sleep(0)
    await events.aclose()


@pytest.mark.parametrize("reader", [read, read_in_a_block, read_slowly])
def test_a_reader_cancelled_while_the_run_is_failing_is_told_the_failure(reader):
    log = Log()
    ended = cancelled_at(lambda: reader(failing(log)), 1.2)
    assert label(ended.error) == "breaks"
    assert (ended.cancelling, ended.at_s) == (1, 1.5)
    log.check()


@pytest.mark.parametrize("reader", [read, read_in_a_block, read_slowly])
@pytest.mark.parametrize("seconds", [(1,), (1, 1.2)])
def test_a_run_that_fails_because_its_reader_is_cancelled_is_told(reader, seconds):
    log = Log()
    ended = cancelled_at(lambda: reader(breaking_down(log)), *seconds)
    assert label(ended.error) == "cleanup of sleeps"
    assert (ended.cancelling, ended.at_s) == (len(seconds), 1.5)
    log.check()


def test_a_reader_cancelled_while_it_closes_the_stream_is_told_what_the_run_failed_with():
    log = Log()
    ended = cancelled_at(lambda: close(breaking_down(log)), 0.2)
    assert label(ended.error) == "cleanup of sleeps"
    assert (ended.cancelling, ended.at_s) == (1, 0.5)
    log.check()


@pytest.mark.parametrize("make", [failing, breaking_down])
def test_the_readers_own_failure_goes_first(make):
    async def fail(engine):
        async with engine.stream() as events:
            async for _ in events:
                await asyncio.sleep(1.2)
                raise LookupError("the reader's own")

    log = Log()
    ended = end_of(lambda: fail(make(log)))
    assert isinstance(ended.error, LookupError)
    log.check()


def test_a_failure_is_told_once_to_a_reader_that_is_not_cancelled():
    log = Log()
    with leak_check():
        ended = end_of(lambda: read_in_a_block(failing(log)))
        assert isinstance(ended.error, Boom)
        assert ended.error.__context__ is None
    log.check()


@pytest.mark.parametrize("limit", [1, 2])
def test_a_run_that_has_failed_does_not_wait_for_its_reader(limit):
    """Nobody cancels the one that failed: it must not ask whether there is room in the buffer before it ends."""
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("above", seconds=9)
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, on_error="raise", max_concurrency=limit):
            log.node("breaks", PARENT["x"], breaks_s=1)
        log.node("below", seconds=9)

    async def main():
        async with Hush(graph).stream(buffer=2) as events:
            async for event in events:
                if isinstance(event, NodeStarted) and event.path == "g/m/breaks":
                    await asyncio.sleep(5)
                    break

    ended = end_of(main)
    assert label(ended.error) == "breaks"
    assert ended.at_s == 5
    log.check()


async def run(engine):
    await engine.run()


async def await_handle(engine):
    await engine.start()


async def await_handle_in_vain(engine):
    """It is cancelled itself as well, when it has failed."""
    handle = engine.start()
    asyncio.get_running_loop().call_at(1.1, handle.cancel)
    await handle


@pytest.mark.parametrize("holder", [run, await_handle, await_handle_in_vain, read, read_in_a_block])
def test_a_failure_that_has_happened_is_told_whenever_the_request_comes(holder):
    raised = []

    async def fail():
        await asyncio.sleep(1)
        raised.append("it")
        raise Boom("breaks")

    log = Log()
    with GraphNode(name="g") as graph:
        CodeNode(name="fails", code_fn=fail, inputs={})
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    engine = Hush(graph)
    told = []
    for number in range(1, 30):
        raised.clear()

        async def cancelled(number=number):
            asyncio.get_running_loop().at_pass(number, asyncio.current_task().cancel)
            await holder(engine)

        ended = end_of(cancelled)
        told.append((bool(raised), ended.error is not None and label(ended.error) == "breaks"))
        log.check()
    assert all(happened == said for happened, said in told), told
    assert {happened for happened, _ in told} == {True, False}
