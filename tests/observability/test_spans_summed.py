"""Tracers that do without being told of most items: nothing uncounted, nothing wanted left out, nothing lost."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Hush, events
from hush.core._runtime._choice import Choice
from hush.core.protocols import NONE_SLOW, Wanted, lot
from hush.observability._ids import trace_id
from hush.observability._sampling import Sampling, seed_of, wanted
from hush.observability._tree import Tree
from kit import pipelines_built
from kit.build import build
from kit.pipelines_drawn import pipelines
from kit.sampled_laws import SOME, Sampled, complaints_of_sums
from kit.say import source
from kit.strategies import cases
from kit.summing import sampled
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("silence")


# --- over random graphs -------------------------------------------------------------------------------------------
@patient
@settings(every_change, max_examples=100)
@given(cases(), st.integers(0, 9), st.none() | st.integers(1, 30))
def test_random_graphs(case, seed, tick):
    graph, play = build(case)
    play.reset(seed)
    watch = sampled(Hush(graph), dict(case.given), seed, tick)
    found = [*complaints_of_sums(watch)]
    assert not found, "\n".join([*found[:12], source(case, seed=seed, cancel_at=tick)])


class Fickle(Sampled):
    """Wants now these, now those."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def wants(self, path: str, items: tuple[int, ...], /) -> Any:
        slow_ns = self._random.choice([-1, 0, 5_000, NONE_SLOW, NONE_SLOW])
        return self._random.choice([None, Wanted(slow_ns, 7, self._random.choice([0, 2**30, 2**31]))])


def hold_pipeline(pipeline, seed, tick, kind=Sampled):
    play = pipelines_built.Play()
    engine = Hush(pipelines_built.build(pipeline, play))
    play.reset(seed)
    watch = sampled(engine, {}, seed, tick, kind)
    watch.ended.demand_tidiness()
    found = [*complaints_of_sums(watch, choice=kind is Sampled)]
    assert not found, "\n".join([*found[:12], repr(pipeline)])


@patient
@settings(every_change, max_examples=150)
@given(pipelines(), st.integers(0, 9), st.none() | st.integers(1, 60))
def test_random_pipelines_of_maps(pipeline, seed, tick):
    hold_pipeline(pipeline, seed, tick)


@patient
@settings(every_change, max_examples=80)
@given(pipelines(), st.integers(0, 99), st.none() | st.integers(1, 60))
def test_whatever_a_tracer_answers_from_one_time_to_the_next(pipeline, seed, tick):
    hold_pipeline(pipeline, seed, tick, lambda: Fickle(seed))


@pytest.mark.nightly
@patient
@settings(nightly, max_examples=2_000)
@given(pipelines(), st.integers(0, 99), st.none() | st.integers(1, 100), st.booleans())
def test_many_random_pipelines_of_maps(pipeline, seed, tick, fickle):
    hold_pipeline(pipeline, seed, tick, (lambda: Fickle(seed)) if fickle else Sampled)


# --- the choice ---------------------------------------------------------------------------------------------------
def filtered(told: list[Any], sampling: Sampling, rng: random.Random) -> list[Any]:
    """What the engine would have told of the same run."""
    found: list[Any] = []
    sums = [0, 0, 0, 0]
    ran: Any = None
    (started,) = [event for event in told if type(event) is events.MapStarted]
    (run,) = [event for event in told if type(event) is events.RunStarted]
    seed = seed_of(trace_id(run.run, run.path, run.wall_ns, run.at_ns), "g/m", ())
    choice, done = Choice(wanted(sampling, started.total, seed, NONE_SLOW)), 0
    for event in told:
        if type(event) is events.NodeRan and event.item is not None:
            ran = event
            continue
        if type(event) is events.ItemFinished:
            took_ns, drawn, done = event.at_ns - ran.started_ns, lot(choice.seed, event.item) < choice.share, done + 1
            if took_ns <= choice.slow_ns and not drawn:
                sums = [sums[0] + 1, sums[1] + 1, sums[2] + took_ns, max(sums[3], took_ns)]
                continue
            choice.told(took_ns, done, drawn=drawn)
            told_now = [ran._replace(ends_item=True)]
        else:
            told_now = [event]
        if sums[0] and (rng.random() < 0.05 or type(event) is events.MapFinished):
            told_now.insert(0, events.ItemsRan("r", "g/m", None, event.at_ns, "g/m/n", *sums))
            sums = [0, 0, 0, 0]
        found += told_now
    return found


@settings(every_change, max_examples=60)
@given(
    st.integers(0, 2_000),
    st.sampled_from(
        [Sampling(), SOME, Sampling(0, 0, 0), Sampling(5, 0.01, 0), Sampling(0, 0, 0.02), Sampling(7, 1, 1)]
    ),
    st.booleans(),
    st.integers(0, 1 << 20),
)
def test_the_same_items_are_kept_as_if_all_had_been_told_of(count, sampling, known, seed):
    rng = random.Random(seed)
    told: list[Any] = [
        events.RunStarted("r", "g", None, 0, 10**18, kinds={"g/m": "map", "g/m/n": "code"}),
        events.NodeStarted("r", "g/m", None, 1),
        events.MapStarted("r", "g/m", None, 2, count if known else None),
    ]
    for item in rng.sample(range(count), count):
        started_ns = 10 + item
        at_ns = started_ns + rng.randint(1, 5_000)
        told.append(events.NodeRan("r", "g/m/n", item, at_ns, (), started_ns, started_ns, {"x": item}, {"y": item}))
        told.append(events.ItemFinished("r", "g/m", item, at_ns))
    told += [
        events.MapFinished("r", "g/m", None, 10**6, count, 0),
        events.NodeFinished("r", "g/m", None, 10**6),
        events.RunFinished("r", "g", None, 10**6, "ok", 1.0),
    ]
    trees = []
    for heard in (told, filtered(told, sampling, rng)):
        tree = Tree(sampling)
        for event in heard:
            tree.feed(event)
        trees.append(tree)
    every, few = trees
    shapes = [
        sorted((one.kind, one.items, one.started_ns, one.ended_ns, str(one.inputs)) for one in tree.ended)
        for tree in trees
    ]
    assert shapes[0] == shapes[1]
    assert every.record() == few.record()
    maps = [next(one for one in tree.ended if one.kind == "map") for tree in trees]
    assert (maps[0].done, maps[0].left_out) == (maps[1].done, maps[1].left_out)


def test_a_lot_is_the_same_in_each_process_and_falls_evenly():
    assert [lot(7, index) for index in range(3)] == [lot(7, 0), lot(7, 1), lot(7, 2)]
    assert lot(7, 1) == 0xFFFFFFFF & hash((7, 1)) != lot(8, 1)
    for seed in range(20):
        for share in (0.01, 0.1, 0.5):
            drawn = sum(lot(seed, index) < share * 2**32 for index in range(20_000))
            assert abs(drawn - share * 20_000) < 6 * (share * 20_000) ** 0.5
