"""The order of a graph's steps: who waits for whom, in numbers, and a topological order or the cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hush.core._expr._record import record
from hush.core._spec._model import GraphSpec
from hush.core._spec._reads import graph_reads


@record
class Order:
    """Numbers for names, and what stands before each step.

    Attributes:
        index: The number of each step.
        edges: For each step, the steps with an edge into it that it waits for, without repetition.
        soft: For each step, the steps with a soft edge into it: it waits for the first of them that is live.
        before: The steps with an edge into it, and those that it, or anything inside it, refers to. A reference to a
            step that is joined by a soft edge alone is none: what has not arrived reads like a skipped step.
        after: For each step, those that have it ``before`` them.
        topological: Every step after all ``before`` it and all its ``soft`` ones; the steps of a cycle, and behind it,
            are left out.
    """

    index: dict[str, int]
    edges: tuple[tuple[int, ...], ...]
    soft: tuple[tuple[int, ...], ...]
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
                at = next((step for step in (*self.before[at], *self.soft[at]) if step in left), None)
            if at is not None:
                found.append(list(seen)[seen[at] :][::-1])
            left.difference_update(seen)
        return found

    def only_after(self, number: int) -> int | None:
        """The one step that waits for this one, if it waits for nothing else."""
        after = self.after[number]
        return after[0] if len(after) == 1 and self.before[after[0]] == (number,) and not self.soft[after[0]] else None

    def reached_from(self, starts: Iterable[int]) -> set[int]:
        """All steps that can be reached from ``starts`` along edges and references."""
        todo = list(starts)
        found = set(todo)
        softly = inverse(self.soft) if any(self.soft) else None
        while todo:
            number = todo.pop()
            for step in self.after[number] if softly is None else (*self.after[number], *softly[number]):
                if step not in found:
                    found.add(step)
                    todo.append(step)
        return found


def inverse(befores: Iterable[Iterable[int]]) -> list[list[int]]:
    """For each step, those that have it in their list."""
    lists = list(befores)
    found: list[list[int]] = [[] for _ in lists]
    for number, before in enumerate(lists):
        for other in before:
            found[other].append(number)
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
    soft: list[list[int]] = [[] for _ in range(count)]
    seen: set[tuple[int, int, bool]] = set()
    for before, after, _, softly in graph.edges:
        pair = (index[before], index[after], softly)
        if pair not in seen:
            seen.add(pair)
            (soft if softly else edges)[pair[1]].append(pair[0])
    before_lists: list[tuple[int, ...]] = []
    after_lists: list[list[int]] = [[] for _ in range(count)]
    for number, step_reads in enumerate(graph_reads(graph)):
        found: dict[int, None] = {}
        for _, read in step_reads:
            up, source = read.source
            if not up and source in index:  # a root taken out of its graph may refer to a step that is not there
                found[index[source]] = None
        for other in soft[number]:
            found.pop(other, None)
        for other in edges[number]:
            found[other] = None
        before_lists.append(tuple(found))
        for other in found:
            after_lists[other].append(number)
    waits = [len(before) + len(softly) for before, softly in zip(before_lists, soft, strict=True)]
    softly_after = inverse(soft) if len(seen) != sum(map(len, edges)) else None
    ready = [number for number in range(count) if not waits[number]]
    for number in ready:  # grows while it is walked
        for other in after_lists[number] if softly_after is None else (*after_lists[number], *softly_after[number]):
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return Order(
        index,
        tuple(map(tuple, edges)),
        tuple(map(tuple, soft)),
        tuple(before_lists),
        tuple(map(tuple, after_lists)),
        tuple(ready),
    )


def ancestor_masks(
    order: Order, members: Iterable[int], apart: Callable[[int, int], bool]
) -> tuple[dict[int, int], list[int]]:
    """A bit for each of ``members``, and for each step the bits of the members that surely come before it.

    Only members get a bit: a full closure would be quadratic in the size of the graph. Soft edges surely put a member
    before a step only if each of them does, or comes from an arm that is not taken where the member runs.
    """
    numbered = list(members)
    bits = {step: 1 << place for place, step in enumerate(numbered)}
    masks = [0] * len(order.before)
    seen = [0] * len(order.before)  # a step's mask with its own bit
    for step in order.topological:
        mask = 0
        for other in order.before[step]:
            mask |= seen[other]
        if order.soft[step]:
            for member in numbered:
                bit = bits[member]
                if any(seen[other] & bit for other in order.soft[step]) and all(
                    seen[other] & bit or apart(member, other) for other in order.soft[step]
                ):
                    mask |= bit
        masks[step] = mask
        seen[step] = mask | bits.get(step, 0)
    return bits, masks
