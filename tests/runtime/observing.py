"""Ways to look at one run from outside, shared by the tests in this folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hush.core
from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.testing import VirtualLoop, run_virtual
from hush.testing._run import play


async def until(condition: Callable[[], object]) -> None:
    """Wait for what a thread does: it has no loop to tell it. For a hang there is the timeout of the test."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def unknown(**given: Any) -> dict[str, Any]:
    """Give what it is given. What calls it has return keys that nobody can read from its code."""
    return given


@dataclass
class Outcome:
    """What one run in virtual time gave or raised, and how late it was then."""

    result: Any = None
    error: BaseException | None = None
    at_s: float = 0.0
    cancelling: int = 0


def outcome(graph: GraphNode, inputs: Any = None, *, seed: object = 0, **options: Any) -> Outcome:
    """Run the graph in virtual time. Tasks that outlive the run are an error."""
    engine = Hush(graph)

    async def main() -> Outcome:
        found = Outcome()
        try:
            found.result = await engine.run(inputs, **options)
        except BaseException as error:
            found.error = error
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"alive when the run ended: {left}"
        found.at_s = round(asyncio.get_running_loop().time(), 6)
        found.cancelling = asyncio.current_task().cancelling()
        return found

    return run_virtual(main, seed=seed)


def forget_callers(error: BaseException) -> None:
    """Empty the frames outside of the engine that led to an error: from Python 3.12 on it remembers all of them."""
    frame = error.__traceback__.tb_frame.f_back
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_ENGINE):
            try:
                frame.clear()
            except RuntimeError:
                return  # the test that asks, and who called that
        frame = frame.f_back


_ENGINE = os.path.dirname(hush.core.__file__)


@dataclass
class Counts:
    """What one run cost: tasks besides the caller's own, and passes of the loop."""

    tasks: int
    passes: int
    result: Any = field(repr=False)


def counted(graph: GraphNode, inputs: Any = None, **options: Any) -> Counts:
    """Run the graph on a loop that counts."""
    engine = Hush(graph)
    loop = VirtualLoop(shuffle=False)
    made = []

    def factory(loop: Any, coro: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **more)

    async def main() -> Counts:
        loop.set_task_factory(factory)
        before = loop.passes
        result = await engine.run(inputs, **options)
        return Counts(len(made), loop.passes - before, result)

    return play(loop, loop.create_task(main())).result()


def cheapest(graph: GraphNode, inputs: Any = None, **options: Any) -> Counts:
    """The cheapest of five runs: a busy machine may take the 5 ms of a pass away, and then there is one more."""
    return min((counted(graph, inputs, **options) for _ in range(5)), key=lambda found: (found.tasks, found.passes))


def chain(count: int, fn: Any, **policies: Any) -> GraphNode:
    """``count`` nodes in a row, each with the `x` of the one before."""
    with GraphNode(name="g") as graph:
        before = PARENT
        for number in range(count):
            before = CodeNode(name=f"n{number}", code_fn=fn, inputs={"x": before["x"]}, **policies)
        before["x"] >> PARENT["x"]
    return graph


def fan(width: int, fn: Any, **policies: Any) -> GraphNode:
    """One node, ``width`` after it, and one that adds up what they give."""
    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"x": 0}, inputs={}, executor="inline")
        middle = [
            CodeNode(name=f"m{number}", code_fn=fn, inputs={"x": first["x"]}, **policies) for number in range(width)
        ]
        CodeNode(
            name="last",
            code_fn=lambda xs: {"x": sum(xs)},
            inputs={"xs": [node["x"] for node in middle]},
            outputs=PARENT,
            executor="inline",
        )
    return graph
