"""What kind each step of a graph is, by its path as events spell it."""

from __future__ import annotations

from hush.core._spec._model import GraphSpec, LoopSpec, MapSpec, Step


def kinds_of(root: GraphSpec) -> dict[str, str]:
    """The kinds of all steps in ``root``, however deep, and its own.

    A graph is one whatever it is called where it is drawn, as an ``EmbeddingNode`` is: whoever hears of a run tells by
    the kind what holds others from what is a call.
    """
    found = {root.name: _kind(root)}
    todo = [(root, root.name)]
    while todo:
        graph, around = todo.pop()
        for step in graph.steps:
            path = around if graph.wraps else f"{around}/{step.name}"
            found[path] = _kind(step)
            if isinstance(step, GraphSpec):
                todo.append((step, path))
            elif isinstance(step, MapSpec | LoopSpec):
                todo.append((step.body, path))
    return found


def _kind(step: Step) -> str:
    return "graph" if isinstance(step, GraphSpec) else step.kind
