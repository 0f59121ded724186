"""Handles, streams, loops and soft edges, cancelled at every pass of the loop: nothing is left, nothing stays open."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import END, PARENT, BranchNode, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode
from hush.testing import cancel_everywhere, run_virtual
from runtime.from_design.authored import const

opened: list[object] = []


async def careful(x):
    """Opens something, and needs two passes to close it."""
    opened.append(x)
    try:
        await asyncio.sleep(x % 3)
        return {"y": x + 1}
    finally:
        try:
            await asyncio.sleep(0)
        finally:
            opened.remove(x)


def nothing_is_open():
    assert opened == []


def mapped():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=2) as over:
            CodeNode(name="n", code_fn=careful, inputs={"x": PARENT["x"]}, outputs=PARENT)
        over["y"] >> PARENT["ys"]
    return Hush(graph)


def looped():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"y": 0}, stop_condition="y == 3") as loop:
            choice = BranchNode(name="r", cases={"y == 1": "rare"}, default=END, inputs={"y": PARENT["y"]})
            const("rare", outputs={"v": PARENT["note"]})
            choice >> CodeNode(name="n", code_fn=careful, inputs={"x": PARENT["y"]}, outputs=PARENT)
        loop["y"] >> PARENT["ys"]
    return Hush(graph)


def raced():
    with GraphNode(name="g") as graph:
        one, two = (CodeNode(name=f"n{x}", code_fn=careful, inputs={"x": x}) for x in (1, 2))
        join = CodeNode(name="join", code_fn=lambda a="-": {"ys": a}, inputs={"a": one["y"]}, outputs=PARENT)
        [one, two] >> ~join
    return Hush(graph)


async def by_run(engine, inputs):
    await engine.run(inputs)


async def by_handle(engine, inputs):
    await engine.start(inputs)


async def by_stream(engine, inputs):
    async with engine.stream(inputs, buffer=2) as events:
        async for _ in events:
            await asyncio.sleep(0)


@pytest.mark.parametrize("way", [by_run, by_handle, by_stream])
@pytest.mark.parametrize(("make", "inputs"), [(mapped, {"xs": range(4)}), (looped, None), (raced, None)])
@pytest.mark.parametrize("times", [1, 2])
def test_whoever_waits_may_be_cancelled_at_any_moment(way, make, inputs, times):
    engine = make()
    tries = cancel_everywhere(lambda: way(engine, inputs), check=nothing_is_open, times=times)
    assert tries > 3


def test_a_reader_that_breaks_after_any_number_of_events_leaves_nothing():
    async def main(count):
        async with mapped().stream({"xs": range(4)}) as events:
            async for _ in events:
                count -= 1
                if count == 0:
                    break
        assert opened == []

    for count in range(1, 30):
        run_virtual(lambda: main(count))  # noqa: B023  # it is called at once
