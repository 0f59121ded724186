"""What is worked on: the functions that the graphs call, and how many of them there are.

Nothing here imports Hush: the peers do the same work in environments that do not have it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

Outputs = dict[str, Any]

# ── Graphs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

LONG = 100  # nodes of a chain, and arms of a fan
FAN = LONG + 2  # with the node before and the one after
LAYERS = WIDTH = LEVELS = 10
RUNS = 1_000  # at once
ARMS = (2, 3, 5)  # of the graph that is run so often
NODES, MANY = 1_000, 10_000  # of the chains that are compiled
BRANCHES, BLOCK_S = 3, 0.3  # that block


def add_one(x: int) -> Outputs:
    return {"x": x + 1}


async def add_one_async(x: int) -> Outputs:
    return {"x": x + 1}


def scale(x: int, by: int) -> Outputs:
    return {"x": x * by}


async def scale_and_suspend(x: int, by: int) -> Outputs:
    await asyncio.sleep(0)
    return {"x": x * by}


def add_up(values: list[int]) -> Outputs:
    return {"total": sum(values)}


def mix(values: list[int], by: int) -> Outputs:
    return {"x": (sum(values) + by) % 1009}


def block(by: int) -> dict[str, int]:
    time.sleep(BLOCK_S)
    return {f"x{by}": by}


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

CHEAP, CHEAP_AT_ONCE = 10_000, 10
WAITING, WAITING_AT_ONCE, WAIT_S = 1_000, 100, 0.01
IDEAL_S = WAITING * WAIT_S / WAITING_AT_ONCE
MILLION, WARM_ITEMS, MILLION_AT_ONCE = 1_000_000, 1_000, 10
CHEAP_XS = list(range(CHEAP))
WAITING_XS = list(range(WAITING))


def double(x: int) -> Outputs:
    return {"y": x * 2}


async def wait_and_double(x: int) -> Outputs:
    await asyncio.sleep(WAIT_S)
    return {"y": x * 2}


async def suspend_and_double(x: int) -> Outputs:
    await asyncio.sleep(0)
    return {"y": x * 2}


# ── Maps by hand ─────────────────────────────────────────────────────────────────────────────────────────────────────


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
