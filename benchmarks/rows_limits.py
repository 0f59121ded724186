"""What policies cost an item of a map: a limit, with and without waiting, retries and cache hits; and rates kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

from benchmarks._measure import Effort, Side, WrongResultError, must_agree
from benchmarks._race import Race, micros_for
from benchmarks._rates import RATE_S, RATED, RATES, Starts, by_timers, exceeds, share
from benchmarks._row import Line, Row
from benchmarks._work import (
    CHEAP,
    CHEAP_AT_ONCE,
    CHEAP_XS,
    Outputs,
    double,
    map_by_gather,
    map_by_workers,
    suspend_and_double,
)
from benchmarks.rows_engine import Recorder
from benchmarks.rows_maps import mapped
from hush.core import GraphNode, Hush, Limit, NodeCached, Retry

WAITERS = 1_000
KEPT = 1_000  # different items, so that most of them are hits within one run, and all in the next
REPEATED = [x % KEPT for x in CHEAP_XS]
ATTEMPTS = 5  # as Retry() has them


def of_hush(graph: Callable[[], GraphNode], xs: Any) -> Side:
    """Runs of a graph, as a side to compare with."""
    engine = Hush(graph())

    async def run() -> Mapping[str, Any]:
        return await engine.run(inputs={"xs": xs})

    return run


# ── A limit on how many at once ──────────────────────────────────────────────────────────────────────────────────────


def within(gate: asyncio.Semaphore, body: Callable[[int], Any]) -> Callable[[int], Awaitable[Outputs]]:
    """The body behind a semaphore."""

    async def one(x: int) -> Any:
        async with gate:
            given = body(x)
            return given if isinstance(given, dict) else await given

    return one


def workers_within(body: Callable[[int], Any], at_once: int, permits: int) -> Awaitable[Outputs]:
    """Workers, and a semaphore that others could share."""
    return map_by_workers(within(asyncio.Semaphore(permits), body), CHEAP_XS, at_once)


LIMIT_FREE = Race(
    name="limit-free",
    work=f"map over {CHEAP:,}, cheap body, {CHEAP_AT_ONCE} at a time, under a limit of 100 that nobody waits for",
    unit="µs an item",
    goal=None,
    figure=micros_for(CHEAP),
    graph=lambda: mapped(double, CHEAP_AT_ONCE, limit=Limit(concurrency=100)),
    inputs={"xs": CHEAP_XS},
    hands={
        "hush, no limit": of_hush(lambda: mapped(double, CHEAP_AT_ONCE), CHEAP_XS),
        "gather + semaphore": lambda: map_by_gather(double, CHEAP_XS, CHEAP),
        "workers + semaphore": lambda: workers_within(double, CHEAP_AT_ONCE, 100),
    },
)
LIMIT_WAITED_FOR = Race(
    name="limit-waited-for",
    work=f"the same, each suspends once, under a limit of {CHEAP_AT_ONCE} that {WAITERS:,} wait for",
    unit="µs an item",
    goal=None,
    figure=micros_for(CHEAP),
    graph=lambda: mapped(suspend_and_double, WAITERS + CHEAP_AT_ONCE, limit=Limit(concurrency=CHEAP_AT_ONCE)),
    inputs={"xs": CHEAP_XS},
    hands={
        "hush, no limit": of_hush(lambda: mapped(suspend_and_double, WAITERS + CHEAP_AT_ONCE), CHEAP_XS),
        "gather + semaphore": lambda: map_by_gather(suspend_and_double, CHEAP_XS, CHEAP_AT_ONCE),
        "workers + semaphore": lambda: workers_within(suspend_and_double, WAITERS + CHEAP_AT_ONCE, CHEAP_AT_ONCE),
    },
    warm_runs=5,
)

# ── Retries that are not needed, and hits of the cache ───────────────────────────────────────────────────────────────


def tried(x: int) -> Outputs:
    """What one writes first."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return double(x)
        except (ConnectionError, TimeoutError):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


