"""A million items through three streaming maps: the first result comes at once, and memory stays flat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hush

# A process of its own, so that nothing else has raised its peak before.
PROGRAM = """
import asyncio, json, resource, sys
from time import perf_counter
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

pulled, first, first_s = 0, None, 0.0


def rows(count):
    global pulled
    for number in range(count):
        pulled += 1
        yield {"id": number, "text": "x" * 200}


def load(x):
    return {"y": [x["id"], x["text"] + "!"]}


async def score(x):
    if x[0] % 1000 == 0:
        await asyncio.sleep(0)
    return {"y": (x[0], x[1] * 2)}


def store(x):
    global first, first_s
    if first is None:
        first, first_s = pulled, perf_counter()
    return {"y": x[0] >= 0}


def engine():
    with GraphNode(name="g") as graph:
        column = PARENT["rows"]
        for name, body in (("a", load), ("b", score), ("c", store)):
            with MapNode(name=name, inputs={"x": Each(column)}, max_concurrency=8) as over:
                CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
            column = over["y"]
        CodeNode(name="count", code_fn=lambda ys: {"good": sum(ys)}, inputs={"ys": over["y"]}, outputs=PARENT)
    return Hush(graph)


def peak_mb():
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


async def main():
    hush = engine()
    await hush.run({"rows": rows(10_000)})  # warm
    global pulled, first, first_s
    before, pulled, first, began_s = peak_mb(), 0, None, perf_counter()
    result = await hush.run({"rows": rows(int(sys.argv[1]))})
    grown_mb, first_ms = peak_mb() - before, (first_s - began_s) * 1000
    told = {"good": result["good"], "first": first, "pulled": pulled, "grown_mb": grown_mb, "first_ms": first_ms}
    print(json.dumps(told))


asyncio.run(main())
"""


# Runs a slow async sink behind a fast source: what is under way must not grow with what is to come.
SLOW_SINK = """
import asyncio, json, resource, sys
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

pulled = stored = most = 0


def rows(count):
    global pulled, most
    for number in range(count):
        pulled += 1
        most = max(most, pulled - stored)
        yield number, "x" * 2000


async def store(x):
    global stored
    await asyncio.sleep(0.001)
    stored += 1
    return {"y": x[0]}


with GraphNode(name="g") as graph:
    with MapNode(name="a", inputs={"x": Each(PARENT["rows"])}, max_concurrency=8) as a:
        CodeNode(name="n", code_fn=lambda x: {"y": (x[0], x[1] + "!")}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    with MapNode(name="b", inputs={"x": Each(a["y"])}, max_concurrency=8) as b:
        CodeNode(name="n", code_fn=store, inputs={"x": PARENT["x"]}, outputs=PARENT)


def peak_mb():
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


async def main():
    hush = Hush(graph)
    await hush.run({"rows": rows(1_000)})
    global pulled, stored
    before, pulled, stored = peak_mb(), 0, 0
    await hush.run({"rows": rows(int(sys.argv[1]))})
    print(json.dumps({"stored": stored, "most": most, "grown_mb": peak_mb() - before}))


asyncio.run(main())
"""


def ran(program: str, count: int) -> dict[str, Any]:
    """What a program prints, in a process of its own."""
    path = str(Path(hush.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, str(count)],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform == "win32", reason="it has no peak of a process to ask for"),
]


@pytest.mark.parametrize("count", [1_000_000, 10_000_000])
def test_millions_of_items_flow_through_three_maps_in_flat_memory(count):
    found = ran(PROGRAM, count)
    assert (found["good"], found["pulled"]) == (count, count)
    assert found["first"] <= 200
    assert found["first_ms"] < 50
    assert found["grown_mb"] <= 22 + 8 * count / 1_000_000, "of which 8 a million are the list that is read"


def test_a_slow_sink_holds_a_fast_source_back():
    found = ran(SLOW_SINK, 100_000)
    assert found["stored"] == 100_000
    assert found["most"] <= 2 * (8 + 32) + 8
    assert found["grown_mb"] <= 10
