"""Random graphs in random orders of completion give what a small interpreter says that they give.

With `test_soft_edges` these are 2,000 graphs in the every-change tier, and 50,000 in the nightly one.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Hush
from kit.build import Play, build
from kit.judge import complaints, run_case
from kit.reference import interpret
from kit.say import source
from kit.shapes import Case
from kit.smaller import smaller_alike
from kit.strategies import cases
from kit.tally import Expected
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("leak_check", "silence")


def hold(
    case: Case, seeds: list[int], *, inline: bool = False, cancel_at: int | None = None, threads: bool = False
) -> None:
    """The law: whatever the seed, the run and the reference agree."""
    expected = interpret(case)
    engine = None
    for seed in seeds:
        # With threads anew for each run: one that a failed run left behind may still write to the record.
        if engine is None or threads:
            graph, play = build(case, inline=inline)
            engine = Hush(graph)
        if _trouble(case, expected, engine, play, seed, cancel_at, threads):
            raise AssertionError(_report(case, seed, inline, cancel_at, threads))


def _report(case: Case, seed: int, inline: bool, cancel_at: int | None, threads: bool) -> str:
    """What is wrong, with the smallest graph that shows it, as a program."""
    if not threads:
        case = smaller_alike(case, lambda less: _fresh_trouble(less, seed, inline, cancel_at))
    found = _fresh_trouble(case, seed, inline, cancel_at, threads)
    program = source(case, inline=inline, seed=seed, cancel_at=cancel_at)
    return f"{found}\n{interpret(case)}\nin this program, which shows it when it is run:\n\n{program}"


def _trouble(
    case: Case, expected: Expected, engine: Any, play: Play, seed: int, cancel_at: int | None, threads: bool
) -> str:
    play.reset(seed)
    try:
        return "\n".join(complaints(case, expected, run_case(case, engine, seed, cancel_at, threads=threads), play))
    except AssertionError as error:  # it hangs, or leaves something behind
        return f"{type(error).__name__}: {error}"


def _fresh_trouble(case: Case, seed: int, inline: bool, cancel_at: int | None, threads: bool = False) -> str:
    """The same of a case that stands for itself; none if it is no right graph."""
    graph, play = build(case, inline=inline)
    if graph.check():
        return ""
    return _trouble(case, interpret(case), Hush(graph), play, seed, cancel_at, threads)


@patient
@settings(every_change, max_examples=900)
@given(cases(), st.integers(0, 9))
def test_random_graphs_give_what_the_reference_gives_in_any_order(case, seed):
    hold(case, [seed, seed + 10, seed + 20])


@patient
@settings(every_change, max_examples=250)
@given(cases())
def test_random_graphs_pinned_to_the_loop_give_the_same(case):
    hold(case, [0], inline=True)


@patient
@settings(every_change, max_examples=350)
@given(cases(), st.integers(0, 9), st.integers(1, 25))
def test_random_graphs_can_be_cancelled_at_any_tick(case, seed, tick):
    hold(case, [seed], cancel_at=tick)


# Threads come and go as the machine likes, so there is nothing that making smaller could hold on to.
@patient
@settings(every_change, max_examples=150)
@given(cases(timeouts=False), st.integers(0, 9))
def test_random_graphs_give_the_same_when_functions_run_in_threads(case, seed):
    hold(case, [seed, seed + 10], threads=True)


# In parts: hypothesis remembers all that it has drawn for a test, some 150 kB for each graph.
@pytest.mark.nightly
@pytest.mark.parametrize("part", range(15))
@settings(nightly, max_examples=2_000)
@given(cases(max_leaves=20), st.integers(0, 1_000), st.integers(1, 50))
def test_many_random_graphs_give_what_the_reference_gives_in_any_order(part, case, seed, tick):
    hold(case, [seed, seed + 1, seed + 2, seed + 3])
    hold(case, [seed], inline=True)
    hold(case, [seed, seed + 1], cancel_at=tick)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(5))
@settings(nightly, max_examples=2_000)
@given(cases(max_leaves=20, timeouts=False), st.integers(0, 1_000))
def test_many_random_graphs_give_the_same_when_functions_run_in_threads(part, case, seed):
    hold(case, [seed, seed + 1, seed + 2], threads=True)
