"""Faults that a review of the first engine found: threads, timeouts of calls in them, and `run_sync`."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.observing import until

GRACE_S = 0.5  # in virtual time


def run_apart(script):
    """Run what may hang in a process that can be ended. What it printed."""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def go():
    """Set at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


# ── run_sync ─────────────────────────────────────────────────────────────────────────────────────────────────────────

EXITS = """
import asyncio
from hush.core import PARENT, CodeNode, GraphNode, Hush

async def leaves():
    await asyncio.sleep(0)
    raise SystemExit(3)

async def code():
    await asyncio.gather(asyncio.create_task(leaves()))

with GraphNode(name="g") as graph:
    CodeNode(name="n", code_fn=code)
with GraphNode(name="fine") as fine:
    CodeNode(name="n", code_fn=lambda: {"y": 1}, outputs=PARENT)
try:
    Hush(graph).run_sync()
except SystemExit as error:
    print(error.code)
print(dict(Hush(fine).run_sync()))
"""


def test_an_exit_in_a_task_of_the_users_does_not_end_the_loop_of_run_sync():
    """Asyncio raises it out of the loop as well, and with its loop every later run would hang."""
    assert run_apart(EXITS) == "3\n{'y': 1}\n"


def test_a_function_that_calls_run_sync_works_wherever_it_is_called():
    """Quick as it has been, it runs on the loop of `run_sync` itself by then."""
    with GraphNode(name="inner") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    inner = Hush(graph)
    threads = set()

    def call(x):
        if x < 200:
            return {"y": x + 1}
        threads.add(threading.current_thread().name)
        return {"y": inner.run_sync({"x": x})["y"]}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(210))}, max_concurrency=1) as each:
            CodeNode(name="call", code_fn=call, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["y"]
    result = Hush(graph).run_sync()
    assert not result.errors
    assert result == {"y": list(range(1, 211))}
    assert "hush-loop" in threads, "else this test proves nothing"


CROWD = """
import threading
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._threads import MAX_THREADS

with GraphNode(name="inner") as graph:
    CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="thread")
inner = Hush(graph)
all_there = threading.Barrier(MAX_THREADS)

def call(x):
    all_there.wait(15)
    return {"y": inner.run_sync({"x": x})["y"]}

with GraphNode(name="g") as graph:
    with MapNode(name="m", inputs={"x": Each(range(MAX_THREADS))}, max_concurrency=MAX_THREADS) as each:
        CodeNode(name="call", code_fn=call, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="thread")
    each["y"] >> PARENT["y"]
print(Hush(graph).run_sync()["y"] == list(range(MAX_THREADS)))
"""


def test_all_threads_may_wait_for_runs_that_need_a_thread():
    """Those calls stand behind the ones that wait for them, if those keep their places."""
    assert run_apart(CROWD) == "True\n"


# ── Deadlines and grace ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_others_hear_of_a_timeout_before_its_call_gets_its_grace(go):
    """Else theirs begins when it ends, and control returns two graces late."""
    started = threading.Event()

    def other():
        started.set()
        go.wait(20)

    async def main():
        loop, began_s = asyncio.get_running_loop(), []

        async def ready():
            await until(started.is_set)
            began_s.append(loop.time())

        with GraphNode(name="g") as graph:
            CodeNode(name="other", code_fn=other, executor="thread")
            first = CodeNode(name="ready", code_fn=ready)
            late = CodeNode(name="late", code_fn=lambda: go.wait(20), executor="thread", timeout_s=0.2)
            first >> late
        with pytest.raises(NodeTimeout):
            await Hush(graph, grace_s=GRACE_S).run()
        return loop.time() - began_s[0]

    assert run_virtual(main, inline=False, max_passes=2_000_000) == pytest.approx(0.2 + GRACE_S)


def test_a_cancellation_is_heard_while_a_handled_timeout_gives_its_call_its_grace(go):
    """The task is lingering then, so nothing that is awaited in it would tell the others."""

    async def main():
        loop, heard_s, started_s = asyncio.get_running_loop(), [], []
        started = threading.Event()

        def late():
            started.set()
            go.wait(20)

        async def other():
            await until(started.is_set)
            started_s.append(loop.time())
            try:
                await asyncio.sleep(1000)
            finally:
                heard_s.append(loop.time())

        with GraphNode(name="g") as graph:
            CodeNode(name="late", code_fn=late, executor="thread", timeout_s=0.2, on_error="collect")
            CodeNode(name="other", code_fn=other)
        task = asyncio.ensure_future(Hush(graph, grace_s=1000).run())
        await until(lambda: started_s)
        await asyncio.sleep(0.3)
        asked_s = loop.time()
        task.cancel()
        await asyncio.sleep(1)
        assert heard_s == [asked_s]
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main, inline=False, max_passes=2_000_000)


# ── Functions that return something to await ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["a sibling fails", "the deadline passes", "the run is cancelled"])
async def test_a_coroutine_that_a_call_gives_too_late_is_closed(how, go):
    """Nobody awaits it any more, and Python would complain of that."""
    started, made = threading.Event(), []
    loop = asyncio.get_running_loop()

    async def never():
        return {}

    def late():
        started.set()
        go.wait(20)
        made.append(never())
        return made[-1]

    async def bad():
        await until(started.is_set)
        loop.call_later(0.005, go.set)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        CodeNode(name="late", code_fn=late, executor="thread", timeout_s=0.01 if how == "the deadline passes" else None)
        if how == "a sibling fails":
            CodeNode(name="bad", code_fn=bad)
    task = asyncio.ensure_future(Hush(graph, grace_s=10).run())
    await until(started.is_set)
    if how == "the run is cancelled":
        task.cancel()
    if how != "a sibling fails":
        loop.call_later(0.02, go.set)
    with pytest.raises((Boom, NodeTimeout, asyncio.CancelledError)):
        await asyncio.wait_for(task, 10)
    assert [inspect.getcoroutinestate(each) for each in made] == [inspect.CORO_CLOSED]


async def test_a_blocking_function_that_returns_a_coroutine_goes_back_to_threads():
    """What it takes is measured when it returns, whatever it returns: else it holds up the loop each time."""
    quick, held_up = [], []

    async def give():
        return {"y": 1}

    def code(x):
        inline = threading.current_thread() is threading.main_thread()
        if x < 200:
            quick.append(inline)
        else:
            held_up.append(inline)
            time.sleep(0.006)
        return give()

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(208))}, max_concurrency=1) as each:
            CodeNode(name="n", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["y"]
    assert await Hush(graph).run() == {"y": [1] * 208}
    assert any(quick), "else this test proves nothing"
    assert sum(held_up) <= 1
