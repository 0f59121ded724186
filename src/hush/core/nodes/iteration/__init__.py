"""Nodes that run their body many times."""

from __future__ import annotations

from hush.core.nodes._each import Each
from hush.core.nodes.iteration._map import MapNode

__all__ = ("Each", "MapNode")