RETRY = Race(
    name="retry",
    work=f"map over {CHEAP:,}, cheap body, `retry=Retry()`, no failure",
    unit="µs an item",
    goal=None,
    figure=micros_for(CHEAP),
    graph=lambda: mapped(double, CHEAP_AT_ONCE, retry=Retry()),
    inputs={"xs": CHEAP_XS},
    hands={
        "hush, no retry": of_hush(lambda: mapped(double, CHEAP_AT_ONCE), CHEAP_XS),
        "workers + try": lambda: map_by_workers(tried, CHEAP_XS, CHEAP_AT_ONCE),
    },
)
CACHED = lru_cache(maxsize=None)(double)
CACHE = Race(
    name="cache-hits",
    work=f'map over {CHEAP:,}, cheap body, `cache="memory"`, all of them hits',
    unit="µs an item",
    goal=None,
    figure=micros_for(CHEAP),
    graph=lambda: mapped(double, CHEAP_AT_ONCE, cache="memory"),
    inputs={"xs": REPEATED},
    hands={
        "hush, no cache": of_hush(lambda: mapped(double, CHEAP_AT_ONCE), REPEATED),
        "workers + lru_cache": lambda: map_by_workers(CACHED, REPEATED, CHEAP_AT_ONCE),
    },
    warm_runs=5,
)


@dataclass(frozen=True)
class Hits:
    """The race, after a look at whether there are hits at all. The store is one for the process."""

    name: str = CACHE.name
    work: str = CACHE.work

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        hits = asyncio.run(self._hits())
        if hits != CHEAP:
            raise WrongResultError(f"{hits:,} of {CHEAP:,} items came from the cache")
        return CACHE.measure(effort)

    async def _hits(self) -> int:
        engine = Hush(CACHE.graph())
        await engine.run(inputs=CACHE.inputs)
        recorder = Recorder()
        await engine.run(inputs=CACHE.inputs, tracer=recorder)
        return sum(isinstance(event, NodeCached) for event in recorder.events)


# ── Rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Rate:
    """Calls under a rate, and how much of it they use. More than 100 % would be more calls than allowed."""

    rate: int

    @property
    def name(self) -> str:
        return f"rate-{self.rate}"

    @property
    def work(self) -> str:
        return f"share used of a rate of {self.rate:,} a second, over {RATE_S} s"

    def measure(self, effort: Effort) -> list[Line]:
        """One line, in percent."""
        shares = {label: 100 * each for label, each in asyncio.run(self._shares(effort)).items()}
        return [Line(work=self.work, unit="%", hush=shares.pop("hush"), hands=shares)]

    async def _shares(self, effort: Effort) -> dict[str, float]:
        xs = RATED[self.rate]
        starts = Starts()

        async def hush() -> Mapping[str, Any]:
            # A limit of its own each time: one that goes on would still count the starts of the run before.
            return await Hush(mapped(starts.double, CHEAP_AT_ONCE, limit=Limit(per_second=self.rate))).run({"xs": xs})

        async def timers() -> Mapping[str, Any]:
            return await by_timers(starts, xs, self.rate)

        shares: dict[str, list[float]] = {"hush": [], "a timer each": []}
        for _ in range(effort.heavy):
            results: dict[str, Any] = {}
            for label, side in (("hush", hush), ("a timer each", timers)):
                starts.at_s.clear()
                results[label] = dict(await side())
                # Timers promise nothing: they catch up after a pause.
                if side is hush and exceeds(starts.at_s, self.rate):
                    raise WrongResultError(f"more than {self.rate:,} calls started within a second")
                shares[label].append(share(starts.at_s))
            must_agree({"by itself": {"y": [x * 2 for x in xs]}, **results})
        return {label: median(taken) for label, taken in shares.items()}


ROWS: tuple[Row, ...] = (LIMIT_FREE, LIMIT_WAITED_FOR, RETRY, Hits(), *map(Rate, RATES))
