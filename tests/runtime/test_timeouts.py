"""Timeouts of nodes, graphs, maps and runs, in virtual time: what they raise, when, and that nothing stays behind."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, MapNode, NodeTimeout, RunTimeout
from hush.testing import run_virtual
from kit.faults import Boom, members
from runtime.observing import outcome


class Sleeper:
    """Makes coroutine functions that sleep, and sees how many of them are under way."""

    def __init__(self):
        self.alive = 0

    def sleep(self, seconds, cleanup_s=0.0):
        async def code(x=1):
            self.alive += 1
            try:
                await asyncio.sleep(seconds)
                return {"y": x}
            finally:
                try:
                    await asyncio.sleep(cleanup_s)
                finally:
                    self.alive -= 1

        return code


@pytest.fixture
def sleeper():
    """Whatever a test does, nothing may be under way after it."""
    made = Sleeper()
    yield made
    assert made.alive == 0


def test_a_node_out_of_time_raises_and_everything_beside_it_ends(sleeper):
    with GraphNode(name="g") as graph:
        CodeNode(name="slow", code_fn=sleeper.sleep(9), inputs={}, timeout_s=2)
        CodeNode(name="beside", code_fn=sleeper.sleep(9), inputs={})
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert isinstance(found.error, TimeoutError)
    assert isinstance(found.error, HushError)
    assert (found.error.hush.path, found.at_s, found.cancelling) == ("g/slow", 2, 0)
    assert "g/slow" in str(found.error)
    assert "2" in str(found.error)


def test_a_node_in_time_is_left_alone(sleeper):
    with GraphNode(name="g") as graph:
        CodeNode(name="slow", code_fn=sleeper.sleep(1.9), inputs={}, timeout_s=2, outputs=PARENT)
    found = outcome(graph)
    assert (found.result, found.at_s) == ({"y": 1}, 1.9)


def test_the_time_of_a_node_begins_when_it_starts(sleeper):
    with GraphNode(name="g") as graph:
        before = CodeNode(name="before", code_fn=sleeper.sleep(5), inputs={})
        before >> CodeNode(name="slow", code_fn=sleeper.sleep(1), inputs={}, timeout_s=2)
    assert outcome(graph).at_s == 6


def test_the_cleanup_of_a_node_out_of_time_is_waited_for(sleeper):
    with GraphNode(name="g") as graph:
        CodeNode(name="slow", code_fn=sleeper.sleep(9, cleanup_s=3), inputs={}, timeout_s=2)
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert found.at_s == 5


def test_a_node_out_of_time_can_be_handled(sleeper):
    with GraphNode(name="g") as graph:
        CodeNode(name="slow", code_fn=sleeper.sleep(9), inputs={}, timeout_s=2, outputs={"error": PARENT["e"]})
        CodeNode(name="beside", code_fn=sleeper.sleep(4), inputs={}, outputs=PARENT)
    found = outcome(graph)
    assert isinstance(found.result["e"], NodeTimeout)
    assert (found.result["y"], found.at_s, found.cancelling) == (1, 4, 0)


def test_a_nodes_own_timeout_error_is_its_own(sleeper):
    """`asyncio.timeout` in a node, below a timeout of the node, must not be mixed up with it."""

    async def code():
        async with asyncio.timeout(1):
            await asyncio.sleep(9)

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=code, inputs={}, timeout_s=2)
    found = outcome(graph)
    assert type(found.error) is TimeoutError
    assert found.at_s == 1


def test_a_node_may_catch_a_timeout_of_its_own_and_still_run_out_of_time(sleeper):
    async def code():
        for _ in range(5):
            try:
                async with asyncio.timeout(0.8):
                    await asyncio.sleep(9)
            except TimeoutError:
                continue

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=code, inputs={}, timeout_s=2)
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert found.at_s == 2


def test_a_coroutine_that_a_function_returns_is_under_the_timeout_too(sleeper):
    code = sleeper.sleep(9)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: code(1), inputs={}, timeout_s=2)
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert found.at_s == 2


# ── Containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_graph_out_of_time_raises(sleeper):
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=2):
            one = CodeNode(name="one", code_fn=sleeper.sleep(1.5), inputs={})
            one >> CodeNode(name="two", code_fn=sleeper.sleep(1.5), inputs={})
        CodeNode(name="beside", code_fn=sleeper.sleep(9), inputs={})
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert (found.error.hush.path, found.at_s) == ("g/inner", 2)


def test_the_root_graph_has_a_timeout_as_well(sleeper):
    with GraphNode(name="g", timeout_s=2) as graph:
        CodeNode(name="one", code_fn=sleeper.sleep(9), inputs={})
    found = outcome(graph)
    assert isinstance(found.error, TimeoutError)
    assert found.at_s == 2


def test_a_graph_in_time_is_left_alone(sleeper):
    with GraphNode(name="g") as graph, GraphNode(name="inner", timeout_s=2, outputs=PARENT):
        CodeNode(name="one", code_fn=sleeper.sleep(1.9), inputs={}, outputs=PARENT)
    assert outcome(graph).result == {"y": 1}


@pytest.mark.parametrize(("inner_s", "outer_s", "path"), [(2, 3, "g/outer/inner"), (3, 2, "g/outer")])
def test_of_timeouts_that_nest_the_first_one_fires(sleeper, inner_s, outer_s, path):
    with (
        GraphNode(name="g") as graph,
        GraphNode(name="outer", timeout_s=outer_s),
        GraphNode(name="inner", timeout_s=inner_s),
    ):
        CodeNode(name="slow", code_fn=sleeper.sleep(9), inputs={})
    found = outcome(graph)
    assert (found.error.hush.path, found.at_s) == (path, 2)


@pytest.mark.parametrize("seed", range(5))
def test_timeouts_that_fire_together_lose_nothing(sleeper, seed):
    with GraphNode(name="g") as graph:
        for name in "abc":
            CodeNode(name=name, code_fn=sleeper.sleep(9), inputs={}, timeout_s=2)
    found = outcome(graph, seed=seed)
    assert found.at_s == 2
    errors = getattr(found.error, "exceptions", [found.error])
    assert all(isinstance(error, NodeTimeout) for error in errors)


@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_a_map_out_of_time_raises_with_the_columns_so_far(sleeper, on_error):
    with GraphNode(name="g") as graph:
        with MapNode(
            name="m", inputs={"x": Each(range(9))}, max_concurrency=2, timeout_s=2.5, on_error=on_error
        ) as each:
            CodeNode(name="body", code_fn=sleeper.sleep(1), inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    found = outcome(graph)
    assert isinstance(found.error, NodeTimeout)
    assert (found.error.hush.path, found.at_s) == ("g/m", 2.5)
    assert found.error.hush.columns["y"][:4] == [0, 1, 2, 3]


def test_an_item_out_of_time_is_a_failed_item(sleeper):
    async def code(x):
        await asyncio.sleep(x)
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 9, 2])}) as each:
            CodeNode(name="body", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT, timeout_s=3)
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    found = outcome(graph)
    assert found.result["ys"] == [1, None, 2]
    assert isinstance(found.result["errors"][1], NodeTimeout)
    assert (found.result["errors"][1].hush.item, found.at_s) == (1, 3)


@pytest.mark.parametrize("where", ["graph", "map"])
async def test_inline_work_that_never_ends_runs_out_of_time_too(where):
    """It leaves turns to the loop, and so to its timers."""
    timed = {"timeout_s": 0.02}
    with (
        GraphNode(name="g") as graph,
        GraphNode(name="inner", **(timed if where == "graph" else {})),
        MapNode(name="m", inputs={"x": Each(range(10**9))}, **(timed if where == "map" else {})),
    ):
        CodeNode(name="n", code_fn=lambda x: {}, inputs={"x": PARENT["x"]}, executor="inline")
    with pytest.raises(NodeTimeout) as caught:
        await Hush(graph).run()
    assert caught.value.hush.path == ("g/inner" if where == "graph" else "g/inner/m")


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_out_of_time_raises(sleeper):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(9))}, max_concurrency=2):
        CodeNode(name="body", code_fn=sleeper.sleep(3, cleanup_s=0.5), inputs={"x": PARENT["x"]})
    found = outcome(graph, timeout_s=2)
    assert isinstance(found.error, RunTimeout)
    assert isinstance(found.error, TimeoutError)
    assert not isinstance(found.error, NodeTimeout)
    assert (found.at_s, found.cancelling) == (2.5, 0)


def test_a_run_in_time_is_left_alone(sleeper):
    with GraphNode(name="g") as graph:
        CodeNode(name="one", code_fn=sleeper.sleep(1.9), inputs={}, outputs=PARENT)
    found = outcome(graph, timeout_s=2)
    assert (found.result, found.at_s) == ({"y": 1}, 1.9)


def test_a_map_whose_source_cannot_be_read_leaves_no_timer_and_no_open_source():
    """Its deadline would cancel whatever the caller does by then."""
    rows = (number for number in range(3))

    def stop(value):
        raise KeyboardInterrupt

    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: {"rows": rows, "y": [1]}, inputs={}, executor="inline")
        inputs = {"x": Each(one["rows"]), "z": Each(one["y"].apply(stop))}
        with MapNode(name="m", inputs=inputs, timeout_s=2):
            CodeNode(name="n", code_fn=lambda x, z: {}, inputs={"*": PARENT})

    async def main():
        try:
            await Hush(graph).run()
        except KeyboardInterrupt as error:
            await asyncio.sleep(9)
            return error.hush.path

    assert run_virtual(main) == "g/m"
    assert rows.gi_frame is None


def test_handling_failures_does_not_handle_a_run_out_of_time(sleeper):
    """The deadline is the caller's, not a node's."""
    with GraphNode(name="g") as graph, GraphNode(name="inner", on_error="collect"):
        CodeNode(name="slow", code_fn=sleeper.sleep(9), inputs={}, outputs={"error": PARENT["e"]})
    found = outcome(graph, timeout_s=2)
    assert isinstance(found.error, RunTimeout)


def test_a_failure_in_the_cleanup_of_a_run_out_of_time_is_not_lost(sleeper):
    async def code():
        try:
            await asyncio.sleep(9)
        finally:
            raise Boom("cleanup")

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=code, inputs={})
    found = outcome(graph, timeout_s=2)
    with pytest.raises(ExceptionGroup) as caught:
        raise found.error
    assert caught.group_contains(RunTimeout)
    assert caught.group_contains(Boom)


@pytest.mark.parametrize("where", ["node", "graph", "map", "source", "root", "run"])
def test_all_that_failed_in_a_timeout_know_where(where):
    """The timer knows of no node, and a source is none: they are told in one group with what the others raised."""

    async def code():
        try:
            await asyncio.sleep(9)
        finally:
            raise Boom("cleanup")

    async def rows():
        try:
            await asyncio.sleep(9)
            yield 1
        finally:
            raise Boom("cleanup")

    def container(**late):
        if where == "graph":
            return GraphNode(name="c", **late)
        source = CodeNode(name="s", code_fn=lambda: {"rows": rows() if where == "source" else [1]}, inputs={})
        return MapNode(name="c", inputs={"x": Each(source["rows"])}, on_error="raise", **late)

    with GraphNode(name="g", **{"timeout_s": 2} if where == "root" else {}) as graph:
        if where in ("graph", "map", "source"):
            with container(timeout_s=2):
                CodeNode(name="n", code_fn=code, inputs={})
        else:
            CodeNode(name="n", code_fn=code, inputs={})
            CodeNode(name="late", code_fn=asyncio.sleep, inputs={"delay": 9}, timeout_s=2 if where == "node" else None)
    found = outcome(graph, timeout_s=2 if where == "run" else None)
    told = {type(each): each.hush.path for each in members(found.error)}
    late = {"node": "g/late", "root": "g", "run": "g"}.get(where, "g/c")
    broken = {"graph": "g/c/n", "map": "g/c/n", "source": "g/c"}.get(where, "g/n")
    assert told == {RunTimeout if where == "run" else NodeTimeout: late, Boom: broken}


@pytest.mark.parametrize("wrong", [0, -1, "3", True, float("nan")])
def test_a_timeout_that_is_none_is_refused(sleeper, wrong):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=sleeper.sleep(1), inputs={})
    assert isinstance(outcome(graph, timeout_s=wrong).error, (TypeError, ValueError))
