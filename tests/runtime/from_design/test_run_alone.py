"""`node(x=1)`: one node of any kind run alone, synchronously, from anywhere but an open graph block."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    Branch,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    HushError,
    InputError,
    MapNode,
    WhileLoopNode,
)
from kit.faults import Boom
from runtime.from_design.authored import const


async def double(x, by=2):
    await asyncio.sleep(0)
    return {"y": x * by}


def code():
    return CodeNode(name="n", code_fn=double, inputs={"x": PARENT["far"]["away"].lower(), "by": 3})


def graph():
    with GraphNode(name="g", inputs={"by": 3}) as made:
        CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"], "by": PARENT["by"]}, outputs=PARENT)
    return made


def loop():
    with WhileLoopNode(name="w", inputs={"x": PARENT["far"], "by": 3}, max_iterations=1) as made:
        CodeNode(name="n", code_fn=double, inputs={"*": PARENT}, outputs={"y": PARENT["y"]})
    return made


def over(kind=MapNode):
    with kind(name="m", inputs={"x": Each(PARENT["far"]), "by": 3}) as made:
        CodeNode(name="n", code_fn=double, inputs={"*": PARENT}, outputs=PARENT)
    return made


@pytest.mark.parametrize("make", [code, graph, loop])
def test_keywords_replace_what_it_would_read_and_literals_stay(make):
    assert make()(x=2)["y"] == 6
    assert make()(x=2, by=5)["y"] == 10


@pytest.mark.parametrize("kind", [MapNode, ForLoopNode])
def test_a_map_takes_its_items_under_the_name_of_the_each(kind):
    assert over(kind)(x=[1, 2])["y"] == [3, 6]
    assert over(kind)(x=[1, 2], by=5)["y"] == [5, 10]
    assert over(kind)(x=[]) == {"y": [], "error": [], "iteration_metrics": over(kind)(x=[])["iteration_metrics"]}


def test_a_literal_source_of_a_map_stays_too():
    with MapNode(name="m", inputs={"x": Each([1, 2])}) as made:
        CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert made()["y"] == [2, 4]
    assert made(x=[7])["y"] == [14]


def test_a_fluent_branch_takes_the_keys_that_its_conditions_read():
    with GraphNode(name="g"):
        source = const("source", {"kind": "x"})
        router = Branch("router").if_(source["v"]["kind"] == "x", "a").otherwise("b")
        const("a")
        const("b")
    assert router(v={"kind": "x"}) == {"target": "a", "matched": router(v={"kind": "x"})["matched"]}
    assert router(v={"kind": "y"}) == {"target": "b", "matched": "default"}


@pytest.mark.parametrize("make", [code, graph, loop, over])
async def test_it_works_where_a_loop_is_running(make):
    given = [2] if make is over else 2
    assert make()(x=given)["y"] in (6, [6])


@pytest.mark.parametrize("make", [code, graph, loop, over])
def test_it_is_an_error_while_a_graph_is_being_written(make):
    node = make()
    with pytest.raises(HushError, match="with block"):
        with GraphNode(name="outer"):
            node(x=1)


@pytest.mark.parametrize("make", [code, graph, loop, over])
def test_a_keyword_that_is_none_of_its_own_is_named(make):
    with pytest.raises(HushError, match="'z'"):
        make()(x=[1], z=2)


@pytest.mark.parametrize("make", [code, graph, loop, over])
def test_a_parameter_that_is_not_given_is_named(make):
    with pytest.raises(HushError, match="'x'"):
        make()()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "the input 'x' is missing: n reads it"),
        ({"x": 1, "bye": 2}, "no node of the graph reads the input 'bye' (did you mean 'by'?)"),
        ({"x": 1, "z": 2}, "no node of the graph reads the input 'z' (it reads: by, x)"),
    ],
)
def test_wrong_keywords_are_the_callers_mistake_not_the_nodes(given, said):
    """It had told a node with inputs={"x": PARENT["far"]} to add inputs={"x": PARENT["x"]}."""
    with pytest.raises(InputError) as raised:
        CodeNode(name="n", code_fn=double, inputs={"x": PARENT["far"]})(**given)
    assert said in str(raised.value)


def test_defaults_are_taken_and_open_functions_take_any_keyword():
    assert CodeNode(name="n", code_fn=double)(x=[1]) == {"y": [1, 1]}
    assert CodeNode(name="n", code_fn=lambda x, *, by=3, **rest: {"all": (x, by, rest)})(x=1, z=2)["all"] == (
        1,
        3,
        {"z": 2},
    )


def test_positions_are_refused():
    with pytest.raises(HushError, match="keywords"):
        code()(5)


def test_what_it_raises_is_raised():
    def fail(x):
        raise Boom(x)

    with pytest.raises(Boom):
        CodeNode(name="n", code_fn=fail, inputs={"x": PARENT["x"]})(x=1)


def test_running_it_alone_changes_nothing_about_its_graph():
    with GraphNode(name="g") as made:
        node = CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs=PARENT)
    node(x=1, by=9)
    assert made(x=1) == {"y": 2}
    assert made.check() == []


def test_a_branch_alone_may_name_nodes_as_targets():
    with GraphNode(name="g"):
        a = const("a")
        router = BranchNode(name="router", cases={"x > limit": a}, default="b", inputs={"*": PARENT, "limit": 5})
        const("b")
    assert router(x=6) == {"target": "a", "matched": "x > limit"}
    assert router(x=6, limit=7) == {"target": "b", "matched": "default"}
