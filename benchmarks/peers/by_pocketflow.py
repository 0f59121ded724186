"""pocketflow: nodes with ``prep``, ``exec`` and ``post`` over a shared dict.

A node is followed by one other: side by side run only the items of a batch node, or one flow once for each of several
parameters. So the arms of a fan are runs of one node, each with its own ``by``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from pocketflow import (
    AsyncFlow,
    AsyncNode,
    AsyncParallelBatchFlow,
    AsyncParallelBatchNode,
    BatchFlow,
    BatchNode,
    Flow,
    Node,
)

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
from benchmarks.peers._job import Job, Jobs, Make, long_chains

Shared = dict[str, Any]

# ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class AddOne(Node):
    def prep(self, shared: Shared) -> int:
        return shared["x"]

    def exec(self, x: int) -> Any:
        return add_one(x)["x"]

    def post(self, shared: Shared, _: Any, x: int) -> None:
        shared["x"] = x


class AddOneAsync(AsyncNode):
    async def prep_async(self, shared: Shared) -> int:
        return shared["x"]

    async def exec_async(self, x: int) -> Any:
        return (await add_one_async(x))["x"]

    async def post_async(self, shared: Shared, _: Any, x: int) -> None:
        shared["x"] = x


class Scale(Node):
    def prep(self, shared: Shared) -> int:
        return shared["x"]

    def exec(self, x: int) -> Any:
        return scale(x, self.params["by"])["x"]

    def post(self, shared: Shared, _: Any, x: int) -> None:
        shared["values"].append(x)


class ScaleAndSuspend(AsyncNode):
    async def prep_async(self, shared: Shared) -> int:
        return shared["x"]

    async def exec_async(self, x: int) -> Any:
        return (await scale_and_suspend(x, self.params["by"]))["x"]

    async def post_async(self, shared: Shared, _: Any, x: int) -> None:
        shared["values"].append(x)


class Mix(Scale):
    def prep(self, shared: Shared) -> list[int]:
        return shared["above"]

    def exec(self, values: list[int]) -> Any:
        return mix(values, self.params["by"])["x"]


class AddUp(Node):
    def prep(self, shared: Shared) -> list[int]:
        return shared["values"]

    def exec(self, values: list[int]) -> Any:
        return add_up(values)["total"]

    def post(self, shared: Shared, _: Any, total: int) -> None:
        shared["total"] = total


# ── Several at a time ────────────────────────────────────────────────────────────────────────────────────────────────


class Arms(BatchFlow):
    def __init__(self, start: Node, places: Iterable[int]) -> None:
        super().__init__(start)
        self.places = [{"by": by} for by in places]

    def prep(self, shared: Shared) -> list[Shared]:
        shared["above"] = shared.get("values")
        shared["values"] = []
        return self.places


class ArmsAtOnce(AsyncParallelBatchFlow):
    def __init__(self, start: AsyncNode, places: Iterable[int]) -> None:
        super().__init__(start)
        self.places = [{"by": by} for by in places]

    async def prep_async(self, shared: Shared) -> list[Shared]:
        shared["values"] = []
        return self.places


class Each(AsyncParallelBatchNode):
    """A map; pocketflow starts all its items at once, and its guide says to bring a semaphore."""

    def __init__(self, body: Any, at_once: int) -> None:
        super().__init__()
        self.body = body
        self.gate = asyncio.Semaphore(at_once)

    async def prep_async(self, shared: Shared) -> Any:
        return shared["xs"]

    async def exec_async(self, x: int) -> Any:
        async with self.gate:
            given = self.body(x)
            return (given if isinstance(given, dict) else await given)["y"]

    async def post_async(self, shared: Shared, _: Any, ys: list[int]) -> None:
        shared["ys"] = ys


class OneByOne(BatchNode):
    def prep(self, shared: Shared) -> Any:
        return shared["xs"]

    def exec(self, x: int) -> Any:
        return double(x)["y"]

    def post(self, shared: Shared, _: Any, ys: list[int]) -> None:
        shared["ys"] = ys


class Blocking(AsyncParallelBatchNode):
    async def prep_async(self, shared: Shared) -> Any:
        return range(BRANCHES)

    async def exec_async(self, by: int) -> Any:
        return (await asyncio.to_thread(block, by))[f"x{by}"]

    async def post_async(self, shared: Shared, _: Any, xs: list[int]) -> None:
        shared["xs"] = xs


# ── Graphs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def linked(nodes: list[Any], flow: type[Flow] = Flow) -> Flow:
    for before, after in pairwise(nodes):
        before >> after
    return flow(start=nodes[0])


def ran(flow: Flow, key: str, **given: Any) -> Job:
    def call() -> Shared:
        shared = dict(given)
        flow.run(shared)
        return shared

    return Job(call=call, result=lambda shared: shared[key])


def awaited(flow: AsyncFlow, key: str, **given: Any) -> Job:
    async def call() -> Shared:
        shared = dict(given)
        await flow.run_async(shared)
        return shared

    return Job(call=call, result=lambda shared: shared[key])


def chain(length: int = LONG) -> Flow:
    return linked([AddOne() for _ in range(length)])


def layers() -> Job:
    rest = [Arms(Mix(), range(WIDTH)) for _ in range(1, LAYERS)]
    return ran(linked([Arms(Scale(), range(WIDTH)), *rest]), "values", x=1)


def nested() -> Job:
    inner: Any = AddOne()
    for _ in range(LEVELS + 1):
        inner = Flow(start=inner)
    return ran(inner, "x", x=0)


def runs_at_once() -> Job:
    flow = linked([AddOne(), Arms(Scale(), ARMS), AddUp()], AsyncFlow)

    async def one(x: int) -> int:
        shared: Shared = {"x": x}
        await flow.run_async(shared)
        return shared["total"]

    async def call() -> list[int]:
        return await asyncio.gather(*[one(x) for x in range(RUNS)])

    return Job(call=call)


def mapped(body: Any, at_once: int, xs: list[int]) -> Make:
    return lambda: awaited(AsyncFlow(start=Each(body, at_once)), "ys", xs=xs)


def million() -> Job:
    flow = AsyncFlow(start=Each(double, MILLION_AT_ONCE))

    async def call(count: int) -> list[int]:
        shared: Shared = {"xs": range(count)}
        await flow.run_async(shared)
        return shared["ys"]

    return Job(call=call)


def million_one_by_one() -> Job:
    def call(count: int) -> list[int]:
        shared: Shared = {"xs": range(count)}
        Flow(start=OneByOne()).run(shared)
        return shared["ys"]

    return Job(call=call)


def run_chain(flow: Flow) -> int:
    return ran(flow, "x", x=0).call()["x"]


BY_HAND = "no limit of its own: a semaphore by hand"
JOBS: Jobs = {
    "chain-sync": lambda: ran(chain(), "x", x=0),
    "chain-async": lambda: awaited(linked([AddOneAsync() for _ in range(LONG)], AsyncFlow), "x", x=0),
    "chain-cold": lambda: ran(chain(), "x", x=0),
    "fan-sync": lambda: ran(linked([AddOne(), Arms(Scale(), range(LONG)), AddUp()]), "total", x=1),
    "fan-suspending": lambda: awaited(
        linked([AddOne(), ArmsAtOnce(ScaleAndSuspend(), range(LONG)), AddUp()], AsyncFlow), "total", x=1
    ),
    "layers": layers,
    "nested": nested,
    "map-cheap": {
        "AsyncParallelBatchNode": mapped(double, CHEAP_AT_ONCE, CHEAP_XS),
        "BatchNode, one at a time": lambda: ran(Flow(start=OneByOne()), "ys", xs=CHEAP_XS),
    },
    "map-waiting": mapped(wait_and_double, WAITING_AT_ONCE, WAITING_XS),
    "map-million": {"AsyncParallelBatchNode": million, "BatchNode, one at a time": million_one_by_one},
    "runs-at-once": runs_at_once,
    "blocking": lambda: awaited(AsyncFlow(start=Blocking()), "xs"),
    **long_chains(chain, run_chain),
}
CANNOT = {"compile": "–"}
ARE_RUNS = "no fan: the arms are runs of one node with parameters, one after the other (`BatchFlow`)"
NOTES = {
    **dict.fromkeys(("fan-sync", "layers", "runs-at-once"), ARE_RUNS),
    "fan-suspending": "no fan: the arms are runs of one node with parameters (`AsyncParallelBatchFlow`)",
    **dict.fromkeys(("map-cheap", "map-waiting", "map-million"), BY_HAND),
    "blocking": "threads by hand (`asyncio.to_thread`)",
}
