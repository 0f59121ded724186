"""One node alone: the graph around it that ``node(x=1)`` runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hush.core._expr._model import Const
from hush.core._spec._model import EVERYTHING, GraphSpec
from hush.core.errors import UsageError
from hush.core.nodes._code import CodeNode
from hush.core.nodes._graph import GraphNode
from hush.core.nodes._handle import PARENT, Node


def alone(node: Node, inputs: Mapping[str, Any]) -> tuple[GraphSpec, dict[str, Any]]:
    """A graph of which ``node`` is the only node, or that is the node, and the inputs of its run.

    The node's literals stay; ``inputs`` replace what it would have read.
    """
    if isinstance(node, GraphNode):
        spec = node._describe()
        literals = tuple((name, expr) for name, expr in spec.inputs if isinstance(expr, Const))
        return replace(spec, inputs=literals, on_error=None), dict(inputs)
    if not isinstance(node, CodeNode) or node._fn is None:
        raise UsageError(f"{node.name} cannot be run alone: put it into a graph, and run that with Hush(graph).")
    given: dict[str, Any] = {name: expr.value for name, expr in node._inputs if isinstance(expr, Const)}
    given.update(inputs)
    with GraphNode(name=node.name) as graph:
        copy = CodeNode(
            node.name,
            code_fn=node._fn,
            inputs={name: PARENT[name] for name in given},
            executor=node._executor,
            timeout_s=node._timeout_s,
            on_error=node._on_error,
        )
        copy._writes.append((EVERYTHING, None, node.where))
    return graph._describe(), given
