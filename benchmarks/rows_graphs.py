"""Graphs without maps: chains, fans, layers and nests, in microseconds a node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from benchmarks._race import Race, micros_for
from benchmarks._row import AtMost, Row, Times
from benchmarks._work import (
    FAN,
    LAYERS,
    LEVELS,
    LONG,
    WIDTH,
    Outputs,
    add_one,
    add_one_async,
    add_up,
    mix,
    scale,
    scale_and_suspend,
)
from hush.core import END, PARENT, START, CodeNode, GraphNode

# ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def chain(step: Callable[..., Any], length: int = LONG) -> GraphNode:
    """``length`` nodes, each of which takes what the one before it gave."""
    with GraphNode(name="chain") as graph:
        last = CodeNode(name="n0", code_fn=step, inputs={"x": PARENT["x"]})
        START >> last
        for place in range(1, length):
            node = CodeNode(name=f"n{place}", code_fn=step, inputs={"x": last["x"]})
            last >> node
            last = node
        last >> END
        last["x"] >> PARENT["x"]
    return graph


async def chain_of_calls() -> Outputs:
    x = 0
    for _ in range(LONG):
        x = add_one(x)["x"]
    return {"x": x}


async def chain_of_awaits() -> Outputs:
    x = 0
    for _ in range(LONG):
        x = (await add_one_async(x))["x"]
    return {"x": x}


CHAIN_SYNC = Race(
    name="chain-sync",
    work=f"chain of {LONG} sync nodes",
    unit="µs a node",
    goal=AtMost(1.0),
    figure=micros_for(LONG),
    graph=lambda: chain(add_one),
    inputs={"x": 0},
    hands={"plain calls": chain_of_calls},
)
CHAIN_ASYNC = Race(
    name="chain-async",
    work="the same, `async def` that never suspends",
    unit="µs a node",
    goal=AtMost(1.2),
    figure=micros_for(LONG),
    graph=lambda: chain(add_one_async),
    inputs={"x": 0},
    hands={"plain awaits": chain_of_awaits},
)

# ── 1 → 100 → 1 ──────────────────────────────────────────────────────────────────────────────────────────────────────


def fan(arm: Callable[..., Any]) -> GraphNode:
    """One node, ``LONG`` nodes that read it, and one that reads them all."""
    with GraphNode(name="fan") as graph:
        first = CodeNode(name="first", code_fn=add_one, inputs={"x": PARENT["x"]})
        arms = [CodeNode(name=f"n{place}", code_fn=arm, inputs={"x": first["x"], "by": place}) for place in range(LONG)]
        join = CodeNode(
            name="join", code_fn=add_up, inputs={"values": [each["x"] for each in arms]}, outputs={"*": PARENT}
        )
        START >> first >> arms >> join >> END
    return graph


async def fan_by_gather() -> Outputs:
    first = add_one(1)

    async def arm(place: int) -> Outputs:
        return scale(first["x"], place)

    arms = await asyncio.gather(*[arm(place) for place in range(LONG)])
    return add_up([each["x"] for each in arms])


async def fan_by_task_group() -> Outputs:
    first = add_one(1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(scale_and_suspend(first["x"], place)) for place in range(LONG)]
    return add_up([task.result()["x"] for task in tasks])


FAN_SYNC = Race(
    name="fan-sync",
    work=f"1 → {LONG} → 1, sync",
    unit="µs a node",
    goal=AtMost(3.0),
    figure=micros_for(FAN),
    graph=lambda: fan(scale),
    inputs={"x": 1},
    hands={"gather": fan_by_gather},
)
FAN_SUSPENDING = Race(
    name="fan-suspending",
    work=f"1 → {LONG} → 1, each suspends once",
    unit="µs a node",
    goal=Times(1.1, "TaskGroup"),
    figure=micros_for(FAN),
    graph=lambda: fan(scale_and_suspend),
    inputs={"x": 1},
    hands={"TaskGroup": fan_by_task_group},
)

# ── 10 layers of 10 ──────────────────────────────────────────────────────────────────────────────────────────────────


def layers() -> GraphNode:
    """Every node reads every node of the layer before its own."""
    with GraphNode(name="layers") as graph:
        above = [CodeNode(name=f"n0_{by}", code_fn=scale, inputs={"x": PARENT["x"], "by": by}) for by in range(WIDTH)]
        wired = START >> above
        for layer in range(1, LAYERS):
            values = [each["x"] for each in above]
            above = [
                CodeNode(name=f"n{layer}_{by}", code_fn=mix, inputs={"values": values, "by": by}) for by in range(WIDTH)
            ]
            wired = wired >> above
        wired >> END
        for by, node in enumerate(above):
            node["x"] >> PARENT[f"x{by}"]
    return graph


async def layers_by_gather() -> Outputs:
    async def call(step: Callable[..., Outputs], *given: Any) -> Outputs:
        return step(*given)

    above = await asyncio.gather(*[call(scale, 1, by) for by in range(WIDTH)])
    for _ in range(1, LAYERS):
        values = [each["x"] for each in above]
        above = await asyncio.gather(*[call(mix, values, by) for by in range(WIDTH)])
    return {f"x{by}": each["x"] for by, each in enumerate(above)}


LAYERED = Race(
    name="layers",
    work=f"{LAYERS} layers of {WIDTH}, all to all",
    unit="µs a node",
    goal=AtMost(5.0),
    figure=micros_for(LAYERS * WIDTH),
    graph=layers,
    inputs={"x": 1},
    hands={"gather": layers_by_gather},
)

# ── 10 nested graphs ─────────────────────────────────────────────────────────────────────────────────────────────────


def nest(level: int = 0) -> GraphNode:
    """A graph that holds one graph, and so on; the innermost holds a node."""
    inputs, outputs = (None, None) if level == 0 else ({"x": PARENT["x"]}, PARENT)  # the root takes the run's
    with GraphNode(name=f"level{level}", inputs=inputs, outputs=outputs) as graph:
        if level == LEVELS:
            inner: Any = CodeNode(name="leaf", code_fn=add_one, inputs={"x": PARENT["x"]}, outputs=PARENT)
        else:
            inner = nest(level + 1)
        START >> inner >> END
    return graph


async def nest_of_awaits(x: int = 0, level: int = 0) -> Outputs:
    if level == LEVELS:
        return add_one(x)
    inner = await nest_of_awaits(x, level + 1)
    return {"x": inner["x"]}


NESTED = Race(
    name="nested",
    work=f"{LEVELS} nested graphs",
    unit="µs a level",
    goal=AtMost(3.0),
    figure=micros_for(LEVELS),
    graph=nest,
    inputs={"x": 0},
    hands={"nested awaits": nest_of_awaits},
)

ROWS: tuple[Row, ...] = (CHAIN_SYNC, CHAIN_ASYNC, FAN_SYNC, FAN_SUSPENDING, LAYERED, NESTED)
