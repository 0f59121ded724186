"""What `Each` goes through: every kind of source, alone and zipped, each item once and in order."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, SourceError
from hush.testing import run_virtual
from runtime.feeding import SOURCES, double, double_later, mapped, zipped
from runtime.observing import outcome


@pytest.mark.parametrize("fn", [double, double_later])
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_its_items_in_order(kind, fn):
    assert outcome(mapped(fn=fn), {"rows": SOURCES[kind]()}).result["ys"] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("fn", [double, double_later])
@pytest.mark.parametrize("kind", SOURCES)
async def test_every_source_works_on_a_real_loop(kind, fn):
    """Where generators are pulled in threads."""
    result = await Hush(mapped(fn=fn)).run({"rows": SOURCES[kind]()})
    assert result["ys"] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 100])
@pytest.mark.parametrize("kind", [iter, lambda rows: (row for row in rows), list])
async def test_no_item_is_lost_at_the_border_of_a_chunk(kind, count):
    result = await Hush(mapped(max_concurrency=3)).run({"rows": kind(range(count))})
    assert result["ys"] == [number * 2 for number in range(count)]


def test_a_literal_source_is_gone_through_in_every_run():
    engine = Hush(mapped([1, 2, 3]))
    assert [run_virtual(engine.run)["ys"] for _ in range(2)] == [[2, 4, 6]] * 2


def test_a_source_may_be_the_output_of_a_node():
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": (n for n in range(3))}, inputs={})
        with MapNode(name="m", inputs={"x": Each(make["rows"])}) as each:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    engine = Hush(graph)
    for _ in range(2):
        assert run_virtual(engine.run)["ys"] == [0, 2, 4]


def test_none_and_false_are_items_like_others():
    items = [None, False, 0, "", [], ..., NotImplemented, StopIteration]
    for rows in (items, iter(items)):
        assert outcome(mapped(fn=lambda x: {"y": x}), {"rows": rows}).result["ys"] == items


def test_other_inputs_are_handed_whole_to_every_item():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2]), "k": PARENT["k"], "j": [7]}) as each:
            reads = {key: PARENT[key] for key in "xkj"}
            CodeNode(name="n", code_fn=lambda x, k, j: {"y": (x, k, j)}, inputs=reads, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    assert outcome(graph, {"k": [1, 2, 3]}).result["ys"] == [(1, [1, 2, 3], [7]), (2, [1, 2, 3], [7])]


# ── Several sources ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("a", SOURCES)
@pytest.mark.parametrize("b", ["list", "generator", "async generator"])
async def test_several_sources_are_zipped(a, b):
    result = await Hush(zipped()).run({"a": SOURCES[a](), "b": SOURCES[b]()})
    assert result["ys"] == [(number, number) for number in range(5)]


LENGTHS = [(3, 2), (2, 3), (0, 1), (1, 0), (40, 41)]


@pytest.mark.parametrize("on_error", ["collect", "raise"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_lists_of_unequal_lengths_fail_the_map_before_any_item(lengths, on_error):
    ran = []
    graph = zipped(lambda a, b: ran.append(a) or {"y": 0}, on_error=on_error)
    error = outcome(graph, {"a": [0] * lengths[0], "b": [0] * lengths[1]}).error
    assert isinstance(error, SourceError)
    assert isinstance(error, ValueError)
    assert "must have the same length" in str(error)
    assert error.hush.path == "g/m"
    assert ran == []


async def at_once(count):
    for number in range(count):
        yield number


MAKERS = {"range": range, "generator": lambda count: (number for number in range(count)), "async": at_once}


@pytest.mark.parametrize("a", MAKERS)
@pytest.mark.parametrize("b", MAKERS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
async def test_sources_of_unequal_lengths_fail_the_map_whatever_they_are(lengths, a, b):
    with pytest.raises(SourceError, match="must have the same length"):
        await Hush(zipped()).run({"a": MAKERS[a](lengths[0]), "b": MAKERS[b](lengths[1])})
