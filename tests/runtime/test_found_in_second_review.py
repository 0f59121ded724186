"""Faults that a second review of the engine found: turns, timeouts, context variables, what errors keep alive."""

from __future__ import annotations

import asyncio
import gc
import weakref
from time import perf_counter, perf_counter_ns

import pytest

from hush.core import CodeNode, GraphNode, Hush
from hush.core._runtime._pass import pass_of


def busy():
    """Spends the budget of a pass."""
    end = perf_counter() + 0.006
    while perf_counter() < end:
        pass


def engine_that_is_busy() -> Hush:
    with GraphNode(name="g") as graph:
        CodeNode(name="busy", code_fn=busy, executor="inline")
    return Hush(graph)


# ── Turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_waits_for_a_turn_keeps_its_place_however_many_wait():
    """32 are woken at a time. Those that found the budget spent went behind all who had not been woken yet."""
    budget = pass_of(asyncio.get_running_loop())
    served = []

    async def one(number):
        await budget.turn(served=False)
        served.append(number)
        budget.must_wait(perf_counter_ns())
        budget.deadline_ns = 1  # long ago: it is spent

    budget.deadline_ns = 1
    await asyncio.gather(*[one(number) for number in range(100)])
    assert served == list(range(100))


async def test_who_was_served_waits_behind_who_was_not():
    """The first of them is served once before the others, which are woken at the same time."""
    budget = pass_of(asyncio.get_running_loop())
    told = []

    async def one(name, *, served):
        await budget.turn(served=served)
        told.append(name)
        budget.must_wait(perf_counter_ns())
        budget.deadline_ns = 1

    budget.deadline_ns = 1
    old = [one(f"old {number}", served=True) for number in range(3)]
    new = [one(f"new {number}", served=False) for number in range(40)]
    await asyncio.gather(*old, *new)
    assert told == [f"new {number}" for number in range(40)] + [f"old {number}" for number in range(3)]


def test_a_loop_that_was_closed_while_runs_waited_for_their_turn_is_not_kept():
    """All were cancelled when it was closed, but more stood in line than are woken before it stops."""
    engine = engine_that_is_busy()

    async def main():
        handles = [engine.start() for _ in range(500)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(handles), weakref.ref(asyncio.get_running_loop())

    _, loop = asyncio.run(main())
    gc.collect()
    assert loop() is None


# ── Timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["run", "graph"])
async def test_a_run_may_run_out_of_time_before_its_turn_comes(where):
    """Its timeout was looked at only when it had come to its turn, behind all that stood in line before."""
    engine = engine_that_is_busy()
    ended, begun = [], []
    with GraphNode(name="late", timeout_s=None if where == "run" else 1e-9) as graph:
        CodeNode(name="late", code_fn=lambda: begun.append("late"), executor="inline")

    async def one():
        await engine.run()
        ended.append(None)

    async def in_time():
        with pytest.raises(TimeoutError):
            await Hush(graph).run(timeout_s=1e-9 if where == "run" else None)
        return len(ended)

    *_, before = await asyncio.gather(*[one() for _ in range(30)], in_time())
    assert before < 10
    assert not begun
