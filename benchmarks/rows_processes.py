"""Maps over work that holds the interpreter: in processes, beside loky and multiprocessing by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

from loky import ProcessPoolExecutor, cpu_count

from benchmarks._measure import Effort, compare
from benchmarks._row import Goal, Line, Times
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

BODY = Callable[[int], dict[str, int]]
CHUNKS_EACH = 20
"""By hand, each process gets so many chunks: what one would write who knows that the items are alike."""


def millisecond(x: int) -> dict[str, int]:
    """About 1 ms of pure Python."""
    total = 0
    for number in range(20_000):
        total += number * x
    return {"y": total}


def microseconds(x: int) -> dict[str, int]:
    """About 20 µs of pure Python."""
    total = 0
    for number in range(400):
        total += number * x
    return {"y": total}


def mapped(body: BODY) -> GraphNode:
    """A map in processes over the input ``xs``; its column ``y`` is the output."""
    with GraphNode(name="mapped") as graph:
        with MapNode(name="each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, executor="process") as every:
            one = CodeNode(name="one", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
            START >> one >> END
        START >> every >> END
    return graph


def by_loky(body: BODY, items: int) -> dict[str, list[int]]:
    """``executor.map``, with the size of chunks that somebody has thought out."""
    workers = cpu_count()
    with ProcessPoolExecutor(workers) as executor:
        found = executor.map(body, range(items), chunksize=max(1, items // (CHUNKS_EACH * workers)))
        return {"y": [out["y"] for out in found]}


def by_multiprocessing(body: BODY, items: int) -> dict[str, list[int]]:
    """``Pool.imap``, likewise."""
    workers = cpu_count()
    with get_context("spawn").Pool(workers) as pool:
        found = pool.imap(body, range(items), chunksize=max(1, items // (CHUNKS_EACH * workers)))
        return {"y": [out["y"] for out in found]}


@dataclass(frozen=True, kw_only=True)
class InProcesses:
    """Times a whole run, the start of the processes too, against the same by hand."""

    name: str
    work: str
    body: BODY
    items: int
    goal: Goal | None

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        seconds = asyncio.run(self._seconds(effort))
        return [Line(work=self.work, unit="s", goal=self.goal, hush=seconds.pop("hush"), hands=seconds)]

    async def _seconds(self, effort: Effort) -> dict[str, float]:
        engine = Hush(mapped(self.body))

        async def hush() -> Mapping[str, Any]:
            return await engine.run({"xs": list(range(self.items))})

        async def loky() -> Mapping[str, Any]:
            return by_loky(self.body, self.items)

        async def multiprocessing() -> Mapping[str, Any]:
            return by_multiprocessing(self.body, self.items)

        async def serial() -> Mapping[str, Any]:
            return {"y": [self.body(x)["y"] for x in range(self.items)]}

        sides = {"hush": hush, "loky": loky, "multiprocessing": multiprocessing, "one process": serial}
        return await compare(sides, replace(effort, samples=effort.heavy), warm_runs=0)


ROWS = (
    InProcesses(
        name="processes-1ms",
        work="map in processes over 2,000 × 1 ms of Python",
        body=millisecond,
        items=2_000,
        goal=Times(1.1, "loky"),
    ),
    InProcesses(
        name="processes-20us",
        work="map in processes over 20,000 × 20 µs of Python",
        body=microseconds,
        items=20_000,
        goal=None,
    ),
)
