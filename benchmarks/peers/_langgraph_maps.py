"""langgraph's maps: items sent to a node, and beside it what its own foundation does without a graph."""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from typing import Annotated, Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from benchmarks._work import (
    CHEAP_AT_ONCE,
    CHEAP_XS,
    MILLION_AT_ONCE,
    WAITING_AT_ONCE,
    WAITING_XS,
    double,
    wait_and_double,
)
from benchmarks.peers._job import Job, Jobs, Make


class Mapped(TypedDict):
    xs: list[int]
    ys: Annotated[list[int], add]


def bodied(body: Callable[[int], Any]) -> Callable[[int], Any]:
    async def one(x: int) -> Any:
        given = body(x)
        return (given if isinstance(given, dict) else await given)["y"]

    return one


def sent(body: Callable[[int], Any], at_once: int) -> Callable[[Any], Any]:
    """A map as its guide shows it: a conditional edge that sends each item to the node."""
    of_one = bodied(body)

    async def one(x: Any) -> Any:
        return {"ys": [await of_one(x)]}

    graph = StateGraph(Mapped)
    graph.add_node("one", one)
    graph.add_conditional_edges(START, lambda state: [Send("one", x) for x in state["xs"]], ["one"])
    graph.add_edge("one", END)
    built = graph.compile()
    return lambda xs: built.ainvoke({"xs": xs}, config={"max_concurrency": at_once})


def batched(body: Callable[[int], Any], at_once: int) -> Callable[[Any], Any]:
    runnable = RunnableLambda(bodied(body))
    return lambda xs: runnable.abatch(list(xs), config={"max_concurrency": at_once})


def over(way: Callable[..., Any], body: Callable[[int], Any], at_once: int, xs: list[int]) -> Make:
    def make() -> Job:
        run = way(body, at_once)
        return Job(call=lambda: run(xs), result=lambda found: found["ys"] if isinstance(found, dict) else found)

    return make


def million(way: Callable[..., Any]) -> Make:
    def make() -> Job:
        run = way(double, MILLION_AT_ONCE)
        return Job(
            call=lambda count: run(range(count)),
            result=lambda found: found["ys"] if isinstance(found, dict) else found,
        )

    return make


WAYS = {"Send": sent, "RunnableLambda.abatch, no graph": batched}
MAPS: Jobs = {
    "map-cheap": {label: over(way, double, CHEAP_AT_ONCE, CHEAP_XS) for label, way in WAYS.items()},
    "map-waiting": {label: over(way, wait_and_double, WAITING_AT_ONCE, WAITING_XS) for label, way in WAYS.items()},
    "map-million": {label: million(way) for label, way in WAYS.items()},
}
