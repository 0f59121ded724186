"""Random graphs that are right by construction, as `kit.shapes` data.

Where the design leaves something open, no graph is drawn that would ask for it: what a default means for a key that is
passed down, on which side of a reference a missing key fails if either side is handled, a list of references one of
which is skipped, zipped columns of two maps, `first=` over columns whose lengths differ.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from kit.chance import seeded
from kit.conditions import matched
from kit.levels import Kind, Level
from kit.places import Places
from kit.shapes import (
    MAY_FAIL,
    Box,
    Branch,
    Case,
    Cond,
    Does,
    Graph,
    Leaf,
    Loop,
    Map,
    Node,
    OnError,
    Param,
    Parent,
    Ref,
    Source,
    Tolerate,
    targets_of,
)

# What leaves do in a calm graph, and in a stormy one, where failures meet or are handled.
_CALM: list[Does] = ["mix"] * 6 + ["many"] * 3 + ["fussy"] * 2 + ["nothing", "empty", "flagged", "fail"]
_STORMY: list[Does] = [*_CALM, "fussy", "fussy", "fail", "fail", "fail", "late", "bad", "cancelled"]
# What becomes of what may fail, where few failures are handled and where most are.
_FEW: list[OnError] = [None, None, "collect", "raise"]
_MANY: list[OnError] = ["collect", "collect", None, "raise"]
# What comes next in a graph: mostly leaves.
_STEPS = ["leaf"] * 5 + ["branch"] * 3 + ["map"] * 2 + ["loop"] * 2 + ["box", "skip"]

Drawn = tuple[Node, dict[str, Kind], bool]  # a node without its place, its keys, whether it may fail


class _Drawer(Places):
    """Draws one tree; `left` is how many more leaves it may have."""

    def __init__(self, random: Random, max_leaves: int, timeouts: bool) -> None:
        super().__init__(random)
        self.left, self._timeouts = self.pick([3, 6, max_leaves, max_leaves, max_leaves]), timeouts
        self._does, self.faults = self.pick([(_CALM, _FEW), (_CALM, _FEW), (_STORMY, _FEW), (_STORMY, _MANY)])

    def graph(self, level: Level, depth: int, must_read: str = "") -> Graph:
        """Fill the level with nodes, the first of which reads `must_read`."""
        most = 12 if depth == 0 else 3
        while True:
            more = self.up_to(most) > 0 and self.left > 0
            if not (more or level.pending) and level.seen:
                return Graph(tuple(each.node for each in level.seen.values()))
            target = self.pick(level.pending) if level.pending and (not more or self.one_in(2)) else ""
            step = self.pick(_STEPS) if more and (level.seen or not must_read) else "leaf"
            if step in ("box", "map", "loop") and depth < 3:
                drawn = {"box": self._box, "map": self._map, "loop": self._loop}[step](level, depth)
                self.place(level, *drawn, target=target)
            elif step == "branch":
                self.place(level, *self._branch(level, target), target=target)
            elif step == "skip":
                self._skip(level)
            elif must_read and not level.seen:  # now and then it is fussy about the item
                usual: Does = "fussy" if level.is_item else "mix"
                self.place(level, *self._leaf(level, [Parent(must_read)], usual if self.one_in(2) else None))
            else:
                self.place(level, *self._leaf(level, []), target=target)

    # ── Leaves and branches ──────────────────────────────────────────────────────────────────────────────────────────

    def _leaf(self, level: Level, must_read: list[Source], does: Does | None = None) -> Drawn:
        self.left -= 1
        if does is None:
            does = "stuck" if level.can_time_out and self.one_in(4) else self.pick(self._does)
        params = [Param("", each) for each in must_read]
        params += [self.param(level) for _ in range(self.up_to(2))]
        node = Leaf(
            name=self.fresh("n"),
            does=does,
            how=self.pick(["def", "slow", "async", "inline"]),
            params=self.named(params),
            stains=self.one_in(8),
            count=self.up_to(4) if does == "many" else 2,
        )
        return node, _keys_of(does), does in MAY_FAIL

    def _skip(self, level: Level) -> None:
        """A leaf that fails, handled, and one that reads only its value, and so is skipped: for others to read."""
        node, keys, may_fail = self._leaf(level, [], self.pick(["fail", "fussy"]))
        self.place(level, replace(node, on_error="collect"), keys, may_fail)
        self.place(level, *self._leaf(level, [Ref(node.name, "v")], self.pick(["mix", "many"])))

    def _branch(self, level: Level, own_name: str) -> Drawn:
        """A branch; its targets are placed later, or were named by another branch and are not placed yet."""
        style = self.pick(["cases", "cases", "names", "nodes"])
        cases: list[tuple[Cond, str | None]] = []
        may_raise = False
        targets = [one for one in level.pending if one != own_name]
        for place in range(1 + self.up_to(2)):
            cond, raises = self.condition(level, "text" if style == "cases" else self.pick(["text", "ref"]))
            cases.append((cond, self._target(targets, must=place == 0)))
            may_raise |= raises
        node = Branch(name=self.fresh("b"), cases=tuple(cases), style=style, has_default=not self.one_in(4))
        node = _without_twins(node)
        if node.has_default and targets_of(node):
            node = replace(node, default=self._target(targets, must=False))
        keys: dict[str, Kind] = {"target": "any", "matched": "any"}
        if any(cond.style == "ref" for cond, _ in node.cases):
            del keys["matched"]  # how a recorded condition is written nobody knows
        return node, keys, may_raise or not node.has_default

    def _target(self, targets: list[str], *, must: bool) -> str | None:
        """One of the targets, a new one, or END."""
        kind = self.pick(["new", "new", "old", "end"])
        if kind == "end" and not must:
            return None
        if kind == "old" and targets:
            return self.pick(targets)
        targets.append(self.fresh("t"))
        return targets[-1]

    # ── Containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _box(self, level: Level, depth: int) -> Drawn:
        given: dict[str, Kind] = {self.fresh("i"): "any", self.fresh("l"): "list"}
        inner = level.inner(given, uses_start=self.one_in(2), can_time_out=level.can_time_out)
        body = self.graph(inner, depth + 1)
        inputs = [(key, self.source_for(level, given[key])) for key in given if key in inner.readers]
        node = Box(name=self.fresh("g"), inputs=tuple(inputs), body=body)
        return node, inner.keys_out("any"), inner.may_fail

    def _map(self, level: Level, depth: int) -> Drawn:
        batch = 1 + self.up_to(2) if self.one_in(5) else None
        times_out = self._timeouts and not level.can_time_out and self.one_in(5)
        of_item: Kind = "list" if batch else "any"
        items = [self.fresh("x"), self.fresh("x")]
        given: dict[str, Kind] = {items[0]: of_item, items[1]: of_item, self.fresh("i"): "any", self.fresh("l"): "list"}
        inner = level.inner(given, uses_start=self.one_in(2), can_time_out=times_out)
        body = self.graph(inner, depth + 1, must_read=items[0])
        each: list[tuple[str, Source]] = []
        for key in items:
            if key in inner.readers:
                each.append((key, self.list_source(level, [one for _, one in each])))
        columns = {one.node for _, one in each if isinstance(one, Ref)}
        others = [key for key in given if key in inner.readers and key not in items]
        inputs = [(key, self.source_for(level, given[key], but_errors_of=columns)) for key in others]
        is_for = self.one_in(4)
        node = Map(
            name=self.fresh("m"),
            each=tuple(each),
            inputs=tuple(inputs),
            body=body,
            max_concurrency=1 if is_for else 1 + self.up_to(3),
            is_for=is_for,
            batch=batch,
            first=1 + self.up_to(2) if len(each) == 1 and self.one_in(5) else None,
            times_out=times_out,
            on_error=self.pick([None, "raise", "collect", self._tolerance()]),
        )
        keys: dict[str, Kind] = {**inner.keys_out("list"), "error": "list", "iteration_metrics": "metrics"}
        return node, keys, level.map_may_fail(node, inner)

    def _tolerance(self) -> Tolerate:
        count = self.pick([None, 0, 1, 2])
        return Tolerate(count, self.pick([0.25, 0.5, 0.75] if count is None else [None, None, 0.5]))

    def _loop(self, level: Level, depth: int) -> Drawn:
        counter = self.fresh("v")
        given: dict[str, Kind] = {counter: "int", self.fresh("u"): "any", self.fresh("l"): "list"}
        inner = level.inner(given, uses_start=self.one_in(2), can_time_out=level.can_time_out)
        body = self.graph(inner, depth + 1, must_read=counter)
        stop, raises = None, False
        if not self.one_in(5):
            sure: dict[str, Kind] = {key: "any" if inner.is_unsure(key) else kind for key, kind in given.items()}
            stop, raises = self.stop(level, sure, self.pick(["text", "ref", "call"]))
        asked = {atom.source.key for atom in stop.atoms if isinstance(atom.source, Parent)} if stop else set()
        inputs = {key: kind for key, kind in given.items() if key in {*inner.readers, *inner.writers, *asked}}
        node = Loop(
            name=self.fresh("w"),
            inputs=tuple((key, self.source_for(level, kind)) for key, kind in inputs.items()),
            body=body,
            stop=stop,
            limit=1 + self.up_to(3),
            on_limit=self.pick([None, "stop", "stop", "raise"]),
        )
        if stop is not None and not asked.intersection(inner.writers):
            # That no round can change the condition is a mistake where the limit is an error.
            node = replace(node, on_limit="stop")
        keys = {**inner.keys_out("any"), "iteration_metrics": "metrics"}
        keys |= {key: kind if key not in inner.writers else "any" for key, kind in inputs.items()}
        limited = stop is not None and node.on_limit != "stop"
        return node, keys, inner.may_fail or raises or limited


def _without_twins(node: Branch) -> Branch:
    """Conditions that are text are all different, as they are written: the second of two would be a mistake."""
    cases: dict[str | int, tuple[Any, Any]] = {}
    for place, (cond, target) in enumerate(node.cases):
        cases.setdefault(matched(node, cond) if cond.style == "text" else place, (cond, target))
    return replace(node, cases=tuple(cases.values()))


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


def cases(max_leaves: int = 12, timeouts: bool = True) -> st.SearchStrategy[Case]:
    """Whole runs: a root graph of up to so many leaves, with the inputs that it reads.

    Args:
        max_leaves: How large the graphs may be.
        timeouts: Whether items may have deadlines, which mean something only where time stands still while others work.
    """
    return seeded(lambda random: case_of(random, max_leaves, timeouts))


def case_of(random: Random, max_leaves: int = 12, timeouts: bool = True) -> Case:
    """One of them."""
    drawer = _Drawer(random, max_leaves, timeouts)
    given: dict[str, Kind] = {"i": "any", "j": "any", "k": "int", "l": "list"}
    level = Level(given, [], drawer.one_in(2))
    graph = drawer.graph(level, 0)
    inputs = ((key, kind) for key, kind in given.items() if key in level.readers)
    return Case(graph, tuple((key, drawer.items() if kind == "list" else drawer.up_to(9)) for key, kind in inputs))
