"""Planted mistakes: maps, what they go through, and how many items at a time."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_map_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


def one(x=0):
    return {"y": x}


@mistakes.plant("g/m", says=("Each",), mend=("Each(",))
def a_map_without_each():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"items": PARENT["items"]}):  # <-
        CodeNode(name="n", code_fn=one, inputs={"x": PARENT["items"]})
    return g


@mistakes.plant("g/m", says=("Each",), mend=("Each(",))
def a_map_without_inputs():
    with GraphNode(name="g") as g, MapNode(name="m"):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/n", says=("Each", "x", "MapNode"))
def each_in_a_code_node():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=one, inputs={"x": Each(PARENT["items"])})  # <-
    return g


@mistakes.plant("g/inner", says=("Each", "x", "MapNode"))
def each_in_a_nested_graph():
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs={"x": Each(PARENT["items"])}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("Each", "k"))
def each_inside_a_literal():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1]), "k": [Each([2])]}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("source",), mend=('source["',))
def each_of_a_node():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=one)
        with MapNode(name="m", inputs={"i": Each(source)}):  # <-
            CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("source",), mend=('source["',))
def each_of_a_list_of_nodes():
    with GraphNode(name="g") as g:
        source = CodeNode(name="source", code_fn=one)
        with MapNode(name="m", inputs={"i": Each([source])}):  # <-
            CodeNode(name="n", code_fn=one)
    return g


def _rows():
    yield 1


@mistakes.plant("g/m", says=("str",), mend=("[",))
def each_of_a_text():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each("text")}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("mapping",), mend=("items()",))
def each_of_a_dict():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each({"a": 1})}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("set",), mend=("sorted(",))
def each_of_a_set():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each({1, 2})}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("None",))
def each_of_none():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each(None)}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("int",))
def each_of_a_number():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each(10)}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("generator function",), mend=("()",))
def each_of_a_generator_function():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each(_rows)}):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("max_concurrency", "0"))
def no_item_at_a_time():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, max_concurrency=0):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("max_concurrency", "-1"))
def less_than_no_item_at_a_time():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, max_concurrency=-1):  # <-
        CodeNode(name="n", code_fn=one)
    return g


@mistakes.plant("g/m", says=("max_concurrency", "None"))
def any_number_of_items_at_a_time():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, max_concurrency=None):  # <-
        CodeNode(name="n", code_fn=one)
    return g
