"""What tests of work in processes share: one node and one map there, and which items of the map have failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode


def node(fn: Callable[..., Any], **policies: Any) -> Hush:
    """One node in a process, over the input ``x``."""
    with GraphNode(name="g") as graph:
        one = CodeNode(
            "one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, executor="process", **policies
        )
        START >> one >> END
    return Hush(graph)


def mapped(fn: Callable[..., Any], *, source: Any = PARENT["xs"], max_concurrency: int = 2, **policies: Any) -> Hush:
    """A map in processes over the input ``xs``; ``y`` and ``error`` are its outputs."""
    with GraphNode(name="g") as graph:
        with MapNode(
            "each",
            inputs={"x": Each(source)},
            outputs={"y": PARENT, "error": PARENT},
            executor="process",
            max_concurrency=max_concurrency,
            **policies,
        ) as every:
            one = CodeNode("one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT})
            START >> one >> END
        START >> every >> END
    return Hush(graph)


def failed(result: Any) -> dict[int, BaseException]:
    return {index: error for index, error in enumerate(result["error"]) if error is not None}
