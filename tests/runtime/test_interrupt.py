"""Ctrl-C in the middle of a map: everything in flight is cancelled and has cleaned up before control returns."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, sys, threading
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

begun, cleaned = [], []

async def wait_for_ever(x):
    begun.append(x)
    if len(begun) == 4:
        print("ready", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        cleaned.append(x)

with GraphNode(name="g") as graph:
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=4) as m:
        node = CodeNode(name="n", code_fn=wait_for_ever, inputs={"x": PARENT["x"]})
        START >> node >> END
    START >> m >> END

engine = Hush(graph)
try:
    if sys.argv[1] == "run_sync":
        engine.run_sync(inputs={"xs": range(1000)})
    else:
        asyncio.run(engine.run(inputs={"xs": range(1000)}))
except KeyboardInterrupt:
    print("interrupted", sorted(begun) == sorted(cleaned) == [0, 1, 2, 3], flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("how", ["run_sync", "asyncio.run"])
def test_an_interrupt_in_the_middle_of_a_map_leaves_nothing_running(how):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, how], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert out == "interrupted True\n"
    assert process.returncode == 0


AT_ANY_INSTANT = """
import faulthandler, random, signal
from hush.core import PARENT, CodeNode, GraphNode, Hush

class Ring(BaseException):
    pass

def ring(*_):
    raise Ring

faulthandler.dump_traceback_later(15, exit=True)
signal.signal(signal.SIGALRM, ring)
with GraphNode(name="g") as graph:
    CodeNode(name="n", code_fn=lambda: {"y": 1}, inputs={}, outputs={"*": PARENT}, executor="inline")
engine, chance, rung = Hush(graph), random.Random(1), 0
for _ in range(5_000):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 3e-4))
        try:
            engine.run_sync()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Ring:
        rung += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print("alive", rung > 100, engine.run_sync()["y"], flush=True)
"""


FIRST_OF_ALL = AT_ANY_INSTANT.replace("range(5_000):", "range(500):\n    _background._backgrounds.clear()").replace(
    "import faulthandler", "from hush.core import _background\nimport faulthandler"
)
"""The same where each call is the first one, which starts the loop's thread."""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("program", [AT_ANY_INSTANT, FIRST_OF_ALL], ids=["later", "first"])
def test_an_interrupt_at_any_instant_of_run_sync_leaves_nothing_locked(program):
    """It may come while the caller is about to wait: what is locked then would stay so, and the loop with it."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=False)
    assert done.stdout == "alive True 1\n", done.stderr
