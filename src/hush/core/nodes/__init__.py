"""What graphs are written with."""

from __future__ import annotations

from hush.core.nodes._code import CodeNode, code_node
from hush.core.nodes._each import Each
from hush.core.nodes._graph import GraphNode
from hush.core.nodes._handle import PARENT
from hush.core.nodes._wiring import END, START
from hush.core.nodes.iteration._map import MapNode

__all__ = ("END", "PARENT", "START", "CodeNode", "Each", "GraphNode", "MapNode", "code_node")
