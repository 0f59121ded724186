"""Maps over work that holds the interpreter: in processes, beside loky and multiprocessing by hand.

What handing items over takes is told from outside, alike for all sides: each item says in which process it began and
ended, and when. What lies between the items of a process is not work: if it is long, the process waits for the next
items or sends what it has (transport), else it goes from one item to the next (engine).
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing import get_context
from statistics import median
from time import perf_counter_ns
from typing import Any, TypeAlias

from loky import ProcessPoolExecutor, cpu_count

from benchmarks._measure import Effort, WrongResultError, compare
from benchmarks._row import AtMost, Goal, Line, Row, Times
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

Span: TypeAlias = tuple[int, int, int, int]  # an item's result, its process, and when it began and ended, in ns
KINDS = {"transport": "over 0.1 ms at a time (handing over)", "engine": "less at a time (from item to item)"}
BODY = Callable[[int], dict[str, Any]]
LONG_NS = 100_000
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


def timed_millisecond(x: int) -> dict[str, Span]:
    """The same, with its times."""
    began_ns = perf_counter_ns()
    y = millisecond(x)["y"]
    return {"y": (y, os.getpid(), began_ns, perf_counter_ns())}


def timed_microseconds(x: int) -> dict[str, Span]:
    """The same, with its times."""
    began_ns = perf_counter_ns()
    y = microseconds(x)["y"]
    return {"y": (y, os.getpid(), began_ns, perf_counter_ns())}


def mapped(body: BODY) -> GraphNode:
    """A map in processes over the input ``xs``; its column ``y`` is the output."""
    with GraphNode(name="mapped") as graph:
        with MapNode(name="each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, executor="process") as every:
            one = CodeNode(name="one", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
            START >> one >> END
        START >> every >> END
    return graph


def by_loky(body: BODY, items: int) -> dict[str, list[Any]]:
    """``executor.map``, with the size of chunks that somebody has thought out."""
    workers = cpu_count()
    with ProcessPoolExecutor(workers) as executor:
        found = executor.map(body, range(items), chunksize=max(1, items // (CHUNKS_EACH * workers)))
        return {"y": [out["y"] for out in found]}


def by_multiprocessing(body: BODY, items: int) -> dict[str, list[Any]]:
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


def idle_shares(spans: list[Span]) -> dict[str, float]:
    """What part of the processes' time, each from its first item to its last, lies between items: of both kinds."""
    by_process: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for _, process, began_ns, ended_ns in spans:
        by_process[process].append((began_ns, ended_ns))
    whole_ns = transport_ns = engine_ns = 0
    for each in by_process.values():
        each.sort()
        whole_ns += each[-1][1] - each[0][0]
        for (_, ended_ns), (began_ns, _) in pairwise(each):
            gap_ns = began_ns - ended_ns
            if gap_ns > LONG_NS:
                transport_ns += gap_ns
            else:
                engine_ns += gap_ns
    return {"transport": transport_ns / whole_ns, "engine": engine_ns / whole_ns}


@dataclass(frozen=True, kw_only=True)
class HandingOver:
    """What share of the processes' time is not work; starting them does not count. The ``goal`` is transport's."""

    name: str
    work: str
    body: BODY
    plain: BODY
    items: int
    goal: Goal | None

    def measure(self, effort: Effort) -> list[Line]:
        """Two lines, in percent."""
        engine = Hush(mapped(self.body))
        sides: dict[str, Callable[[], Mapping[str, list[Span]]]] = {
            "hush": lambda: asyncio.run(self._run(engine)),
            "loky": lambda: by_loky(self.body, self.items),
            "multiprocessing": lambda: by_multiprocessing(self.body, self.items),
        }
        expected = [self.plain(x)["y"] for x in range(self.items)]
        shares: dict[str, defaultdict[str, list[float]]] = {kind: defaultdict(list) for kind in KINDS}
        for _ in range(effort.heavy):
            for label, side in sides.items():
                spans = side()["y"]
                if [y for y, *_ in spans] != expected:
                    raise WrongResultError(f"{label} gave other results than one process")
                for kind, share in idle_shares(spans).items():
                    shares[kind][label].append(100 * share)
        lines = []
        for kind, what in KINDS.items():
            figures = {label: median(each) for label, each in shares[kind].items()}
            goal = self.goal if kind == "transport" else None
            lines.append(
                Line(work=f"{self.work}: {what}", unit="%", goal=goal, hush=figures.pop("hush"), hands=figures)
            )
        return lines

    async def _run(self, engine: Hush) -> Mapping[str, Any]:
        return await engine.run({"xs": list(range(self.items))})


ROWS: tuple[Row, ...] = (
    InProcesses(
        name="processes-1ms",
        work="map in processes over 2,000 × 1 ms of Python",
        body=millisecond,
        items=2_000,
        goal=Times(1.1, "loky"),
    ),
    HandingOver(
        name="processes-1ms-share",
        work="what is not work, of the processes' time from first item to last",
        body=timed_millisecond,
        plain=millisecond,
        items=2_000,
        goal=AtMost(10.0),
    ),
    InProcesses(
        name="processes-20us",
        work="map in processes over 20,000 × 20 µs of Python",
        body=microseconds,
        items=20_000,
        goal=None,
    ),
    HandingOver(
        name="processes-20us-share",
        work="what is not work, of the processes' time from first item to last",
        body=timed_microseconds,
        plain=microseconds,
        items=20_000,
        goal=AtMost(10.0),
    ),
)
