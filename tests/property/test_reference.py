"""The reference knows the laws, shown on cases made by hand, and what is drawn at random is valid."""

from __future__ import annotations

import ast
from itertools import pairwise

from hypothesis import Phase, assume, given, settings

from kit.faults import Boom, Failure, differences, members
from kit.reference import interpret
from kit.say import source
from kit.shapes import Box, Branch, Case, Graph, Leaf, Lit, Map, Param, Parent, Ref, choosers_in, nodes_in
from kit.smaller import smaller
from kit.strategies import cases
from kit.values import is_fussy_about, mix

# ── The reference, on cases made by hand ─────────────────────────────────────────────────────────────────────────────


def run(*nodes, **given):
    return interpret(Case(Graph(nodes), tuple(given.items())))


def reads(**sources):
    return tuple(Param(name, each) for name, each in sources.items())


def test_values_go_along_references():
    first = Leaf(name="n1", params=reads(a=Parent("i")))
    second = Leaf(name="n2", params=reads(a=Ref("n1", "v", "plus")), writes=(("v", "o"),))
    assert run(first, second, i=3).outputs == {"o": mix("n2", mix("n1", 3) + 1)}


def test_siblings_that_fail_may_all_be_raised_and_what_waits_for_them_never():
    nodes = [Leaf(name=name, does="fail") for name in ("n1", "n2")]
    got = run(*nodes, Leaf(name="n3", does="fail", after=("n1",)))
    assert got.failure == Failure(frozenset({"n1", "n2"}))
    assert got.tally.most == {"n1": 1, "n2": 1}


def test_who_reads_only_other_keys_of_a_handled_failure_is_skipped():
    broken = Leaf(name="n1", does="fail", on_error="collect", writes=(("v", "a"), ("error", "b")))
    blind = Leaf(name="n2", params=reads(a=Ref("n1", "v")), after=("n1",), writes=(("v", "c"),))
    aware = Leaf(name="n3", params=reads(a=Ref("n1", "v"), b=Ref("n1", "error")), writes=(("v", "d"),))
    ordered = Leaf(name="n4", after=("n1",), writes=(("v", "e"),))
    failure = Failure(frozenset({"n1"}))
    expected = {"a": None, "b": failure, "c": None, "d": mix("n3", None, failure), "e": mix("n4")}
    assert run(broken, blind, aware, ordered).outputs == expected


def skipped(name="n2"):
    return Leaf(name="n1", does="fail", on_error="collect"), Leaf(name=name, params=reads(a=Ref("n1", "v")))


def test_skipping_goes_on_along_dead_edges_and_stops_at_a_live_one():
    end = Leaf(name="n3", after=("n2",), writes=(("v", "a"),))
    join = Leaf(name="n4", after=("n1", "n2"), params=reads(a=Ref("n2", "v")), writes=(("v", "b"),))
    started = Leaf(name="n5", start=True, params=(Param("a", Ref("n2", "v"), 7),), writes=(("v", "c"),))
    assert run(*skipped(), end, join, started).outputs == {"a": None, "b": mix("n4", None), "c": mix("n5", 7)}


def test_without_edges_a_default_forgives_a_skipped_reference():
    forgiving = Leaf(name="n3", params=(Param("a", Ref("n2", "v"), 7),), writes=(("v", "a"),))
    strict = Leaf(name="n4", params=reads(a=Ref("n2", "v")), writes=(("v", "b"),))
    assert run(*skipped(), forgiving, strict).outputs == {"a": mix("n3", 7), "b": None}


def test_a_parent_key_is_what_the_nearest_writer_that_ran_wrote():
    reader = Leaf(name="n0", params=reads(a=Parent("k")), writes=(("v", "a"),))
    writer = Leaf(name="n3", after=("n0",), writes=(("v", "k"),))
    broken, skips = skipped()
    skips = Leaf(name="n2", params=skips.params, after=("n3",), writes=(("v", "k"),))
    last = Leaf(name="n4", start=True, after=("n3", "n2"), params=reads(a=Parent("k")), writes=(("v", "b"),))
    got = run(reader, writer, broken, Leaf(name="n2", params=skips.params, writes=(("v", "k"),)), last, k=1)
    assert got.outputs == {"a": mix("n0", 1), "k": mix("n3"), "b": mix("n4", mix("n3"))}


def fussy_map(on_error=None, items=(0, 1, 2, 3, 4, 5), **more):
    body = Graph((Leaf(name="n1", does="fussy", params=reads(a=Parent("x")), writes=(("v", "y"),)),))
    return Map(name="m1", each=(("x", Lit(list(items))),), body=body, on_error=on_error, **more)


