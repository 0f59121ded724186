"""Arms: which way branches must have gone for a step to run, and which steps can therefore never both run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hush.core._spec._model import BranchSpec, GraphSpec
from hush.core._spec._order import order_of
from hush.core._spec._reads import graph_reads, strict_sources

Way = dict[int, frozenset[str]]
"""What must have been chosen: for each branch, by number, one of these targets. Other branches may go anywhere."""


class Arms:
    """The ways on which the steps of a graph lie.

    Attributes:
        chosen_by: For each step, the branches that name it as a target.
        ways: For each step, the way on which it runs; ``None`` if there is none, so that it can never run.
        never: The steps that refer to two arms at once, and so can never run; not those that hang on them.
    """

    __slots__ = ("chosen_by", "never", "ways")

    def __init__(self, graph: GraphSpec) -> None:
        order = order_of(graph)
        count = len(graph.steps)
        self.chosen_by: list[list[int]] = [[] for _ in range(count)]
        self.ways: list[Way | None] = [{} for _ in range(count)]
        self.never: list[int] = []
        outcomes: dict[int, frozenset[str]] = {}
        for number, step in enumerate(graph.steps):
            if isinstance(step, BranchSpec):
                outcomes[number] = _outcomes(step)
                for target in step.targets():
                    if target in order.index:
                        self.chosen_by[order.index[target]].append(number)
        if not outcomes:
            return
        starts = {order.index[name] for name in graph.starts or ()}
        reads = graph_reads(graph)
        for number in order.topological:
            step = graph.steps[number]
            if self.chosen_by[number]:
                chosen = frozenset({step.name})
                ways = [self._through(branch, chosen) for branch in self.chosen_by[number]]
                self.ways[number] = _either(ways, outcomes)
            elif number in starts:
                continue
            elif order.edges[number] or order.soft[number]:
                befores = (*order.edges[number], *order.soft[number])
                self.ways[number] = _either([self.ways[before] for before in befores], outcomes)
            else:
                needed = [order.index[name] for name in sorted(strict_sources(step, reads[number]))]
                ways = [self.ways[before] for before in needed]
                self.ways[number] = _both(ways)
                if self.ways[number] is None and None not in ways:
                    self.never.append(number)

    def _through(self, branch: int, chosen: frozenset[str]) -> Way | None:
        way = self.ways[branch]
        return None if way is None else {**way, branch: chosen}

    def parting(self, steps: Iterable[int]) -> tuple[int, list[int]]:
        """A branch on different arms of which two of ``steps`` lie, and those of them that lie on its arms."""
        ways = {step: self.ways[step] or {} for step in steps}
        for branch in dict.fromkeys(branch for way in ways.values() for branch in way):
            placed = {step: way[branch] for step, way in ways.items() if branch in way}
            if not reduce(frozenset[str].intersection, placed.values()):
                return branch, list(placed)
        raise AssertionError("asked only where they part")

    def apart(self, one: int, other: int) -> bool:
        """Whether the two steps lie on different arms of one branch, so that at most one of them runs."""
        first, second = self.ways[one], self.ways[other]
        if first is None or second is None:
            return True
        if not first or not second:
            return False
        if len(first) > len(second):
            first, second = second, first
        # Backwards: of branches nested hundreds deep it is the last one in common that parts them.
        return any(branch in second and first[branch].isdisjoint(second[branch]) for branch in reversed(first))


_END = ""  # no step is called so


def _outcomes(branch: BranchSpec) -> frozenset[str]:
    ends = any(case.target is None for case in branch.cases) or (branch.has_default and branch.default is None)
    return frozenset(branch.targets()) | ({_END} if ends else frozenset())


def _either(ways: Iterable[Way | None], outcomes: dict[int, frozenset[str]]) -> Way | None:
    """What is common to several ways, any of which may be taken."""
    possible = [way for way in ways if way is not None]
    if not possible:
        return None
    first, *others = possible
    if not others:
        return first
    found: Way = {}
    for branch, targets in first.items():
        if all(branch in way for way in others):
            joined = reduce(frozenset[str].union, [way[branch] for way in others], targets)
            if joined != outcomes[branch]:
                found[branch] = joined
    return found


def _both(ways: Iterable[Way | None]) -> Way | None:
    """A way that lies on all of ``ways``, ``None`` if there is none."""
    found: Way = {}
    for way in ways:
        if way is None:
            return None
        for branch, targets in way.items():
            common = found.get(branch, targets) & targets
            if not common:
                return None
            found[branch] = common
    return found


def arms_of(graph: GraphSpec) -> Arms:
    """The arms of ``graph``."""
    found: Arms | None = graph.memo.get("arms")
    if found is None:
        found = graph.memo["arms"] = Arms(graph)
    return found
