"""Three streaming maps in a row: time, memory, and when the first item is through; and items that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort, WrongResultError
from benchmarks._processes import Record, alternate, peak_mb
from benchmarks._race import Race, micros_for
from benchmarks._row import AtMost, Line, Row
from benchmarks._streams import (
    AT_ONCE,
    IDEAL_STREAM_S,
    MAPS,
    STREAMED,
    Store,
    store_by_generators,
    store_by_queues,
    stored,
    wait_by_gather,
    wait_by_queues,
)
from benchmarks._work import WAIT_S, WAITING, WAITING_AT_ONCE, WAITING_XS, WARM_ITEMS, double, wait_and_double
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

FIRST_MS = 50.0  # until the last map has had its first item


def three_maps(*bodies: tuple[Callable[[int], Any], int], outputs: Any = None) -> GraphNode:
    """A map for each of the bodies, so many items at a time, which streams from the one before."""
    source: Any = PARENT["xs"]
    with GraphNode(name="streams") as graph:
        for place, (body, at_once) in enumerate(bodies):
            last = place == len(bodies) - 1
            with MapNode(
                name=f"map{place}",
                inputs={"x": Each(source)},
                outputs=outputs if last else None,
                max_concurrency=at_once,
            ) as every:
                one = CodeNode(name="one", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
                START >> one >> END
            source = every["y"]
    return graph


def storing(store: Store) -> Callable[[range], Awaitable[Any]]:
    """Runs of the graph that stores."""
    engine = Hush(three_maps((double, AT_ONCE), (double, AT_ONCE), (store.take, 1)))

    async def run(xs: range) -> None:
        store.clear()
        await engine.run(inputs={"xs": xs})

    return run


# ── Many cheap items ─────────────────────────────────────────────────────────────────────────────────────────────────


def hush_streams(items: str) -> Record:
    store = Store()
    return asyncio.run(_streamed(storing(store), store, int(items)))


def queues_stream(items: str) -> Record:
    store = Store()
    return asyncio.run(_streamed(lambda xs: store_by_queues(store, xs), store, int(items)))


def generators_stream(items: str) -> Record:
    store = Store()
    return asyncio.run(_streamed(lambda xs: store_by_generators(store, xs), store, int(items)))


async def _streamed(run: Callable[[range], Awaitable[Any]], store: Store, items: int) -> Record:
    await run(range(WARM_ITEMS))
    if store.result() != stored(WARM_ITEMS):
        raise WrongResultError(f"{WARM_ITEMS:,} items gave {store.result()}")
    few_mb = peak_mb()
    begun = perf_counter()
    await run(range(items))
    seconds = perf_counter() - begun
    if store.result() != stored(items):
        raise WrongResultError(f"{items:,} items gave {store.result()}")
    first_ms = (store.first_at - begun) * 1000
    return {"s": seconds, "MB": peak_mb() - few_mb, "first": first_ms, "result": store.result()}


@dataclass(frozen=True)
class Streams:
    """All figures come from the same runs; those of memory are above what 1,000 items take."""

    items: int

    @property
    def name(self) -> str:
        return f"streams-{self.items // 1000}k"

    @property
    def work(self) -> str:
        return f"{MAPS} streaming maps in a row over {self.items:,}, cheap bodies, {AT_ONCE} at a time"

    def measure(self, effort: Effort) -> list[Line]:
        """Seconds, microseconds an item, memory, and the first item."""
        sides = {"hush": hush_streams, "workers + queues": queues_stream, "async generators": generators_stream}
        taken = alternate(sides, effort.heavy, str(self.items))
        s, mb, first = (
            {label: median([record[key] for record in records]) for label, records in taken.items()}
            for key in ("s", "MB", "first")
        )
        each = {label: micros_for(self.items)(figure) for label, figure in s.items()}
        return [
            Line(work=self.work, unit="s", hush=s.pop("hush"), hands=s),
            Line(work="the same, an item through all three", unit="µs an item", hush=each.pop("hush"), hands=each),
            Line(work=f"its peak memory, over {WARM_ITEMS:,} items", unit="MB", hush=mb.pop("hush"), hands=mb),
            Line(
                work="until the last map has had its first item",
                unit="ms",
                goal=AtMost(FIRST_MS),
                hush=first.pop("hush"),
                hands=first,
            ),
        ]


# ── Items that wait ──────────────────────────────────────────────────────────────────────────────────────────────────

WAITING_STREAMS = Race(
    name="streams-waiting",
    work=f"{MAPS} streaming maps in a row, {WAITING:,} × {WAIT_S * 1000:.0f} ms in each, {WAITING_AT_ONCE} at a time",
    unit="× ideal",
    goal=None,
    figure=lambda seconds: seconds / IDEAL_STREAM_S,
    graph=lambda: three_maps(*[(wait_and_double, WAITING_AT_ONCE)] * MAPS, outputs={"y": PARENT}),
    inputs={"xs": WAITING_XS},
    hands={
        "gather + semaphores": lambda: wait_by_gather(wait_and_double, WAITING_XS, WAITING_AT_ONCE),
        "workers + queues": lambda: wait_by_queues(wait_and_double, WAITING_XS, WAITING_AT_ONCE),
    },
    warm_runs=2,
)

ROWS: tuple[Row, ...] = (*map(Streams, STREAMED), WAITING_STREAMS)
