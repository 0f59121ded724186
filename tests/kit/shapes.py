"""Graphs as plain data: what `kit.strategies` draws, `kit.reference` interprets and `kit.say` turns into Hush source.

Nodes of a graph stand in an order in which they could run. Names are unique in the whole tree, so that a reference
needs no path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

# What a leaf does, simplest first. "many" gives `xs`, "empty" and those after "many" that fail give nothing, all others
# give `v`. "late" is stopped by its own timeout, "stuck" by its item's.
Does = Literal["mix", "nothing", "fussy", "fail", "cancelled", "late", "bad", "flagged", "many", "empty", "stuck"]
MAY_FAIL = {"fussy", "fail", "cancelled", "late", "bad", "stuck"}
# def, pinned def, async def that never suspends, async def that sleeps.
How = Literal["def", "inline", "async", "slow"]
# What is done to a reference; the last three are made of what stands in a map's `iteration_metrics`.
Then = Literal["", "apply", "plus", "total_iterations", "success_count", "error_count"]


@dataclass(frozen=True)
class Ref:
    """`node["key"]`, of the same graph or of an enclosing one, with what is done to it."""

    node: str
    key: str
    then: Then = ""


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


# What an atom says of its value; `kit.conditions` spells them. The first four never raise.
Form = Literal["true", "null", "same", "among", "even", "least", "between", "longer", "first"]


@dataclass(frozen=True)
class Atom:
    """One comparison; in the condition of a loop, `Parent` is a variable."""

    form: Form
    source: Source
    number: int = 0


@dataclass(frozen=True)
class Cond:
    """One or two atoms, as text in the grammar, as a recorded reference, or as a lambda."""

    atoms: tuple[Atom, ...]
    joined: Literal["and", "or"] = "and"
    negated: bool = False
    style: Literal["text", "ref", "call"] = "text"


@dataclass(frozen=True)
class Tolerate:
    """A map's `on_error=Tolerate(...)`."""

    count: int | None = None
    fraction: float | None = None


OnError = Literal["raise", "collect"] | Tolerate | None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What every node has: a name, its place in the order, what it writes, what becomes of its failure."""

    name: str
    after: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()  # nodes with a soft edge into it
    start: bool = False
    writes: tuple[tuple[str, str], ...] = ()  # own key, PARENT key
    on_error: OnError = None

    @cached_property
    def refs(self) -> tuple[Ref, ...]:
        """Its references, those of a container's body to nodes outside it included (law 4)."""
        own = [ref for each in sources_of(self) for ref in refs_in(each)]
        if isinstance(self, Leaf | Branch):
            return tuple(own)
        inside = {each.name for each in self.body.nodes}
        return (*own, *(ref for each in self.body.nodes for ref in each.refs if ref.node not in inside))


@dataclass(frozen=True, kw_only=True)
class Leaf(Placed):
    """A CodeNode."""

    does: Does = "mix"
    how: How = "def"
    params: tuple[Param, ...] = ()
    stains: bool = False  # sets a context variable that nobody else may see
    count: int = 2  # of what "many" gives


@dataclass(frozen=True, kw_only=True)
class Branch(Placed):
    """A BranchNode; a target is the name of a node that stands later in the order, or `None` for END."""

    cases: tuple[tuple[Cond, str | None], ...]
    default: str | None = None
    has_default: bool = True
    # `BranchNode(cases=)`; `Branch(...).if_(...)` with names; the same, said at the end of the block, with nodes.
    style: Literal["cases", "names", "nodes"] = "cases"


@dataclass(frozen=True, kw_only=True)
class Box(Placed):
    """A nested GraphNode."""

    inputs: tuple[tuple[str, Source], ...] = ()
    body: Graph


@dataclass(frozen=True, kw_only=True)
class Map(Placed):
    """A MapNode or ForLoopNode; `each` are its `Each` inputs, `inputs` what every item gets."""

    each: tuple[tuple[str, Source], ...]
    inputs: tuple[tuple[str, Source], ...] = ()
    body: Graph
    max_concurrency: int = 16  # 1 in a ForLoopNode
    is_for: bool = False
    batch: int | None = None
    first: int | None = None
    times_out: bool = False  # it has an `item_timeout_s` that only what is stuck exceeds


@dataclass(frozen=True, kw_only=True)
class Loop(Placed):
    """A WhileLoopNode."""

    inputs: tuple[tuple[str, Source], ...]
    body: Graph
    stop: Cond | None = None
    limit: int = 3
    on_limit: Literal["raise", "stop"] | None = None


Container = Box | Map | Loop
Node = Leaf | Branch | Container


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
        from kit.say import source  # here because it imports this module

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
    """What the node's own inputs say; of a loop's condition only what it reads of the graph around it."""
    match node:
        case Leaf(params=params):
            return [each.source for each in params]
        case Branch(cases=cases):
            return [atom.source for cond, _ in cases for atom in cond.atoms]
        case Box(inputs=inputs):
            return [each for _, each in inputs]
        case Map(each=each, inputs=inputs):
            return [one for _, one in (*each, *inputs)]
        case Loop(inputs=inputs, stop=stop):
            atoms = stop.atoms if stop else ()
            return [one for _, one in inputs] + [atom.source for atom in atoms if isinstance(atom.source, Ref)]


def targets_of(node: Branch) -> list[str]:
    """The nodes that the branch may choose."""
    found = [*(target for _, target in node.cases), node.default]
    return list(dict.fromkeys(target for target in found if target is not None))


def choosers_in(graph: Graph) -> dict[str, list[str]]:
    """For each target of a branch, the branches that name it."""
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        if isinstance(node, Branch):
            for target in targets_of(node):
                found.setdefault(target, []).append(node.name)
    return found


def keys_written(graph: Graph) -> list[str]:
    """The PARENT keys that nodes of the graph write."""
    return list(dict.fromkeys(target for node in graph.nodes for _, target in node.writes))


def nodes_in(graph: Graph, path: str = "g") -> Iterator[tuple[str, Node]]:
    """Every node of the tree with its path."""
    for node in graph.nodes:
        yield f"{path}/{node.name}", node
        if not isinstance(node, Leaf | Branch):
            yield from nodes_in(node.body, f"{path}/{node.name}")
