"""What kind each step of a graph is, by its path as events spell it."""

from __future__ import annotations

from hush.core._spec._model import GraphSpec, LoopSpec, MapSpec


def kinds_of(root: GraphSpec) -> dict[str, str]:
    """The kinds of all steps in ``root``, however deep, and its own."""
    found = {root.name: root.kind}
    todo = [(root, root.name)]
    while todo:
        graph, around = todo.pop()
        for step in graph.steps:
            path = around if graph.wraps else f"{around}/{step.name}"
            found[path] = step.kind
            if isinstance(step, GraphSpec):
                todo.append((step, path))
            elif isinstance(step, MapSpec | LoopSpec):
                todo.append((step.body, path))
    return found
