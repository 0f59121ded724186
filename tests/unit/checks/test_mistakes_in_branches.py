"""Planted mistakes: branches, their targets, their inputs, and what lies on their arms."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, Branch, BranchNode, Each, GraphNode, MapNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_branch_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@code_node
def need(x):
    return {"y": x}


@code_node
def both(left, right):
    return {"y": (left, right)}


SCORE = {"score": PARENT["score"]}


def route():
    """A branch to `high` and `low`."""
    return BranchNode(name="route", cases={"score >= 90": "high"}, default="low", inputs=SCORE)


# --- targets -----------------------------------------------------------------------------------------------------


@mistakes.plant("g/route", says=("'hihg'",), mend=("high",), target="high")
def a_misspelt_target(target="hihg"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": target}, default="low", inputs=SCORE)  # <-
        one(name="high")
        one(name="low")
    return g


@mistakes.plant("g/route", says=("'lwo'",), mend=("low",), target="low")
def a_misspelt_default(target="lwo"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=target, inputs=SCORE)  # <-
        one(name="high")
        one(name="low")
    return g


@mistakes.plant("g/route", says=("'alarm'",), mend=("a",))
def a_target_that_is_nowhere():
    with GraphNode(name="g") as g:
        a = one(name="a")
        branch = Branch("route").if_(a["y"] > 1, "alarm").otherwise(END)  # <-
        a >> branch
    return g


@mistakes.plant("g/route", says=("'END'",), mend=("END without quotes",), target=END)
def end_as_a_text(target="END"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=target, inputs=SCORE)  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("route", "its own target"), mend=("WhileLoopNode",))
def a_branch_to_itself():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "route"}, default="low", inputs=SCORE)  # <-
        one(name="low")
    return g


@mistakes.plant("g/route", says=("'high'", "inner"))
def a_target_in_a_nested_graph():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=END, inputs=SCORE)  # <-
        with GraphNode(name="inner"):
            one(name="high")
    return g


@mistakes.plant("g/route", says=("high", "inner"))
def a_target_in_a_nested_graph_by_its_handle():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with GraphNode(name="inner"):
            high = one(name="high")
        Branch("route").if_(a["y"] > 1, high).otherwise(END)  # <-
    return g


@mistakes.plant("g/inner/route", says=("'high'",))
def a_target_in_the_graph_around():
    with GraphNode(name="g") as g:
        one(name="high")
        with GraphNode(name="inner", inputs=SCORE):
            BranchNode(name="route", cases={"score >= 90": "high"}, default=END, inputs=SCORE)  # <-
            one(name="low")
    return g


@mistakes.plant("g/route", says=("high", "first", "function"))
def a_target_of_another_graph():
    with GraphNode(name="first"):
        high = one(name="high")
    with GraphNode(name="g") as g:
        a = one(name="a")
        Branch("route").if_(a["y"] > 1, high).otherwise(END)  # <-
    return g


@mistakes.plant("g", "g/a", "g/route", says=("a", "route", ">>"))
def a_target_that_is_ordered_before_its_branch():
    with GraphNode(name="g") as g:
        a = one(name="a")  # <-
        branch = BranchNode(name="route", cases={"score >= 90": "a"}, default=END, inputs=SCORE)  # <-
        a >> branch
    return g


@mistakes.plant("g", "g/a", "g/route", says=("a", "route"))
def a_target_whose_output_its_branch_reads():
    with GraphNode(name="g") as g:
        a = one(name="a")  # <-
        Branch("route").if_(a["y"] > 1, a).otherwise(END)  # <-
    return g


@mistakes.plant("g", "g/retry", "g/route", "g/work", says=("route", "work", "retry"), mend=("WhileLoopNode",))
def a_way_back():
    """What looks like a loop to whoever comes from engines with state."""
    with GraphNode(name="g") as g:
        work = one(name="work")  # <-
        branch = Branch("route").if_(work["y"] < 3, "retry").otherwise(END)  # <-
        retry = one(name="retry")  # <-
        work >> branch
        retry >> work
    return g


@mistakes.plant("g/route", says=("cases",))
def a_branch_without_cases():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={}, default="a")  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("if_",), mend=("if_(",))
def a_branch_that_is_never_finished():
    with GraphNode(name="g") as g:
        one(name="a")
        Branch("route").otherwise("a")  # <-
    return g


@mistakes.plant("g/route", says=("two defaults",))
def two_defaults():
    with GraphNode(name="g") as g:
        Branch("route").if_(PARENT["x"] > 1, "a").otherwise("b").otherwise("a")  # <-
        one(name="a")
        one(name="b")
    return g


# --- inputs ------------------------------------------------------------------------------------------------------


@mistakes.plant("g/route", says=("'socre'", "score"), mend=("score",), name="score")
def a_misspelt_name_in_a_condition(name="socre"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"{name} >= 90": "high"}, default=END, inputs=SCORE)  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("'score'",), mend=("inputs=", '"score"'), inputs=SCORE)
def a_condition_without_inputs(inputs=None):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=END, inputs=inputs)  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("'kind'",), more={})
def an_input_that_no_condition_reads(more=None):
    more = {"kind": PARENT["kind"]} if more is None else more
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=END, inputs={**SCORE, **more})  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("Each", "score", "MapNode"))
def each_in_a_branch():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "high"}, default=END, inputs={"score": Each([1])})  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("'z'", "a", "y"))
def a_misspelt_key_in_an_input():
    with GraphNode(name="g") as g:
        a = one(name="a")
        BranchNode(name="route", cases={"score > 9": "high"}, default=END, inputs={"score": a["z"]})  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("'z'", "a", "y"))
def a_misspelt_key_in_a_condition():
    with GraphNode(name="g") as g:
        a = one(name="a")
        Branch("route").if_(a["z"] > 9, "high").otherwise(END)  # <-
        one(name="high")
    return g


@mistakes.plant("g/inner", "g/inner/route", says=('PARENT["kind"]', "inner"))
def a_key_of_parent_that_the_graph_is_not_given():
    with GraphNode(name="g") as g, GraphNode(name="inner"):
        Branch("route").if_(PARENT["kind"] == "x", "high").otherwise(END)  # <-
        one(name="high")
    return g


@mistakes.plant("g/route", says=("a", "first", "function"))
def a_condition_over_a_node_of_another_graph():
    with GraphNode(name="first"):
        a = one(name="a")
    with GraphNode(name="g") as g:
        one(name="high")
        Branch("route").if_(a["y"] > 1, "high").otherwise(END)  # <-
    return g


@mistakes.plant("g/route", says=("a",), mend=('a["',))
def a_node_in_place_of_its_key():
    with GraphNode(name="g") as g:
        a = one(name="a")
        BranchNode(name="route", cases={"score > 9": "high"}, default=END, inputs={"score": a})  # <-
        one(name="high")
    return g


@mistakes.plant("g/n", says=("'traget'", "target"), mend=("target",), key="target")
def a_misspelt_output_of_a_branch(key="traget"):
    with GraphNode(name="g") as g:
        branch = route()
        one(name="high")
        one(name="low")
        one(name="n", inputs={"x": branch[key]})  # <-
    return g


@mistakes.plant("g/route", says=("'score'", "target", "matched"))
def an_input_of_a_branch_that_is_written_as_an_output():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "n"}, default=END, inputs=SCORE, outputs={"score": PARENT})  # <-
        one(name="n")
    return g


# --- START -------------------------------------------------------------------------------------------------------


@mistakes.plant("g/route", says=("route", "START"), mend=("START >> route",), reached=True)
def a_branch_that_start_does_not_reach(reached=False):
    """Its targets are reached by mending that."""
    with GraphNode(name="g") as g:
        a = one(name="a")
        branch = BranchNode(name="route", cases={"score > 9": "high"}, default="low", inputs=SCORE)  # <-
        one(name="high")
        one(name="low")
        START >> a
        if reached:
            START >> branch
    return g


@mistakes.plant("g/n", says=("n", "START"), mend=("START >> n",))
def a_node_beside_a_branch_that_start_does_not_reach():
    with GraphNode(name="g") as g:
        branch = route()
        one(name="high")
        one(name="low")
        one(name="n")  # <-
        START >> branch
    return g


# --- what could never run ----------------------------------------------------------------------------------------


@mistakes.plant("g/join", says=("high", "low", "route"))
def a_node_that_reads_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        both(name="join", inputs={"left": high["y"], "right": low["y"]})  # <-
    return g


@mistakes.plant("g/join", says=("high", "low", "route"))
def a_node_that_reads_both_arms_in_one_literal_operation():
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        need(name="join", inputs={"x": high["y"] + low["y"]})  # <-
    return g


@mistakes.plant("g/join", says=("more", "less", "route"), mend=("[more, less] >> join",))
def a_node_that_reads_what_lies_further_down_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        more, less = one(name="more"), one(name="less")
        high >> more
        low >> less
        both(name="join", inputs={"left": more["y"], "right": less["y"]})  # <-
    return g


@mistakes.plant("g/inner", "g/inner/n", says=("high", "low", "route"))
def a_container_whose_inside_reads_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        with GraphNode(name="inner"):  # <-
            both(name="n", inputs={"left": high["y"], "right": low["y"]})  # <-
    return g


@mistakes.plant("g/second", says=("high", "low", "route"))
def a_branch_that_reads_both_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        Branch("second").if_(high["y"] > low["y"], "n").otherwise(END)  # <-
        one(name="n")
    return g


# --- PARENT ------------------------------------------------------------------------------------------------------


@mistakes.plant("g", "g/high", "g/more", says=("high", "more", '"y"'), mend=("high >> more",), ordered=True)
def a_writer_on_an_arm_and_one_after_the_branch(ordered=False):
    with GraphNode(name="g") as g:
        branch = route()
        high = one(name="high", outputs=PARENT)  # <-
        one(name="low")
        more = one(name="more", inputs={"x": branch["target"]}, outputs=PARENT)  # <-
        if ordered:
            high >> more
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", '"y"'), mend=("a >> b",), ordered=True)
def two_writers_after_one_target(ordered=False):
    with GraphNode(name="g") as g:
        route()
        high = one(name="high")
        one(name="low", outputs=PARENT)
        a = one(name="a", outputs=PARENT)  # <-
        b = one(name="b", outputs=PARENT)  # <-
        high >> [a, b]
        if ordered:
            a >> b
    return g


@mistakes.plant("g", "g/a", "g/high", says=("a", "high", '"y"'))
def a_writer_on_an_arm_and_one_beside_the_branch():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "high"}, default=END, inputs=SCORE)
        one(name="high", outputs=PARENT)  # <-
        one(name="a", outputs=PARENT)  # <-
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", '"y"'))
def writers_on_arms_of_two_branches():
    """Both may be chosen."""
    with GraphNode(name="g") as g:
        BranchNode(name="first", cases={"score > 9": "a"}, default=END, inputs=SCORE)
        BranchNode(name="second", cases={"score > 8": "b"}, default=END, inputs=SCORE)
        one(name="a", outputs=PARENT)  # <-
        one(name="b", outputs=PARENT)  # <-
    return g


@mistakes.plant("g", "g/high", "g/r", says=("high", "r", '"k"'), mend=("high >> r",))
def a_reader_beside_a_writer_on_an_arm():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": "high"}, default=END, inputs=SCORE)
        one(name="high", outputs={"y": PARENT["k"]})  # <-
        one(name="r", inputs={"x": PARENT["k"]})  # <-
    return g


@mistakes.plant("g/m", "g/m/a", "g/m/b", says=("a", "b", '"y"'))
def two_writers_on_one_arm_in_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):
        BranchNode(name="route", cases={"i > 0": "high"}, default=END, inputs={"i": PARENT["i"]})
        high = one(name="high")
        a = one(name="a", outputs=PARENT)  # <-
        b = one(name="b", outputs=PARENT)  # <-
        high >> [a, b]
    return g


@mistakes.plant("g", "g/join", "g/low", says=("join", "low", '"y"'), mend=("low >> join",), ordered=True)
def a_join_of_one_arm_that_writes_beside_what_follows_both(ordered=False):
    with GraphNode(name="g") as g:
        branch = route()
        high, low = one(name="high"), one(name="low", outputs=PARENT)  # <-
        join = one(name="join", outputs=PARENT)  # <-
        [high, branch] >> join
        if ordered:
            low >> join
    return g


@mistakes.plant("g/join", says=("high", "low", "route"), mend=("[high, low] >> join",), joined=True)
def a_join_that_only_reads(joined=False):
    """What was skipped is read as the default once the join has edges."""
    with GraphNode(name="g") as g:
        route()
        high, low = one(name="high"), one(name="low")
        join = both(name="join", inputs={"left": high["y"], "right": low["y"]})  # <-
        if joined:
            [high, low] >> join
    return g
