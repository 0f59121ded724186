"""Whenever a run is cancelled, and however it fails, nothing of it stays behind and no request or error gets lost."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, NodeTimeout, RunTimeout
from hush.testing import cancel_everywhere, end_of, run_virtual
from kit import cancel_flow, cancel_holders, cancel_maps, cancel_shapes
from kit.cancel_shapes import Log
from kit.faults import label

SHAPES = [*cancel_shapes.SHAPES, *cancel_flow.SHAPES, *cancel_maps.SHAPES, *cancel_holders.SHAPES]
# At each change one order of turns, and the others at night.
ORDERS = [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 6))]
by_name = pytest.mark.parametrize("shape", SHAPES, ids=str)


@by_name
@pytest.mark.parametrize("seed", ORDERS)
def test_a_run_is_cancelled_at_every_tick(shape, seed):
    log = Log()
    assert cancel_everywhere(shape.runs(log), errors=shape.errors, check=log.check, seed=seed) >= 5


@pytest.mark.parametrize("shape", [each for each in SHAPES if each.twice], ids=str)
def test_a_run_is_cancelled_at_every_tick_and_once_more(shape):
    log = Log()
    tries = cancel_everywhere(shape.runs(log), times=2, errors=shape.errors, check=log.check, window=5)
    assert tries > 5


@by_name
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_alive_after_a_run_however_it_ends(shape, seed):
    log = Log()
    run = shape.runs(log)
    try:
        run_virtual(run, seed=seed)
    except* shape.errors:
        pass
    log.check()


# ── Failing while cancelled ──────────────────────────────────────────────────────────────────────────────────────────


def cancelled_at(graph, *seconds, **options):
    """Run the graph in a task, cancel it at these times: the task, done, and how late it is then."""

    async def main():
        task = asyncio.ensure_future(Hush(graph).run(**options))
        loop = asyncio.get_running_loop()
        for each in seconds:
            loop.call_at(each, task.cancel)
        await asyncio.wait([task])
        return task, loop.time()

    task, at_s = run_virtual(main)
    return task, at_s


def test_a_run_that_is_failing_raises_its_failure_and_the_request_stays():
    """As `TaskGroup` does: the error must not be lost, and whoever asked to cancel can still see it."""
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, at_s = cancelled_at(graph, 1.2)
    assert label(task.exception()) == "breaks"
    assert task.cancelling() == 1
    assert at_s == pytest.approx(1.5)
    log.check()


def test_a_failure_that_would_have_been_handled_is_dropped_and_the_cancellation_goes_on():
    log = Log()
    with GraphNode(name="g") as graph, GraphNode(name="inner", on_error="collect"):
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, at_s = cancelled_at(graph, 1.2)
    assert task.cancelled()
    assert at_s == pytest.approx(1.5)
    log.check()


def test_an_item_that_would_have_been_collected_is_dropped_and_the_cancellation_goes_on():
    log = Log()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2])}):
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, _ = cancelled_at(graph, 1.2)
    assert task.cancelled()
    log.check()


def test_a_second_request_does_not_cut_the_cleanup_short():
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, _ = cancelled_at(graph, 1, 1.2)
    assert task.cancelled()
    assert task.cancelling() == 2
    log.check()


def test_control_returns_after_everything_in_the_run_has_ended():
    log = Log()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, at_s = cancelled_at(graph, 1)
    assert task.cancelled()
    assert 1.5 <= at_s <= 2  # the host cleans up first, then all others at once
    assert log.opened == ["sleeps"] * 2
    log.check()


# ── Timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_out_of_time_is_cancelled_and_awaited():
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    ended = end_of(lambda: Hush(graph).run(timeout_s=2))
    assert isinstance(ended.error, RunTimeout)
    assert isinstance(ended.error, TimeoutError)
    assert (ended.cancelling, ended.at_s) == (0, 2.5)
    log.check()


def test_a_container_out_of_time_fails_alone_where_it_is_handled():
    log = Log()
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=2) as inner:
            log.node("sleeps", seconds=9, cleanup_s=0.5)
        inner["error"] >> PARENT["error"]
        log.node("beside", seconds=4)
    ended = end_of(Hush(graph).run)
    assert ended.error is None
    assert isinstance(ended.value["error"], NodeTimeout)
    assert ended.value["error"].hush.path == "g/inner"
    assert ended.at_s == 4
    log.check()


def test_a_timeout_that_the_user_sets_around_a_run_is_the_users():
    """`asyncio.timeout` counts on the request being neither swallowed nor hidden."""
    log = Log()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
        log.node("sleeps", seconds=9, cleanup_s=0.5)

    async def main():
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(2):
                await Hush(graph).run()
        assert not isinstance(caught.value, RunTimeout)
        assert asyncio.current_task().cancelling() == 0
        return asyncio.get_running_loop().time()

    assert 2.5 <= run_virtual(main) <= 3
    log.check()
