"""The threads of a process: as many as are needed up to a ceiling, and none that holds up the exit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from hush.core import CodeNode, GraphNode, Hush

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


# ── The ceiling ──────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── One pool ─────────────────────────────────────────────────────────────────────────────────────────────────────────


QUIET = ("-W", "ignore::DeprecationWarning")  # from Python 3.12 on: a fork of a process with threads
ONE_POOL = """
import asyncio, os, threading
from hush.core import CodeNode, GraphNode, Hush

START = threading.Barrier(8)

def calls():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"y": threading.current_thread().name}, inputs={}, executor="thread")
    START.wait()
    return asyncio.run(Hush(graph).run(keep=True)).nodes["g/n"]["y"]

def once():
    found = []
    threads = [threading.Thread(target=lambda: found.append(calls())) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    workers = [one.name for one in threading.enumerate() if one.name.startswith("hush-worker")]
    # Those of one pool count on: two pools would each have had a first.
    print(len(found), len(workers) == len(set(workers)), set(found) <= set(workers), flush=True)

once()
child = os.fork()
if not child:
    once()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_has_one_pool_whoever_needs_it_first_and_a_fork_one_of_its_own():
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, *QUIET, "-c", ONE_POOL], capture_output=True, text=True, timeout=40, check=False
        )
        assert (ended.stdout.splitlines(), ended.stderr) == (["8 True True", "8 True True", "0"], "")
