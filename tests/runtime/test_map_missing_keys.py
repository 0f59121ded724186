"""Columns that bodies write by name or with "*": none is shorter than the input, whatever an item does not return."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, ItemFailed, ItemFinished, MapNode, MissingKeyError
from hush.testing import Recorder
from runtime.failing_items import bodies, labels, mapped, sync_body
from runtime.observing import outcome, unknown


def test_a_column_of_a_starred_body_is_empty_without_items():
    found = outcome(mapped(sync_body, [], starred=True)).result
    assert (found["ys"], found["errors"]) == ([], [])


def test_a_column_of_a_starred_body_is_all_none_if_all_failed():
    found = outcome(mapped(sync_body, [-1, -2], starred=True)).result
    assert (found["ys"], labels(found["errors"])) == ([None, None], ["-1", "-2"])


@bodies
def test_columns_of_a_starred_body_are_as_long_as_the_input(body):
    found = outcome(mapped(body, [1, -2, 3], starred=True)).result
    assert (found["ys"], labels(found["errors"])) == ([10, None, 30], [None, "-2", None])


def test_an_item_that_lacks_a_key_that_others_have_fails_and_names_it():
    found = outcome(mapped(lambda x: {} if x == 2 else unknown(y=x), [1, 2, 3], starred=True)).result
    assert found["ys"] == [1, None, 3]
    (error,) = found.errors
    assert isinstance(error, MissingKeyError)
    assert "'y'" in str(error)
    assert found["errors"] == [None, error, None]
    assert error.hush.item == 1
    assert found.status == "partial"


@pytest.mark.parametrize("starred", [False, True])
@pytest.mark.parametrize("lacking", [[0], [2], [0, 2, 3]])
def test_an_item_that_lacks_a_key_is_told_once_as_failed_with_its_name(starred, lacking):
    graph = mapped(
        lambda x: unknown(z=x) if x in lacking else unknown(y=x, z=x),
        [0, 1, 2, 3],
        starred=starred,
        key=lambda x: f"k{x}",
    )
    recorder = Recorder()
    found = outcome(graph, tracer=recorder).result
    told = {}
    for event in recorder.events:
        if isinstance(event, ItemFinished | ItemFailed):
            assert event.item not in told
            told[event.item] = isinstance(event, ItemFinished)
            assert event.key == f"k{event.item}"
    assert told == {item: item not in lacking for item in range(4)}
    assert [error.hush.key for error in found.errors] == [f"k{item}" for item in lacking]


def test_what_a_lacking_item_returned_beside_it_stays():
    def body(x):
        return unknown(z=x) if x == 2 else unknown(y=x, z=x)

    found = outcome(mapped(body, [1, 2, 3], starred=True, read=["y", "z"])).result
    assert (found["ys"], found["zs"]) == ([1, None, 3], [1, 2, 3])


def test_a_key_that_no_item_returned_is_an_error():
    error = outcome(mapped(lambda x: unknown(z=x), [1, 2], starred=True)).error
    assert isinstance(error, MissingKeyError)
    assert "'y'" in str(error)
    assert "'z'" in str(error)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("outputs", [None, PARENT, {"*": PARENT}])
def test_so_it_is_whatever_else_reads_all_columns(keep, outputs):
    """``keep=True`` and ``"*"`` take whatever there is; who names a key wants that."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, outputs=outputs) as each:
            CodeNode(name="n", code_fn=lambda x: unknown(z=x), inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
        CodeNode(name="reads", code_fn=lambda y: {}, inputs={"y": each["y"]})
        each["y"] >> PARENT["ys"]
    engine = Hush(graph)
    with pytest.raises(MissingKeyError, match="g/m has no key 'y'"):
        engine.run_sync({"xs": [1, 2]}, keep=keep)
    assert engine.run_sync({"xs": []}, keep=keep)["ys"] == []


def test_a_failed_item_may_lack_every_key():
    found = outcome(mapped(lambda x: unknown(y=1) if x else sync_body(-1), [0, 1], starred=True)).result
    assert (found["ys"], labels(found["errors"])) == ([None, 1], ["-1", None])


def test_what_was_to_be_written_by_a_skipped_node_is_none_and_the_item_is_successful():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, -2])}) as each:
            risky = CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, on_error="collect")
            CodeNode(name="o", code_fn=lambda y: {"y": y}, inputs={"y": risky["y"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["ys"], found["errors"]) == ([10, None], [None, None])
    assert (labels(found.errors), found.status) == (["-2"], "partial")


def test_a_star_carries_the_columns_and_never_the_errors():
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, -2])}, outputs=PARENT):
        CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert outcome(graph).result == {"y": [10, None]}


def test_none_is_a_value_and_not_a_missing_one():
    found = outcome(mapped(lambda x: {"y": None if x == 1 else x}, [1, 2], starred=True)).result
    assert (found["ys"], found["errors"], found.status) == ([None, 2], [None, None], "ok")


def test_an_item_that_lacks_a_key_that_is_written_by_name_fails():
    found = outcome(mapped(lambda x: {} if x == 2 else unknown(y=x), [1, 2, 3])).result
    assert found["ys"] == [1, None, 3]
    assert isinstance(found["errors"][1], MissingKeyError)
