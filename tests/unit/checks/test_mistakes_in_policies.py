"""Planted mistakes: functions among a leaf's policies that could not be called, or whose answer would be none."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Limit, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()
TOKENS = Limit(tokens_per_minute=900)
INPUTS = {"prompt": PARENT["prompt"]}


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_a_policy_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def model(prompt, tone="plain"):
    return {"text": prompt}


@mistakes.plant(
    "g/n", says=("tokens=", "'promt'", "its inputs: prompt"), mend=("Did you mean 'prompt'?",), fn=lambda prompt: 1
)
def a_misspelt_input(fn=lambda promt: 1):
    with GraphNode(name="g") as g:
        model(name="n", inputs=INPUTS, limit=TOKENS, tokens=fn)  # <-
    return g


@mistakes.plant("g/n", says=("tokens=", "'x'"), mend=("by name",), fn=lambda prompt, x=0: 1)
def an_input_that_the_node_has_not(fn=lambda prompt, x: 1):
    with GraphNode(name="g") as g:
        model(name="n", inputs=INPUTS, limit=TOKENS, tokens=fn)  # <-
    return g


@mistakes.plant("g/n", says=("tokens=", "'tone'"), mend=('inputs={"tone":',), inputs={**INPUTS, "tone": "dry"})
def a_parameter_of_the_node_that_nothing_feeds(inputs=INPUTS):
    with GraphNode(name="g") as g:
        model(name="n", inputs=inputs, limit=TOKENS, tokens=lambda prompt, tone: 1)  # <-
    return g


def by_position(prompt, /):
    return 1


@mistakes.plant("g/n", says=("tokens=", "'prompt'", "by position"), mend=("/",))
def an_input_by_position_only():
    with GraphNode(name="g") as g:
        model(name="n", inputs=INPUTS, limit=TOKENS, tokens=by_position)  # <-
    return g


async def later(prompt):
    return 1


@mistakes.plant("g/n", says=("tokens=", "async function"), mend=("def",))
def an_async_function():
    with GraphNode(name="g") as g:
        model(name="n", inputs=INPUTS, limit=TOKENS, tokens=later)  # <-
    return g


def one_by_one(prompt):
    yield 1


@mistakes.plant("g/n", says=("tokens=", "generator function"), mend=("def",))
def a_generator_function():
    with GraphNode(name="g") as g:
        model(name="n", inputs=INPUTS, limit=TOKENS, tokens=one_by_one)  # <-
    return g


@pytest.mark.parametrize(
    ("tokens", "inputs"),
    [
        (5, INPUTS),
        (lambda: 5, INPUTS),
        (lambda prompt: len(prompt), INPUTS),
        (lambda **inputs: 5, INPUTS),
        (lambda prompt, other=3: other, INPUTS),
        (lambda *, prompt: 5, INPUTS),
        (dict, INPUTS),
        (lambda prompt, tone: 5, {"*": PARENT, "tone": "dry"}),
        (lambda prompt, tone: 5, {"*": PARENT}),
    ],
)
def test_what_takes_inputs_of_the_node_is_no_mistake(tokens, inputs):
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=model, inputs=inputs, limit=TOKENS, tokens=tokens)
    assert g.check() == []
