"""Hush, with the graphs of the project's own rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks._llm import ASKED, ASKED_AT_ONCE, where
from benchmarks._race import Race
from benchmarks._rates import RATED, Starts
from benchmarks._streams import Store
from benchmarks._work import BRANCHES, CHEAP, CHEAP_AT_ONCE, MILLION_AT_ONCE, RUNS, add_one, block, double
from benchmarks.peers import _rows
from benchmarks.peers._job import Job, Jobs, long_chains
from benchmarks.rows_engine import five_nodes
from benchmarks.rows_graphs import CHAIN_ASYNC, CHAIN_SYNC, FAN_SUSPENDING, FAN_SYNC, LAYERED, NESTED, chain
from benchmarks.rows_llm import asking, hub
from benchmarks.rows_maps import MAP_CHEAP, MAP_WAITING, mapped
from benchmarks.rows_streams import WAITING_STREAMS, storing
from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush, Limit
from hush.observability import LocalTracer


def race(row: Race, result: Callable[[Any], Any]) -> Callable[[], Job]:
    """What the row of the project's own table does."""

    def make() -> Job:
        engine = Hush(row.graph())
        return Job(call=lambda: engine.run(inputs=row.inputs), result=result)

    return make


def runs_at_once() -> Job:
    engine = Hush(five_nodes())

    async def call() -> list[Any]:
        return await asyncio.gather(*[engine.run(inputs={"x": x}) for x in range(RUNS)])

    return Job(call=call, result=lambda found: [each["total"] for each in found])


def blocking() -> Job:
    with GraphNode(name="blocking") as graph:
        branches = [CodeNode(name=f"n{by}", code_fn=block, inputs={"by": by}) for by in range(BRANCHES)]
        START >> branches >> END
        for by, branch in enumerate(branches):
            branch[f"x{by}"] >> PARENT[f"x{by}"]
    engine = Hush(graph)
    return Job(call=engine.run, result=lambda found: [found[f"x{by}"] for by in range(BRANCHES)])


def million() -> Job:
    engine = Hush(mapped(double, MILLION_AT_ONCE))
    return Job(call=lambda count: engine.run(inputs={"xs": range(count)}), result=lambda found: found["y"])


def streams() -> Job:
    store = Store()
    run = storing(store)
    return Job(call=lambda: run(range(CHEAP)), result=lambda _: store.result())


def rated() -> Job:
    # A limit of its own each time: one that goes on would still count the starts of the call before.
    async def call() -> list[int]:
        graph = mapped(Starts().double, CHEAP_AT_ONCE, limit=Limit(per_second=_rows.RATE))
        return (await Hush(graph).run(inputs={"xs": RATED[_rows.RATE]}))["y"]

    return Job(call=call)


def traced() -> Job:
    """To SQLite; the thread that writes works while the next run does, as it would for anybody."""
    tracer = LocalTracer(Path(mkdtemp()) / "traces.db")
    engine = Hush(CHAIN_SYNC.graph())
    return Job(call=lambda: engine.run(inputs=CHAIN_SYNC.inputs, tracer=tracer), result=lambda found: found["x"])


async def run_chain(engine: Hush) -> int:
    return (await engine.run(inputs={"x": 0}))["x"]


def asked() -> Job:
    engine = Hush(asking(), resources=hub(where(), limits={"concurrency": ASKED_AT_ONCE}))
    return Job(call=lambda: engine.run(inputs={"questions": ASKED}), result=lambda found: found["answers"])


JOBS: Jobs = {
    "llm": asked,
    "chain-sync": race(CHAIN_SYNC, lambda found: found["x"]),
    "chain-traced": traced,
    "chain-async": race(CHAIN_ASYNC, lambda found: found["x"]),
    "chain-cold": race(CHAIN_SYNC, lambda found: found["x"]),
    "fan-sync": race(FAN_SYNC, lambda found: found["total"]),
    "fan-suspending": race(FAN_SUSPENDING, lambda found: found["total"]),
    "layers": race(LAYERED, lambda found: list(found.values())),
    "nested": race(NESTED, lambda found: found["x"]),
    "map-cheap": race(MAP_CHEAP, lambda found: found["y"]),
    "map-waiting": race(MAP_WAITING, lambda found: found["y"]),
    "map-million": million,
    "streams": streams,
    "streams-waiting": race(WAITING_STREAMS, lambda found: found["y"]),
    "rate": rated,
    "runs-at-once": runs_at_once,
    "blocking": blocking,
    **long_chains(lambda length: chain(add_one, length), run_chain, compiled=Hush),
}
CANNOT: dict[str, str] = {}
NOTES = {"rate": "in bursts, as many a second as may start"}
