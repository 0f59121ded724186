"""Planted mistakes: names, edges, cycles, START and END, and which graph a node belongs to."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, MapNode
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_wiring_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


def one(x=0):
    return {"y": x}


# --- names -------------------------------------------------------------------------------------------------------


@mistakes.plant("g", "g/load", "g/load_2", says=("'load'",))
def two_nodes_of_one_name():
    with GraphNode(name="g") as g:
        CodeNode(name="load", code_fn=one)  # <-
        CodeNode(name="load", code_fn=one)  # <-
    return g


@mistakes.plant("g/inner/load", "g/inner/load_2", "g/inner", says=("'load'",))
def two_nodes_of_one_name_in_a_nested_graph():
    with GraphNode(name="g") as g:
        CodeNode(name="load", code_fn=one)
        with GraphNode(name="inner"):
            CodeNode(name="load", code_fn=one)  # <-
            CodeNode(name="load", code_fn=one)  # <-
    return g


@mistakes.plant("g/load all", says=("'load all'",))
def a_name_with_a_space():
    with GraphNode(name="g") as g:
        CodeNode(name="load all", code_fn=one)  # <-
    return g


@mistakes.plant("g/a/b", says=("'a/b'",))
def a_name_with_a_slash():
    with GraphNode(name="g") as g, GraphNode(name="a/b"):  # <-
        CodeNode(code_fn=one)
    return g


# --- edges -------------------------------------------------------------------------------------------------------


@mistakes.plant("g", "g/a", says=("a >> a",))
def an_edge_to_itself():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        a >> a  # <-
    return g


@mistakes.plant("g", "g/a", says=("a >> a",))
def an_edge_to_itself_in_a_list():
    with GraphNode(name="g") as g:
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a >> [b, a]  # <-
    return g


@mistakes.plant("g", "g/a", says=("[]",))
def an_edge_to_nothing():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        a >> []  # <-
    return g


@mistakes.plant("g", "g/a", says=("[]",))
def an_edge_from_nothing():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        [] >> a  # <-
    return g


@mistakes.plant("g", "g/a", says=("END >> a",))
def an_edge_from_end():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        END >> a  # <-
    return g


@mistakes.plant("g", "g/a", says=("a >> START",))
def an_edge_to_start():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        a >> START  # <-
    return g


@mistakes.plant("g", "g/a", "g/n", says=("edge", "a", "n", "inner"))
def an_edge_into_a_nested_graph():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        with GraphNode(name="inner"):
            n = CodeNode(name="n", code_fn=one)
        a >> n  # <-
    return g


@mistakes.plant("g", "g/inner", says=("edge", "inner", "n"))
def an_edge_from_a_graph_to_a_node_in_it():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = CodeNode(name="n", code_fn=one)
        inner >> n  # <-
    return g


@mistakes.plant("g", "g/inner", "g/inner/n", says=("edge", "a", "n", "inner"))
def an_edge_out_of_a_map():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        with MapNode(name="inner", inputs={"i": Each([1])}):
            n = CodeNode(name="n", code_fn=one)
            n >> a  # <-
    return g


# --- cycles ------------------------------------------------------------------------------------------------------


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", ">>", "WhileLoopNode"))
def a_cycle_of_edges():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)  # <-
        b = CodeNode(name="b", code_fn=one)  # <-
        a >> b
        b >> a
    return g


@mistakes.plant("g", "g/a", "g/b", "g/c", says=("a", "b", "c"))
def a_cycle_of_an_edge_and_references():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)  # <-
        b = CodeNode(name="b", code_fn=one, inputs={"x": a["y"]})  # <-
        c = CodeNode(name="c", code_fn=one, inputs={"x": b["y"]})  # <-
        c >> a
    return g


@mistakes.plant("g", "g/a", "g/inner", says=("a", "inner"))
def a_cycle_through_a_reference_from_inside_a_container():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)  # <-
        with GraphNode(name="inner") as inner:  # <-
            CodeNode(name="n", code_fn=one, inputs={"x": a["y"]})
        inner >> a
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b"))
def a_cycle_beside_what_can_run():
    with GraphNode(name="g") as g:
        first = CodeNode(name="first", code_fn=one)
        a = CodeNode(name="a", code_fn=one)  # <-
        b = CodeNode(name="b", code_fn=one)  # <-
        last = CodeNode(name="last", code_fn=one)
        START >> first >> a >> b >> a
        b >> last
    return g


# --- START -------------------------------------------------------------------------------------------------------


@mistakes.plant("g/b", says=("b", "START"), mend=("START >> b",))
def a_node_that_start_does_not_reach():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one)  # <-
        START >> a >> END
    return g


@mistakes.plant("g/b", says=("b", "START"), mend=("START >> b",))
def a_chain_that_start_does_not_reach():
    """One mend puts all of it right, so there is one problem."""
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        b = CodeNode(name="b", code_fn=one)  # <-
        c = CodeNode(name="c", code_fn=one)
        START >> a >> END
        b >> c >> END
    return g


@mistakes.plant("g/b", says=("b", "START"), mend=("START >> b",))
def a_node_that_reads_the_run_only():
    """What comes from the run comes from no node: it is no way from START."""
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": PARENT["x"]})  # <-
        START >> a
    return g


@mistakes.plant("g/inner/b", says=("b", "START"), mend=("START >> b",))
def a_node_that_the_start_of_a_nested_graph_does_not_reach():
    with GraphNode(name="g") as g, GraphNode(name="inner"):
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one)  # <-
        START >> a
    return g


@mistakes.plant("g/m/b", says=("b", "START"), mend=("START >> b",))
def a_node_that_the_start_of_a_map_does_not_reach():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": PARENT["i"]})  # <-
        START >> a
    return g


# --- empty -------------------------------------------------------------------------------------------------------


@mistakes.plant("g", says=("g",))
def an_empty_graph():
    with GraphNode(name="g") as g:  # <-
        pass
    return g


@mistakes.plant("g", says=("g",))
def a_graph_without_a_block():
    return GraphNode(name="g")  # <-


@mistakes.plant("g/inner", says=("inner",))
def an_empty_nested_graph():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one)
        with GraphNode(name="inner"):  # <-
            pass
    return g


@mistakes.plant("g/m", says=("m",))
def an_empty_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):  # <-
        pass
    return g


# --- one graph for each node -------------------------------------------------------------------------------------


@mistakes.plant("g", "g/a", says=("a", "first", "function"))
def a_node_wired_in_a_second_graph():
    a = CodeNode(name="a", code_fn=one)
    with GraphNode(name="first"):
        START >> a
    with GraphNode(name="g") as g:
        b = CodeNode(name="b", code_fn=one)
        b >> a  # <-
    return g


@mistakes.plant("g/b", says=("a", "first", "function"))
def a_node_read_in_a_second_graph():
    with GraphNode(name="first"):
        a = CodeNode(name="a", code_fn=one)
    with GraphNode(name="g") as g:
        CodeNode(name="b", code_fn=one, inputs={"x": a["y"]})  # <-
    return g


@mistakes.plant("g/b", says=("a", "first", "function"))
def a_node_read_by_a_star_in_a_second_graph():
    with GraphNode(name="first"):
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
    with GraphNode(name="g") as g:
        CodeNode(name="b", code_fn=one, inputs={"*": a})  # <-
    return g


@mistakes.plant("g/b", says=("a", "first", "function"))
def an_operand_of_another_graph():
    with GraphNode(name="first"):
        a = CodeNode(name="a", code_fn=one)
    with GraphNode(name="g") as g:
        c = CodeNode(name="c", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": c["y"] + a["y"]})  # <-
    return g
