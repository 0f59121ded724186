"""The reference knows the laws of loops and of the options of maps, on cases made by hand."""

from __future__ import annotations

import pytest

from kit.faults import Failure
from kit.reference import interpret
from kit.shapes import Atom, Box, Branch, Case, Cond, Graph, Leaf, Lit, Loop, Map, Param, Parent, Ref, Tolerate
from kit.values import Counts, is_fussy_about, mix


def run(*nodes, **given):
    return interpret(Case(Graph(nodes), tuple(given.items())))


def leaf(name, *sources, does="mix", **more):
    params = tuple(Param("abc"[place], each) for place, each in enumerate(sources))
    return Leaf(name=name, does=does, params=params, writes=(("v", f"o{name}"),), **more)


def when(form, source, number=0, **more):
    return Cond((Atom(form, source, number),), **more)


# ── Loops ────────────────────────────────────────────────────────────────────────────────────────────────────────────


ONE = (("x", Lit(1)),)


def loop(*nodes, stop=None, inputs=ONE, **more):
    return Loop(name="w", inputs=inputs, body=Graph(nodes or (step(),)), stop=stop, **more)


def step(**more):
    return Leaf(name="n", params=(Param("a", Parent("x")),), writes=(("v", "x"),), **more)


def rounds(count):
    value = 1
    for _ in range(count):
        value = mix("n", value)
    return value


def test_without_a_condition_the_limit_is_the_number_of_rounds():
    got = run(loop(limit=3, writes=(("x", "o"), ("iteration_metrics", "m"))))
    assert got.outputs["o"] == rounds(3)
    assert got.outputs["m"] == {
        "total_iterations": 3,
        "success_count": 3,
        "error_count": 0,
        "stopped_by_condition": False,
    }
    assert got.tally.least == {"n": 3}


def test_the_condition_is_tried_before_each_round_and_once_after_the_last():
    stop = when("same", Parent("x"), rounds(2))
    for limit in (2, 4):
        got = run(loop(stop=stop, limit=limit, writes=(("x", "o"),)))
        assert got.outputs == {"o": rounds(2)}
        assert got.tally.most == {"n": 2}
    assert run(loop(stop=when("same", Parent("x"), 1), writes=(("x", "o"),))).tally.most == {}


def test_a_loop_that_reaches_its_limit_raises_or_stops():
    never = when("null", Parent("x"))
    assert run(loop(stop=never, limit=2)).failure == Failure(frozenset({"TooManyIterations w"}))
    got = run(loop(stop=never, limit=2, on_limit="stop", writes=(("x", "o"), ("iteration_metrics", "m"))))
    assert got.outputs["o"] == rounds(2)
    assert got.outputs["m"]["max_iterations_reached"] is True
    got = run(loop(stop=never, limit=2, writes=(("x", "o"), ("error", "e"))))
    assert got.outputs == {"o": None, "e": Failure(frozenset({"TooManyIterations w"}))}


def test_a_variable_whose_writers_were_all_skipped_keeps_its_value():
    branch = Branch(name="b", cases=((when("same", Parent("x"), 1), "n"),), default=None)
    got = run(loop(branch, step(), limit=3, writes=(("x", "o"),)))
    assert got.outputs == {"o": mix("n", 1)}
    assert got.tally.most == {"n": 1}


def test_the_outputs_of_a_loop_are_all_its_variables():
    other = Leaf(name="m", writes=(("v", "y"),))
    keys = (("x", "x"), ("c", "c"), ("y", "y"))
    inputs = (("x", Lit(1)), ("c", Lit(5)))
    got = run(loop(step(), other, inputs=inputs, limit=1, writes=keys))
    assert got.outputs == {"x": rounds(1), "c": 5, "y": mix("m")}
    got = run(loop(step(), other, inputs=inputs, stop=when("same", Parent("x"), 1), writes=keys))
    assert got.outputs == {"x": 1, "c": 5, "y": None}


def test_a_round_that_fails_fails_the_loop_and_a_condition_too():
    fussy = Leaf(name="n", does="fussy", params=(Param("a", Parent("x")),), writes=(("v", "x"),))
    assert run(loop(fussy, limit=50)).failure == Failure(frozenset({"n"}))
    assert run(loop(stop=when("first", Parent("x")))).failure == Failure(frozenset({"TypeError w"}))


def test_what_a_recorded_condition_reads_of_the_graph_around_it_is_waited_for():
    stop = Cond((Atom("same", Ref("f", "v"), mix("f")),), style="ref")
    assert run(leaf("f"), loop(stop=stop, writes=(("x", "o"),))).outputs["o"] == 1
    named = Cond((Atom("null", Ref("f", "error")),), negated=True, style="ref")
    failed = leaf("f", does="fail")
    assert run(failed, loop(stop=named, writes=(("x", "o"),))).outputs["o"] == 1


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fussy_map(on_error=None, items=range(6), **more):
    body = Graph((Leaf(name="n", does="fussy", params=(Param("a", Parent("x")),), writes=(("v", "y"),)),))
    return Map(name="m", each=(("x", Lit(list(items))),), body=body, on_error=on_error, **more)


