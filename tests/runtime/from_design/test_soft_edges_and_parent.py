"""Soft edges, and `PARENT` written from several places: laws 3 and 6 of the design."""

from __future__ import annotations

import asyncio

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
    HushError,
    MapNode,
    WhileLoopNode,
)
from kit.faults import Boom
from runtime.from_design.authored import const, error_of, result_of
from runtime.observing import outcome, unknown


def after(seconds, name, fail=False):
    """A node that gives its name as ``v`` after so many seconds."""

    async def wait():
        await asyncio.sleep(seconds)
        if fail:
            raise Boom(name)
        return {"v": name}

    return CodeNode(name=name, code_fn=wait, inputs={})


def seen(fast, slow, **more):
    return CodeNode(
        name="first",
        code_fn=lambda fast="-", slow="-": {"got": (fast, slow)},
        inputs={"fast": fast["v"], "slow": slow["v"], **more},
        outputs=PARENT,
    )


def router(cases=None, default=END, name="router"):
    return BranchNode(name=name, cases=cases or {"x > 0": "a"}, default=default, inputs={"x": PARENT["x"]})


# ── Soft edges ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fast_first", [True, False])
def test_the_first_live_delivery_starts_the_target_and_what_has_not_arrived_reads_like_skipped(fast_first):
    with GraphNode(name="g") as graph:
        one, two = after(1, "fast"), after(9, "slow")
        join = seen(one, two)
        START >> [one, two]
        if fast_first:
            one >> ~join
            two >> ~join
        else:
            two >> ~join
            one >> ~join
    found = outcome(graph)
    assert found.result == {"got": ("fast", "-")}
    assert found.at_s == 9, "a late one runs on and is waited for"


def test_a_late_one_that_fails_is_an_ordinary_failure():
    with GraphNode(name="g") as graph:
        fast, slow = after(1, "fast"), after(9, "slow", fail=True)
        join = seen(fast, slow)
        fast >> ~join
        slow >> ~join
    found = outcome(graph)
    assert isinstance(found.error, Boom)
    assert found.at_s == 9
    assert found.error.hush.path == "g/slow"


def test_an_early_one_that_fails_is_one_too():
    with GraphNode(name="g") as graph:
        fast, slow = after(1, "fast", fail=True), after(9, "slow")
        join = seen(fast, slow)
        fast >> ~join
        slow >> ~join
    found = outcome(graph)
    assert (str(found.error), found.at_s) == ("fast", 1)


def test_a_dead_delivery_does_not_start_the_target_and_all_dead_skip_it():
    with GraphNode(name="g") as graph:
        choice = router({"x == 1": "a", "x == 2": "b"})
        a, b = const("a"), after(3, "b")
        join = CodeNode(
            name="join",
            code_fn=lambda a="-", b="-": {"got": (a, b)},
            inputs={"a": a["v"], "b": b["v"]},
            outputs=PARENT,
        )
        START >> choice
        a >> ~join
        b >> ~join
    assert [result_of(graph, {"x": x})["got"] for x in (1, 2, 3)] == [("a", "-"), ("-", "b"), None]


def test_hard_edges_beside_soft_ones_are_waited_for():
    with GraphNode(name="g") as graph:
        fast, slow, hard = after(1, "fast"), after(9, "slow"), after(5, "hard")
        join = seen(fast, slow)
        fast >> ~join
        slow >> ~join
        hard >> join
    assert result_of(graph)["got"] == ("fast", "-")


def test_references_to_other_nodes_beside_soft_edges_are_waited_for():
    with GraphNode(name="g") as graph:
        fast, slow, other = after(1, "fast"), after(5, "slow"), after(7, "other")
        join = CodeNode(
            name="join",
            code_fn=lambda other, slow="-": {"got": (other, slow)},
            inputs={"other": other["v"], "slow": slow["v"]},
            outputs=PARENT,
        )
        fast >> ~join
        slow >> ~join
    assert result_of(graph) == {"got": ("other", "slow")}, "by the seventh second the slow one has arrived"


