"""Nodes that run their body many times."""

from __future__ import annotations

from hush.core.nodes.iteration._map import MapNode
from hush.core.nodes._each import Each

__all__ = ("Each", "MapNode")
