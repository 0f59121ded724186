"""What a run must be given where the root has branches, or is a map or a loop itself; and containers alone."""

from __future__ import annotations

import pytest

from hush.core import (
    END,
    PARENT,
    Branch,
    BranchNode,
    Each,
    GraphNode,
    Hush,
    InputError,
    MapNode,
    WhileLoopNode,
    code_node,
)
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_container_that_cannot_stand_alone_says_so(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@code_node
def need(x):
    return {"y": x}


def refused(root, **inputs):
    """What is said of a run with these inputs, which does not begin."""
    assert root.check() == []
    with pytest.raises(InputError) as caught:
        Hush(root).run_sync(inputs)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


# --- inputs of the run -------------------------------------------------------------------------------------------


def test_an_input_that_a_branch_reads_is_not_optional():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "a"}, default=END, inputs={"score": PARENT["points"]})
        one(name="a")
    said = refused(g, pionts=3)
    assert "'points' is missing: g/route reads it" in said
    assert "'pionts' (did you mean 'points'?)" in said


def test_a_star_of_a_branch_wants_the_names_of_its_conditions():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9 and kind == 'a'": "a"}, default=END, inputs={"*": PARENT})
        one(name="a")
    said = refused(g)
    assert "'score' is missing: g/route" in said
    assert "'kind' is missing: g/route" in said


def test_an_input_that_only_a_condition_refers_to_is_wanted():
    with GraphNode(name="g") as g:
        Branch("route").if_(PARENT["score"] > 9, "a").otherwise(END)
        one(name="a")
    assert "'score' is missing: g/route" in refused(g)


def test_an_input_that_an_arm_reads_is_wanted_whichever_way_the_branch_goes():
    """It is not known before which way that is."""
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "a"}, default=END, inputs={"score": PARENT["score"]})
        need(name="a", inputs={"x": PARENT["text"]})
    assert "'text' is missing: g/a" in refused(g, score=1)


def test_an_input_that_an_arm_can_do_without_is_optional():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "a"}, default=END, inputs={"score": PARENT["score"]})
        one(name="a", inputs={"x": PARENT["text"]}, outputs=PARENT)
    assert Hush(g).run_sync({"score": 10}) == {"y": 0}


def test_the_variable_that_a_condition_asks_for_is_not_optional():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": PARENT["start"]}, stop_condition="n > 3"):
        one(name="step", inputs={"x": PARENT["n"]})["y"] >> PARENT["n"]
    assert "'start' is missing: g/loop" in refused(g)


def test_a_root_map_is_named_by_its_own_path():
    with MapNode(name="m", inputs={"i": Each(PARENT["items"])}) as m:
        need(name="n", inputs={"x": PARENT["i"]})
    said = refused(m, itmes=[1])
    assert "'items' is missing: m reads it" in said
    assert "'itmes' (did you mean 'items'?)" in said


def test_a_root_loop_is_named_by_its_own_path():
    with WhileLoopNode(name="loop", inputs={"n": PARENT["start"]}, max_iterations=2) as loop:
        need(name="step", inputs={"x": PARENT["n"]})["y"] >> PARENT["n"]
    said = refused(loop, n=1)
    assert "'start' is missing: loop reads it" in said
    assert "no node of the graph reads the input 'n'" in said


def test_nothing_is_called_where_an_input_is_missing():
    called = []
    with GraphNode(name="g") as g:
        a = one(name="a", inputs={"x": PARENT["x"]})
        Branch("route").if_(a["y"].apply(called.append) == PARENT["kind"], "b").otherwise(END)
        one(name="b")
    refused(g, x=1)
    assert called == []


# --- containers taken out of their graph -------------------------------------------------------------------------


@mistakes.plant("loop", says=("limit", "loop"))
def a_loop_whose_condition_reads_a_node_around_it():
    with GraphNode(name="g"):
        limit = one(name="limit")
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=PARENT["n"] >= limit["y"]) as loop:  # <-
            need(name="step", inputs={"x": PARENT["n"]})["y"] >> PARENT["n"]
    return loop


@mistakes.plant("loop/step", says=("limit", "step"))
def a_loop_whose_body_reads_a_node_around_it():
    with GraphNode(name="g"):
        limit = one(name="limit")
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2) as loop:
            need(name="step", inputs={"x": limit["y"]})["y"] >> PARENT["n"]  # <-
    return loop


@mistakes.plant("m/n", says=("limit", "n"))
def a_map_whose_body_reads_a_node_around_it():
    with GraphNode(name="g"):
        limit = one(name="limit")
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            need(name="n", inputs={"x": limit["y"]})  # <-
    return m


@mistakes.plant("m", says=("limit", "m"), mend=("PARENT",))
def a_map_that_goes_through_a_node_around_it():
    with GraphNode(name="g"):
        limit = one(name="limit")
        with MapNode(name="m", inputs={"i": Each(limit["y"])}) as m:  # <-
            need(name="n", inputs={"x": PARENT["i"]})
    return m
