"""Planted mistakes: parameters, keys, what is out of reach, and what is no value."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypedDict

import pytest
from pydantic import BaseModel

from hush.core import PARENT, START, CodeNode, Each, GraphNode, MapNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_inputs_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


def add(left, right=0):
    return {"sum": left + right}


def one(x=0):
    return {"y": x}


# --- parameters --------------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("'left'", "n"))
def a_parameter_that_nothing_feeds():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=add)  # <-
    return g


@mistakes.plant("g/n", says=("'sep'",))
def a_keyword_only_parameter_that_nothing_feeds():
    def fn(*, sep):
        return {}

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=fn)  # <-
    return g


@mistakes.plant("g/n", says=("'rihgt'", "right", "left"))
def an_input_that_the_function_does_not_take():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=add, inputs={"left": 1, "rihgt": PARENT["x"]})  # <-
    return g


@mistakes.plant("g/n", says=("'x'",))
def an_input_of_a_function_that_takes_none():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda: None, inputs={"x": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'rihgt'", "right"))
def an_input_that_a_decorated_function_does_not_take():
    @functools.wraps(add)
    def wrapper(*args, **kwargs):
        return add(*args, **kwargs)

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=wrapper, inputs={"left": 1, "rihgt": 2})  # <-
    return g


@mistakes.plant("g/n", says=("'left'",))
def an_input_that_a_partial_has_filled():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=functools.partial(add, 1), inputs={"left": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'left'",))
def a_parameter_of_a_factory_that_nothing_feeds():
    with GraphNode(name="g") as g:
        code_node(add)(name="n", inputs={"right": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'rest'",))
def a_parameter_that_a_star_never_feeds():
    """`"*"` feeds named parameters only."""

    def fn(x, *rest):
        return {}

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=fn, inputs={"*": PARENT, "rest": 1})  # <-
    return g


@mistakes.plant("g/n", says=("'left'", "source"))
def a_parameter_that_the_star_s_node_does_not_give():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: {"lift": 1})
        CodeNode(name="n", code_fn=add, inputs={"*": source})  # <-
    return g


# --- keys --------------------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("'vlaue'", "source"), mend=("value",))
def a_misspelt_key_of_a_dict_literal():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: {"value": 1, "other": 2})
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "source", "low", "high"))
def a_misspelt_key_of_several_dict_literals():
    def fn(x=0):
        if x:
            return {"high": x}
        return {"low": x}

    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=fn)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_an_async_function():
    async def fn():
        return {"value": 1, "other": [1 for _ in range(3)]}

    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=fn)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


class Row(TypedDict, total=False):
    value: int


@dataclass
class Point:
    value: int


class Model(BaseModel):
    value: int


def give_row(x=0) -> Row:
    return Row(**x)


def give_point() -> Point:
    return Point(1)


def give_model() -> Model:
    return Model(value=1)


class Service:
    def give(self) -> Row:
        return Row(value=1)

    def __call__(self):
        return {"value": 1}


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_a_typed_dict():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=give_row)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_a_dataclass():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=give_point)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_a_pydantic_model():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=give_model)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_a_bound_method():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=Service().give)
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_of_a_callable_object():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=Service())
        CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/n", says=("'y'", "source"))
def a_key_of_a_function_that_returns_nothing():
    def fn():
        return

    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=fn)
        CodeNode(name="n", code_fn=one, inputs={"x": source["y"]})  # <-
    return g


@mistakes.plant("g/n", says=("'vlaue'", "value"))
def a_misspelt_key_inside_an_expression():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: {"value": 1})
        CodeNode(name="n", code_fn=one, inputs={"x": [1, {"k": source["vlaue"] + 1}]})  # <-
    return g


@mistakes.plant("g/n", says=("'reslt'", "result"))
def a_misspelt_key_of_a_nested_graph():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            CodeNode(name="a", code_fn=one, outputs={"y": PARENT["result"]})
        CodeNode(name="n", code_fn=one, inputs={"x": inner["reslt"]})  # <-
    return g


@mistakes.plant("g/n", says=("'reslt'", "result"))
def a_misspelt_key_of_a_map():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            CodeNode(name="a", code_fn=one, outputs={"y": PARENT["result"]})
        CodeNode(name="n", code_fn=one, inputs={"x": m["reslt"]})  # <-
    return g


@mistakes.plant("g/inner/n", says=("'vlaue'", "value"))
def a_misspelt_key_read_from_inside_a_nested_graph():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: {"value": 1})
        with GraphNode(name="inner"):
            CodeNode(name="n", code_fn=one, inputs={"x": source["vlaue"]})  # <-
    return g


@mistakes.plant("g/m", says=("'rosw'", "rows"))
def a_misspelt_key_in_each():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: {"rows": [1]})
        with MapNode(name="m", inputs={"i": Each(source["rosw"])}):  # <-
            CodeNode(name="a", code_fn=one)
    return g


# --- what is out of reach ----------------------------------------------------------------------------------------


@mistakes.plant("g/b", says=("n", "inner"), mend=('inner["result"]',))
def a_reference_into_a_container():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner"):
            n = CodeNode(name="n", code_fn=one, outputs={"y": PARENT["result"]})
        CodeNode(name="b", code_fn=one, inputs={"x": n["y"]})  # <-
    return g


@mistakes.plant("g/b", says=("n", "m"), mend=('m["result"]',))
def a_reference_into_a_map():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}):
            n = CodeNode(name="n", code_fn=one, outputs={"y": PARENT["result"]})
        CodeNode(name="b", code_fn=one, inputs={"x": n["y"]})  # <-
    return g


@mistakes.plant("g/b", says=("n", "inner"), mend=("n[", ">> PARENT["))
def a_reference_into_a_container_that_writes_nothing():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner"):
            n = CodeNode(name="n", code_fn=one)
        CodeNode(name="b", code_fn=one, inputs={"x": n["y"]})  # <-
    return g


@mistakes.plant("g/other/b", says=("n", "inner"), mend=('inner["result"]',))
def a_reference_into_a_container_from_another():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner"):
            n = CodeNode(name="n", code_fn=one, outputs={"y": PARENT["result"]})
        with GraphNode(name="other"):
            CodeNode(name="b", code_fn=one, inputs={"x": n["y"]})  # <-
    return g


@mistakes.plant("g/inner/n", says=("inner", "PARENT"))
def a_reference_from_inside_to_its_own_container():
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs={"x": 1}) as inner:
        CodeNode(name="n", code_fn=one, inputs={"x": inner["x"]})  # <-
    return g


@mistakes.plant("g/inner", "g/inner/n", says=('PARENT["y"]', "inner"), mend=("inner",))
def a_key_of_parent_that_a_nested_graph_is_not_given():
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs={"x": PARENT["x"]}):
        CodeNode(name="n", code_fn=add, inputs={"left": PARENT["x"], "right": PARENT["y"]})  # <-
    return g


@mistakes.plant("g/m", "g/m/n", says=("itme", "item", "m"))
def a_key_of_parent_that_a_map_is_not_given():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"item": Each(PARENT["items"])}):
        CodeNode(name="n", code_fn=one, inputs={"x": PARENT["itme"]})  # <-
    return g


@mistakes.plant("g/inner", "g/inner/first", says=("k", "inner"))
def a_key_of_parent_that_is_written_too_late():
    with GraphNode(name="g") as g, GraphNode(name="inner"):
        first = CodeNode(name="first", code_fn=one, inputs={"x": PARENT["k"]})  # <-
        then = CodeNode(name="then", code_fn=one, outputs={"y": PARENT["k"]})
        first >> then
    return g


# --- what is no value --------------------------------------------------------------------------------------------


@mistakes.plant("g/n", says=("source", "x"), mend=('source["',))
def a_node_in_place_of_its_key():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=one)
        CodeNode(name="n", code_fn=one, inputs={"x": source})  # <-
    return g


@mistakes.plant("g/n", says=("PARENT", "x"), mend=('PARENT["',))
def parent_in_place_of_its_key():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, inputs={"x": [PARENT]})  # <-
    return g


@mistakes.plant("g/n", says=("source",), mend=('source["',))
def all_keys_in_place_of_one():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=one)
        CodeNode(name="n", code_fn=one, inputs={"x": source[...]})  # <-
    return g


@mistakes.plant("g/n", says=("START",))
def start_in_place_of_a_value():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, inputs={"x": START})  # <-
    return g


@mistakes.plant("g/n", says=("x", "a"))
def several_nodes_in_place_of_a_value():
    with GraphNode(name="g") as g:
        pair = START >> [CodeNode(name=name, code_fn=one) for name in "ab"]
        pair >> CodeNode(name="n", code_fn=one, inputs={"x": pair})  # <-
    return g


@mistakes.plant("g/n", says=("*",))
def a_star_in_place_of_a_key():
    given = {"y": 1}
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=lambda: given)
        CodeNode(name="n", code_fn=one, inputs={"x": source["*"]})  # <-
    return g


@mistakes.plant("g/n", says=("*", "PARENT"))
def a_star_of_a_literal():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, inputs={"*": {"x": 1}})  # <-
    return g


@mistakes.plant("g/n", says=("*", "PARENT"))
def a_star_of_one_key():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=one)
        CodeNode(name="n", code_fn=one, inputs={"*": source["y"]})  # <-
    return g
