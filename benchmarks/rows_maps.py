"""Maps: many cheap items, and many that wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._race import Race, micros_for
from benchmarks._row import AtMost, Row, Times
from benchmarks._work import (
    CHEAP,
    CHEAP_AT_ONCE,
    CHEAP_XS,
    IDEAL_S,
    WAIT_S,
    WAITING,
    WAITING_AT_ONCE,
    WAITING_XS,
    double,
    map_by_gather,
    map_by_workers,
    wait_and_double,
)
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, MapNode


def mapped(body: Callable[..., Any], at_once: int, **policies: Any) -> GraphNode:
    """A map over the input ``xs``; its column ``y`` is the output. The policies are those of the node in it."""
    with GraphNode(name="mapped") as graph:
        with MapNode(
            name="each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, max_concurrency=at_once
        ) as every:
            one = CodeNode(name="one", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, **policies)
            START >> one >> END
        START >> every >> END
    return graph


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
