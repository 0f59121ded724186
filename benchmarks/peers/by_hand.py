"""Hand-written asyncio, as in the project's own rows: no engine at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from benchmarks._llm import ASKED, MODEL, at_once, message, where
from benchmarks._rates import RATED, Starts, by_timers
from benchmarks._streams import Store, store_by_generators, store_by_queues
from benchmarks._work import (
    BRANCHES,
    CHEAP,
    MILLION_AT_ONCE,
    RUNS,
    block,
    double,
    map_by_gather,
    map_by_workers,
)
from benchmarks.peers import _rows
from benchmarks.peers._job import Job, Jobs, Make, Ways

# Hush is imported where its rows are read, so that the memory and the first runs here are without it.


def hand(module: str, row: str, result: Callable[[Any], Any]) -> Callable[[str], Make]:
    """What stands beside a row of the project's own table, by its label there."""

    def way(label: str) -> Make:
        def make() -> Job:
            from importlib import import_module

            return Job(call=getattr(import_module(f"benchmarks.{module}"), row).hands[label], result=result)

        return make

    return way


def both(way: Callable[[str], Make]) -> Ways:
    return {label: way(label) for label in ("gather + semaphore", "workers")}


def runs_at_once() -> Job:
    from benchmarks.rows_engine import five_calls

    async def call() -> list[Any]:
        return await asyncio.gather(*[five_calls(x) for x in range(RUNS)])

    return Job(call=call, result=lambda found: [each["total"] for each in found])


def blocking() -> Job:
    async def call() -> dict[str, int]:
        found = await asyncio.gather(*[asyncio.to_thread(block, by) for by in range(BRANCHES)])
        return {key: value for each in found for key, value in each.items()}

    return Job(call=call, result=lambda found: [found[f"x{by}"] for by in range(BRANCHES)])


def million(way: Callable[..., Any]) -> Make:
    return lambda: Job(
        call=lambda count: way(double, range(count), MILLION_AT_ONCE),
        result=lambda found: found["y"],
    )


def streams(way: Callable[..., Any]) -> Make:
    def make() -> Job:
        store = Store()
        return Job(call=lambda: way(store, range(CHEAP)), result=lambda _: store.result())

    return make


def rated() -> Job:
    return Job(call=lambda: by_timers(Starts(), RATED[_rows.RATE], _rows.RATE), result=lambda found: found["y"])


x, y, total = (lambda found: found["x"]), (lambda found: found["y"]), (lambda found: found["total"])
waiting_streams = hand("rows_streams", "WAITING_STREAMS", y)


def asked() -> Job:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=where(), api_key="none", max_retries=0)

    async def one(question: str) -> str | None:
        reply = await client.chat.completions.create(model=MODEL, messages=message(question))
        return reply.choices[0].message.content

    return Job(call=lambda: at_once(one, ASKED))


def spans_by_hand() -> Job:
    """A span of the OpenTelemetry SDK around each call, in batches to an exporter that drops them."""
    from benchmarks.rows_tracing import by_opentelemetry

    run, _ = by_opentelemetry()
    return Job(call=run)


JOBS: Jobs = {
    "llm": {"openai SDK + semaphore": asked},
    "chain-sync": {"plain calls": hand("rows_graphs", "CHAIN_SYNC", x)("plain calls")},
    "chain-traced": {"opentelemetry SDK": spans_by_hand},
    "chain-async": {"plain awaits": hand("rows_graphs", "CHAIN_ASYNC", x)("plain awaits")},
    "chain-cold": {"plain calls": hand("rows_graphs", "CHAIN_SYNC", x)("plain calls")},
    "fan-sync": {"gather": hand("rows_graphs", "FAN_SYNC", total)("gather")},
    "fan-suspending": {"TaskGroup": hand("rows_graphs", "FAN_SUSPENDING", total)("TaskGroup")},
    "layers": {"gather": hand("rows_graphs", "LAYERED", lambda found: list(found.values()))("gather")},
    "nested": {"nested awaits": hand("rows_graphs", "NESTED", x)("nested awaits")},
    "map-cheap": both(hand("rows_maps", "MAP_CHEAP", y)),
    "map-waiting": both(hand("rows_maps", "MAP_WAITING", y)),
    "map-million": {"gather + semaphore": million(map_by_gather), "workers": million(map_by_workers)},
    "streams": {"workers + queues": streams(store_by_queues), "async generators": streams(store_by_generators)},
    "streams-waiting": {label: waiting_streams(label) for label in ("gather + semaphores", "workers + queues")},
    "rate": {"a timer each": rated},
    "runs-at-once": {"gather": runs_at_once},
    "blocking": {"to_thread": blocking},
}
CANNOT: dict[str, str] = dict.fromkeys(("write", "compile", "write-many", "run-many"), "–")
NOTES: dict[str, str] = {}
