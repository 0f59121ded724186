"""Retries of what runs in threads or has a `timeout_s`: each attempt has its own, and none is made beside another."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush, NodeFailed, NodeRetrying, NodeTimeout, Retry
from hush.testing import Recorder
from kit.flaky import Flaky, each, one
from runtime.observing import outcome

SOON = Retry(backoff_s=0)


def test_the_timeout_is_one_of_each_attempt():
    calls = []

    async def code(x):
        calls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(9 if len(calls) < 3 else 1.5)
        return {"y": x}

    found = outcome(one(code, Retry(backoff_s=1, jitter=False), timeout_s=2))
    assert (found.result, calls, found.at_s) == ({"y": 1}, [0, 3, 7], 8.5)


def test_the_last_timeout_is_the_nodes_failure():
    async def code(x):
        await asyncio.sleep(9)

    found = outcome(one(code, Retry(max_attempts=3, backoff_s=1, jitter=False), timeout_s=2))
    assert type(found.error) is NodeTimeout
    assert (found.error.hush.attempt, found.at_s, found.cancelling) == (3, 9, 0)
    assert found.error.__notes__[0].endswith(", attempt 3, not tried again: max_attempts=3")


class Blocking:
    """Blocks in its thread in the first calls, until it is let go."""

    def __init__(self, blocked):
        self.blocked = blocked
        self.calls = 0
        self.go = threading.Event()
        self.ended = threading.Semaphore(0)
        self.alive = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, x=1):
        with self.lock:
            self.calls += 1
            number = self.calls
            self.alive += 1
            self.most = max(self.most, self.alive)
        try:
            if number <= self.blocked:
                self.go.wait(30)
            return {"y": number}
        finally:
            with self.lock:
                self.alive -= 1
            self.ended.release()


@pytest.fixture
def blocking():
    made = []

    def make(blocked):
        made.append(Blocking(blocked))
        return made[-1]

    yield make
    for each_made in made:
        each_made.go.set()
        for _ in range(each_made.calls):
            assert each_made.ended.acquire(timeout=10)


async def test_a_call_in_a_thread_that_ends_in_its_grace_is_tried_again(blocking):
    fn = blocking(1)
    heard = []

    class Release:
        def emit(self, event):
            heard.append(event)

    async def let_go():
        while not fn.calls:  # noqa: ASYNC110  # a thread has no loop to tell it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # past its deadline
        fn.go.set()

    engine = Hush(one(fn, SOON, timeout_s=0.02), grace_s=20)
    release = asyncio.ensure_future(let_go())
    assert await engine.run(tracer=Release()) == {"y": 2}
    await release
    assert fn.most == 1  # never two at once
    [retrying] = [event for event in heard if isinstance(event, NodeRetrying)]
    assert type(retrying.error) is NodeTimeout


async def test_a_call_that_is_left_behind_is_not_tried_again(blocking):
    fn = blocking(1)
    with pytest.raises(NodeTimeout) as caught:
        await Hush(one(fn, SOON, timeout_s=0.02), grace_s=0.02).run()
    assert fn.calls == 1
    assert caught.value.hush.attempt == 1
    assert caught.value.__notes__[0].endswith(", attempt 1, not tried again: its call is still at work in a thread")


async def test_a_call_that_is_left_behind_can_be_handled(blocking):
    fn = blocking(1)
    with GraphNode(name="g") as graph:
        node = CodeNode(name="n", code_fn=fn, inputs={"x": 1}, retry=SOON, timeout_s=0.02)
        node["error"] >> PARENT["error"]
    result = await Hush(graph, grace_s=0.02).run()
    assert isinstance(result["error"], NodeTimeout)
    assert fn.calls == 1


async def test_only_the_last_attempt_ends_the_others_before_its_call_has_ended(blocking):
    """A timeout fails its domain at the deadline; but not while another attempt may follow."""
    fn = blocking(2)
    ended_after = []

    async def beside():
        try:
            await asyncio.sleep(60)
        finally:
            ended_after.append(fn.calls)
            fn.go.set()  # the second call ends in its grace

    class ByEvents:
        def emit(self, event):
            heard.append(event)

    heard = []
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={}, retry=Retry(max_attempts=2, backoff_s=0), timeout_s=0.05)
        CodeNode(name="beside", code_fn=beside, inputs={})

    async def let_the_first_go():
        while not fn.calls:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        go, fn.go = fn.go, threading.Event()
        go.set()

    release = asyncio.ensure_future(let_the_first_go())
    with pytest.raises(NodeTimeout) as caught:
        await Hush(graph, grace_s=20).run(tracer=ByEvents())
    await release
    assert ended_after == [2]
    assert caught.value.hush.attempt == 2
    assert caught.value.__notes__[0].endswith(", attempt 2, not tried again: max_attempts=2")
    assert [type(event) for event in heard if isinstance(event, NodeFailed | NodeRetrying)] == [
        NodeRetrying,
        NodeFailed,
    ]


async def test_a_call_in_a_thread_raises_and_is_tried_again():
    flaky = Flaky(2)
    assert await Hush(one(flaky.plain, SOON, executor="thread")).run() == {"y": 1}
    assert flaky.calls[1] == 3


async def test_what_it_raises_at_last_has_no_context_and_the_users_line():
    flaky = Flaky(9)
    with pytest.raises(ConnectionError) as caught:
        await Hush(one(flaky.plain, SOON, executor="thread")).run()
    assert caught.value.__context__ is None
    assert caught.value.hush.attempt == 5


async def test_items_in_threads_on_a_real_loop():
    flaky = Flaky(2)
    lock = threading.Lock()

    def plain(x):
        with lock:
            return flaky.plain(x)

    recorder = Recorder()
    result = await Hush(each(plain, 50, Retry(backoff_s=0.001))).run(tracer=recorder)
    assert result["y"] == list(range(50))
    assert sum(isinstance(event, NodeRetrying) for event in recorder.events) == 100


async def test_a_cancelled_call_in_a_thread_is_not_tried_again(blocking):
    fn = blocking(1)
    task = asyncio.ensure_future(Hush(one(fn, SOON, executor="thread"), grace_s=20).run())
    while not fn.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    task.cancel()
    fn.go.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert fn.calls == 1
