"""What a busy map leaves to a thread beside it: how long that waits for the interpreter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from threading import Event, Thread
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort, WrongResultError
from benchmarks._row import AtMost, Line, Row
from benchmarks.rows_maps import mapped
from hush.core import Hush

ITEMS = 300_000
AT_ONCE = 10


def double(x: int) -> dict[str, int]:
    """A cheap item."""
    return {"y": x * 2}


async def _longest(work: Callable[[], Awaitable[Any]]) -> float:
    """The longest time, in ms, that a thread waited which lets go of the interpreter again and again."""
    over, waits = Event(), [0.0]

    def other() -> None:
        while not over.is_set():
            begun = perf_counter()
            os.stat(os.curdir)
            waits.append(perf_counter() - begun)

    thread = Thread(target=other)
    thread.start()
    try:
        await work()
    finally:
        over.set()
        thread.join()
    return max(waits) * 1e3


@dataclass(frozen=True)
class BesideThreads:
    """A thread must not stand still because a map is busy."""

    name: str = "thread-beside"
    work: str = f"a thread beside a map over {ITEMS:,}, cheap body: the longest that it waits for the interpreter"

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        taken = asyncio.run(self._taken(effort.heavy))
        hush = median(taken["hush"])
        return [
            Line(
                work=self.work,
                unit="ms",
                goal=AtMost(50.0),
                hush=hush,
                hands={"a loop that never rests": median(taken["by hand"])},
            )
        ]

    async def _taken(self, samples: int) -> dict[str, list[float]]:
        engine = Hush(mapped(double, AT_ONCE))
        await engine.run(inputs={"xs": range(10)})
        found: list[int] = []

        async def by_hush() -> None:
            result = await engine.run(inputs={"xs": range(ITEMS)})
            if len(result["y"]) != ITEMS:
                raise WrongResultError(f"{len(result['y']):,} of {ITEMS:,} items")

        async def by_hand() -> None:
            found.clear()
            found.extend(double(x)["y"] for x in range(ITEMS * 10))

        taken: dict[str, list[float]] = {"hush": [], "by hand": []}
        for _ in range(samples):
            taken["hush"].append(await _longest(by_hush))
            taken["by hand"].append(await _longest(by_hand))
        return taken


ROWS: tuple[Row, ...] = (BesideThreads(),)
