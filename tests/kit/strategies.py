"""Hypothesis strategies for graphs that are right by construction, as `kit.shapes` data.

Where the design leaves something open, no graph is drawn that would ask for it: what a default means for a key that is
passed down, on which side of a reference a missing key fails if either side is handled, a list of references one of
which is skipped, a `PARENT` key that is written before anything reads it and then read, zipped columns of two maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from kit.levels import Kind, Level
from kit.shapes import (
    MAY_FAIL,
    Box,
    Case,
    Does,
    Graph,
    Leaf,
    Lit,
    Map,
    Node,
    OnError,
    Pack,
    Param,
    Parent,
    Ref,
    Source,
    refs_of,
)

# What leaves do in a calm graph, and in a stormy one, where failures meet or are handled.
_CALM: list[Does] = ["mix"] * 6 + ["many"] * 3 + ["fussy"] * 2 + ["nothing", "empty", "flagged", "fail"]
_STORMY: list[Does] = [*_CALM, "fussy", "fussy", "fail", "fail", "fail", "late", "bad", "cancelled"]
# What becomes of what may fail, where few failures are handled and where most are.
_FEW: list[OnError] = [None, None, "collect", "raise"]
_MANY: list[OnError] = ["collect", "collect", None, "raise"]
# What comes next in a graph: mostly leaves.
_STEPS = ["leaf"] * 4 + ["map"] * 2 + ["box", "skip"]

Drawn = tuple[Node, dict[str, Kind], bool]  # a node without its place, its keys, whether it may fail


class _Drawer:
    """Draws one tree; `left` is how many more leaves it may have."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], left: int) -> None:
        self.draw, self.left, self._number = draw, left, 0
        self._does, self._faults = draw(st.sampled_from([(_CALM, _FEW), (_STORMY, _FEW), (_STORMY, _MANY)]))
        self._is_dense = draw(st.booleans())  # whether nodes mostly wait for others, or mostly stand side by side

    def one_in(self, many: int) -> bool:
        return self.draw(st.integers(0, many - 1)) == many - 1

    def pick(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def fresh(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    def graph(self, level: Level, depth: int, must_read: str = "") -> Graph:
        """Fill the level with nodes, the first of which reads `must_read`."""
        # Each step is drawn right after the word that there is one more, so that shrinking can take any of them out.
        more = 12 if depth == 0 else 3
        while (self.draw(st.integers(0, more)) > 0 and self.left > 0) or not level.seen:
            step = self.pick(_STEPS) if level.seen or not must_read else "leaf"
            if step == "box" and depth < 3 and self.left > 0:
                self._place(level, *self._box(level, depth))
            elif step == "map" and depth < 3 and self.left > 0:
                self._place(level, *self._map(level, depth))
            elif step == "skip":
                self._skip(level)
            else:
                first = bool(must_read) and not level.seen  # of a map's body, and fussy about its items now and then
                does = "fussy" if first and self.one_in(2) else None
                self._place(level, *self._leaf(level, [Parent(must_read)] if first else [], does))
        return Graph(tuple(each.node for each in level.seen.values()))

    # ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _leaf(self, level: Level, must_read: list[Source], does: Does | None = None) -> Drawn:
        self.left -= 1
        does = does or self.pick(self._does)
        params = [Param("", each) for each in must_read]
        params += [self._param(level) for _ in range(self.draw(st.integers(0, 2)))]
        params.sort(key=lambda each: each.default is not None)
        node = Leaf(
            name=self.fresh("n"),
            does=does,
            how=self.pick(["def", "slow", "async", "inline"]),
            params=tuple(replace(each, name="abc"[place]) for place, each in enumerate(params)),
            stains=self.one_in(8),
            count=self.draw(st.integers(0, 4)) if does == "many" else 2,
        )
        return node, _keys_of(does), does in MAY_FAIL

    def _skip(self, level: Level) -> None:
        """A leaf that fails, handled, and one that reads only its value, and so is skipped: for others to read."""
        node, keys, may_fail = self._leaf(level, [], self.pick(["fail", "fussy"]))
        self._place(level, replace(node, on_error="collect"), keys, may_fail)
        self._place(level, *self._leaf(level, [Ref(node.name, "v")], self.pick(["mix", "many"])))

    def _param(self, level: Level) -> Param:
        """A parameter; one that reads from a node that may be skipped has a default now and then."""
        source = self._source(level)
        if isinstance(source, Ref) and source.node in level.seen and not source.then:
            each = level.find(source)
            if not each.is_solid and not each.is_empty and self.one_in(2):
                return Param("", source, default=self.draw(st.integers(0, 9)))
        return Param("", source)

    def _box(self, level: Level, depth: int) -> Drawn:
        given: dict[str, Kind] = {self.fresh("i"): "any", self.fresh("l"): "list"}
        inner = Level(given, level.for_bodies(), self.draw(st.booleans()))
        body = self.graph(inner, depth + 1)
        inputs = [(key, self._source_for(level, given[key])) for key in given if key in inner.readers]
        node = Box(name=self.fresh("g"), inputs=tuple(inputs), body=body)
        return node, dict.fromkeys(inner.writers, "any"), inner.may_fail

    def _map(self, level: Level, depth: int) -> Drawn:
        items = [self.fresh("x"), self.fresh("x")]
        given: dict[str, Kind] = {items[0]: "any", items[1]: "any", self.fresh("i"): "any", self.fresh("l"): "list"}
        inner = Level(given, level.for_bodies(), self.draw(st.booleans()))
        body = self.graph(inner, depth + 1, must_read=items[0])
        each: list[tuple[str, Source]] = []
        for key in items:
            if key in inner.readers:
                each.append((key, self._list_source(level, [one for _, one in each])))
        columns = {one.node for _, one in each if isinstance(one, Ref)}
        others = [key for key in given if key in inner.readers and key not in items]
        inputs = [(key, self._source_for(level, given[key], but_errors_of=columns)) for key in others]
        node = Map(
            name=self.fresh("m"),
            each=tuple(each),
            inputs=tuple(inputs),
            body=body,
            max_concurrency=self.draw(st.integers(1, 4)),
        )
        reports = inner.reports or any(one.reports for one in level.upstream(node))
        node = replace(node, on_error=self.pick([None, "collect"] if reports else [None, "raise", "collect"]))
        keys: dict[str, Kind] = {**dict.fromkeys(inner.writers, "list"), "error": "list"}
        return node, keys, level.map_may_fail(node, inner)

    # ── Their places ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _place(self, level: Level, node: Node, keys: dict[str, Kind], may_fail: bool) -> None:
        """Give the node its edges, its writes and its fault policy, and add it to the level."""
        touchy = level.reads_hollow(node)
        places = self.draw(st.sets(st.integers(1, 8 if self._is_dense else 20), max_size=2))
        after = {name for back, name in enumerate(reversed(level.seen), 1) if back in places}
        if touchy:
            after = {name for name in after if level.is_sure(name)}
        writes = () if touchy else self._writes(level, node, keys)
        refs = {ref.node for ref in refs_of(node) if ref.node in level.seen}
        missing = level.must_follow(node, [target for _, target in writes]) - level.closure(after | refs)
        after |= {name for name in missing if not any(name in level.seen[other].before for other in missing)}
        if touchy and not all(level.is_sure(name) for name in after | refs):
            node, touchy = _without_hollow(level, node), False
        node = replace(
            node,
            after=tuple(name for name in level.seen if name in after),
            start=level.uses_start and (not (after | refs) or self.one_in(4)),
            writes=writes,
        )
        is_first_of_item = level.is_item and not level.seen  # whose failures are best left to the map
        if not (is_first_of_item or node.on_error or isinstance(node, Map) or touchy) and (may_fail or self.one_in(6)):
            node = replace(node, on_error=self.pick(self._faults))
        level.add(node, keys, may_fail=may_fail, touchy=touchy)

    def _writes(self, level: Level, node: Node, keys: dict[str, Kind]) -> tuple[tuple[str, str], ...]:
        """Some of the node's keys go to PARENT: to a new key, to one written before, or to one that was read before."""
        writes: dict[str, str] = {}
        flagged = isinstance(node, Leaf) and node.does == "flagged"
        if flagged and level.is_item and not level.reports and self.one_in(2):
            writes["error"] = "error"
        for key in keys:
            if key != "error" and (self.one_in(2) or (level.is_item and not level.seen)):
                old = [each for each in level.write_again(node) if each not in writes]
                writes[self.pick(old) if old and self.one_in(2) else self.fresh("o")] = key
        if self.one_in(6):
            writes[self.fresh("o")] = "error"
        return tuple((key, target) for target, key in writes.items())

    # ── Sources ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _source(self, level: Level, *, solid: bool = False) -> Source:
        """Anything that a leaf's parameter may be fed from."""
        options: list[Callable[[], Source]] = [lambda: Lit(self.draw(st.integers(0, 9) | st.none()))]
        if level.given:
            options += [lambda: Parent(self.pick(sorted(level.given)))] * 2
        if rewritten := sorted(level.given.keys() & level.writers.keys()):
            options += [lambda: Parent(self.pick(rewritten))] * 2
        if refs := level.refs(solid=solid):
            options += [lambda: self._then(level, self.pick(refs))] * (5 if self._is_dense else 1)
        if shaky := [ref for ref in refs if level.find(ref).may_skip]:
            options += [lambda: self.pick(shaky)] * 3
        if not solid:
            options.append(lambda: Pack(tuple(self._source(level, solid=True) for _ in range(2))))
            if (hollow := level.hollow()) and self.one_in(2):
                options += [lambda: self.pick(hollow)] * 4
        return self.pick(options)()

    def _then(self, level: Level, ref: Ref) -> Ref:
        each = level.find(ref)
        if not each.is_solid or ref.key == "error" or not self.one_in(3):
            return ref
        return replace(ref, then="plus" if each.keys[ref.key] == "int" and self.one_in(2) else "apply")

    def _source_for(self, level: Level, kind: Kind, but_errors_of: set[str] | None = None) -> Source:
        """What a container's input may be fed from."""
        if kind == "list":
            return self._list_source(level, [], columns=False)
        refs = [ref for ref in level.refs() if ref.key != "error" or ref.node not in (but_errors_of or ())]
        parents = [Parent(key) for key in sorted(level.given)]
        return self.pick([Lit(self.draw(st.integers(0, 9))), *parents, *refs])

    def _list_source(self, level: Level, zipped_with: list[Source], *, columns: bool = True) -> Source:
        """What an `Each` may go over."""
        written = Lit(self.draw(st.lists(st.integers(0, 9) | st.none(), max_size=4)))
        refs = level.list_refs(zipped_with, columns=columns)
        if not refs or self.one_in(2):
            refs += [written, *level.list_keys()]
        return self.pick(refs)


def _without_hollow(level: Level, node: Node) -> Node:
    assert isinstance(node, Leaf)
    params = [replace(each, source=Lit(0)) if each.source in level.hollow() else each for each in node.params]
    return replace(node, params=tuple(params))


def _keys_of(does: Does) -> dict[str, Kind]:
    match does:
        case "mix":
            return {"v": "int"}
        case "many":
            return {"xs": "list"}
        case "empty":
            return {}
        case _:
            return {"v": "any"}


@st.composite
def cases(draw: Callable[[st.SearchStrategy[Any]], Any], max_leaves: int = 12) -> Case:
    """Whole runs: a root graph of up to so many leaves, with the inputs that it reads."""
    drawer = _Drawer(draw, draw(st.sampled_from([3, 6, max_leaves, max_leaves, max_leaves])))
    given: dict[str, Kind] = {"i": "any", "j": "any", "l": "list"}
    level = Level(given, [], draw(st.booleans()))
    graph = drawer.graph(level, 0)
    values = {"any": st.integers(0, 9), "list": st.lists(st.integers(0, 9) | st.none(), max_size=4)}
    return Case(graph, tuple((key, draw(values[kind])) for key, kind in given.items() if key in level.readers))
