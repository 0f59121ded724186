"""Right graphs that a hasty check would complain of: branches, and what their arms write."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, Branch, BranchNode, Each, GraphNode, MapNode, WhileLoopNode, code_node
from unit.checks.corpus import RightGraphs

graphs = RightGraphs()


@pytest.mark.parametrize("right", graphs, ids=str)
def test_a_right_graph_with_branches_raises_no_alarm_and_runs(right):
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


SCORE = {"score": PARENT["score"]}


def route(**more):
    """A branch to `high` and `low`."""
    return BranchNode(name="route", cases={"score >= 90": "high"}, default="low", inputs=SCORE, **more)


# --- targets -----------------------------------------------------------------------------------------------------


@graphs.keep({"y": "high"}, score=95)
def targets_by_the_names_of_nodes_made_later():
    with GraphNode(name="g") as g:
        route()
        say(name="high", inputs={"x": "high"}, outputs=PARENT)
        say(name="low", inputs={"x": "low"}, outputs=PARENT)
    return g


@graphs.keep({"y": "low"}, score=5)
def targets_that_are_nodes():
    with GraphNode(name="g") as g:
        high = say(name="high", inputs={"x": "high"}, outputs=PARENT)
        low = say(name="low", inputs={"x": "low"}, outputs=PARENT)
        Branch("route").if_(PARENT["score"] >= 90, high).otherwise(low)
    return g


@graphs.keep({"y": None}, score=5)
def nothing_for_a_default():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, default=END, inputs=SCORE)
        say(name="high", outputs=PARENT)
    return g


@graphs.keep({"y": "high"}, score=95)
def no_default_where_a_case_holds():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "high"}, inputs=SCORE)
        say(name="high", inputs={"x": "high"}, outputs=PARENT)
    return g


@graphs.keep({"y": None}, score=95)
def end_as_the_target_of_a_case():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": END}, default="low", inputs=SCORE)
        say(name="low", outputs=PARENT)
    return g


@graphs.keep({"y": "a"}, score=7)
def one_target_of_several_cases():
    with GraphNode(name="g") as g:
        cases = {"score > 9": "a", "score < 8": "a", "score == 8": "b"}
        BranchNode(name="route", cases=cases, default="b", inputs=SCORE)
        say(name="a", inputs={"x": "a"}, outputs=PARENT)
        say(name="b", inputs={"x": "b"}, outputs=PARENT)
    return g


@graphs.keep({"y": "a"}, score=1)
def one_target_of_two_branches():
    """It runs if either chose it."""
    with GraphNode(name="g") as g:
        BranchNode(name="first", cases={"score > 9": "a"}, default=END, inputs=SCORE)
        BranchNode(name="second", cases={"score < 2": "a"}, default=END, inputs=SCORE)
        say(name="a", inputs={"x": "a"}, outputs=PARENT)
    return g


@graphs.keep({"y": ["first", None]}, score=95)
def a_container_as_a_target():
    with GraphNode(name="g") as g:
        route()
        with GraphNode(name="high") as high:
            say(name="n", inputs={"x": "first"}, outputs=PARENT)
        low = say(name="low")
        join = pair(name="join", inputs={"left": high["y"], "right": low["y"]}, outputs=PARENT)
        [high, low] >> join
    return g


@graphs.keep({"y": "two"}, score=95)
def a_branch_as_the_target_of_a_branch():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "again"}, default=END, inputs=SCORE)
        BranchNode(name="again", cases={"score >= 99": "one"}, default="two", inputs=SCORE)
        say(name="one", inputs={"x": "one"}, outputs=PARENT)
        say(name="two", inputs={"x": "two"}, outputs=PARENT)
    return g


@graphs.keep({"y": "x"}, score=95)
def a_target_that_is_also_ordered_after_another_node():
    with GraphNode(name="g") as g:
        a = say(name="a")
        route()
        high = say(name="high", inputs={"x": "x"}, outputs=PARENT)
        say(name="low")
        a >> high
    return g


@graphs.keep({"y": "high"}, score=95)
def an_edge_to_a_target_beside_its_name():
    with GraphNode(name="g") as g:
        branch = route()
        high = say(name="high", inputs={"x": "high"}, outputs=PARENT)
        low = say(name="low")
        START >> branch >> [high, low] >> END
    return g


@graphs.keep({"y": "seen"}, score=5)
def an_edge_from_a_branch_to_what_is_no_target():
    with GraphNode(name="g") as g:
        branch = route()
        say(name="high")
        say(name="low")
        branch >> say(name="always", inputs={"x": "seen"}, outputs=PARENT)
    return g


@graphs.keep({"y": None}, score=5)
def a_target_that_reads_the_other():
    """Edges decide whether it runs, and a branch's choice is one: what was skipped is None."""
    with GraphNode(name="g") as g:
        route()
        high = say(name="high")
        need(name="low", inputs={"x": high["y"]}, outputs=PARENT)
    return g


