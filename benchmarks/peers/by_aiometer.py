"""aiometer: many calls of one coroutine function, so many at a time. It has no graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import aiometer

from benchmarks._rates import RATED, Starts
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


async def cheap(x: int) -> int:
    return double(x)["y"]


async def waiting(x: int) -> int:
    return (await wait_and_double(x))["y"]


def mapped(body: Callable[[int], Any], xs: Iterable[int], at_once: int) -> Any:
    """``run_all`` gives results in the order of the calls; ``amap`` gives them as they come."""
    return aiometer.run_all([partial(body, x) for x in xs], max_at_once=at_once)


async def rated() -> list[int]:
    starts = Starts()

    async def one(x: int) -> int:
        return (await starts.double(x))["y"]

    return await aiometer.run_all([partial(one, x) for x in RATED[_rows.RATE]], max_per_second=_rows.RATE)


JOBS: Jobs = {
    "map-cheap": lambda: Job(call=lambda: mapped(cheap, CHEAP_XS, CHEAP_AT_ONCE)),
    "map-waiting": lambda: Job(call=lambda: mapped(waiting, WAITING_XS, WAITING_AT_ONCE)),
    "map-million": lambda: Job(call=lambda count: mapped(cheap, range(count), MILLION_AT_ONCE)),
    "rate": lambda: Job(call=rated),
}
NO_STREAMS = dict.fromkeys(("streams", "streams-waiting"), "no streams") | {"llm": "–"}
CANNOT = {row.name: "no graphs" for row in _rows.ALL if row.name not in JOBS} | NO_STREAMS
NOTES = {
    "rate": "evenly spaced (`max_per_second`)",
    "import": "asyncio itself comes with the first run",
}
