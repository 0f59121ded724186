"""pydantic-graph: its graph builder. Steps are coroutine functions, a step's input is what the one before it gave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from pydantic_graph import Graph, GraphBuilder, StepContext, reduce_dict_update, reduce_list_append

from benchmarks._work import (
    ARMS,
    BRANCHES,
    CHEAP_AT_ONCE,
    CHEAP_XS,
    LAYERS,
    LEVELS,
    LONG,
    MILLION_AT_ONCE,
    RUNS,
    WAITING_AT_ONCE,
    WAITING_XS,
    WIDTH,
    add_one,
    add_one_async,
    add_up,
    block,
    double,
    mix,
    scale,
    scale_and_suspend,
    wait_and_double,
)
from benchmarks.peers._job import Job, Jobs, long_chains

Context = StepContext[None, None, Any]
Step = Callable[[Context], Any]


def builder() -> GraphBuilder[None, None, Any, Any]:
    return GraphBuilder(input_type=object, output_type=object, auto_instrument=False)


# ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def one_more(ctx: Context) -> Any:
    return add_one(ctx.inputs)["x"]


async def one_more_awaited(ctx: Context) -> Any:
    return (await add_one_async(ctx.inputs))["x"]


def written(step: Step, length: int) -> GraphBuilder[None, None, Any, Any]:
    graph = builder()
    steps = [graph.step(step, node_id=f"n{place}") for place in range(length)]
    graph.add(
        graph.edge_from(graph.start_node).to(steps[0]),
        *[graph.edge_from(a).to(b) for a, b in pairwise(steps)],
        graph.edge_from(steps[-1]).to(graph.end_node),
    )
    return graph


def chain(step: Step) -> Job:
    graph = written(step, LONG).build()
    return Job(call=lambda: graph.run(inputs=0))


# ── Fans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def scaled(by: int) -> Step:
    async def step(ctx: Context) -> Any:
        return scale(ctx.inputs, by)["x"]

    return step


def scaled_suspending(by: int) -> Step:
    async def step(ctx: Context) -> Any:
        return (await scale_and_suspend(ctx.inputs, by))["x"]

    return step


async def added_up(ctx: Context) -> Any:
    return add_up(ctx.inputs)["total"]


def fan(arm: Callable[[int], Step], places: Any) -> Graph[None, None, Any, Any]:
    graph = builder()
    first = graph.step(one_more, node_id="first")
    arms = [graph.step(arm(by), node_id=f"n{by}") for by in places]
    values = graph.join(reduce_list_append, initial_factory=list)
    total = graph.step(added_up, node_id="total")
    graph.add(
        graph.edge_from(graph.start_node).to(first),
        graph.edge_from(first).to(*arms),
        graph.edge_from(*arms).to(values),
        graph.edge_from(values).to(total),
        graph.edge_from(total).to(graph.end_node),
    )
    return graph.build()


def fanned(arm: Callable[[int], Step]) -> Job:
    graph = fan(arm, range(LONG))
    return Job(call=lambda: graph.run(inputs=1))


def runs_at_once() -> Job:
    graph = fan(scaled, ARMS)

    async def call() -> list[Any]:
        return await asyncio.gather(*[graph.run(inputs=x) for x in range(RUNS)])

    return Job(call=call)


def layers() -> Job:
    graph = builder()

    def top(by: int) -> Step:
        async def step(ctx: Context) -> Any:
            return {by: scale(ctx.inputs, by)["x"]}

        return step

    def lower(by: int) -> Step:
        async def step(ctx: Context) -> Any:
            return {by: mix(list(ctx.inputs.values()), by)["x"]}

        return step

    above: Any = graph.start_node
    for layer in range(LAYERS):
        nodes = [graph.step((lower if layer else top)(by), node_id=f"n{layer}_{by}") for by in range(WIDTH)]
        joined = graph.join(
            reduce_dict_update, initial_factory=dict, node_id=f"join{layer}", preferred_parent_fork="closest"
        )
        graph.add(graph.edge_from(above).to(*nodes), graph.edge_from(*nodes).to(joined))
        above = joined
    graph.add(graph.edge_from(above).to(graph.end_node))
    built = graph.build()
    return Job(call=lambda: built.run(inputs=1), result=lambda found: [found[by] for by in range(WIDTH)])


def nested() -> Job:
    inner = written(one_more, 1).build()
    for _ in range(LEVELS):

        async def step(ctx: Context, inner: Graph[None, None, Any, Any] = inner) -> Any:
            return await inner.run(inputs=ctx.inputs)

        inner = written(step, 1).build()
    outer = inner
    return Job(call=lambda: outer.run(inputs=0))


def blocking() -> Job:
    graph = builder()

    def blocked(by: int) -> Step:
        async def step(_: Context) -> Any:
            return await asyncio.to_thread(block, by)

        return step

    branches = [graph.step(blocked(by), node_id=f"n{by}") for by in range(BRANCHES)]
    joined = graph.join(reduce_dict_update, initial_factory=dict)
    graph.add(
        graph.edge_from(graph.start_node).to(*branches),
        graph.edge_from(*branches).to(joined),
        graph.edge_from(joined).to(graph.end_node),
    )
    built = graph.build()
    return Job(call=built.run, result=lambda found: [found[f"x{by}"] for by in range(BRANCHES)])


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def mapped(body: Callable[[int], Any], at_once: int) -> Graph[None, None, Any, Any]:
    """All items at once and results as they come: the limit and the order are by hand."""
    graph = builder()
    gate = asyncio.Semaphore(at_once)

    async def numbered(ctx: Context) -> Any:
        return enumerate(ctx.inputs)

    async def one(ctx: Context) -> Any:
        place, x = ctx.inputs
        async with gate:
            given = body(x)
            return place, (given if isinstance(given, dict) else await given)["y"]

    async def in_order(ctx: Context) -> Any:
        return [y for _, y in sorted(ctx.inputs)]

    source, each, result = (graph.step(step, node_id=step.__name__) for step in (numbered, one, in_order))
    joined = graph.join(reduce_list_append, initial_factory=list)
    graph.add(
        graph.edge_from(graph.start_node).to(source),
        graph.edge_from(source).map().to(each),
        graph.edge_from(each).to(joined),
        graph.edge_from(joined).to(result),
        graph.edge_from(result).to(graph.end_node),
    )
    return graph.build()


def map_cheap() -> Job:
    graph = mapped(double, CHEAP_AT_ONCE)
    return Job(call=lambda: graph.run(inputs=CHEAP_XS))


def map_waiting() -> Job:
    graph = mapped(wait_and_double, WAITING_AT_ONCE)
    return Job(call=lambda: graph.run(inputs=WAITING_XS))


def million() -> Job:
    graph = mapped(double, MILLION_AT_ONCE)
    return Job(call=lambda count: graph.run(inputs=range(count)))


BY_HAND = "no limit, and results in the order in which items finish: a semaphore and sorting by hand"
JOBS: Jobs = {
    "chain-sync": lambda: chain(one_more),
    "chain-async": lambda: chain(one_more_awaited),
    "chain-cold": lambda: chain(one_more),
    "fan-sync": lambda: fanned(scaled),
    "fan-suspending": lambda: fanned(scaled_suspending),
    "layers": layers,
    "nested": nested,
    "map-cheap": map_cheap,
    "map-waiting": map_waiting,
    "map-million": million,
    "runs-at-once": runs_at_once,
    "blocking": blocking,
    **long_chains(
        lambda length: written(one_more, length),
        lambda graph: graph.run(inputs=0),
        compiled=lambda graph: graph.build(),
    ),
}
CANNOT: dict[str, str] = {}
NOTES = {
    "nested": "a step that runs the inner graph",
    "map-cheap": BY_HAND,
    "map-waiting": BY_HAND,
    "map-million": BY_HAND,
    "blocking": "threads by hand (`asyncio.to_thread`)",
}
