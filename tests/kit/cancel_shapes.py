"""Graphs to be cancelled at every tick. Whatever their nodes open they must close again: `Log` counts it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout, RunTimeout
from hush.core.nodes._graph import Block
from kit.faults import Boom

stain: contextvars.ContextVar[int] = contextvars.ContextVar("stain", default=0)


@dataclass
class Log:
    """What the nodes opened and closed in one try."""

    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Everything opened is closed; forget it."""
        opened, closed = sorted(self.opened), sorted(self.closed)
        self.opened.clear()
        self.closed.clear()
        assert opened == closed, f"opened {opened}, closed {closed}"

    def work(
        self,
        name: str,
        seconds: float = 1,
        *,
        cleanup_s: float = 0,
        fails: bool = False,
        breaks_s: float | None = None,
        broken_cleanup: bool = False,
    ) -> Callable[..., Any]:
        """Make a node's function that sleeps, and that fails, takes its time to clean up or fails at it, if wanted."""

        async def code(x: Any = 0) -> dict[str, Any]:
            self.opened.append(name)
            try:
                await asyncio.sleep(seconds if breaks_s is None else breaks_s)
                if fails or breaks_s is not None:
                    raise Boom(name)
                return {"y": x + 1}
            except asyncio.CancelledError:
                if broken_cleanup:
                    raise Boom(f"cleanup of {name}") from None
                raise
            finally:
                try:
                    if cleanup_s:
                        await asyncio.sleep(cleanup_s)
                finally:
                    self.closed.append(name)

        return code

    def node(self, name: str, x: Any = None, **more: Any) -> Any:
        """A CodeNode that does `work`; what `CodeNode` itself takes goes there."""
        own = {key: more.pop(key) for key in ("timeout_s", "on_error", "outputs") if key in more}
        return CodeNode(name=name, code_fn=self.work(name, **more), inputs={} if x is None else {"x": x}, **own)

    async def rows(self, count: int) -> AsyncIterator[int]:
        """A source that takes its time, and to close as well."""
        self.opened.append("rows")
        try:
            for number in range(count):
                await asyncio.sleep(0.3)
                yield number
        finally:
            try:
                await asyncio.sleep(0.1)
            finally:
                self.closed.append("rows")

    def lines(self, count: int) -> Iterator[int]:
        """A source that must be closed."""
        self.opened.append("lines")
        try:
            yield from range(count)
        finally:
            self.closed.append("lines")


