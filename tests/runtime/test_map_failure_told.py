"""What a run tells of the items that failed: one warning, the first hundred errors in order, the count of all."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, RunTimeout
from hush.core.errors import NO_ERRORS
from hush.testing import run_virtual
from kit.faults import Boom
from runtime.failing_items import async_body, bodies, labels, mapped, sync_body
from runtime.observing import outcome

# ── Before the run failed ────────────────────────────────────────────────────────────────────────────────────────────


def halved(x):
    if x % 2:
        raise Boom(x)
    return {"y": x // 2}


def added(*readers):
    """A map over numbers, of which each odd one fails, and nodes that cannot add up what is left."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(72))}) as each:
            CodeNode(name="n", code_fn=halved, inputs={"x": PARENT["x"]}, outputs=PARENT)
        for name in readers:
            CodeNode(name=name, code_fn=lambda ys: {"sum": sum(ys)}, inputs={"ys": each["y"]})
    return graph


@pytest.mark.parametrize("readers", [("one",), ("one", "two")])
def test_a_run_that_fails_tells_what_it_had_gone_on_without_before(readers):
    with pytest.raises((TypeError, ExceptionGroup)) as caught:
        run_virtual(Hush(added(*readers)).run)
    errors = caught.value.hush.errors
    assert errors.total == len(errors) == 36
    assert [error.hush.item for error in errors] == list(range(1, 72, 2))
    assert not any(error.hush.errors for error in errors)
    for part in getattr(caught.value, "exceptions", ()):
        assert part.hush.errors is errors


def test_a_run_that_takes_too_long_tells_it_too():
    async def after(ys):
        await asyncio.sleep(60)

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}) as each:
            CodeNode(name="n", code_fn=halved, inputs={"x": PARENT["x"]}, outputs=PARENT)
        CodeNode(name="after", code_fn=after, inputs={"ys": each["y"]})
    with pytest.raises(RunTimeout) as caught:
        run_virtual(lambda: Hush(graph).run(timeout_s=1))
    assert caught.value.hush.errors.total == 2


def test_a_run_that_fails_at_once_had_gone_on_without_nothing():
    with pytest.raises(Boom) as caught:
        run_virtual(Hush(mapped(sync_body, [-1], on_error="raise")).run)
    assert caught.value.hush.errors is NO_ERRORS


# ── What is said and kept ────────────────────────────────────────────────────────────────────────────────────────────


def warnings_of(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_run_warns_once_with_the_count_and_the_first_cause(caplog):
    """First means the order of items, not of time: the last item fails first here."""
    outcome(mapped(async_body, [1, *range(-30, 0)], read=["y"]))
    (record,) = warnings_of(caplog)
    assert "30" in record.getMessage()
    assert "Boom: -30" in record.getMessage()
    assert record.name.startswith("hush")


def test_several_maps_are_one_warning(caplog):
    with GraphNode(name="g") as graph:
        for name in "ab":
            with MapNode(name=name, inputs={"x": Each([-1, -2])}):
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
    outcome(graph)
    (record,) = warnings_of(caplog)
    assert "4" in record.getMessage()


def test_nothing_is_said_of_a_run_in_which_nothing_failed(caplog):
    outcome(mapped(async_body, [1, 2, 3]))
    assert not caplog.records


@bodies
def test_without_a_reader_the_first_hundred_errors_are_kept_and_all_are_counted(body):
    items = range(-250, 0)
    if body is sync_body:
        items = list(items)
    found = outcome(mapped(body, items, read=["y"], max_concurrency=300)).result
    assert labels(found.errors) == [str(x) for x in range(-250, -150)]
    assert found.errors.total == 250
    assert found["ys"] == [None] * 250


def test_a_reader_of_the_column_gets_every_error():
    found = outcome(mapped(sync_body, range(-250, 0))).result
    assert labels(found["errors"]) == [str(x) for x in range(-250, 0)]
    assert found.errors.total == 250


def test_errors_come_in_the_order_of_path_and_item():
    with GraphNode(name="g") as graph:
        for name, items in (("b", [-3, -4]), ("a", [-1, -2])):
            with MapNode(name=name, inputs={"x": Each(items)}):
                CodeNode(name="n", code_fn=async_body, inputs={"x": PARENT["x"]})
    found = outcome(graph).result
    assert [(error.hush.path, error.hush.item) for error in found.errors] == [
        ("g/a/n", 0),
        ("g/a/n", 1),
        ("g/b/n", 0),
        ("g/b/n", 1),
    ]


def test_errors_of_nested_maps_come_in_the_order_of_their_indexes():
    rows = [[1, -2], [-3, -4], [5, -6]]
    with (
        GraphNode(name="g") as graph,
        MapNode(name="a", inputs={"row": Each(rows)}),
        MapNode(name="b", inputs={"x": Each(PARENT["row"])}),
    ):
        CodeNode(name="n", code_fn=async_body, inputs={"x": PARENT["x"]})
    assert labels(outcome(graph).result.errors) == ["-2", "-3", "-4", "-6"]


class Payload:
    pass


@pytest.mark.parametrize("read", [["y"], ["y", "error"]], ids=["unread", "read"])
def test_kept_exceptions_keep_nothing_alive_but_themselves(read):
    """A column of exceptions must not hold what a hundred thousand bodies had at hand when they failed."""
    refs = []

    def helper(here):
        raise LookupError("cause")

    async def body(x):
        here = Payload()
        refs.append(weakref.ref(here))
        await asyncio.sleep(0)
        try:
            return {"y": helper(here)}
        except LookupError as cause:
            raise Boom(x) from cause

    found = outcome(mapped(body, range(5), read=read))
    gc.collect()
    assert len(found.result.errors) == len(refs) == 5
    assert not any(ref() for ref in refs)


def test_a_million_failures_are_counted_and_not_kept():
    """Of an exception that is not among the first hundred nothing may stay."""
    alive, most = weakref.WeakSet(), 0

    def body(x):
        nonlocal most
        error = Boom(x)
        alive.add(error)
        most = max(most, len(alive))
        raise error

    engine = Hush(mapped(body, range(2000), read=[]))
    gc.disable()
    try:
        found = run_virtual(engine.run)
    finally:
        gc.enable()
    assert (len(found.errors), found.errors.total) == (100, 2000)
    assert most <= 100 + 16 + 1
