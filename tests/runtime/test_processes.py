"""Where work in processes runs and how many there are, and what is checked before anything is sent there."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import run_virtual
from kit.processes import HAVE_PROC, workers
from runtime.in_processes import mapped, node

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


# --- where it runs ----------------------------------------------------------------------------------------------
async def test_a_node_runs_in_another_process_lambdas_and_closures_too():
    factor = 7
    here = os.getpid()
    result = await node(lambda x: {"y": x * factor, "elsewhere": os.getpid() != here, "fn": lambda: factor}).run(
        {"x": 3}
    )
    assert (result["y"], result["elsewhere"], result["fn"]()) == (21, True, 7)


async def test_an_async_def_runs_in_a_loop_of_the_process():
    async def later(x):
        await asyncio.sleep(0)
        return {"y": os.getpid()}

    assert (await node(later).run({"x": 1}))["y"] != os.getpid()


async def test_a_map_keeps_order_and_uses_several_processes():
    result = await mapped(lambda x: {"y": (x, os.getpid())}).run({"xs": list(range(300))})
    assert [x for x, _ in result["y"]] == list(range(300))
    pids = {pid for _, pid in result["y"]}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


async def test_one_process_begins_with_the_first_item():
    """Also where tasks are eager, so that who was hired last is the first to ask for a process."""
    result = await mapped(lambda x: {"y": time.monotonic_ns()}, max_concurrency=1).run({"xs": list(range(50))})
    assert result["y"][0] == min(result["y"])


async def test_no_more_processes_than_items():
    seen: set[int] = set()

    class Sees:
        def emit(self, event: Any) -> None:
            seen.update(workers())

    result = await mapped(lambda x: {"y": x}, max_concurrency=8).run({"xs": [1]}, tracer=Sees())
    assert result["y"] == [1]
    assert len(seen) <= 1


async def test_no_items_make_no_process():
    assert (await mapped(lambda x: {"y": x}).run({"xs": []}))["y"] == []


async def test_calls_of_a_node_in_a_map_share_its_processes():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, max_concurrency=8) as every:
            one = CodeNode("one", code_fn=lambda x: {"y": os.getpid()}, inputs={"x": PARENT["x"]}, executor="process")
            one["y"] >> PARENT["y"]
            START >> one >> END
        START >> every >> END
    pids = (await Hush(graph).run({"xs": list(range(40))}))["y"]
    assert len(pids) == 40
    assert len(set(pids)) <= (os.cpu_count() or 1)


def test_under_a_test_s_loop_everything_runs_here():
    async def main():
        one = await node(lambda x: {"y": os.getpid()}).run({"x": 1})
        many = await mapped(lambda x: {"y": os.getpid()}).run({"xs": [1, 2]})
        return {one["y"], *many["y"]}

    assert run_virtual(main) == {os.getpid()}


# --- what is checked --------------------------------------------------------------------------------------------
def test_what_cannot_go_to_a_process_is_found_before_anything_runs():
    lock = threading.Lock()

    def closes(x):
        with lock:
            return {"y": x}

    def has(x, lock=lock):
        return {"y": x}

    with GraphNode(name="g") as graph:
        one = CodeNode("one", code_fn=closes, inputs={"x": 1}, executor="process")
        two = CodeNode("two", code_fn=lambda x: {"y": x}, inputs={"x": lock}, executor="process")
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            three = CodeNode("three", code_fn=has, inputs={"x": PARENT["x"]})
            START >> three >> END
        START >> [one, two, every] >> END
    problems = {problem.path: str(problem) for problem in graph.check()}
    assert "the variable 'lock' that it closes over (a lock)" in problems["g/one"]
    assert "its input 'x' (a lock)" in problems["g/two"]
    assert "three" in problems["g/each"]
    assert "the default of 'lock' (a lock)" in problems["g/each"]
    assert len(problems) == 3


def test_limits_in_the_body_of_a_process_map_are_refused():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, limit="crm")
            START >> one >> END
        START >> every >> END
    assert any("cannot share one" in str(problem) for problem in graph.check())


def test_an_executor_that_is_nothing_for_a_map():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="thread") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]})
            START >> one >> END
        START >> every >> END
    assert any("executor='thread'" in str(problem) for problem in graph.check())


def test_the_default_number_of_processes_is_that_of_processors():
    import loky

    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]})
            START >> one >> END
        START >> every >> END
    assert f"{loky.cpu_count()} at a time" in graph.to_text() or loky.cpu_count() == 1
