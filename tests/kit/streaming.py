"""Which maps of a graph may stream from which: take items as they come, instead of waiting for the whole column."""

from __future__ import annotations

from kit.shapes import Graph, Map, Ref, choosers_in


def streams(graph: Graph) -> set[tuple[str, str]]:
    """Each map from which another may stream, with that other.

    Of two pipelines that wait for each other one becomes a barrier; which, this does not know.
    """
    maps = {node.name: node for node in graph.nodes if isinstance(node, Map)}
    readers: dict[str, set[str]] = {name: set() for name in maps}  # the maps that read any column of it
    for node in maps.values():
        for ref in node.refs:
            if ref.node in maps and ref.key != "iteration_metrics":
                readers[ref.node].add(node.name)
    before = _before(graph)
    found = set()
    for name, who in readers.items():
        for reader in who if len(who) == 1 else ():
            node = maps[reader]
            bare = [one for _, one in node.each if isinstance(one, Ref) and one.node == name and not one.then]
            others = before[reader] - {name}
            edge = name in {*node.after, *node.soft}
            if len(bare) == _times(node, name) and not edge and not any(name in before[each] for each in others):
                found.add((name, reader))
    return found


def _times(node: Map, name: str) -> int:
    """How often the map reads the other, in whatever way."""
    return sum(ref.node == name for ref in node.refs)


def _before(graph: Graph) -> dict[str, set[str]]:
    """For each node all those of the graph from which edges or references lead to it, over whatever others."""
    choosers = choosers_in(graph)
    found: dict[str, set[str]] = {}
    for node in graph.nodes:
        near = {*node.after, *node.soft, *choosers.get(node.name, ()), *(ref.node for ref in node.refs)}
        near &= found.keys()
        found[node.name] = near.union(*(found[name] for name in near))
    return found
