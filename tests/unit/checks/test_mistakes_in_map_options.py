"""Planted mistakes: what maps may be told besides what they go through."""

from __future__ import annotations

import pytest

from hush.core import PARENT, Each, GraphNode, MapNode, code_node
from unit.checks.corpus import Mistakes

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_a_mistake_in_the_options_of_a_map_is_found_before_anything_runs(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@mistakes.plant("g/m", says=("batch", "0"), batch=1)
def batches_of_nothing(batch=0):
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, batch=batch):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("batch", "-1"))
def batches_of_less_than_nothing():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, batch=-1):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("first", "-1"), first=1)
def the_first_minus_one(first=-1):
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, first=first):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("item_timeout_s", "0"), seconds=0.5)
def no_time_for_an_item(seconds=0):
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s=seconds):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("item_timeout_s", "-2"))
def less_than_no_time_for_an_item():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s=-2):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("item_timeout_s", "nan"))
def a_time_for_an_item_that_is_no_number():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, item_timeout_s=float("nan")):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("timeout_s", "0"))
def no_time_for_a_map():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, timeout_s=0):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("key", "generator"))
def a_key_that_is_a_generator_function():
    def key(i):
        yield i

    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, key=key):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("key", "async"))
def a_key_that_must_be_awaited():
    async def key(i):
        return i

    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, key=key):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("key", "lambda"), key=lambda i: i)
def a_key_that_takes_nothing(key=lambda: 1):
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, key=key):  # <-
        one(name="n")
    return g


@mistakes.plant("g/m", says=("'ignore'", "collect", "raise", "Tolerate"))
def an_unknown_way_to_take_errors():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, on_error="ignore"):  # <-
        one(name="n")
    return g


@mistakes.plant("g/n", says=("return_keys",), mend=("elete",))
def return_keys_of_a_factory():
    with GraphNode(name="g") as g:
        one(name="n", return_keys=["y"])  # <-
    return g


# --- columns -----------------------------------------------------------------------------------------------------


@mistakes.plant("g/b", says=("'z'", "m", "y"), mend=("m:", 'PARENT["z"]'))
def a_column_that_a_map_does_not_have():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            one(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        one(name="b", inputs={"x": m["z"]})  # <-
    return g


@mistakes.plant("g/second", says=("'z'", "m", "y"))
def each_of_a_column_that_a_map_does_not_have():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            one(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        with MapNode(name="second", inputs={"i": Each(m["z"])}):  # <-
            one(name="n", inputs={"x": PARENT["i"]})
    return g


@mistakes.plant("g/b", says=("'iteration_metric'", "iteration_metrics"), key="iteration_metrics")
def misspelt_metrics(key="iteration_metric"):
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            one(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        one(name="b", inputs={"x": m[key]})  # <-
    return g


@mistakes.plant("g/b", says=("'i'", "m", "y"))
def an_input_of_a_map_read_as_a_column():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            one(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        one(name="b", inputs={"x": m["i"]})  # <-
    return g


# --- roots -------------------------------------------------------------------------------------------------------


@mistakes.plant("m", says=("Each",), mend=("Each(",))
def a_root_without_each():
    with MapNode(name="m", inputs={"i": PARENT["items"]}) as m:  # <-
        one(name="n", inputs={"x": PARENT["i"]})
    return m


@mistakes.plant("m", says=("m",))
def an_empty_root():
    with MapNode(name="m", inputs={"i": Each([1])}) as m:  # <-
        pass
    return m


@mistakes.plant("m/n", says=("'z'", "x"))
def a_mistake_in_the_body_of_a_root():
    with MapNode(name="m", inputs={"i": Each([1])}) as m:
        one(name="n", inputs={"z": PARENT["i"]})  # <-
    return m


@mistakes.plant("m", "m/n", says=('PARENT["k"]', "m"), mend=('"k"',))
def a_key_that_a_root_is_not_given():
    """A root map takes of the run what its inputs name."""
    with MapNode(name="m", inputs={"i": Each(PARENT["items"])}) as m:  # <-
        one(name="n", inputs={"x": PARENT["k"]})  # <-
    return m


@mistakes.plant("m", says=("max_concurrency", "0"))
def a_root_of_no_item_at_a_time():
    with MapNode(name="m", inputs={"i": Each(PARENT["items"])}, max_concurrency=0) as m:  # <-
        one(name="n", inputs={"x": PARENT["i"]})
    return m


@mistakes.plant("m/a", "m/b", "m", says=("a", "b", '"y"'))
def two_writers_in_a_root():
    with MapNode(name="m", inputs={"i": Each([1])}) as m:
        one(name="a", outputs=PARENT)  # <-
        one(name="b", outputs=PARENT)  # <-
    return m
