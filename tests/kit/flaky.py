"""Functions that fail so often before they succeed, and note each call, for tests of retries."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode, Retry


class Lost(ConnectionError):
    """What may be better the next time; its arguments are the item and the number of the call."""


class Busy(Exception):
    """Says when to come back."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Flaky:
    """Fails the first ``failures`` times for each ``x``.

    Attributes:
        at_s: When each call was made.
        calls: How many calls there were for each ``x``.
        alive: How many are under way.
    """

    def __init__(self, failures: int, error: Callable[[Any, int], BaseException] = Lost, takes_s: float = 0.0) -> None:
        self.failures = failures
        self.error = error
        self.takes_s = takes_s
        self.at_s: list[float] = []
        self.calls: Counter[Any] = Counter()
        self.alive = 0

    async def coroutine(self, x: Any = 1) -> dict[str, Any]:
        """For a node that is awaited."""
        self.at_s.append(asyncio.get_running_loop().time())
        self.alive += 1
        try:
            if self.takes_s:
                await asyncio.sleep(self.takes_s)
            return self.plain(x)
        finally:
            self.alive -= 1

    def plain(self, x: Any = 1) -> dict[str, Any]:
        """For a node that is called."""
        self.calls[x] += 1
        if self.calls[x] <= self.failures:
            raise self.error(x, self.calls[x])
        return {"y": x}

    @property
    def waits_s(self) -> list[float]:
        """From one call to the next."""
        return [round(after - before, 9) for before, after in zip(self.at_s, self.at_s[1:], strict=False)]


def one(fn: Callable[..., Any], retry: Retry | None = None, **policies: Any) -> GraphNode:
    """A graph of one node, ``n``."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"x": 1}, outputs=PARENT, retry=retry, **policies)
    return graph


def each(fn: Callable[..., Any], items: int, retry: Retry, width: int = 16, **options: Any) -> GraphNode:
    """A map of one node, ``m/n``, over so many items."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(items))}, max_concurrency=width, **options) as made:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, retry=retry)
        made["y"] >> PARENT["y"]
        made["error"] >> PARENT["errors"]
    return graph
