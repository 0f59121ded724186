"""Wrong types and unknown arguments of branches, loops and maps raise where they are written."""

from __future__ import annotations

import pytest

from hush.core import (
    PARENT,
    START,
    Branch,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    MapNode,
    Tolerate,
    WhileLoopNode,
)
from unit.checks.corpus import Slips

slips = Slips()


@pytest.mark.parametrize("slip", slips, ids=str)
def test_a_slip_raises_at_its_line(slip):
    slip.must_raise_at_its_line()


def one(x=0):
    return {"y": x}


# --- branches ----------------------------------------------------------------------------------------------------


@slips.plant("conditions")
def a_misspelt_argument_of_a_branch():
    BranchNode(name="route", conditions={"x > 1": "a"})  # <-


@slips.plant("code_fn")
def a_function_for_a_branch():
    BranchNode(name="route", cases={"x > 1": "a"}, code_fn=one)  # <-


@slips.plant("cases")
def a_branch_node_without_cases():
    BranchNode(name="route")  # <-


@slips.plant("cases", "dict")
def cases_that_are_a_list():
    BranchNode(name="route", cases=[("x > 1", "a")])  # <-


@slips.plant("lambda", "Branch(")
def a_case_that_is_a_function():
    BranchNode(name="route", cases={lambda x: x > 1: "a"})  # <-


@slips.plant("Branch")
def a_case_that_is_a_reference():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        BranchNode(name="route", cases={a["y"] > 1: "b"})  # <-


@slips.plant("target", "5")
def a_target_that_is_a_number():
    BranchNode(name="route", cases={"x > 1": 5})  # <-


@slips.plant("target", "GraphNode")
def several_targets_of_one_case():
    BranchNode(name="route", cases={"x > 1": ["a", "b"]})  # <-


@slips.plant("target", "one")
def a_target_that_is_a_function():
    BranchNode(name="route", cases={"x > 1": one})  # <-


@slips.plant("target", "5")
def a_default_that_is_a_number():
    BranchNode(name="route", cases={"x > 1": "a"}, default=5)  # <-


@slips.plant("START")
def start_as_a_target():
    BranchNode(name="route", cases={"x > 1": START})  # <-


@slips.plant("PARENT")
def parent_as_a_default():
    BranchNode(name="route", cases={"x > 1": "a"}, default=PARENT)  # <-


@slips.plant("inputs", "list")
def inputs_of_a_branch_that_are_a_list():
    BranchNode(name="route", cases={"x > 1": "a"}, inputs=["x"])  # <-


@slips.plant("target")
def a_reference_as_a_target():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        BranchNode(name="route", cases={"x > 1": a["y"]})  # <-


@slips.plant("if_")
def a_case_without_a_target():
    Branch("route").if_(PARENT["x"] > 1)  # <-


@slips.plant("True", "== None")
def a_condition_that_python_has_worked_out():
    """`PARENT["x"] is None` is a truth before anything runs."""
    Branch("route").if_(PARENT["x"] is not None, "a")  # <-


@slips.plant("&")
def two_conditions_joined_by_and():
    Branch("route").if_(PARENT["x"] > 1 and PARENT["x"] < 9, "a")  # <-


@slips.plant("&")
def a_chained_comparison():
    Branch("route").if_(1 < PARENT["x"] < 9, "a")  # <-


@slips.plant(".in_(")
def a_membership():
    Branch("route").if_(PARENT["x"] in [1, 2], "a")  # <-


@slips.plant("function", ".apply(")
def a_condition_that_is_a_function():
    Branch("route").if_(lambda x: x > 1, "a")  # <-


@slips.plant("ask", "CodeNode(")
def a_condition_that_must_be_awaited():
    """What it gives before it is awaited is always true."""

    async def ask(x):
        return x

    Branch("route").if_(PARENT["x"].apply(ask), "a")  # <-


@slips.plant("name")
def a_branch_named_by_a_number():
    Branch(5)  # <-


@slips.plant("retry")
def an_argument_of_a_branch_that_is_not_built_yet():
    BranchNode(name="route", cases={"x > 1": "a"}, retry=3)  # <-


