"""What `Each` does not go through: what gives no items, and iterators that somebody has gone through already."""

from __future__ import annotations

import collections

import pytest

from hush.core import PARENT, CodeNode, Each, GraphError, GraphNode, Hush, MapNode, SourceError
from hush.testing import run_virtual
from runtime.feeding import SOURCES, Rows, double_later, mapped, zipped
from runtime.observing import outcome


def generator_function():
    yield 1


async def async_generator_function():
    yield 1


class DataFrame:
    """Goes through the names of its columns, as those of pandas and polars do."""

    columns = ("a", "b")

    def __iter__(self):
        return iter(self.columns)

    def iterrows(self):
        return enumerate([1, 2])


REFUSED = [
    "text",
    b"bytes",
    bytearray(b"bytes"),
    {"a": 1},
    collections.OrderedDict(),
    {1, 2},
    frozenset(),
    None,
    generator_function,
    async_generator_function,
    DataFrame(),
    5,
    object(),
]


@pytest.mark.parametrize("rows", REFUSED, ids=lambda rows: type(rows).__name__)
@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_what_cannot_be_gone_through_is_refused_with_advice(rows, on_error):
    error = outcome(mapped(on_error=on_error), {"rows": rows}).error
    assert isinstance(error, SourceError)
    assert error.hush.path == "g/m"
    assert len(str(error)) > 40, "it says what to write instead"


@pytest.mark.parametrize("rows", REFUSED, ids=lambda rows: type(rows).__name__)
def test_a_literal_that_cannot_be_gone_through_is_refused_before_anything_runs(rows):
    """At the earliest moment at which it can be known."""
    with pytest.raises((GraphError, SourceError)):
        Hush(mapped(rows))


def test_a_string_is_told_apart_from_a_list_of_one():
    error = outcome(mapped(), {"rows": "Huế"}).error
    assert "[" in str(error), "the line to write: Each([text])"


# ── Consumed ─────────────────────────────────────────────────────────────────────────────────────────────────────────


ITERATORS = ["generator", "map", "iterator", "async generator", "endless and cut"]


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_run_over_the_same_iterator_is_an_error(kind):
    """Else it would quietly give nothing."""
    rows = SOURCES[kind]()
    engine = Hush(mapped())
    assert run_virtual(lambda: engine.run({"rows": rows}))["ys"] == [0, 2, 4, 6, 8]
    with pytest.raises(SourceError, match="function"):
        run_virtual(lambda: engine.run({"rows": rows}))


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_run_over_an_iterator_that_the_graph_holds_is_an_error(kind):
    engine = Hush(mapped(SOURCES[kind]()))
    assert run_virtual(engine.run)["ys"] == [0, 2, 4, 6, 8]
    with pytest.raises(SourceError):
        run_virtual(engine.run)


@pytest.mark.parametrize("kind", ITERATORS)
def test_a_second_each_over_the_same_iterator_is_an_error(kind):
    with GraphNode(name="g") as graph:
        for name in "ab":
            with MapNode(name=name, inputs={"x": Each(PARENT["rows"])}):
                CodeNode(name="n", code_fn=double_later, inputs={"x": PARENT["x"]})
    assert isinstance(outcome(graph, {"rows": SOURCES[kind]()}).error, SourceError)


@pytest.mark.parametrize("kind", ITERATORS)
def test_two_sources_of_one_map_may_not_be_the_same_iterator(kind):
    rows = SOURCES[kind]()
    assert isinstance(outcome(zipped(), {"a": rows, "b": rows}).error, SourceError)


def test_an_iterable_that_is_no_iterator_may_be_gone_through_twice():
    rows = Rows(3)
    assert outcome(zipped(), {"a": rows, "b": rows}).result["ys"] == [(0, 0), (1, 1), (2, 2)]
