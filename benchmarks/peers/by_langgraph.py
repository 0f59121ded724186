"""langgraph: state graphs, with ``invoke`` for sync nodes and ``ainvoke`` for async ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from operator import add
from typing import Annotated, Any

os.environ["LANGSMITH_TRACING"] = "false"

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from benchmarks._llm import ASKED, ASKED_AT_ONCE, MODEL, where
from benchmarks._work import (
    ARMS,
    BRANCHES,
    LAYERS,
    LEVELS,
    LONG,
    MANY,
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
from benchmarks.peers._job import Job, Jobs, Make, long_chains
from benchmarks.peers._langgraph_maps import MAPS

Step = Callable[[Any], Any]


# ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class One(TypedDict):
    x: int


def one_more(state: One) -> Any:
    return add_one(state["x"])


async def one_more_async(state: One) -> Any:
    return add_one(state["x"])


async def one_more_awaited(state: One) -> Any:
    return await add_one_async(state["x"])


def written(step: Any, length: int) -> StateGraph[Any]:
    graph = StateGraph(One)
    graph.add_sequence([(f"n{place}", step) for place in range(length)])
    graph.add_edge(START, "n0")
    graph.add_edge(f"n{length - 1}", END)
    return graph


def chain() -> Job:
    graph = written(one_more, LONG).compile()
    return Job(call=lambda: graph.invoke({"x": 0}), result=lambda found: found["x"])


def chain_kept() -> Job:
    """With its checkpointer in memory, each run a thread of its own, as a service would."""
    graph = written(one_more, LONG).compile(checkpointer=InMemorySaver())
    runs = count()

    def call() -> Any:
        thread = {"thread_id": str(next(runs))}
        return graph.invoke({"x": 0}, {"configurable": thread, "recursion_limit": 2 * LONG})

    return Job(call=call, result=lambda found: found["x"])


def chain_async() -> Job:
    graph = written(one_more_awaited, LONG).compile()
    return Job(call=lambda: graph.ainvoke({"x": 0}), result=lambda found: found["x"])


# ── Fans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Fan(TypedDict):
    x: int
    values: Annotated[list[int], add]
    total: int


def total(state: Fan) -> Any:
    return add_up(state["values"])


async def total_async(state: Fan) -> Any:
    return add_up(state["values"])


def scaled(by: int) -> Step:
    return lambda state: {"values": [scale(state["x"], by)["x"]]}


def scaled_async(by: int) -> Step:
    async def step(state: Fan) -> Any:
        return {"values": [scale(state["x"], by)["x"]]}

    return step


def scaled_suspending(by: int) -> Step:
    async def step(state: Fan) -> Any:
        return {"values": [(await scale_and_suspend(state["x"], by))["x"]]}

    return step


def fan(first: Any, arm: Callable[[int], Step], join: Any, places: Any) -> Any:
    graph = StateGraph(Fan)
    graph.add_node("first", first)
    graph.add_node("join", join)
    graph.add_edge(START, "first")
    for by in places:
        graph.add_node(f"n{by}", arm(by))
        graph.add_edge("first", f"n{by}")
    graph.add_edge([f"n{by}" for by in places], "join")
    graph.add_edge("join", END)
    return graph.compile()


def fan_sync() -> Job:
    graph = fan(one_more, scaled, total, range(LONG))
    return Job(call=lambda: graph.invoke({"x": 1}), result=lambda found: found["total"])


def fan_async(arm: Callable[[int], Step]) -> Make:
    def make() -> Job:
        graph = fan(one_more_async, arm, total_async, range(LONG))
        return Job(call=lambda: graph.ainvoke({"x": 1}), result=lambda found: found["total"])

    return make


def runs_at_once() -> Job:
    graph = fan(one_more_async, scaled_async, total_async, ARMS)

    async def call() -> list[Any]:
        return await asyncio.gather(*[graph.ainvoke({"x": x}) for x in range(RUNS)])

    return Job(call=call, result=lambda found: [each["total"] for each in found])


def layers() -> Job:
    """Each node has a key of its own; the layers are joined by edges from all of one to each of the next."""
    keys = [f"x{layer}_{by}" for layer in range(LAYERS) for by in range(WIDTH)]
    graph = StateGraph(TypedDict("Layered", {"x": int, **dict.fromkeys(keys, int)}))

    def top(by: int) -> Step:
        async def step(state: Any) -> Any:
            return {f"x0_{by}": scale(state["x"], by)["x"]}

        return step

    def lower(layer: int, by: int) -> Step:
        async def step(state: Any) -> Any:
            values = [state[f"x{layer - 1}_{above}"] for above in range(WIDTH)]
            return {f"x{layer}_{by}": mix(values, by)["x"]}

        return step

    for layer in range(LAYERS):
        for by in range(WIDTH):
            graph.add_node(f"n{layer}_{by}", lower(layer, by) if layer else top(by))
            if layer:
                graph.add_edge([f"n{layer - 1}_{above}" for above in range(WIDTH)], f"n{layer}_{by}")
            else:
                graph.add_edge(START, f"n0_{by}")
    built = graph.compile()
    return Job(
        call=lambda: built.ainvoke({"x": 1}),
        result=lambda found: [found[f"x{LAYERS - 1}_{by}"] for by in range(WIDTH)],
    )


def nested() -> Job:
    inner: Any = one_more
    for _ in range(LEVELS + 1):
        inner = written(inner, 1).compile()
    outer = inner
    return Job(call=lambda: outer.invoke({"x": 0}), result=lambda found: found["x"])


def blocking() -> Job:
    graph = StateGraph(TypedDict("Blocked", dict.fromkeys([f"x{by}" for by in range(BRANCHES)], int)))

    def blocked(by: int) -> Step:
        return lambda _: block(by)

    for by in range(BRANCHES):
        graph.add_node(f"n{by}", blocked(by))
        graph.add_edge(START, f"n{by}")
    built = graph.compile()
    return Job(call=lambda: built.invoke({"x0": -1}), result=lambda found: [found[f"x{by}"] for by in range(BRANCHES)])


def run_chain(graph: Any) -> int:
    return graph.invoke({"x": 0}, config={"recursion_limit": MANY + 10})["x"]


# --- A language model ------------------------------------------------------------------------------------------------


def chat_model() -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=where(), api_key="none", model=MODEL, max_retries=0)


def asked_by_send() -> Job:
    """A conditional edge that sends each question to a node, which asks the model."""
    model = chat_model()

    class Asked(TypedDict):
        questions: list[str]
        answers: Annotated[list[Any], add]

    async def ask(question: Any) -> Any:
        return {"answers": [(await model.ainvoke(question)).content]}

    graph = StateGraph(Asked)
    graph.add_node("ask", ask)
    graph.add_conditional_edges(START, lambda state: [Send("ask", each) for each in state["questions"]], ["ask"])
    graph.add_edge("ask", END)
    built = graph.compile()
    return Job(
        call=lambda: built.ainvoke({"questions": ASKED}, config={"max_concurrency": ASKED_AT_ONCE}),
        result=lambda found: found["answers"],
    )


def asked_by_abatch() -> Job:
    model = chat_model()
    return Job(
        call=lambda: model.abatch(ASKED, config={"max_concurrency": ASKED_AT_ONCE}),
        result=lambda found: [each.content for each in found],
    )


JOBS: Jobs = {
    "llm": {"Send, ChatOpenAI": asked_by_send, "ChatOpenAI.abatch, no graph": asked_by_abatch},
    "chain-sync": chain,
    "chain-traced": chain_kept,
    "chain-async": chain_async,
    "chain-cold": chain,
    "fan-sync": {"invoke": fan_sync, "ainvoke": fan_async(scaled_async)},
    "fan-suspending": fan_async(scaled_suspending),
    "layers": layers,
    "nested": nested,
    "runs-at-once": runs_at_once,
    "blocking": blocking,
    **MAPS,
    **long_chains(
        lambda length: written(one_more, length),
        run_chain,
        compiled=lambda graph: graph.compile(),
        count=lambda graph: len(graph.nodes) - 1,  # the start is one too
    ),
}
CANNOT: dict[str, str] = {}
NOTES = {
    "layers": "`async def` nodes: `invoke` takes a thread for each node, and longer",
    "write-many": "written, not run",
}
