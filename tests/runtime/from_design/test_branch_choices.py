"""Which target a branch chooses, how it is written, and what it says when it cannot choose."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, Branch, BranchNode, CodeNode, GraphError, GraphNode, Hush, HushError
from runtime.from_design.authored import const, error_of, ran_and_skipped, result_of


def graded(cases, inputs=None, **options):
    """A branch over ``score`` with the targets high, middle and low, which write ``grade``."""
    with GraphNode(name="g") as graph:
        router = BranchNode(name="router", cases=cases, inputs=inputs or {"score": PARENT["score"]}, **options)
        arms = [const(name) for name in ("high", "middle", "low")]
        for arm in arms:
            arm["v"] >> PARENT["grade"]
        router["target"] >> PARENT["target"]
        router["matched"] >> PARENT["matched"]
        START >> router >> arms
        arms >> END
    return graph


GRADES = {"score >= 90": "high", "score >= 50": "middle"}


@pytest.mark.parametrize(
    ("score", "grade", "matched"),
    [(95, "high", "score >= 90"), (90, "high", "score >= 90"), (50, "middle", "score >= 50"), (0, "low", "default")],
)
def test_the_first_true_case_wins_and_matched_is_the_condition_as_written(score, grade, matched):
    result = result_of(graded(GRADES, default="low"), {"score": score})
    assert result == {"grade": grade, "target": grade, "matched": matched}


def test_cases_are_tried_in_the_order_in_which_they_are_written():
    other_way_round = {"score >= 50": "middle", "score >= 90": "high"}
    assert result_of(graded(other_way_round, default="low"), {"score": 95})["grade"] == "middle"


def test_later_cases_are_not_tried_once_one_was_true():
    cases = {"score is None or score == 1": "high", "score / 0 > 1": "middle"}
    assert result_of(graded(cases, default="low"), {"score": 1})["grade"] == "high"


def test_odd_spacing_is_kept_in_matched():
    result = result_of(graded({"score   >=90": "high", "True": "middle"}, default="low"), {"score": 91})
    assert result["matched"] == "score   >=90"


def test_no_match_and_no_default_is_an_error_that_names_the_branch_and_what_to_do():
    with GraphNode(name="g") as graph:
        BranchNode(name="router", cases={"score >= 90": "high"}, inputs={"score": PARENT["score"]})
        const("high")
    error = error_of(graph, {"score": 3})
    assert isinstance(error, HushError)
    assert error.hush.path == "g/router"
    assert "router" in str(error)
    assert "default" in str(error)


def test_with_the_default_end_no_target_runs_and_the_run_is_right():
    with GraphNode(name="g") as graph:
        router = BranchNode(
            name="router", cases={"score >= 90": "high"}, default=END, inputs={"score": PARENT["score"]}
        )
        const("high", outputs={"v": PARENT["v"]})
        router["matched"] >> PARENT["matched"]
    result = result_of(graph, {"score": 3})
    assert (dict(result), result.status) == ({"v": None, "matched": None}, "ok")
    assert result_of(graph, {"score": 93})["v"] == "high"


def test_a_case_may_choose_end_too():
    with GraphNode(name="g") as graph:
        BranchNode(name="router", cases={"score > 9": END}, default="low", inputs={"score": PARENT["score"]})
        const("low", outputs={"v": PARENT["v"]})
    assert result_of(graph, {"score": 10}) == {"v": None}
    assert result_of(graph, {"score": 1}) == {"v": "low"}


def test_targets_are_nodes_or_names_alike():
    with GraphNode(name="g") as graph:
        high, low = const("high"), const("low")
        router = BranchNode(
            name="router", cases={"x > 0": high, "x == 0": "zero"}, default=low, inputs={"x": PARENT["x"]}
        )
        const("zero")
        router["target"] >> PARENT["target"]
    assert [result_of(graph, {"x": x})["target"] for x in (1, 0, -1)] == ["high", "zero", "low"]
    assert ran_and_skipped(graph, {"x": 0}) == ({"router", "zero"}, {"high", "low"})


def test_several_cases_may_share_one_target():
    cases = {"score == 1": "high", "score == 2": "high", "score == 3": "middle", "score == 9": "low"}
    graph = graded(cases, default="high")
    found = [result_of(graph, {"score": score}) for score in (1, 2, 3, 4)]
    assert [one["grade"] for one in found] == ["high", "high", "middle", "high"]
    assert [one["matched"] for one in found] == ["score == 1", "score == 2", "score == 3", "default"]


def test_a_condition_that_raises_fails_the_branch_with_the_exception_itself():
    error = error_of(graded(GRADES, default="low"), {"score": "ninety"})
    assert isinstance(error, TypeError)
    assert error.hush.path == "g/router"
    assert any("score >= 90" in note for note in error.__notes__), error.__notes__


def test_a_branch_that_failed_may_be_handled_like_any_node():
    with GraphNode(name="g") as graph:
        router = BranchNode(name="router", cases={"x > 1": "a"}, default="b", inputs={"x": PARENT["x"]})
        const("a")
        const("b")
        CodeNode(
            name="told",
            code_fn=lambda error: {"why": type(error).__name__},
            inputs={"error": router["error"]},
            outputs=PARENT,
        )
    assert result_of(graph, {"x": None}) == {"why": "TypeError"}
    assert result_of(graph, {"x": 5}) == {"why": "NoneType"}


def test_inputs_are_references_expressions_and_literals():
    with GraphNode(name="g") as graph:
        made = const("made", {"words": [" Go ", "stop"]})
        router = BranchNode(
            name="router",
            cases={"first == wanted and count + extra == 5": "yes"},
            default="no",
            inputs={
                "first": made["v"]["words"][0].strip().lower(),
                "count": PARENT["n"] * 2,
                "extra": 1,
                "wanted": "go",
            },
        )
        const("yes")
        const("no")
        router["target"] >> PARENT["target"]
    assert [result_of(graph, {"n": n})["target"] for n in (2, 3)] == ["yes", "no"]


def test_a_star_feeds_every_name_that_the_conditions_use_and_that_is_not_listed():
    with GraphNode(name="g") as graph:
        router = BranchNode(
            name="router", cases={"a > b": "yes"}, default="no", inputs={"*": PARENT, "b": PARENT["limit"]}
        )
        const("yes")
        const("no")
        router["target"] >> PARENT["target"]
    assert result_of(graph, {"a": 3, "limit": 2})["target"] == "yes"
    assert result_of(graph, {"a": 1, "limit": 2})["target"] == "no"


def test_a_star_over_a_node_feeds_the_names_too():
    with GraphNode(name="g") as graph:
        made = CodeNode(name="made", code_fn=lambda x: {"a": x, "b": 2, "c": 3}, inputs={"x": PARENT["x"]})
        router = BranchNode(name="router", cases={"a > b": "yes"}, default="no", inputs={"*": made})
        const("yes")
        const("no")
        router["target"] >> PARENT["target"]
    assert [result_of(graph, {"x": x})["target"] for x in (1, 3)] == ["no", "yes"]


def test_run_alone_it_takes_the_names_from_the_call_and_its_targets_need_not_exist():
    branch = BranchNode(name="router", cases=GRADES, default="low")
    assert branch(score=85) == {"target": "middle", "matched": "score >= 50"}
    assert branch(score=20) == {"target": "low", "matched": "default"}


def test_run_alone_its_literals_stay_and_keywords_replace_its_inputs():
    branch = BranchNode(name="r", cases={"a > b": "x"}, default="y", inputs={"a": PARENT["a"], "b": 10})
    assert branch(a=11)["target"] == "x"
    assert branch(a=11, b=12)["target"] == "y"


def test_run_alone_without_a_match_it_raises():
    with pytest.raises(HushError, match="default"):
        BranchNode(name="router", cases=GRADES)(score=1)


@pytest.mark.parametrize(
    ("cases", "inputs", "words"),
    [
        ({"score >= 90": "high"}, {"score": PARENT["score"], "unread": 1}, ["unread"]),
        ({"scor >= 90": "high"}, {"score": PARENT["score"]}, ["scor", "score"]),
        ({"score >= 90": "hihg"}, {"score": PARENT["score"]}, ["hihg", "high"]),
    ],
)
def test_what_is_misspelt_or_not_needed_is_found_before_anything_runs(cases, inputs, words):
    with pytest.raises(GraphError) as caught:
        Hush(graded(cases, inputs, default="low"))
    for word in [*words, "router"]:
        assert word in str(caught.value)


def test_a_fluent_branch_chooses_like_any_other():
    with GraphNode(name="g") as graph:
        made = CodeNode(name="made", code_fn=lambda x: {"kind": x}, inputs={"x": PARENT["x"]})
        router = (
            Branch("router")
            .if_(made["kind"] == "x", "a")
            .if_(made["kind"].in_(["y", "z"]) & (PARENT["x"] != "z"), "b")
            .otherwise("c")
        )
        for name in "abc":
            const(name, outputs={"v": PARENT["v"]})
        router["target"] >> PARENT["target"]
        router["matched"] >> PARENT["matched"]
    found = [result_of(graph, {"x": x}) for x in "xyz"]
    assert [one["v"] for one in found] == [one["target"] for one in found] == ["a", "b", "c"]
    assert "kind" in found[0]["matched"]
    assert "'x'" in found[0]["matched"]
    assert found[2]["matched"] == "default"


def test_a_fluent_branch_may_choose_nodes_and_end():
    with GraphNode(name="g") as graph:
        a = const("a", outputs={"v": PARENT["v"]})
        Branch("router").if_(PARENT["x"] > 1, a).otherwise(END)
    assert [result_of(graph, {"x": x})["v"] for x in (2, 1)] == ["a", None]


def test_a_fluent_branch_without_otherwise_raises_when_nothing_matches():
    with GraphNode(name="g") as graph:
        Branch("router").if_(PARENT["x"] > 1, "a")
        const("a")
    error = error_of(graph, {"x": 0})
    assert error.hush.path == "g/router"
    assert "otherwise" in str(error) or "default" in str(error)


def test_a_branch_without_a_name_is_called_after_its_kind():
    with GraphNode(name="g") as graph:
        BranchNode(cases={"x": "a"}, default=END, inputs={"x": PARENT["x"]})
        BranchNode(cases={"x": "a"}, default=END, inputs={"x": PARENT["x"]})
        const("a")
    assert ran_and_skipped(graph, {"x": 1})[0] == {"branch", "branch_2", "a"}


def test_a_condition_that_gives_a_coroutine_is_an_error_and_not_true():
    async def ask(x):
        return False

    with GraphNode(name="g") as graph:
        Branch("router").if_(PARENT["x"].apply(lambda x: ask(x)), "a").otherwise(END)
        const("a")
    error = error_of(graph, {"x": 0})
    assert isinstance(error, HushError)
    assert "Await it" in str(error)
    assert error.hush.path == "g/router"
