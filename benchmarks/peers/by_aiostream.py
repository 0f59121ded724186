"""aiostream: operators on asynchronous streams, among them a map with a limit. It has no graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiostream import pipe, stream

from benchmarks._rates import RATED, Starts
from benchmarks._streams import AT_ONCE, MAPS, Store
from benchmarks._work import (
    CHEAP_AT_ONCE,
    CHEAP_XS,
    MILLION_AT_ONCE,
    WAITING_AT_ONCE,
    WAITING_XS,
    double,
    wait_and_double,
)
from benchmarks.peers import _rows
from benchmarks.peers._job import Job, Jobs


def sync(x: int) -> int:
    return double(x)["y"]


async def cheap(x: int) -> int:
    return double(x)["y"]


async def waiting(x: int) -> int:
    return (await wait_and_double(x))["y"]


async def mapped(body: Callable[[int], Any], xs: Iterable[int], at_once: int | None, maps: int = 1) -> list[int]:
    """Results in the order of the source, ``at_once`` calls at a time; a ``def`` takes no limit."""
    source = stream.iterate(xs)
    for _ in range(maps):
        source |= pipe.map(body) if at_once is None else pipe.map(body, task_limit=at_once)
    async with source.stream() as results:
        return [x async for x in results]


async def streamed(body: Callable[[int], Any], xs: Iterable[int], at_once: int | None) -> list[int]:
    """Two maps, and a third that stores."""
    store = Store()
    source = stream.iterate(xs)
    for _ in range(MAPS - 1):
        source |= pipe.map(body) if at_once is None else pipe.map(body, task_limit=at_once)
    await (source | pipe.map(store.take))
    return store.result()


async def rated() -> list[int]:
    starts = Starts()

    async def one(x: int) -> int:
        return (await starts.double(x))["y"]

    spaced = stream.iterate(RATED[_rows.RATE]) | pipe.spaceout(1 / _rows.RATE)
    async with (spaced | pipe.map(one, task_limit=CHEAP_AT_ONCE)).stream() as results:
        return [x async for x in results]


LIMITED, PLAIN = f"async def, {AT_ONCE} at a time", "def, one at a time"
JOBS: Jobs = {
    "map-cheap": {
        LIMITED: lambda: Job(call=lambda: mapped(cheap, CHEAP_XS, CHEAP_AT_ONCE)),
        PLAIN: lambda: Job(call=lambda: mapped(sync, CHEAP_XS, None)),
    },
    "map-waiting": lambda: Job(call=lambda: mapped(waiting, WAITING_XS, WAITING_AT_ONCE)),
    "map-million": {
        LIMITED: lambda: Job(call=lambda count: mapped(cheap, range(count), MILLION_AT_ONCE)),
        PLAIN: lambda: Job(call=lambda count: mapped(sync, range(count), None)),
    },
    "streams": {
        LIMITED: lambda: Job(call=lambda: streamed(cheap, CHEAP_XS, AT_ONCE)),
        PLAIN: lambda: Job(call=lambda: streamed(sync, CHEAP_XS, None)),
    },
    "streams-waiting": lambda: Job(call=lambda: mapped(waiting, WAITING_XS, WAITING_AT_ONCE, MAPS)),
    "rate": lambda: Job(call=rated),
}
CANNOT = {row.name: "no graphs" for row in _rows.ALL if row.name not in JOBS} | {"llm": "–"}
NOTES = {"rate": "evenly spaced (`spaceout`)"}
