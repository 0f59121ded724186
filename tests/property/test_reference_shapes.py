"""The reference knows the laws of branches and of soft edges, on cases made by hand."""

from __future__ import annotations

import pytest

from kit.faults import Failure
from kit.orders import outcomes
from kit.reference import interpret
from kit.shapes import Atom, Branch, Case, Cond, Graph, Leaf, Param, Parent, Ref
from kit.values import mix


def case(*nodes, **given):
    return Case(Graph(nodes), tuple(given.items()))


def run(*nodes, **given):
    return interpret(case(*nodes, **given))


def leaf(name, *sources, does="mix", default=None, **more):
    params = tuple(Param("abc"[place], each, default) for place, each in enumerate(sources))
    return Leaf(name=name, does=does, params=params, writes=((("v", f"o{name}")),), **more)


def when(form, source, number=0, **more):
    return Cond((Atom(form, source, number),), **more)


def split(*, at=5, name="b", high="h", low="l", **more):
    """`high` if the input is at least 5, else `low`."""
    return Branch(name=name, cases=((when("least", Parent("i"), at), high),), default=low, **more)


# ── Branches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("i", "chosen", "matched"), [(7, "h", "a >= 5"), (3, "l", "default")])
def test_a_target_runs_if_it_was_chosen(i, chosen, matched):
    branch = split(writes=(("target", "t"), ("matched", "m")))
    got = run(branch, leaf("h"), leaf("l"), leaf("j", Ref("h", "v"), Ref("l", "v"), after=("h", "l")), i=i).outputs
    h, low = (mix("h"), None) if chosen == "h" else (None, mix("l"))
    assert got == {"t": chosen, "m": matched, "oh": h, "ol": low, "oj": mix("j", h, low)}


def test_conditions_are_tried_in_order_and_lazily():
    broken = when("first", Parent("i"))
    branch = Branch(name="b", cases=((when("same", Parent("i"), 1), "h"), (broken, "l")), writes=(("target", "t"),))
    assert run(branch, leaf("h"), leaf("l"), i=1).outputs == {"t": "h", "oh": mix("h"), "ol": None}
    assert run(branch, leaf("h"), leaf("l"), i=2).failure == Failure(frozenset({"TypeError b"}))


def test_and_in_text_is_lazy_where_a_recorded_one_is_not():
    atoms = (Atom("null", Parent("i")), Atom("first", Parent("i")))
    for style in ("text", "ref"):
        branch = Branch(name="b", cases=((Cond(atoms, style=style), "h"),), default="l")
        got = run(branch, leaf("h"), leaf("l"), i=2)
        assert (got.failure is None) == (style == "text")


def test_no_match_is_an_error_unless_the_default_is_end():
    branch = Branch(name="b", cases=((when("null", Parent("i")), "h"),), has_default=False)
    assert run(branch, leaf("h"), i=1).failure == Failure(frozenset({"NoCaseMatched b"}))
    keys = (("target", "t"), ("matched", "m"))
    to_end = Branch(name="b", cases=branch.cases, default=None, writes=keys)
    assert run(to_end, leaf("h"), i=1).outputs == {"t": None, "m": None, "oh": None}
    chosen_end = Branch(name="b", cases=((when("same", Parent("i"), 1), None),), default="h", writes=keys)
    assert run(chosen_end, leaf("h"), i=1).outputs == {"t": None, "m": "a == 1", "oh": None}


def test_other_edges_of_a_target_only_order_it():
    other = leaf("x", after=())
    skipped = [leaf("f", does="fail", on_error="collect"), leaf("s", Ref("f", "v"))]
    target = leaf("l", start=True, after=("x", "s"))
    assert run(other, *skipped, split(), leaf("h"), target, i=7).outputs["ol"] is None
    assert run(other, *skipped, split(), leaf("h"), target, i=1).outputs["ol"] == mix("l")
    soft = leaf("l", soft=("h",))
    assert run(split(), leaf("h"), soft, i=1).outputs["ol"] == mix("l")


def test_any_of_several_branches_suffices_and_a_skipped_or_failed_one_chooses_nothing():
    second = split(name="c", at=9, high="h", low="l", on_error="collect")
    got = run(split(low="k"), second, leaf("h"), leaf("k"), leaf("l"), i=7).outputs
    assert got == {"oh": mix("h"), "ok": None, "ol": mix("l")}
    broken = Branch(name="c", cases=((when("first", Parent("i")), "l"),), default="l", on_error="collect")
    assert run(split(low="k"), broken, leaf("h"), leaf("k"), leaf("l"), i=7).outputs["ol"] is None
    skipped = split(name="k", high="m", low="l")  # it would choose m
    assert run(split(low="k"), leaf("h"), skipped, leaf("m"), leaf("l"), i=7).outputs["om"] is None


