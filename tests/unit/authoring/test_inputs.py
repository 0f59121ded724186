"""All forms of `inputs=`."""

from __future__ import annotations

import collections
import contextlib
from types import MappingProxyType
from typing import NamedTuple

import pytest

from hush.core import PARENT, CodeNode, Each, GraphError, GraphNode, Hush, MapNode
from unit.authoring.running import read, run


def only(fn, inputs, given=None):
    """The outputs of a graph of one node."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs=inputs, outputs=PARENT)
    return run(graph, given)


def test_an_input_reads_the_run():
    assert only(lambda x: {"y": x}, {"x": PARENT["z"]}, {"z": 3}) == {"y": 3}


def test_an_input_reads_another_node():
    assert read(lambda source: source["v"], v=[1, 2]) == [1, 2]


@pytest.mark.parametrize(
    "literal", [1, None, "text", b"bytes", 1.5, True, [1, [2]], {"a": {"b": 1}}, (1, 2), {1, 2}, object(), len, int]
)
def test_a_literal_is_handed_over_as_it_is(literal):
    """Functions and classes too: only `code_fn` is called."""
    assert only(lambda x: {"y": x}, {"x": literal})["y"] is literal


def test_inputs_may_be_any_mapping_or_none_at_all():
    assert only(lambda x: {"y": x}, MappingProxyType({"x": 1})) == {"y": 1}
    assert only(lambda: {"y": 1}, {}) == only(lambda: {"y": 1}, None) == {"y": 1}


def test_a_star_feeds_every_parameter_from_the_run():
    def add(a, b=10, *, c, d=20):
        return {"sum": a + b + c + d}

    assert only(add, {"*": PARENT}, {"a": 1, "c": 3}) == {"sum": 34}
    assert only(add, {"*": PARENT}, {"a": 1, "b": 2, "c": 3, "d": 4}) == {"sum": 10}


def test_what_is_listed_beside_a_star_is_not_fed_by_it():
    assert only(lambda a, b: {"y": (a, b)}, {"*": PARENT, "b": PARENT["c"]}, {"a": 1, "c": 3}) == {"y": (1, 3)}
    assert only(lambda a, b: {"y": (a, b)}, {"a": 0, "*": PARENT}, {"b": 2}) == {"y": (0, 2)}


def test_a_star_feeds_every_parameter_from_a_node():
    """Keys that the function does not take are left alone; parameters that the node lacks keep their defaults."""
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"a": 1, "b": 2, "more": 3})
        CodeNode(name="n", code_fn=lambda a, b, c=30: {"y": (a, b, c)}, inputs={"*": source}, outputs=PARENT)
    assert run(graph) == {"y": (1, 2, 30)}


def test_a_star_never_fills_the_rest_of_the_keywords():
    """What `**kwargs` gets is what was listed; otherwise a new key upstream would change a call."""

    def rest(a, **kwargs):
        return {"y": (a, kwargs)}

    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"a": 1, "b": 2})
        CodeNode(name="n", code_fn=rest, inputs={"*": source, "c": 3}, outputs=PARENT)
    assert run(graph) == {"y": (1, {"c": 3})}


def test_a_star_does_not_carry_an_error():
    """`error` in a result is a failure's place: reading it by a star would handle failures that nobody named."""
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"a": 1, "error": "bad"})
        CodeNode(name="n", code_fn=lambda a, error=None: {"y": (a, error)}, inputs={"*": source}, outputs=PARENT)
    assert run(graph) == {"y": (1, None)}


def test_a_star_does_not_handle_a_failure():
    def boom():
        raise ValueError("boom")

    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=boom)
        CodeNode(name="n", code_fn=lambda error=None: {"y": error}, inputs={"*": source}, outputs=PARENT)
    with pytest.raises(ValueError, match="boom"):
        run(graph)


def test_a_star_feeds_the_inputs_of_a_nested_graph():
    with GraphNode(name="g") as graph, GraphNode(name="inner", inputs={"*": PARENT, "b": 5}, outputs=PARENT):
        CodeNode(name="n", code_fn=lambda a, b: {"y": a * b}, inputs={"*": PARENT}, outputs=PARENT)
    assert run(graph, {"a": 4}) == {"y": 20}


