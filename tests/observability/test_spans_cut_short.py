"""What was cancelled ends when its own call has ended, or with its run: so who held everything up is seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, NodeCancelled, RunTimeout, events
from hush.observability._bounds import PREVIEW
from hush.observability._recorder import SLICE, RunRecorder
from hush.observability._sampling import Sampling
from hush.testing import run_virtual
from kit.sinks import Sink
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


@pytest.mark.parametrize("told", [False, True])
def test_calls_that_a_run_leaves_behind_are_in_its_trace(told: bool) -> None:
    """No event had told of them, and the trace said that no call had been under way."""
    sink = Sink()
    recorder = RunRecorder(sink, PREVIEW, Sampling(), (), None)
    recorder.attach(lambda before_ns, most: [events.NodeStarted("r", "g/m/n", 0, 5, (), 2)])
    recorder.emit(events.RunStarted("r", "g", None, 0, 10**18, kinds={"g/m": "map", "g/m/n": "code"}))
    recorder.emit(events.NodeStarted("r", "g/m", None, 1, (), 1))
    recorder.emit(events.MapStarted("r", "g/m", None, 2, 10))
    if told:
        recorder.fold(SLICE)
        recorder.news(live=True)
    recorder.emit(events.RunFinished("r", "g", None, 9, "cancelled", 1.0, asyncio.CancelledError()))
    recorder.fold(SLICE)
    spans = {span.kind: span for span in sink.spans}
    assert {kind: span.status for kind, span in spans.items()} == dict.fromkeys(
        ("code", "item", "map", "run"), "cancelled"
    )
    call = spans["code"]
    begun_ns = spans["run"].started_ns
    assert (call.parent, call.items) == (spans["item"].id, (0,))
    assert call.ended_ns is not None
    assert (call.started_ns - begun_ns, call.called_ns, call.ended_ns - begun_ns) == (5, call.started_ns, 9)
