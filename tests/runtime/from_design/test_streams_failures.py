"""Failures travel down a stream as they do past a barrier, and whatever ends badly, nothing hangs or is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode, NodeTimeout, SourceError, Tolerate, TooManyFailures
from hush.testing import Recorder
from kit.faults import Boom, label
from runtime.from_design.streamed import Tap, over, row
from runtime.observing import outcome

seeds = pytest.mark.parametrize("seed", range(3))
kinds = pytest.mark.parametrize("kind", ["lines", "rows"])
ways = pytest.mark.parametrize("barrier", [False, True], ids=["stream", "barrier"])
COUNT = 200


def odd_fails(x):
    if x % 2:
        raise Boom(x)
    return x


def fails_at(number):
    def fn(x):
        if x == number:
            raise Boom(number)
        return x

    return fn


# ── Down the stream ──────────────────────────────────────────────────────────────────────────────────────────────────


@ways
@seeds
@pytest.mark.parametrize("seconds", [None, lambda x: (x * 7) % 5], ids=["def", "sleeps"])
def test_an_item_that_failed_is_failed_downstream_with_the_same_error_and_its_body_does_not_run(barrier, seed, seconds):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(40), tap.body("a", odd_fails, seconds))
        b = over("b", a["y"], tap.body("b"))
        c = over("c", b["y"], tap.body("c"))
        if barrier:
            a >> b >> c
        a["error"] >> PARENT["a"]
        b["error"] >> PARENT["b"]
        c["error"] >> PARENT["c"]
        c["y"] >> PARENT["ys"]
    result = outcome(graph, seed=seed).result
    assert result["ys"] == [None if x % 2 else x for x in range(40)]
    assert all(one is two is three for one, two, three in zip(result["a"], result["b"], result["c"], strict=True))
    assert sorted(tap.seen["b"]) == sorted(tap.seen["c"]) == list(range(0, 40, 2))
    assert result.status == "partial"
    assert [(label(error), error.hush.path, error.hush.item) for error in result.errors] == [
        (str(x), "g/a/a_n", x) for x in range(1, 40, 2)
    ]


@ways
@seeds
def test_where_the_errors_are_taken_as_well_the_body_runs(barrier, seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(10), tap.body("a", odd_fails, seconds=lambda x: (x * 7) % 5))
        with MapNode(name="b", inputs={"y": Each(a["y"]), "e": Each(a["error"])}) as b:
            CodeNode(
                name="n",
                code_fn=lambda y, e: {"y": (y, e and str(e))},
                inputs={"y": PARENT["y"], "e": PARENT["e"]},
                outputs=PARENT,
            )
        if barrier:
            a >> b
        b["y"] >> PARENT["ys"]
        b["error"] >> PARENT["errors"]
    result = outcome(graph, seed=seed).result
    assert result["ys"] == [(None, str(x)) if x % 2 else (x, None) for x in range(10)]
    assert result["errors"] == [None] * 10


@ways
def test_what_an_item_reports_itself_travels_too(barrier):
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, 2, 3])}) as a:
            CodeNode(
                name="n",
                code_fn=lambda x: {"y": x, "error": "two" if x == 2 else None},
                inputs={"x": PARENT["x"]},
                outputs={"y": PARENT, "error": PARENT},
            )
        b = over("b", a["y"], lambda x: {"y": -x})
        if barrier:
            a >> b
        b["y"] >> PARENT["ys"]
        b["error"] >> PARENT["errors"]
        a["y"] >> PARENT["a"]
    result = outcome(graph).result
    assert (result["ys"], result["errors"], result["a"]) == ([-1, None, -3], [None, "two", None], [1, 2, 3])


@ways
def test_a_failure_that_travels_is_counted_once(barrier):
    with GraphNode(name="g") as graph:
        a = over("a", range(4), lambda x: {"y": odd_fails(x)})
        b = over("b", a["y"], lambda x: {"y": x})
        if barrier:
            a >> b
        b["y"] >> PARENT["ys"]
    assert outcome(graph).result.errors.total == 2


def told(graph):
    """What a run tells, but for times and order."""
    recorder = Recorder()
    result = outcome(graph, tracer=recorder).result
    lines = [line.partition(" s ")[2] for line in recorder.lines()]
    # Of a stream the number of items is not always known when it starts.
    return Counter(line.partition(" total=")[0] for line in lines), dict(result), result.status


@pytest.mark.parametrize("more", [{}, {"on_error": Tolerate(count=99)}, {"batch": 3}, {"first": 7}], ids=str)
def test_a_stream_tells_what_a_barrier_tells(more):
    def make(barrier):
        with GraphNode(name="g") as graph:
            a = over("a", range(20), lambda x: {"y": odd_fails(x)})
            b = over("b", a["y"], lambda x: {"y": x}, **more)
            if barrier:
                a >> b
            b["y"] >> PARENT["ys"]
            b["iteration_metrics"]["error_count"] >> PARENT["failed"]
            b["iteration_metrics"]["total_iterations"] >> PARENT["total"]
        return graph

    assert told(make(False)) == told(make(True))


# ── Failing fast ─────────────────────────────────────────────────────────────────────────────────────────────────────


@kinds
@seeds
@pytest.mark.parametrize("where", ["a", "b", "c"])
@pytest.mark.parametrize("seconds", [None, 1], ids=["def", "sleeps"])
def test_wherever_it_fails_fast_all_end_and_the_source_is_closed(kind, seed, where, seconds):
    tap = Tap()
    bodies = [tap.body(name, fails_at(50) if name == where else (lambda x: x), seconds) for name in "abc"]
    small = {"max_concurrency": 2}
    options = {name: {**small, "on_error": "raise"} if name == where else small for name in "abc"}
    found = outcome(row(PARENT["rows"], *bodies, **options), {"rows": tap.source(kind, COUNT)}, seed=seed)
    assert label(found.error) == "50"
    assert found.error.hush.path == f"g/{where}/{where}_n"
    assert found.error.hush.item == 50
    assert tap.open == 0
    assert tap.pulled < COUNT, "it failed before the source had ended"
    assert tap.begun == tap.ended


@seeds
def test_one_that_fails_fast_is_set_off_by_what_failed_before_it(seed):
    tap = Tap()
    graph = row(
        PARENT["rows"], tap.body("a", fails_at(5), seconds=1), tap.body("b", seconds=1), b={"on_error": "raise"}
    )
    found = outcome(graph, {"rows": tap.rows(COUNT)}, seed=seed)
    assert (label(found.error), found.error.hush.path) == ("5", "g/a/a_n")
    assert tap.open == 0


@seeds
@pytest.mark.parametrize("where", ["a", "b"])
def test_too_many_failures_end_the_run_wherever_they_are(seed, where):
    tap = Tap()
    graph = row(
        PARENT["rows"],
        tap.body("a", odd_fails if where == "a" else (lambda x: x), seconds=1),
        tap.body("b", odd_fails, seconds=1),
        a={"max_concurrency": 2},
        **({"b": {"on_error": Tolerate(count=3)}} if where == "b" else {}),
    )
    if where == "a":
        graph = row(
            PARENT["rows"], tap.body("a", odd_fails, 1), tap.body("b"), a={"on_error": Tolerate(count=3), "window": 4}
        )
    found = outcome(graph, {"rows": tap.rows(COUNT)}, seed=seed)
    assert isinstance(found.error, TooManyFailures)
    assert found.error.hush.path == f"g/{where}"
    assert tap.open == 0
    assert tap.pulled < COUNT


@seeds
@pytest.mark.parametrize("where", ["a", "b"])
def test_a_pipeline_in_a_graph_that_handles_its_failure_ends_and_the_rest_goes_on(seed, where):
    tap = Tap()
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", inputs={"rows": PARENT["rows"]}, on_error="collect") as inner:
            fns = {name: fails_at(9) if name == where else lambda x: x for name in "ab"}
            a = over("a", PARENT["rows"], tap.body("a", fns["a"], 1), max_concurrency=2, on_error="raise")
            b = over("b", a["y"], tap.body("b", fns["b"], 1), max_concurrency=2, on_error="raise")
            b["y"] >> PARENT["ys"]
        inner["error"] >> PARENT["error"]
        after = CodeNode(name="after", code_fn=lambda: {"v": tap.open}, inputs={}, outputs={"v": PARENT["open"]})
        inner >> after
    result = outcome(graph, {"rows": tap.rows(COUNT)}, seed=seed).result
    assert (label(result["error"]), result["error"].hush.path) == ("9", f"g/inner/{where}/{where}_n")
    assert tap.pulled < COUNT
    assert (result["open"], tap.open) == (0, 0)
    assert tap.begun == tap.ended


def test_if_the_reader_fails_while_the_columns_are_read_elsewhere_too_nothing_hangs():
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), window=3)
        over("b", a["y"], tap.body("b", fails_at(5)), on_error="raise")
        CodeNode(name="k", code_fn=lambda ys: {}, inputs={"ys": a["y"]})
        a["error"] >> PARENT["errors"]
    assert label(outcome(graph, {"rows": tap.lines(COUNT)}).error) == "5"
    assert tap.open == 0


def test_the_columns_so_far_are_those_of_the_map_that_failed():
    graph = row(
        range(9),
        lambda x: {"y": x * 10},
        lambda x: {"y": fails_at(30)(x)},
        b={"on_error": "raise", "max_concurrency": 1},
    )
    error = outcome(graph).error
    assert error.hush.columns["y"][:3] == [0, 10, 20]


# ── Sources that fail, lengths that differ ───────────────────────────────────────────────────────────────────────────


def breaks(count):
    yield from range(count)
    raise Boom("source")


async def breaks_later(count):
    for number in range(count):
        await asyncio.sleep(1)
        yield number
    raise Boom("source")


@seeds
@pytest.mark.parametrize("make", [breaks, breaks_later])
@pytest.mark.parametrize("count", [0, 1, 100])
@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_a_source_that_raises_fails_the_first_map_and_with_it_the_run(seed, make, count, on_error):
    tap = Tap()
    options = {"on_error": on_error}
    graph = row(PARENT["rows"], *[tap.body(name, seconds=1) for name in "abc"], a=options, b=options, c=options)
    found = outcome(graph, {"rows": make(count)}, seed=seed)
    assert (label(found.error), found.error.hush.path) == ("source", "g/a")
    assert tap.begun == tap.ended


@seeds
@kinds
@pytest.mark.parametrize("other", [COUNT - 1, COUNT + 1, 0, 1])
@pytest.mark.parametrize("how", ["list", "lines", "rows"])
def test_a_column_zipped_with_what_is_longer_or_shorter_fails_the_map(seed, kind, other, how):
    tap, beside = Tap(), Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a", seconds=0))
        with MapNode(name="b", inputs={"x": Each(a["y"]), "z": Each(PARENT["zs"])}):
            CodeNode(name="n", code_fn=lambda x, z: {}, inputs={"x": PARENT["x"], "z": PARENT["z"]})
    given = {"rows": tap.source(kind, COUNT), "zs": [0] * other if how == "list" else beside.source(how, other)}
    error = outcome(graph, given, seed=seed).error
    assert isinstance(error, SourceError)
    assert "must have the same length" in str(error)
    assert error.hush.path == "g/b"
    assert (tap.open, beside.open) == (0, 0)


@seeds
def test_two_maps_of_different_lengths_into_one_fail_it(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(20), tap.body("a", seconds=1))
        c = over("c", range(19), tap.body("c"))
        with MapNode(name="b", inputs={"x": Each(a["y"]), "z": Each(c["y"])}):
            CodeNode(name="n", code_fn=lambda x, z: {}, inputs={"x": PARENT["x"], "z": PARENT["z"]})
    assert isinstance(outcome(graph, seed=seed).error, SourceError)


@seeds
def test_a_column_is_zipped_with_lists_generators_and_other_columns(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(60), tap.body("a", seconds=lambda x: (x * 7) % 5), window=2)
        c = over("c", PARENT["rows"], tap.body("c", lambda x: -x, seconds=lambda x: (x * 3) % 4), window=5)
        inputs = {"x": a["y"], "e": a["error"], "z": c["y"], "n": [*range(60)], "g": PARENT["more"]}
        with MapNode(name="b", inputs={key: Each(source) for key, source in inputs.items()}, max_concurrency=3) as b:
            CodeNode(
                name="n",
                code_fn=lambda x, e, z, n, g: {"y": (x, e, z, n, g)},
                inputs={key: PARENT[key] for key in inputs},
                outputs=PARENT,
            )
        b["y"] >> PARENT["ys"]
    result = outcome(graph, {"rows": tap.rows(60), "more": tap.lines(60)}, seed=seed).result
    assert result["ys"] == [(x, None, -x, x, x) for x in range(60)]


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@seeds
def test_an_item_that_is_late_fails_alone_and_travels(seed):
    tap = Tap()
    graph = row(range(6), tap.body("a", seconds=lambda x: 9 if x == 2 else 1), tap.body("b"), a={"item_timeout_s": 3})
    result = outcome(graph, seed=seed).result
    assert result["ys"] == [0, 1, None, 3, 4, 5]
    assert isinstance(result["errors"][2], NodeTimeout)
    assert result["errors"][2].hush.path == "g/a"


@kinds
@pytest.mark.parametrize("where", ["a", "b"])
def test_a_map_out_of_time_ends_the_run_and_closes_the_source(kind, where):
    tap = Tap()
    graph = row(PARENT["rows"], tap.body("a", seconds=1), tap.body("b", seconds=1), **{where: {"timeout_s": 5}})
    found = outcome(graph, {"rows": tap.source(kind, 1000)})
    assert isinstance(found.error, NodeTimeout)
    assert found.error.hush.path == f"g/{where}"
    assert tap.open == 0
    assert tap.begun == tap.ended