# --- conditions --------------------------------------------------------------------------------------------------


@graphs.keep({"y": "yes"}, score=3, kind="a")
def a_condition_with_all_of_the_grammar():
    text = "not (score < 1 or score * 2 + 1 > 10) and kind in ['a', \"b\"] and len(kind) == 1 and kind[0] != 'c'"
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={text: "a"}, default=END, inputs={"*": PARENT})
        say(name="a", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, user={"age": 20})
def a_condition_that_looks_into_a_dict():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"user['age'] > 17": "a"}, default=END, inputs={"user": PARENT["user"]})
        say(name="a", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"})
def a_condition_of_literals():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"True": "a"}, default=END)
        say(name="a", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, x=None)
def a_condition_about_none():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x is None": "a"}, default=END, inputs={"x": PARENT["x"]})
        say(name="a", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, x="yes")
def an_input_called_default():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"default": "a"}, default=END, inputs={"default": PARENT["x"]})
        say(name="a", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "b"}, x=1)
def conditions_that_differ_in_a_text_only():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x == 'a b'": "a", "x != 'ab'": "b"}, default=END, inputs={"x": PARENT["x"]})
        say(name="a", inputs={"x": "a"}, outputs=PARENT)
        say(name="b", inputs={"x": "b"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, x=" A ")
def a_condition_with_what_is_done_to_a_reference():
    with GraphNode(name="g") as g:
        a = say(name="a", inputs={"x": PARENT["x"]})
        Branch("route").if_((a["y"].strip().lower() == "a") & (a["y"].apply(len) > 1), "b").otherwise(END)
        say(name="b", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, x=2)
def a_condition_that_compares_two_nodes():
    with GraphNode(name="g") as g:
        a, b = say(name="a", inputs={"x": PARENT["x"]}), say(name="b", inputs={"x": 1})
        Branch("route").if_(a["y"] > b["y"], "c").otherwise(END)
        say(name="c", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"}, x=2)
def text_and_references_in_one_branch():
    with GraphNode(name="g") as g:
        branch = Branch("route", inputs={"n": PARENT["x"]})
        branch.if_("n > 5", "a").if_(PARENT["x"] == 2, "b").otherwise(END)
        say(name="a", outputs=PARENT)
        say(name="b", inputs={"x": "yes"}, outputs=PARENT)
    return g


@graphs.keep({"y": "b"}, x=2)
def a_case_after_the_default():
    """The default is for when no case holds, wherever it is written."""
    with GraphNode(name="g") as g:
        Branch("route").otherwise("a").if_(PARENT["x"] == 2, "b")
        say(name="a", inputs={"x": "a"}, outputs=PARENT)
        say(name="b", inputs={"x": "b"}, outputs=PARENT)
    return g


@graphs.keep({"y": "yes"})
def a_condition_over_a_skipped_node():
    with GraphNode(name="g") as g:
        first = BranchNode(name="first", cases={"False": "a"}, default=END)
        a = say(name="a")
        branch = Branch("route").if_(a["y"] == None, "b").otherwise(END)  # noqa: E711  # recorded, not done
        say(name="b", inputs={"x": "yes"}, outputs=PARENT)
        START >> [first, branch]
    return g


@graphs.keep({"target": "low", "matched": "default"}, score=5)
def the_outputs_of_a_branch():
    with GraphNode(name="g") as g:
        route(outputs=PARENT)
        say(name="high")
        say(name="low")
    return g


@graphs.keep({"way": "high", "y": "high"}, score=95)
def what_was_chosen_read_by_a_node_after_the_branch():
    with GraphNode(name="g") as g:
        branch = route(outputs={"target": PARENT["way"]})
        say(name="high")
        say(name="low")
        say(name="n", inputs={"x": branch["target"]}, outputs=PARENT)
    return g


# --- START -------------------------------------------------------------------------------------------------------


@graphs.keep({"y": "high"}, score=95)
def start_that_reaches_targets_through_their_branch():
    with GraphNode(name="g") as g:
        branch = route()
        say(name="high", inputs={"x": "high"}, outputs=PARENT)
        say(name="low")
        START >> branch
    return g


@graphs.keep({"y": "d"})
def start_that_reaches_through_soft_edges_only():
    with GraphNode(name="g") as g:
        a, b = say(name="a"), say(name="b", inputs={"x": "d"}, outputs=PARENT)
        START >> a >> ~b
    return g


# --- PARENT from several arms ------------------------------------------------------------------------------------


@graphs.keep({"y": "deep"}, score=95)
def writers_further_down_different_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high"), say(name="low")
        more = say(name="more", inputs={"x": "deep"}, outputs=PARENT)
        less = say(name="less", outputs=PARENT)
        high >> more
        low >> less
    return g


@graphs.keep({"y": "b"}, score=95)
def writers_in_a_line_on_one_arm_and_one_on_the_other():
    with GraphNode(name="g") as g:
        route()
        a = say(name="high", inputs={"x": "a"}, outputs=PARENT)
        b = say(name="b", inputs={"x": "b"}, outputs=PARENT)
        say(name="low", inputs={"x": "low"}, outputs=PARENT)
        a >> b
    return g


@graphs.keep({"y": "join"}, score=95)
def a_writer_after_the_writers_on_the_arms():
    with GraphNode(name="g") as g:
        route()
        high, low = say(name="high", outputs=PARENT), say(name="low", outputs=PARENT)
        [high, low] >> say(name="join", inputs={"x": "join"}, outputs=PARENT)
    return g


@graphs.keep({"k": "high", "y": "high"}, score=95)
def a_reader_after_the_writers_on_the_arms():
    with GraphNode(name="g") as g:
        route()
        high = say(name="high", inputs={"x": "high"}, outputs={"y": PARENT["k"]})
        low = say(name="low", inputs={"x": "low"}, outputs={"y": PARENT["k"]})
        [high, low] >> need(name="join", inputs={"x": PARENT["k"]}, outputs=PARENT)
    return g


@graphs.keep({"k": "new", "y": None}, score=95, k="old")
def a_reader_on_the_other_arm():
    """It reads what the run gave, and it is skipped here."""
    with GraphNode(name="g") as g:
        route()
        say(name="high", inputs={"x": "new"}, outputs={"y": PARENT["k"]})
        need(name="low", inputs={"x": PARENT["k"]}, outputs=PARENT)
    return g


@graphs.keep({"y": "second"}, score=95)
def writers_on_arms_of_a_branch_on_an_arm():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score >= 90": "again"}, default="third", inputs=SCORE)
        BranchNode(name="again", cases={"score >= 99": "first"}, default="second", inputs=SCORE)
        for name in ("first", "second", "third"):
            say(name=name, inputs={"x": name}, outputs=PARENT)
    return g


@graphs.keep({"y": ["high", "low"]}, scores=[95, 5])
def writers_on_the_arms_of_a_branch_in_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"score": Each(PARENT["scores"])}, outputs={"y": PARENT}):
        route()
        say(name="high", inputs={"x": "high"}, outputs=PARENT)
        say(name="low", inputs={"x": "low"}, outputs=PARENT)
    return g


@graphs.keep({"n": 4})
def writers_on_the_arms_of_a_branch_in_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3, outputs=PARENT):
        BranchNode(name="route", cases={"n > 1": "one"}, default="two", inputs={"n": PARENT["n"]})
        need(name="one", inputs={"x": PARENT["n"] + 1})["y"] >> PARENT["n"]
        need(name="two", inputs={"x": PARENT["n"] + 2})["y"] >> PARENT["n"]
    return g


@graphs.keep({"y": "b"}, score=5)
def a_star_whose_keys_are_known_on_each_arm():
    with GraphNode(name="g") as g:
        route()
        say(name="high", inputs={"x": "a"}, outputs={"*": PARENT})
        say(name="low", inputs={"x": "b"}, outputs={"*": PARENT})
    return g
