"""Planted mistakes: conditions written as text, which are a small grammar and no Python."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, BranchNode, GraphNode, WhileLoopNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_condition_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@mistakes.plant("g/route", says=("score = 90",), mend=("==",), sign="==")
def an_assignment(sign="="):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"score {sign} 90": "a"}, default=END, inputs={"score": PARENT["s"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("upper",), mend=("Branch(",))
def a_method():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"kind.upper() == 'X'": "a"}, default=END, inputs={"kind": PARENT["k"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("user.age",), mend=('["age"]',), age='user["age"]')
def an_attribute(age="user.age"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"{age} > 17": "a"}, default=END, inputs={"user": PARENT["user"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("max(", "len"), mend=("node",))
def a_function():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"max(xs) > 1": "a"}, default=END, inputs={"xs": PARENT["xs"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("__import__",))
def an_attack():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"__import__('os').getcwd()": "a"}, default=END)  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("&&",), mend=("and",), word="and")
def an_operator_of_another_language(word="&&"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"x > 1 {word} x < 9": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("!x",), mend=("not",), word="not ")
def a_not_of_another_language(word="!"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"{word}x": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("true",), mend=("True",), word="True")
def a_truth_of_another_language(word="true"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"x == {word}": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("null",), mend=("None",), word="None")
def a_none_of_another_language(word="null"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"x == {word}": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("positive",), mend=("'positive'",), word="'positive'")
def a_text_without_quotes(word="positive"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={f"label == {word}": "a"}, default=END, inputs={"label": PARENT["label"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("if",))
def a_conditional_expression():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"1 if x else 0": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("lambda",))
def a_function_in_a_text():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"lambda x: x > 1": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("for",))
def a_comprehension():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"[x for x in xs]": "a"}, default=END, inputs={"xs": PARENT["xs"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("x > ",))
def half_a_comparison():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > ": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("(x > 1",))
def a_bracket_that_is_never_closed():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"(x > 1": "a"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("empty",))
def an_empty_text():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"": "a"}, default=END)  # <-
        one(name="a")
    return g


@mistakes.plant("g/route", says=("default",), mend=("default=",))
def a_default_among_the_cases():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > 1": "a", "default": "b"}, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
        one(name="b")
    return g


@mistakes.plant("g/route", says=("x>1", "x > 1"), other="x > 0")
def one_condition_twice(other="x>1"):
    """The second is never tried."""
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > 1": "a", other: "b"}, default=END, inputs={"x": PARENT["x"]})  # <-
        one(name="a")
        one(name="b")
    return g


# --- of a loop ---------------------------------------------------------------------------------------------------


@mistakes.plant("g/loop", says=("cuont", "count"), mend=("count",), name="count")
def a_misspelt_variable(name="cuont"):
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition=f"{name} > 3"):  # <-
        step = one(name="step", inputs={"x": PARENT["count"]})
        step["y"] >> PARENT["count"]
    return g


@mistakes.plant("g/loop", says=("done", "loop"), mend=('"done"',))
def a_variable_that_only_the_body_writes():
    """The condition is tried before the first round."""
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition="done"):  # <-
        step = one(name="step", inputs={"x": PARENT["count"]})
        step["y"] >> PARENT["count"]
        step["y"] >> PARENT["done"]
    return g


@mistakes.plant("g/loop", says=("count.real",), mend=("stop_condition=fn",))
def an_attribute_of_a_variable():
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition="count.real > 3"),  # <-
    ):
        step = one(name="step", inputs={"x": PARENT["count"]})
        step["y"] >> PARENT["count"]
    return g


@mistakes.plant("g/loop", says=("count = 3",), mend=("==",))
def an_assignment_to_a_variable():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition="count = 3"):  # <-
        step = one(name="step", inputs={"x": PARENT["count"]})
        step["y"] >> PARENT["count"]
    return g


@mistakes.plant("g/loop", says=("empty",))
def an_empty_condition_of_a_loop():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition=""):  # <-
        step = one(name="step", inputs={"x": PARENT["count"]})
        step["y"] >> PARENT["count"]
    return g
