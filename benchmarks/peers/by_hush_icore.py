"""hush-icore, the original Hush. Its package is called ``hush`` too, and this runs where only that one is installed."""

from __future__ import annotations

import asyncio
from tempfile import mkdtemp
from typing import Any

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
from hush.core import END, LOGGER, PARENT, START, FuncOp, GraphOp, Hush, op
from hush.core.tracing import LocalTracer

LOGGER.setLevel("CRITICAL")  # else it writes lines for every run

# ── Ops ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
# An op's inputs and outputs may not share a name, and its outputs are read from dict literals in the source.


@op
def one_more(x: int):
    return {"y": add_one(x)["x"]}


@op
async def one_more_awaited(x: int):
    return {"y": (await add_one_async(x))["x"]}


@op
def scaled(x: int, by: int):
    return {"y": scale(x, by)["x"]}


@op
async def scaled_suspending(x: int, by: int):
    return {"y": (await scale_and_suspend(x, by))["x"]}


@op(bound="cpu")
def blocked(by: int):
    return {"y": block(by)[f"x{by}"]}


@op
def numbers(xs: Any):
    for x in xs:
        yield {"item": x}


@op
def doubled(x: int):
    return {"y": double(x)["y"]}


@op
async def doubled_waiting(x: int):
    return {"y": (await wait_and_double(x))["y"]}


def total(**values: int) -> dict[str, int]:
    return add_up(list(values.values()))


def mixed(by: int, **values: int) -> dict[str, int]:
    return {"y": mix(list(values.values()), by)["x"]}


def reading(name: str, function: Any, key: str, ops: list[Any], **fixed: Any) -> FuncOp:
    """An op that reads one key of many others: there are no lists of references."""
    values = {f"v{place}": each["y"] for place, each in enumerate(ops)}
    return FuncOp(name=name, code_fn=function, return_keys=[key], inputs={**fixed, **values})


# ── Graphs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def chain(step: Any, length: int = LONG) -> GraphOp:
    with GraphOp(name="chain") as graph:
        last = step(name="n0", x=PARENT["x"])
        START >> last
        for place in range(1, length):
            node = step(name=f"n{place}", x=last["y"])
            last >> node
            last = node
        last >> END
        last["y"] >> PARENT["y"]
    return graph


def fan(arm: Any, places: Any) -> GraphOp:
    with GraphOp(name="fan", concurrency=LONG) as graph:
        first = one_more(name="first", x=PARENT["x"])
        arms = [arm(name=f"n{by}", x=first["y"], by=by) for by in places]
        join = reading("join", total, "total", arms)
        START >> first >> arms >> join >> END
        join["total"] >> PARENT["y"]
    return graph


def layered() -> GraphOp:
    with GraphOp(name="layers") as graph:
        above = [scaled(name=f"n0_{by}", x=PARENT["x"], by=by) for by in range(WIDTH)]
        for each in above:
            START >> each
        for layer in range(1, LAYERS):
            nodes = [reading(f"n{layer}_{by}", mixed, "y", above, by=by) for by in range(WIDTH)]
            for each in above:
                each >> nodes
            above = nodes
        for by, each in enumerate(above):
            each >> END
            each["y"] >> PARENT[f"y{by}"]
    return graph


def nest(level: int = 0) -> GraphOp:
    given = {} if level == 0 else {"inputs": {"x": PARENT["x"]}}
    with GraphOp(name=f"level{level}", **given) as graph:
        inner: Any = one_more(name="leaf", x=PARENT["x"]) if level == LEVELS else nest(level + 1)
        START >> inner >> END
        inner["y"] >> PARENT["y"]
    return graph


def mapped(body: Any, at_once: int) -> GraphOp:
    """A generator streams into the body; what many items give for one output of the graph is a list."""
    with GraphOp(name="mapped", concurrency=at_once) as graph:
        source = numbers(name="source", xs=PARENT["xs"])
        one = body(name="one", x=source["item"].parallel(max=at_once))
        START >> source >> one >> END
        one["y"] >> PARENT["y"]
    return graph


# ── Jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ran(graph: GraphOp, **given: Any) -> Job:
    engine = Hush(graph)
    return Job(call=lambda: engine.run(inputs=given), result=lambda found: found["y"])


def traced() -> Job:
    """Its own local tracer: a file of JSON for each run."""
    engine, tracer = Hush(chain(one_more)), LocalTracer(path=mkdtemp())
    return Job(call=lambda: engine.run(inputs={"x": 0}, tracer=tracer), result=lambda found: found["y"])


def layers() -> Job:
    engine = Hush(layered())
    return Job(
        call=lambda: engine.run(inputs={"x": 1}),
        result=lambda found: [found[f"y{by}"] for by in range(WIDTH)],
    )


def runs_at_once() -> Job:
    engine = Hush(fan(scaled, ARMS))

    async def call() -> list[Any]:
        return await asyncio.gather(*[engine.run(inputs={"x": x}) for x in range(RUNS)])

    return Job(call=call, result=lambda found: [each["y"] for each in found])


def blocking() -> Job:
    with GraphOp(name="blocking") as graph:
        branches = [blocked(name=f"n{by}", by=by) for by in range(BRANCHES)]
        START >> branches >> END
        for by, branch in enumerate(branches):
            branch["y"] >> PARENT[f"y{by}"]
    engine = Hush(graph)
    return Job(call=lambda: engine.run(inputs={}), result=lambda found: [found[f"y{by}"] for by in range(BRANCHES)])


def batched(body: Any, at_once: int, xs: list[int]) -> Make:
    """A run for each item."""

    def make() -> Job:
        with GraphOp(name="one") as graph:
            one = body(name="one", x=PARENT["x"])
            START >> one >> END
            one["y"] >> PARENT["y"]
        engine = Hush(graph)
        return Job(
            call=lambda: engine.batch([{"x": x} for x in xs], concurrency=at_once),
            result=lambda found: [each["y"] for each in found],
        )

    return make


def million() -> Job:
    engine = Hush(mapped(doubled, MILLION_AT_ONCE))
    return Job(call=lambda count: engine.run(inputs={"xs": range(count)}), result=lambda found: found["y"])


async def run_chain(engine: Hush) -> int:
    return (await engine.run(inputs={"x": 0}))["y"]


JOBS: Jobs = {
    "chain-sync": lambda: ran(chain(one_more), x=0),
    "chain-traced": traced,
    "chain-async": lambda: ran(chain(one_more_awaited), x=0),
    "chain-cold": lambda: ran(chain(one_more), x=0),
    "fan-sync": lambda: ran(fan(scaled, range(LONG)), x=1),
    "fan-suspending": lambda: ran(fan(scaled_suspending, range(LONG)), x=1),
    "layers": layers,
    "nested": lambda: ran(nest(), x=0),
    "map-cheap": {
        "generator": lambda: ran(mapped(doubled, CHEAP_AT_ONCE), xs=CHEAP_XS),
        "batch": batched(doubled, CHEAP_AT_ONCE, CHEAP_XS),
    },
    "map-waiting": {
        "generator": lambda: ran(mapped(doubled_waiting, WAITING_AT_ONCE), xs=WAITING_XS),
        "batch": batched(doubled_waiting, WAITING_AT_ONCE, WAITING_XS),
    },
    "map-million": {"generator": million},
    "runs-at-once": runs_at_once,
    "blocking": blocking,
    **long_chains(lambda length: chain(one_more, length), run_chain, compiled=Hush),
}
CANNOT: dict[str, str] = {}
AS_THEY_COME = "results in the order in which items finish, without those that failed"
NOTES = {
    **dict.fromkeys(("map-cheap", "map-waiting", "map-million"), AS_THEY_COME),
    "blocking": 'threads asked for (`bound="cpu"`)',
}
