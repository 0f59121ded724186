"""A run that fails raises what its nodes raised, all of it and nothing else, after everything in it has ended."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import end_of
from kit.cancel_shapes import Log
from kit.faults import Boom, label, members

# ── A node's own CancelledError ──────────────────────────────────────────────────────────────────────────────────────


async def give_up():
    await asyncio.sleep(1)
    raise asyncio.CancelledError("mine")


@pytest.mark.parametrize("fn", [give_up, lambda: (_ for _ in ()).throw(asyncio.CancelledError("mine"))])
def test_a_node_that_raises_cancelled_error_is_a_failed_node(fn):
    log = Log()
    with GraphNode(name="g") as graph:
        CodeNode(name="tired", code_fn=fn, inputs={})
        log.node("sleeps", seconds=9, cleanup_s=0.5)
    ended = end_of(Hush(graph).run)
    assert label(ended.error) == "cancelled mine"
    assert ended.error.hush.path == "g/tired"
    assert ended.cancelling == 0
    assert ended.at_s < 2
    log.check()


def test_a_nodes_own_cancelled_error_can_be_handled():
    log = Log()
    with GraphNode(name="g") as graph:
        tired = CodeNode(name="tired", code_fn=give_up, inputs={}, outputs={"error": PARENT["error"]})
        log.node("sleeps", seconds=3)
        tired >> log.node("after", seconds=1, outputs={"y": PARENT["y"]})
    ended = end_of(Hush(graph).run)
    assert ended.error is None
    assert label(ended.value["error"]) == "cancelled mine"
    assert ended.value["y"] == 1
    assert ended.at_s == 3
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
    ended = end_of(Hush(graph).run)
    if on_error == "raise":
        assert (label(ended.error), ended.at_s) == ("cancelled mine", 2)
        assert ended.error.hush.item == 1
    else:
        assert ended.value["ys"] == [3, None, 1]
        assert [each and label(each) for each in ended.value["errors"]] == [None, "cancelled mine", None]


# ── Several failures ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_siblings_that_fail_are_both_raised():
    """The second fails because of the first, while it is cancelled: it failed on its own all the same."""
    log = Log()
    with GraphNode(name="g") as graph:
        log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=3, broken_cleanup=True)
    ended = end_of(Hush(graph).run)
    assert isinstance(ended.error, ExceptionGroup)
    assert sorted(label(each) for each in members(ended.error)) == ["breaks", "cleanup of sleeps"]
    assert sorted(each.hush.path for each in members(ended.error)) == ["g/breaks", "g/sleeps"]
    assert ended.cancelling == 0
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
    ended = end_of(Hush(graph).run, seed)
    assert {id(each) for each in members(ended.error)} == {id(each) for each in failed}
    assert isinstance(ended.error, Boom) == (len(failed) == 1)


def test_a_node_that_fails_alone_is_raised_as_it_is():
    log = Log()
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            log.node("breaks", breaks_s=1)
        log.node("sleeps", seconds=3, cleanup_s=0.5)
    ended = end_of(Hush(graph).run)
    assert (type(ended.error), label(ended.error), ended.error.hush.path) == (Boom, "breaks", "g/inner/breaks")
    assert ended.at_s == 1.5
    log.check()


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


HANDLING = {
    "graph": lambda: GraphNode(name="i", on_error="collect"),
    "map": lambda: MapNode(name="i", inputs={"x": Each([1])}),
}


def after_passes(count, call):
    """Call it when the running loop has made so many passes more."""
    if count:
        asyncio.get_running_loop().call_soon(after_passes, count - 1, call)
    else:
        call()


@pytest.mark.parametrize("threaded_first", [True, False])
@pytest.mark.parametrize("thread_fails", [True, False])
@pytest.mark.parametrize("container", HANDLING)
async def test_a_thread_that_ends_while_its_handled_domain_fails_is_waited_for(threaded_first, thread_fails, container):
    """Whoever drives the threaded call must not take the domain's own abort for a request from outside."""
    started, go = threading.Event(), threading.Event()

    def threaded():
        started.set()
        assert go.wait(10)
        if thread_fails:
            raise Boom("threaded")

    async def breaks():
        while not started.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        after_passes(20, go.set)
        raise Boom("breaks")

    nodes = {
        "threaded": lambda: CodeNode(name="threaded", code_fn=threaded, executor="thread"),
        "breaks": lambda: CodeNode(name="breaks", code_fn=breaks),
    }
    with GraphNode(name="g") as graph, HANDLING[container]():
        for name in sorted(nodes, reverse=threaded_first):
            nodes[name]()
    result = await Hush(graph).run()
    assert go.is_set()
    expected = ["breaks", "threaded"] if thread_fails else ["breaks"]
    assert sorted(label(each) for error in result.errors for each in members(error)) == expected
    assert asyncio.current_task().cancelling() == 0
