"""The engine as a whole: many runs at once, and what it costs to be watched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._measure import Effort, WrongResultError, compare
from benchmarks._race import micros_for
from benchmarks._row import AtLeast, Line, Over, Row
from benchmarks._work import ARMS, LONG, RUNS, add_one, add_up, scale
from benchmarks.rows_graphs import chain
from hush.core import END, PARENT, START, CodeNode, Event, GraphNode, Hush, NodeFinished

# ── 1,000 runs at once ───────────────────────────────────────────────────────────────────────────────────────────────


def five_nodes() -> GraphNode:
    """1 → 3 → 1."""
    with GraphNode(name="five") as graph:
        first = CodeNode(name="first", code_fn=add_one, inputs={"x": PARENT["x"]})
        arms = [CodeNode(name=f"by{by}", code_fn=scale, inputs={"x": first["x"], "by": by}) for by in ARMS]
        join = CodeNode(name="join", code_fn=add_up, inputs={"values": [arm["x"] for arm in arms]}, outputs=PARENT)
        START >> first >> arms >> join >> END
    return graph


async def five_calls(x: int) -> dict[str, Any]:
    """The same by hand, its arms side by side."""
    first = add_one(x)

    async def arm(by: int) -> dict[str, Any]:
        return scale(first["x"], by)

    arms = await asyncio.gather(*[arm(by) for by in ARMS])
    return add_up([each["x"] for each in arms])


@dataclass(frozen=True)
class RunsAtOnce:
    """Many short runs, as a server has them."""

    name: str = "runs-at-once"
    work: str = f"{RUNS:,} runs of a graph of 5 nodes, at once"

    def measure(self, effort: Effort) -> list[Line]:
        """One line, in runs a second."""
        seconds = asyncio.run(self._seconds(effort))
        rates = {label: RUNS / each for label, each in seconds.items()}
        return [Line(work=self.work, unit="runs/s", goal=AtLeast(50_000), hush=rates.pop("hush"), hands=rates)]

    async def _seconds(self, effort: Effort) -> dict[str, float]:
        engine = Hush(five_nodes())

        async def hush() -> Mapping[str, Any]:
            return {"all": await asyncio.gather(*[engine.run(inputs={"x": x}) for x in range(RUNS)])}

        async def gather() -> Mapping[str, Any]:
            return {"all": await asyncio.gather(*[five_calls(x) for x in range(RUNS)])}

        return await compare({"hush": hush, "gather": gather}, effort)


# ── A recorder ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Recorder:
    """Keeps every event in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.emit = self.events.append


@dataclass(frozen=True)
class Recorded:
    """The chain, watched and not watched."""

    name: str = "recorder"
    work: str = f"chain of {LONG} with a recorder in memory"

    def measure(self, effort: Effort) -> list[Line]:
        """One line; the other side is the same graph without a tracer."""
        seconds = asyncio.run(self._seconds(effort))
        figures = {label: micros_for(LONG)(each) for label, each in seconds.items()}
        goal = Over(1.0, "no tracer")
        return [Line(work=self.work, unit="µs a node", goal=goal, hush=figures.pop("hush"), hands=figures)]

    async def _seconds(self, effort: Effort) -> dict[str, float]:
        engine = Hush(chain(add_one))

        async def watched() -> Mapping[str, Any]:
            return await engine.run(inputs={"x": 0}, tracer=Recorder())

        async def unwatched() -> Mapping[str, Any]:
            return await engine.run(inputs={"x": 0})

        recorder = Recorder()
        await engine.run(inputs={"x": 0}, tracer=recorder)
        finished = sum(isinstance(event, NodeFinished) for event in recorder.events)
        if finished != LONG:
            raise WrongResultError(f"the recorder saw {finished} of {LONG} nodes finish")
        return await compare({"hush": watched, "no tracer": unwatched}, effort)


ROWS: tuple[Row, ...] = (RunsAtOnce(), Recorded())
