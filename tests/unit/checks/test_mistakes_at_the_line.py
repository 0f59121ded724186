"""Wrong types and unknown arguments raise where they are written, whatever the rest of the graph is."""

from __future__ import annotations

import inspect
import pickle

import pytest

from hush.core import (
    END,
    PARENT,
    START,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    Hush,
    Limit,
    MapNode,
    Retry,
    Tolerate,
    WhileLoopNode,
    code_node,
)
from unit.checks.corpus import Slips

slips = Slips()


@pytest.mark.parametrize("slip", slips, ids=str)
def test_a_slip_raises_at_its_line(slip):
    slip.must_raise_at_its_line()


def one(x=0):
    return {"y": x}


# --- unknown arguments -------------------------------------------------------------------------------------------


@slips.plant("retry")
def a_number_where_a_policy_is_meant():
    CodeNode(name="n", code_fn=one, retry=3)  # <-


@slips.plant("'retries'", "Did you mean 'retry'")
def an_argument_that_is_called_otherwise():
    CodeNode(name="n", code_fn=one, retries=3)  # <-


@slips.plant("inpust", "Did you mean 'inputs'")
def a_misspelt_argument():
    CodeNode(name="n", code_fn=one, inpust={})  # <-


@slips.plant("inpust", "Did you mean 'inputs'")
def a_misspelt_argument_of_a_graph():
    with GraphNode(name="g", inpust={}):  # <-
        pass


@slips.plant("'limit'", "CodeNode(..., limit=Limit(concurrency=3))", "max_concurrency=3")
def a_limit_of_a_map():
    with MapNode(name="m", inputs={"i": Each([1])}, limit=3):  # <-
        pass


@slips.plant("'limit'", "CodeNode(..., limit=Limit(per_second=5))", "max_concurrency=")
def a_rate_of_a_map():
    MapNode(name="m", inputs={"i": Each([1])}, limit=Limit(per_second=5))  # <-


@slips.plant("'limit'", "CodeNode(..., limit='crm')")
def a_limit_of_a_graph():
    GraphNode(name="g", limit="crm")  # <-


@slips.plant("'retry'", "CodeNode(..., retry=Retry(max_attempts=3))")
def retries_of_a_map():
    MapNode(name="m", inputs={"i": Each([1])}, retry=3)  # <-


@slips.plant("'cache'", "CodeNode(..., cache='memory')")
def a_cache_of_a_loop():
    WhileLoopNode(name="w", cache="memory")  # <-


@slips.plant("'tokens'", "CodeNode(..., tokens=one)")
def tokens_of_a_for_loop():
    ForLoopNode(name="m", inputs={"i": Each([1])}, tokens=one)  # <-


@slips.plant("'retry'", "CodeNode(..., retry=Retry())")
def retries_of_a_branch():
    BranchNode(name="b", cases={"x > 1": END}, retry=True)  # <-


@slips.plant("'executor'", "CodeNode(..., executor='thread')")
def an_executor_of_a_graph():
    GraphNode(name="g", executor="thread")  # <-


@slips.plant("'max_concurrency'", "limit=Limit(concurrency=4)")
def a_width_of_a_graph():
    GraphNode(name="g", max_concurrency=4)  # <-


@slips.plant("'max_concurrency'", "MapNode(..., max_concurrency=4")
def a_width_of_a_for_loop():
    ForLoopNode(name="m", inputs={"i": Each([1])}, max_concurrency=4)  # <-


@slips.plant("'max_concurrency'", "limit=Limit(concurrency=4)")
def a_width_of_a_node():
    CodeNode(name="n", code_fn=one, max_concurrency=4)  # <-


@slips.plant("'batchsize'", "Did you mean 'batch'")
def a_misspelt_argument_of_a_map():
    MapNode(name="m", inputs={"i": Each([1])}, batchsize=4)  # <-


