"""Planted mistakes: functions, what they return, where it is written, races, and policies."""

from __future__ import annotations

import functools

import pytest

from hush.core import PARENT, START, CodeNode, Each, GraphNode, MapNode
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_outputs_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


def one(x=0):
    return {"y": x}


# --- functions ---------------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("5", "code_fn"))
def what_is_not_callable():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=5)  # <-
    return g


@mistakes.plant("g/n", says=("code_fn",))
def a_name_of_a_function():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn="one")  # <-
    return g


@mistakes.plant("g/n", says=("code_fn",))
def the_result_of_a_function():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one())  # <-
    return g


@mistakes.plant("g/n", says=("generator",), mend=('return {"rows": generator}',))
def a_generator_function():
    def rows():
        yield 1

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=rows)  # <-
    return g


@mistakes.plant("g/n", says=("generator",), mend=('return {"rows": generator}',))
def an_async_generator_function():
    async def rows():
        yield 1

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=functools.partial(rows))  # <-
    return g


@mistakes.plant("g/n", says=("return_keys",), mend=("elete",))
def return_keys_as_in_other_engines():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, return_keys=["y"])  # <-
    return g


# --- reserved names ----------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("'$state'",))
def a_returned_key_that_begins_with_a_dollar():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda: {"y": 1, "$state": 2})  # <-
    return g


@mistakes.plant("g/n", says=("'*'",))
def a_returned_star():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda: {"*": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'iteration_metrics'",))
def returned_iteration_metrics():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda: {"iteration_metrics": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'$state'",))
def an_output_that_begins_with_a_dollar():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, outputs={"y": PARENT["$state"]})  # <-
    return g


@mistakes.plant("g/n", says=("'*'",))
def an_output_called_star():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=one)
        n["y"] >> PARENT["*"]  # <-
    return g


@mistakes.plant("g/n", says=("'iteration_metrics'",))
def an_output_called_iteration_metrics():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=one)
        n["y"] >> PARENT["iteration_metrics"]  # <-
    return g


@mistakes.plant("g/m/n", says=("'iteration_metrics'",))
def a_column_called_iteration_metrics():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):
        CodeNode(name="n", code_fn=one, outputs={"y": PARENT["iteration_metrics"]})  # <-
    return g


# --- targets -----------------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("other",), mend=('other: inputs={"x": n["y"]}',))
def a_value_written_to_another_node():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=one)
        other = CodeNode(name="other", code_fn=one)
        n["y"] >> other["x"]  # <-
    return g


@mistakes.plant("g/n", says=("other",), mend=("PARENT",))
def an_output_that_goes_to_another_node():
    with GraphNode(name="g") as g:
        other = CodeNode(name="other", code_fn=one)
        CodeNode(name="n", code_fn=one, outputs={"y": other["x"]})  # <-
    return g


@mistakes.plant("g/n", says=("'result'",), mend=("PARENT",))
def an_output_that_goes_to_a_text():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, outputs={"y": "result"})  # <-
    return g


@mistakes.plant("g/n", says=("*",), mend=("PARENT",))
def all_outputs_to_one_key():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, outputs={"*": PARENT["y"]})  # <-
    return g


@mistakes.plant("g/n", says=("other",), mend=("n >> other",))
def a_value_on_an_edge():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=one)
        other = CodeNode(name="other", code_fn=one)
        n["y"] >> other  # <-
    return g


@mistakes.plant("g/n", says=("'z'", "y"))
def a_misspelt_key_that_is_written():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=one)
        n["z"] >> PARENT["z"]  # <-
    return g


@mistakes.plant("g/n", says=("'z'", "y"))
def a_misspelt_key_among_the_outputs():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, outputs={"z": PARENT})  # <-
    return g


# --- races -------------------------------------------------------------------------------------------------------


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", '"y"'), mend=("a >> b",))
def two_writers_of_one_key():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one, outputs={"y": PARENT})  # <-
        CodeNode(name="b", code_fn=one, outputs={"y": PARENT})  # <-
    return g


@mistakes.plant("g", "g/a", "g/b", says=("a", "b", '"y"'))
def two_stars_whose_keys_are_known():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one, outputs=PARENT)  # <-
        CodeNode(name="b", code_fn=lambda: {"x": 1, "y": 2}, outputs=PARENT)  # <-
    return g


@mistakes.plant("g", "g/b", "g/c", says=("b", "c", '"y"'))
def two_writers_after_one():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one, outputs={"y": PARENT})
        b = CodeNode(name="b", code_fn=one, outputs={"y": PARENT})  # <-
        c = CodeNode(name="c", code_fn=one, outputs={"y": PARENT})  # <-
        START >> a >> [b, c]
    return g


