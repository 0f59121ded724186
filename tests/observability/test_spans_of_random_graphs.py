"""The laws of spans over random graphs: whatever a run does, its spans are a whole and truthful tree of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Hush
from kit import pipelines_built
from kit.build import build
from kit.guarded import guarded_graphs
from kit.guarded_built import Play
from kit.pipelines_drawn import pipelines
from kit.say import source
from kit.span_laws import Terse, Watch, complaints, differences, gathered, watched
from kit.strategies import cases
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("silence")


def gathered_differently(full):
    """What a recorder shows that held events of plain calls back."""
    held = gathered(full)
    return [f"gathered: {each}" for each in (*complaints(held), *differences(full, held))]


def hold(case, seed, cancel_at=None):
    graph, play = build(case)
    engine = Hush(graph)
    watches = []
    for terse in (False, True):
        play.reset(seed)
        watches.append(watched(engine, dict(case.given), seed, cancel_at, terse=terse))
    full, terse = watches
    found = [*complaints(full), *(f"terse: {each}" for each in complaints(terse)), *differences(full, terse)]
    found += gathered_differently(full)
    assert not found, "\n".join([*found[:12], source(case, seed=seed, cancel_at=cancel_at)])


@patient
@settings(every_change, max_examples=70)
@given(cases(), st.integers(0, 9))
def test_random_graphs(case, seed):
    hold(case, seed)


@patient
@settings(every_change, max_examples=70)
@given(cases(), st.integers(0, 9), st.integers(1, 30))
def test_random_graphs_cancelled_at_any_tick(case, seed, tick):
    hold(case, seed, tick)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(5))
@settings(nightly, max_examples=1_500)
@given(cases(max_leaves=20), st.integers(0, 1_000), st.integers(1, 50))
def test_many_random_graphs(part, case, seed, tick):
    hold(case, seed)
    hold(case, seed, tick)


def hold_guarded(guarded, seed):
    found = []
    watches = []
    for kind in (Watch, Terse):
        play = Play(guarded, seed)
        play.recorder = watch = kind()
        play.run()
        watches.append(watch)
        found += [f"{kind.__name__}: {each}" for each in complaints(watch)]
    found += [*differences(*watches), *gathered_differently(watches[0])]
    assert not found, "\n".join([*found[:12], f"in {guarded!r}"])


@patient
@settings(every_change, max_examples=30)
@given(guarded_graphs(), st.integers(0, 1 << 20))
def test_random_policies(guarded, seed):
    """Retries, limits, timeouts, caches and what joins their flights."""
    hold_guarded(guarded, seed)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(nightly, max_examples=1_500)
@given(guarded_graphs(), st.integers(0, 1 << 20))
def test_many_random_policies(guarded, seed):
    hold_guarded(guarded, seed)


def hold_pipeline(pipeline, seed, cancel_at=None):
    play = pipelines_built.Play()
    engine = Hush(pipelines_built.build(pipeline, play))
    watches = []
    for terse in (False, True):
        play.reset(seed)
        watches.append(watched(engine, {}, seed, cancel_at, terse=terse))
    full, terse = watches
    found = [*complaints(full), *(f"terse: {each}" for each in complaints(terse)), *differences(full, terse)]
    found += gathered_differently(full)
    assert not found, "\n".join([*found[:12], repr(pipeline)])


@patient
@settings(every_change, max_examples=30)
@given(pipelines(), st.integers(0, 9))
def test_random_pipelines_of_maps(pipeline, seed):
    hold_pipeline(pipeline, seed)


@patient
@settings(every_change, max_examples=40)
@given(pipelines(), st.integers(0, 9), st.integers(1, 60))
def test_random_pipelines_of_maps_cancelled_at_any_tick(pipeline, seed, tick):
    hold_pipeline(pipeline, seed, tick)


@pytest.mark.nightly
@settings(nightly, max_examples=1_000)
@given(pipelines(), st.integers(0, 99), st.integers(1, 100))
def test_many_random_pipelines_of_maps(pipeline, seed, tick):
    hold_pipeline(pipeline, seed)
    hold_pipeline(pipeline, seed, tick)