@slips.plant("'stop_conditions'", "Did you mean 'stop_condition'")
def a_misspelt_argument_of_a_loop():
    WhileLoopNode(name="w", stop_conditions="x > 1")  # <-


@slips.plant("'casses'", "Did you mean 'cases'")
def a_misspelt_argument_of_a_branch():
    BranchNode(name="b", casses={})  # <-


@slips.plant("'tokens'", "CodeNode(..., limit=Limit(...), tokens=one)")
def an_estimate_of_a_limit():
    Limit(tokens=one)  # <-


@slips.plant("'max_concurrency'", "Did you mean 'concurrency'")
def a_misspelt_argument_of_a_limit():
    Limit(max_concurrency=3)  # <-


@slips.plant("'attempts'", "Did you mean 'max_attempts'")
def a_misspelt_argument_of_a_policy():
    Retry(attempts=3)  # <-


@slips.plant("'counts'", "Did you mean 'count'")
def a_misspelt_argument_of_tolerance():
    Tolerate(counts=3)  # <-


@slips.plant("code_fn")
def a_function_for_a_graph():
    GraphNode(name="g", code_fn=one)  # <-


@slips.plant("'batch'", "MapNode(..., batch=10)")
def an_unknown_argument_of_each():
    Each([1], batch=10)  # <-


@slips.plant("x")
def an_unknown_argument_of_a_factory():
    code_node(one)(name="n", x=1)  # <-


@slips.plant("workers", "It takes: graph, resources, limits")
def an_unknown_argument_of_an_engine():
    with GraphNode(name="g") as g:
        CodeNode(code_fn=one)
    Hush(g, workers=4)  # <-


@slips.plant("code_fn")
def a_code_node_without_a_function():
    CodeNode(name="n")  # <-


@slips.plant()
def a_function_in_place_of_the_name():
    CodeNode(one)  # <-


@slips.plant()
def each_without_a_source():
    Each()  # <-


def test_a_signature_is_told_as_it_is_written():
    assert list(inspect.signature(GraphNode).parameters) == ["name", "inputs", "outputs", "timeout_s", "on_error"]
    assert "on" in inspect.signature(Retry).parameters


def test_policies_still_travel():
    assert pickle.loads(pickle.dumps(Tolerate(count=3))) == Tolerate(count=3)


# --- wrong types -------------------------------------------------------------------------------------------------


@slips.plant("name", "5")
def a_name_that_is_a_number():
    CodeNode(name=5, code_fn=one)  # <-


@slips.plant("name")
def a_graph_s_name_that_is_a_function():
    GraphNode(name=one)  # <-


@slips.plant("inputs", "list")
def inputs_that_are_a_list():
    CodeNode(name="n", code_fn=one, inputs=["x"])  # <-


@slips.plant("inputs", "*")
def inputs_that_are_a_node():
    CodeNode(name="n", code_fn=one, inputs=CodeNode(name="a", code_fn=one))  # <-


@slips.plant("inputs", "*")
def inputs_that_are_parent():
    GraphNode(name="g", inputs=PARENT)  # <-


@slips.plant("inputs")
def inputs_of_a_map_that_are_each():
    MapNode(name="m", inputs=Each([1]))  # <-


@slips.plant("1")
def an_input_whose_name_is_a_number():
    CodeNode(name="n", code_fn=one, inputs={1: 2})  # <-


@slips.plant("outputs")
def outputs_that_are_a_text():
    CodeNode(name="n", code_fn=one, outputs="y")  # <-


@slips.plant("outputs")
def outputs_that_are_a_node():
    CodeNode(name="n", code_fn=one, outputs=CodeNode(name="a", code_fn=one))  # <-


@slips.plant("1")
def an_output_whose_name_is_a_number():
    CodeNode(name="n", code_fn=one, outputs={1: PARENT})  # <-


@slips.plant("timeout_s")
def a_timeout_that_is_a_text():
    CodeNode(name="n", code_fn=one, timeout_s="10")  # <-


