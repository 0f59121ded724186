"""A million items through three streaming maps: the first result comes at once, and memory stays flat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hush

# A process of its own, so that nothing else has raised its peak before.
PROGRAM = """
import asyncio, json, resource, sys
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

pulled, first = 0, None


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
    global first
    if first is None:
        first = pulled
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
    global pulled, first
    before, pulled, first = peak_mb(), 0, None
    result = await hush.run({"rows": rows(1_000_000)})
    print(json.dumps({"good": result["good"], "first": first, "pulled": pulled, "grown_mb": peak_mb() - before}))


asyncio.run(main())
"""


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="it has no peak of a process to ask for")
def test_a_million_items_flow_through_three_maps_in_flat_memory():
    import json

    path = str(Path(hush.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["good"], found["pulled"]) == (1_000_000, 1_000_000)
    assert found["first"] <= 200
    assert found["grown_mb"] <= 30, "of which 8 are the list that is read"
