"""Maps: columns, batches, tolerance, timeouts of items, metrics, and failed items on their way downstream."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, InputError, MapNode, Tolerate, TooManyFailures
from hush.core.errors import NodeTimeout
from kit.faults import Boom
from runtime.from_design.authored import error_of, result_of
from runtime.observing import outcome, unknown


def mapped(fn, *keys, outputs=PARENT, **options):
    """A graph with one map over ``xs``, whose body is called with ``x``; it gives these columns."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, **options) as over:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=outputs)
        for key in keys or ("y", "error"):
            over[key] >> PARENT[key.removeprefix("iteration_")]
    return graph


def picky(x):
    """Fails for odd numbers."""
    if x % 2:
        raise Boom(x)
    return {"y": x * 10}


def texts(errors):
    return [error and str(error) for error in errors]


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize("width", [1, 3, 16])
def test_every_column_has_one_place_for_each_item_in_input_order(count, width):
    result = result_of(mapped(picky, max_concurrency=width), {"xs": list(range(count))})
    assert result["y"] == [None if x % 2 else x * 10 for x in range(count)]
    assert texts(result["error"]) == [str(x) if x % 2 else None for x in range(count)]
    assert result.status == ("partial" if count > 1 else "ok")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_if_all_items_fail_every_column_is_full_of_none(count):
    result = result_of(mapped(picky), {"xs": [1] * count})
    assert result == {"y": [None] * count, "error": result["error"]}
    assert texts(result["error"]) == ["1"] * count


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_star_body_gives_no_items_an_empty_column_and_failed_ones_none(count):
    def fail(x):
        raise Boom(x)

    result = result_of(mapped(fail, outputs={"*": PARENT}), {"xs": range(count)})
    assert result["y"] == [None] * count


def test_a_key_that_no_item_of_a_star_body_returned_is_an_error_that_names_it():
    error = error_of(mapped(lambda x: unknown(z=x), "y", outputs={"*": PARENT}), {"xs": [1, 2]})
    assert isinstance(error, HushError)
    assert "'y'" in str(error)
    assert "z" in str(error)


def test_an_item_of_a_star_body_that_lacks_a_key_that_others_have_fails_naming_it():
    def body(x):
        return unknown(y=x) if x != 2 else unknown(z=x)

    result = result_of(mapped(body, outputs={"*": PARENT}), {"xs": [1, 2, 3]})
    assert result["y"] == [1, None, 3]
    assert "'y'" in str(result["error"][1])
    assert [error is None for error in result["error"]] == [True, False, True]


def test_none_is_a_value_and_no_failure():
    result = result_of(mapped(lambda x: {"y": None}), {"xs": [1, 2]})
    assert (result, result.status) == ({"y": [None, None], "error": [None, None]}, "ok")


def test_none_items_are_items():
    assert result_of(mapped(lambda x: {"y": x is None}), {"xs": [None, 1, None]})["y"] == [True, False, True]


def test_an_item_that_reports_its_error_itself_is_failed_and_keeps_what_stands_beside_it():
    result = result_of(
        mapped(lambda x: {"y": x, "error": "odd" if x % 2 else None}, outputs={"y": PARENT, "error": PARENT}),
        {"xs": [1, 2]},
    )
    assert result == {"y": [1, 2], "error": ["odd", None]}


def test_a_failure_that_the_body_handles_without_writing_it_leaves_the_item_successful():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
            tried = CodeNode(name="tried", code_fn=picky, inputs={"x": PARENT["x"]})
            CodeNode(
                name="mend",
                code_fn=lambda y, error: {"y": -1 if error else y},
                inputs={"y": tried["y"], "error": tried["error"]},
                outputs=PARENT,
            )
        over["y"] >> PARENT["y"]
        over["error"] >> PARENT["error"]
        over["iteration_metrics"]["error_count"] >> PARENT["count"]
    result = result_of(graph, {"xs": [1, 2]})
    assert (result, result.status) == ({"y": [-1, 20], "error": [None, None], "count": 0}, "ok")


