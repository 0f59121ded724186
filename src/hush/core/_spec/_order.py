"""The order of a graph's steps: who waits for whom, in numbers, and a topological order or the cycles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hush.core._spec._model import GraphSpec
from hush.core._spec._reads import graph_reads


@dataclass(frozen=True, slots=True)
class Order:
    """Numbers for names, and what stands before each step.

    Attributes:
        index: The number of each step.
        edges: For each step, the steps with an edge into it, without repetition.
        refs: For each step, the steps that it, or anything inside it, refers to.
        before: Both together.
        after: For each step, those that wait for it.
        topological: Every step after all that it waits for; the steps of a cycle, and behind it, are left out.
    """

    index: dict[str, int]
    edges: tuple[tuple[int, ...], ...]
    refs: tuple[tuple[int, ...], ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    topological: tuple[int, ...]

    def cycles(self) -> list[list[int]]:
        """Cycles that have no step in common, each in order; nothing if there are none."""
        left = set(range(len(self.before))) - set(self.topological)
        found: list[list[int]] = []
        while left:
            at: int | None = min(left)
            seen: dict[int, int] = {}
            while at is not None and at not in seen:
                seen[at] = len(seen)
                at = next((step for step in self.before[at] if step in left), None)
            if at is not None:
                found.append(list(seen)[seen[at] :][::-1])
            left.difference_update(seen)
        return found

    def reached_from(self, starts: Iterable[int]) -> set[int]:
        """All steps that can be reached from ``starts`` along edges and references."""
        todo = list(starts)
        found = set(todo)
        while todo:
            for step in self.after[todo.pop()]:
                if step not in found:
                    found.add(step)
                    todo.append(step)
        return found


def order_of(graph: GraphSpec) -> Order:
    """Number the steps of ``graph`` and put them in order."""
    found: Order | None = graph.memo.get("order")
    if found is None:
        found = graph.memo["order"] = _ordered(graph)
    return found


def _ordered(graph: GraphSpec) -> Order:
    steps = graph.steps
    index = {step.name: number for number, step in enumerate(steps)}
    count = len(steps)
    edges: list[list[int]] = [[] for _ in range(count)]
    seen: set[tuple[int, int]] = set()
    for before, after, _ in graph.edges:
        pair = (index[before], index[after])
        if pair not in seen:
            seen.add(pair)
            edges[pair[1]].append(pair[0])
    refs: list[tuple[int, ...]] = []
    after_lists: list[list[int]] = [[] for _ in range(count)]
    before_lists: list[tuple[int, ...]] = []
    for number, step_reads in enumerate(graph_reads(graph)):
        found: dict[int, None] = {}
        for _, read in step_reads:
            up, source = read.source
            if not up and source is not None:
                found[index[source]] = None
        refs.append(tuple(found))
        for other in edges[number]:
            found[other] = None
        before_lists.append(tuple(found))
        for other in found:
            after_lists[other].append(number)
    waits = [len(before) for before in before_lists]
    ready = [number for number in range(count) if not waits[number]]
    for number in ready:  # grows while it is walked
        for other in after_lists[number]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return Order(
        index, tuple(map(tuple, edges)), tuple(refs), tuple(before_lists), tuple(map(tuple, after_lists)), tuple(ready)
    )


def ancestor_masks(order: Order, members: Iterable[int]) -> tuple[dict[int, int], list[int]]:
    """A bit for each of ``members``, and for each step the bits of the members that come before it.

    Only members get a bit: a full closure would be quadratic in the size of the graph.
    """
    bits = {step: 1 << place for place, step in enumerate(members)}
    masks = [0] * len(order.before)
    for step in order.topological:
        mask = 0
        for other in order.before[step]:
            mask |= masks[other] | bits.get(other, 0)
        masks[step] = mask
    return bits, masks
