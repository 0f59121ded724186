"""Sources that raise as they begin, as they give items, or as they are closed: the map fails with what they raised."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, MapNode
from kit.faults import Boom, label
from runtime.feeding import breaks_after, breaks_after_async, double, mapped
from runtime.observing import outcome


@pytest.mark.parametrize("on_error", ["collect", "raise"])
@pytest.mark.parametrize("make", [breaks_after, breaks_after_async])
@pytest.mark.parametrize("count", [0, 1, 50])
async def test_a_source_that_raises_fails_the_map_with_the_users_own_exception(make, count, on_error):
    error = Boom("source")
    with pytest.raises(Boom) as caught:
        await Hush(mapped(on_error=on_error)).run({"rows": make(count, error)})
    assert caught.value is error
    assert error.hush.path == "g/m"
    assert error.hush.columns is not None


def test_a_source_that_raises_has_the_columns_so_far():
    error = outcome(mapped(max_concurrency=1), {"rows": breaks_after(3, Boom("source"))}).error
    assert error.hush.columns["y"][:3] == [0, 2, 4]


@pytest.mark.parametrize("make", [breaks_after, breaks_after_async])
def test_items_in_flight_end_before_a_source_that_raised_is_told(make):
    alive = 0

    async def body(x):
        nonlocal alive
        alive += 1
        try:
            await asyncio.sleep(5)
        finally:
            alive -= 1
        return {"y": 1}

    assert label(outcome(mapped(fn=body), {"rows": make(3, Boom("source"))}).error) == "source"
    assert alive == 0


def test_naming_the_error_column_does_not_handle_a_source_that_raises():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}) as each:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]})
        each["error"] >> PARENT["errors"]
    assert label(outcome(graph, {"rows": breaks_after(1, Boom("source"))}).error) == "source"


def test_a_source_that_cannot_even_begin_fails_the_map():
    class Closed:
        def __iter__(self):
            raise Boom("closed")

    error = outcome(mapped(), {"rows": Closed()}).error
    assert (label(error), error.hush.path) == ("closed", "g/m")


async def test_an_error_in_the_closing_of_a_source_is_not_lost():
    def rows():
        try:
            yield from range(1000)
        finally:
            raise Boom("closing")

    def body(x):
        raise LookupError(x)

    with pytest.raises(ExceptionGroup) as caught:
        await Hush(mapped(fn=body, on_error="raise", max_concurrency=1)).run({"rows": rows()})
    assert caught.group_contains(Boom)
    assert caught.group_contains(LookupError)


async def test_an_error_in_the_closing_of_an_async_source_is_not_lost():
    async def rows():
        try:
            for number in range(1000):
                yield number
        finally:
            await asyncio.sleep(0)
            raise Boom("closing")

    def body(x):
        raise LookupError(x)

    with pytest.raises(ExceptionGroup) as caught:
        await Hush(mapped(fn=body, on_error="raise", max_concurrency=1)).run({"rows": rows()})
    assert caught.group_contains(Boom)
    assert caught.group_contains(LookupError)


@pytest.mark.parametrize("error", [HushError, StopIteration, StopAsyncIteration], ids=lambda error: error.__name__)
def test_a_body_may_raise_anything_without_ending_the_map(error):
    def body(x):
        raise error("mine")

    found = outcome(mapped(fn=body), {"rows": (number for number in range(3))}).result
    assert (found["ys"], found.errors.total) == ([None] * 3, 3)