def test_without_a_reader_of_the_errors_the_run_is_partial_and_has_them_in_order_of_index():
    async def body(x):
        await asyncio.sleep(10 - x)
        return picky(x)

    result = result_of(mapped(body, "y"), {"xs": range(6)})
    assert result.status == "partial"
    assert [error.hush.item for error in result.errors] == [1, 3, 5]
    assert [str(error) for error in result.errors] == ["1", "3", "5"]


# ── Failing fast, tolerance, timeouts ────────────────────────────────────────────────────────────────────────────────


def test_on_error_raise_starts_no_new_item_and_awaits_those_in_flight():
    begun, ended = [], []

    async def body(x):
        begun.append(x)
        try:
            await asyncio.sleep(1 if x == 0 else 60)
            raise Boom(x)
        finally:
            ended.append(x)

    found = outcome(mapped(body, "y", on_error="raise", max_concurrency=3, outputs={"*": PARENT}), {"xs": range(9)})
    assert (str(found.error), found.at_s) == ("0", 1)
    assert sorted(begun) == sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize(
    ("tolerated", "xs", "passes"),
    [
        (Tolerate(count=2), [1, 1, 2], True),
        (Tolerate(count=2), [1, 1, 1], False),
        (Tolerate(count=0), [2, 2], True),
        (Tolerate(count=0), [2, 1], False),
        (Tolerate(fraction=0.5), [1, 2, 1, 2], True),
        (Tolerate(fraction=0.5), [1, 2, 1, 1], False),
        (Tolerate(fraction=0.0), [], True),
        (Tolerate(fraction=1.0), [1, 1], True),
        (Tolerate(count=5, fraction=0.25), [1, 2, 2, 2], True),
        (Tolerate(count=5, fraction=0.25), [1, 1, 2, 2], False),
    ],
)
def test_tolerate_collects_up_to_its_bound_and_then_it_is_too_many(tolerated, xs, passes):
    found = outcome(mapped(picky, on_error=tolerated, max_concurrency=1), {"xs": xs})
    if passes:
        assert found.result["y"] == [None if x % 2 else x * 10 for x in xs]
    else:
        assert isinstance(found.error, TooManyFailures)
        assert found.error.hush.path == "g/m"
        assert isinstance(found.error.__cause__, Boom)


def test_too_many_failures_end_the_map_early():
    begun = []

    def body(x):
        begun.append(x)
        raise Boom(x)

    error = error_of(mapped(body, "error", on_error=Tolerate(count=1), max_concurrency=1), {"xs": range(100)})
    assert isinstance(error, TooManyFailures)
    assert begun == [0, 1]


@pytest.mark.parametrize("wrong", [{}, {"count": -1}, {"fraction": 1.5}, {"fraction": -0.1}, {"count": 1.5}])
def test_tolerate_refuses_bounds_that_are_none(wrong):
    with pytest.raises((HushError, TypeError, ValueError)):
        Tolerate(**wrong)


@pytest.mark.parametrize("wrong", ["tolerate", 3, Tolerate])
def test_what_on_error_may_be_is_told_with_tolerate(wrong):
    with pytest.raises(HushError, match=r"Tolerate\(count="):
        Hush(mapped(picky, on_error=wrong))


def test_a_fraction_of_items_that_nobody_has_counted_is_judged_at_the_end():
    def source():
        yield from (1, 2, 2, 2)

    found = result_of(mapped(picky, on_error=Tolerate(fraction=0.25), max_concurrency=1), {"xs": source()})
    assert found["y"] == [None, 20, 20, 20]


def test_an_item_that_is_late_fails_alone():
    async def body(x):
        await asyncio.sleep(x)
        return {"y": x}

    found = outcome(mapped(body, item_timeout_s=2.5), {"xs": [1, 9, 2]})
    assert found.result["y"] == [1, None, 2]
    assert isinstance(found.result["error"][1], NodeTimeout)
    assert (found.result["error"][1].hush.path, found.result["error"][1].hush.item) == ("g/m", 1)
    assert found.at_s == 2.5


def test_the_time_of_an_item_counts_from_its_own_start():
    async def body(x):
        await asyncio.sleep(2)
        return {"y": x}

    found = outcome(mapped(body, item_timeout_s=3, max_concurrency=1), {"xs": range(5)})
    assert (found.result["y"], found.at_s) == ([0, 1, 2, 3, 4], 10)


