"""What the tests from the design share: graphs that say little, results in virtual time, and the paths that ran."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeFinished, NodeSkipped
from hush.testing import Recorder
from runtime.observing import outcome


def result_of(graph: Any, inputs: Any = None, **options: Any) -> Any:
    """The result of one run in virtual time; what it raises, it raises here."""
    found = outcome(graph, inputs, **options)
    if found.error is not None:
        raise found.error
    return found.result


def error_of(graph: Any, inputs: Any = None, **options: Any) -> BaseException:
    """What one run raises."""
    found = outcome(graph, inputs, **options)
    assert found.error is not None, f"it did not fail but gave {found.result}"
    return found.error


def const(name: str, value: Any = None, **options: Any) -> CodeNode:
    """A node that gives ``{"v": value}``, by default its own name."""
    given = name if value is None else value
    return CodeNode(name=name, code_fn=lambda: {"v": given}, inputs={}, **options)


def chain() -> Hush:
    """Two nodes, one after the other: it gives `v`."""
    with GraphNode(name="g") as graph:
        a, b = const("a"), const("b")
        a >> b
        b["v"] >> PARENT["v"]
    return Hush(graph)


def mapped(fn: Callable[..., Any], name: str = "g", **options: Any) -> Hush:
    """A map `m` that calls `fn` with each of `xs`: it gives `ys`."""
    with GraphNode(name=name) as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, **options) as over:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        over["y"] >> PARENT["ys"]
    return Hush(graph)


async def slow(x: float) -> dict[str, float]:
    """Takes `x` seconds, and gives ten times that."""
    await asyncio.sleep(x)
    return {"y": x * 10}


def ran_and_skipped(graph: GraphNode, inputs: Any = None, **options: Any) -> tuple[set[str], set[str]]:
    """The last parts of the paths that finished and of those that were skipped, without the root."""
    recorder = Recorder()
    result_of(graph, inputs, tracer=recorder, **options)

    def names(kind: Any) -> set[str]:
        return {event.path.rpartition("/")[2] for event in recorder.of(kind) if "/" in event.path}

    return names(NodeFinished), names(NodeSkipped)