# --- soft edges --------------------------------------------------------------------------------------------------


@slips.plant("a >> ~b")
def a_soft_edge_as_in_other_engines():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a > b  # <-


@slips.plant("START >> a.")
def a_soft_edge_from_start_as_in_other_engines():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        START > a  # noqa: SIM300  # the mistake itself  # <-


@slips.plant("a >> [b].")
def a_soft_edge_to_a_list_as_in_other_engines():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a > [b]  # <-


@slips.plant("one `~`")
def an_edge_that_is_soft_twice():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a >> ~~b  # <-


@slips.plant("~")
def a_soft_edge_on_its_left():
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        ~a >> b  # <-


@slips.plant()
def a_soft_edge_to_parent():
    with GraphNode(name="g"):
        CodeNode(name="a", code_fn=one) >> ~PARENT  # <-


@slips.plant()
def a_soft_edge_to_a_list():
    with GraphNode(name="g"):
        a, b, c = (CodeNode(name=name, code_fn=one) for name in "abc")
        a >> ~[b, c]  # <-


@slips.plant()
def a_soft_start():
    with GraphNode(name="g"):
        ~START >> CodeNode(name="a", code_fn=one)  # <-


# --- loops -------------------------------------------------------------------------------------------------------


@slips.plant("condition")
def a_misspelt_argument_of_a_loop():
    WhileLoopNode(name="loop", condition="n > 3")  # <-


@slips.plant("max_concurrency")
def a_while_loop_of_several_rounds_at_a_time():
    WhileLoopNode(name="loop", max_iterations=3, max_concurrency=2)  # <-


@slips.plant("max_concurrency")
def a_for_loop_of_several_items_at_a_time():
    ForLoopNode(name="loop", inputs={"i": Each([1])}, max_concurrency=2)  # <-


@slips.plant("key")
def a_key_of_a_while_loop():
    WhileLoopNode(name="loop", max_iterations=3, key=str)  # <-


@slips.plant("item_timeout_s")
def a_time_for_a_round():
    WhileLoopNode(name="loop", max_iterations=3, item_timeout_s=1)  # <-


@slips.plant("batch")
def batches_of_a_while_loop():
    WhileLoopNode(name="loop", max_iterations=3, batch=3)  # <-


@slips.plant("max_iterations", "'10'")
def rounds_that_are_a_text():
    WhileLoopNode(name="loop", max_iterations="10")  # <-


@slips.plant("max_iterations", "2.5")
def rounds_that_are_a_fraction():
    WhileLoopNode(name="loop", max_iterations=2.5)  # <-


@slips.plant("max_iterations", "True")
def rounds_that_are_a_truth():
    WhileLoopNode(name="loop", max_iterations=True)  # <-


@slips.plant("max_iterations")
def rounds_that_are_a_reference():
    WhileLoopNode(name="loop", max_iterations=PARENT["rounds"])  # <-


@slips.plant("on_limit")
def a_way_to_take_the_limit_that_is_a_truth():
    WhileLoopNode(name="loop", max_iterations=3, on_limit=True)  # <-


@slips.plant("stop_condition", "5")
def a_stop_condition_that_is_a_number():
    WhileLoopNode(name="loop", stop_condition=5)  # <-


@slips.plant("stop_condition", "True")
def a_stop_condition_that_is_a_truth():
    WhileLoopNode(name="loop", stop_condition=True)  # <-


@slips.plant("stop_condition")
def a_stop_condition_that_is_a_node():
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=one)
        WhileLoopNode(name="loop", stop_condition=a)  # <-


@slips.plant("stop_condition", "PARENT[")
def a_stop_condition_that_is_parent():
    WhileLoopNode(name="loop", stop_condition=PARENT)  # <-


@slips.plant("&")
def two_stop_conditions_joined_by_or():
    WhileLoopNode(name="loop", stop_condition=PARENT["n"] > 3 or PARENT["done"])  # <-


@slips.plant("inputs")
def inputs_of_a_loop_that_are_a_list():
    WhileLoopNode(name="loop", inputs=["n"], max_iterations=3)  # <-


