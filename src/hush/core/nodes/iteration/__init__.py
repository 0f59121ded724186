"""Nodes that run a body again and again."""

from __future__ import annotations

from hush.core.nodes._each import Each
from hush.core.nodes.iteration._map import ForLoopNode, MapNode
from hush.core.nodes.iteration._while import WhileLoopNode

__all__ = ("Each", "ForLoopNode", "MapNode", "WhileLoopNode")
