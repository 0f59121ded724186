"""No process stays behind: whoever is cancelled, out of time, left or killed, its processes end with it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hush.core import END, START, CodeNode, GraphNode, Hush, ItemFinished, NodeFinished, NodeTimeout, RunTimeout
from hush.testing import leak_check
from kit.processes import HAVE_PROC, descriptors, workers
from runtime.in_processes import failed, mapped, node

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


def blocker(path: str) -> Callable[..., Any]:
    """Says that it has begun, through a named pipe, and blocks for ever."""

    def block(x):
        if x == 0:
            return {"y": 0}
        with open(path, "w") as pipe:
            pipe.write("begun")
        while True:
            signal.pause()

    return block


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


async def begun(path: str) -> None:
    """Wait until a blocker has begun."""

    def read():
        with open(path) as pipe:
            return pipe.read()

    assert await asyncio.to_thread(read) == "begun"


@pytest.mark.parametrize("engine", ["node", "map"])
async def test_a_cancelled_run_leaves_no_process(engine, pipe):
    await warm()
    gc.collect()
    before = descriptors()
    async with leak_check():
        if engine == "node":
            task = asyncio.ensure_future(node(blocker(pipe)).run({"x": 1}))
        else:
            task = asyncio.ensure_future(mapped(blocker(pipe)).run({"xs": [0, 0, 1, 0, 0]}))
        await begun(pipe)
        assert workers()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert workers() == []
    del task
    gc.collect()
    assert descriptors() == before


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize("engine", ["node", "map"])
async def test_why_it_was_cancelled_comes_out_though_it_is_cancelled_again(engine, passes, pipe):
    """The second one comes while its process is being ended."""
    if engine == "node":
        task = asyncio.ensure_future(node(blocker(pipe)).run({"x": 1}))
    else:
        task = asyncio.ensure_future(mapped(blocker(pipe)).run({"xs": [0, 1]}))
    await begun(pipe)
    task.cancel("the shop is closed")
    for _ in range(passes):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == ("the shop is closed",)


class OnceEnded:
    """Cancels a run so many passes of the loop after its node has ended."""

    def __init__(self, passes: int) -> None:
        self.passes = passes

    def emit(self, event):
        if isinstance(event, NodeFinished):
            self.later(asyncio.current_task(), self.passes)

    def later(self, task, passes):
        loop = asyncio.get_running_loop()
        if passes:
            loop.call_soon(self.later, task, passes - 1)
        else:
            task.cancel("the shop is closed")


@pytest.mark.parametrize("passes", [0, 1, 2, 3, 4])
async def test_why_it_was_cancelled_comes_out_while_its_processes_end(passes):
    with pytest.raises(asyncio.CancelledError) as caught:
        await node(lambda x: {"y": x}).run({"x": 1}, tracer=OnceEnded(passes))
    assert caught.value.args == ("the shop is closed",)
    assert asyncio.current_task().uncancel() == 0


async def warm() -> None:
    """The first process of all starts loky's trackers, which stay."""
    await node(lambda x: {"y": x}).run({"x": 1})


@pytest.mark.parametrize("passes", [0, 1, 2, 3, 5, 20])
async def test_cancelled_at_any_moment_of_its_beginning(passes):
    """While it packs, waits for a process, or starts one."""
    for engine, inputs in ((mapped(lambda x: {"y": x}), {"xs": [1, 2, 3]}), (node(lambda x: {"y": x}), {"x": 1})):
        task = asyncio.ensure_future(engine.run(inputs))
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert workers() == []


@pytest.mark.nightly
@pytest.mark.parametrize("passes", [50, 200, 1_000, 2_000, 4_000, 8_000, 12_000, 16_000, 24_000, 32_000])
@pytest.mark.parametrize("killers", [False, True])
async def test_cancelled_at_any_moment_of_its_work(passes, killers):
    """Most moments lie while processes start; with killers, while they are started again."""

    def call(x):
        if killers and x % 10 == 3:
            os._exit(1)
        return {"y": sum(range(50_000))}

    task = asyncio.ensure_future(mapped(call).run({"xs": list(range(2_000))}))
    for _ in range(passes):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert workers() == []


async def test_left_at_an_item_it_leaves_no_process():
    async with mapped(lambda x: {"y": x}).stream({"xs": list(range(2000))}, items="each") as events:
        async for event in events:
            if isinstance(event, ItemFinished) and event.item == 100:
                break
    assert workers() == []


async def test_a_timeout_kills(pipe):
    block = blocker(pipe)
    for engine, inputs, options, error in (
        (node(block, timeout_s=0.05), {"x": 1}, {}, NodeTimeout),
        (mapped(block, timeout_s=0.5), {"xs": [1]}, {}, NodeTimeout),
        (mapped(block), {"xs": [1]}, {"timeout_s": 0.5}, RunTimeout),
    ):
        with pytest.raises(error):
            await engine.run(inputs, **options)
        assert workers() == []


async def test_an_item_that_takes_too_long_is_killed_alone():
    def call(x):
        while x == 5:
            signal.pause()
        return {"y": x}

    result = await mapped(call, item_timeout_s=0.1).run({"xs": list(range(12))})
    (error,) = failed(result).values()
    assert isinstance(error, NodeTimeout)
    assert error.hush.item == 5
    assert result["y"] == [None if x == 5 else x for x in range(12)]


async def test_a_failure_elsewhere_kills_what_is_at_work(pipe):
    with GraphNode(name="g") as graph:
        one = CodeNode("one", code_fn=blocker(pipe), inputs={"x": 1}, executor="process")

        async def fail():
            await begun(pipe)
            raise ArithmeticError

        two = CodeNode("two", code_fn=fail)
        START >> [one, two] >> END
    with pytest.raises(ArithmeticError):
        await Hush(graph).run()


def test_a_process_ends_when_its_parent_is_killed(pipe, tmp_path):
    """Though it is at work, and nobody is left to kill it."""
    import subprocess

    script = tmp_path / "script.py"
    script.write_text(f"""
import os
from hush.core import *

def block(x):
    with open({pipe!r}, "w") as pipe:
        pipe.write(str(os.getpid()))
    while True:
        pass

with GraphNode(name="g") as graph:  # without if __name__ == "__main__"
    one = CodeNode("one", code_fn=block, inputs={{"x": 1}}, executor="process")
    START >> one >> END
Hush(graph).run_sync()
""")
    parent = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    with open(pipe) as reader:
        pid = int(reader.read())
    ends = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    import select

    readable, _, _ = select.select([ends], [], [], 10)
    os.close(ends)
    assert readable