BAD = [is_fussy_about("n", item) for item in range(6)]


@pytest.mark.parametrize(
    ("tolerate", "is_enough"),
    [
        (Tolerate(count=sum(BAD)), True),
        (Tolerate(count=sum(BAD) - 1), False),
        (Tolerate(fraction=sum(BAD) / 6), True),
        (Tolerate(fraction=(sum(BAD) - 1) / 6), False),
        (Tolerate(count=6, fraction=0.0), False),
    ],
)
def test_a_map_tolerates_up_to_a_bound(tolerate, is_enough):
    assert 1 < sum(BAD) < 6
    got = run(fussy_map(tolerate, writes=(("y", "y"), ("iteration_metrics", "c"))))
    if is_enough:
        assert got.outputs["y"] == [None if bad else mix("n", item) for item, bad in enumerate(BAD)]
        good = 6 - sum(BAD)
        assert got.outputs["c"] == Counts(total_iterations=6, success_count=good, error_count=sum(BAD))
    else:
        assert got.failure == Failure(frozenset({"TooManyFailures m"}))
        assert got.tally.excess == {"m": frozenset({"n"})}


def test_a_for_loop_fails_fast_unless_it_collects():
    assert run(fussy_map(is_for=True, max_concurrency=1)).failure == Failure(frozenset({"n"}))
    assert run(fussy_map("collect", is_for=True, max_concurrency=1)).failure is None


def test_first_takes_so_many_items():
    got = run(fussy_map(first=2, writes=(("error", "e"),)))
    assert len(got.outputs["e"]) == 2
    assert got.tally.most == {"n": 2}


def mixing_map(source, **more):
    body = Graph((Leaf(name="k", params=(Param("a", Parent("z")),), writes=(("v", "w"),)),))
    return Map(name="l", each=(("z", source),), body=body, writes=(("w", "w"),), **more)


def test_batches_are_lists_and_the_last_is_shorter():
    got = run(mixing_map(Lit([1, None, 3]), batch=2))
    assert got.outputs == {"w": [mix("k", [1, None]), mix("k", [3])]}
    assert run(mixing_map(Lit([1, None, 3]), batch=2, first=2)).outputs == {"w": [mix("k", [1, None])]}
    assert run(mixing_map(Lit([]), batch=2)).outputs == {"w": []}


def test_what_failed_upstream_is_left_out_of_batches():
    good = [mix("n", item) for item, bad in enumerate(BAD) if not bad]
    got = run(fussy_map(), mixing_map(Ref("m", "y"), batch=10))
    assert got.outputs == {"w": [mix("k", good)]}


def test_a_stuck_item_times_out_and_a_failing_sibling_comes_first():
    stuck = Leaf(name="s", does="stuck", on_error="collect")
    items = Map(name="m", each=(("x", Lit([1])),), body=Graph((stuck,)), times_out=True, writes=(("error", "e"),))
    assert run(items).outputs == {"e": [Failure(frozenset({"NodeTimeout"}))]}
    both = Graph((stuck, Leaf(name="f", does="fail")))
    items = Map(name="m", each=(("x", Lit([1])),), body=both, times_out=True, writes=(("error", "e"),))
    assert run(items).outputs == {"e": [Failure(frozenset({"f"}))]}
    boxed = Graph((Box(name="g1", body=both, on_error="collect"), leaf("n")))
    items = Map(name="m", each=(("x", Lit([1])),), body=boxed, times_out=True, writes=(("error", "e"),))
    assert run(items).outputs == {"e": [None]}


def test_maps_in_loops_and_loops_in_maps():
    body = Graph((loop(limit=2, inputs=(("x", Parent("i")),), writes=(("x", "y"),)),))
    items = Map(name="m", each=(("i", Lit([1, 1])),), body=body, writes=(("y", "y"),))
    assert run(items).outputs == {"y": [rounds(2), rounds(2)]}
    inner = Map(
        name="m",
        each=(("i", Parent("x")),),
        body=Graph((Leaf(name="n", params=(Param("a", Parent("i")),), writes=(("v", "y"),)),)),
        writes=(("y", "x"),),
    )
    got = run(loop(inner, inputs=(("x", Lit([1, 2])),), limit=2, writes=(("x", "o"),)))
    assert got.outputs == {"o": [mix("n", mix("n", 1)), mix("n", mix("n", 2))]}
