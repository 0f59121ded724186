"""Soft edges let time decide: a run gives what some order of its nodes gives, and always ends, with nothing left."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hush.core import Hush, InputError
from kit.build import build
from kit.faults import OF_NODES, label, members
from kit.judge import run_case
from kit.orders import outcomes
from kit.say import source
from kit.shapes import Leaf, nodes_in
from kit.smaller import smaller_alike
from kit.soft import small_cases, softened_cases
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("leak_check", "silence")


def hold(case, seeds):
    """The law of small graphs: whatever the seed, the run gives or raises what some order of its nodes does."""
    assert not build(case)[0].check()
    found = _trouble(case, seeds)
    if found:
        small = smaller_alike(case, lambda less: (_trouble(less, seeds) or (0, ""))[1])
        seed, words = _trouble(small, seeds)
        program = source(small, seed=seed)
        raise AssertionError(
            f"{words}\n{outcomes(small)}\nin this program, which shows it when it is run:\n\n{program}"
        )


def _trouble(case, seeds):
    """The first seed that shows something wrong, and what; none if it is no right graph."""
    graph, play = build(case)
    if graph.check():
        return None
    possible = outcomes(case)
    engine = Hush(graph)
    for seed in seeds:
        play.reset(seed)
        try:
            outcome = run_case(case, engine, seed)
        except AssertionError as error:  # it hangs, or leaves something behind
            return seed, f"{type(error).__name__}: {error}"
        if outcome.error is None:
            fits = possible.allows(dict(outcome.result))
        else:
            fits = {label(each) for each in members(outcome.error)} <= possible.labels
        if not fits:
            return seed, f"it gave {outcome.error or dict(outcome.result)!r}"
        if play.wrong or max(play.calls.values(), default=0) > 1:
            return seed, f"{play.wrong}, calls: {play.calls}"
    return None


def hold_loosely(case, seeds, cancel_at=None):
    """The law of all graphs: the run ends, leaves nothing behind and raises only what something in it may raise."""
    if problems := build(case)[0].check():
        # Making an edge soft takes an order away, and with it the right to write or read one key of PARENT.
        assert all("PARENT[" in problem.message for problem in problems)
        assume(False)
    for seed in seeds:
        if _loose_trouble(case, seed, cancel_at):
            small = smaller_alike(case, lambda less, seed=seed: _loose_trouble(less, seed, cancel_at))
            program = source(small, seed=seed, cancel_at=cancel_at)
            words = _loose_trouble(small, seed, cancel_at)
            raise AssertionError(f"{words}\nin this program, which shows it when it is run:\n\n{program}")


def _loose_trouble(case, seed, cancel_at):
    """What is wrong with one run; nothing if it is no right graph."""
    graph, play = build(case)
    if graph.check():
        return ""
    play.reset(seed)
    try:
        outcome = run_case(case, Hush(graph), seed, cancel_at)
    except AssertionError as error:  # it hangs, or leaves something behind
        return f"{type(error).__name__}: {error}"
    if isinstance(outcome.error, InputError):
        return ""  # with the order went what gave the key; now the run must
    if outcome.requests and outcome.error is None:
        return "the cancellation got lost"
    leaves = {node.name for _, node in nodes_in(case.graph) if isinstance(node, Leaf)}
    known = {*leaves, *OF_NODES, "NodeTimeout", "OutputError", "SourceError", "MissingKeyError", "ReportedError"}
    known |= {"cancelled", "CancelledError"} if outcome.requests else {"cancelled"}
    raised = [outcome.error] if outcome.error is not None else outcome.result.errors
    found = [repr(each) for error in raised for each in members(error) if label(each).split()[0] not in known]
    found += play.wrong
    if outcome.cancelling != outcome.requests:
        found.append(f"cancelled {outcome.requests} times, but its task sees {outcome.cancelling} requests")
    if any(play.active.values()):
        found.append(f"still suspended: {+play.active}")
    return "\n".join(found)


@patient
@settings(every_change, max_examples=140)
@given(small_cases())
def test_a_small_graph_gives_what_some_order_gives(case):
    hold(case, range(8))


@patient
@settings(every_change, max_examples=100)
@given(softened_cases(), st.integers(0, 9), st.none() | st.integers(1, 25))
def test_a_graph_with_soft_edges_ends_and_leaves_nothing(case, seed, tick):
    hold_loosely(case, [seed, seed + 10], tick)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(3))  # hypothesis remembers all that it has drawn for a test
@settings(nightly, max_examples=2_000)
@given(small_cases())
def test_many_small_graphs_give_what_some_order_gives(part, case):
    hold(case, range(20))


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(2))
@settings(nightly, max_examples=2_000)
@given(softened_cases(), st.integers(0, 1_000), st.none() | st.integers(1, 50))
def test_many_graphs_with_soft_edges_end_and_leave_nothing(part, case, seed, tick):
    hold_loosely(case, [seed, seed + 1], tick)
