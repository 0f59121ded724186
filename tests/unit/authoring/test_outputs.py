"""All forms of `outputs=` and of writing to `PARENT` as a statement."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, CodeNode, GraphError, GraphNode, Hush
from unit.authoring.running import run


def two():
    return {"a": 1, "b": 2}


def written(outputs):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=two, outputs=outputs)
    return run(graph)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (PARENT, {"a": 1, "b": 2}),
        ({"*": PARENT}, {"a": 1, "b": 2}),
        ({"a": PARENT}, {"a": 1}),
        ({"a": PARENT["x"]}, {"x": 1}),
        ({"a": PARENT["x"], "b": PARENT}, {"x": 1, "b": 2}),
        ({"a": PARENT["b"], "b": PARENT["a"]}, {"b": 1, "a": 2}),
        ({"*": PARENT, "a": PARENT["again"]}, {"a": 1, "b": 2, "again": 1}),
        ({}, {}),
        (None, {}),
    ],
)
def test_outputs_say_what_is_written_and_where(outputs, expected):
    assert written(outputs) == expected


def test_a_statement_writes_one_key():
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=two)
        n["a"] >> PARENT["x"]
    assert run(graph) == {"x": 1}


def test_a_statement_with_dots_writes_all_keys():
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=two)
        n[...] >> PARENT[...]
    assert run(graph) == {"a": 1, "b": 2}


def test_one_value_may_be_written_to_several_keys():
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=two, outputs={"a": PARENT})
        n["a"] >> PARENT["x"]
        n["a"] >> PARENT["y"]
        (n["a"] * 10) >> PARENT["z"]
    assert run(graph) == {"a": 1, "x": 1, "y": 1, "z": 10}


def test_what_is_done_to_a_value_is_done_before_it_is_written():
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=lambda: {"rows": [{"id": 1}, {"id": 2}], "text": " A "})
        n["rows"][-1]["id"] >> PARENT["last"]
        n["rows"].apply(len) >> PARENT["count"]
        n["text"].strip().lower() >> PARENT["text"]
        (2 * n["rows"][1]["id"] - 1) >> PARENT["computed"]
    assert run(graph) == {"last": 2, "count": 2, "text": "a", "computed": 3}


def test_a_value_computed_from_several_nodes_is_written():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
        b = CodeNode(name="b", code_fn=lambda: {"y": 2})
        (a["x"] + b["y"]) >> PARENT["sum"]
        (b["y"] - a["x"]) >> PARENT["difference"]
    assert run(graph) == {"sum": 3, "difference": 1}


def test_a_computed_value_needs_no_edge_in_a_graph_with_start():
    """It comes after what it names; nobody has a handle on it to wire."""
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
        b = CodeNode(name="b", code_fn=lambda: {"y": 2})
        (a["x"] + b["y"]) >> PARENT["sum"]
        START >> [a, b] >> END
    assert run(graph) == {"sum": 3}


def test_a_value_computed_with_an_input_of_the_run_is_written_whatever_comes_first():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
        (a["x"] - PARENT["k"]) >> PARENT["one"]
        (PARENT["k"] - a["x"]) >> PARENT["two"]
    assert run(graph, {"k": 5}) == {"one": -4, "two": 4}


def test_a_computed_value_belongs_to_the_graph_of_its_nodes():
    """Law 3: `PARENT` is the container of what writes, wherever the statement stands."""
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
        b = CodeNode(name="b", code_fn=lambda: {"y": 2})
        with GraphNode(name="inner"):
            CodeNode(name="n", code_fn=two, outputs=PARENT)
            a["x"] >> PARENT["plain"]
            (a["x"] + b["y"]) >> PARENT["sum"]
    assert run(graph) == {"plain": 1, "sum": 3}


@pytest.mark.parametrize("turned", [False, True])
def test_a_value_computed_from_two_levels_belongs_to_the_inner_graph(turned):
    """Only there both can be read."""
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"x": 1})
        with GraphNode(name="inner", outputs={"sum": PARENT["total"]}):
            n = CodeNode(name="n", code_fn=lambda: {"y": 2})
            (a["x"] + n["y"] if turned else n["y"] + a["x"]) >> PARENT["sum"]
    assert run(graph) == {"total": 3}


def test_a_statement_gives_its_target():
    """As `a >> b` gives `b`; nothing is lost where someone prints it."""
    with GraphNode(name="g"):
        n = CodeNode(name="n", code_fn=two)
        assert repr(n["a"] >> PARENT["x"]) == repr(PARENT["x"])


def test_a_graph_that_writes_nothing_gives_an_empty_result():
    """Like the guide's ETL: its work is what it did."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=two)
    assert run(graph) == {}


