"""Builds and plays what ``kit.guarded`` draws: functions that see who is inside a limit, and count their calls."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from hush.core import PARENT, BranchNode, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry, WhileLoopNode
from hush.core._runtime._admitting import limit_state
from hush.core._runtime._flight import _under_way
from hush.testing import Recorder, run_virtual
from kit.guarded import ROUND, Fan, Fork, Guarded, Leaf, Over, Rounds

RETRY_AFTER_S = 0.7
TIMEOUT_S = 4.0
DELAYS_S = (0.0, 0.0, 0.1, 1.0)
_runs = count()


class Busy(Exception):
    """Says when to come back."""

    retry_after_s = RETRY_AFTER_S


class Wrong(Exception):
    """Would be wrong again."""


ERRORS: dict[str, Any] = {
    "lost": ConnectionError,
    "busy": Busy,
    "late": TimeoutError,
    "wrong": Wrong,
    "cancelled": asyncio.CancelledError,
}


class Play:
    """One run of one graph: what its functions see."""

    def __init__(self, guarded: Guarded, seed: int) -> None:
        self.guarded, self.seed = guarded, seed
        self.salt = f"play {next(_runs)}"
        self.limits = [Limit(one.concurrency, one.per_second, burst=one.burst) for one in guarded.bounds]
        self.leaves: dict[str, Leaf] = {}
        self.calls: Counter[tuple[int, int]] = Counter()
        self.inside: Counter[int] = Counter()
        self.starts: list[list[float]] = [[] for _ in self.limits]
        self.closed: list[tuple[float, float]] = [(0.0, 0.0) for _ in self.limits]
        self.not_before_s: dict[tuple[int, int], float] = {}
        self.problems: list[str] = []
        self.recorder = Recorder()
        self.result: Any = None
        self.ended_s = 0.0
        self.loop: Any = None

    # --- functions ----------------------------------------------------------------------------------------
    def enter(self, leaf: Leaf, x: int) -> None:
        now_s = self.loop.time()
        if leaf.coarse == 1 and now_s < self.not_before_s.get((leaf.number, x), 0.0) - 1e-9:
            self.problems.append(f"{leaf.name} is tried again at {now_s}, earlier than it was told for {x}")
        for at in leaf.limits:
            bound = self.guarded.bounds[at]
            self.inside[at] += 1
            self.starts[at].append(now_s)
            if bound.concurrency is not None and self.inside[at] > bound.concurrency:
                self.problems.append(f"{self.inside[at]} in limit {at} of {bound.concurrency} at {now_s}")
            failed_s, until_s = self.closed[at]
            if failed_s < now_s < until_s - 1e-9:
                self.problems.append(f"{leaf.name} starts at {now_s}, limit {at} is closed until {until_s}")

    def leave(self, leaf: Leaf) -> None:
        for at in leaf.limits:
            self.inside[at] -= 1

    def outcome(self, leaf: Leaf, x: int, number: int) -> dict[str, Any]:
        script = leaf.script(x)
        if script.kind == "good" or number > script.failures:
            return {"y": [leaf.number, x], "next": x + ROUND}
        if script.kind == "busy":
            now_s = self.loop.time()
            self.not_before_s[leaf.number, x] = now_s + RETRY_AFTER_S
            for at in leaf.limits:
                self.closed[at] = now_s, max(self.closed[at][1], now_s + RETRY_AFTER_S)
        raise ERRORS[script.kind](leaf.name, number)

    def fn(self, leaf: Leaf) -> Callable[..., Any]:
        def work(x: int, salt: str) -> dict[str, Any]:
            self.calls[leaf.number, x] += 1
            self.enter(leaf, x)
            try:
                return self.outcome(leaf, x, self.calls[leaf.number, x])
            finally:
                self.leave(leaf)

        async def work_async(x: int, salt: str) -> dict[str, Any]:
            self.calls[leaf.number, x] += 1
            number, script = self.calls[leaf.number, x], leaf.script(x)
            self.enter(leaf, x)
            try:
                late = script.kind == "late" and number <= script.failures
                chance = random.Random(f"{self.seed} {leaf.number} {x} {number}")
                await asyncio.sleep(TIMEOUT_S + 5 if late else chance.choice(DELAYS_S))
                return self.outcome(leaf, x, number)
            finally:
                self.leave(leaf)

        return work_async if leaf.is_async else work

    # --- the graph ----------------------------------------------------------------------------------------
    def leaf(self, leaf: Leaf, path: str) -> CodeNode:
        self.leaves[f"{path}/{leaf.name}"] = leaf
        options: dict[str, Any] = {}
        if leaf.attempts is not None:
            options["retry"] = Retry(
                leaf.attempts, backoff_s=0.5, jitter=leaf.jitter, max_total_s=None, budget=None, on=None
            )
        if leaf.limits:
            options |= {"limit": [self.limits[at] for at in leaf.limits], "priority": leaf.priority}
        if leaf.cached:
            options |= {"cache": "memory", "version": "1"}
        if leaf.timed:
            options["timeout_s"] = TIMEOUT_S
        if leaf.handled == "collect":
            options["on_error"] = "collect"
        x = PARENT["x"] if leaf.coarse == 1 else PARENT["x"].apply(lambda x, by=leaf.coarse: x // by)
        node = CodeNode(
            name=leaf.name, code_fn=self.fn(leaf), inputs={"x": x, "salt": f"{self.salt} {leaf.number}"}, **options
        )
        if leaf.handled == "named":
            node["error"] >> PARENT[f"{leaf.name}.error"]
        return node

    def written(self, leaf: Leaf, path: str) -> CodeNode:
        node = self.leaf(leaf, path)
        node["y"] >> PARENT[leaf.name]
        return node

    def body(self, body: tuple[Any, ...], path: str) -> None:
        before: list[Any] = []
        for step in body:
            match step:
                case Leaf():
                    first = last = [self.written(step, path)]
                case Fan(leaves):
                    first = last = [self.written(leaf, path) for leaf in leaves]
                case Fork(number, even, odd):
                    inputs = {"x": PARENT["x"]}
                    choose = BranchNode(name=f"b{number}", cases={"x % 2": odd.name}, default=even.name, inputs=inputs)
                    first, last = [choose], [self.written(even, path), self.written(odd, path)]
                case Rounds(number, leaf, rounds):
                    inputs = {"x": PARENT["x"]}
                    with WhileLoopNode(name=f"w{number}", inputs=inputs, max_iterations=rounds) as loop:
                        self.leaf(leaf, f"{path}/w{number}")["next"] >> PARENT["x"]
                    loop["x"] >> PARENT[loop.name]
                    first = last = [loop]
                case Over(number=number, items=items):
                    source = CodeNode(
                        name=f"s{number}",
                        code_fn=lambda x, items=items: {"xs": [10 * x + one for one in range(items)]},
                        inputs={"x": PARENT["x"]},
                    )
                    first, last = [source], [self.over(step, Each(source["xs"]), path)]
                case _:
                    raise AssertionError(step)
            for one in before:
                for other in first:
                    one >> other
            before = last
        CodeNode(name="end", code_fn=lambda x: {"x": x}, inputs={"x": PARENT["x"]})["x"] >> PARENT["out"]

    def over(self, over: Over, source: Any, path: str) -> MapNode:
        name = f"m{over.number}"
        with MapNode(name=name, inputs={"x": source}, max_concurrency=over.width) as made:
            self.body(over.body, f"{path}/{name}")
        for key in keys_of(over.body):
            made[key] >> PARENT[key]
        made["error"] >> PARENT[f"{name}.error"]
        made["out"] >> PARENT[f"{name}.out"]
        return made

    def graph(self) -> GraphNode:
        with GraphNode(name="g") as graph:
            before: Any = None
            for over in self.guarded.maps:
                xs = [100 * over.number + item for item in range(over.items)]
                before = self.over(over, Each(before["out"] if over.streams else xs), "g")
        return graph

    # --- running ------------------------------------------------------------------------------------------
    def run(self) -> None:
        engine = Hush(self.graph())

        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            self.result = await engine.run(tracer=self.recorder, request_id="r")
            self.ended_s = self.loop.time()
            for at, limit in enumerate(self.limits):
                state = limit_state(limit, self.loop)
                if state.in_use or state.waiting:
                    self.problems.append(f"limit {at} is left with {state}")
            if _under_way.get(self.loop):
                self.problems.append(f"calls under way: {_under_way[self.loop]}")

        run_virtual(main, seed=self.seed)

    def trace(self) -> list[Any]:
        """All that was to be seen of the run but real time."""
        told = [
            (type(event).__name__, event.path, event.outer, event.item, getattr(event, "attempt", None))
            for event in self.recorder.events
        ]
        return [told, self.ended_s, self.starts, dict(self.calls), list(map(repr, self.result.errors))]


def keys_of(body: tuple[Any, ...]) -> Iterator[str]:
    """What a body writes besides ``out``."""
    for step in body:
        match step:
            case Leaf():
                yield step.name
            case Fan(leaves):
                yield from (leaf.name for leaf in leaves)
            case Fork(even=even, odd=odd):
                yield from (even.name, odd.name)
            case Rounds(number=number):
                yield f"w{number}"
            case Over(number=number, body=inner):
                yield from (*keys_of(inner), f"m{number}.error", f"m{number}.out")
