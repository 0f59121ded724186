"""An `error` of the body's own: what it writes there, or hands on, is the failure of its item."""

from __future__ import annotations

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode, ReportedError
from kit.faults import Boom
from runtime.failing_items import labels, sync_body
from runtime.observing import outcome


def polite(x):
    """Returns its errors, as the guide's `safe_process` does."""
    return {"y": x * 10, "error": None if x >= 0 else f"{x} is below 0"}


def polite_map(items, **options):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(items)}, **options) as each:
            outputs = {"y": PARENT["y"], "error": PARENT["error"]}
            CodeNode(name="n", code_fn=polite, inputs={"x": PARENT["x"]}, outputs=outputs)
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph


def test_an_error_that_the_body_writes_itself_is_the_items_failure():
    """An item is failed exactly if its place in the column is not None; what it returned beside it stays."""
    found = outcome(polite_map([1, -2])).result
    assert found["ys"] == [10, -20]
    assert found["errors"] == [None, "-2 is below 0"]
    (error,) = found.errors
    assert isinstance(error, ReportedError)
    assert error.value == "-2 is below 0"


def test_an_error_of_the_bodys_own_makes_the_result_partial_where_nobody_names_it():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, -2])}) as each:
            outputs = {"y": PARENT["y"], "error": PARENT["error"]}
            CodeNode(name="n", code_fn=polite, inputs={"x": PARENT["x"]}, outputs=outputs)
        each["y"] >> PARENT["ys"]
    found = outcome(graph).result
    assert (found.status, found.errors.total) == ("partial", 1)


def test_a_failure_that_the_body_hands_on_as_its_error_is_the_items_failure():
    """The guide's body: `process["error"] >> PARENT["error"]` names the error, so the node's failure is handled."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, -2, 3])}) as each:
            one = CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
            one["y"] >> PARENT["y"]
            one["error"] >> PARENT["error"]
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["ys"], labels(found["errors"])) == ([10, None, 30], [None, "-2", None])


def test_an_error_of_the_bodys_own_fails_a_map_that_fails_fast():
    error = outcome(polite_map([1, -2, 3], on_error="raise", max_concurrency=1)).error
    assert isinstance(error, ReportedError)
    assert (error.value, error.hush.item) == ("-2 is below 0", 1)


def test_an_exception_that_the_body_hands_on_as_its_error_is_raised_as_it_is():
    mine = Boom("mine")
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1])}, on_error="raise"):
        CodeNode(
            name="n", code_fn=lambda x: {"error": mine}, inputs={"x": PARENT["x"]}, outputs={"error": PARENT["error"]}
        )
    assert outcome(graph).error is mine


def test_an_error_that_is_false_is_an_error_all_the_same():
    def body(x):
        return {"y": x, "error": [None, 0, "", False][x]}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(4))}) as each:
            outputs = {"y": PARENT["y"], "error": PARENT["error"]}
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=outputs)
        each["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["errors"], found.errors.total) == ([None, 0, "", False], 3)


# ── Downstream ───────────────────────────────────────────────────────────────────────────────────────────────────────


def polite_then(**options):
    """A map that reports the error "-1 is below 0" by itself, and one over its column."""
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2])}) as one:
            outputs = {"y": PARENT["y"], "error": PARENT["error"]}
            CodeNode(name="n", code_fn=polite, inputs={"x": PARENT["x"]}, outputs=outputs)
        with MapNode(name="b", inputs={"x": Each(one["y"])}, **options) as two:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        two["y"] >> PARENT["ys"]
        two["error"] >> PARENT["errors"]
    return graph


def test_an_error_of_the_bodys_own_travels_as_it_is():
    found = outcome(polite_then()).result
    assert (found["ys"], found["errors"]) == ([None, 200], ["-1 is below 0", None])


def test_an_error_of_the_bodys_own_fails_a_fail_fast_map_downstream():
    error = outcome(polite_then(on_error="raise")).error
    assert isinstance(error, ReportedError)
    assert error.value == "-1 is below 0"
