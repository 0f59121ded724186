"""The rows: the work, the result that it must have, and the unit of its figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks._llm import ASKED, ASKED_AT_ONCE, IDEAL_LLM_S, LATENCY_S, QUESTIONS, echoed
from benchmarks._rates import RATE_S, RATED, RATES
from benchmarks._streams import AT_ONCE, IDEAL_STREAM_S, MAPS, stored
from benchmarks._work import (
    ARMS,
    BLOCK_S,
    BRANCHES,
    CHEAP,
    CHEAP_AT_ONCE,
    CHEAP_XS,
    FAN,
    IDEAL_S,
    LAYERS,
    LEVELS,
    LONG,
    MANY,
    MILLION,
    MILLION_AT_ONCE,
    NODES,
    RUNS,
    WAIT_S,
    WAITING,
    WAITING_AT_ONCE,
    WAITING_XS,
    WIDTH,
    mix,
)

RATE = RATES[-1]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table, or what a fresh process measures of one."""

    name: str
    work: str
    unit: str
    expected: Callable[[], Any]
    figure: Callable[[float], float]  # seconds of one call, in the unit


def micros_for(count: int) -> Callable[[float], float]:
    """Microseconds for each of ``count``."""

    def figure(seconds: float) -> float:
        return seconds * 1e6 / count

    return figure


def millis(seconds: float) -> float:
    return seconds * 1000


def as_seconds(seconds: float) -> float:
    return seconds


def _layers() -> list[int]:
    xs = list(range(WIDTH))  # 1 times the place
    for _ in range(1, LAYERS):
        xs = [mix(xs, by)["x"] for by in range(WIDTH)]
    return xs


WARM = (
    Row(
        name="chain-sync",
        work=f"chain of {LONG} sync nodes",
        unit="µs a node",
        expected=lambda: LONG,
        figure=micros_for(LONG),
    ),
    Row(
        name="chain-traced",
        work=f"chain of {LONG} sync nodes, each traced, or its state kept, in the engine's own way",
        unit="µs a node",
        expected=lambda: LONG,
        figure=micros_for(LONG),
    ),
    Row(
        name="chain-async",
        work="the same, `async def` that never suspends",
        unit="µs a node",
        expected=lambda: LONG,
        figure=micros_for(LONG),
    ),
    Row(
        name="fan-sync",
        work=f"1 → {LONG} → 1, sync",
        unit="µs a node",
        expected=lambda: 2 * sum(range(LONG)),
        figure=micros_for(FAN),
    ),
    Row(
        name="fan-suspending",
        work=f"1 → {LONG} → 1, each suspends once",
        unit="µs a node",
        expected=lambda: 2 * sum(range(LONG)),
        figure=micros_for(FAN),
    ),
    Row(
        name="layers",
        work=f"{LAYERS} layers of {WIDTH}, all to all",
        unit="µs a node",
        expected=_layers,
        figure=micros_for(LAYERS * WIDTH),
    ),
    Row(
        name="nested",
        work=f"{LEVELS} nested graphs",
        unit="µs a level",
        expected=lambda: 1,
        figure=micros_for(LEVELS),
    ),
    Row(
        name="map-cheap",
        work=f"map over {CHEAP:,}, cheap body, {CHEAP_AT_ONCE} at a time",
        unit="µs an item",
        expected=lambda: [x * 2 for x in CHEAP_XS],
        figure=micros_for(CHEAP),
    ),
    Row(
        name="map-waiting",
        work=f"map, {WAITING:,} × {WAIT_S * 1000:.0f} ms, {WAITING_AT_ONCE} at a time",
        unit="× ideal",
        expected=lambda: [x * 2 for x in WAITING_XS],
        figure=lambda seconds: seconds / IDEAL_S,
    ),
    Row(
        name="streams",
        work=f"{MAPS} streaming maps in a row over {CHEAP:,}, cheap bodies, {AT_ONCE} at a time",
        unit="µs an item",
        expected=lambda: stored(CHEAP),
        figure=micros_for(CHEAP),
    ),
    Row(
        name="streams-waiting",
        work=f"{MAPS} in a row, {WAITING:,} × {WAIT_S * 1000:.0f} ms in each, {WAITING_AT_ONCE} at a time",
        unit="× ideal",
        expected=lambda: [x * 2**MAPS for x in WAITING_XS],
        figure=lambda seconds: seconds / IDEAL_STREAM_S,
    ),
    Row(
        name="rate",
        work=f"share used of a rate of {RATE:,} a second, over {RATE_S} s",
        unit="%",
        expected=lambda: [x * 2 for x in RATED[RATE]],
        figure=lambda seconds: 100 * RATE_S / seconds,
    ),
    Row(
        name="llm",
        work=f"{QUESTIONS:,} questions to a language model, {ASKED_AT_ONCE} at a time, {LATENCY_S * 1000:.0f} ms each",
        unit="× ideal",
        expected=lambda: [echoed(question) for question in ASKED],
        figure=lambda seconds: seconds / IDEAL_LLM_S,
    ),
    Row(
        name="runs-at-once",
        work=f"{RUNS:,} runs of a graph of {len(ARMS) + 2} nodes, at once",
        unit="runs/s",
        expected=lambda: [(x + 1) * sum(ARMS) for x in range(RUNS)],
        figure=lambda seconds: RUNS / seconds,
    ),
    Row(
        name="write",
        work=f"write and compile a chain of {NODES:,}",
        unit="ms",
        expected=lambda: NODES,
        figure=millis,
    ),
    Row(
        name="compile",
        work="of it, to compile",
        unit="ms",
        expected=lambda: NODES,
        figure=millis,
    ),
    Row(
        name="write-many",
        work=f"write and compile a chain of {MANY:,}",
        unit="ms",
        expected=lambda: MANY,
        figure=millis,
    ),
    Row(
        name="run-many",
        work=f"run a chain of {MANY:,}",
        unit="µs a node",
        expected=lambda: MANY,
        figure=micros_for(MANY),
    ),
)

# Both figures of the map over a million come from one process; so do the three of a first run.
MILLION_S = Row(
    name="map-million",
    work=f"map over {MILLION:,}, {MILLION_AT_ONCE} at a time",
    unit="s",
    expected=lambda: [MILLION, MILLION * (MILLION - 1), list(range(0, 2 * MILLION, 2 * 99_991))],
    figure=as_seconds,
)
MILLION_MB = Row(
    name="map-million-mb",
    work="its peak memory, all of the process",
    unit="MB",
    expected=lambda: None,
    figure=as_seconds,
)
IMPORTED = Row(name="import", work="import", unit="ms", expected=lambda: None, figure=millis)
CHAIN_COLD = Row(
    name="chain-cold",
    work=f"chain of {LONG} sync nodes, the very first run",
    unit="µs a node",
    expected=lambda: LONG,
    figure=micros_for(LONG),
)
BLOCKING = Row(
    name="blocking",
    work=f"{BRANCHES} `def`s that block for {BLOCK_S} s in parallel branches, the very first run",
    unit="s",
    expected=lambda: list(range(BRANCHES)),
    figure=as_seconds,
)
ALL = (*WARM, MILLION_S, MILLION_MB, IMPORTED, CHAIN_COLD, BLOCKING)
