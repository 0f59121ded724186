"""Loops in loops and maps and the other way round, as root and alone; and `ForLoopNode`."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    Hush,
    HushError,
    MapNode,
    WhileLoopNode,
)
from kit.faults import Boom
from runtime.from_design.authored import error_of, result_of
from runtime.observing import outcome


def step(fn=None):
    """The body that counts: one more each round."""
    return CodeNode(name="step", code_fn=fn or (lambda n: {"n": n + 1}), inputs={"n": PARENT["n"]}, outputs=PARENT)


def test_loops_nest_and_the_inner_one_starts_afresh_each_time():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="outer", inputs={"n": 0, "cells": []}, stop_condition="n == 3") as outer:
            with WhileLoopNode(
                name="inner", inputs={"n": 0, "row": PARENT["n"], "cells": PARENT["cells"]}, stop_condition="n == row"
            ) as inner:
                CodeNode(
                    name="cell",
                    code_fn=lambda n, row, cells: {"n": n + 1, "cells": [*cells, (row, n)]},
                    inputs={"*": PARENT},
                    outputs=PARENT,
                )
            inner["cells"] >> PARENT["cells"]
            inner >> step()
        outer["cells"] >> PARENT["cells"]
    assert result_of(graph) == {"cells": [(1, 0), (2, 0), (2, 1)]}


def test_a_loop_in_a_map_runs_for_each_item_by_itself():
    async def body(n):
        await asyncio.sleep(1)
        return {"n": n + 1}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"to": Each(PARENT["tos"])}, max_concurrency=10) as over:
            with WhileLoopNode(name="loop", inputs={"n": 0, "to": PARENT["to"]}, stop_condition="n >= to") as loop:
                step(body)
            loop["n"] >> PARENT["n"]
        over["n"] >> PARENT["n"]
    found = outcome(graph, {"tos": [3, 0, 5, 1]})
    assert (found.result, found.at_s) == ({"n": [3, 0, 5, 1]}, 5)


def test_a_map_in_a_loop_takes_the_rounds_own_items():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"xs": PARENT["xs"]}, stop_condition="len(xs) == 1") as loop:
            with MapNode(name="m", inputs={"x": Each(PARENT["xs"][1:])}) as over:
                CodeNode(name="inc", code_fn=lambda x: {"y": x * 2}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            over["y"] >> PARENT["xs"]
        loop["xs"] >> PARENT["xs"]
    assert result_of(graph, {"xs": [1, 2, 3]}) == {"xs": [12]}


def test_a_failed_round_in_a_map_fails_its_item_and_names_both_places():
    def body(n):
        if n == 2:
            raise Boom("two")
        return {"n": n + 1}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"to": Each(PARENT["tos"])}) as over:
            with WhileLoopNode(name="loop", inputs={"n": 0, "to": PARENT["to"]}, stop_condition="n >= to") as loop:
                step(body)
            loop["n"] >> PARENT["n"]
        over["n"] >> PARENT["n"]
    result = result_of(graph, {"tos": [1, 3, 2]})
    assert (result["n"], result.status) == ([1, None, 2], "partial")
    (error,) = result.errors
    assert (error.hush.path, error.hush.item, error.hush.round) == ("g/m/loop/step", 1, 2)


def test_a_for_loop_in_a_while_loop_and_the_other_way_round():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="rounds", inputs={"xs": [1, 2]}, max_iterations=2) as rounds:
            with ForLoopNode(name="each", inputs={"x": Each(PARENT["xs"])}) as each:
                with WhileLoopNode(name="twice", inputs={"n": PARENT["x"]}, max_iterations=2) as twice:
                    step()
                twice["n"] >> PARENT["y"]
            each["y"] >> PARENT["xs"]
        rounds["xs"] >> PARENT["xs"]
    assert result_of(graph) == {"xs": [5, 6]}


# ── As root, and alone ───────────────────────────────────────────────────────────────────────────────────────────────


def root_loop(fn=None, **options):
    with WhileLoopNode(
        name="loop", inputs={"n": PARENT["n"], "limit": 3}, stop_condition="n >= limit", **options
    ) as loop:
        step(fn)
    return loop


def test_as_root_it_gives_all_its_outputs_and_its_metrics():
    result = result_of(root_loop(), {"n": 0})
    assert {**result, "iteration_metrics": None} == {"n": 3, "limit": 3, "error": None, "iteration_metrics": None}
    assert result["iteration_metrics"]["total_iterations"] == 3


def test_as_root_a_failure_is_raised():
    def body(n):
        raise Boom("body")

    assert error_of(root_loop(body), {"n": 0}).hush.path == "loop/step"


def test_run_alone_it_gives_its_outputs():
    result = root_loop()(n=1)
    assert (result["n"], result["limit"]) == (3, 3)
    assert root_loop()(n=1, limit=7)["n"] == 7


# ── ForLoopNode ──────────────────────────────────────────────────────────────────────────────────────────────────────


def each(fn, **options):
    """A graph with one for loop over ``xs``; it gives the column y."""
    with GraphNode(name="g") as graph:
        with ForLoopNode(name="loop", inputs={"x": Each(PARENT["xs"])}, **options) as loop:
            CodeNode(name="body", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        loop["y"] >> PARENT["ys"]
    return graph


def test_a_for_loop_runs_one_item_at_a_time_in_order():
    events = []

    async def body(x):
        events.append(f"+{x}")
        await asyncio.sleep(4 - x)
        events.append(f"-{x}")
        return {"y": x * 2}

    found = outcome(each(body), {"xs": [1, 2, 3]})
    assert (found.result, found.at_s) == ({"ys": [2, 4, 6]}, 6)
    assert events == ["+1", "-1", "+2", "-2", "+3", "-3"]


@pytest.mark.parametrize("xs", [[], [5], list(range(40))])
def test_a_for_loop_gives_one_place_for_each_item(xs):
    assert result_of(each(lambda x: {"y": x}), {"xs": xs}) == {"ys": xs}


def test_a_for_loop_fails_fast():
    begun = []

    def body(x):
        begun.append(x)
        if x == 2:
            raise Boom(x)
        return {"y": x}

    error = error_of(each(body), {"xs": [1, 2, 3, 4]})
    assert begun == [1, 2]
    assert (error.hush.path, error.hush.item) == ("g/loop/body", 1)
    assert error.hush.columns["y"][:1] == [1]


def test_a_for_loop_may_be_told_to_collect():
    def body(x):
        if x == 2:
            raise Boom(x)
        return {"y": x}

    result = result_of(each(body, on_error="collect"), {"xs": [1, 2, 3]})
    assert (result["ys"], result.status) == ([1, None, 3], "partial")


def test_several_each_of_a_for_loop_are_zipped_and_other_inputs_are_the_same_for_all():
    with GraphNode(name="g") as graph:
        with ForLoopNode(
            name="loop", inputs={"a": Each(PARENT["as_"]), "b": Each(["x", "y"]), "c": PARENT["c"]}
        ) as loop:
            CodeNode(name="body", code_fn=lambda a, b, c: {"y": (a, b, c)}, inputs={"*": PARENT}, outputs=PARENT)
        loop["y"] >> PARENT["ys"]
    assert result_of(graph, {"as_": [1, 2], "c": 0}) == {"ys": [(1, "x", 0), (2, "y", 0)]}
    assert "must have the same length" in str(error_of(graph, {"as_": [1, 2, 3], "c": 0}))


def test_a_for_loop_takes_iterables_lazily():
    pulled = []

    def source():
        for number in range(1_000):
            pulled.append(number)
            yield number

    def body(x):
        if x == 3:
            raise Boom(x)
        return {"y": x}

    assert isinstance(error_of(each(body), {"xs": source()}), Boom)
    assert len(pulled) <= 3 + 1 + 1 + 32 + 32


def test_a_for_loop_has_metrics_like_a_map():
    with GraphNode(name="g") as graph:
        with ForLoopNode(name="loop", inputs={"x": Each(PARENT["xs"])}) as loop:
            CodeNode(name="body", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        loop["iteration_metrics"] >> PARENT["metrics"]
    metrics = result_of(graph, {"xs": [1, 2]})["metrics"]
    assert (metrics["total_iterations"], metrics["success_count"], metrics["error_count"]) == (2, 2, 0)


def test_a_for_loop_as_root_gives_all_its_outputs():
    with ForLoopNode(name="loop", inputs={"x": Each(PARENT["xs"])}) as loop:
        CodeNode(name="body", code_fn=lambda x: {"y": -x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    result = result_of(loop, {"xs": [1, 2]})
    assert set(result) == {"y", "error", "iteration_metrics"}
    assert (result["y"], result["error"]) == ([-1, -2], [None, None])
    assert loop(x=[3])["y"] == [-3]


def test_a_for_loop_without_each_is_an_error_that_says_what_to_write():
    with GraphNode(name="g") as graph:
        with ForLoopNode(name="loop", inputs={"x": PARENT["xs"]}):
            CodeNode(name="body", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    with pytest.raises(HushError, match=r"Each\("):
        Hush(graph)


def test_a_for_loop_does_not_take_a_number_of_workers():
    with pytest.raises((HushError, TypeError), match="max_concurrency"):
        ForLoopNode(name="loop", inputs={"x": Each([1])}, max_concurrency=4)