def test_a_list_may_stand_before_a_soft_edge_and_a_soft_node_in_a_list():
    with GraphNode(name="g") as graph:
        fast, slow = after(1, "fast"), after(9, "slow")
        join = seen(fast, slow)
        other = CodeNode(name="other", code_fn=lambda v="-": {"o": v}, inputs={"v": slow["v"]}, outputs=PARENT)
        START >> [fast, slow] >> ~join >> END
        fast >> [~other]
        slow >> [~other]
    assert result_of(graph) == {"got": ("fast", "-"), "o": "-"}


@pytest.mark.parametrize(("x", "got"), [(1, ("a", "-")), (0, None)])
def test_soft_edges_into_a_target_only_order_it_like_others(x, got):
    with GraphNode(name="g") as graph:
        router({"x > 0": "join"})
        a, b = after(1, "a"), after(5, "b")
        join = CodeNode(
            name="join",
            code_fn=lambda a="-", b="-": {"got": (a, b)},
            inputs={"a": a["v"], "b": b["v"]},
            outputs=PARENT,
        )
        [a, b] >> ~join
    assert result_of(graph, {"x": x}) == {"got": got}


def test_each_item_of_a_map_has_a_race_of_its_own():
    async def wait(x):
        await asyncio.sleep(x)
        return {"v": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 5])}) as over:
            fast = CodeNode(name="fast", code_fn=wait, inputs={"x": PARENT["x"]})
            slow = CodeNode(name="slow", code_fn=wait, inputs={"x": 6 - PARENT["x"]})
            [fast, slow] >> ~seen(fast, slow)
        over["got"] >> PARENT["got"]
    assert result_of(graph) == {"got": [(1, "-"), ("-", 1)]}


def test_one_soft_edge_alone_is_a_plain_edge_that_gives_what_has_arrived():
    with GraphNode(name="g") as graph:
        only = after(3, "only")
        join = CodeNode(name="join", code_fn=lambda v="-": {"got": v}, inputs={"v": only["v"]}, outputs=PARENT)
        only >> ~join
    assert result_of(graph) == {"got": "only"}


def test_a_soft_edge_to_several_nodes_is_written_one_by_one():
    with GraphNode(name="g") as graph:
        fast, slow = after(1, "fast"), after(2, "slow")
        ends = [const(name, outputs={"v": PARENT[name]}) for name in ("e1", "e2")]
        START >> [fast, slow]
        for end in ends:
            fast >> ~end
            slow >> ~end
    assert result_of(graph) == {"e1": "e1", "e2": "e2"}


def test_greater_than_raises_and_tells_of_the_soft_edge():
    with pytest.raises(HushError, match="~"):
        with GraphNode(name="g"):
            a, b = const("a"), const("b")
            a > b


# ── PARENT written from several places ───────────────────────────────────────────────────────────────────────────────


def test_arms_of_one_branch_may_write_the_same_key():
    with GraphNode(name="g") as graph:
        router(default="b")
        const("a", outputs={"v": PARENT["out"]})
        const("b", outputs={"v": PARENT["out"]})
    assert [result_of(graph, {"x": x})["out"] for x in (1, 0)] == ["a", "b"]


def test_chains_on_different_arms_may_write_the_same_key_at_any_depth():
    with GraphNode(name="g") as graph:
        router(default="b")
        a, b = const("a"), const("b")
        a2, b2 = const("a2", outputs={"v": PARENT["out"]}), const("b2", outputs={"v": PARENT["out"]})
        a >> a2
        b >> b2
    assert [result_of(graph, {"x": x})["out"] for x in (1, 0)] == ["a2", "b2"]


def test_an_output_whose_writers_were_all_skipped_is_present_as_none():
    with GraphNode(name="g") as graph:
        router({"x == 1": "a", "x == 2": "b"})
        const("a", outputs={"v": PARENT["out"]})
        const("b", outputs={"v": PARENT["out"]})
    assert [result_of(graph, {"x": x}) for x in (1, 2, 3)] == [{"out": "a"}, {"out": "b"}, {"out": None}]


