"""The row that most rows are: a graph and hand-written asyncio do the same work, warm, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._measure import Effort, Side, compare
from benchmarks._row import Goal, Line
from hush.core import GraphNode, Hush


@dataclass(frozen=True, kw_only=True)
class Race:
    """Times one run of a graph against coroutine functions that give the same outputs."""

    name: str
    work: str
    unit: str
    goal: Goal | None
    figure: Callable[[float], float]  # seconds of one run, in the unit
    graph: Callable[[], GraphNode]
    inputs: Mapping[str, Any]
    hands: Mapping[str, Side]
    warm_runs: int | None = None  # where the usual number would take too long

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        seconds = asyncio.run(self._seconds(effort))
        figures = {label: self.figure(each) for label, each in seconds.items()}
        return [Line(work=self.work, unit=self.unit, goal=self.goal, hush=figures.pop("hush"), hands=figures)]

    async def _seconds(self, effort: Effort) -> dict[str, float]:
        engine = Hush(self.graph())

        async def hush() -> Mapping[str, Any]:
            return await engine.run(inputs=self.inputs)

        return await compare({"hush": hush, **self.hands}, effort, warm_runs=self.warm_runs)


def micros_for(count: int) -> Callable[[float], float]:
    """Microseconds for each of ``count`` nodes or items."""

    def figure(seconds: float) -> float:
        return seconds * 1e6 / count

    return figure
