"""What is the same in all runs of a graph: of each node what it is called, and in what it lies."""

from __future__ import annotations

from typing import Any

_MOST_TABLES = 8
"""Graphs whose nodes are remembered. A service that makes one for each request would have thousands."""


class Node:
    """What is the same in all calls of one node.

    Attributes:
        above: The path of what it lies in, ``""`` of the run.
    """

    __slots__ = ("above", "kind", "name")

    def __init__(self, path: str, kind: Any) -> None:
        self.above, _, self.name = path.rpartition("/")
        self.kind = kind


_tables: dict[int, tuple[Any, dict[str, Node]]] = {}
"""By the identity of what says of which kinds the nodes are, of which an engine has one; and that, so that it stays."""


def nodes_of(kinds: Any) -> dict[str, Node]:
    """The nodes of a graph, by path, as far as any run of it has told of them; in any thread."""
    found = _tables.get(id(kinds))
    if found is None:
        for oldest in [*_tables][: max(0, len(_tables) - _MOST_TABLES + 1)]:  # other threads may do so too
            _tables.pop(oldest, None)
        found = _tables[id(kinds)] = kinds, {}
    return found[1]