def test_a_star_feeds_the_broadcast_inputs_of_a_map():
    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"*": PARENT, "item": Each(PARENT["items"])}, outputs=PARENT),
    ):
        CodeNode(name="n", code_fn=lambda item, k: {"y": item * k}, inputs={"*": PARENT}, outputs=PARENT)
    assert run(graph, {"items": [1, 2], "k": 10})["y"] == [10, 20]


def test_a_star_asks_for_nothing_that_is_written_inside():
    """`PARENT["y"]` is what the earlier writer wrote: it is no input of the graph."""
    with GraphNode(name="g") as graph, GraphNode(name="inner", inputs={"*": PARENT}, outputs=PARENT):
        a = CodeNode(name="a", code_fn=lambda x: {"y": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        b = CodeNode(name="b", code_fn=lambda y: {"z": y + 1}, inputs={"y": PARENT["y"]}, outputs=PARENT)
        a >> b
    assert run(graph, {"x": 1}) == {"y": 2, "z": 3}


def test_references_inside_literal_lists_and_dicts_are_resolved():
    got = read(
        lambda s: {"pair": [s["a"], (s["b"], 0)], "deep": {"er": [{"x": s["a"] + s["b"]}]}, "plain": [1, {"k": 2}]},
        a=1,
        b=2,
    )
    assert got == {"pair": [1, (2, 0)], "deep": {"er": [{"x": 3}]}, "plain": [1, {"k": 2}]}
    assert type(got["pair"][1]) is tuple


def test_a_literal_with_references_is_made_anew_for_each_run():
    """What one run does to its list is no concern of the next."""

    def grow(x):
        x.append("grown")
        return {"y": x}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=grow, inputs={"x": [PARENT["a"]]}, outputs=PARENT)
    engine = Hush(graph)
    assert [dict(engine.run_sync({"a": n})) for n in (1, 2)] == [{"y": [1, "grown"]}, {"y": [2, "grown"]}]


def itself():
    cyclic = {"a": [1]}
    cyclic["a"].append(cyclic)
    return cyclic


def shared_many_times():
    shared = [1]
    for _ in range(40):
        shared = [shared, shared]
    return shared


def very_deep():
    deep = [1]
    for _ in range(5000):
        deep = [deep]
    return deep


@pytest.mark.timeout(5)
@pytest.mark.parametrize("make", [itself, shared_many_times, very_deep])
def test_a_literal_of_any_shape_is_handed_over_as_it_is(make):
    """Looking for references in it must neither go round in circles nor take for ever."""
    literal = make()
    assert only(lambda x: {"y": x}, {"x": literal})["y"] is literal


class Pair(NamedTuple):
    one: object
    two: object


@pytest.mark.parametrize(
    "make",
    [
        lambda ref: Pair(ref, 2),
        lambda ref: collections.OrderedDict(one=ref, two=2),
        lambda ref: collections.defaultdict(list, one=ref, two=2),
    ],
)
def test_a_reference_in_another_container_is_resolved_or_refused(make):
    """Never handed to the function as it is: a reference at run time is good for nothing."""
    got = None
    with contextlib.suppress(GraphError):
        got = read(lambda source: make(source["v"]), v=1)
    assert repr(got) in ("None", repr(make(1)))


@pytest.mark.parametrize("wrong", [5, "x", ["x"], PARENT, PARENT["x"]])
def test_inputs_of_another_type_raise_at_the_line(wrong):
    with pytest.raises(TypeError, match="inputs"):
        CodeNode(name="n", code_fn=lambda x: {}, inputs=wrong)


def test_a_node_in_place_of_the_inputs_is_told_the_star():
    with GraphNode(name="g"):
        source = CodeNode(name="source", code_fn=lambda: {"x": 1})
        with pytest.raises(TypeError, match=r"\*"):
            CodeNode(name="n", code_fn=lambda x: {}, inputs=source)


def test_an_input_whose_name_is_no_string_raises_at_the_line():
    with pytest.raises(TypeError, match="1"):
        CodeNode(name="n", code_fn=lambda x: {}, inputs={1: 2})


def test_a_failing_expression_is_the_failure_of_the_node_that_reads_it():
    """The exception is the user's own, and says which node could not be given its input."""
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"row": {"id": 1}})
        CodeNode(name="reader", code_fn=lambda x: {"y": x}, inputs={"x": source["row"]["nope"]}, outputs=PARENT)
    with pytest.raises(KeyError, match="nope") as caught:
        run(graph)
    assert caught.value.hush.path == "g/reader"
    assert any("nope" in note for note in caught.value.__notes__)
