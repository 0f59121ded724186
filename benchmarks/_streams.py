"""Three maps in a row: what they do to each item, and what one writes without an engine.

Nothing here imports Hush, as in ``_work``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from benchmarks._work import WAIT_S, WAITING, WAITING_AT_ONCE, Outputs, double

STREAMED = (100_000, 1_000_000)
AT_ONCE = 10  # in each of the first two maps
MAPS = 3
IDEAL_STREAM_S = WAITING * WAIT_S / WAITING_AT_ONCE + (MAPS - 1) * WAIT_S  # the others wait for the first items only


class Store:
    """The last of the three: it keeps nothing but a count, a sum and when the first item came."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count = self.total = 0
        self.first_at = 0.0

    def take(self, x: int) -> None:
        if not self.count:
            self.first_at = perf_counter()
        self.count += 1
        self.total += x

    def result(self) -> list[int]:
        return [self.count, self.total]


def stored(items: int) -> list[int]:
    """What the store has in the end: each item has been doubled twice."""
    return [items, 2 * items * (items - 1)]


# ── By hand ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def by_queues(
    bodies: Sequence[Callable[[int], Any]], xs: Iterable[int], at_once: int, take: Callable[[int, int], None]
) -> None:
    """``at_once`` workers for each map, and behind them a queue that holds as many; ``take`` has items as they come.

    Each item carries its place, as it must where the order of the results matters.
    """
    feed = enumerate(xs)
    queues: list[asyncio.Queue[tuple[int, int] | None]] = [asyncio.Queue(at_once) for _ in bodies]

    async def pull() -> None:
        body, out = bodies[0], queues[0]
        for place, x in feed:
            given = body(x)
            await out.put((place, (given if isinstance(given, dict) else await given)["y"]))

    async def work(step: int) -> None:
        body, source, out = bodies[step], queues[step - 1], queues[step]
        while (got := await source.get()) is not None:
            place, x = got
            given = body(x)
            await out.put((place, (given if isinstance(given, dict) else await given)["y"]))

    async def run(step: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work(step) if step else pull())
        for _ in range(at_once if step + 1 < len(bodies) else 1):
            await queues[step].put(None)

    async with asyncio.TaskGroup() as group:
        for step in range(len(bodies)):
            group.create_task(run(step))
        while (got := await queues[-1].get()) is not None:
            take(*got)


async def feed(xs: Iterable[int]) -> AsyncIterator[int]:
    for x in xs:
        yield x


async def doubled(source: AsyncIterator[int]) -> AsyncIterator[int]:
    async for x in source:
        yield double(x)["y"]


async def store_by_queues(store: Store, xs: Iterable[int]) -> None:
    store.clear()
    await by_queues([double, double], xs, AT_ONCE, lambda _, x: store.take(x))


async def store_by_generators(store: Store, xs: Iterable[int]) -> None:
    """One item at a time: nothing goes on at once."""
    store.clear()
    async for x in doubled(doubled(feed(xs))):
        store.take(x)


async def wait_by_queues(body: Callable[[int], Any], xs: Sequence[int], at_once: int) -> Outputs:
    found: list[Any] = [None] * len(xs)
    await by_queues([body] * MAPS, xs, at_once, found.__setitem__)
    return {"y": found}


async def wait_by_gather(body: Callable[[int], Any], xs: Sequence[int], at_once: int) -> Outputs:
    """A task for each item, and a semaphore for each map; nothing holds back the source."""
    gates = [asyncio.Semaphore(at_once) for _ in range(MAPS)]

    async def one(x: int) -> int:
        for gate in gates:
            async with gate:
                x = (await body(x))["y"]
        return x

    return {"y": await asyncio.gather(*[one(x) for x in xs])}
