"""Random nestings of everything the engine has, whose nodes do anything they may; for a real loop with real threads."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from hush.core import (
    PARENT,
    Branch,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    MapNode,
    Tolerate,
    WhileLoopNode,
)
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node
from kit.blows import BLOWS, may_be_handled

SECONDS = (0, 0, 0.0005, 0.002)
THROUGH_THE_LOOP = ("KeyboardInterrupt", "SystemExit", "BaseExceptionGroup")
"""What asyncio throws out of the loop as well when a task ends with it, so not for runs in tasks of their own."""


class Nesting:
    """Writes one random graph, and keeps what its nodes did.

    Attributes:
        raised: What was raised, by whomever.
        opened: What is under way or open: calls and sources.
    """

    def __init__(self, seed: object, *, in_task_of_its_own: bool = False) -> None:
        self.rng = random.Random(f"nesting {seed}")
        self.raised: list[BaseException] = []
        self.opened: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._blows = [blow for blow in BLOWS if not (in_task_of_its_own and blow in THROUGH_THE_LOOP)]
        self._failing = self.rng.choice([0, 0.04, 0.12])

    def graph(self) -> Block:
        """The root, of any kind."""
        kind = self.rng.choice(["graph", "graph", "graph", "map", "while"])
        with self._container(kind, {}, root=True) as root:
            self._body(3, kind)
        return root

    def severe(self) -> list[BaseException]:
        """What was raised that nobody may have handled."""
        return [each for each in self.raised if not may_be_handled(each)]

    # ── What nodes do ────────────────────────────────────────────────────────────────────────────────────────────────
    def _open(self, name: str, change: int = 1) -> None:
        with self._lock:
            self.opened[name] += change

    def _raise(self, blow: str) -> None:
        error = BLOWS[blow]()
        self.raised.append(error)
        raise error

    def _plan(self, share: float = 1.0, *, ordinary: bool = False) -> Callable[[], None]:
        """A function that raises one kind of error, or does nothing: it is the same for all calls of a node."""
        if self.rng.random() >= self._failing * share:
            return lambda: None
        blow = self.rng.choice(["Exception", "Exception", *self._blows])
        if ordinary and not may_be_handled(BLOWS[blow]()):
            blow = "ExceptionGroup"
        return lambda: self._raise(blow)

    def _code(self, name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
        rng = self.rng
        kind = rng.choice(["auto", "thread", "inline", "timed", "async", "async", "async", "timed async", "at once"])
        seconds, cleanup_s, clean_up = rng.choice(SECONDS), rng.choice(SECONDS), self._plan(0.5)
        # What a thread raises when its time is over is the context of the timeout, which may be handled.
        end = self._plan(ordinary=kind == "timed")

        def work(x: Any = 0) -> dict[str, Any]:
            self._open(name)
            try:
                time.sleep(seconds)
                end()
                return {"x": 1}
            finally:
                self._open(name, -1)

        async def work_async(x: Any = 0) -> dict[str, Any]:
            self._open(name)
            try:
                try:
                    await asyncio.sleep(seconds)
                    end()
                    return {"x": 1}
                except asyncio.CancelledError:
                    await asyncio.sleep(cleanup_s)
                    clean_up()
                    raise
            finally:
                self._open(name, -1)

        async def at_once(x: Any = 0) -> dict[str, Any]:
            end()
            return {"x": 1}

        if kind in ("auto", "thread", "inline"):
            return work, {"executor": kind}
        if kind == "at once":
            return at_once, {}
        return (work if kind == "timed" else work_async), {"timeout_s": 0.001} if kind.startswith("timed") else {}

    def _rows(self, name: str) -> Callable[[], Any]:
        # Threads pull ahead: what a source raises there is not yet an error of the run when that ends before.
        count, end = self.rng.randrange(6), self._plan(ordinary=True)

        def lines() -> Iterator[int]:
            self._open(name)
            try:
                yield from range(count)
                end()
            finally:
                self._open(name, -1)

        async def rows() -> AsyncIterator[int]:
            self._open(name)
            try:
                for number in range(count):
                    await asyncio.sleep(0)
                    yield number
                end()
            finally:
                self._open(name, -1)

        return self.rng.choice([lambda: [*range(count)], lines, rows])

    # ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _name(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    def _chance(self, share: float, **options: Any) -> dict[str, Any]:
        return options if self.rng.random() < share else {}

    def _leaf(self, inputs: dict[str, Any]) -> Node:
        name = self._name("n")
        fn, policies = self._code(name)
        return CodeNode(name=name, code_fn=fn, inputs=inputs, **policies, **self._chance(0.3, on_error="collect"))

    def _each(self, *, root: bool) -> Each:
        make, pull = self._rows(self._name("rows")), self.rng.choice(["auto", "inline"])
        if root:
            return Each([*range(self.rng.randrange(6))])
        node = CodeNode(name=self._name("make"), code_fn=lambda: {"rows": make()}, inputs={}, executor="inline")
        return Each(node["rows"], pull=pull)

    def _container(self, kind: str, inputs: dict[str, Any], *, root: bool = False) -> Block:
        rng = self.rng
        timed = self._chance(0.15, timeout_s=rng.choice([0.001, 0.004]))
        handled = {} if root else self._chance(0.3, on_error="collect")
        name = self._name(kind)
        if kind == "graph":
            return GraphNode(name=name, inputs=inputs, **timed, **handled)
        if kind == "while":
            check = self._plan()
            rounds = rng.randrange(4)

            def stop(x: Any) -> bool:
                check()
                return False

            inputs = {"x": inputs.get("x", 0)}
            options = {"stop_condition": stop, "on_limit": "stop"} if rng.random() < 0.5 else {}
            return WhileLoopNode(name=name, inputs=inputs, max_iterations=max(rounds, 1), **options, **timed, **handled)
        inputs = {**inputs, "i": self._each(root=root)}
        options = {**timed, **self._chance(0.2, batch=2), **self._chance(0.2, first=3), **self._chance(0.2, key=str)}
        options |= self._chance(0.2, item_timeout_s=0.002)
        if kind == "for":
            return ForLoopNode(name=name, inputs=inputs, **options)
        on_error = rng.choice(["collect", "collect", "raise", Tolerate(count=1), Tolerate(fraction=0.4)])
        limit = rng.randint(1, 4)
        return MapNode(name=name, inputs=inputs, max_concurrency=limit, on_error=on_error, **options)

    def _body(self, depth: int, kind: str) -> None:
        """Fill the block that is open, and write its ``x``."""
        made: list[Node] = []
        for _ in range(self.rng.randint(1, 4)):
            before = self.rng.choice(made) if made and self.rng.random() < 0.7 else None
            made.append(self._node(depth, before))
            if before is not None and self.rng.random() < 0.3:
                before >> made[-1]
        if len(made) > 2 and self.rng.random() < 0.4:
            made.append(self._join(made))
        if self.rng.random() < 0.3:
            made.append(self._arms(made[-1]))
        made[-1]["x"] >> PARENT["x"]

    def _node(self, depth: int, before: Node | None) -> Node:
        kinds = ["leaf", "leaf", "leaf", "graph", "map", "while", "for"] if depth else ["leaf"]
        kind = self.rng.choice(kinds)
        inputs = {"x": before["x"]} if before is not None and self.rng.random() < 0.7 else {}
        if kind == "leaf":
            return self._leaf(inputs)
        with self._container(kind, inputs) as made:
            self._body(depth - 1, kind)
        return made

    def _join(self, made: list[Node]) -> Node:
        """Soft edges from some of them."""
        join = self._leaf({})
        for one in self.rng.sample(made, 2):
            one >> ~join
        return join

    def _arms(self, before: Node) -> Node:
        """A branch on what it gives, a condition that may raise, and two arms that meet again."""
        left, right, join = self._leaf({}), self._leaf({}), self._leaf({})
        check, chosen = self._plan(), self.rng.choice([0, 1])

        def ask(x: Any) -> bool:
            check()
            return x == chosen

        Branch(self._name("branch"), **self._chance(0.3, on_error="collect")).if_(
            before["x"].apply(ask), left
        ).otherwise(right)
        [left, right] >> join
        return join