def test_a_map_that_is_late_fails_as_a_whole():
    async def body(x):
        await asyncio.sleep(x)
        return {"y": x}

    found = outcome(mapped(body, "y", timeout_s=5), {"xs": [1, 99]})
    assert isinstance(found.error, NodeTimeout)
    assert (found.error.hush.path, found.at_s) == ("g/m", 5)


# ── batch, first, key ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("count", "batches"), [(0, []), (1, [[0]]), (4, [[0, 1], [2, 3]]), (5, [[0, 1], [2, 3], [4]])])
def test_a_batch_hands_the_body_lists(count, batches):
    result = result_of(mapped(lambda x: {"y": list(x)}, batch=2), {"xs": range(count)})
    assert (result["y"], result["error"]) == (batches, [None] * len(batches))


def test_first_takes_only_so_many_and_pulls_no_more():
    pulled = []

    def source():
        for number in range(100):
            pulled.append(number)
            yield number

    assert result_of(mapped(lambda x: {"y": x}, "y", first=3), {"xs": source()}) == {"y": [0, 1, 2]}
    assert len(pulled) <= 4


def test_first_of_fewer_items_takes_those_there_are():
    assert result_of(mapped(lambda x: {"y": x}, "y", first=10), {"xs": [1, 2]}) == {"y": [1, 2]}


def test_first_counts_items_and_batches_hold_them():
    assert result_of(mapped(lambda x: {"y": list(x)}, "y", first=3, batch=2), {"xs": range(9)}) == {"y": [[0, 1], [2]]}


def test_a_key_names_the_item_in_its_error():
    result = result_of(mapped(lambda x: picky(x["n"]), key=lambda x: x["id"]), {"xs": [{"id": "a", "n": 1}]})
    assert result["error"][0].hush.key == "a"
    assert any("'a'" in note for note in result["error"][0].__notes__)


# ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_metrics_count_items_and_have_percentiles():
    metrics = result_of(mapped(picky, "iteration_metrics"), {"xs": range(5)})["metrics"]
    assert (metrics["total_iterations"], metrics["success_count"], metrics["error_count"]) == (5, 3, 2)
    percentiles = [metrics[f"latency_{which}_ms"] for which in ("p50", "p95", "p99")]
    assert 0 <= percentiles[0] <= percentiles[1] <= percentiles[2]
    assert metrics["latency_avg_ms"] >= 0


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_one_after_the_other_no_latencies_add_up_to_more_than_the_run(kind):
    async def later(x):
        await asyncio.sleep(0)
        return {"y": x}

    body = later if kind == "async def" else lambda x: {"y": x}
    result = result_of(mapped(body, "iteration_metrics", max_concurrency=1), {"xs": range(50)})
    metrics = result["metrics"]
    assert 0 < metrics["latency_avg_ms"] * 50 <= result.seconds * 1000
    assert 0 < metrics["latency_p99_ms"] <= result.seconds * 1000


def test_metrics_of_no_items_are_zeros_and_not_a_division():
    metrics = result_of(mapped(picky, "iteration_metrics"), {"xs": []})["metrics"]
    assert (metrics["total_iterations"], metrics["success_count"], metrics["error_count"]) == (0, 0, 0)
    assert not metrics["latency_avg_ms"]


# ── Downstream ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("barrier", [False, True])
@pytest.mark.parametrize("takes_error", [False, True])
def test_an_item_that_failed_upstream_is_failed_downstream_unless_the_error_is_taken_too(barrier, takes_error):
    ran = []

    def second(y, error=None):
        ran.append(y)
        return {"z": f"{y}/{error}"}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(PARENT["xs"])}) as a:
            CodeNode(name="n", code_fn=picky, inputs={"x": PARENT["x"]}, outputs=PARENT)
        more = {"error": Each(a["error"])} if takes_error else {}
        with MapNode(name="b", inputs={"y": Each(a["y"]), **more}) as b:
            given = {"error": PARENT["error"]} if takes_error else {}
            CodeNode(name="n", code_fn=second, inputs={"y": PARENT["y"], **given}, outputs=PARENT)
        if barrier:
            a >> b
        b["z"] >> PARENT["z"]
        b["error"] >> PARENT["error"]
        a["error"] >> PARENT["first"]
    result = result_of(graph, {"xs": [0, 1, 2]})
    if takes_error:
        assert result["z"] == ["0/None", "None/1", "20/None"]
        assert result["error"] == [None, None, None]
    else:
        assert result["z"] == ["0/None", None, "20/None"]
        assert result["error"][1] is result["first"][1]
        assert sorted(ran) == [0, 20]


