"""What the tests of streaming maps share: sources and bodies that count, maps in a row, looks at a run under way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import run_virtual


class Tap:
    """Counts what is pulled from its sources and what its bodies begin and end."""

    def __init__(self) -> None:
        self.pulled = self.open = 0
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.seen: dict[str, list[Any]] = {}  # what each body was called with, in order
        self.at_first: dict[str, dict[str, int]] = {}  # for each body: what had been pulled and ended at its first call
        self.most_unfinished: Counter[str] = Counter()  # for each body: pulled, and not ended by it

    def lines(self, count: int) -> Iterator[int]:
        self.open += 1
        try:
            for number in range(count):
                self._pull()
                yield number
        finally:
            self.open -= 1

    async def rows(self, count: int, every_s: float = 0) -> AsyncIterator[int]:
        self.open += 1
        try:
            for number in range(count):
                await asyncio.sleep(every_s)
                self._pull()
                yield number
        finally:
            try:
                await asyncio.sleep(0)
            finally:  # it may be cancelled just there
                self.open -= 1

    def source(self, kind: str, count: int) -> Any:
        """By the name of its method."""
        return getattr(self, kind)(count)

    def _pull(self) -> None:
        self.pulled += 1
        for name in self.most_unfinished:
            self.most_unfinished[name] = max(self.most_unfinished[name], self.pulled - self.ended[name])

    def body(self, name: str, fn: Callable[[Any], Any] = lambda x: x, seconds: Any = None, key: str = "y") -> Any:
        """A body that gives `{key: fn(x)}`; with `seconds` (a number, or a function of x) one that sleeps so long."""
        self.most_unfinished.setdefault(name, 0)

        def begin(x: Any) -> None:
            self.at_first.setdefault(name, {"pulled": self.pulled, **self.ended})
            self.begun[name] += 1
            self.seen.setdefault(name, []).append(x)

        def at_once(x: Any) -> dict[str, Any]:
            begin(x)
            try:
                return {key: fn(x)}
            finally:
                self.ended[name] += 1

        async def later(x: Any) -> dict[str, Any]:
            begin(x)
            try:
                await asyncio.sleep(seconds(x) if callable(seconds) else seconds)
                return {key: fn(x)}
            finally:
                self.ended[name] += 1

        return at_once if seconds is None else later


def over(name: str, source: Any, body: Any, **options: Any) -> MapNode:
    """A map through the source (given as `x`) whose body is called with each of it, and gives `y`."""
    with MapNode(name=name, inputs={"x": Each(source)}, **options) as each:
        CodeNode(name=f"{name}_n", code_fn=body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
    return each


def row(source: Any, *bodies: Any, read: bool = True, **options: dict[str, Any]) -> GraphNode:
    """Maps `a`, `b`, `c`, … in a row; `ys` and `errors` are columns of the last."""
    with GraphNode(name="g") as graph:
        column = source
        for name, body in zip("abcdef", bodies, strict=False):
            each = over(name, column, body, **options.get(name, {}))
            column = each["y"]
        if read:
            each["y"] >> PARENT["ys"]
            each["error"] >> PARENT["errors"]
    return graph


def looked_at(
    graph: GraphNode, seconds: list[float], look: Callable[[], Any], inputs: Any = None, seed: object = 0
) -> tuple[list[Any], Any]:
    """Run it in virtual time: what `look()` gives at each of these times, and the result."""
    engine = Hush(graph)

    async def main() -> tuple[list[Any], Any]:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(engine.run(inputs))
        looks = []
        for at_s in seconds:
            await asyncio.sleep(at_s - loop.time())
            looks.append(look())
        return looks, await task

    return run_virtual(main, seed=seed)


def until_s(at_s: float) -> Callable[[Any], float]:
    """How long to sleep to wake up at that time of the loop."""
    return lambda x: max(0.0, at_s - asyncio.get_running_loop().time())
