"""``Limit`` as it is written: what cannot be meant is said at the line, with what to write instead."""

from __future__ import annotations

import pytest

from hush.core import CodeNode, Limit, UsageError, code_node


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "names no bound"),
        ({"name": "crm"}, "names no bound"),
        ({"concurrency": 0}, '1 or more, or "auto"'),
        ({"concurrency": -1}, '1 or more, or "auto"'),
        ({"concurrency": True}, '1 or more, or "auto"'),
        ({"concurrency": 2.0}, '1 or more, or "auto"'),
        ({"concurrency": "many"}, '1 or more, or "auto"'),
        ({"per_second": 0}, "starts in any second, above 0"),
        ({"per_second": True}, "above 0"),
        ({"per_second": "5"}, "above 0"),
        ({"per_minute": -60}, "starts in any 60 seconds"),
        ({"per_minute": float("inf")}, "above 0"),
        ({"per_minute": float("nan")}, "above 0"),
        ({"tokens_per_minute": 0}, "tokens in any 60 seconds"),
        ({"input_tokens_per_minute": "1k"}, "tokens in any 60 seconds"),
        ({"output_tokens_per_minute": False}, "tokens in any 60 seconds"),
        ({"per_second": 5, "burst": 0}, "1 or more"),
        ({"per_second": 5, "burst": 1.5}, "1 or more"),
        ({"burst": 5}, "names no bound"),
        ({"concurrency": 5, "burst": 5}, "per_second= or per_minute="),
        ({"tokens_per_minute": 5, "burst": 5}, "per_second= or per_minute="),
        ({"per_second": 2.5, "burst": 2}, "per_minute=150"),
        ({"concurrency": 5, "name": ""}, "a string"),
        ({"concurrency": 5, "name": 7}, "a string"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused(given, says):
    with pytest.raises(UsageError) as caught:
        Limit(**given)
    assert says in str(caught.value)


def test_a_limit_is_shown_as_it_was_written():
    assert (
        repr(Limit(concurrency=10, per_second=0.5, name="crm")) == "Limit(concurrency=10, per_second=0.5, name='crm')"
    )
    assert repr(Limit(concurrency="auto")) == "Limit(concurrency='auto')"


def test_limits_that_say_the_same_are_still_two():
    assert Limit(per_second=5) != Limit(per_second=5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limit": 10}, "Limit(concurrency=10)"),
        ({"limit": ""}, "the name of a limit"),
        ({"limit": [Limit(concurrency=1), None]}, "a list of them"),
        ({"limit": "crm", "priority": "high"}, "a whole number"),
        ({"limit": "crm", "tokens": -1}, "0 or more"),
        ({"limit": "crm", "tokens": True}, "0 or more"),
        ({"limit": "crm", "tokens": 1.5}, "0 or more"),
        ({"priority": 1}, "add limit="),
        ({"tokens": 100}, "add limit="),
    ],
)
@pytest.mark.parametrize("make", [CodeNode, None])
def test_a_node_that_is_limited_in_a_way_that_cannot_be_meant_is_refused(given, says, make):
    def function():
        return {}

    with pytest.raises(UsageError) as caught:
        CodeNode(name="n", code_fn=function, **given) if make else code_node(function)(**given)
    assert says in str(caught.value)
    assert "test_limit.py" in str(caught.value)
