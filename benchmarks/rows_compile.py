"""From a written graph to an engine: ``Hush(graph)``, and whether its cost grows with the number of nodes only."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort, compare, must_agree
from benchmarks._row import AtMost, Line, Row, Times
from benchmarks._work import MANY, NODES, add_one
from benchmarks.rows_graphs import chain
from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush

LINEAR = 1.5  # a node of the long chain may cost so many times one of the short chain: caches, not order of growth


def chain_of_lambdas(first: int) -> GraphNode:
    """A chain that adds ``first``, ``first + 1``, ...: each node has a function, and a code object, of its own."""
    steps = eval(f"[{', '.join(map(_adding, range(first, first + NODES)))}]")
    with GraphNode(name="lambdas") as graph:
        last = CodeNode(name="n0", code_fn=steps[0], inputs={"x": PARENT["x"]})
        START >> last
        for place, step in enumerate(steps[1:], 1):
            node = CodeNode(name=f"n{place}", code_fn=step, inputs={"x": last["x"]})
            last >> node
            last = node
        last >> END
        last["x"] >> PARENT["x"]
    return graph


def _adding(number: int) -> str:
    return f'lambda x: {{"x": x + {number}}}'


def run_once(graph: GraphNode) -> dict[str, Any]:
    """The outputs for ``x=0``."""
    return dict(asyncio.run(Hush(graph).run(inputs={"x": 0})))


@dataclass(frozen=True)
class Compiled:
    """Graphs of different sizes and functions, turn by turn."""

    name: str = "compile"
    work: str = "compile"

    def measure(self, effort: Effort) -> list[Line]:
        """Compiling, and beside it writing the graph, which has no goal."""
        must_agree({"one": run_once(chain(add_one, NODES)), "by hand": {"x": NODES}})
        must_agree({"lambdas": run_once(chain_of_lambdas(0)), "by hand": {"x": sum(range(NODES))}})
        written: list[float] = []
        taken: dict[str, list[float]] = {"one": [], "lambdas": [], "many": []}
        unused = count(NODES, NODES)  # lambdas with numbers that were there before would be equal, and might be known
        makers = {
            "one": lambda: chain(add_one, NODES),
            "lambdas": lambda: chain_of_lambdas(next(unused)),
            "many": lambda: chain(add_one, MANY),
        }
        for _ in range(effort.processes):
            for label, make in makers.items():
                writing_s, compiling_s = _write_and_compile(make)
                taken[label].append(compiling_s * 1000)
                if label == "one":
                    written.append(writing_s * 1000)
        one, lambdas, many = (median(taken[label]) for label in ("one", "lambdas", "many"))
        return [
            Line(work=f"compile {NODES:,} nodes of one function", unit="ms", goal=AtMost(10.0), hush=one),
            Line(work=f"compile {NODES:,} nodes, each a lambda", unit="ms", goal=AtMost(60.0), hush=lambdas),
            _growth(f"compile a chain of {MANY:,}", many * 1000 / MANY, one * 1000 / NODES),
            Line(work=f"write {NODES:,} nodes: `CodeNode(...)`, `>>`", unit="ms", hush=median(written)),
        ]


def _write_and_compile(make: Callable[[], GraphNode]) -> tuple[float, float]:
    gc.collect()
    begun = perf_counter()
    graph = make()
    written = perf_counter()
    gc.collect()
    restarted = perf_counter()
    Hush(graph)
    return written - begun, perf_counter() - restarted


@dataclass(frozen=True)
class LongChain:
    """That a chain of 10,000 runs, and what a node of it costs."""

    name: str = "long-chain"
    work: str = f"run a chain of {MANY:,}"

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        seconds = asyncio.run(self._seconds(effort))
        return [_growth(self.work, seconds["many"] * 1e6 / MANY, seconds["one"] * 1e6 / NODES)]

    async def _seconds(self, effort: Effort) -> dict[str, float]:
        short, long = Hush(chain(add_one, NODES)), Hush(chain(add_one, MANY))
        must_agree({"hush": dict(await long.run(inputs={"x": 0})), "by hand": {"x": MANY}})

        # Each starts where it must to end at the same number.
        return await compare(
            {
                "one": lambda: short.run(inputs={"x": MANY - NODES}),
                "many": lambda: long.run(inputs={"x": 0}),
            },
            effort,
        )


def _growth(work: str, many: float, one: float) -> Line:
    label = f"hush, chain of {NODES:,}"
    return Line(work=work, unit="µs a node", goal=Times(LINEAR, label), hush=many, hands={label: one})


ROWS: tuple[Row, ...] = (Compiled(), LongChain())
