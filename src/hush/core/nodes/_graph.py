"""``GraphNode``: a graph, which may be a node of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._model import Expr
from hush.core._expr._ref import Ref
from hush.core._spec._model import BranchSpec, Edge, GraphSpec
from hush.core._spec._races import needed_keys
from hush.core._spec._root import as_root
from hush.core._spec._validate import check
from hush.core.errors import Problem
from hush.core.nodes._code import CodeNode
from hush.core.nodes._describe import NONE_STARRED, Describer
from hush.core.nodes._drawn import Drawn
from hush.core.nodes._handle import Container
from hush.core.nodes._parent import PARENT
from hush.core.nodes._policies import on_a_leaf

Value = Any


def computed(value: Value) -> dict[str, Value]:  # what it is called is what users see of it, in paths and drawings
    return {"value": value}


class Block(Drawn, Container):
    """What graphs and iteration nodes share: a block of nodes that describes itself."""

    @classmethod
    def _instead_of(cls, name: str, value: Value) -> str | None:
        """What to write in place of an argument that containers do not take."""
        if name == "max_concurrency":
            return (
                "What can run at the same time does. How many calls go on at once is said by the nodes in the block "
                f"that make them: limit=Limit(concurrency={value!r}), one Limit for all of them."
            )
        if name == "executor":
            return f"The nodes in the block take it, CodeNode(..., executor={value!r}), and a MapNode."
        return on_a_leaf(name, value)

    def _make_writer(self, expr: Expr, key: str) -> None:
        # A value made from several nodes has no node of its own yet: this one waits for all of them.
        CodeNode(None, code_fn=computed, inputs={"value": Ref(expr)}, outputs={"value": PARENT[key]}, executor="inline")

    def check(self) -> list[Problem]:
        """All that is wrong with the node and what is in it, in its order; empty if it can run."""
        return check(as_root(self._describe()), alone=self._owner is None)

    def _describe_block(self, faults: tuple[Any, ...] = ()) -> GraphSpec:
        """The steps and edges of the block, without what the container itself was given."""
        steps = tuple([node._describe() for node in self._nodes.values()])
        edges = [Edge(before.name, after.name, where, soft) for before, after, where, soft in self._edges]
        for step in steps:
            if isinstance(step, BranchSpec):
                edges += [Edge(step.name, name, step.where) for name in step.targets() if name in self._nodes]
        return GraphSpec(
            name=self.name,
            kind="graph",
            inputs=(),
            starred=NONE_STARRED,
            writes=(),
            on_error=None,
            timeout_s=None,
            where=self.where,
            faults=faults,
            steps=steps,
            edges=tuple(edges),
            starts=None if self._starts is None else tuple([node.name for node in self._starts]),
        )


@checks_arguments
class GraphNode(Block):
    """A graph of nodes, written in its ``with`` block and fixed when the block closes.

    Nodes run as soon as what they wait for has arrived: edges (``a >> b``) decide whether a node runs, references
    (``a["k"]``) only when. A graph inside another one is a node like any: its ``inputs`` are what its nodes read
    as ``PARENT["k"]``, and what they write to ``PARENT`` is its outputs. The root graph reads the run's inputs.

    Args:
        name: Letters, digits, ``_`` and ``-``; unique in the graph around it.
        inputs: For a nested graph, where its inputs come from. For the root, literals are default values.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"k": PARENT}`` or ``{"k": PARENT["y"]}``.
        timeout_s: Seconds from the start of the graph, after which it is cancelled and fails.
        on_error: ``"collect"`` goes on when the graph fails: its ``error`` is the exception, its other outputs are
            ``None``. So does naming ``graph["error"]``, unless this is ``"raise"``.
    """

    kind = "graph"

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        timeout_s: float | None = None,
        on_error: str | None = None,
    ) -> None:
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=timeout_s, on_error=on_error)

    def _describe(self) -> GraphSpec:
        given = Describer(self)
        block = self._describe_block()
        inputs, starred = given.inputs(lambda: needed_keys(block))
        writes = given.writes()
        return GraphSpec(
            name=self.name,
            kind=self.kind,
            inputs=inputs,
            starred=starred,
            writes=writes,
            on_error=self._on_error,
            timeout_s=self._timeout_s,
            where=self.where,
            faults=tuple(given.faults),
            steps=block.steps,
            edges=block.edges,
            starts=block.starts,
        )
