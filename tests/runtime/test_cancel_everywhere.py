"""Whenever a run is cancelled, and however it fails, nothing of it stays behind and no request or error gets lost."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout, RunTimeout
from kit.cancel import cancel_everywhere
from kit.cancel_shapes import SHAPES, Log
from kit.faults import Boom, label, members
from kit.loop import run_virtual

by_name = pytest.mark.parametrize("shape", SHAPES, ids=[shape.make.__name__ for shape in SHAPES])


def runs_of(shape, log):
    """What `cancel_everywhere` takes: makes one run of the shape."""
    engine = Hush(shape.make(log))
    return lambda: engine.run(timeout_s=shape.timeout_s) if shape.timeout_s else engine.run()


@by_name
@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_cancelled_at_every_tick(shape, seed):
    log = Log()
    assert cancel_everywhere(runs_of(shape, log), errors=shape.errors, check=log.check, seed=seed) >= 5


@pytest.mark.parametrize("shape", [pytest.param(each, id=each.make.__name__) for each in SHAPES if each.twice])
def test_a_run_is_cancelled_at_every_tick_and_once_more(shape):
    log = Log()
    tries = cancel_everywhere(runs_of(shape, log), times=2, errors=shape.errors, check=log.check, window=5)
    assert tries >= 10


@by_name
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_alive_after_a_run_however_it_ends(shape, seed):
    log = Log()
    run = runs_of(shape, log)
    try:
        run_virtual(run, seed=seed)
    except shape.errors:
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
    return task, pytest.approx(at_s)


def test_a_run_that_is_failing_raises_its_failure_and_the_request_stays():
    """As `TaskGroup` does: the error must not be lost, and whoever asked to cancel can still see it."""
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, at_s = cancelled_at(graph, 1.2)
    assert label(task.exception()) == "breaks"
    assert task.cancelling() == 1
    assert at_s == 1.5
    log.check()


def test_a_failure_that_would_have_been_handled_is_dropped_and_the_cancellation_goes_on():
    log = Log()
    with GraphNode(name="g") as graph, GraphNode(name="inner", on_error="collect"):
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    task, at_s = cancelled_at(graph, 1.2)
    assert task.cancelled()
    assert at_s == 1.5
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
    assert at_s == 1.5
    assert log.opened == ["sleeps"] * 2
    log.check()


# ── A node's own CancelledError ──────────────────────────────────────────────────────────────────────────────────────


async def give_up():
    await asyncio.sleep(1)
    raise asyncio.CancelledError("mine")


async def outcome_of(awaitable):
    try:
        return await awaitable, None
    except BaseException as error:
        return None, error


def outcome(graph, seed=0, **options):
    """What the run gave, what it raised, how often its caller's task is asked to cancel, and how late it is then."""

    async def main():
        value, error = await outcome_of(Hush(graph).run(**options))
        return value, error, asyncio.current_task().cancelling(), asyncio.get_running_loop().time()

    return run_virtual(main, seed=seed)


@pytest.mark.parametrize("fn", [give_up, lambda: (_ for _ in ()).throw(asyncio.CancelledError("mine"))])
def test_a_node_that_raises_cancelled_error_is_a_failed_node(fn):
    log = Log()
    with GraphNode(name="g") as graph:
        CodeNode(name="tired", code_fn=fn, inputs={})
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    _, error, cancelling, at_s = outcome(graph)
    assert label(error) == "cancelled mine"
    assert error.hush.path == "g/tired"
    assert cancelling == 0
    assert at_s < 2
    log.check()


def test_a_nodes_own_cancelled_error_can_be_handled():
    log = Log()
    with GraphNode(name="g") as graph:
        tired = CodeNode(name="tired", code_fn=give_up, inputs={}, outputs={"error": PARENT["error"]})
        log.node("sleeps", seconds=3)
        tired >> log.node("after", seconds=1, outputs={"y": PARENT["y"]})
    result, error, _, at_s = outcome(graph)
    assert error is None
    assert label(result["error"]) == "cancelled mine"
    assert result["y"] == 1
    assert at_s == 3
    log.check()


@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_an_items_own_cancelled_error_is_the_items_failure(on_error):
    async def code(x):
        await asyncio.sleep(x)
        if x == 2:
            raise asyncio.CancelledError("mine")
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([3, 2, 1])}, on_error=on_error) as each:
            CodeNode(name="a", code_fn=code, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    result, error, _, at_s = outcome(graph)
    if on_error == "raise":
        assert (label(error), at_s) == ("cancelled mine", 2)
        assert error.hush.item == 1
    else:
        assert result["ys"] == [3, None, 1]
        assert [each and label(each) for each in result["errors"]] == [None, "cancelled mine", None]


# ── Several failures ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_siblings_that_fail_are_both_raised():
    """The second fails because of the first, while it is cancelled: it failed on its own all the same."""
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=3, broken_cleanup=True)
    _, error, cancelling, _ = outcome(graph)
    assert isinstance(error, ExceptionGroup)
    assert sorted(label(each) for each in members(error)) == ["breaks", "cleanup of sleeps"]
    assert sorted(each.hush.path for each in members(error)) == ["g/breaks", "g/sleeps"]
    assert cancelling == 0
    log.check()


@pytest.mark.parametrize("seed", range(10))
def test_of_many_that_fail_at_once_none_is_lost(seed):
    failed = []

    async def code(x=0):
        await asyncio.sleep(1)
        failed.append(Boom(f"{len(failed)}"))
        raise failed[-1]

    with GraphNode(name="g") as graph:
        for number in range(4):
            CodeNode(name=f"n{number}", code_fn=code, inputs={})
    _, error, _, _ = outcome(graph, seed=seed)
    assert {id(each) for each in members(error)} == {id(each) for each in failed}
    assert isinstance(error, Boom) == (len(failed) == 1)


def test_a_node_that_fails_alone_is_raised_as_it_is():
    log = Log()
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=3, cleanup_s=0.5)
    _, error, _, at_s = outcome(graph)
    assert (type(error), label(error), error.hush.path) == (Boom, "breaks", "g/inner/breaks")
    assert at_s == 1.5
    log.check()


# ── Timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_out_of_time_is_cancelled_and_awaited():
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    _, error, cancelling, at_s = outcome(graph, timeout_s=2)
    assert isinstance(error, RunTimeout)
    assert isinstance(error, TimeoutError)
    assert (cancelling, at_s) == (0, 2.5)
    log.check()


def test_a_container_out_of_time_fails_alone_where_it_is_handled():
    log = Log()
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=2) as inner:
            log.node("sleeps", seconds=9, cleanup_s=0.5)
        inner["error"] >> PARENT["error"]
        log.node("beside", seconds=4)
    result, error, _, at_s = outcome(graph)
    assert error is None
    assert isinstance(result["error"], NodeTimeout)
    assert result["error"].hush.path == "g/inner"
    assert at_s == 4
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

    assert run_virtual(main) == 2.5
    log.check()
