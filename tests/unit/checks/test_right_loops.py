"""Right graphs that a hasty check would complain of: loops, options of maps, and roots that are no graph."""

from __future__ import annotations

import functools
import operator
from unittest.mock import ANY

import pytest

from hush.core import PARENT, START, Each, ForLoopNode, GraphNode, MapNode, Tolerate, WhileLoopNode, code_node
from unit.checks.corpus import RightGraphs

graphs = RightGraphs()


@pytest.mark.parametrize("right", graphs, ids=str)
def test_a_right_loop_raises_no_alarm_and_runs(right):
    right.must_pass_and_run()


@code_node
def inc(x=0):
    return {"y": x + 1}


@code_node
def same(x=None):
    return {"y": x}


@code_node
def take(xs):
    xs.pop()
    return {}


def counting(**given):
    """A graph with a loop that counts `n` up."""
    given.setdefault("inputs", {"n": 0})
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", outputs=PARENT, **given):
        inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return g


# --- until when --------------------------------------------------------------------------------------------------


@graphs.keep({"n": 4})
def a_condition_as_text():
    return counting(stop_condition="n > 3")


@graphs.keep({"n": 4})
def a_condition_as_a_reference():
    return counting(stop_condition=PARENT["n"] > 3)


@graphs.keep({"n": 4})
def a_condition_as_a_function():
    return counting(stop_condition=lambda n: n > 3)


@graphs.keep({"n": 4})
def a_condition_that_takes_everything():
    return counting(stop_condition=lambda **variables: variables["n"] > 3)


@graphs.keep({"n": 4})
def a_condition_with_a_default():
    return counting(stop_condition=lambda n, most=3: n > most)


@graphs.keep({"n": 4, "most": 3})
def a_condition_with_a_default_that_is_given():
    return counting(inputs={"n": 0, "most": 3}, stop_condition=lambda n, most=100: n > most)


def _beyond(most, n):
    return n > most


@graphs.keep({"n": 4})
def a_condition_that_is_a_partial():
    return counting(stop_condition=functools.partial(_beyond, 3))


class _Limit:
    def __init__(self, most):
        self.most = most

    def reached(self, n):
        return n > self.most

    def __call__(self, n):
        return n > self.most


@graphs.keep({"n": 4})
def a_condition_that_is_a_bound_method():
    return counting(stop_condition=_Limit(3).reached)


@graphs.keep({"n": 4})
def a_condition_that_is_a_callable_object():
    return counting(stop_condition=_Limit(3))


@graphs.keep({"n": 2})
def a_condition_that_asks_for_no_variable():
    """A function may look elsewhere: at a clock, at a flag."""
    answers = iter([False, False, True])
    return counting(stop_condition=lambda: next(answers))


@graphs.keep({"n": 3})
def a_number_of_rounds():
    return counting(max_iterations=3)


@graphs.keep({"n": 3})
def a_condition_of_literals():
    return counting(stop_condition="False", max_iterations=3, on_limit="stop")


@graphs.keep({"n": 100})
def neither_a_condition_nor_a_number():
    """The design's reading: without a condition the loop makes `max_iterations` rounds, which is 100 if not given."""
    return counting()


@graphs.keep({"n": 2})
def a_limit_that_is_no_error():
    return counting(stop_condition="n > 50", max_iterations=2, on_limit="stop")


@graphs.keep({"n": 9})
def a_condition_that_holds_at_once():
    return counting(inputs={"n": 9}, stop_condition="n > 3")


@graphs.keep({"n": 3, "k": 3}, k=3)
def a_condition_over_a_variable_that_no_round_changes_and_one_that_does():
    return counting(inputs={"n": 0, "k": PARENT["k"]}, stop_condition="n >= k")


@graphs.keep({"on": False, "n": None})
def a_loop_that_is_switched_off_by_a_literal():
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"on": False}, stop_condition="not on", outputs=PARENT),
    ):
        inc(name="inc", outputs={"y": PARENT["n"]})
    return g


@graphs.keep({"xs": []}, xs=[1, 2, 3])
def a_variable_that_is_changed_in_place():
    """Nothing is written, and yet the condition changes."""
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"xs": PARENT["xs"]}, stop_condition="len(xs) == 0", outputs=PARENT),
    ):
        take(name="take", inputs={"xs": PARENT["xs"]})
    return g


@graphs.keep({"n": 3})
def a_condition_over_a_node_around_the_loop():
    with GraphNode(name="g") as g:
        limit = same(name="limit", inputs={"x": 3})
        with WhileLoopNode(
            name="loop", inputs={"n": 0}, stop_condition=PARENT["n"] >= limit["y"], outputs={"n": PARENT}
        ):
            inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return g


# --- variables ---------------------------------------------------------------------------------------------------


@graphs.keep({"m": 1, "n": 0})
def a_key_that_only_the_body_writes():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2, outputs=PARENT):
        inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["m"]})
    return g


@graphs.keep({"n": 2, "last": 2})
def a_reader_after_the_writer_of_a_variable():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2, outputs=PARENT):
        first = inc(name="first", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
        first >> same(name="then", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["last"]})
    return g


@graphs.keep({"n": 2, "before": 1})
def a_reader_before_the_writer_of_a_variable():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2, outputs=PARENT):
        first = same(name="first", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["before"]})
        first >> inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return g


@graphs.keep({"n": 5})
def a_body_that_reads_a_node_around_the_loop():
    with GraphNode(name="g") as g:
        four = same(name="four", inputs={"x": 4})
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2, outputs=PARENT):
            inc(name="inc", inputs={"x": four["y"]}, outputs={"y": PARENT["n"]})
    return g


