"""Names: what they may be made of, and what a node is called that was given none."""

from __future__ import annotations

import functools
import unicodedata
from unittest.mock import Mock

import pytest

from hush.core import PARENT, START, CodeNode, Each, GraphError, GraphNode, Hush, MapNode, code_node
from unit.authoring.running import finished, run


def nothing():
    return {}


def named(name):
    with GraphNode(name="g") as graph:
        CodeNode(name=name, code_fn=nothing)
    return graph


@pytest.mark.parametrize(
    "name",
    [
        "load",
        "load_2",
        "load-all",
        "2nd",
        "_",
        "données",
        "数据",
        "данные",
        "ダウンロード",
        "बिक्री",
        "ที่อยู่",
        "بيانات",
        unicodedata.normalize("NFC", "xử_lý"),
        unicodedata.normalize("NFD", "xử_lý"),
    ],
)
def test_a_name_may_have_letters_of_any_script(name):
    """Marks above and below letters belong to them: Hindi, Thai and decomposed Vietnamese have no words without."""
    assert finished(named(name)) == [f"g/{name}"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "a:b", "a\n", "$a", "*"])
def test_a_name_with_anything_else_is_an_error_that_shows_it(name):
    """Paths are names joined by `/`, and names come up in files and traces."""
    with pytest.raises(GraphError) as caught:
        Hush(named(name))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", [5, b"a", ["a"]])
def test_a_name_of_another_type_raises_at_the_line(name):
    with pytest.raises(TypeError, match="name"):
        CodeNode(name=name, code_fn=nothing)


def test_the_graphs_own_name_is_checked_too():
    with GraphNode(name="my graph") as graph:
        CodeNode(code_fn=nothing)
    with pytest.raises(GraphError, match="my graph"):
        Hush(graph)


def test_a_node_without_a_name_is_called_like_its_function():
    """Also where a wrapper stands in front of it."""

    class Step:
        def method(self):
            return {}

        def __call__(self):
            return {}

    with GraphNode(name="g") as graph:
        nodes = [CodeNode(code_fn=fn) for fn in (nothing, Step().method, functools.partial(nothing), Step(), dict)]
    assert [node.name for node in nodes] == ["nothing", "method", "nothing_2", "Step", "dict"]
    assert sorted(finished(graph)) == sorted(f"g/{node.name}" for node in nodes)


@pytest.mark.timeout(2)
def test_a_callable_that_answers_every_attribute_still_has_a_name():
    """A Mock has an attribute `func`, which has an attribute `func`: only partials are looked through."""
    node = CodeNode(code_fn=Mock(return_value={}))
    assert node.name == "Mock"


def test_a_callable_with_an_attribute_of_its_own_called_func_is_not_a_partial():
    class Step:
        func = "the name of something else"

        def __call__(self):
            return {}

    assert CodeNode(code_fn=Step()).name == "Step"


def test_a_node_without_a_function_is_called_like_its_kind():
    with GraphNode() as graph:
        one = CodeNode(code_fn=lambda: None)
        two = CodeNode(code_fn=lambda: None)
        with GraphNode() as inner:
            CodeNode(code_fn=nothing)
        with MapNode(inputs={"item": Each([1])}) as over:
            CodeNode(code_fn=nothing)
    assert [node.name for node in (graph, one, two, inner, over)] == ["graph", "lambda", "lambda_2", "graph", "map"]


def test_names_that_were_made_up_are_made_unique():
    with GraphNode(name="g") as graph:
        nodes = [CodeNode(code_fn=nothing) for _ in range(4)]
        graphs = []
        for _ in range(2):
            with GraphNode() as inner:
                CodeNode(code_fn=nothing)
            graphs.append(inner)
    assert [node.name for node in nodes] == ["nothing", "nothing_2", "nothing_3", "nothing_4"]
    assert [inner.name for inner in graphs] == ["graph", "graph_2"]
    assert graph.check() == []


def test_a_name_that_was_written_goes_before_one_that_was_made_up():
    """Whichever node came first: what the author wrote is what paths must say."""
    with GraphNode(name="g") as graph:
        before = CodeNode(code_fn=nothing)
        written = CodeNode(name="nothing", code_fn=nothing)
        after = CodeNode(code_fn=nothing)
    assert written.name == "nothing"
    assert {before.name, after.name} == {"nothing_2", "nothing_3"}
    assert sorted(finished(graph)) == ["g/nothing", "g/nothing_2", "g/nothing_3"]


def test_a_made_up_name_steps_aside_for_a_written_one_that_has_a_number():
    with GraphNode(name="g") as graph:
        CodeNode(code_fn=nothing)
        second = CodeNode(code_fn=nothing)
        CodeNode(name="nothing_2", code_fn=nothing)
    assert second.name not in ("nothing", "nothing_2")
    assert graph.check() == []


def test_references_follow_a_node_whose_name_was_changed():
    """They hold the node, not its name."""
    with GraphNode(name="g") as graph:
        step = CodeNode(code_fn=lambda: {"y": "made up"})
        other = CodeNode(name="lambda", code_fn=lambda: {"y": "written"})
        CodeNode(
            name="sink",
            code_fn=lambda a, b: {"a": a, "b": b},
            inputs={"a": step["y"], "b": other["y"]},
            outputs=PARENT,
        )
        START >> [step, other]
    assert run(graph) == {"a": "made up", "b": "written"}


def test_names_are_unique_in_their_own_graph_only():
    with GraphNode(name="g") as graph:
        CodeNode(name="same", code_fn=nothing)
        with GraphNode(name="inner"):
            CodeNode(name="same", code_fn=nothing)
    assert graph.check() == []
    assert sorted(finished(graph)) == ["g/inner", "g/inner/same", "g/same"]


def test_a_node_adopted_later_is_made_unique_as_well():
    @code_node
    def load():
        return {}

    outside = load()
    with GraphNode(name="g") as graph:
        inside = load()
        START >> [inside, outside]
    assert (inside.name, outside.name) == ("load", "load_2")
    assert graph.check() == []
