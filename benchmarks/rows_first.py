"""Very first runs, each in a process of its own, when no function has shown yet how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort
from benchmarks._processes import Record, alternate
from benchmarks._race import micros_for
from benchmarks._row import AtMost, Goal, Line, Row
from benchmarks._work import BLOCK_S, BRANCHES, LONG, add_one, block
from benchmarks.rows_graphs import chain, chain_of_calls
from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush

BLOCKED_GOAL_S = 0.35  # the branches overlap: one after the other they would take 0.9 s


async def _first(run: Callable[[], Awaitable[Mapping[str, Any]]]) -> Record:
    begun = perf_counter()
    result = await run()
    return {"seconds": perf_counter() - begun, "result": dict(result)}


# ── The cold chain ───────────────────────────────────────────────────────────────────────────────────────────────────


def hush_cold() -> Record:
    """The chain of sync nodes, never run before: its first calls go to threads."""
    engine = Hush(chain(add_one))
    return asyncio.run(_first(lambda: engine.run(inputs={"x": 0})))


def calls_cold() -> Record:
    """The same in plain calls."""
    return asyncio.run(_first(chain_of_calls))


# ── Blocking branches ────────────────────────────────────────────────────────────────────────────────────────────────


def hush_blocking() -> Record:
    """Three blocking functions, with nothing said about threads."""
    with GraphNode(name="blocking") as graph:
        branches = [CodeNode(name=f"n{by}", code_fn=block, inputs={"by": by}) for by in range(BRANCHES)]
        START >> branches >> END
        for by, branch in enumerate(branches):
            branch[f"x{by}"] >> PARENT[f"x{by}"]
    engine = Hush(graph)
    return asyncio.run(_first(engine.run))


def threads_blocking() -> Record:
    """The same, sent to threads by hand."""

    async def run() -> dict[str, int]:
        found = await asyncio.gather(*[asyncio.to_thread(block, by) for by in range(BRANCHES)])
        return {key: value for each in found for key, value in each.items()}

    return asyncio.run(_first(run))


# ── The rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class FirstRace:
    """Times the first run of each side, in fresh processes."""

    name: str
    work: str
    unit: str
    goal: Goal | None
    figure: Callable[[float], float]
    hush: Callable[[], Record]
    hands: Mapping[str, Callable[[], Record]]

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        taken = alternate({"hush": self.hush, **self.hands}, effort.processes)
        figures = {
            label: self.figure(median([record["seconds"] for record in records])) for label, records in taken.items()
        }
        return [Line(work=self.work, unit=self.unit, goal=self.goal, hush=figures.pop("hush"), hands=figures)]


CHAIN_COLD = FirstRace(
    name="chain-cold",
    work=f"chain of {LONG} sync nodes, the very first run",
    unit="µs a node",
    goal=None,
    figure=micros_for(LONG),
    hush=hush_cold,
    hands={"plain calls": calls_cold},
)
BLOCKING = FirstRace(
    name="blocking",
    work=f"{BRANCHES} `def`s that block for {BLOCK_S} s in parallel branches, the very first run",
    unit="s",
    goal=AtMost(BLOCKED_GOAL_S),
    figure=lambda seconds: seconds,
    hush=hush_blocking,
    hands={"to_thread": threads_blocking},
)

ROWS: tuple[Row, ...] = (CHAIN_COLD, BLOCKING)