@slips.plant("timeout_s")
def a_timeout_that_is_a_truth():
    GraphNode(name="g", timeout_s=True)  # <-


@slips.plant("max_concurrency")
def a_concurrency_that_is_a_text():
    MapNode(name="m", inputs={"i": Each([1])}, max_concurrency="10")  # <-


@slips.plant("max_concurrency")
def a_concurrency_that_is_a_fraction():
    MapNode(name="m", inputs={"i": Each([1])}, max_concurrency=2.5)  # <-


@slips.plant("max_concurrency")
def a_concurrency_that_is_a_truth():
    MapNode(name="m", inputs={"i": Each([1])}, max_concurrency=True)  # <-


@slips.plant("on_error")
def a_way_to_take_an_error_that_is_a_truth():
    CodeNode(name="n", code_fn=one, on_error=True)  # <-


@slips.plant("executor")
def an_executor_that_is_an_object():
    CodeNode(name="n", code_fn=one, executor=object())  # <-


@slips.plant("pull")
def an_unknown_way_to_pull():
    Each([1], pull=5)  # <-


@slips.plant("Each")
def each_of_each():
    Each(Each([1]))  # <-


@slips.plant("code_node")
def a_factory_of_no_function():
    code_node(5)  # <-


@slips.plant("Hush")
def an_engine_of_no_graph():
    Hush(one)  # <-


@slips.plant("grace_s")
def a_grace_that_is_a_text():
    with GraphNode(name="g") as g:
        CodeNode(code_fn=one)
    Hush(g, grace_s="1")  # <-


# --- lines that say nothing --------------------------------------------------------------------------------------


@slips.plant("a", ">>")
def a_greater_than():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a > b  # <-


@slips.plant(">>")
def an_edge_to_a_function():
    with GraphNode(name="g"):
        START >> one  # <-


@slips.plant(">>")
def an_edge_to_a_text():
    with GraphNode(name="g"):
        CodeNode(name="a", code_fn=one) >> "b"  # <-


@slips.plant("outputs=PARENT")
def an_edge_to_parent():
    with GraphNode(name="g"):
        CodeNode(name="a", code_fn=one) >> PARENT  # <-


@slips.plant("inputs=")
def an_edge_to_a_value():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a >> b["y"]  # <-


@slips.plant("list")
def a_list_in_a_list():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        START >> [a, [b]]  # <-


@slips.plant("graph")
def an_edge_in_no_graph():
    a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
    a >> b  # <-


@slips.plant("graph")
def an_edge_to_the_graph_being_written():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one) >> g  # <-


@slips.plant("g")
def an_edge_after_the_block():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
    a >> END  # <-


@slips.plant("g")
def a_write_after_the_block():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
    a["y"] >> PARENT["y"]  # <-


@slips.plant("g")
def an_engine_inside_the_block():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one)
        Hush(g)  # <-


@slips.plant("inputs=")
def a_call_inside_the_block():
    with GraphNode(name="g"):
        CodeNode(name="a", code_fn=one)(x=1)  # <-


@slips.plant("a(x=1)")
def a_call_with_a_position():
    CodeNode(name="a", code_fn=one)(1)  # <-


@slips.plant("PARENT", "key")
def a_key_that_is_a_number():
    PARENT[0]  # <-


@slips.plant("PARENT")
def an_input_written_to_an_output():
    with GraphNode(name="g"):
        PARENT["x"] >> PARENT["y"]  # <-


@slips.plant(".apply(len)")
def a_length_that_is_not_known_yet():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": len(a["y"])})  # <-


@slips.plant("&")
def a_truth_that_is_not_known_yet():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        if a["y"]:  # <-
            CodeNode(name="b", code_fn=one)


@slips.plant(".apply(")
def a_text_that_is_not_known_yet():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": f"got {a['y']}"})  # <-
