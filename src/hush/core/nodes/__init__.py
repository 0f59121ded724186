"""What graphs are written with."""

from __future__ import annotations

from hush.core._spec._model import Tolerate
from hush.core.nodes._code import CodeNode, code_node
from hush.core.nodes._each import Each
from hush.core.nodes._graph import GraphNode
from hush.core.nodes._parent import PARENT
from hush.core.nodes._wiring import END, START
from hush.core.nodes.flow._branch import Branch, BranchNode
from hush.core.nodes.iteration._map import ForLoopNode, MapNode
from hush.core.nodes.iteration._while import WhileLoopNode

__all__ = (
    "END",
    "PARENT",
    "START",
    "Branch",
    "BranchNode",
    "CodeNode",
    "Each",
    "ForLoopNode",
    "GraphNode",
    "MapNode",
    "Tolerate",
    "WhileLoopNode",
    "code_node",
)
