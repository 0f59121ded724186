"""Faults that a review of the policies around leaves found: each holds alone, and they met in these places."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import weakref
from itertools import count

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    Limit,
    MapNode,
    NodeStarted,
    NodeTimeout,
    Retry,
    WhileLoopNode,
)
from hush.core._runtime._pass import pass_of
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.observing import outcome, until

EXACT = Retry(max_attempts=3, backoff_s=1, factor=1, jitter=False)
salts = count()


def one(fn, **policies):
    """A graph of one cached node; what runs of one such graph ask for is the same."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"salt": f"{next(salts)}"}, outputs=PARENT, cache=True, **policies)
    return Hush(graph)


class Flaky:
    """Fails the first ``failures`` times, a second after it was called."""

    def __init__(self, failures):
        self.failures, self.calls = failures, 0

    async def __call__(self, salt):
        self.calls += 1
        await asyncio.sleep(1)
        if self.calls <= self.failures:
            raise ConnectionError(self.calls)
        return {"y": self.calls}


# ── A call that several runs wait for ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stream_that_nobody_reads_does_not_hold_up_the_other_runs_that_wait_for_the_same_call(leaves):
    """With retries it did: the next attempt waited for room in a buffer that was not theirs, or was gone."""
    flaky = Flaky(2)

    async def main():
        engine = one(flaky, version="1", retry=EXACT)

        async def read():
            async with engine.stream(buffer=1) as events:
                async for event in events:
                    if isinstance(event, NodeStarted):
                        await asyncio.sleep(100)

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(0.5)
        other = asyncio.ensure_future(engine.run())
        asyncio.get_running_loop().call_later(1.7, reader.cancel if leaves else lambda: None)
        assert (await other)["y"] == 3
        assert asyncio.get_running_loop().time() == 5
        reader.cancel()
        await asyncio.wait([reader])

    run_virtual(main)
    assert flaky.calls == 3


@pytest.mark.parametrize("attempts", [1, 2])
def test_nodes_that_try_or_wait_in_other_ways_do_not_share_a_call(attempts):
    """Or one would fail because another had no patience, with an error that names that one."""
    flaky = Flaky(attempts - 1)

    async def main():
        with GraphNode(name="g") as graph:
            inputs = {"salt": f"terms {attempts}"}
            options = {"code_fn": flaky, "inputs": inputs, "cache": True, "version": "1", "on_error": "collect"}
            CodeNode(name="hasty", timeout_s=0.5, **options)
            CodeNode(name="once", **options)
            CodeNode(name="patient", retry=EXACT, **options)["y"] >> PARENT["y"]
        result = await Hush(graph).run(keep=True)
        assert isinstance(result.nodes["hasty"]["error"], NodeTimeout)
        assert result["y"]

    run_virtual(main)


def test_nodes_that_try_and_wait_in_the_same_ways_share_a_call_whatever_graph_they_are_of():
    flaky, limit = Flaky(1), Limit(concurrency=1)

    async def main():
        salt = next(salts)
        engines = []
        for _ in range(3):
            with GraphNode(name="g") as graph:
                retry = Retry(max_attempts=2, backoff_s=1, jitter=False)
                policies = {"cache": True, "version": "1", "retry": retry, "limit": limit, "timeout_s": 9}
                CodeNode(name="n", code_fn=flaky, inputs={"salt": f"{salt}"}, outputs=PARENT, **policies)
            engines.append(Hush(graph))
        assert [one["y"] for one in await asyncio.gather(*(engine.run() for engine in engines))] == [2] * 3

    run_virtual(main)
    assert flaky.calls == 2


def test_whoever_shares_a_failure_is_told_the_attempt_and_its_own_place_only():
    flaky = Flaky(9)
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 1, 1])}) as each:
            inputs = {"salt": "told"}
            CodeNode(name="n", code_fn=flaky, inputs=inputs, cache=True, version="1", retry=EXACT)
        each["error"] >> PARENT["errors"]
    for item, error in enumerate(outcome(graph).result["errors"]):
        assert (error.hush.item, error.hush.attempt) == (item, 3)
        (note,) = error.__notes__
        assert f"g/m/n, item {item} (" in note
        assert note.endswith(", attempt 3, not tried again: max_attempts=3")
    assert flaky.calls == 3


def process(salt):
    return {"y": os.getpid()}


async def test_a_worker_process_ends_with_the_last_run_that_waits_for_its_call():
    """It was given back to the pool of a run that had ended, and nobody ended it."""
    engine = one(process, executor="process")
    first = asyncio.ensure_future(engine.run())
    await until(multiprocessing.active_children)
    other = asyncio.ensure_future(engine.run())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert (await other)["y"] not in (None, os.getpid())
    assert not multiprocessing.active_children()