def test_parent_gives_what_the_nearest_earlier_writer_that_ran_wrote_else_the_input():
    with GraphNode(name="g") as graph:
        choice = router({"x == 1": "a", "x == 2": "b"})
        a, b = const("a", outputs={"v": PARENT["x"]}), const("b", outputs={"v": PARENT["x"]})
        b2 = const("b2", outputs={"v": PARENT["x"]})
        b >> b2
        last = CodeNode(name="last", code_fn=lambda x: {"got": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        choice >> last
        [a, b2] >> last
    assert [result_of(graph, {"x": x})["got"] for x in (1, 2, 3)] == ["a", "b2", 3]


def test_a_writer_that_also_reads_the_key_reads_what_was_there_before():
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda n: {"n": n * 10}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        one >> two
    assert result_of(graph, {"n": 1}) == {"n": 20}


def race(write):
    with GraphNode(name="g") as graph:
        write()
    return graph


@pytest.mark.parametrize(
    "write",
    [
        lambda: [const("a", outputs={"v": PARENT["k"]}), const("b", outputs={"v": PARENT["k"]})],
        lambda: [
            const("a", outputs={"v": PARENT["k"]}),
            CodeNode(name="b", code_fn=lambda k: {}, inputs={"k": PARENT["k"]}),
        ],
        lambda: [router(), const("a", outputs={"v": PARENT["k"]}), const("b", outputs={"v": PARENT["k"]})],
        lambda: [const("a")["v"] >> PARENT["k"], const("b")["v"] >> PARENT["k"]],
        lambda: [
            CodeNode(name="a", code_fn=lambda: {"k": 1}, outputs=PARENT),
            CodeNode(name="b", code_fn=lambda: {"k": 1}, outputs=PARENT),
        ],
    ],
)
def test_writers_and_readers_of_one_key_that_are_not_in_order_are_an_error_naming_both(write):
    with pytest.raises(GraphError) as caught:
        Hush(race(write))
    message = str(caught.value)
    assert "a and b" in message or "b and a" in message or "b reads" in message, message
    assert "'k'" in message or '"k"' in message


def test_the_order_that_the_error_proposes_does_not_go_against_a_soft_edge():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda k: {}, inputs={"k": PARENT["k"]})
        j = const("j", outputs={"v": PARENT["k"]})
        [a, const("b")] >> ~j
    (problem,) = graph.check()
    assert "a >> j" in problem.mend


def test_writers_on_one_arm_are_not_on_different_arms():
    with GraphNode(name="g") as graph:
        choice = router(default="end")
        a, _ = const("a"), const("end")
        one, two = const("one", outputs={"v": PARENT["k"]}), const("two", outputs={"v": PARENT["k"]})
        START >> choice
        a >> [one, two]
    with pytest.raises(GraphError, match="one"):
        Hush(graph)


def test_where_a_star_hides_the_keys_the_second_write_is_the_error_and_names_both():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=lambda: unknown(k=1), outputs={"*": PARENT})
        CodeNode(name="b", code_fn=lambda: unknown(k=2), outputs={"*": PARENT})
    error = error_of(graph)
    assert isinstance(error, HushError)
    for word in ("'k'", "a", "b"):
        assert word in str(error).replace('"', "'")


def test_stars_with_different_keys_do_not_race():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=lambda: unknown(k=1), outputs={"*": PARENT})
        CodeNode(name="b", code_fn=lambda: unknown(j=2), outputs={"*": PARENT})
    assert result_of(graph) == {"k": 1, "j": 2}


def test_stars_in_order_overwrite():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: unknown(k=1), outputs={"*": PARENT})
        b = CodeNode(name="b", code_fn=lambda: unknown(k=2), outputs={"*": PARENT})
        a >> b
    assert result_of(graph) == {"k": 2}


