"""A reader that is skipped or ends early gives its credit up, and what it reads goes on to its end."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import END, PARENT, BranchNode, CodeNode, Each, GraphNode, MapNode
from kit.faults import Boom, label
from runtime.from_design.streamed import Tap, looked_at, over, row
from runtime.observing import outcome

COUNT = 200
SMALL = {"window": 3, "max_concurrency": 2}
kinds = pytest.mark.parametrize("kind", ["lines", "rows"])
seeds = pytest.mark.parametrize("seed", range(3))


async def decide(go):
    await asyncio.sleep(100)
    return {"go": go}


def behind_a_branch(tap, *, more=False):
    """`b` runs only if the branch, which takes its time, says so; `c` streams from it."""
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), **SMALL)
        late = CodeNode(name="late", code_fn=decide, inputs={"go": PARENT["go"]})
        BranchNode(name="route", cases={"go": "b"}, default=END, inputs={"go": late["go"]})
        b = over("b", a["y"], tap.body("b"), **SMALL)
        c = over("c", b["y"], tap.body("c"), **SMALL)
        c["y"] >> PARENT["ys"]
        if more:
            a["y"] >> PARENT["a"]
            a["error"] >> PARENT["errors"]
    return graph


@kinds
@seeds
@pytest.mark.parametrize("more", [False, True])
def test_a_reader_that_a_branch_did_not_choose_lets_its_source_go_on(kind, seed, more):
    tap = Tap()
    given = {"rows": tap.source(kind, COUNT), "go": False}
    looks, result = looked_at(behind_a_branch(tap, more=more), [99], lambda: tap.pulled, given, seed)
    assert looks[0] <= 3
    assert (tap.pulled, tap.ended["a"], tap.open) == (COUNT, COUNT, 0)
    assert (result["ys"], tap.begun["b"], tap.begun["c"]) == (None, 0, 0)
    if more:
        assert (result["a"], result["errors"]) == (list(range(COUNT)), [None] * COUNT)


@kinds
@seeds
def test_a_reader_that_a_branch_chose_late_finds_all_there(kind, seed):
    tap = Tap()
    given = {"rows": tap.source(kind, COUNT), "go": True}
    looks, result = looked_at(behind_a_branch(tap), [99], lambda: tap.pulled, given, seed)
    assert looks[0] <= 3
    assert tap.seen["c"] == result["ys"] == list(range(COUNT))


@seeds
def test_a_reader_that_waits_for_something_else_holds_its_source_until_then(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), **SMALL)
        late = CodeNode(name="late", code_fn=decide, inputs={"go": 1})
        b = over("b", a["y"], tap.body("b"), **SMALL)
        late >> b
        b["y"] >> PARENT["ys"]
    looks, result = looked_at(graph, [50, 99], lambda: (tap.pulled, tap.begun["b"]), {"rows": tap.lines(COUNT)}, seed)
    assert looks[0] == looks[1]
    assert 1 <= looks[0][0] <= 3
    assert looks[0][1] == 0
    assert result["ys"] == list(range(COUNT))


@kinds
def test_what_a_reader_waits_for_fails_and_the_source_is_closed(kind):
    async def fail():
        await asyncio.sleep(100)
        raise Boom("late")

    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a"), **SMALL)
        late = CodeNode(name="late", code_fn=fail, inputs={})
        late >> over("b", a["y"], tap.body("b"))
    found = outcome(graph, {"rows": tap.source(kind, COUNT)})
    assert (label(found.error), found.at_s, tap.open) == ("late", 100, 0)


@seeds
def test_a_reader_skipped_because_what_it_reads_besides_was_skipped_lets_its_source_go_on(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        BranchNode(name="route", cases={"go": "k"}, default=END, inputs={"go": PARENT["go"]})
        k = CodeNode(name="k", code_fn=lambda: {"v": 1}, inputs={})
        a = over("a", PARENT["rows"], tap.body("a", seconds=1), **SMALL)
        with MapNode(name="b", inputs={"x": Each(a["y"]), "v": k["v"]}) as b:
            CodeNode(
                name="n", code_fn=lambda x, v: {"y": x}, inputs={"x": PARENT["x"], "v": PARENT["v"]}, outputs=PARENT
            )
        b["y"] >> PARENT["ys"]
    result = outcome(graph, {"rows": tap.rows(COUNT), "go": False}, seed=seed).result
    assert (result["ys"], tap.ended["a"], tap.open) == (None, COUNT, 0)


@seeds
def test_a_source_map_that_is_skipped_skips_its_readers(seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        BranchNode(name="route", cases={"go": "a"}, default=END, inputs={"go": PARENT["go"]})
        a = over("a", range(5), tap.body("a"))
        b = over("b", a["y"], tap.body("b"))
        c = over("c", b["y"], tap.body("c"))
        c["y"] >> PARENT["ys"]
    assert outcome(graph, {"go": False}, seed=seed).result == {"ys": None}
    assert not tap.begun
    assert outcome(graph, {"go": True}, seed=seed).result == {"ys": [0, 1, 2, 3, 4]}


# ── Only the first ───────────────────────────────────────────────────────────────────────────────────────────────────


@kinds
@seeds
@pytest.mark.parametrize("read", [False, True])
def test_a_reader_of_the_first_ten_lets_its_source_go_on_to_the_end(kind, seed, read):
    """Its columns and what its body does are its own affair."""
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], tap.body("a", seconds=1), **SMALL)
        b = over("b", a["y"], tap.body("b", seconds=1), first=10)
        b["y"] >> PARENT["ys"]
        if read:
            a["y"] >> PARENT["a"]
    result = outcome(graph, {"rows": tap.source(kind, COUNT)}, seed=seed).result
    assert result["ys"] == tap.seen["b"] == list(range(10))
    assert (tap.pulled, tap.ended["a"], tap.open) == (COUNT, COUNT, 0)
    if read:
        assert result["a"] == list(range(COUNT))


@seeds
def test_a_reader_of_the_first_ten_has_ended_long_before_its_source(seed):
    tap = Tap()
    one = {"max_concurrency": 1}
    graph = row(PARENT["rows"], tap.body("a", seconds=1), tap.body("b"), a=one, b={"first": 10})
    looks, _ = looked_at(graph, [12], lambda: (tap.ended["b"], tap.ended["a"] < 15), {"rows": tap.lines(100)}, seed)
    assert looks == [(10, True)]


@seeds
def test_the_first_of_the_first_map_is_all_there_is_for_those_behind(seed):
    tap = Tap()
    graph = row(PARENT["rows"], *[tap.body(name, seconds=0) for name in "abc"], a={"first": 10})
    assert outcome(graph, {"rows": tap.rows(COUNT)}, seed=seed).result["ys"] == list(range(10))
    assert tap.open == 0


@seeds
def test_the_first_in_the_middle_of_three(seed):
    tap = Tap()
    graph = row(PARENT["rows"], *[tap.body(name, seconds=0) for name in "abc"], a=SMALL, b={"first": 10}, c=SMALL)
    assert outcome(graph, {"rows": tap.rows(COUNT)}, seed=seed).result["ys"] == list(range(10))
    assert (tap.ended["a"], tap.ended["b"], tap.ended["c"]) == (COUNT, 10, 10)


def test_a_zip_that_takes_the_first_ten_of_two_maps_lets_both_go_on():
    tap = Tap()
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), tap.body("a"), **SMALL)
        c = over("c", range(COUNT // 2), tap.body("c"), **SMALL)
        with MapNode(name="b", inputs={"x": Each(a["y"]), "z": Each(c["y"])}, first=10) as b:
            CodeNode(
                name="n", code_fn=lambda x, z: {"y": x + z}, inputs={"x": PARENT["x"], "z": PARENT["z"]}, outputs=PARENT
            )
        b["y"] >> PARENT["ys"]
    assert outcome(graph).result["ys"] == list(range(0, 20, 2)), "lengths are compared as far as they are taken"
    assert (tap.ended["a"], tap.ended["c"]) == (COUNT, COUNT // 2)


# ── Again and again ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pipeline_in_a_map_streams_in_each_of_its_items_by_itself():
    tap = Tap()
    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"rows": Each(PARENT["all"])}, max_concurrency=3) as outer:
            a = over("a", PARENT["rows"], tap.body("a", seconds=lambda x: x % 3), **SMALL)
            b = over("b", a["y"], tap.body("b", seconds=lambda x: x % 2), **SMALL)
            b["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["ys"]
    given = [range(start, start + 20) for start in range(0, 100, 20)]
    for seed in range(5):
        assert outcome(graph, {"all": given}, seed=seed).result["ys"] == [list(rows) for rows in given]


def test_a_pipeline_in_the_body_of_a_streaming_map_streams_too():
    tap = Tap()
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"n": Each(range(6))}, **SMALL) as a:
            (
                CodeNode(name="rows", code_fn=lambda n: {"rows": tap.rows(n)}, inputs={"n": PARENT["n"]})["rows"]
                >> PARENT["rows"]
            )
        with MapNode(name="b", inputs={"rows": Each(a["rows"])}, **SMALL) as b:
            c = over("c", PARENT["rows"], tap.body("c", seconds=1), **SMALL)
            d = over("d", c["y"], tap.body("d"), **SMALL)
            d["y"] >> PARENT["ys"]
        b["ys"] >> PARENT["ys"]
    for seed in range(5):
        assert outcome(graph, seed=seed).result["ys"] == [list(range(n)) for n in range(6)]
        assert tap.open == 0


def test_what_a_body_sets_in_a_context_variable_the_map_behind_does_not_see():
    import contextvars

    stain = contextvars.ContextVar("stain", default="clean")
    seen = []

    def dirty(x):
        seen.append(stain.get())
        stain.set("dirty")
        return {"y": x}

    async def dirty_later(x):
        seen.append(stain.get())
        stain.set("dirty")
        await asyncio.sleep(0)
        return {"y": x}

    for bodies in ((dirty, dirty, dirty), (dirty_later, dirty, dirty_later)):
        outcome(row(range(50), *bodies, a=SMALL, b=SMALL, c=SMALL))
    assert set(seen) == {"clean"}
    assert len(seen) == 300
