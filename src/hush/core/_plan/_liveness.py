"""What plans have only where a step may be skipped: what decides whether it runs, and the countdowns of soft edges."""

from __future__ import annotations

from hush.core._plan._model import Liveness
from hush.core._plan._scope import Scope


def liveness_of(scope: Scope) -> list[Liveness]:
    """For each step, what decides whether it runs."""
    order = scope.order
    count = len(scope.graph.steps)
    starts = {order.index[name] for name in scope.graph.starts or ()}
    edges_after: list[list[int]] = [[] for _ in range(count)]
    strict_after: list[list[int]] = [[] for _ in range(count)]
    blocked_after: list[list[int]] = [[] for _ in range(count)]
    for number in range(count):
        for table, befores in (
            (edges_after, scope.deciding(number)),
            (strict_after, scope.unforgiven(number)),
            (blocked_after, scope.blocking(number)),
        ):
            for before in befores:
                table[before].append(number)
    return [
        Liveness(
            edges=len(scope.deciding(number)) + bool(order.soft[number] and not scope.chosen_by[number]),
            from_start=number in starts and not scope.chosen_by[number],
            edges_after=tuple(edges_after[number]),
            strict_after=tuple(strict_after[number]),
            blocked_after=tuple(blocked_after[number]),
        )
        for number in range(count)
    ]


def soft_places_of(scope: Scope, first: int) -> dict[int, int]:
    """The countdown of the soft edges of each step that has some."""
    joined = [number for number, soft in enumerate(scope.order.soft) if soft]
    return {number: first + place for place, number in enumerate(joined)}


def soft_after_of(scope: Scope, places: dict[int, int]) -> list[list[tuple[int, int, bool]]]:
    """For each step, those joined by a soft edge from it, with their countdown; nothing if there are none."""
    if not places:
        return []
    found: list[list[tuple[int, int, bool]]] = [[] for _ in scope.graph.steps]
    for number, place in places.items():
        for before in scope.order.soft[number]:
            found[before].append((number, place, not scope.chosen_by[number]))
    return found
