"""What was cancelled ends when its own call has ended, not when all the rest has: so who held everything up is seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, NodeCancelled, RunTimeout
from hush.testing import run_virtual
from kit.span_laws import Terse, Watch, complaints


async def short(x: int) -> dict[str, int]:
    await asyncio.sleep(1_000)
    return {"y": x}


async def stubborn() -> dict[str, int]:
    try:
        await asyncio.sleep(1_000)
    finally:
        await asyncio.sleep(2)
    return {}


def cut() -> GraphNode:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}) as each:
            CodeNode(name="short", code_fn=short, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
        with GraphNode(name="inner") as inner:
            CodeNode(name="short", code_fn=short, inputs={"x": 1})
        START >> [each, inner, CodeNode(name="stubborn", code_fn=stubborn)] >> END
    return graph


@pytest.mark.parametrize("kind", [Watch, Terse])
def test_a_call_that_was_cancelled_ends_when_it_has_ended(kind: Any) -> None:
    watch = kind()
    with pytest.raises(RunTimeout):
        run_virtual(lambda: Hush(cut()).run(tracer=watch, timeout_s=5))
    assert not list(complaints(watch))
    begun = watch.events[0]
    told = {
        (event.path, event.item): event.at_ns + begun.wall_ns - begun.at_ns
        for event in watch.events
        if type(event) is NodeCancelled
    }
    ended = {(span.path, span.kind, span.items): span.ended_ns for span in watch.spans}
    last = ended["g/stubborn", "code", ()]
    assert last == told["g/stubborn", None]
    assert ended["g/inner/short", "code", ()] == told["g/inner/short", None] < last
    for index in range(3):
        assert ended["g/m/short", "code", (index,)] == told["g/m/short", index] < last
        assert ended["g/m", "item", (index,)] == told["g/m/short", index]
    assert {span.status for span in watch.spans if span.kind in ("code", "item")} == {"cancelled"}
