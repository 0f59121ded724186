"""Loops that are busy or go on for long: others get turns, a cancellation comes through, old values die."""

from __future__ import annotations

import asyncio
import itertools
import weakref

import pytest

from hush.core import PARENT, CodeNode, Each, ForLoopNode, GraphNode, Hush, MapNode, RunTimeout, WhileLoopNode
from hush.testing import leak_check, run_virtual
from kit.faults import Boom
from runtime.from_design.authored import result_of


def endless_while():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": 0}, stop_condition="n < 0", max_iterations=10**9) as loop:
            CodeNode(
                name="n",
                code_fn=lambda n: {"n": n + 1},
                inputs={"n": PARENT["n"]},
                outputs={"n": PARENT},
                executor="inline",
            )
        loop["n"] >> PARENT["n"]
    return graph


def endless_for():
    with GraphNode(name="g") as graph:
        with ForLoopNode(name="f", inputs={"n": Each(itertools.count(), pull="inline")}):
            CodeNode(name="n", code_fn=lambda n: {"o": n}, inputs={"n": PARENT["n"]}, executor="inline")
    return graph


def endless_in_map():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"i": Each([1, 2, 3])}):
            with WhileLoopNode(name="w", inputs={"n": 0}, stop_condition="n < 0", max_iterations=10**9):
                CodeNode(
                    name="n",
                    code_fn=lambda n: {"n": n + 1},
                    inputs={"n": PARENT["n"]},
                    outputs=PARENT,
                    executor="inline",
                )
    return graph


def endless_async():
    async def body(n):
        return {"n": n + 1}

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": 0}, stop_condition="n < 0", max_iterations=10**9):
            CodeNode(name="n", code_fn=body, inputs={"n": PARENT["n"]}, outputs=PARENT)
    return graph


ENDLESS = [endless_while, endless_for, endless_in_map, endless_async]


@pytest.mark.parametrize("make", ENDLESS)
async def test_others_get_turns_and_a_cancellation_comes_through(make):
    """The count of turns is the test: whoever never gives the loop up never lets it end."""
    async with leak_check():
        handle = Hush(make()).start()
        for _ in range(4):
            await asyncio.sleep(0)
        assert not handle.done()
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handle


@pytest.mark.parametrize("make", ENDLESS)
async def test_a_time_limit_comes_through(make):
    """The one real clock here: five hundredths of a second of a run that would never end."""
    with pytest.raises(RunTimeout):
        await Hush(make()).run(timeout_s=0.05)


class Big:
    """A value that can be watched."""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_values_of_earlier_rounds_die(kind):
    alive, most = weakref.WeakSet(), [0]

    def make(big):
        new = Big()
        alive.add(new)
        most[0] = max(most[0], len(alive))
        return {"big": new}

    async def make_later(big):
        await asyncio.sleep(0)
        return make(big)

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"big": None}, max_iterations=200) as loop:
            CodeNode(
                name="n",
                code_fn=make if kind == "def" else make_later,
                inputs={"big": PARENT["big"]},
                outputs=PARENT,
            )
        loop["big"] >> PARENT["big"]
    result = result_of(graph)
    assert isinstance(result["big"], Big)
    assert most[0] <= 3
    assert len(alive) == 1


def test_a_for_loop_whose_columns_nobody_reads_keeps_no_values():
    alive, most = weakref.WeakSet(), [0]

    def make(x):
        new = Big()
        alive.add(new)
        most[0] = max(most[0], len(alive))
        return {"big": new}

    with GraphNode(name="g") as graph:
        with ForLoopNode(name="f", inputs={"x": Each(range(200))}):
            CodeNode(name="n", code_fn=make, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert result_of(graph) == {}
    assert most[0] <= 3
    assert len(alive) == 0


def test_fifty_thousand_rounds_are_no_recursion():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": 0}, max_iterations=50_000) as loop:
            CodeNode(name="n", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        loop["n"] >> PARENT["n"]
    assert result_of(graph) == {"n": 50_000}


@pytest.mark.parametrize(("stop", "rounds"), [("True", 0), ("1 > 0", 0), ("False", 5), ("n == 99 and False", 5)])
def test_a_condition_may_be_a_constant(stop, rounds):
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": 0}, stop_condition=stop, max_iterations=5, on_limit="stop") as loop:
            CodeNode(name="n", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        loop["n"] >> PARENT["n"]
    assert result_of(graph) == {"n": rounds}


def test_items_that_fail_in_a_map_in_a_loop_are_told_with_their_round():
    def picky(x):
        if x == 0:
            raise Boom("zero")
        return {"y": x}

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"r": 0}, stop_condition="r == 2") as loop:
            with MapNode(name="m", inputs={"x": Each([1, 0])}) as over:
                CodeNode(name="n", code_fn=picky, inputs={"x": PARENT["x"]}, outputs=PARENT)
            over >> CodeNode(name="s", code_fn=lambda r: {"r": r + 1}, inputs={"r": PARENT["r"]}, outputs=PARENT)
        loop["r"] >> PARENT["r"]
    result = result_of(graph)
    assert (result, result.status) == ({"r": 2}, "partial")
    assert [(error.hush.path, error.hush.item, error.hush.round) for error in result.errors] == [
        ("g/w/m/n", 1, 0),
        ("g/w/m/n", 1, 1),
    ]


def test_a_failure_collected_in_each_round_is_in_the_errors_of_the_run_once_a_round():
    async def fail(n):
        await asyncio.sleep(1)
        raise Boom(n)

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": 0}, stop_condition="n == 3") as loop:
            tried = CodeNode(name="tried", code_fn=fail, inputs={"n": PARENT["n"]}, on_error="collect")
            tried >> CodeNode(name="s", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        loop["n"] >> PARENT["n"]

    result = run_virtual(lambda: Hush(graph).run())
    assert (result, result.status) == ({"n": 3}, "partial")
    assert [(str(error), error.hush.round) for error in result.errors] == [("0", 0), ("1", 1), ("2", 2)]
