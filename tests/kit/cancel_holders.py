"""Runs that are held by something else than ``await engine.run()``, to be cancelled at every tick: handles, streams."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable
from functools import partial
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, ItemFinished, MapNode, RunFinished, WhileLoopNode
from kit.cancel_shapes import Log, Shape, failing_sibling, map_collect, nested_handled, slow_cleanup
from kit.faults import Boom


def everything(log: Log) -> GraphNode:
    """A handled graph, a loop, and a map with an item that fails, beside one another."""
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", on_error="collect"):
            log.node("breaks", breaks_s=0.6)
            log.node("sleeps", seconds=3, cleanup_s=0.3)
        with WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=2):
            log.node("turn", PARENT["x"], outputs={"y": PARENT["x"]})
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2) as over:
            a = log.node("a", PARENT["x"], seconds=0.4, cleanup_s=0.1)
            CodeNode(name="b", code_fn=lambda y: {"y": 6 // (y - 3)}, inputs={"y": a["y"]}, outputs=PARENT)
        over["y"] >> PARENT["ys"]
    return graph


def many_items(log: Log) -> GraphNode:
    """More items than fit in a small buffer, from a source that must be closed."""
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"lines": log.lines(8)}, inputs={})
        with MapNode(name="m", inputs={"x": Each(make["lines"])}, max_concurrency=3) as over:
            log.node("a", PARENT["x"], seconds=0.2, cleanup_s=0.1, outputs={"y": PARENT["y"]})
        over["y"] >> PARENT["ys"]
    return graph


# ── Ways to run ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def kept(engine: Hush) -> Any:
    result = await engine.run(keep=True)
    assert result.nodes["m"]["error"]
    return result


async def awaited_handle(engine: Hush) -> Any:
    """`await handle`: whoever cancels the task that awaits cancels the run."""
    handle = engine.start()
    try:
        return await handle
    finally:
        assert handle.done()


async def cancelled_handle(engine: Hush) -> None:
    """`handle.cancel()` from outside while it is awaited: the run ends, its awaiter is told."""
    handle = engine.start()
    asyncio.get_running_loop().call_later(1.2, handle.cancel)
    try:
        await handle
    except CancelledError:
        assert handle.done()
        if asyncio.current_task().cancelling():
            raise
        return
    raise AssertionError("it ended before it was cancelled")


async def read_to_the_end(engine: Hush, **options: Any) -> None:
    last = None
    async for event in engine.stream(**options):
        last = event
    assert isinstance(last, RunFinished | ItemFinished)


async def read_slowly(engine: Hush, **options: Any) -> None:
    """A reader that takes its time at each event; `async with` waits for the run wherever the reader is cancelled."""
    async with engine.stream(**options) as events:
        async for _ in events:
            await asyncio.sleep(0.5)


async def left_early(engine: Hush, after: int = 3, **options: Any) -> None:
    async with engine.stream(**options) as events:
        read = 0
        async for _ in events:
            read += 1
            if read == after:
                break


async def left_with_an_error(engine: Hush, **options: Any) -> None:
    """The reader's own failure goes first, after the run has ended."""
    try:
        async with engine.stream(**options) as events:
            async for event in events:
                if isinstance(event, ItemFinished):
                    raise LookupError("the reader's own")
    except LookupError:
        if asyncio.current_task().cancelling():
            raise


def _held(
    make: Callable[[Log], GraphNode], run: Callable[..., Any], *errors: type[BaseException], **options: Any
) -> Any:
    """A shape with its way to run; ``buffer`` and ``items`` go to ``engine.stream``."""
    twice = options.pop("twice", False)
    called = "_".join([make.__name__, run.__name__, *map(str, options.values())])
    return Shape(make, errors, twice=twice, run=partial(run, **options), called=called)


SHAPES = [
    _held(map_collect, kept),
    _held(everything, kept, twice=True),
    _held(everything, awaited_handle, twice=True),
    _held(failing_sibling, awaited_handle, Boom, twice=True),
    _held(nested_handled, cancelled_handle, twice=True),
    _held(slow_cleanup, cancelled_handle, twice=True),
    _held(everything, read_to_the_end, twice=True),
    _held(failing_sibling, read_to_the_end, Boom),
    _held(everything, read_to_the_end, buffer=1),
    _held(many_items, read_to_the_end, buffer=2, items="m"),
    _held(many_items, read_slowly, buffer=2, items="m", twice=True),
    _held(everything, read_slowly, buffer=1),
    _held(failing_sibling, read_slowly, Boom, buffer=1),
    _held(everything, left_early, after=4, twice=True),
    _held(many_items, left_early, after=2, buffer=2, items="m", twice=True),
    _held(many_items, left_with_an_error, LookupError, items="m", twice=True),
]
