"""The reference knows what a map may do that streams from one that fails, and takes for a stream what the engine does.

And what makes a failing case small keeps to the way in which it fails.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from hush.core import Hush
from kit.build import build
from kit.faults import Failure
from kit.flows import flows
from kit.judge import complaints, run_case
from kit.reference import interpret
from kit.say import source
from kit.shapes import Case, Graph, Leaf, Lit, Map, Param, Parent, Ref, Tolerate, nodes_in
from kit.smaller import smaller, smaller_alike, sorts
from kit.strategies import cases
from kit.streaming import streams
from kit.tiers import every_change
from kit.values import is_fussy_about

pytestmark = pytest.mark.usefixtures("leak_check", "silence")

FUSSY = next(item for item in range(100) if is_fussy_about("n1", item))
CALM = [item for item in range(100) if not is_fussy_about("n1", item)]
ITEMS = [CALM[0], CALM[1], FUSSY, CALM[2], FUSSY]


def leaf(name, source, **more):
    return Leaf(name=name, params=(Param("a", source),), **more)


def a_map(place, source, *, also=(), does="mix", **more):
    body = Graph((leaf(f"n{place}", Parent(f"x{place}"), does=does, writes=(("v", f"on{place}"),)),))
    return Map(name=f"m{place}", each=((f"x{place}", source), *also), body=body, **more)


def writer(on_error="raise", max_concurrency=1):
    return a_map(1, Lit(ITEMS), does="fussy", on_error=on_error, max_concurrency=max_concurrency)


def case_of(*nodes):
    return Case(Graph(nodes))


def interpreted(*nodes):
    expected = interpret(case_of(*nodes))
    assert expected.outputs is None
    assert not expected.tally.least
    return expected


COLUMN = Ref("m1", "on1")


def test_a_map_may_have_begun_with_what_the_one_it_streams_from_finished_before_it_failed():
    expected = interpreted(writer(), a_map(2, COLUMN))
    assert expected.tally.most["n2"] == 2
    assert expected.failure == Failure(frozenset({"n1"}))


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"max_concurrency": 2}, 3),
        ({"on_error": Tolerate(count=1)}, 3),
        ({"on_error": Tolerate(count=0)}, 2),
        ({"on_error": Tolerate(fraction=0.1)}, 3),
        ({"on_error": None, "is_for": True}, 2),
    ],
)
def test_how_much_is_handed_on_before_a_map_fails(changes, most):
    assert interpreted(replace(writer(), **changes), a_map(2, COLUMN)).tally.most["n2"] == most


def test_who_takes_the_errors_may_see_the_one_of_which_the_map_fails():
    reader = a_map(2, Ref("m1", "error"))
    assert interpreted(writer(), reader).tally.most["n2"] == 3


@pytest.mark.parametrize(
    "others",
    [
        [a_map(2, COLUMN, after=("m1",))],
        [a_map(2, COLUMN, soft=("m1",))],
        [a_map(2, COLUMN, inputs=(("i", COLUMN),))],
        [a_map(3, Lit([0]), after=("m1",)), a_map(2, COLUMN, after=("m3",))],
        [a_map(3, COLUMN, after=("m1",)), a_map(2, COLUMN)],
        [leaf("n2", COLUMN)],
    ],
)
def test_who_waits_for_the_end_of_a_map_that_fails_never_begins(others):
    assert interpreted(writer(), *others).tally.most["n2"] == 0


def test_who_follows_a_map_that_streams_waits_for_the_one_that_fails_as_well():
    reader = a_map(2, COLUMN, first=1, writes=(("on2", "y"),))
    expected = interpreted(writer(), reader, leaf("n3", Ref("m2", "on2")), leaf("n4", Lit(0), after=("m2",)))
    assert expected.tally.most == {"n1": 5, "n2": 1}


def test_a_stream_goes_on_through_several_maps():
    expected = interpreted(writer(), a_map(2, COLUMN), a_map(3, Ref("m2", "on2")))
    assert expected.tally.most["n3"] == 2


@pytest.mark.parametrize(("length", "may"), [(5, False), (2, True), (7, True)])
def test_lengths_that_differ_may_be_told_before_the_map_streamed_from_fails(length, may):
    reader = a_map(2, COLUMN, also=(("x3", Lit([0] * length)),))
    assert ("SourceError" in interpreted(writer(), reader).failure.labels) == may


def test_what_fails_while_a_map_streams_may_be_raised_too():
    expected = interpreted(writer(), a_map(2, COLUMN, does="fail", on_error="raise"))
    assert expected.failure == Failure(frozenset({"n1", "n2"}))
    expected = interpreted(writer(), a_map(2, COLUMN, does="fail", on_error=Tolerate(count=0)))
    assert expected.failure == Failure(frozenset({"n1", "TooManyFailures m2"}))
    assert "n2" in interpreted(writer(), a_map(2, COLUMN, does="fail")).tally.handled


@pytest.mark.parametrize("how", ["slow", "async"])
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("on_error", ["raise", Tolerate(count=1)])
@pytest.mark.parametrize("column", ["on1", "error"])
def test_runs_in_which_a_map_fails_that_is_streamed_from_are_as_the_reference_says(how, concurrency, on_error, column):
    first = writer(on_error, max_concurrency=concurrency)
    first = replace(first, body=Graph(tuple(replace(each, how=how) for each in first.body.nodes)))
    case = case_of(first, a_map(2, Ref("m1", column), max_concurrency=2))
    expected = interpret(case)
    graph, play = build(case)
    assert flows(graph) == {("m1", "m2"): "stream"}
    begun = 0
    for seed in range(10):
        play.reset(seed)
        assert complaints(case, expected, run_case(case, Hush(graph), seed), play) == []
        begun += play.calls["n2"]
    assert begun or how != "slow"  # it does happen where somebody gets a turn


@settings(every_change, max_examples=100)
@given(cases())
def test_what_the_engine_streams_the_reference_takes_for_a_stream(case):
    drawn = {pair for pair, flow in flows(build(case)[0]).items() if flow == "stream"}
    bodies = [node.body for _, node in nodes_in(case.graph) if hasattr(node, "body")]
    known = set().union(*(streams(graph) for graph in (case.graph, *bodies)))
    assert drawn <= known
    for before, after in known - drawn:  # of two pipelines that wait for each other one is a barrier
        assert len(known) > 1, f"{after} is held not to stream from {before}"


# ── What makes a failing case small ──────────────────────────────────────────────────────────────────────────────────


def n2_in_a_map(case):
    """What is wrong with a run of the case, if a map may never call n2."""
    graph, play = build(case)
    if graph.check():
        return ""
    play.reset(0)
    expected = interpret(case)
    if any(isinstance(node, Map) for _, node in nodes_in(case.graph)):
        del expected.tally.most["n2"], expected.tally.least["n2"]
    return "\n".join(complaints(case, expected, run_case(case, Hush(graph), 0), play))


def a_case_to_be_made_small():
    inner = Graph((leaf("n1", Parent("x1")), leaf("n2", Parent("l3"), after=("n1",))))
    outer = Map(name="m1", each=(("x1", Lit([1])),), inputs=(("l3", Parent("i")),), body=inner, max_concurrency=1)
    first, last = leaf("n3", Parent("i"), writes=(("v", "k"),)), leaf("n4", Parent("k"), after=("n3",))
    return Case(Graph((first, outer, last)), (("i", 3),))


def test_a_smaller_case_is_wrong_in_the_same_way():
    case = a_case_to_be_made_small()
    assert n2_in_a_map(case) == "n2 was called 1 times, not 0 to 0: too often"
    small = smaller_alike(case, n2_in_a_map)
    assert n2_in_a_map(small) == n2_in_a_map(case)
    assert [node.name for _, node in nodes_in(small.graph)] == ["m1", "n2"]


def test_a_smaller_case_can_start():
    def runs_n2(case, words):
        return run_case(case, Hush(build(case)[0]), 0).error is None and words in source(case)

    for words, given_to_it in (("def n2_fn(", ()), ('n2_fn, inputs={"a": PARENT[', (("l3", 0),))):
        small = smaller(a_case_to_be_made_small(), lambda less, words=words: runs_n2(less, words))
        assert [node.name for _, node in nodes_in(small.graph)] == ["n2"]
        assert small.given == given_to_it


def test_sorts_of_trouble_have_no_names_and_no_numbers():
    one = "n1 was called 2 times, not 0 to 1: too often\nit raised Boom('n2') (n2), which is none of ['n3', 'n4']"
    other = "n5 was called 1 times, not 0 to 0: too often\nit raised Boom('n6') (n6), which is none of []"
    assert sorts(one) == sorts(other)
    assert len(sorts(one)) == 2
    assert sorts("n1 was called 0 times, not 1 to 1: too seldom").isdisjoint(sorts(one))
    assert sorts("it raised InputError(\"the input 'l' is missing\")") != sorts("it raised Boom('n1')")
    assert sorts("Deadlock: one waits\n  two waits") == sorts("Deadlock: three waits") == {"Deadlock"}
