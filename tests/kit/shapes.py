"""Graphs as plain data: what `kit.strategies` draws, `kit.reference` interprets and `kit.build` turns into Hush source.

Nodes of a graph stand in an order in which they could run. Names are unique in the whole tree, so that a reference
needs no path.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

OnError = Literal["raise", "collect"] | None

# What a leaf does, simplest first. Those after "many" may fail. All but the last three give `v`.
Does = Literal["mix", "nothing", "fussy", "fail", "cancelled", "late", "bad", "flagged", "many", "empty"]
MAY_FAIL = {"fussy", "fail", "cancelled", "late", "bad"}
# def, pinned def, async def that never suspends, async def that sleeps.
How = Literal["def", "inline", "async", "slow"]


@dataclass(frozen=True)
class Ref:
    """`node["key"]`, of the same graph or of an enclosing one, with what is done to it."""

    node: str
    key: str
    then: Literal["", "apply", "plus"] = ""


@dataclass(frozen=True)
class Parent:
    """`PARENT["key"]`."""

    key: str


@dataclass(frozen=True)
class Lit:
    """An int, `None` or a list of ints, as written."""

    value: Any


@dataclass(frozen=True)
class Pack:
    """A literal list of sources."""

    parts: tuple[Source, ...]


Source = Ref | Parent | Lit | Pack


@dataclass(frozen=True)
class Param:
    """A parameter of a leaf's function, where it comes from, and its default (`None`: it has none)."""

    name: str
    source: Source
    default: int | None = None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What every node has: a name, its place in the order, what it writes, what becomes of its failure."""

    name: str
    after: tuple[str, ...] = ()
    start: bool = False
    writes: tuple[tuple[str, str], ...] = ()  # own key, PARENT key
    on_error: OnError = None


@dataclass(frozen=True, kw_only=True)
class Leaf(Placed):
    """A CodeNode."""

    does: Does = "mix"
    how: How = "def"
    params: tuple[Param, ...] = ()
    stains: bool = False  # sets a context variable that nobody else may see
    count: int = 2  # of what "many" gives


@dataclass(frozen=True, kw_only=True)
class Box(Placed):
    """A nested GraphNode."""

    inputs: tuple[tuple[str, Source], ...] = ()
    body: Graph


@dataclass(frozen=True, kw_only=True)
class Map(Placed):
    """A MapNode; `each` are its `Each` inputs, `inputs` what every item gets."""

    each: tuple[tuple[str, Source], ...]
    inputs: tuple[tuple[str, Source], ...] = ()
    body: Graph
    max_concurrency: int = 16


Node = Leaf | Box | Map


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they could run."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Case:
    """A root graph, called `g`, and what it is run with."""

    graph: Graph
    given: tuple[tuple[str, Any], ...] = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis prints a failing case as the program that it is."""
        from kit.build import source  # here because it imports this module

        printer.text("\n" + source(self))


def refs_in(source: Source) -> Iterator[Ref]:
    """The references in one source."""
    match source:
        case Ref():
            yield source
        case Pack(parts):
            for part in parts:
                yield from refs_in(part)


def parents_in(source: Source) -> Iterator[str]:
    """The PARENT keys in one source."""
    match source:
        case Parent(key):
            yield key
        case Pack(parts):
            for part in parts:
                yield from parents_in(part)


def sources_of(node: Node) -> list[Source]:
    """What the node's own inputs say."""
    match node:
        case Leaf(params=params):
            return [each.source for each in params]
        case Box(inputs=inputs):
            return [each for _, each in inputs]
        case Map(each=each, inputs=inputs):
            return [one for _, one in (*each, *inputs)]


def refs_of(node: Node) -> list[Ref]:
    """The node's references, those of a container's body to nodes outside it included (law 4)."""
    own = [ref for each in sources_of(node) for ref in refs_in(each)]
    if isinstance(node, Leaf):
        return own
    inside = {each.name for each in node.body.nodes}
    return own + [ref for each in node.body.nodes for ref in refs_of(each) if ref.node not in inside]


def nodes_in(graph: Graph, path: str = "g") -> Iterator[tuple[str, Node]]:
    """Every node of the tree with its path."""
    for node in graph.nodes:
        yield f"{path}/{node.name}", node
        if not isinstance(node, Leaf):
            yield from nodes_in(node.body, f"{path}/{node.name}")


def mix(*values: Any) -> int:
    """What all leaves compute: an int below 100 of any values. All exceptions are the same to it."""
    return zlib.crc32(repr(_plain(values)).encode()) % 100


def is_fussy_about(*values: Any) -> bool:
    """Whether the leaf that does "fussy" fails on them."""
    return mix(*values) % 2 == 0


def flag(*values: Any) -> int | None:
    """The `error` that the leaf that does "flagged" gives beside its value."""
    return mix("flag", *values) if mix(*values) % 2 else None


def spread(count: int, *values: Any) -> list[int | None]:
    """The list that the leaf that does "many" gives; `None` is an item like any other."""
    numbers = [mix(place, *values) for place in range(count)]
    return [None if each % 7 == 0 else each for each in numbers]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, int) else "an error"
