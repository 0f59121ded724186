"""Planted mistakes: loops, what they repeat, until when, and what they carry from round to round."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, BranchNode, Each, ForLoopNode, GraphNode, MapNode, WhileLoopNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_loop_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def inc(x):
    return {"y": x + 1}


@code_node
def one(x=0):
    return {"y": x}


def count(name="inc"):
    """The body of a loop that counts."""
    step = inc(name=name, inputs={"x": PARENT["n"]})
    step["y"] >> PARENT["n"]


# --- until when --------------------------------------------------------------------------------------------------


@mistakes.plant("g/loop", says=("max_iterations", "0"), mend=("1",), rounds=1)
def no_round(rounds=0):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=rounds):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("max_iterations", "-1"))
def less_than_no_round():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=-1):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("'go'", "stop", "raise"), how="stop")
def an_unknown_way_to_take_the_limit(how="go"):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3, on_limit=how):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("async",))
def a_condition_that_must_be_awaited():
    """What it gives before it is awaited is always true."""

    async def done(n):
        return n > 3

    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=done):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("generator",))
def a_condition_that_is_a_generator_function():
    def done(n):
        yield n > 3

    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=done):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("'m'", "n"), done=lambda n: n > 3)
def a_condition_over_an_unknown_variable(done=lambda m: m > 3):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=done):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("'m'",))
def a_condition_with_one_parameter_too_many():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=lambda n, m: n > m):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("total", "n", "loop"), mend=('"total"',))
def a_reference_to_an_unknown_variable():
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition=PARENT["total"] > 3),  # <-
    ):
        count()
    return g


@mistakes.plant("g/loop", says=("n", "body"))
def a_condition_that_no_round_changes():
    """The body writes another variable than the one that is asked for."""
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="n > 3"):  # <-
        step = inc(name="inc", inputs={"x": PARENT["n"]})
        step["y"] >> PARENT["m"]
    return g


@mistakes.plant("g/loop", says=("'iteration_metrics'", "reserved"))
def a_condition_over_metrics():
    """They are there when the loop has ended."""
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="iteration_metrics"),  # <-
    ):
        count()
    return g


# --- variables ---------------------------------------------------------------------------------------------------


@mistakes.plant("g/loop", "g/loop/inc", says=('PARENT["m"]', "loop"), mend=('"m"',))
def a_variable_that_the_loop_is_not_given():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):  # <-
        step = inc(name="inc", inputs={"x": PARENT["m"]})  # <-
        step["y"] >> PARENT["n"]
    return g


@mistakes.plant("g/loop", "g/loop/inc", says=("nubmer", "number", "loop"), key="number")
def a_misspelt_variable_in_the_body(key="nubmer"):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"number": 0}, max_iterations=3):  # <-
        step = inc(name="inc", inputs={"x": PARENT[key]})  # <-
        step["y"] >> PARENT["number"]
    return g


@mistakes.plant("g/loop", "g/loop/a", "g/loop/b", says=("a", "b", '"n"'), mend=("a >> b",), ordered=True)
def two_writers_of_one_variable(ordered=False):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        a, b = inc(name="a", inputs={"x": PARENT["n"]}), one(name="b")  # <-
        a["y"] >> PARENT["n"]  # <-
        b["y"] >> PARENT["n"]  # <-
        if ordered:
            a >> b
    return g


@mistakes.plant("g/loop", "g/loop/a", "g/loop/b", says=("a", "b", '"n"'), ordered=True)
def a_reader_beside_the_writer_of_a_variable(ordered=False):
    """Whether it reads this round's value or the last one's."""
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        a = inc(name="a", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})  # <-
        b = inc(name="b", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["m"]})  # <-
        if ordered:
            a >> b
    return g


@mistakes.plant("g/loop", says=("'z'", "a", "y"))
def a_misspelt_key_for_the_first_round():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with WhileLoopNode(name="loop", inputs={"n": a["z"]}, max_iterations=3):  # <-
            count()
    return g


@mistakes.plant("g/loop/inc", says=("'z'", "y"))
def a_misspelt_key_that_is_written_for_the_next_round():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        step = inc(name="inc", inputs={"x": PARENT["n"]})
        step["z"] >> PARENT["n"]  # <-
    return g


@mistakes.plant("g/loop/inc", says=("'x'",))
def a_parameter_in_a_body_that_nothing_feeds():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        step = inc(name="inc")  # <-
        step["y"] >> PARENT["n"]
    return g


@mistakes.plant("g/loop", says=("Each", "n", "MapNode"), mend=("Each(",))
def each_in_a_while_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": Each([1, 2])}, max_iterations=3):  # <-
        count()
    return g


@mistakes.plant("g/loop/inc", says=("'iteration_metrics'",))
def a_variable_called_iteration_metrics():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        step = inc(name="inc", inputs={"x": PARENT["n"]})
        step["y"] >> PARENT["iteration_metrics"]  # <-
    return g


@mistakes.plant("g/outer/inner", "g/outer/inner/inc", says=('PARENT["n"]', "inner"))
def a_variable_of_the_loop_around():
    with GraphNode(name="g") as g, WhileLoopNode(name="outer", inputs={"n": 0}, max_iterations=2):
        with WhileLoopNode(name="inner", inputs={"k": PARENT["n"]}, max_iterations=2):  # <-
            step = inc(name="inc", inputs={"x": PARENT["n"]})  # <-
            step["y"] >> PARENT["k"]
    return g


# --- around a loop -----------------------------------------------------------------------------------------------


@mistakes.plant("g/b", says=("'m'", "loop", "n"))
def a_variable_that_the_loop_does_not_have():
    with GraphNode(name="g") as g:
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3) as loop:
            count()
        one(name="b", inputs={"x": loop["m"]})  # <-
    return g


@mistakes.plant("g/b", says=("inc", "loop"), mend=('loop["n"]',))
def a_reference_into_a_loop():
    with GraphNode(name="g") as g:
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
            step = inc(name="inc", inputs={"x": PARENT["n"]})
            step["y"] >> PARENT["n"]
        one(name="b", inputs={"x": step["y"]})  # <-
    return g


@mistakes.plant("g", "g/loop", "g/a", says=("edge", "inc", "a", "loop"), mend=("loop >> a",))
def an_edge_out_of_a_loop():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
            step = inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
        step >> a  # <-
    return g


@mistakes.plant("g/loop/route", says=("'after'",))
def a_way_out_of_a_loop():
    """`break` is the stop_condition."""
    with GraphNode(name="g") as g:
        with WhileLoopNode(name="loop", inputs={"n": 0, "k": 3}, max_iterations=3):
            BranchNode(name="route", cases={"n > 2": "after"}, default=END, inputs={"n": PARENT["k"]})  # <-
            count()
        one(name="after")
    return g


@mistakes.plant("g", "g/a", "g/loop", says=("a", "loop", ">>"))
def a_cycle_through_a_loop():
    with GraphNode(name="g") as g:
        a = one(name="a")  # <-
        with WhileLoopNode(name="loop", inputs={"n": a["y"]}, max_iterations=3) as loop:  # <-
            count()
        loop >> a
    return g


@mistakes.plant("g/loop/b", says=("b", "START"), mend=("START >> b",))
def a_node_of_a_body_that_start_does_not_reach():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):
        step = inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
        one(name="b")  # <-
        START >> step
    return g


@mistakes.plant("g/loop", says=("loop",))
def an_empty_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3):  # <-
        pass
    return g


@mistakes.plant("g/loop", says=("timeout_s", "0"))
def no_time_for_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3, timeout_s=0):  # <-
        count()
    return g


@mistakes.plant("g/loop", says=("'skip'", "collect", "raise"))
def an_unknown_way_of_a_loop_to_take_an_error():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3, on_error="skip"):  # <-
        count()
    return g


@mistakes.plant("loop", says=("max_iterations", "0"))
def no_round_of_a_root():
    with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=0) as loop:  # <-
        count()
    return loop


@mistakes.plant("loop/inc", says=("'x'",))
def a_mistake_in_the_body_of_a_root():
    with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3) as loop:
        step = inc(name="inc")  # <-
        step["y"] >> PARENT["n"]
    return loop


# --- ForLoopNode -------------------------------------------------------------------------------------------------


@mistakes.plant("g/loop", says=("Each",), mend=("Each(",))
def a_for_loop_without_each():
    with GraphNode(name="g") as g, ForLoopNode(name="loop", inputs={"n": PARENT["ns"]}):  # <-
        inc(name="inc", inputs={"x": PARENT["n"]})
    return g


@mistakes.plant("g/loop", says=("int",), mend=("range(3)",))
def a_for_loop_over_a_number():
    with GraphNode(name="g") as g, ForLoopNode(name="loop", inputs={"n": Each(3)}):  # <-
        inc(name="inc", inputs={"x": PARENT["n"]})
    return g


@mistakes.plant("g/loop/inc", says=("total", "loop"), mend=("WhileLoopNode",))
def a_for_loop_that_adds_up():
    """Its items do not see each other: what is carried from one to the next is a while loop's."""
    with GraphNode(name="g") as g, ForLoopNode(name="loop", inputs={"n": Each([1, 2])}):  # <-
        step = inc(name="inc", inputs={"x": PARENT["total"]})  # <-
        step["y"] >> PARENT["total"]
    return g


@mistakes.plant("loop", says=("Each",), mend=("Each(",))
def a_root_without_each():
    with ForLoopNode(name="loop", inputs={"n": PARENT["ns"]}) as loop:  # <-
        inc(name="inc", inputs={"x": PARENT["n"]})
    return loop


@mistakes.plant("g/m/loop", says=("Each", "n"))
def each_of_a_loop_in_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):
        with WhileLoopNode(name="loop", inputs={"n": Each(PARENT["i"])}, max_iterations=2):  # <-
            count()
    return g