def test_a_map_collects_in_the_places_of_its_items():
    got = run(fussy_map(writes=(("y", "y"), ("error", "e"))))
    failed = [is_fussy_about("n1", item) for item in range(6)]
    assert 0 < sum(failed) < 6
    assert got.outputs == {
        "y": [None if bad else mix("n1", item) for item, bad in enumerate(failed)],
        "e": [Failure(frozenset({"n1"})) if bad else None for bad in failed],
    }
    assert got.tally.most == {"n1": 6}
    assert got.tally.least == {"n1": 6 - sum(failed)}


def test_a_map_that_raises_names_what_its_items_raise():
    assert run(fussy_map("raise")).failure == Failure(frozenset({"n1"}))


def test_failed_items_travel_to_the_map_downstream_unless_it_takes_the_errors():
    body = Graph((Leaf(name="n3", params=reads(a=Parent("z")), writes=(("v", "w"),)),))
    blind = Map(name="m2", each=(("z", Ref("m1", "y")),), body=body, writes=(("error", "e"),))
    got = run(fussy_map(writes=(("error", "f"),)), blind)
    assert got.outputs["e"] == got.outputs["f"]
    assert got.tally.most["n3"] == got.outputs["f"].count(None)
    body = Graph((Leaf(name="n3", params=reads(a=Parent("z"), b=Parent("f"))),))
    aware = Map(name="m2", each=(("z", Ref("m1", "y")), ("f", Ref("m1", "error"))), body=body, writes=(("error", "e"),))
    got = run(fussy_map(), aware)
    assert got.outputs["e"] == [None] * 6
    assert got.tally.most["n3"] == 6


def test_a_nested_graph_is_a_domain_of_its_own():
    body = Graph((Leaf(name="n1", does="fail", writes=(("v", "y"),)), Leaf(name="n2", does="fail")))
    got = run(Box(name="g1", body=body, writes=(("y", "y"), ("error", "e"))))
    assert got.outputs == {"y": None, "e": Failure(frozenset({"n1", "n2"}))}
    assert run(Box(name="g1", body=body, on_error="raise", writes=(("error", "e"),))).failure is not None


def test_differences_look_into_lists_and_errors():
    failure = Failure(frozenset({"n1", "n2"}))
    assert not list(differences([ExceptionGroup("", [Boom("n1"), Boom("n2")]), None], [failure, None]))
    assert list(differences([Boom("n3")], [failure]))
    assert list(differences([0], [None]))
    assert list(differences([False], [0]))


# ── What is drawn ────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(cases())
def test_what_is_drawn_is_valid(case):
    ast.parse(source(case))
    interpret(case)
    assert len({node.name for _, node in nodes_in(case.graph)}) == sum(1 for _ in nodes_in(case.graph))
    assert_valid(case.graph)


def assert_valid(graph):
    before: dict[str, set[str]] = {}
    uses_start = any(node.start for node in graph.nodes)
    choosers = choosers_in(graph)
    for node in graph.nodes:
        hard = {*node.after, *choosers.get(node.name, ())}
        near = {*hard, *node.soft, *(ref.node for ref in node.refs if ref.node not in outside(graph, node))}
        assert near <= set(before), "something later is read"
        assert not hard & set(node.soft), "an edge is hard and soft"
        assert not uses_start or node.start or near, "it cannot be reached"
        before[node.name] = near.union(*(before[name] for name in near)) if near else set()
        if not isinstance(node, Leaf | Branch):
            assert_valid(node.body)
    assert set(choosers) <= set(before), "a target is missing"
    if choosers:
        return
    for key in {target for node in graph.nodes for _, target in node.writes}:
        writers = [node.name for node in graph.nodes if key in [target for _, target in node.writes]]
        for one, other in pairwise(writers):
            assert one in before[other], f"{one} and {other} race for {key}"


@settings(max_examples=30, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(cases())
def test_what_fails_is_made_small(case):
    assume(interpret(case).failure is not None)
    small = smaller(case, lambda less: interpret(less).failure is not None)
    assert interpret(small).failure is not None
    assert len(list(nodes_in(small.graph))) <= 2
    ast.parse(source(small))


def outside(graph, node):
    inside = {each.name for each in graph.nodes}
    return {ref.node for ref in node.refs} - inside


def test_members_flattens_groups():
    error = ExceptionGroup("", [Boom("a"), ExceptionGroup("", [Boom("b"), Boom("c")])])
    assert [each.args[0] for each in members(error)] == ["a", "b", "c"]
