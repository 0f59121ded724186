"""`run_sync`: one loop for the process, from any thread, where a loop is running too, and with Ctrl-C."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, MapNode, NodeTimeout, RunTimeout
from kit.faults import Boom

semaphore = asyncio.Semaphore(2)  # made at import, as in the guide


def engine_of(fn, inputs=(), **options):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={key: PARENT[key] for key in inputs}, outputs=PARENT, **options)
    return Hush(graph)


async def give(x):
    await asyncio.sleep(0)
    return {"y": x}


def test_it_gives_the_result():
    result = engine_of(give, ["x"]).run_sync({"x": 1}, request_id="r", user_id="u", session_id="s")
    assert (result, result.request_id, result.user_id, result.session_id) == ({"y": 1}, "r", "u", "s")


def test_it_raises_the_users_own_exception():
    error = Boom("mine")

    async def bad():
        raise error

    with pytest.raises(Boom) as caught:
        engine_of(bad).run_sync()
    assert caught.value is error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_ordinary_exception_reaches_the_caller_and_the_loop_lives_on(kind):
    async def bad():
        raise kind("mine")

    with pytest.raises(kind, match="mine"):
        engine_of(bad).run_sync()
    assert engine_of(give, ["x"]).run_sync({"x": 1}) == {"y": 1}


def test_a_timeout_is_told_as_in_run():
    with pytest.raises(RunTimeout):
        engine_of(lambda: asyncio.sleep(60)).run_sync(timeout_s=0.01)


async def test_it_works_where_a_loop_is_running():
    """As in a notebook."""
    assert engine_of(give, ["x"]).run_sync({"x": 1}) == {"y": 1}


def test_every_call_is_on_the_same_loop():
    async def tell():
        return {"loop": asyncio.get_running_loop(), "thread": threading.current_thread()}

    engine = engine_of(tell)
    one, two = engine.run_sync(), engine.run_sync()
    assert one["loop"] is two["loop"]
    assert one["thread"] is two["thread"]
    assert one["thread"].daemon
    assert one["thread"] is not threading.main_thread()


def test_asyncio_objects_made_at_import_work_in_every_call():
    """A semaphore belongs to the first loop that waits for it: the guide's block must work twice."""

    async def limited(x):
        async with semaphore:
            await asyncio.sleep(0.001)
            return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(6))}) as each:
            CodeNode(name="n", code_fn=limited, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    engine = Hush(graph)
    for _ in range(2):
        assert engine.run_sync()["ys"] == [*range(6)]


def test_it_works_from_several_threads_at_once():
    together, found = threading.Barrier(4), {}

    def meet(x):
        together.wait(10)
        return {"y": x}

    engine = engine_of(meet, ["x"])

    def call(number):
        found[number] = engine.run_sync({"x": number})["y"]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {number: number for number in range(4)}


def test_a_node_in_a_thread_may_call_it():
    """Under auto no loop is in sight, and the loop of `run_sync` is free."""
    inner = engine_of(give, ["x"])
    engine = engine_of(lambda x: dict(inner.run_sync({"x": x})), ["x"], executor="thread")
    assert engine.run_sync({"x": 3}) == {"y": 3}


@pytest.mark.parametrize("executor", ["inline", None])
def test_on_its_own_loop_it_raises_and_names_await(executor):
    """It would wait for itself for ever."""
    inner = engine_of(give, ["x"])

    def call():
        return dict(inner.run_sync({"x": 1}))

    async def call_async():
        return call()

    engine = engine_of(call, executor="inline") if executor else engine_of(call_async)
    with pytest.raises(HushError, match="await"):
        engine.run_sync()


def test_the_callers_context_variables_are_seen():
    var = contextvars.ContextVar("var", default="nothing")

    async def look():
        return {"y": var.get()}

    var.set("the caller's")
    assert engine_of(look).run_sync() == {"y": "the caller's"}


def test_a_node_alone_is_run_the_same_way():
    node = CodeNode(name="n", code_fn=give, inputs={})
    assert node(x=5) == {"y": 5}


async def test_a_node_alone_works_where_a_loop_is_running():
    node = CodeNode(name="n", code_fn=give, inputs={})
    assert node(x=5) == {"y": 5}


def test_a_node_alone_keeps_its_policies():
    node = CodeNode(name="n", code_fn=lambda: asyncio.sleep(60), inputs={}, timeout_s=0.01)
    with pytest.raises(NodeTimeout):
        node()


# ── Ctrl-C ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SCRIPT = """
import asyncio, threading
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

def say(words):
    print(words, flush=True)

async def waits(x):
    try:
        if x == 1:
            say("started")
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        say("cleanup")

with GraphNode(name="g") as graph:
    BODY
engine = Hush(graph, grace_s=0.05)
try:
    RUN
except KeyboardInterrupt:
    say("interrupted")
say("alive")
"""

NODE = 'CodeNode(name="n", code_fn=waits, inputs={"x": 1})'
MAP = """with MapNode(name="m", inputs={"x": Each([0, 1])}):
        CodeNode(name="n", code_fn=waits, inputs={"x": PARENT["x"]})"""
THREAD = """CodeNode(name="n", code_fn=lambda: (say("started"), threading.Event().wait()), inputs={})"""


def interrupted(body, run):
    """Run the script, press Ctrl-C once it has started, and give what it said."""
    script = SCRIPT.replace("BODY", body).replace("RUN", run)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "started\n"
            process.send_signal(signal.SIGINT)
            said, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    return said.split()


@pytest.mark.parametrize("run", ["engine.run_sync()", "asyncio.run(engine.run())"])
@pytest.mark.parametrize(("body", "cleanups"), [(NODE, 1), (MAP, 2), (THREAD, 0)], ids=["node", "map", "thread"])
def test_ctrl_c_cancels_the_run_and_waits_for_its_cleanup(run, body, cleanups):
    assert interrupted(body, run) == ["cleanup"] * cleanups + ["interrupted", "alive"]


def test_ctrl_c_stops_a_busy_run_too():
    """Inline work leaves turns to the loop, and so to whoever cancels."""
    body = """with MapNode(name="m", inputs={"x": Each(range(10**9))}):
        CodeNode(name="n", code_fn=lambda x: say("started") if x == 1000 else None, inputs={"x": PARENT["x"]},
                 executor="inline")"""
    assert interrupted(body, "engine.run_sync()") == ["interrupted", "alive"]
