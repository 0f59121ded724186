"""A map over a million items, each side in a process of its own: seconds, and the peak of memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort
from benchmarks._processes import Record, alternate, peak_mb
from benchmarks._row import AtMost, Line, Over, Row
from benchmarks._work import MILLION, MILLION_AT_ONCE, WARM_ITEMS, double, map_by_workers
from benchmarks.rows_maps import mapped
from hush.core import Hush

SLACK_MB = 5.0  # what may be held beside the results: items in flight, stacks, an arena


def hush_million() -> Record:
    """Map by a graph."""
    engine = Hush(mapped(double, MILLION_AT_ONCE))
    return asyncio.run(_million(lambda count: engine.run(inputs={"xs": range(count)})))


def workers_million() -> Record:
    """Map by hand-written workers."""
    return asyncio.run(_million(lambda count: map_by_workers(double, range(count), MILLION_AT_ONCE)))


async def _million(run: Callable[[int], Awaitable[Mapping[str, Any]]]) -> Record:
    await run(WARM_ITEMS)
    begun = perf_counter()
    found = (await run(MILLION))["y"]
    seconds = perf_counter() - begun
    # The peak is read before the results are looked at, because looking takes memory too.
    return {"seconds": seconds, "mb": peak_mb(), "result": [len(found), sum(found), found[::99_991]]}


@dataclass(frozen=True)
class Million:
    """Both figures come from the same runs."""

    name: str = "map-million"
    work: str = f"map over {MILLION:,}, {MILLION_AT_ONCE} at a time"

    def measure(self, effort: Effort) -> list[Line]:
        """Seconds, then memory."""
        taken = alternate({"hush": hush_million, "workers": workers_million}, effort.heavy)
        seconds, mb = (
            {label: median([record[key] for record in records]) for label, records in taken.items()}
            for key in ("seconds", "mb")
        )
        return [
            Line(
                work=self.work,
                unit="s",
                goal=AtMost(3.0),
                hush=seconds["hush"],
                hands={"workers": seconds["workers"]},
            ),
            Line(
                work="its peak memory: results and what is in flight",
                unit="MB",
                goal=Over(SLACK_MB, "workers"),
                hush=mb["hush"],
                hands={"workers": mb["workers"]},
            ),
        ]


ROWS: tuple[Row, ...] = (Million(),)