def chain(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = log.node("a")
        b = log.node("b", a["y"])
        c = log.node("c", b["y"], outputs={"y": PARENT["y"]})
        START >> a >> b >> c >> END
    return graph


def fan(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        first, last = log.node("first"), log.node("last")
        quick = CodeNode(name="quick", code_fn=lambda: {"y": 1}, inputs={})
        START >> first >> [quick, *[log.node(f"arm{number}", seconds=number) for number in range(4)]] >> last >> END
    return graph


def diamond(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        top = log.node("top", seconds=0)
        left, right = log.node("left", top["y"]), log.node("right", top["y"], seconds=2)
        both = {"a": left["y"], "b": right["y"]}
        CodeNode(name="bottom", code_fn=lambda a, b: {"y": a + b}, inputs=both, outputs=PARENT)
    return graph


def nested(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        outer = log.node("outer", seconds=3)
        with GraphNode(name="inner"):
            a, b = log.node("a"), log.node("b")
            with GraphNode(name="innermost"):
                log.node("c", seconds=2, cleanup_s=0.2)
            [a, b] >> log.node("d", outer["y"])
    return graph


def nested_handled(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", on_error="collect") as inner:
            log.node("breaks", breaks_s=1)
            log.node("sleeps", seconds=3, cleanup_s=0.3)
        log.node("beside", seconds=2)
        inner >> log.node("after")
    return graph


def map_collect(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([0, 1, 2, 3])}, max_concurrency=2) as each:
            a = log.node("a", PARENT["x"])
            b = CodeNode(name="b", code_fn=lambda y: {"y": 6 // (y - 2)}, inputs={"y": a["y"]}, outputs=PARENT)
            a >> b
        each["y"] >> PARENT["ys"]
    return graph


def map_raise(log: Log) -> GraphNode:
    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"x": Each([3, 2, 1, 0])}, max_concurrency=3, on_error="raise"),
    ):
        a = log.node("a", PARENT["x"], seconds=1, cleanup_s=0.2)
        CodeNode(name="b", code_fn=_fail_on_two, inputs={"y": a["y"]})
    return graph


def _fail_on_two(y: int) -> dict[str, int]:
    if y == 2:
        raise Boom("two")
    return {"y": y}


def map_of_fans(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
        a = log.node("a", PARENT["x"], seconds=0)
        a >> [log.node("b"), log.node("c", seconds=2), log.node("d", cleanup_s=0.1)] >> log.node("e", seconds=0)
    return graph


def nested_maps(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"xs": Each([[1, 2], [], [3]])}, max_concurrency=2):
        with MapNode(name="inner", inputs={"x": Each(PARENT["xs"])}, max_concurrency=2) as inner:
            log.node("a", PARENT["x"], outputs={"y": PARENT["y"]})
        inner["y"] >> PARENT["ys"]
    return graph


def sources(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": log.rows(3), "lines": log.lines(3)}, inputs={})
        with MapNode(name="m", inputs={"x": Each(make["rows"])}, max_concurrency=2):
            log.node("a", PARENT["x"])
        with MapNode(name="k", inputs={"x": Each(make["lines"])}, max_concurrency=2):
            log.node("b", PARENT["x"])
    return graph


def slow_cleanup(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        START >> [log.node("a", cleanup_s=0.5), log.node("b", seconds=2, cleanup_s=0.5)] >> log.node("c") >> END
    return graph


def failing_sibling(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=3, cleanup_s=0.5)
        log.node("late", seconds=5)
    return graph


def broken_cleanups(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        log.node("a", broken_cleanup=True)
        log.node("b", seconds=2, broken_cleanup=True, cleanup_s=0.1)
    return graph


def broken_cleanups_handled(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        log.node("a", broken_cleanup=True, on_error="collect")
        with GraphNode(name="inner", on_error="collect"):
            log.node("b", seconds=2, broken_cleanup=True)
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
            log.node("c", PARENT["x"], broken_cleanup=True, cleanup_s=0.1)
    return graph


def run_timeout(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        START >> log.node("a") >> [log.node("b", seconds=3, cleanup_s=0.2), log.node("c", seconds=2)] >> END
    return graph


def container_timeouts(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=1.5, on_error="collect"):
            log.node("a") >> log.node("b", cleanup_s=0.2)
        log.node("late", seconds=3, timeout_s=1, on_error="collect")
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2, timeout_s=2.5):
            log.node("c", PARENT["x"], seconds=2, cleanup_s=0.1)
    return graph


def own_cancelled_error(log: Log) -> GraphNode:
    async def give_up() -> None:
        await asyncio.sleep(1)
        raise asyncio.CancelledError("mine")

    with GraphNode(name="g") as graph:
        tired = CodeNode(name="tired", code_fn=give_up, inputs={}, on_error="collect")
        log.node("beside", seconds=2)
        tired >> log.node("after")
    return graph


def context_changers(log: Log) -> GraphNode:
    async def change(x: int = 0) -> dict[str, int]:
        stain.set(stain.get() + 1)
        await asyncio.sleep(0)
        stain.set(stain.get() + 1)
        await asyncio.sleep(1)
        return {"y": stain.get()}

    with GraphNode(name="g") as graph:
        nodes = [CodeNode(name=f"n{number}", code_fn=change, inputs={}) for number in range(3)]
        START >> nodes >> CodeNode(name="last", code_fn=change, inputs={"x": nodes[0]["y"]}) >> log.node("end") >> END
    return graph


@dataclass(frozen=True)
class Shape:
    """A graph, what a try at it may raise besides `CancelledError`, and how it is run, if not by `engine.run()`."""

    make: Callable[[Log], Block]
    errors: tuple[type[BaseException], ...] = ()
    twice: bool = False
    run: Callable[[Hush], Coroutine[Any, Any, Any]] | None = None
    called: str = ""

    def __str__(self) -> str:
        return self.called or self.make.__name__

    def runs(self, log: Log) -> Callable[[], Coroutine[Any, Any, Any]]:
        """Compile it; what is given makes one run."""
        engine = Hush(self.make(log))
        return engine.run if self.run is None else partial(self.run, engine)


SHAPES = [
    Shape(chain, twice=True),
    Shape(fan),
    Shape(diamond),
    Shape(nested, twice=True),
    Shape(nested_handled, twice=True),
    Shape(map_collect, twice=True),
    Shape(map_raise, (Boom,), twice=True),
    Shape(map_of_fans),
    Shape(nested_maps),
    Shape(sources, twice=True),
    Shape(slow_cleanup, twice=True),
    Shape(failing_sibling, (Boom,), twice=True),
    Shape(broken_cleanups, (Boom,)),
    Shape(broken_cleanups_handled, twice=True),
    Shape(run_timeout, (RunTimeout,), twice=True, run=lambda engine: engine.run(timeout_s=2.5)),
    Shape(container_timeouts, (NodeTimeout,), twice=True),
    Shape(own_cancelled_error),
    Shape(context_changers),
]
