"""Steps that are awaited one after the other by one task, each handing over to the only one that waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from itertools import pairwise
from typing import Any

import pytest

from hush.core import PARENT, START, CodeNode, GraphNode, Hush
from hush.core._runtime._pass import BUDGET_NS
from hush.core.events import NodeFinished, NodeReady, NodeStarted
from hush.testing import Recorder


class Boom(Exception):
    pass


class Built:
    """A tracer whose ``emit`` is built in."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.emit = self.events.append


class Terse(Built):
    """One that is told of a call when it has ended."""

    terse = sees_calls = True

    def attach(self, under_way):
        pass


def chain(fn: Any, names: str, graph: GraphNode | None = None, **options: Any) -> list[CodeNode]:
    """Nodes one after the other, each called with its name."""
    nodes: list[CodeNode] = []
    for name in names.split():
        after = {"after": nodes[-1]["name"]} if nodes else {}
        nodes.append(CodeNode(name=name, code_fn=fn, inputs={"name": name, **after}, **options))
    return nodes


def busy(budgets: float) -> None:
    until_ns = time.perf_counter_ns() + int(budgets * BUDGET_NS)
    while time.perf_counter_ns() < until_ns:
        pass


TRACERS = [lambda: None, Built, Recorder, Terse]


@pytest.mark.parametrize("make", TRACERS)
async def test_what_follows_is_not_begun_once_another_has_failed(make):
    """The pass of the loop is spent when a step ends; before the next one the other fails."""
    called, go = [], asyncio.Event()

    async def step(name, after=None):
        called.append(name)
        if name == "b":  # the pass began with the first
            go.set()
            busy(1.5)
        return {"name": name}

    async def fails():
        await go.wait()
        raise Boom

    with GraphNode(name="g") as graph:
        other = CodeNode(name="other", code_fn=fails)
        START >> [other, chain(step, "a b c")[0]]
    with pytest.raises(Boom):
        await Hush(graph).run(tracer=make())
    assert called == ["a", "b"]


@pytest.mark.parametrize("make", TRACERS)
async def test_what_follows_is_not_begun_once_the_run_is_cancelled(make):
    called = []

    async def step(name, after=None):
        called.append(name)
        asyncio.get_running_loop().call_soon(task.cancel)
        busy(1.5)
        return {"name": name}

    with GraphNode(name="g") as graph:
        START >> chain(step, "a b c")[0]
    task = asyncio.ensure_future(Hush(graph).run(tracer=make()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert called == ["a"]


@pytest.mark.parametrize("make", TRACERS)
async def test_a_chain_does_not_run_ahead_of_others_that_wait(make):
    """None of them suspends, so one task awaits them all, the oldest first."""
    called = []

    async def step(name, after=None):
        called.append(name)
        return {"name": name}

    with GraphNode(name="g") as graph:
        START >> [chain(step, "a0 a1 a2")[0], chain(step, "b0 b1 b2")[0]]
    await Hush(graph).run(tracer=make())
    assert called == ["a0", "b0", "a1", "b1", "a2", "b2"]


@pytest.mark.parametrize("make", TRACERS)
async def test_context_variables_do_not_go_along(make):
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen = {}

    async def step(name, after=None):
        seen[name] = variable.get()
        variable.set(name)
        return {"name": name}

    with GraphNode(name="g") as graph:
        START >> chain(step, "a b c")[0]
    await Hush(graph).run(tracer=make())
    assert seen == {"a": "none", "b": "none", "c": "none"}


async def test_spending_the_budget_between_two_steps_changes_nothing():
    called = []

    async def step(name, after=None):
        called.append(name)
        busy(1.1)
        return {"name": name}

    with GraphNode(name="g") as graph:
        nodes = chain(step, "a b c d")
        START >> nodes[0]
        nodes[-1]["name"] >> PARENT["last"]
    assert await Hush(graph).run() == {"last": "d"}
    assert called == ["a", "b", "c", "d"]


@pytest.mark.parametrize("make", [Built, Recorder])
async def test_each_is_told_of_as_it_begins_and_as_it_ends(make):
    tracer, heard = make(), []

    async def step(name, after=None):
        heard.append([(type(event), event.path) for event in tracer.events][-2:])
        if name == "b":
            await asyncio.sleep(0)
        return {"name": name}

    with GraphNode(name="g") as graph:
        START >> chain(step, "a b c")[0]
    await Hush(graph).run(tracer=tracer)
    assert heard == [[(NodeReady, f"g/{name}"), (NodeStarted, f"g/{name}")] for name in "abc"]
    ends = [event.path for event in tracer.events if type(event) is NodeFinished]
    assert ends == ["g/a", "g/b", "g/c"]


async def test_when_each_became_ready_is_told_of_by_its_call():
    tracer = Terse()

    async def step(name, after=None):
        return {"name": name}

    with GraphNode(name="g") as graph:
        START >> chain(step, "a b c")[0]
    await Hush(graph).run(tracer=tracer)
    calls = [event for event in tracer.events if hasattr(event, "ready_ns")]
    assert [event.path for event in calls] == ["g/a", "g/b", "g/c"]
    for before, after in pairwise(calls):
        assert before.at_ns == after.ready_ns <= after.started_ns