def test_a_star_carries_neither_error_nor_tags():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"a": 1, "error": None, "$tags": ["t"]}, outputs=PARENT)
    assert run(graph) == {"a": 1}


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_star_carries_what_is_left_of_such(executor):
    """Also where nothing else is out of the ordinary, and after a call that gave nothing of the kind."""
    gave = [{"a": 1}, {"a": 2, "error": None}, {"a": 3, "iteration_metrics": {}}]

    def give(n):
        return gave[n]

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=give, inputs={"n": PARENT["n"]}, outputs=PARENT, executor=executor)
    engine = Hush(graph)
    assert [dict(engine.run_sync({"n": n})) for n in (0, 1, 2)] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_an_error_that_is_named_is_written():
    """A function's own `error` is an output like any."""
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=lambda: {"a": 1, "error": "half"}, outputs={"error": PARENT})
        n["error"] >> PARENT["why"]
    assert run(graph) == {"error": "half", "why": "half"}


def test_two_stars_that_hide_one_key_are_an_error_at_the_second_write():
    """Which of them wins would depend on which is faster. Both are named."""
    one, other = {"y": 1}, {"y": 2}
    with GraphNode(name="g") as graph:
        CodeNode(name="first", code_fn=lambda: one, outputs=PARENT)
        CodeNode(name="second", code_fn=lambda: other, outputs=PARENT)
    with pytest.raises(GraphError, match="first") as caught:
        run(graph)
    assert "second" in str(caught.value)
    assert "'y'" in str(caught.value) or '"y"' in str(caught.value)


def test_a_star_that_hides_a_key_somebody_reads_is_an_error_too():
    """The reader would get this or that, depending on which is faster."""
    hidden = {"k": 1}
    with GraphNode(name="g") as graph:
        CodeNode(name="writer", code_fn=lambda: hidden, outputs=PARENT)
        CodeNode(name="reader", code_fn=lambda k: {}, inputs={"k": PARENT["k"]})
    with pytest.raises(GraphError, match="writer") as caught:
        run(graph, {"k": 0})
    assert "reader" in str(caught.value)


def test_two_stars_with_different_keys_are_no_error():
    one, other = {"y": 1}, {"z": 2}
    with GraphNode(name="g") as graph:
        CodeNode(name="first", code_fn=lambda: one, outputs=PARENT)
        CodeNode(name="second", code_fn=lambda: other, outputs=PARENT)
    assert run(graph) == {"y": 1, "z": 2}


@pytest.mark.parametrize("outputs", [5, "PARENT", ["a"], PARENT["x"]])
def test_outputs_of_another_type_raise_at_the_line(outputs):
    with pytest.raises(TypeError, match="outputs"):
        CodeNode(name="n", code_fn=two, outputs=outputs)


OTHER_TARGETS = {
    "text": lambda other: {"a": "x"},
    "another node": lambda other: {"a": other},
    "another node's key": lambda other: {"a": other["x"]},
    "a part of a key": lambda other: {"a": PARENT["x"]["y"]},
    "several": lambda other: {"a": [PARENT["x"], PARENT["y"]]},
    "a star to one key": lambda other: {"*": PARENT["x"]},
    "a key to all": lambda other: {"a": PARENT[...]},
    "nothing": lambda other: {"a": None},
}


@pytest.mark.parametrize("name", OTHER_TARGETS)
def test_any_other_target_is_an_error(name):
    with pytest.raises(GraphError) as caught:
        with GraphNode(name="g") as graph:
            other = CodeNode(name="other", code_fn=lambda x=0: {"x": x})
            CodeNode(name="n", code_fn=two, outputs=OTHER_TARGETS[name](other))
        Hush(graph)
    assert "PARENT" in str(caught.value)


OTHER_STATEMENTS = {
    "another node's key": (lambda n, other: n["a"] >> other["x"], 'other: inputs={"x": n["a"]}'),
    "another node": (lambda n, other: n["a"] >> other, "other"),
    "PARENT itself": (lambda n, other: n["a"] >> PARENT, 'PARENT["a"]'),
    "END": (lambda n, other: n["a"] >> END, "n >> END"),
    "one key to all": (lambda n, other: n["a"] >> PARENT[...], "n[...] >> PARENT[...]"),
    "all keys to one": (lambda n, other: n[...] >> PARENT["x"], "n[...] >> PARENT[...]"),
    "a part of a key": (lambda n, other: n["a"] >> PARENT["x"]["y"], "PARENT"),
    "a literal": (lambda n, other: n["a"] >> 5, "PARENT"),
    "several": (lambda n, other: n["a"] >> [PARENT["x"], PARENT["y"]], "PARENT"),
    "an input to an output": (lambda n, other: PARENT["x"] >> PARENT["y"], "PARENT"),
    "a node to PARENT": (lambda n, other: n >> PARENT, "outputs=PARENT"),
}


@pytest.mark.parametrize("name", OTHER_STATEMENTS)
def test_any_other_statement_is_an_error_with_the_line_to_write(name):
    state, mend = OTHER_STATEMENTS[name]
    with pytest.raises(GraphError) as caught:
        with GraphNode(name="g") as graph:
            n = CodeNode(name="n", code_fn=two)
            other = CodeNode(name="other", code_fn=lambda x=0: {"x": x})
            state(n, other)
        Hush(graph)
    assert mend in str(caught.value)
    assert __file__ in str(caught.value)
