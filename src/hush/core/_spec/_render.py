"""The drawing of a graph: what stands in it and how it hangs together, from which every format is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from hush.core._spec._keys import known_keys
from hush.core._spec._model import EVERYTHING, STAR, BranchSpec, GraphSpec, LoopSpec, MapSpec, Step
from hush.core._spec._races import needed_keys
from hush.core._spec._reads import body_of, graph_reads
from hush.core._spec._render_words import case_lines, each_lines, notes_of, one_line
from hush.core._spec._streams import streams_of, why_barrier

Tie: TypeAlias = Literal["edge", "soft", "reads", "case", "start", "end", "again"]
"""What a link is: ``a >> b``, ``a >> ~b``, a reference without an edge, a branch's way to a target, the beginning of
what is in a container, its ``END``, the way back to the next round of a loop."""
Flow: TypeAlias = Literal["", "barrier", "stream"]
"""How items go from one map to the ``Each`` of another: all at the end, or each as it is finished; or not at all."""

PSEUDO = frozenset({"start", "end", "test", "each"})
"""Kinds of what is drawn beside steps: ``START``, ``END``, the condition of a loop, and what a map goes through."""
_KEYS = 3
"""How many of the keys that a link carries are named on it."""
STRUCTURE = frozenset({"edge", "soft", "reads", "case"})
"""The links between steps."""


class Link(NamedTuple):
    """One line from an item to another, by their numbers in the body.

    Attributes:
        labels: The conditions of a branch's way; else the keys that are read.
        flow: How items go along it.
        why: Why they do not flow, of a barrier.
    """

    before: int
    after: int
    tie: Tie
    labels: tuple[str, ...] = ()
    flow: Flow = ""
    why: str = ""

    def told(self) -> list[str]:
        """What stands beside the line, a line each: conditions, keys that are read, how items flow."""
        if self.tie in ("case", "end"):
            return [one_line(label) for label in self.labels]
        if self.tie in ("soft", "again"):
            return ["soft" if self.tie == "soft" else "next round"]
        found: list[str] = [self.flow] if self.flow else []
        # Along an edge what is read is not told: it would be a word on nearly every line.
        if self.labels and (self.flow or self.tie == "reads"):
            more = f" and {len(self.labels) - _KEYS} more" if len(self.labels) > _KEYS else ""
            found.append(", ".join(one_line(label) for label in self.labels[:_KEYS]) + more)
        return found


@dataclass(frozen=True, slots=True)
class Item:
    """A box: a step, with what is in it if it is a container, or one of ``PSEUDO``.

    Attributes:
        path: The names of the containers around it and its own, as in events.
        notes: How it runs, in a few words each.
        lines: One line for each ``Each`` of a map and each case of a branch.
        folded: The names of the alike steps that are drawn as this one; none if it is one step.
    """

    name: str
    kind: str
    path: str
    notes: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    body: Body | None = None
    folded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """What is in a container: steps in the order they were written, then pseudo items, and the links between them."""

    items: tuple[Item, ...] = ()
    links: tuple[Link, ...] = ()

    def steps(self) -> range:
        """The numbers of the items that are steps."""
        return range(next((n for n, item in enumerate(self.items) if item.kind in PSEUDO), len(self.items)))


@dataclass(slots=True)
class _Found:
    """What leads from one step to another, while it is gathered."""

    hard: bool = False
    soft: bool = False
    cases: list[str] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)
    each: bool = False

    def link(self, before: int, after: int, flow: Flow, why: str) -> Link:
        keys = tuple(self.keys)
        if self.cases:
            return Link(before, after, "case", tuple(self.cases), flow, why)
        return Link(before, after, "edge" if self.hard else "soft" if self.soft else "reads", keys, flow, why)


def draw(step: Step) -> Item:
    """The drawing of ``step`` with all that is in it. Faulty graphs can be drawn too, as far as they go."""
    if isinstance(step, GraphSpec) and step.wraps:
        return draw(step.steps[0])
    return _item(step, "", root=True)


def _item(step: Step, around: str, *, root: bool = False) -> Item:
    path = f"{around}/{step.name}" if around else step.name
    graph = body_of(step)
    body = None if graph is None else _body(step, graph, path, root=root)
    notes = notes_of(step)
    lines: tuple[str, ...] = ()
    if isinstance(step, BranchSpec):
        lines = case_lines(step)
    elif isinstance(step, MapSpec):
        lines = each_lines(step)
    if root and isinstance(step, GraphSpec):
        notes += _ports(step)
    return Item(step.name, step.kind, path, notes, lines, body)


def _ports(graph: GraphSpec) -> tuple[str, ...]:
    """What a root takes and gives."""
    found: list[str] = []
    if not any(step.faults for step in graph.steps):
        wanted = [str(key) for key in needed_keys(graph)]
        if wanted:
            found.append(f"takes {', '.join(wanted)}")
    given = dict.fromkeys(key for step in graph.steps for write in step.writes for key in _written(step, write.key))
    if given:
        found.append(f"gives {', '.join(given)}")
    return tuple(found)


def _written(step: Step, key: str) -> list[str]:
    """What a write of ``step`` is called: its key, or of all that it gives the keys, where they are known."""
    if key not in (STAR, EVERYTHING):
        return [str(key)]
    keys = known_keys(step)
    return [f"all of {step.name}"] if keys is None else sorted(keys)


def _body(owner: Step, graph: GraphSpec, path: str, *, root: bool) -> Body:
    items = [_item(step, path) for step in graph.steps]
    pairs = _pairs(graph)
    sound = not any(step.faults for step in graph.steps)
    streams = streams_of(graph) if sound else {}
    links: list[Link] = []
    for (before, after), found in pairs.items():
        flow: Flow = ""
        if found.each and isinstance(graph.steps[before], MapSpec):
            flow = "stream" if before in streams.get(after, ()) else "barrier"
        why = why_barrier(graph, before, after) if flow == "barrier" and sound else ""
        links.append(found.link(before, after, flow, why))
    entered, left = {after for _, after in pairs}, {before for before, _ in pairs}
    first = [number for number in range(len(items)) if number not in entered]
    last = [number for number in range(len(items)) if number not in left]
    if isinstance(owner, LoopSpec) and items:
        test = len(items)
        items.append(Item(_test(owner), "test", path))
        links += [Link(test, number, "start") for number in first]
        links += [Link(number, test, "again") for number in last]
    elif isinstance(owner, MapSpec) and items and owner.each:
        each = len(items)
        name, *others = each_lines(owner)
        items.append(Item(name, "each", path, lines=tuple(others)))
        links += [Link(each, number, "start") for number in first]
    links += _starts(graph, items, first, entered, path, all_of_them=root and isinstance(owner, GraphSpec))
    links += _ends(graph, items, last, path, all_of_them=root and isinstance(owner, GraphSpec))
    return Body(tuple(items), tuple(links))


def _pairs(graph: GraphSpec) -> dict[tuple[int, int], _Found]:
    """What leads from one step of ``graph`` to another; names of steps that are not there lead nowhere."""
    number = {step.name: place for place, step in enumerate(graph.steps)}
    pairs: dict[tuple[int, int], _Found] = {}

    def between(before: str | None, after: str | None) -> _Found:
        if before not in number or after not in number:
            return _Found()
        return pairs.setdefault((number[before], number[after]), _Found())

    for edge in graph.edges:
        found = between(edge.before, edge.after)
        if edge.soft:
            found.soft = True
        else:
            found.hard = True
    for place, step in enumerate(graph.steps):
        for condition, target in _ways(step):
            between(step.name, target).cases.append(condition)
        each = {one.name: one for one in step.each} if isinstance(step, MapSpec) else {}
        for name, read in graph_reads(graph)[place]:
            if not read.source.up and read.source.step is not None:
                found = between(read.source.step, step.name)
                found.keys[str(read.key)] = None
                found.each = found.each or name in each
    return pairs


def _ways(step: Step) -> Iterator[tuple[str, str | None]]:
    """The conditions of a branch with the names they lead to."""
    if isinstance(step, BranchSpec):
        for case in step.cases:
            yield case.text, case.target
        if step.has_default:
            yield "default", step.default


def _test(loop: LoopSpec) -> str:
    return f"until {loop.stop_text}" if loop.stop is not None else f"{loop.max_iterations} rounds"


def _starts(
    graph: GraphSpec, items: list[Item], first: list[int], entered: set[int], path: str, *, all_of_them: bool
) -> list[Link]:
    """The links from ``START``: in a root all, inside it those to steps that something else leads to as well."""
    names = {step.name: place for place, step in enumerate(graph.steps)}
    wanted = first if graph.starts is None else [names[name] for name in graph.starts if name in names]
    found = [number for number in dict.fromkeys(wanted) if all_of_them or number in entered]
    if not found:
        return []
    items.append(Item("START", "start", path))
    return [Link(len(items) - 1, number, "start") for number in found]


def _ends(graph: GraphSpec, items: list[Item], last: list[int], path: str, *, all_of_them: bool) -> list[Link]:
    """The links to ``END``: in a root from all that nothing follows, and everywhere from branches that choose it."""
    end = len(items)
    chosen: dict[int, list[str]] = {}
    for place, step in enumerate(graph.steps):
        for condition, target in _ways(step):
            if target is None:
                chosen.setdefault(place, []).append(condition)
    found = [Link(place, end, "end", tuple(conditions)) for place, conditions in chosen.items()]
    if all_of_them:
        found += [Link(number, end, "end") for number in last if number not in chosen]
    if found:
        items.append(Item("END", "end", path))
    return found