def test_a_star_never_carries_error_metrics_or_tags():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1])}, outputs={"*": PARENT}):
            CodeNode(name="n", code_fn=lambda x: {"o": x, "$tags": ["t"]}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert result_of(graph) == {"o": [1]}


def test_two_outputs_may_be_written_from_one_key_and_one_expression_each():
    with GraphNode(name="g") as graph:
        a = const("a", {"rows": [1, 2]})
        a["v"]["rows"][0] >> PARENT["first"]
        a["v"]["rows"][-1] + 1 >> PARENT["last"]
        a["v"] >> PARENT["all"]
    assert result_of(graph) == {"first": 1, "last": 3, "all": {"rows": [1, 2]}}


def test_a_write_of_an_expression_over_a_skipped_node_is_present_as_none():
    with GraphNode(name="g") as graph:
        router()
        a = const("a")
        a["v"].upper() >> PARENT["out"]
    assert [result_of(graph, {"x": x}) for x in (1, 0)] == [{"out": "A"}, {"out": None}]


def test_a_value_of_several_nodes_is_written_by_a_node_that_is_called_what_it_is():
    with GraphNode(name="g") as graph:
        a, b = const("a", 1), const("b", 2)
        a["v"] + b["v"] * PARENT["x"] >> PARENT["sum"]
    result = result_of(graph, {"x": 10}, keep=True)
    assert result == {"sum": 21}
    assert set(result.nodes) == {"g/a", "g/b", "g/computed"}


def test_computed_writes_on_different_arms_may_go_to_one_key():
    with GraphNode(name="g") as graph:
        router(default="b")
        a, b, c = const("a", 1), const("b", 2), const("c", 10)
        a["v"] + c["v"] >> PARENT["sum"]
        b["v"] + c["v"] >> PARENT["sum"]
    assert [result_of(graph, {"x": x}) for x in (1, 0)] == [{"sum": 11}, {"sum": 12}]


def test_what_is_no_value_of_a_node_or_goes_into_a_part_of_a_key_is_told_with_the_line_to_write():
    with GraphNode(name="g") as graph:
        a = const("a")
        a["v"] >> PARENT["x"]["y"]
        with pytest.raises(HushError, match=r'node\["k"\] >> PARENT'):
            [a["v"], 2] >> PARENT["list"]
    (problem,) = graph.check()
    assert 'a["v"] >> PARENT["x"]' in problem.mend


def test_in_a_loop_a_variable_whose_writers_were_skipped_keeps_its_value():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0, "last": "none"}, stop_condition="n == 4") as loop:
            step = CodeNode(name="step", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
            once = BranchNode(name="once", cases={"n == 2": "mark"}, default=END, inputs={"n": PARENT["n"]})
            CodeNode(name="mark", code_fn=lambda n: {"last": f"at {n}"}, inputs={"n": PARENT["n"]}, outputs=PARENT)
            START >> step >> once
        loop["last"] >> PARENT["last"]
        loop["n"] >> PARENT["n"]
    assert result_of(graph) == {"last": "at 2", "n": 4}


def test_a_parent_key_that_a_container_is_not_given_is_an_error_that_names_it():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", inputs={"a": PARENT["a"]}) as inner:
            CodeNode(name="n", code_fn=lambda b: {"o": b}, inputs={"b": PARENT["b"]}, outputs=PARENT)
        inner["o"] >> PARENT["o"]
    with pytest.raises(GraphError, match="b"):
        Hush(graph)


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_who_reads_a_soft_predecessor_that_fails_before_it_begins_does_not_run(kind):
    """It was ready with the first of its predecessors, and waited for its turn while the other one failed."""

    async def fails(b):
        raise Boom("fails")

    async def waits(b=7):
        return {"v": ("read", b)}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"v": 1}, inputs={})
        second = CodeNode(name="second", code_fn=fails, inputs={"b": first["v"]}, on_error="collect")
        joined = CodeNode(
            name="joined",
            code_fn=waits if kind == "async" else lambda b=7: {"v": ("read", b)},
            inputs={"b": second["v"]},
            outputs={"v": PARENT["y"]},
            executor="auto" if kind == "async" else "thread",
        )
        CodeNode(name="after", code_fn=lambda v="none": {"z": v}, inputs={"v": joined["v"]}, outputs=PARENT)
        [first, second] >> ~joined
    result = result_of(graph)
    assert result in ({"y": None, "z": "none"}, {"y": ("read", 7), "z": ("read", 7)}), result
