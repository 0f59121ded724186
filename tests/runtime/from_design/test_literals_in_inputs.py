"""Literal lists, tuples and dicts in inputs: references in them are resolved, nothing else is touched."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, GraphNode
from runtime.from_design.authored import const, result_of


def given(make, **inputs):
    """What a node is given for the literal that ``make`` writes with a node ``a`` that gives ``{"v": "a"}``."""
    with GraphNode(name="g") as graph:
        a = const("a")
        CodeNode(name="sink", code_fn=lambda x: {"got": x}, inputs={"x": make(a)}, outputs=PARENT)
    return result_of(graph, inputs or None)["got"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda a: [], []),
        (lambda a: [a["v"], []], ["a", []]),
        (lambda a: [[], a["v"], {}, (), ""], [[], "a", {}, (), ""]),
        (lambda a: {"k": a["v"], "empty": {}, "none": None}, {"k": "a", "empty": {}, "none": None}),
        (lambda a: {"deep": [{"er": (a["v"], [a["v"].upper()])}]}, {"deep": [{"er": ("a", ["A"])}]}),
        (lambda a: (a["v"],), ("a",)),
        (lambda a: {1: a["v"], None: 0, (2, 3): []}, {1: "a", None: 0, (2, 3): []}),
        (lambda a: a["v"].join(["x", "y"]), "xay"),
        (lambda a: a["v"].in_(["a", []]), True),
        (lambda a: a["v"].in_([]), False),
        (lambda a: a["v"].apply(lambda v, more: [v, more], more=[a["v"], []]), ["a", ["a", []]]),
    ],
)
def test_a_literal_is_given_as_written_with_its_references_resolved(make, expected):
    found = given(make)
    assert found == expected
    assert type(found) is type(expected)


def test_references_of_several_nodes_and_of_parent_may_stand_in_one_literal():
    with GraphNode(name="g") as graph:
        a, b = const("a"), const("b")
        CodeNode(
            name="sink",
            code_fn=lambda x: {"got": x},
            inputs={"x": [a["v"], {"b": b["v"] + "!", "p": PARENT["p"]["q"]}]},
            outputs=PARENT,
        )
    assert result_of(graph, {"p": {"q": 1}}) == {"got": ["a", {"b": "b!", "p": 1}]}


def test_a_literal_is_not_copied_when_nothing_in_it_is_a_reference():
    plain = {"k": [1, 2, object()]}
    assert given(lambda a: plain) is plain


def test_a_literal_with_a_reference_is_made_anew_for_each_run():
    def grow(x):
        x.append("more")
        return {"got": list(x)}

    with GraphNode(name="g") as graph:
        a = const("a")
        CodeNode(name="sink", code_fn=grow, inputs={"x": [a["v"]]}, outputs=PARENT)
    assert [result_of(graph)["got"] for _ in range(2)] == [["a", "more"]] * 2
