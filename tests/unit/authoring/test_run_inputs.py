"""What a run must be given, may be given, and must not be given."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, InputError, MapNode
from unit.authoring.running import run


def graph_of(fn, inputs, defaults=None):
    with GraphNode(name="g", inputs=defaults) as graph:
        CodeNode(name="n", code_fn=fn, inputs=inputs, outputs=PARENT)
    return graph


def same(x):
    return {"y": x}


def same_or_ten(x=10):
    return {"y": x}


def test_a_missing_input_is_named_with_the_node_that_wants_it():
    with pytest.raises(InputError) as caught:
        run(graph_of(same, {"x": PARENT["amount"]}))
    assert "'amount'" in str(caught.value)
    assert "g/n" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_all_missing_and_unknown_inputs_are_told_at_once():
    graph = graph_of(lambda a, b, c: {}, {"*": PARENT})
    with pytest.raises(InputError) as caught:
        run(graph, {"b": 1, "d": 2, "e": 3})
    for name in "acde":
        assert f"'{name}'" in str(caught.value)


def test_an_input_that_no_node_reads_is_an_error_with_the_nearest_name():
    """A misspelt optional input would pass in silence otherwise."""
    with pytest.raises(InputError, match="amuont") as caught:
        run(graph_of(same_or_ten, {"x": PARENT["amount"]}), {"amuont": 1})
    assert "'amount'" in str(caught.value)


def test_a_graph_that_reads_nothing_takes_nothing():
    with pytest.raises(InputError, match="'x'"):
        run(graph_of(lambda: None, {}), {"x": 1})


def test_nothing_runs_when_inputs_are_wrong():
    ran = []
    with GraphNode(name="g") as graph:
        CodeNode(name="first", code_fn=lambda: ran.append("first"))
        CodeNode(name="n", code_fn=same, inputs={"x": PARENT["x"]})
    with pytest.raises(InputError):
        run(graph)
    assert ran == []


async def test_run_says_the_same_as_run_sync():
    engine = Hush(graph_of(same, {"x": PARENT["x"]}))
    with pytest.raises(InputError, match="'x'"):
        await engine.run()
    with pytest.raises(InputError, match="'x'"):
        await engine({"y": 1})


def test_no_inputs_may_be_given_in_three_ways():
    engine = Hush(graph_of(lambda: {"y": 1}, {}))
    assert dict(engine.run_sync()) == dict(engine.run_sync(None)) == dict(engine.run_sync({})) == {"y": 1}


# --- optional inputs ---------------------------------------------------------------------------------------------


def test_an_input_is_optional_if_its_reader_has_a_default():
    graph = graph_of(same_or_ten, {"x": PARENT["x"]})
    assert run(graph) == {"y": 10}
    assert run(graph, {"x": 1}) == {"y": 1}


def test_none_is_given_and_not_missing():
    assert run(graph_of(same_or_ten, {"x": PARENT["x"]}), {"x": None}) == {"y": None}


def test_an_input_is_optional_only_if_all_its_readers_have_a_default():
    with GraphNode(name="g") as graph:
        CodeNode(name="one", code_fn=same_or_ten, inputs={"x": PARENT["x"]})
        CodeNode(name="other", code_fn=same, inputs={"x": PARENT["x"]})
    with pytest.raises(InputError, match="g/other"):
        run(graph)


def test_an_input_that_something_is_done_to_is_optional_too():
    """The default stands in for the parameter, so nothing is done to it."""
    graph = graph_of(same_or_ten, {"x": PARENT["x"]["rows"] + 1})
    assert run(graph) == {"y": 10}
    assert run(graph, {"x": {"rows": 1}}) == {"y": 2}


def test_an_input_is_optional_through_nested_graphs():
    with (
        GraphNode(name="g") as graph,
        GraphNode(name="one", inputs={"x": PARENT["x"]}, outputs=PARENT),
        GraphNode(name="two", inputs={"*": PARENT}, outputs=PARENT),
    ):
        CodeNode(name="n", code_fn=same_or_ten, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert run(graph) == {"y": 10}
    assert run(graph, {"x": 1}) == {"y": 1}


def test_an_input_is_not_optional_if_one_reader_inside_has_no_default():
    with GraphNode(name="g") as graph, GraphNode(name="inner", inputs={"x": PARENT["x"]}):
        CodeNode(name="one", code_fn=same_or_ten, inputs={"x": PARENT["x"]})
        CodeNode(name="other", code_fn=same, inputs={"x": PARENT["x"]})
    with pytest.raises(InputError, match="g/inner"):
        run(graph)


def test_a_broadcast_input_of_a_map_may_be_optional():
    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"item": Each([1, 2]), "k": PARENT["k"]}, outputs={"y": PARENT}),
    ):
        CodeNode(name="n", code_fn=lambda item, k=10: {"y": item * k}, inputs={"*": PARENT}, outputs=PARENT)
    assert run(graph) == {"y": [10, 20]}
    assert run(graph, {"k": 2}) == {"y": [2, 4]}


def test_what_a_map_goes_through_is_never_optional():
    """A default of the body is for an item, not for the list of them."""
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"item": Each(PARENT["items"])}):
        CodeNode(name="n", code_fn=lambda item=0: {"y": item}, inputs={"item": PARENT["item"]}, outputs=PARENT)
    with pytest.raises(InputError, match="items"):
        run(graph)


def test_a_star_asks_for_parameters_without_defaults_only():
    graph = graph_of(lambda a, b=2, *, c, d=4: {"y": (a, b, c, d)}, {"*": PARENT})
    assert run(graph, {"a": 1, "c": 3}) == {"y": (1, 2, 3, 4)}
    with pytest.raises(InputError, match="'c'") as caught:
        run(graph, {"a": 1})
    assert "'b'" not in str(caught.value)
    assert "'d'" not in str(caught.value)


def test_an_input_that_is_written_before_it_is_read_may_still_be_given():
    """It is the key's first value."""
    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda k=0: {"k": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        then = CodeNode(name="then", code_fn=lambda k: {"k": k * 10}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        first >> then
    assert run(graph) == {"k": 10}
    assert run(graph, {"k": 4}) == {"k": 50}


# --- defaults of the root graph ----------------------------------------------------------------------------------


def test_a_literal_of_the_root_graph_is_a_default():
    graph = graph_of(same, {"x": PARENT["x"]}, {"x": 5})
    assert run(graph) == {"y": 5}
    assert run(graph, {"x": 1}) == {"y": 1}


def test_a_default_of_the_root_graph_goes_before_that_of_a_parameter():
    assert run(graph_of(same_or_ten, {"x": PARENT["x"]}, {"x": None})) == {"y": None}


def test_a_default_serves_every_reader():
    with GraphNode(name="g", inputs={"x": 5}) as graph:
        CodeNode(name="one", code_fn=same, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["one"]})
        with GraphNode(name="inner", inputs={"x": PARENT["x"]}, outputs={"y": PARENT["two"]}):
            CodeNode(name="n", code_fn=same, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert run(graph) == {"one": 5, "two": 5}


def test_the_root_graph_may_take_an_input_under_another_name():
    """Its own inputs read the run, its nodes read it."""
    graph = graph_of(same, {"x": PARENT["x"]}, {"x": PARENT["given"] * 2})
    assert run(graph, {"given": 4}) == {"y": 8}
    with pytest.raises(InputError, match="given"):
        run(graph)


def test_a_star_at_the_root_changes_nothing():
    """`{"*": PARENT}` there says what is so anyway."""
    graph = graph_of(same, {"x": PARENT["x"]}, {"*": PARENT})
    assert run(graph, {"x": 1}) == {"y": 1}
