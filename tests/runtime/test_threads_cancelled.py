"""Calls in threads cannot be stopped: what happens to them when their run is cancelled or out of time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout, RunTimeout
from kit.faults import Boom, label, members
from runtime.observing import until

LONG_S = 30  # a grace that no test waits for
SHORT_S = 0.03  # a grace that tests do wait for


class Call:
    """A `def` that says when it started and blocks until it is let go."""

    def __init__(self, error=None):
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.error = error

    def __call__(self):
        self.started.set()
        assert self.go.wait(20)
        self.ended.set()
        if self.error is not None:
            raise self.error
        return {"y": 1}

    async def start(self):
        await until(self.started.is_set)


@pytest.fixture
def call():
    made = Call()
    yield made
    made.go.set()


def engine_of(call, *, grace_s, **options):
    with GraphNode(name="g") as graph:
        CodeNode(name="call", code_fn=call, inputs={}, outputs=PARENT, **options)
    return Hush(graph, grace_s=grace_s)


async def soon(awaitable):
    """A hang is a failure; how quick it is, no test asks."""
    return await asyncio.wait_for(awaitable, 10)


async def started(engine, call, **options):
    task = asyncio.ensure_future(engine.run(**options))
    await soon(call.start())
    return task


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


# ── Errors while being cancelled ─────────────────────────────────────────────────────────────────────────────────────


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


# ── The end of the process ───────────────────────────────────────────────────────────────────────────────────────────

NEVER_ENDS = """
import asyncio, threading
from hush.core import CodeNode, GraphNode, Hush
with GraphNode(name="g") as graph:
    CodeNode(name="hangs", code_fn=threading.Event().wait, inputs={}, timeout_s=0.02)
engine = Hush(graph, grace_s=0.02)
try:
    RUN
except TimeoutError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("run", ["asyncio.run(engine.run())", "engine.run_sync()"])
def test_a_call_that_never_ends_does_not_hold_up_the_exit(run):
    script = NEVER_ENDS.replace("RUN", run)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (0, "NodeTimeout\n")
    assert "Traceback" not in ended.stderr


def test_only_idle_daemon_threads_stay_after_runs():
    async def main():
        with GraphNode(name="g") as graph:
            for number in range(5):
                CodeNode(name=f"n{number}", code_fn=dict, inputs={}, executor="thread")
        await Hush(graph).run()

    before = set(threading.enumerate())
    asyncio.run(main())
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)


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


# 600 calls at once, which end when the pool is full and its test has seen what it wanted to see.
CROWD = """
import asyncio, threading
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

lock, go, inside, most = threading.Lock(), threading.Event(), 0, 0

def block(x):
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    assert go.wait(20)
    with lock:
        inside -= 1
    return {"y": x}

with GraphNode(name="g") as graph:
    with MapNode(name="m", inputs={"x": Each(range(600))}, max_concurrency=600) as each:
        CodeNode(name="n", code_fn=block, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]}, executor="thread")
    each["y"] >> PARENT["y"]

async def main():
    crowd = asyncio.ensure_future(Hush(graph).run())
    while inside < 512:
        await asyncio.sleep(0.001)
    BODY
    print((await crowd)["y"] == list(range(600)), most)

asyncio.run(main())
"""

IN_TIME = """
    with GraphNode(name="h") as late:
        CodeNode(name="n", code_fn=lambda: {"y": "in time"}, inputs={}, timeout_s=0.05, outputs=PARENT)
    asyncio.get_running_loop().call_later(0.15, go.set)
    print((await Hush(late).run())["y"])
"""

NEVER_RUNS = """
    ran = []
    with GraphNode(name="h") as late:
        CodeNode(name="n", code_fn=lambda: ran.append("ran"), inputs={}, executor="thread")
    task = asyncio.ensure_future(Hush(late, grace_s=0.05).run())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    go.set()
    await crowd
    await asyncio.sleep(0.05)
    print("cancelled" if task.cancelled() else "not cancelled", *ran)
"""


def crowded(body):
    """What the script says in whose midst the body is."""
    script = CROWD.replace("    BODY", body)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=40, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_the_pool_grows_on_demand_to_its_ceiling_and_a_timeout_counts_from_the_start_of_the_call():
    """600 calls at once: 512 of them run; a call with a timeout waits for a place longer than that, and is in time."""
    assert crowded(IN_TIME) == ["in time", "True 512"]


def test_a_call_that_waits_for_a_place_never_runs_once_it_is_cancelled():
    """Control has returned: nothing of the run may begin after that."""
    assert crowded(NEVER_RUNS) == ["cancelled", "True 512"]