def test_an_edge_from_a_branch_to_what_is_no_target_is_live():
    assert run(split(), leaf("h"), leaf("l"), leaf("n", after=("b",)), i=1).outputs["on"] == mix("n")


def test_choosing_does_not_force_what_reads_a_handled_failure():
    failed = leaf("f", does="fail", on_error="collect")
    assert run(failed, split(), leaf("h", Ref("f", "v")), leaf("l"), i=7).outputs["oh"] is None
    got = run(failed, split(), leaf("h", Ref("f", "error")), leaf("l"), i=7).outputs
    assert got["oh"] == mix("h", Failure(frozenset({"f"})))


def test_a_condition_may_name_an_error_and_so_handles_it():
    failed = leaf("f", does="fail")
    branch = Branch(name="b", cases=((when("null", Ref("f", "error")), "h"),), default="l")
    got = run(failed, branch, leaf("h"), leaf("l"))
    assert got.outputs == {"of": None, "oh": None, "ol": mix("l")}
    assert not got.tally.maybe_partial


def test_parent_is_written_from_several_arms_and_read_after_the_join():
    arms = [Leaf(name=name, writes=(("v", "k"),)) for name in "hl"]
    join = leaf("j", Parent("k"), after=("h", "l"))
    for i, name in ((7, "h"), (1, "l")):
        assert run(split(), *arms, join, i=i).outputs == {"k": mix(name), "oj": mix("j", mix(name))}


def test_a_key_that_no_arm_wrote_is_what_the_container_was_given_or_none():
    to_end = Branch(name="b", cases=((when("null", Parent("i")), "h"),), default=None)
    arm = Leaf(name="h", writes=(("v", "k"),))
    join = leaf("j", Parent("k"), start=True, after=("h",))
    assert run(to_end, arm, join, i=1, k=4).outputs == {"k": None, "oj": mix("j", 4)}
    assert run(to_end, arm, join, i=1).outputs == {"k": None, "oj": mix("j", None)}


# ── Soft edges ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_soft_edges_from_arms_are_live_with_the_one_that_delivers_and_dead_with_none():
    join = leaf("j", Ref("h", "v"), Ref("l", "v"), soft=("h", "l"))
    assert run(split(), leaf("h"), leaf("l"), join, i=7).outputs["oj"] == mix("j", mix("h"), None)
    to_end = Branch(name="b", cases=((when("least", Parent("i"), 5), "h"), (when("null", Parent("i")), "l")))
    assert run(to_end, leaf("h"), leaf("l"), join, i=1).outputs["oj"] is None


def test_a_default_stands_for_the_arm_that_was_not_taken():
    join = leaf("j", Ref("h", "v"), Ref("l", "v"), soft=("h", "l"), default=9)
    assert run(split(), leaf("h"), leaf("l"), join, i=1).outputs["oj"] == mix("j", 9, mix("l"))


def test_a_handled_failure_arrives_softly_and_blocks_its_readers():
    arms = [leaf("h", does="fail", on_error="collect"), leaf("l")]
    assert run(split(), *arms, leaf("j", soft=("h", "l")), i=7).outputs["oj"] == mix("j")
    assert run(split(), *arms, leaf("j", Ref("h", "v"), soft=("h", "l")), i=7).outputs["oj"] is None


def test_all_orders_of_two_that_race_are_known():
    slow = [leaf("x"), leaf("y")]
    got = outcomes(case(*slow, leaf("j", Ref("x", "v"), Ref("y", "v"), soft=("x", "y"))))
    x, y = mix("x"), mix("y")
    seen = {each["oj"] for each in got.outputs.values()}
    assert seen == {mix("j", x, None), mix("j", None, y), mix("j", x, y)}
    assert not got.labels


def test_one_that_must_come_later_may_have_arrived_or_not_and_what_fails_may_be_raised():
    chain = [leaf("x"), leaf("y", after=("x",))]
    got = outcomes(case(*chain, leaf("j", Ref("x", "v"), Ref("y", "v"), soft=("x", "y"))))
    assert {each["oj"] for each in got.outputs.values()} == {mix("j", mix("x"), None), mix("j", mix("x"), mix("y"))}
    got = outcomes(case(leaf("x"), leaf("y", does="fail"), leaf("j", soft=("x", "y"))))
    assert (got.outputs, got.labels) == ({}, {"y"})
