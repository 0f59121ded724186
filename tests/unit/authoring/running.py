"""What the tests of authoring share: running a graph, reading one expression in it, and the paths of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hush.core import PARENT, CodeNode, GraphNode, Hush, NodeFinished


def run(graph: GraphNode, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The outputs of one run."""
    return dict(Hush(graph).run_sync(inputs))


def read(make: Callable[[CodeNode], Any], **values: Any) -> Any:
    """What a node is given for the input that ``make`` writes, with a node that has the outputs ``values``."""
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: values)
        CodeNode(name="sink", code_fn=lambda x: {"got": x}, inputs={"x": make(source)}, outputs=PARENT)
    return run(graph)["got"]


class Recorder:
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def emit(self, event: Any) -> None:
        self.events.append(event)


def finished(graph: GraphNode, inputs: Mapping[str, Any] | None = None) -> list[str]:
    """The paths of the nodes that ran, in the order in which they finished."""
    recorder = Recorder()
    Hush(graph).run_sync(inputs, tracer=recorder)
    return [event.path for event in recorder.events if isinstance(event, NodeFinished)]