def test_three_maps_in_a_row_carry_one_failure_through_and_count_it_once():
    with GraphNode(name="g") as graph:
        column = PARENT["xs"]
        for name in "abc":
            with MapNode(name=name, inputs={"x": Each(column)}) as over:
                CodeNode(name="n", code_fn=lambda x: {"y": 4 // x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            column = over["y"]
        over["y"] >> PARENT["y"]
    result = result_of(graph, {"xs": [1, 0, 2]})
    assert result["y"] == [4 // (4 // (4 // x)) if x else None for x in (1, 0, 2)]
    assert [str(error.hush.path) for error in result.errors] == ["g/a/n"]


def test_failed_items_are_left_out_of_batches_downstream():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(PARENT["xs"])}) as a:
            CodeNode(name="n", code_fn=picky, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="b", inputs={"ys": Each(a["y"])}, batch=2) as b:
            CodeNode(name="n", code_fn=lambda ys: {"z": sum(ys)}, inputs={"ys": PARENT["ys"]}, outputs=PARENT)
        b["z"] >> PARENT["z"]
    assert result_of(graph, {"xs": [0, 1, 2, 3, 4]}) == {"z": [20, 40]}


# ── Nested, and as root ──────────────────────────────────────────────────────────────────────────────────────────────


def test_maps_nest_and_each_counts_its_own_items_at_once():
    now, most = [0], [0]

    async def body(x):
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(1)
        now[0] -= 1
        return picky(x)

    with GraphNode(name="g") as graph:
        with MapNode(name="rows", inputs={"row": Each(PARENT["rows"])}, max_concurrency=2) as rows:
            with MapNode(name="cells", inputs={"x": Each(PARENT["row"])}, max_concurrency=3) as cells:
                CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
            cells["y"] >> PARENT["y"]
        rows["y"] >> PARENT["y"]
        rows["error"] >> PARENT["error"]
    result = result_of(graph, {"rows": [[0, 1, 2, 4, 6, 8], [], [3], [2] * 5]})
    assert result["y"] == [[0, None, 20, 40, 60, 80], [], [None], [20] * 5]
    assert result["error"] == [None] * 4, "a failed cell does not fail its row"
    assert most[0] == 6
    assert [(error.hush.outer, error.hush.item) for error in result.errors] == [((0,), 1), ((2,), 0)]


def test_a_map_as_root_gives_all_its_outputs_with_errors_and_metrics():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"]), "by": PARENT["by"]}) as over:
        CodeNode(name="n", code_fn=lambda x, by: {"y": x // by, "z": x}, inputs={"*": PARENT}, outputs={"*": PARENT})
    result = result_of(over, {"xs": [4, 6], "by": 2})
    assert {**result, "iteration_metrics": None} == {
        "y": [2, 3],
        "z": [4, 6],
        "error": [None, None],
        "iteration_metrics": None,
    }
    failed = result_of(over, {"xs": [4, 6], "by": 0})
    assert [type(error) for error in failed["error"]] == [ZeroDivisionError] * 2
    assert failed["iteration_metrics"]["error_count"] == 2


def test_a_map_as_root_names_itself_when_an_input_is_missing():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
        CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    with pytest.raises(InputError, match="'xs' is missing: m reads it"):
        Hush(over).run_sync({})


@pytest.mark.parametrize("source", ["text", b"bytes", {"a": 1}, {1, 2}, None, 5])
def test_what_is_no_list_of_items_fails_the_map_with_advice_under_any_on_error(source):
    error = error_of(mapped(picky, on_error="collect"), {"xs": source})
    assert isinstance(error, HushError | TypeError)
    assert error.hush.path == "g/m"
    assert "Each" in str(error)
