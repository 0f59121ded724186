"""Items that fail are collected by default: each is None in its columns, and its exception is in that of errors."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode
from kit.faults import Boom, label, members
from runtime.failing_items import async_body, bodies, labels, mapped, sync_body
from runtime.observing import outcome


@bodies
@pytest.mark.parametrize("items", [[], [1], [-1], [1, -2, 3, -4], [-1, -2], range(50)], ids=str)
def test_every_column_has_one_place_for_each_item_in_input_order(body, items):
    found = outcome(mapped(body, items)).result
    assert found["ys"] == [None if x < 0 else x * 10 for x in items]
    assert labels(found["errors"]) == [str(x) if x < 0 else None for x in items]
    assert len(found["ys"]) == len(found["errors"]) == len(items)


@bodies
def test_a_failed_item_makes_the_result_partial_and_is_in_its_errors(body):
    found = outcome(mapped(body, [1, -2, 3, -4], read=["y"]), request_id="r").result
    assert found.status == "partial"
    assert (labels(found.errors), found.errors.total) == (["-2", "-4"], 2)
    for error, item in zip(found.errors, (1, 3), strict=True):
        info = error.hush
        assert (info.path, info.item, info.outer, info.run) == ("g/m/n", item, (), "r")


def test_without_a_failure_the_result_is_ok():
    found = outcome(mapped(sync_body, [1, 2])).result
    assert (found.status, found.errors, found["errors"]) == ("ok", (), [None, None])


def test_the_column_holds_the_users_own_exceptions():
    errors = [Boom("one"), LookupError("two")]

    def body(x):
        raise errors[x]

    found = outcome(mapped(body, [0, 1])).result
    assert all(got is given for got, given in zip(found["errors"], errors, strict=True))


def test_an_error_in_a_nested_map_knows_all_its_indexes():
    with GraphNode(name="g") as graph, MapNode(name="a", inputs={"row": Each([[1, 2], [3, -4]])}) as outer:
        with MapNode(name="b", inputs={"x": Each(PARENT["row"])}) as inner:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs=PARENT)
        inner["error"] >> PARENT["errors"]
    assert outer is not None
    (error,) = outcome(graph).result.errors
    assert (error.hush.path, error.hush.item, error.hush.outer) == ("g/a/b/n", 1, (1,))


def test_several_failures_in_one_item_are_one_error():
    async def breaks_down(x):
        try:
            await asyncio.sleep(9)
        finally:
            raise Boom("cleanup")

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([-1])}) as each:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
            CodeNode(name="o", code_fn=breaks_down, inputs={"x": PARENT["x"]})
        each["error"] >> PARENT["errors"]
    (error,) = outcome(graph).result["errors"]
    assert "-1" in map(label, members(error))


def test_a_failure_ends_the_rest_of_its_item_and_nothing_else():
    after = []
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, -2, 3])}):
        first = CodeNode(name="n", code_fn=async_body, inputs={"x": PARENT["x"]})
        CodeNode(name="o", code_fn=lambda y: {"n": after.append(y)}, inputs={"y": first["y"]})
    outcome(graph)
    assert sorted(after) == [10, 30]


def test_a_failure_that_the_body_handles_leaves_the_item_successful():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, -2])}) as each:
            risky = CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
            CodeNode(
                name="o",
                code_fn=lambda y, e: {"y": "mended" if e else y},
                inputs={"y": risky["y"], "e": risky["error"]},
                outputs={"y": PARENT["y"]},
            )
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["ys"], found["errors"]) == ([10, "mended"], [None, None])
    assert (labels(found.errors), found.status) == (["-2"], "ok")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("delay", [False, True])
def test_what_is_no_ordinary_exception_is_never_collected(kind, delay):
    async def body(x):
        if delay:
            await asyncio.sleep(x)
        if x == 1:
            raise kind
        return {"y": x}

    assert isinstance(outcome(mapped(body, [0, 1, 2])).error, kind)
