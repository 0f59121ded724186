"""One node alone: the graph around it that ``node(x=1)`` runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core._expr._model import Const, Expr, Read, reads, rebase
from hush.core._expr._record import replace
from hush.core._expr._where import Where
from hush.core._spec._model import EVERYTHING, BranchSpec, CallSpec, GraphSpec, LoopSpec, MapSpec, Source, Step, Write
from hush.core._spec._root import NONE, around
from hush.core.errors import UsageError
from hush.core.nodes._graph import GraphNode
from hush.core.nodes._handle import Node
from hush.core.nodes._leaf import Leaf

_RUN = Source(0, None)


def alone(node: Node, inputs: Mapping[str, Any]) -> tuple[GraphSpec, dict[str, Any]]:
    """A graph of which ``node`` is the only node, or that is the node, and the inputs of its run.

    The node's literals stay; ``inputs`` replace what it would have read.
    """
    spec = node._describe()
    if isinstance(node, GraphNode):
        assert isinstance(spec, GraphSpec)
        literals = tuple([(name, expr) for name, expr in spec.inputs if isinstance(expr, Const)])
        return replace(spec, inputs=literals, on_error=None), dict(inputs)
    if isinstance(node, Leaf) and node._fn is None:
        raise UsageError(f"{node.name} cannot be run alone: {node._faults[0].message}.")
    step: Step = replace(
        spec,
        starred=NONE,
        writes=(Write(EVERYTHING, None, node.where),),
        faults=tuple(node._faults),  # those of its place in a graph do not count
    )
    if isinstance(step, BranchSpec):
        step = _by_name(step)
    given = {name: expr.value for name, expr in spec.inputs if isinstance(expr, Const) and not _is_fault(node, name)}
    wanted = [name for name, _ in step.inputs] if isinstance(step, MapSpec | LoopSpec | BranchSpec) else [*given]
    if isinstance(step, CallSpec):
        # What is missing, or is no parameter, is then wrong with the run: the node may be fed in its graph.
        wanted += step.signature.names()
        if step.signature.open:
            wanted += inputs
    elif isinstance(step, BranchSpec):
        wanted += inputs
    names = dict.fromkeys(wanted)
    each = {one.name for one in step.each} if isinstance(step, MapSpec) else frozenset()
    step = replace(step, inputs=tuple([(n, _given(n, given, inputs, node.where)) for n in names if n not in each]))
    if isinstance(step, MapSpec):
        sources = [
            one
            if isinstance(one.source, Const) and one.name not in inputs
            else one._replace(source=Read(_RUN, one.name, one.where))
            for one in step.each
        ]
        step = replace(step, each=tuple(sources))
    return around(step), dict(inputs)


def _given(name: str, literals: Mapping[str, Any], inputs: Mapping[str, Any], where: Where) -> Expr:
    return Const(literals[name]) if name in literals and name not in inputs else Read(_RUN, name, where)


def _is_fault(node: Node, name: str) -> bool:
    """Whether the input ``name`` became a literal only because what it reads is out of reach."""
    return any(key == name and not isinstance(expr, Const) for key, expr in node._inputs)


def _by_name(step: BranchSpec) -> BranchSpec:
    """``step`` with conditions over names: a reference is called as its key."""
    cases = []
    keys = {name: None for name, _ in step.inputs}
    sources: dict[str, Source] = {}
    for case in step.cases:
        if case.names is not None:
            cases.append(case)
            continue
        for read in reads(case.condition):
            if sources.setdefault(read.key, read.source) != read.source:
                raise UsageError(f"{step.name} cannot be run alone: its conditions read two nodes' {read.key!r}.")
            keys[read.key] = None
        condition = rebase(case.condition, lambda read: Read(_RUN, read.key, read.where))
        cases.append(case._replace(condition=condition, names=frozenset(read.key for read in reads(case.condition))))
    inputs = tuple([(name, Read(_RUN, name, step.where)) for name in keys])
    known = dict(step.inputs)
    return replace(step, cases=tuple(cases), inputs=tuple([(name, known.get(name, expr)) for name, expr in inputs]))