@graphs.keep({"n": 3}, n=1)
def a_star_that_feeds_what_the_loop_reads():
    return counting(inputs={"*": PARENT}, stop_condition="n >= 3")


@graphs.keep({"n": 4})
def a_loop_in_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="outer", inputs={"n": 0}, max_iterations=2, outputs=PARENT):
        with WhileLoopNode(name="inner", inputs={"k": PARENT["n"]}, max_iterations=2) as inner:
            inc(name="inc", inputs={"x": PARENT["k"]}, outputs={"y": PARENT["k"]})
        inner["k"] >> PARENT["n"]
    return g


@graphs.keep({"n": [3, 4]})
def a_loop_in_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1, 2])}, outputs={"n": PARENT}):
        with WhileLoopNode(name="loop", inputs={"n": PARENT["i"]}, max_iterations=2, outputs=PARENT):
            inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return g


@graphs.keep({"y": [1, 2]})
def a_map_in_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"y": [0, 1]}, max_iterations=1, outputs=PARENT):
        with MapNode(name="m", inputs={"i": Each(PARENT["y"])}, outputs={"y": PARENT}):
            inc(name="inc", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"n": 2, "rounds": 2})
def the_metrics_of_a_loop():
    with GraphNode(name="g") as g:
        with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2, outputs={"n": PARENT}) as loop:
            inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
        loop["iteration_metrics"]["total_iterations"] >> PARENT["rounds"]
    return g


@graphs.keep({"n": 3})
def start_inside_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3, outputs=PARENT):
        START >> inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return g


@graphs.keep({"n": 3, "iteration_metrics": ANY, "error": None})
def a_loop_as_the_root():
    with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=3) as loop:
        inc(name="inc", inputs={"x": PARENT["n"]}, outputs={"y": PARENT["n"]})
    return loop


# --- maps --------------------------------------------------------------------------------------------------------


@graphs.keep({"y": [[1, 2], [3]]})
def batches():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1, 2, 3])}, batch=2, outputs={"y": PARENT}):
        same(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2]})
def the_first_of_many():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1, 2, 3])}, first=1, outputs={"y": PARENT}):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2]})
def more_than_there_are():
    with (
        GraphNode(name="g") as g,
        MapNode(name="m", inputs={"i": Each([1])}, first=9, batch=None, outputs={"y": PARENT}),
    ):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2], "z": ["1"]})
def a_key_that_is_a_class():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}, key=str, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        with MapNode(name="k", inputs={"i": Each([{"id": "1"}])}, key="id", outputs={"y": PARENT["z"]}):
            same(name="n", inputs={"x": PARENT["i"]["id"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [[1, 2]]})
def a_key_of_a_batch():
    with (
        GraphNode(name="g") as g,
        MapNode(name="m", inputs={"i": Each([1, 2])}, batch=2, key=lambda rows, sep="-": sep, outputs={"y": PARENT}),
    ):
        same(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2]})
def a_key_without_a_signature():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, key=hash, outputs={"y": PARENT}):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2]})
def what_is_tolerated_at_its_bounds():
    with (
        GraphNode(name="g") as g,
        MapNode(name="m", inputs={"i": Each([1])}, on_error=Tolerate(count=0, fraction=1), outputs={"y": PARENT}),
    ):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2]})
def times_that_are_long():
    with (
        GraphNode(name="g") as g,
        MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s=60, timeout_s=float("inf"), outputs={"y": PARENT}),
    ):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2, 3]})
def a_for_loop_that_collects():
    with (
        GraphNode(name="g") as g,
        ForLoopNode(name="loop", inputs={"i": Each([1, 2])}, on_error="collect", outputs={"y": PARENT}),
    ):
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2, 3], "error": [None, None], "iteration_metrics": ANY}, items=[1, 2])
def a_map_as_the_root():
    with MapNode(name="m", inputs={"i": Each(PARENT["items"])}) as m:
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return m


@graphs.keep({"y": [2, 3], "error": [None, None], "iteration_metrics": ANY}, items=[1, 2])
def a_for_loop_as_the_root():
    with ForLoopNode(name="loop", inputs={"i": Each(PARENT["items"])}) as loop:
        inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return loop


@graphs.keep({"y": ["b", "b"], "error": [None, None], "iteration_metrics": ANY}, rows=[1, 2], whole="b")
def a_root_that_passes_one_input_whole():
    with MapNode(name="m", inputs={"i": Each(PARENT["rows"]), "w": PARENT["whole"]}) as m:
        same(name="n", inputs={"x": PARENT["w"]}, outputs=PARENT)
    return m


@graphs.keep({"a": [2], "b": ["A"], "c": [2]})
def keys_that_are_no_plain_functions():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}, key=functools.partial(max, 0), outputs={"y": PARENT["a"]}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        with MapNode(name="k", inputs={"i": Each(["a"])}, key=str.upper, outputs={"y": PARENT["b"]}):
            same(name="n", inputs={"x": PARENT["i"].upper()}, outputs=PARENT)
        with MapNode(name="j", inputs={"i": Each([(1,)])}, key=operator.itemgetter(0), outputs={"y": PARENT["c"]}):
            inc(name="n", inputs={"x": PARENT["i"][0]}, outputs=PARENT)
    return g


@graphs.keep({"y": [3]})
def a_source_made_by_a_generator_function():
    """It is called when the value is read, and what it gives is gone through."""

    def count(most):
        yield most

    with GraphNode(name="g") as g:
        most = same(name="most", inputs={"x": 2})
        with MapNode(name="m", inputs={"i": Each(most["y"].apply(count))}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g
