"""`exc.hush.round`: wherever in a body an error was raised and whoever keeps it, it knows in which round that was."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode, WhileLoopNode
from kit.cancel_shapes import Log
from kit.faults import Boom, label, members
from runtime.observing import outcome


def bad(x):
    raise Boom(f"{x}")


def rounds_of(errors):
    return [(label(each), each.hush.round) for each in errors]


def in_rounds(make, rounds=2):
    """A loop with a body that ``make`` writes; it is given what holds the number of the round."""
    with GraphNode(name="g") as graph, WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=rounds):
        turn = CodeNode(name="turn", code_fn=lambda x: {"x": x, "next": x + 1}, inputs={"*": PARENT})
        make(turn["x"])
        turn["next"] >> PARENT["x"]
    return graph


@pytest.mark.parametrize("options", [{}, {"timeout_s": 9}, {"on_error": "collect"}], ids=str)
def test_a_failure_handled_in_a_graph_in_a_round(options):
    """A graph that is a failure domain has frames that nothing around them goes on from."""

    def body(x):
        with GraphNode(name="inner", inputs={"x": x}, **options), GraphNode(name="deep", inputs={"x": PARENT["x"]}):
            CodeNode(name="bad", code_fn=bad, inputs={"*": PARENT}, on_error="collect")

    assert rounds_of(outcome(in_rounds(body)).result.errors) == [("0", 0), ("1", 1)]


def test_a_failure_handled_in_an_item_in_a_round():
    def body(x):
        with MapNode(name="m", inputs={"x": x, "z": Each([0])}):
            CodeNode(name="bad", code_fn=bad, inputs={"x": PARENT["x"]}, on_error="collect")

    assert rounds_of(outcome(in_rounds(body)).result.errors) == [("0", 0), ("1", 1)]


def test_items_that_fail_in_a_round():
    def body(x):
        with MapNode(name="m", inputs={"x": x, "z": Each([0, 0])}):
            CodeNode(name="bad", code_fn=bad, inputs={"x": PARENT["x"]})

    assert rounds_of(outcome(in_rounds(body, rounds=1)).result.errors) == [("0", 0)] * 2


@pytest.mark.parametrize("options", [{}, {"timeout_s": 9}], ids=str)
def test_several_that_fail_in_one_round(options):
    log = Log()

    def body(x):
        with GraphNode(name="inner", **options):
            log.node("breaks", breaks_s=1)
            log.node("sleeps", seconds=3, broken_cleanup=True)

    error = outcome(in_rounds(body)).error
    assert sorted(rounds_of(members(error))) == [("breaks", 0), ("cleanup of sleeps", 0)]


def test_the_round_is_that_of_the_innermost_loop():
    def body(x):
        with (
            WhileLoopNode(name="inner", inputs={"z": x}, max_iterations=2, timeout_s=9),
            GraphNode(name="graph", inputs={"x": PARENT["z"]}, timeout_s=9),
        ):
            CodeNode(name="bad", code_fn=bad, inputs={"*": PARENT}, on_error="collect")

    errors = outcome(in_rounds(body)).result.errors
    assert rounds_of(errors) == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]


def test_outside_of_loops_there_is_no_round():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=9):
            CodeNode(name="bad", code_fn=bad, inputs={"x": 1}, on_error="collect")
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition=lambda x: bad("stop")):
            CodeNode(name="turn", code_fn=lambda x: {"x": x}, inputs={"*": PARENT}, outputs=PARENT)
    assert rounds_of([outcome(graph).error]) == [("stop", None)]
