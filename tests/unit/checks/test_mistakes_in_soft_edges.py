"""Planted mistakes: soft edges, what they wait for and what they do not."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, BranchNode, Each, GraphNode, MapNode, WhileLoopNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_soft_edge_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@code_node
def need(x):
    return {"y": x}


@mistakes.plant("g", "g/a", says=("a >> ~a",))
def a_soft_edge_to_itself():
    with GraphNode(name="g") as g:
        a = one(name="a")
        a >> ~a  # <-
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", ">>"), soft=False)
def a_cycle_through_a_soft_edge(soft=True):
    with GraphNode(name="g") as g:
        a, b = one(name="a"), one(name="b")  # <-
        a >> b
        if soft:
            b >> ~a
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", ">>"))
def a_cycle_of_soft_edges():
    with GraphNode(name="g") as g:
        a, b = one(name="a"), one(name="b")  # <-
        a >> ~b
        b >> ~a
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b"))
def a_soft_edge_back_to_what_is_read():
    with GraphNode(name="g") as g:
        a = one(name="a")  # <-
        b = one(name="b", inputs={"x": a["y"]})  # <-
        b >> ~a
    return g


@mistakes.plant("g", "g/a", "g/n", says=("edge", "a", "n", "inner"))
def a_soft_edge_into_a_nested_graph():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with GraphNode(name="inner"):
            n = one(name="n")
        a >> ~n  # <-
    return g


@mistakes.plant("g", "g/m", "g/m/n", says=("edge", "a", "n", "m"))
def a_soft_edge_out_of_a_map():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with MapNode(name="m", inputs={"i": Each([1])}):
            n = one(name="n")
            n >> ~a  # <-
    return g


@mistakes.plant("g", "g/loop", "g/loop/n", says=("edge", "a", "n", "loop"))
def a_soft_edge_out_of_a_loop():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=2):
            n = one(name="n")
            n >> ~a  # <-
    return g


@mistakes.plant("g", "g/a", says=("END",))
def a_soft_edge_from_end():
    with GraphNode(name="g") as g:
        a = one(name="a")
        END >> ~a  # <-
    return g


@mistakes.plant("g", "g/a", says=("START >> ~a",), mend=("START >> a.",), soft=False)
def a_soft_edge_from_start(soft=True):
    with GraphNode(name="g") as g:
        a = one(name="a")
        START >> (~a if soft else a)  # <-
    return g


@mistakes.plant("g", "g/a", says=("a >> ~END",), mend=("a >> END.",), soft=False)
def a_soft_edge_to_end(soft=True):
    with GraphNode(name="g") as g:
        a = one(name="a")
        a >> (~END if soft else END)  # <-
    return g


@mistakes.plant("g/b", says=("~a",), mend=("node[",))
def a_soft_end_as_a_value():
    with GraphNode(name="g") as g:
        a = one(name="a")
        one(name="b", inputs={"x": ~a})  # <-
    return g


@mistakes.plant("g", "g/a", says=("[]",))
def soft_edges_from_nothing():
    with GraphNode(name="g") as g:
        a = one(name="a")
        [] >> ~a  # <-
    return g


@mistakes.plant("g", "g/b", says=("a", "first", "function"))
def a_soft_edge_from_another_graph():
    with GraphNode(name="first"):
        a = one(name="a")
    with GraphNode(name="g") as g:
        b = one(name="b")
        a >> ~b  # <-
    return g


@mistakes.plant("g/b", says=("b", "START"), mend=("START >> b",))
def a_node_behind_what_start_does_not_reach():
    with GraphNode(name="g") as g:
        a, b, c = one(name="a"), one(name="b"), one(name="c")  # <-
        START >> a
        b >> ~c
    return g


# --- what a soft edge does not order -----------------------------------------------------------------------------


@mistakes.plant("g", "g/a", "g/c", says=("a", "c", '"y"'), mend=("a >> c",), ordered=True)
def a_writer_behind_the_first_of_two_writers_it_may_overtake(ordered=False):
    with GraphNode(name="g") as g:
        a, b, c = one(name="a", outputs=PARENT), one(name="b"), one(name="c", outputs=PARENT)  # <-
        [a, b] >> ~c
        if ordered:
            a >> c
    return g


@mistakes.plant("g", "g/a", "g/c", says=("a", "c", '"k"'), mend=("a >> c",), ordered=True)
def a_reader_that_may_come_before_one_of_its_writers(ordered=False):
    with GraphNode(name="g") as g:
        a, b = one(name="a", outputs={"y": PARENT["k"]}), one(name="b")  # <-
        c = one(name="c", inputs={"x": PARENT["k"]})  # <-
        [a, b] >> ~c
        if ordered:
            a >> c
    return g


@mistakes.plant("g", "g/a", "g/d", says=("a", "d", '"y"'))
def a_writer_further_behind_a_soft_edge():
    with GraphNode(name="g") as g:
        a, b = one(name="a", outputs=PARENT), one(name="b")  # <-
        c, d = one(name="c"), one(name="d", outputs=PARENT)  # <-
        [a, b] >> ~c
        c >> d
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", '"y"'))
def two_writers_before_a_soft_edge():
    with GraphNode(name="g") as g:
        a, b, c = one(name="a", outputs=PARENT), one(name="b", outputs=PARENT), one(name="c")  # <-
        [a, b] >> ~c
    return g


@mistakes.plant("g", "g/high", "g/c", says=("high", "c", '"y"'))
def a_writer_that_need_not_wait_for_an_arm():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > 1": "high"}, default=END, inputs={"x": PARENT["x"]})
        high, b, c = one(name="high", outputs=PARENT), one(name="b"), one(name="c", outputs=PARENT)  # <-
        [high, b] >> ~c
    return g


@mistakes.plant("g/c", says=("'z'", "a", "y"))
def a_misspelt_key_of_a_soft_predecessor():
    with GraphNode(name="g") as g:
        a, b = one(name="a"), one(name="b")
        c = one(name="c", inputs={"x": a["z"]})  # <-
        [a, b] >> ~c
    return g


@mistakes.plant("g/c", says=("high", "low", "route"))
def a_node_without_edges_that_reads_both_arms_beside_a_soft_edge():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > 1": "high"}, default="low", inputs={"x": PARENT["x"]})
        high, low, d = one(name="high"), one(name="low"), one(name="d")
        [high, low] >> ~d
        need(name="c", inputs={"x": high["y"] + low["y"]})  # <-
    return g