@mistakes.plant("g", "g/w", "g/r", says=("w", "r", '"k"'))
def a_reader_and_a_writer():
    with GraphNode(name="g") as g:
        CodeNode(name="w", code_fn=one, outputs={"y": PARENT["k"]})  # <-
        CodeNode(name="r", code_fn=one, inputs={"x": PARENT["k"]})  # <-
    return g


@mistakes.plant("g", "g/two", "g/r", says=("two", "r", '"k"'))
def a_reader_beside_the_second_writer():
    with GraphNode(name="g") as g:
        first = CodeNode(name="one", code_fn=one, outputs={"y": PARENT["k"]})
        two = CodeNode(name="two", code_fn=one, outputs={"y": PARENT["k"]})  # <-
        r = CodeNode(name="r", code_fn=one, inputs={"x": PARENT["k"]})  # <-
        first >> [two, r]
    return g


@mistakes.plant("g", "g/w", "g/m", says=("w", "m", '"items"'))
def a_map_that_goes_through_what_is_being_written():
    with GraphNode(name="g") as g:
        CodeNode(name="w", code_fn=one, outputs={"y": PARENT["items"]})  # <-
        with MapNode(name="m", inputs={"i": Each(PARENT["items"])}):  # <-
            CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g", "g/w", "g/inner", says=("w", "inner", '"x"'))
def a_nested_graph_whose_star_reads_what_is_being_written():
    with GraphNode(name="g") as g:
        CodeNode(name="w", code_fn=one, outputs={"y": PARENT["x"]})  # <-
        with GraphNode(name="inner", inputs={"*": PARENT}):  # <-
            CodeNode(name="n", code_fn=one, inputs={"*": PARENT})
    return g


@mistakes.plant("g/inner", "g/inner/a", "g/inner/b", says=("a", "b", '"y"'))
def two_writers_in_a_nested_graph():
    with GraphNode(name="g") as g, GraphNode(name="inner"):
        a = CodeNode(name="a", code_fn=one)
        a["y"] >> PARENT["y"]  # <-
        b = CodeNode(name="b", code_fn=one)
        b["y"] >> PARENT["y"]  # <-
    return g


@mistakes.plant("g/m", "g/m/a", "g/m/b", says=("a", "b", '"y"'))
def two_writers_in_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}):
        CodeNode(name="a", code_fn=one, outputs={"y": PARENT})  # <-
        CodeNode(name="b", code_fn=one, outputs={"y": PARENT})  # <-
    return g


@mistakes.plant("g", "g/inner", "g/b", says=("inner", "b", '"y"'))
def a_container_and_a_node_that_write_one_key():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner", outputs=PARENT):  # <-
            CodeNode(name="n", code_fn=one, outputs=PARENT)
        CodeNode(name="b", code_fn=one, outputs={"y": PARENT})  # <-
    return g


@mistakes.plant("g", "g/n", says=("n", '"z"'))
def a_node_that_writes_one_key_twice():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda: {"x": 1, "y": 2}, outputs={"x": PARENT["z"], "y": PARENT["z"]})  # <-
    return g


# --- policies ----------------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("'skip'", "collect", "raise"))
def an_unknown_way_to_take_an_error():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, on_error="skip")  # <-
    return g


@mistakes.plant("g/m", says=("'skip'", "collect", "raise"))
def an_unknown_way_of_a_map_to_take_an_error():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, on_error="skip"):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/n", says=("'processes'", "auto", "inline", "thread", "process"))
def an_executor_that_is_not_known():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, executor="processes")  # <-
    return g


@mistakes.plant("g/n", says=("timeout_s", "0"))
def no_time_at_all():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, timeout_s=0)  # <-
    return g


@mistakes.plant("g/inner", says=("timeout_s", "-1"))
def less_than_no_time():
    with GraphNode(name="g") as g, GraphNode(name="inner", timeout_s=-1):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/n", says=("timeout_s", "nan"))
def a_time_that_is_no_number():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, timeout_s=float("nan"))  # <-
    return g


@mistakes.plant("g/n", says=("timeout_s", "inline"))
def a_timeout_that_cannot_be_kept():
    """Nothing can end a call that holds the loop; an async function can be cancelled."""
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, executor="inline", timeout_s=1)  # <-
    return g


# --- what gives nothing ------------------------------------------------------------------------------------------


@mistakes.plant("g/each", says=("'y'", "inside each", "outputs=PARENT"))
def a_key_of_a_map_whose_body_writes_nothing():
    with GraphNode(name="g") as g:
        with MapNode(name="each", inputs={"x": Each([1])}) as each:
            CodeNode(name="n", code_fn=one, inputs={"x": PARENT["x"]})
        each["y"] >> PARENT["ys"]  # <-
    return g


@mistakes.plant("g/m", says=("'y'", 'return {"y": value}'))
def a_key_of_a_function_that_returns_no_keys():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=lambda x=0: {})
        CodeNode(name="m", code_fn=one, inputs={"x": n["y"]})  # <-
    return g
