"""Right graphs that a hasty check would complain of: joins after branches, and soft edges."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, BranchNode, GraphNode, code_node
from unit.checks.corpus import RightGraphs

graphs = RightGraphs()


@pytest.mark.parametrize("right", graphs, ids=str)
def test_a_right_graph_with_soft_edges_raises_no_alarm_and_runs(right):
    right.must_pass_and_run()


@code_node
def say(x="default"):
    return {"y": x}


@code_node
def need(x):
    return {"y": x}


@code_node
def pair(left=None, right=None):
    return {"y": [left, right]}


@code_node
def boom():
    raise ValueError("boom")


SCORE = {"score": PARENT["score"]}


def route(**more):
    """A branch to `high` and `low`."""
    return BranchNode(name="route", cases={"score >= 90": "high"}, default="low", inputs=SCORE, **more)


# --- joins -------------------------------------------------------------------------------------------------------


@graphs.keep({"y": ["a", None]}, score=95)
def a_join_by_edges_that_reads_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high", inputs={"x": "a"}), say(name="low")
        join = pair(name="join", inputs={"left": high["y"], "right": low["y"]}, outputs=PARENT)
        [high, low] >> join
    return g


@graphs.keep({"y": ["a", None]}, score=95)
def a_join_without_edges_whose_parameters_have_defaults():
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high", inputs={"x": "a"}), say(name="low")
        pair(name="join", inputs={"left": high["y"], "right": low["y"]}, outputs=PARENT)
    return g


@graphs.keep({"y": "a"}, score=95)
def a_node_that_reads_one_arm():
    with GraphNode(name="g") as g:
        route()
        high = say(name="high", inputs={"x": "a"})
        say(name="low")
        need(name="n", inputs={"x": high["y"]}, outputs=PARENT)
    return g


@graphs.keep({"y": ["a", "b"]}, score=95)
def a_node_that_reads_arms_of_two_branches():
    with GraphNode(name="g") as g:
        BranchNode(name="first", cases={"score > 9": "a"}, default=END, inputs=SCORE)
        BranchNode(name="second", cases={"score > 8": "b"}, default=END, inputs=SCORE)
        a, b = say(name="a", inputs={"x": "a"}), say(name="b", inputs={"x": "b"})
        pair(name="n", inputs={"left": a["y"], "right": b["y"]}, outputs=PARENT)
    return g


@graphs.keep({"y": None}, score=95)
def an_edge_from_one_arm_to_a_reader_of_the_other():
    """Edges decide whether it runs; what was skipped is None."""
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high"), say(name="low")
        high >> need(name="n", inputs={"x": low["y"]}, outputs=PARENT)
    return g


# --- soft edges --------------------------------------------------------------------------------------------------


@graphs.keep({"y": "c"})
def the_first_of_two():
    with GraphNode(name="g") as g:
        a, b, c = say(name="a"), say(name="b"), say(name="c", inputs={"x": "c"}, outputs=PARENT)
        [a, b] >> ~c
    return g


@graphs.keep({"y": "a"}, score=95)
def a_soft_join_that_reads_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high", inputs={"x": "a"}), say(name="low")
        join = pair(name="join", inputs={"left": high["y"], "right": low["y"]})
        [high, low] >> ~join
        join["y"][0] >> PARENT["y"]
    return g


@graphs.keep({"y": "late"})
def soft_and_hard_edges_into_one_node():
    with GraphNode(name="g") as g:
        a, b = say(name="a"), say(name="b", inputs={"x": "late"})
        c = need(name="c", inputs={"x": b["y"]}, outputs=PARENT)
        a >> ~c
        b >> c
    return g


@graphs.keep({"y": "c"}, score=95)
def a_writer_behind_soft_edges_of_both_arms():
    """Of writers on different arms only one runs, and it is waited for."""
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high", outputs=PARENT), say(name="low", outputs=PARENT)
        c = say(name="c", inputs={"x": "c"}, outputs=PARENT)
        [high, low] >> ~c
    return g


@graphs.keep({"y": "b"})
def a_writer_behind_one_soft_edge():
    with GraphNode(name="g") as g:
        a = say(name="a", outputs=PARENT)
        b = say(name="b", inputs={"x": "b"}, outputs=PARENT)
        a >> ~b
    return g


@graphs.keep({"y": "c"})
def a_list_with_soft_and_hard_ends():
    with GraphNode(name="g") as g:
        a, b = say(name="a"), say(name="b")
        c = say(name="c", inputs={"x": "c"}, outputs=PARENT)
        START >> a >> [b, ~c] >> END
    return g


@graphs.keep({"y": "b", "why": "boom"})
def a_failure_that_a_soft_successor_names():
    with GraphNode(name="g") as g:
        a, b = boom(name="a"), say(name="b", inputs={"x": "b"}, outputs=PARENT)
        a >> ~b
        a["error"].apply(str) >> PARENT["why"]
    return g
