"""Maps: many cheap items, and many that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks._race import Race, micros_for
from benchmarks._row import AtMost, Row, Times
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, MapNode

Outputs = dict[str, Any]
CHEAP, CHEAP_AT_ONCE = 10_000, 10
WAITING, WAITING_AT_ONCE, WAIT_S = 1_000, 100, 0.01
IDEAL_S = WAITING * WAIT_S / WAITING_AT_ONCE


def double(x: int) -> Outputs:
    return {"y": x * 2}


async def wait_and_double(x: int) -> Outputs:
    await asyncio.sleep(WAIT_S)
    return {"y": x * 2}


def mapped(body: Callable[..., Any], at_once: int) -> GraphNode:
    """A map over the input ``xs``; its column ``y`` is the output."""
    with GraphNode(name="mapped") as graph:
        with MapNode(
            name="each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, max_concurrency=at_once
        ) as every:
            one = CodeNode(name="one", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
            START >> one >> END
        START >> every >> END
    return graph


# ── By hand ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def map_by_gather(body: Callable[[int], Any], xs: Iterable[int], at_once: int) -> Outputs:
    """A task for each item, and a semaphore that lets ``at_once`` of them through."""
    gate = asyncio.Semaphore(at_once)

    async def one(x: int) -> Any:
        async with gate:
            given = body(x)
            return (given if isinstance(given, dict) else await given)["y"]

    return {"y": await asyncio.gather(*[one(x) for x in xs])}


async def map_by_workers(body: Callable[[int], Any], xs: Iterable[int], at_once: int) -> Outputs:
    """``at_once`` tasks that pull from one iterator: what one writes who knows that speed matters."""
    feed = enumerate(xs)
    found: list[Any] = []

    async def work() -> None:
        for place, x in feed:
            found.append(None)
            given = body(x)
            found[place] = (given if isinstance(given, dict) else await given)["y"]

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return {"y": found}


# ── The rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CHEAP_XS = list(range(CHEAP))
WAITING_XS = list(range(WAITING))

MAP_CHEAP = Race(
    name="map-cheap",
    work=f"map over {CHEAP:,}, cheap body, {CHEAP_AT_ONCE} at a time",
    unit="µs an item",
    goal=AtMost(2.0),
    figure=micros_for(CHEAP),
    graph=lambda: mapped(double, CHEAP_AT_ONCE),
    inputs={"xs": CHEAP_XS},
    hands={
        "gather + semaphore": lambda: map_by_gather(double, CHEAP_XS, CHEAP_AT_ONCE),
        "workers": lambda: map_by_workers(double, CHEAP_XS, CHEAP_AT_ONCE),
    },
)
MAP_WAITING = Race(
    name="map-waiting",
    work=f"map, {WAITING:,} × {WAIT_S * 1000:.0f} ms, {WAITING_AT_ONCE} at a time",
    unit="× ideal",
    goal=Times(1.05),
    figure=lambda seconds: seconds / IDEAL_S,
    graph=lambda: mapped(wait_and_double, WAITING_AT_ONCE),
    inputs={"xs": WAITING_XS},
    hands={
        "gather + semaphore": lambda: map_by_gather(wait_and_double, WAITING_XS, WAITING_AT_ONCE),
        "workers": lambda: map_by_workers(wait_and_double, WAITING_XS, WAITING_AT_ONCE),
    },
    warm_runs=2,
)

ROWS: tuple[Row, ...] = (MAP_CHEAP, MAP_WAITING)
