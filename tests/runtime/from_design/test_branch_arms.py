"""What comes after a branch: arms, chains that are skipped, joins, and what is read from nodes that did not run."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from hush.core import (
    END,
    PARENT,
    START,
    BranchNode,
    CodeNode,
    Each,
    GraphError,
    GraphNode,
    Hush,
    MapNode,
    WhileLoopNode,
)
from kit.faults import Boom
from runtime.from_design.authored import const, error_of, ran_and_skipped, result_of


def router(cases=None, default="b", name="router", **options):
    return BranchNode(name=name, cases=cases or {"x > 0": "a"}, default=default, inputs={"x": PARENT["x"]}, **options)


def told(name="sink", **inputs):
    """A node that writes what it is given as ``got``; without a default for any of it."""
    names = ", ".join(inputs)
    fn = eval(f"lambda {names}: {{'got': ({names},)}}")
    return CodeNode(name=name, code_fn=fn, inputs=inputs, outputs={"got": PARENT["got"]})


def test_a_join_after_a_branch_needs_no_special_edge():
    with GraphNode(name="g") as graph:
        choice = router()
        a, b = const("a"), const("b")
        join = told(left=a["v"], right=b["v"])
        START >> choice >> [a, b] >> join >> END
    assert result_of(graph, {"x": 1}) == {"got": ("a", None)}
    assert result_of(graph, {"x": 0}) == {"got": (None, "b")}


def test_a_join_gives_the_parameters_own_default_for_what_was_skipped():
    with GraphNode(name="g") as graph:
        router()
        a, b = const("a"), const("b")
        join = CodeNode(
            name="join",
            code_fn=lambda left="no left", right="no right": {"got": (left, right)},
            inputs={"left": a["v"].upper(), "right": b["v"] + "!"},
            outputs=PARENT,
        )
        [a, b] >> join
    assert result_of(graph, {"x": 1}) == {"got": ("A", "no right")}
    assert result_of(graph, {"x": 0}) == {"got": ("no left", "b!")}


def test_a_reader_without_edges_is_skipped_with_what_it_reads_unless_its_parameter_has_a_default():
    with GraphNode(name="g") as graph:
        router()
        a, b = const("a"), const("b")
        told("needs", v=a["v"])
        CodeNode(name="can_do", code_fn=lambda v=7: {"done": v}, inputs={"v": a["v"]}, outputs=PARENT)
        b["v"] >> PARENT["b"]
    assert result_of(graph, {"x": 1}) == {"got": ("a",), "done": "a", "b": None}
    assert result_of(graph, {"x": 0}) == {"got": None, "done": 7, "b": "b"}
    assert ran_and_skipped(graph, {"x": 0}) == ({"router", "b", "can_do"}, {"a", "needs"})


def test_one_reference_that_is_not_forgiven_is_enough_to_be_skipped():
    with GraphNode(name="g") as graph:
        router()
        a, b = const("a"), const("b")
        CodeNode(name="sink", code_fn=lambda p, q=1: {"got": (p, q)}, inputs={"p": a["v"], "q": b["v"]}, outputs=PARENT)
    assert result_of(graph, {"x": 1}) == {"got": ("a", 1)}
    assert result_of(graph, {"x": 0}) == {"got": None}


def test_a_chain_after_a_target_that_was_not_chosen_is_skipped_to_its_end():
    with GraphNode(name="g") as graph:
        choice = router()
        a, b = const("a"), const("b")
        chain = [const(f"c{number}") for number in range(20)]
        START >> choice
        a >> chain[0]
        for one, two in itertools.pairwise(chain):
            one >> two
        last = const("last", outputs={"v": PARENT["v"]})
        chain[-1] >> last
        b >> last
    ran, skipped = ran_and_skipped(graph, {"x": 0})
    assert ran == {"router", "b", "last"}
    assert skipped == {"a"} | {f"c{number}" for number in range(20)}
    assert "c19" in ran_and_skipped(graph, {"x": 1})[0]


def test_a_node_without_edges_and_references_runs_whatever_is_chosen():
    with GraphNode(name="g") as graph:
        router()
        const("a")
        const("b")
        const("alone", outputs={"v": PARENT["v"]})
    assert result_of(graph, {"x": 0}) == {"v": "alone"}


def test_an_edge_from_a_branch_to_a_node_that_is_no_target_is_live():
    with GraphNode(name="g") as graph:
        choice = router()
        const("a")
        const("b")
        log = const("log", outputs={"v": PARENT["v"]})
        START >> choice >> log
    assert [result_of(graph, {"x": x})["v"] for x in (0, 1)] == ["log", "log"]


def test_other_edges_into_a_target_only_order_it():
    order = []

    async def slow():
        await asyncio.sleep(5)
        order.append("slow")

    with GraphNode(name="g") as graph:
        choice = router()
        before = CodeNode(name="slow", code_fn=slow)
        a = CodeNode(name="a", code_fn=lambda: order.append("a"))
        const("b")
        START >> [choice, before]
        before >> a
    assert "a" in ran_and_skipped(graph, {"x": 1})[0]
    assert order == ["slow", "a"]
    assert "a" in ran_and_skipped(graph, {"x": 0})[1], "a live edge does not choose it"


def test_a_dead_edge_into_a_chosen_target_does_not_skip_it():
    with GraphNode(name="g") as graph:
        router({"x > 0": "a"}, default="b", name="first")
        a, _ = const("a"), const("b")
        router({"x < 9": "c"}, default="d", name="second")
        c, _ = const("c", outputs={"v": PARENT["v"]}), const("d")
        a >> c
    assert result_of(graph, {"x": 0}) == {"v": "c"}, "a was skipped, and the second branch chose c"
    assert ran_and_skipped(graph, {"x": 0}) == ({"first", "second", "b", "c"}, {"a", "d"})


def test_a_chosen_target_that_reads_a_skipped_node_runs_with_none():
    with GraphNode(name="g") as graph:
        router({"x > 0": "a"}, default="b", name="first")
        a, _ = const("a"), const("b")
        router({"x < 9": "c"}, default="d", name="second")
        told("c", v=a["v"])
        const("d")
    assert [result_of(graph, {"x": x})["got"] for x in (0, 1)] == [(None,), ("a",)]


def test_a_target_of_two_branches_runs_if_either_chose_it():
    with GraphNode(name="g") as graph:
        first = router({"x > 0": "shared"}, default=END, name="first")
        second = router({"x > 5 or x == -1": "shared"}, default=END, name="second")
        const("shared", outputs={"v": PARENT["v"]})
        START >> [first, second]
    assert [result_of(graph, {"x": x})["v"] for x in (0, 1, 9, -1)] == [None, "shared", "shared", "shared"]


def test_a_branch_may_be_the_target_of_another():
    with GraphNode(name="g") as graph:
        router({"x > 0": "inner"}, default="none", name="outer")
        inner = router({"x > 10": "many"}, default="few", name="inner")
        arms = [const(name) for name in ("none", "many", "few")]
        for arm in arms:
            arm["v"] >> PARENT["v"]
        inner["matched"] >> PARENT["matched"]
    assert result_of(graph, {"x": 0}) == {"v": "none", "matched": None}
    assert result_of(graph, {"x": 3}) == {"v": "few", "matched": "default"}
    assert result_of(graph, {"x": 30}) == {"v": "many", "matched": "x > 10"}
    assert ran_and_skipped(graph, {"x": 0}) == ({"outer", "none"}, {"inner", "many", "few"})


def test_branches_nested_ten_deep_choose_one_path():
    with GraphNode(name="g") as graph:
        for depth in range(10):
            after = f"r{depth + 1}" if depth < 9 else "bottom"
            router({f"x == {depth}": f"leaf{depth}"}, default=after, name=f"r{depth}")
            const(f"leaf{depth}", outputs={"v": PARENT["v"]})
        const("bottom", outputs={"v": PARENT["v"]})
    assert [result_of(graph, {"x": x})["v"] for x in (0, 5, 9, 99)] == ["leaf0", "leaf5", "leaf9", "bottom"]


def test_an_arm_may_be_a_whole_graph_and_what_it_holds_is_skipped_with_it():
    with GraphNode(name="g") as graph:
        router()
        with GraphNode(name="a") as a:
            const("inner", outputs={"v": PARENT["v"]})
        const("b")
        a["v"] >> PARENT["v"]
    assert [result_of(graph, {"x": x})["v"] for x in (1, 0)] == ["inner", None]
    ran, skipped = ran_and_skipped(graph, {"x": 0})
    assert "a" in skipped
    assert "inner" not in ran


def test_an_arm_may_be_a_map_and_what_reads_its_columns_is_treated_as_after_any_skipped_node():
    with GraphNode(name="g") as graph:
        choice = router()
        with MapNode(name="a", inputs={"i": Each([1, 2])}) as a:
            CodeNode(name="n", code_fn=lambda i: {"o": i * 10}, inputs={"i": PARENT["i"]}, outputs=PARENT)
        b = const("b")
        join = told(column=a["o"], errors=a["error"], b=b["v"])
        START >> choice >> [a, b] >> join
    assert result_of(graph, {"x": 1}) == {"got": ([10, 20], [None, None], None)}
    assert result_of(graph, {"x": 0}) == {"got": (None, None, "b")}


def test_a_branch_in_a_map_chooses_for_each_item():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
            choice = router()
            a, b = const("a"), const("b")
            CodeNode(
                name="join",
                code_fn=lambda x, left=None, right="-": {"joined": f"{x}{left}{right}"},
                inputs={"x": PARENT["x"], "left": a["v"], "right": b["v"]},
                outputs=PARENT,
            )
            a["v"] >> PARENT["only_a"]
            choice["target"] >> PARENT["target"]
        for key in ("joined", "only_a", "target", "error"):
            over[key] >> PARENT[key]
    assert result_of(graph, {"xs": [1, 0, 2]}) == {
        "joined": ["1a-", "0Noneb", "2a-"],
        "only_a": ["a", None, "a"],
        "target": ["a", "b", "a"],
        "error": [None, None, None],
    }


def test_a_branch_in_a_map_that_matches_nothing_fails_that_item_only():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
            BranchNode(name="router", cases={"x > 0": "a"}, inputs={"x": PARENT["x"]})
            const("a", outputs={"v": PARENT["v"]})
        over["v"] >> PARENT["v"]
    result = result_of(graph, {"xs": [1, 0, 2]})
    assert result == {"v": ["a", None, "a"]}
    assert [(error.hush.path, error.hush.item) for error in result.errors] == [("g/m/router", 1)]


def test_a_branch_in_a_loop_chooses_in_each_round():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": PARENT["n"], "path": ""}, stop_condition="n == 1") as loop:
            BranchNode(name="even", cases={"n % 2 == 0": "half"}, default="triple", inputs={"n": PARENT["n"]})
            CodeNode(
                name="half",
                code_fn=lambda n, path: {"n": n // 2, "path": path + "h"},
                inputs={"*": PARENT},
                outputs=PARENT,
            )
            CodeNode(
                name="triple",
                code_fn=lambda n, path: {"n": 3 * n + 1, "path": path + "t"},
                inputs={"*": PARENT},
                outputs=PARENT,
            )
        loop["path"] >> PARENT["path"]
    assert result_of(graph, {"n": 6}) == {"path": "hththhhh"}


def test_a_failing_arm_fails_the_run_and_one_that_is_not_chosen_cannot():
    def fail():
        raise Boom("a")

    with GraphNode(name="g") as graph:
        router()
        CodeNode(name="a", code_fn=fail)
        const("b", outputs={"v": PARENT["v"]})
    assert error_of(graph, {"x": 1}).hush.path == "g/a"
    assert result_of(graph, {"x": 0}) == {"v": "b"}


def test_an_arm_that_fails_and_is_collected_counts_as_run():
    def fail():
        raise Boom("a")

    with GraphNode(name="g") as graph:
        choice = router()
        a = CodeNode(name="a", code_fn=fail, on_error="collect")
        b = const("b")
        join = told(error=a["error"], b=b["v"])
        START >> choice >> [a, b] >> join
    error, b = result_of(graph, {"x": 1})["got"]
    assert (str(error), b) == ("a", None)
    assert result_of(graph, {"x": 0})["got"] == (None, "b")


def test_the_choice_may_be_read_like_any_output_and_then_only_orders():
    with GraphNode(name="g") as graph:
        choice = router()
        const("a")
        const("b")
        told(target=choice["target"], matched=choice["matched"])
    assert result_of(graph, {"x": 1}) == {"got": ("a", "x > 0")}


def test_reading_a_key_that_a_branch_does_not_give_is_found_before_anything_runs():
    with GraphNode(name="g") as graph:
        choice = router()
        const("a")
        const("b")
        told(v=choice["tarqet"])
    with pytest.raises(GraphError, match="target"):
        Hush(graph)


def test_a_target_that_lies_before_its_branch_is_a_circle():
    with GraphNode(name="g") as graph:
        a = const("a")
        BranchNode(name="router", cases={"v == 'a'": "a"}, default=END, inputs={"v": a["v"]})
    with pytest.raises(GraphError, match=r"a.*router|router.*a"):
        Hush(graph)


def test_a_target_in_another_graph_is_an_error_that_says_so():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            hidden = const("hidden")
        BranchNode(name="router", cases={"x > 0": hidden}, default=END, inputs={"x": PARENT["x"]})
    with pytest.raises(GraphError, match="hidden"):
        Hush(graph)
