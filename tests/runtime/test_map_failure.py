"""Items that fail: collected by default, with a column of errors beside the others, or fail-fast where asked for."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapNode,
    MissingKeyError,
    ReportedError,
    RunTimeout,
)
from hush.core.errors import NO_ERRORS
from hush.testing import Recorder, run_virtual
from kit.faults import Boom, label, members
from runtime.observing import outcome, unknown


def sync_body(x):
    if x < 0:
        raise Boom(x)
    return {"y": x * 10}


async def async_body(x):
    """Later items are done sooner."""
    await asyncio.sleep(100 - abs(x))
    return sync_body(x)


bodies = pytest.mark.parametrize("body", [sync_body, async_body])


def mapped(body, items, *, read=("y", "error"), starred=False, **options):
    """A graph of one map. It reads these columns of it as `ys`, `errors` and so on."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(items)}, **options) as each:
            outputs = PARENT if starred else {key: PARENT[key] for key in read if key != "error"}
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=outputs)
        for key in read:
            each[key] >> PARENT[f"{key}s"]
    return graph


def labels(column):
    return [error if error is None else label(error) if isinstance(error, BaseException) else error for error in column]


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


# ── Collected ────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── An `error` of the body's own ─────────────────────────────────────────────────────────────────────────────────────


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


# ── Bodies that write "*" ────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Fail-fast ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fail_fast_starts_no_new_item_and_awaits_those_in_flight():
    began, ended = [], []

    async def body(x):
        began.append(x)
        try:
            await asyncio.sleep(1 if x == 1 else 5)
            if x == 1:
                raise Boom("one")
        finally:
            await asyncio.sleep(0.5)
            ended.append(x)

    found = outcome(mapped(body, range(100), read=[], max_concurrency=3, on_error="raise"))
    assert (label(found.error), found.error.hush.item, found.at_s) == ("one", 1, 2)
    assert sorted(began) == sorted(ended) == [0, 1, 2]


@bodies
def test_fail_fast_keeps_the_columns_so_far(body):
    items = [5, 4, 3, -2, 1] if body is sync_body else [5, 4, 3, -98, 1]
    error = outcome(mapped(body, items, on_error="raise", max_concurrency=2)).error
    assert isinstance(error, Boom)
    assert error.hush.path == "g/m/n"
    if body is sync_body:
        assert error.hush.columns["y"][:3] == [50, 40, 30]
        assert len(error.hush.columns["y"]) <= 5
    assert error.hush.item == 3


def test_fail_fast_raises_the_error_of_a_sync_body_before_the_next_item():
    began = []

    def body(x):
        began.append(x)
        return sync_body(x)

    outcome(mapped(body, [1, -2, 3], on_error="raise"))
    assert began == [1, -2]


def test_naming_the_column_of_errors_does_not_undo_fail_fast():
    """It never handles the map's own failure."""
    assert label(outcome(mapped(sync_body, [1, -2], on_error="raise", read=["error"])).error) == "-2"


def test_a_map_that_fails_fast_can_be_handled_by_a_graph_around_it():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner, MapNode(name="m", inputs={"x": Each([1, -2])}, on_error="raise"):
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
        inner["error"] >> PARENT["e"]
    assert label(outcome(graph).result["e"]) == "-2"


def test_a_map_that_fails_fast_inside_a_map_fails_its_item():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"row": Each([[1, 2], [3, -4], [5]])}) as outer:
            with MapNode(name="b", inputs={"x": Each(PARENT["row"])}, on_error="raise") as inner:
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs=PARENT)
            inner["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["ys"]
        outer["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["ys"], labels(found["errors"])) == ([[10, 20], None, [50]], [None, "-4", None])


# ── Downstream ───────────────────────────────────────────────────────────────────────────────────────────────────────


def two_maps(*, takes_error=False, ran):
    def second(y, e=None):
        ran.append(y)
        return {"z": (y, e and label(e))}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        inputs = {"y": Each(one["y"])} | ({"e": Each(one["error"])} if takes_error else {})
        with MapNode(name="b", inputs=inputs) as two:
            reads = {"y": PARENT["y"]} | ({"e": PARENT["e"]} if takes_error else {})
            CodeNode(name="n", code_fn=second, inputs=reads, outputs={"z": PARENT["z"]})
        two["z"] >> PARENT["zs"]
        one["error"] >> PARENT["first"]
        two["error"] >> PARENT["second"]
    return graph


def test_an_item_that_failed_upstream_is_failed_downstream_with_the_same_error():
    ran = []
    found = outcome(two_maps(ran=ran)).result
    assert found["zs"] == [(10, None), None, (30, None)]
    assert sorted(ran) == [10, 30], "the body of a failed item must not run"
    assert labels(found["second"]) == [None, "-2", None]
    assert found["second"][1] is found["first"][1]


def test_a_body_runs_for_failed_items_if_it_takes_the_errors_too():
    ran = []
    found = outcome(two_maps(ran=ran, takes_error=True)).result
    assert found["zs"] == [(10, None), (None, "-2"), (30, None)]
    assert found["second"] == [None, None, None]


def test_a_failure_travels_through_three_maps():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="b", inputs={"x": Each(one["x"])}) as two:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="c", inputs={"x": Each(two["x"])}) as three:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        three["x"] >> PARENT["xs"]
        three["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["xs"], labels(found["errors"])) == ([1000, None], [None, "-2"])


def after_two(source, **options):
    """A map whose first item failed, and one over what `source` makes of its columns."""
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="b", inputs={"y": Each(source(one))}, **options) as two:
            CodeNode(name="n", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs={"z": PARENT["z"]})
        two["z"] >> PARENT["zs"]
        two["error"] >> PARENT["errors"]
    return graph


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (lambda one: one["y"].apply(lambda ys: [y for y in ys if y is not None]), [20, 30]),
        (lambda one: one["y"][::-1], [30, 20, None]),
        (lambda one: one["y"][1:], [20, 30]),
    ],
    ids=["filtered", "reversed", "sliced"],
)
def test_what_is_made_of_a_column_is_a_list_like_any_other(source, expected):
    """Its places are not those of the items that failed."""
    found = outcome(after_two(source)).result
    assert (found["zs"], found["errors"]) == (expected, [None] * len(expected))


def test_a_map_over_the_errors_runs_for_the_failed_items_too():
    found = outcome(after_two(lambda one: one["error"])).result
    assert (labels(found["zs"]), found["errors"]) == (["-1", None, None], [None] * 3)


def test_a_failure_travels_into_a_nested_graph():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with GraphNode(name="inner", outputs=PARENT):
            with MapNode(name="b", inputs={"y": Each(one["y"])}) as two:
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["y"]}, outputs={"y": PARENT["y"]})
            two["error"] >> PARENT["errors"]
    assert labels(outcome(graph).result["errors"]) == ["-1", None]


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


def test_a_function_that_reads_a_column_gets_the_whole_list():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        CodeNode(name="o", code_fn=lambda ys: {"ys": ys}, inputs={"ys": one["y"]}, outputs=PARENT)
    assert outcome(graph).result["ys"] == [10, None, 30]


def test_a_failure_upstream_fails_a_map_that_fails_fast():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="b", inputs={"x": Each(one["x"])}, on_error="raise"):
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
    assert label(outcome(graph).error) == "-2"


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


def test_an_item_that_lacks_a_key_that_is_written_by_name_fails():
    found = outcome(mapped(lambda x: {} if x == 2 else unknown(y=x), [1, 2, 3])).result
    assert found["ys"] == [1, None, 3]
    assert isinstance(found["errors"][1], MissingKeyError)