# --- maps --------------------------------------------------------------------------------------------------------


@slips.plant("batch_size")
def a_misspelt_argument_of_a_map():
    MapNode(name="m", inputs={"i": Each([1])}, batch_size=3)  # <-


@slips.plant("batch", "'3'")
def batches_that_are_a_text():
    MapNode(name="m", inputs={"i": Each([1])}, batch="3")  # <-


@slips.plant("batch", "2.5")
def batches_that_are_a_fraction():
    MapNode(name="m", inputs={"i": Each([1])}, batch=2.5)  # <-


@slips.plant("batch", "True")
def batches_that_are_a_truth():
    MapNode(name="m", inputs={"i": Each([1])}, batch=True)  # <-


@slips.plant("first", "'3'")
def the_first_of_a_text():
    MapNode(name="m", inputs={"i": Each([1])}, first="3")  # <-


@slips.plant("first", "True")
def the_first_of_a_truth():
    MapNode(name="m", inputs={"i": Each([1])}, first=True)  # <-


@slips.plant("key")
def a_key_that_is_a_reference():
    MapNode(name="m", inputs={"i": Each([1])}, key=PARENT["i"])  # <-


@slips.plant("item_timeout_s", "'1'")
def a_time_for_an_item_that_is_a_text():
    MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s="1")  # <-


@slips.plant("item_timeout_s", "True")
def a_time_for_an_item_that_is_a_truth():
    MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s=True)  # <-


@slips.plant("on_error", "5")
def a_number_of_errors():
    MapNode(name="m", inputs={"i": Each([1])}, on_error=5)  # <-


@slips.plant("Tolerate(")
def tolerate_that_is_not_called():
    MapNode(name="m", inputs={"i": Each([1])}, on_error=Tolerate)  # <-


@slips.plant("on_error")
def a_kind_of_error():
    MapNode(name="m", inputs={"i": Each([1])}, on_error=ValueError)  # <-


@slips.plant("on_error", "MapNode")
def a_node_that_tolerates():
    CodeNode(name="n", code_fn=one, on_error=Tolerate(count=1))  # <-


@slips.plant("on_error", "MapNode")
def a_graph_that_tolerates():
    GraphNode(name="inner", on_error=Tolerate(count=1))  # <-


@slips.plant("on_error", "MapNode")
def a_while_loop_that_tolerates():
    WhileLoopNode(name="loop", max_iterations=2, on_error=Tolerate(count=1))  # <-


@slips.plant("key", "5")
def a_key_that_is_a_number():
    MapNode(name="m", inputs={"i": Each([1])}, key=5)  # <-


@slips.plant("return_keys")
def return_keys_of_a_map():
    MapNode(name="m", inputs={"i": Each([1])}, return_keys=["y"])  # <-


@slips.plant("return_keys")
def return_keys_of_a_while_loop():
    WhileLoopNode(name="loop", max_iterations=2, return_keys=["y"])  # <-


@slips.plant("count", "-1")
def tolerate_less_than_nothing():
    Tolerate(count=-1)  # <-


@slips.plant("fraction", "1.5")
def tolerate_more_than_all():
    Tolerate(fraction=1.5)  # <-


@slips.plant("fraction", "-0.1")
def tolerate_a_negative_share():
    Tolerate(fraction=-0.1)  # <-


@slips.plant("fraction", "nan")
def tolerate_a_share_that_is_no_number():
    Tolerate(fraction=float("nan"))  # <-


@slips.plant("count", "fraction")
def tolerate_nothing_in_particular():
    Tolerate()  # <-


@slips.plant("count", "'3'")
def tolerate_a_text():
    Tolerate(count="3")  # <-


@slips.plant("count", "2.5")
def tolerate_half_a_failure():
    Tolerate(count=2.5)  # <-


@slips.plant("count", "True")
def tolerate_a_truth():
    Tolerate(count=True)  # <-


@slips.plant("fraction", "'0.1'")
def tolerate_a_fraction_that_is_a_text():
    Tolerate(fraction="0.1")  # <-
