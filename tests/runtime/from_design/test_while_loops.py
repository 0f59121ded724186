"""`WhileLoopNode`: when it stops, what it gives, how it fails, and what it is nested in."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    END,
    PARENT,
    START,
    CodeNode,
    Each,
    GraphError,
    GraphNode,
    Hush,
    HushError,
    WhileLoopNode,
)
from hush.core.errors import NodeTimeout
from kit.faults import Boom
from runtime.from_design.authored import error_of, result_of
from runtime.observing import outcome


def step(fn=None, **options):
    """The body that counts: one more each round."""
    return CodeNode(
        name="step", code_fn=fn or (lambda n: {"n": n + 1}), inputs={"n": PARENT["n"]}, outputs=PARENT, **options
    )


def counting(stop=None, fn=None, **options):
    """A graph with one loop that counts ``n``; it gives the last n and the metrics."""
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": PARENT["n"]}, stop_condition=stop, **options) as loop:
            step(fn)
        loop["n"] >> PARENT["n"]
        loop["iteration_metrics"] >> PARENT["metrics"]
    return graph


class Limit:
    """A callable that is no function."""

    def __call__(self, n):
        return n >= 3


@pytest.mark.parametrize(
    "stop",
    ["n >= 3", PARENT["n"] >= 3, lambda n: n >= 3, Limit(), lambda n, more=0: n + more >= 3, "not n < 3"],
    ids=["grammar", "reference", "function", "object", "default", "not"],
)
@pytest.mark.parametrize(("start", "last", "rounds"), [(0, 3, 3), (2, 3, 1), (3, 3, 0), (8, 8, 0)])
def test_the_condition_is_tried_before_each_round(stop, start, last, rounds):
    result = result_of(counting(stop), {"n": start})
    assert result["n"] == last
    metrics = result["metrics"]
    assert (metrics["total_iterations"], metrics["success_count"], metrics["error_count"]) == (rounds, rounds, 0)
    assert (metrics["stopped_by_condition"], metrics["max_iterations_reached"]) == (True, False)
    assert metrics["latency_avg_ms"] >= 0


def test_without_a_condition_max_iterations_is_the_number_of_rounds():
    for rounds in (1, 7, 250):
        result = result_of(counting(max_iterations=rounds), {"n": 0})
        assert result["n"] == rounds
        assert result["metrics"]["total_iterations"] == rounds
        assert result["metrics"]["stopped_by_condition"] is False


def test_the_limit_is_a_hundred_and_reaching_it_raises_naming_the_loop_and_the_mend():
    seen = []

    def body(n):
        seen.append(n)
        return {"n": n + 1}

    error = error_of(counting("n < 0", body), {"n": 0})
    assert isinstance(error, HushError)
    assert len(seen) == 100
    assert error.hush.path == "g/loop"
    for word in ("loop", "100", "max_iterations", "on_limit"):
        assert word in str(error), str(error)


def test_a_condition_that_holds_right_after_the_last_round_is_no_limit():
    result = result_of(counting("n >= 3", max_iterations=3), {"n": 0})
    assert result["n"] == 3
    assert result["metrics"]["stopped_by_condition"] is True
    assert result["metrics"]["max_iterations_reached"] is False


@pytest.mark.parametrize(
    ("stop", "fn", "said"),
    [
        ("n > 5", lambda n: {"m": n + 1}, "The last round wrote 'm', and not 'n', which it reads."),
        (PARENT["n"] > 5, lambda n: None, "The last round wrote nothing, and not 'n', which it reads."),
        (lambda n: n > 5, lambda n: {"m": 1, "k": 1}, "The last round wrote 'm', 'k', and not 'n', which it reads."),
        ("n > 5", lambda n: {"n": 1}, None),
    ],
)
def test_a_loop_that_never_writes_what_its_condition_reads_says_so(stop, fn, said):
    """The usual reason why a loop does not end, and hard to see: the key has another name."""
    error = str(error_of(counting(stop, fn), {"n": 0}))
    assert said in error if said else "The last round" not in error


def test_on_limit_stop_gives_the_last_values_and_says_so():
    result = result_of(counting("n >= 99", max_iterations=3, on_limit="stop"), {"n": 0})
    assert (result["n"], result.status) == (3, "ok")
    assert (result["metrics"]["stopped_by_condition"], result["metrics"]["max_iterations_reached"]) == (False, True)


def test_a_hundred_and_one_rounds_need_a_higher_limit():
    assert result_of(counting("n == 100"), {"n": 0})["n"] == 100
    assert result_of(counting("n == 101", max_iterations=101), {"n": 0})["n"] == 101
    assert isinstance(error_of(counting("n == 101"), {"n": 0}), HushError)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", True])
def test_a_number_of_rounds_that_is_none_is_refused_at_the_line_or_before_anything_runs(wrong):
    with pytest.raises(HushError, match="max_iterations"):
        Hush(counting(max_iterations=wrong))


def test_another_word_for_on_limit_is_refused_with_those_that_are_known():
    with pytest.raises(HushError, match='"stop"'):
        Hush(counting("n > 3", on_limit="stopp"))


def test_a_stop_condition_of_another_type_is_refused():
    with pytest.raises(HushError, match="stop_condition"):
        counting(3)


def test_a_condition_over_a_name_that_is_no_variable_is_found_before_anything_runs():
    with pytest.raises(GraphError, match="total"):
        Hush(counting("total > 3"))
    with pytest.raises(GraphError, match="total"):
        Hush(counting(lambda total: total > 3))
    with pytest.raises(GraphError, match="total"):
        Hush(counting(PARENT["total"] > 3))


def test_a_condition_outside_the_grammar_is_found_before_anything_runs():
    with pytest.raises(GraphError, match=r"n\.bit_length\(\) > 3"):
        Hush(counting("n.bit_length() > 3"))


@pytest.mark.parametrize("stop", ["n > 'a'", lambda n: n > "a", PARENT["n"] > "a"])
def test_a_condition_that_raises_fails_the_loop(stop):
    error = error_of(counting(stop), {"n": 0})
    assert isinstance(error, TypeError)
    assert error.hush.path == "g/loop"


def test_several_variables_change_places_in_one_round():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"a": 0, "b": 1}, max_iterations=10) as loop:
            CodeNode(name="fib", code_fn=lambda a, b: {"a": b, "b": a + b}, inputs={"*": PARENT}, outputs=PARENT)
        loop["a"] >> PARENT["a"]
        loop["b"] >> PARENT["b"]
    assert result_of(graph) == {"a": 55, "b": 89}


def test_two_nodes_that_swap_variables_are_put_in_order_by_reading_first():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"a": "x", "b": "y"}, max_iterations=3) as loop:
            held = CodeNode(name="held", code_fn=lambda a, b: {"a": a, "b": b}, inputs={"*": PARENT})
            held["a"] >> PARENT["b"]
            held["b"] >> PARENT["a"]
        loop["a"] >> PARENT["a"]
        loop["b"] >> PARENT["b"]
    assert result_of(graph) == {"a": "y", "b": "x"}


def test_a_variable_that_the_body_does_not_write_keeps_its_value_and_may_be_read_outside():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0, "limit": PARENT["limit"]}, stop_condition="n >= limit") as loop:
            step()
        loop["n"] >> PARENT["n"]
        loop["limit"] >> PARENT["limit_after"]
    assert result_of(graph, {"limit": 4}) == {"n": 4, "limit_after": 4}


def test_a_key_that_only_the_body_writes_is_none_after_no_rounds():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": PARENT["n"]}, stop_condition="n >= 2") as loop:
            made = step(lambda n: {"n": n + 1, "note": f"round {n}"})
        loop["note"] >> PARENT["note"]
        assert made.name == "step"
    assert result_of(graph, {"n": 0}) == {"note": "round 1"}
    assert result_of(graph, {"n": 5}) == {"note": None}


def test_a_value_becomes_none_when_the_body_writes_none():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 5, "v": "full"}, max_iterations=1) as loop:
            CodeNode(name="clear", code_fn=lambda v: {"v": None}, inputs={"v": PARENT["v"]}, outputs=PARENT)
        loop["v"] >> PARENT["v"]
    assert result_of(graph) == {"v": None}


def test_a_node_after_the_writer_reads_the_new_value_of_this_round():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0, "log": []}, stop_condition="n == 3") as loop:
            counted = step()
            note = CodeNode(
                name="note",
                code_fn=lambda n, log: {"log": [*log, n]},
                inputs={"n": PARENT["n"], "log": PARENT["log"]},
                outputs=PARENT,
            )
            START >> counted >> note >> END
        loop["log"] >> PARENT["log"]
    assert result_of(graph) == {"log": [1, 2, 3]}


def test_a_reference_to_the_graph_around_is_read_once_when_the_loop_starts():
    reads = []

    def source():
        reads.append(1)
        return {"by": 5}

    with GraphNode(name="g") as graph:
        made = CodeNode(name="made", code_fn=source, inputs={})
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="n >= 20") as loop:
            CodeNode(
                name="add",
                code_fn=lambda n, by: {"n": n + by},
                inputs={"n": PARENT["n"], "by": made["by"]},
                outputs=PARENT,
            )
        loop["n"] >> PARENT["n"]
    assert (result_of(graph), reads) == ({"n": 20}, [1])


def test_a_failure_in_a_later_round_ends_the_loop_with_the_exception_itself():
    rounds = []

    def body(n):
        rounds.append(n)
        if n == 2:
            raise Boom("third")
        return {"n": n + 1}

    error = error_of(counting("n >= 9", body), {"n": 0})
    assert (str(error), rounds) == ("third", [0, 1, 2])
    assert (error.hush.path, error.hush.round) == ("g/loop/step", 2)
    assert any("round 2" in note for note in error.__notes__), error.__notes__


def test_a_loop_that_fails_may_be_handled_by_reading_its_error():
    def body(n):
        raise Boom("first")

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="n >= 9") as loop:
            step(body)
        CodeNode(
            name="told",
            code_fn=lambda n, error: {"got": (n, str(error))},
            inputs={"n": loop["n"], "error": loop["error"]},
            outputs=PARENT,
        )
    result = result_of(graph)
    assert (result["got"], result.status) == ((None, "first"), "ok")


def test_a_failure_that_the_body_handles_lets_the_loop_go_on():
    def body(n):
        if n % 2:
            raise Boom(n)
        return {"v": n}

    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0, "bad": 0}, stop_condition="n == 4") as loop:
            tried = CodeNode(name="tried", code_fn=body, inputs={"n": PARENT["n"]})
            CodeNode(
                name="count",
                code_fn=lambda n, bad, error: {"n": n + 1, "bad": bad + (error is not None)},
                inputs={"*": PARENT, "error": tried["error"]},
                outputs=PARENT,
            )
        loop["bad"] >> PARENT["bad"]
    assert result_of(graph) == {"bad": 2}


def test_a_loop_that_is_late_fails_with_a_timeout_in_the_round_it_is_in():
    rounds = []

    async def body(n):
        rounds.append(n)
        await asyncio.sleep(1)
        return {"n": n + 1}

    found = outcome(counting("n >= 9", body, timeout_s=2.5), {"n": 0})
    assert isinstance(found.error, NodeTimeout)
    assert (rounds, found.at_s, found.error.hush.path) == ([0, 1, 2], 2.5, "g/loop")


def test_the_mean_latency_is_that_of_the_rounds():
    async def body(n):
        await asyncio.sleep(n)
        return {"n": n + 1}

    result = result_of(counting("n == 4", body), {"n": 1})
    assert result["metrics"]["total_iterations"] == 3
    assert result["metrics"]["latency_avg_ms"] >= 0


# ── What is written wrongly is told once, and well ───────────────────────────────────────────────────────────────────


async def ask(n):
    return n >= 3


@pytest.mark.parametrize("stop", [lambda n: ask(n), PARENT["n"].apply(lambda n: ask(n))], ids=["function", "reference"])
def test_a_condition_that_gives_a_coroutine_is_an_error_and_not_true(stop):
    """It had held before the first round, with only a warning of a coroutine that nobody awaited."""
    error = error_of(counting(stop), {"n": 0})
    assert isinstance(error, HushError)
    assert "Await it" in str(error)
    assert error.hush.path == "g/loop"


def test_an_async_function_as_condition_is_found_before_anything_runs():
    with pytest.raises(GraphError, match="stop_condition=ask"):
        Hush(counting(ask))


def test_a_condition_whose_value_has_no_truth_is_named():
    class Unclear:
        def __bool__(self):
            raise ValueError("neither true nor false")

    error = error_of(counting(lambda n: Unclear()), {"n": 0})
    assert str(error) == "neither true nor false"
    assert any("condition" in note for note in error.__notes__), error.__notes__


def test_each_in_the_inputs_of_a_loop_is_one_problem():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": Each([1])}, stop_condition="n > 3"):
            step()
    (problem,) = graph.check()
    assert "Each" in problem.message


def test_a_misspelt_name_of_the_metrics_is_told_with_the_right_one():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="n > 3") as loop:
            step()
        loop["iteration_metric"] >> PARENT["metrics"]
    (problem,) = graph.check()
    assert 'loop["iteration_metrics"]' in problem.mend


def test_writing_from_inside_a_loop_that_is_closed_names_the_loop():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="n > 3"):
            inner = step()
        inner["n"] >> PARENT["n"]
    (problem,) = graph.check()
    assert 'loop["k"] >> PARENT["k"]' in problem.mend
