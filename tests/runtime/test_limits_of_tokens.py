"""Limits of tokens: estimated from the inputs, corrected by what a reply tells, and estimates that are wrong."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.limiting import Inside, mapped
from runtime.observing import outcome


def test_tokens_are_estimated_from_the_inputs_and_corrected_by_the_reply():
    asked, starts = [], []

    def estimate(x):
        asked.append(x)
        return 60

    async def code(x, unit):
        starts.append(asyncio.get_running_loop().time())
        return {"y": x, "usage": {"prompt_tokens": 10, "completion_tokens": 10}}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(7))}, max_concurrency=7) as each:
            CodeNode(
                name="n",
                code_fn=code,
                inputs={"x": PARENT["x"], "unit": "kg"},
                outputs={"y": PARENT["y"]},
                limit=Limit(tokens_per_minute=100),
                tokens=estimate,
            )
        each["y"] >> PARENT["ys"]
    assert outcome(graph).result["ys"] == list(range(7))
    assert sorted(asked) == list(range(7))
    assert starts == [0, 0, 0, 60, 60, 60, 120]  # 20 each, and room for 60 is wanted


@pytest.mark.parametrize("wrong", ["many", -1, True, None, {}])
def test_an_estimate_that_is_no_number_fails_the_node_and_says_so(wrong):
    limit = Limit(tokens_per_minute=100)
    found = outcome(mapped(Inside().work(), [1], limit=limit, tokens=lambda x: wrong))
    (error,) = found.result["errors"]
    assert isinstance(error, TypeError)
    assert "tokens= of g/m/n" in str(error)


def test_an_estimate_that_raises_fails_the_node_and_says_where_it_came_from():
    same = Boom("no idea")

    def estimate(x):
        raise same

    limit = Limit(tokens_per_minute=100)
    found = outcome(mapped(Inside().work(), [1], limit=limit, tokens=estimate, retry=Retry(3, on=Boom, backoff_s=0)))
    (error,) = found.result["errors"]
    assert error is same
    assert error.hush.attempt == 3
    assert sum("tokens=" in note for note in error.__notes__) == 1


def test_a_reply_that_tells_only_a_part_of_its_tokens_counts_for_that_part():
    starts = []

    async def call(n):
        starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        return {"usage": {"input_tokens": 10}}

    with MapNode(name="m", inputs={"n": Each(range(9))}) as graph:
        policies = {"limit": Limit(tokens_per_minute=60), "tokens": lambda: {"input_tokens": 10}}
        CodeNode(name="call", code_fn=call, inputs={"*": PARENT}, **policies)

    run_virtual(lambda: Hush(graph).run())
    assert sum(start_s < 60 for start_s in starts) == 6
