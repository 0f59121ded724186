"""haystack: components in a pipeline; ``run`` for sync components, ``run_async`` where there is something to await.

Its inputs are read from annotations, which therefore are not postponed here.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Pipeline, SuperComponent, component
from haystack.core.component.types import Variadic

from benchmarks._work import (
    ARMS,
    BRANCHES,
    LAYERS,
    LEVELS,
    LONG,
    RUNS,
    WIDTH,
    add_one,
    add_one_async,
    add_up,
    block,
    mix,
    scale,
    scale_and_suspend,
)
from benchmarks.peers._job import Job, Jobs, long_chains

# ── Components ───────────────────────────────────────────────────────────────────────────────────────────────────────
# A component must have `run`; one that has `run_async` too is not sent to a thread by `Pipeline.run_async`.


@component
class AddOne:
    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, Any]:
        return add_one(x)


@component
class AddOneAsync:
    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, Any]:
        return add_one(x)

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, Any]:
        return await add_one_async(x)


@component
class Scale:
    def __init__(self, by: int) -> None:
        self.by = by

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, Any]:
        return scale(x, self.by)


@component
class ScaleAndSuspend:
    def __init__(self, by: int) -> None:
        self.by = by

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, Any]:
        return scale(x, self.by)

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, Any]:
        return await scale_and_suspend(x, self.by)


@component
class ScaleAsync:
    def __init__(self, by: int) -> None:
        self.by = by

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, Any]:
        return scale(x, self.by)

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, Any]:
        return scale(x, self.by)


@component
class Mix:
    def __init__(self, by: int) -> None:
        self.by = by

    @component.output_types(x=int)
    def run(self, values: Variadic[int]) -> dict[str, Any]:
        return mix(list(values), self.by)


@component
class AddUp:
    @component.output_types(total=int)
    def run(self, values: Variadic[int]) -> dict[str, Any]:
        return add_up(list(values))


@component
class AddUpAsync:
    @component.output_types(total=int)
    def run(self, values: Variadic[int]) -> dict[str, Any]:
        return add_up(list(values))

    @component.output_types(total=int)
    async def run_async(self, values: Variadic[int]) -> dict[str, Any]:
        return add_up(list(values))


@component
class Block:
    def __init__(self, by: int) -> None:
        self.by = by

    @component.output_types(x=int)
    def run(self, go: bool) -> dict[str, Any]:
        return {"x": block(self.by)[f"x{self.by}"]}


# ── Pipelines ────────────────────────────────────────────────────────────────────────────────────────────────────────


def chain(make: Callable[[], Any], length: int = LONG) -> Pipeline:
    pipeline = Pipeline()
    for place in range(length):
        pipeline.add_component(f"n{place}", make())
    for place in range(1, length):
        pipeline.connect(f"n{place - 1}.x", f"n{place}.x")
    return pipeline


def chain_sync() -> Job:
    pipeline = chain(AddOne)
    return Job(call=lambda: pipeline.run({"n0": {"x": 0}}), result=lambda found: found[f"n{LONG - 1}"]["x"])


def chain_async() -> Job:
    pipeline = chain(AddOneAsync)
    return Job(call=lambda: pipeline.run_async({"n0": {"x": 0}}), result=lambda found: found[f"n{LONG - 1}"]["x"])


def fan(first: Any, arms: list[Any], join: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("first", first)
    pipeline.add_component("join", join)
    for place, arm in enumerate(arms):
        pipeline.add_component(f"n{place}", arm)
        pipeline.connect("first.x", f"n{place}.x")
        pipeline.connect(f"n{place}.x", "join.values")
    return pipeline


def fan_sync() -> Job:
    pipeline = fan(AddOne(), [Scale(by) for by in range(LONG)], AddUp())
    return Job(call=lambda: pipeline.run({"first": {"x": 1}}), result=lambda found: found["join"]["total"])


def fan_suspending() -> Job:
    pipeline = fan(AddOneAsync(), [ScaleAndSuspend(by) for by in range(LONG)], AddUpAsync())
    return Job(
        call=lambda: pipeline.run_async({"first": {"x": 1}}, concurrency_limit=LONG),
        result=lambda found: found["join"]["total"],
    )


def layers() -> Job:
    pipeline = Pipeline()
    for by in range(WIDTH):
        pipeline.add_component(f"n0_{by}", Scale(by))
    for layer in range(1, LAYERS):
        for by in range(WIDTH):
            pipeline.add_component(f"n{layer}_{by}", Mix(by))
            for above in range(WIDTH):
                pipeline.connect(f"n{layer - 1}_{above}.x", f"n{layer}_{by}.values")
    given = {f"n0_{by}": {"x": 1} for by in range(WIDTH)}
    return Job(
        call=lambda: pipeline.run(given),
        result=lambda found: [found[f"n{LAYERS - 1}_{by}"]["x"] for by in range(WIDTH)],
    )


def nested() -> Job:
    pipeline = chain(AddOne, 1)
    for _ in range(LEVELS):
        inner = SuperComponent(pipeline=pipeline, input_mapping={"x": ["n0.x"]}, output_mapping={"n0.x": "x"})
        pipeline = Pipeline()
        pipeline.add_component("n0", inner)
    return Job(call=lambda: pipeline.run({"n0": {"x": 0}}), result=lambda found: found["n0"]["x"])


def runs_at_once() -> Job:
    pipeline = fan(AddOneAsync(), [ScaleAsync(by) for by in ARMS], AddUpAsync())

    async def call() -> list[Any]:
        return await asyncio.gather(*[pipeline.run_async({"first": {"x": x}}) for x in range(RUNS)])

    return Job(call=call, result=lambda found: [each["join"]["total"] for each in found])


def blocking() -> Job:
    pipeline = Pipeline()
    for by in range(BRANCHES):
        pipeline.add_component(f"n{by}", Block(by))
    given = {f"n{by}": {"go": True} for by in range(BRANCHES)}
    return Job(
        call=lambda: pipeline.run_async(given),
        result=lambda found: [found[f"n{by}"]["x"] for by in range(BRANCHES)],
    )


def run_chain(pipeline: Pipeline) -> int:
    (last,) = pipeline.run({"n0": {"x": 0}}).values()
    return last["x"]


JOBS: Jobs = {
    "chain-sync": chain_sync,
    "chain-async": chain_async,
    "chain-cold": chain_sync,
    "fan-sync": fan_sync,
    "fan-suspending": fan_suspending,
    "layers": layers,
    "nested": nested,
    "runs-at-once": runs_at_once,
    "blocking": blocking,
    **long_chains(lambda length: chain(AddOne, length), run_chain, count=lambda pipeline: len(pipeline.graph.nodes)),
}
MAPS = ("map-cheap", "map-waiting", "streams", "streams-waiting", "map-million", "map-million-mb")
CANNOT = {"compile": "–", **dict.fromkeys(MAPS, "no map")}
NOTES = {"write-many": "written, not run"}
