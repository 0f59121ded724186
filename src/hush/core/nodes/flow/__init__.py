"""Nodes that decide what runs: ``BranchNode``, and ``Branch`` to write one step by step."""

from __future__ import annotations

from hush.core.nodes.flow._branch import Branch, BranchNode

__all__ = ("Branch", "BranchNode")