# ── What is told of a failure ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policies", [{}, {"limit": Limit(concurrency=1)}, {"retry": Retry(max_attempts=1)}])
async def test_a_call_that_is_late_in_a_thread_says_in_which_round_it_was(policies):
    opened = threading.Event()

    def late(x):
        if x == 1:
            opened.wait(30)
        return {"x": x + 1}

    async def opens():
        try:
            await asyncio.sleep(30)
        finally:
            opened.set()

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"x": 0}, max_iterations=3):
            n = CodeNode(name="n", code_fn=late, inputs={"x": PARENT["x"]}, timeout_s=0.2, **policies)
            n["x"] >> PARENT["x"]
        CodeNode(name="beside", code_fn=opens, inputs={})
    with pytest.raises(NodeTimeout) as caught:
        await Hush(graph, grace_s=9).run()
    assert caught.value.hush.round == 1
    assert any("round 1" in note for note in caught.value.__notes__)


def fails(x):
    raise Boom(x)


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("upstream", [False, True])
def test_a_failure_that_is_read_and_written_on_as_the_items_own_is_counted_once(depth, upstream):
    """It was counted where it had been handled, and again as the error that the item wrote."""
    with GraphNode(name="g") as graph:
        if upstream:
            with MapNode(name="before", inputs={"x": Each([1, 2, 3])}) as before:
                CodeNode(name="n", code_fn=fails, inputs={"x": PARENT["x"]})
            inputs = {"e": Each(before["error"])}
        else:
            inputs = {"x": Each([1, 2, 3])}
        with MapNode(name="m", inputs=inputs) as each:
            if upstream:
                n = CodeNode(name="n", code_fn=lambda e: {"error": e}, inputs={"e": PARENT["e"]})
                n["error"] >> PARENT["error"]
            elif depth:
                with GraphNode(name="inner", inputs={"x": PARENT["x"]}) as inner:
                    CodeNode(name="n", code_fn=fails, inputs={"x": PARENT["x"]})
                inner["error"] >> PARENT["error"]
            else:
                CodeNode(name="n", code_fn=fails, inputs={"x": PARENT["x"]})["error"] >> PARENT["error"]
        each["error"] >> PARENT["errors"]
    result = outcome(graph).result
    assert [error.args for error in result["errors"]] == [(1,), (2,), (3,)]
    assert [*result.errors] == result["errors"]
    assert (result.errors.total, result.status) == (3, "partial")


def test_two_failures_of_one_item_are_two():
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1])}):
        CodeNode(name="a", code_fn=fails, inputs={"x": PARENT["x"]})["error"] >> PARENT["error"]
        CodeNode(name="b", code_fn=fails, inputs={"x": 2})
    result = outcome(graph).result
    assert (len(result.errors), result.errors.total) == (2, 2)


def test_an_error_that_another_run_has_told_of_is_counted_here_too():
    """Even if both runs have the same request id."""
    with GraphNode(name="inner") as inner:
        CodeNode(name="n", code_fn=fails, inputs={"x": 1})
    inner = Hush(inner)

    async def ask(x):
        try:
            return await inner.run(request_id="r")
        except Boom as error:
            return {"error": error}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2])}):
        CodeNode(name="n", code_fn=ask, inputs={"x": PARENT["x"]})["error"] >> PARENT["error"]
    result = outcome(graph, request_id="r").result
    assert (len(result.errors), result.errors.total, result.status) == (2, 2, "partial")


class Big:
    """What a function has at hand while it waits."""


@pytest.mark.parametrize("policies", [{}, {"cache": True, "version": "1"}, {"retry": EXACT}])
def test_an_error_that_a_call_was_late_does_not_keep_what_the_call_had_at_hand(policies):
    """It had the cancellation as its context, and that all frames of the call: an error is kept for each item."""
    bigs = []

    async def waits(big):
        bigs.append(weakref.ref(big))
        await asyncio.sleep(9)

    async def code(x, salt):
        await waits(Big())

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2])}) as each:
            inputs = {"x": PARENT["x"], "salt": "late"}
            CodeNode(name="n", code_fn=code, inputs=inputs, timeout_s=0.5, **policies)
        each["error"] >> PARENT["errors"]
    errors = outcome(graph).result["errors"]
    assert [type(error) for error in errors] == [NodeTimeout] * 2
    assert [error.__context__ for error in errors] == [None] * 2
    gc.collect()
    assert bigs
    assert [big() for big in bigs] == [None] * len(bigs)


# ── What runs on the loop ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("executor", ["inline", "auto"])
@pytest.mark.parametrize("policies", [{"limit": Limit(concurrency=1)}, {"retry": EXACT}])
async def test_the_watchdog_sees_which_call_with_policies_is_on_the_loop(executor, policies):
    budget, seen = pass_of(asyncio.get_running_loop()), []

    def look(x):
        if threading.current_thread() is threading.main_thread():
            seen.append((budget.at and budget.at.path, budget.deadline_ns > 0))
        return {}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(30))}, max_concurrency=1):
        CodeNode(name="n", code_fn=look, inputs={"x": PARENT["x"]}, executor=executor, **policies)
    await Hush(graph).run()
    assert set(seen) == {("g/m/n", True)}
    assert budget.at is None
