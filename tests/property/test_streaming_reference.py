"""Streaming changes no result: random pipelines give what they give if every map waits for the whole of another.

What a map with `ordered=False` sees is compared as a set of items, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Hush
from kit.flows import flows
from kit.pipelines import Feed, Pipeline, Stage, interpret, name_of
from kit.pipelines_built import Play, build, complaints
from kit.pipelines_drawn import pipelines
from kit.pipelines_smaller import smaller
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("leak_check", "silence")


def hold(pipeline: Pipeline, seeds: list[int]) -> None:
    """The law: whatever the delays and the order of turns, the run and the reference agree."""
    if trouble(pipeline, seeds):
        pipeline = smaller(pipeline, lambda less: bool(trouble(less, seeds)))
        raise AssertionError("\n".join([*trouble(pipeline, seeds), f"in {pipeline!r}"]))


def trouble(pipeline: Pipeline, seeds: list[int]) -> list[str]:
    """What is wrong with how it is drawn and with its runs."""
    play = Play()
    graph = build(pipeline, play)
    if graph.check():
        return []  # made smaller, it became a wrong one
    drawn = flows(graph)
    found = list(ill_drawn(pipeline, drawn))
    engine = Hush(graph)
    for seed in seeds:
        wrong = complaints(pipeline, engine, play, seed)
        if wrong:
            return [*found, f"with seed {seed}, drawn as {drawn}:", *wrong]
    return found


def ill_drawn(pipeline: Pipeline, drawn: dict[tuple[str, str], str]) -> Iterator[str]:
    """Maps that may not stream, and a plain row that does not."""
    for (before, after), flow in drawn.items():
        if flow == "stream" and (why := barred(pipeline, before, after)):
            yield f"{after} streams from {before}, though {why}"
    if is_row(pipeline) and set(drawn.values()) != {"stream"}:
        yield f"maps in a row do not stream: {drawn}"


def barred(pipeline: Pipeline, before: str, after: str) -> str:
    """Why the one may not stream from the other, as far as that is a matter of these two; or nothing."""
    a, b = "abcdefgh".index(before), "abcdefgh".index(after)
    stage = pipeline.stages[b]
    readers = {place for place, each in enumerate(pipeline.stages) if any(feed.stage == a for feed in each.feeds)}
    if a in stage.after:
        return "there is an edge"
    if readers != {b}:
        return "others read its columns too"
    if not all(feed.bare for feed in stage.feeds if feed.stage == a):
        return "something is done to its column"
    others = {feed.stage for feed in stage.feeds} | set(stage.wholes) | set(stage.after)
    if any(a in stage.wholes or a in upstream(pipeline, each) for each in others - {a, None}) or a in stage.wholes:
        return "another path leads there"
    return ""


def upstream(pipeline: Pipeline, place: int) -> set[int]:
    """All stages from which a path leads to this one."""
    stage = pipeline.stages[place]
    before = {feed.stage for feed in stage.feeds if feed.stage is not None} | {*stage.wholes, *stage.after}
    return before.union(*(upstream(pipeline, each) for each in before))


def is_row(pipeline: Pipeline) -> bool:
    """Whether it is nothing but maps in a row, which must stream."""
    for place, stage in enumerate(pipeline.stages):
        read = {feed.stage for feed in stage.feeds if feed.stage is not None}
        bare = all(feed.bare for feed in stage.feeds)
        if stage.wholes or stage.after or not bare or read != ({place - 1} if place else set()):
            return False
    return True


@patient
@settings(every_change, max_examples=100)
@given(pipelines(), st.integers(0, 9))
def test_random_pipelines_give_what_they_give_without_streaming(pipeline, seed):
    hold(pipeline, [seed, seed + 10])


# In parts: hypothesis remembers all that it has drawn for a test.
@pytest.mark.nightly
@patient
@pytest.mark.parametrize("part", range(5))
@settings(nightly, max_examples=1_000)
@given(pipelines(most=20, stages=7), st.integers(0, 1_000))
def test_many_random_pipelines_give_what_they_give_without_streaming(part, pipeline, seed):
    hold(pipeline, [seed, seed + 1, seed + 2])


# ── The reference itself ─────────────────────────────────────────────────────────────────────────────────────────────


def reference_of(*stages: Stage) -> list[dict]:
    return interpret(Pipeline(stages, ())).columns


def test_the_reference_lets_failures_travel_unless_the_error_is_taken():
    first = Stage((Feed(count=20),), fails=2)
    (a, passed, taken) = reference_of(first, Stage((Feed(0, "y"),)), Stage((Feed(0, "y"), Feed(0, "error"))))
    failed = [error is not None for error in a["error"]]
    assert any(failed)
    assert not all(failed)
    assert passed["error"] == a["error"]
    assert [y is None for y in passed["y"]] == failed
    assert taken["error"] == [None] * 20
    assert None not in taken["y"]


def test_the_reference_leaves_failed_items_out_of_batches():
    a, b = reference_of(Stage((Feed(count=20),), fails=2), Stage((Feed(0, "y"),), batch=3))
    good = sum(error is None for error in a["error"])
    assert 0 < good < 20
    assert len(b["y"]) == -(-good // 3)


def test_the_reference_says_when_lengths_differ():
    stages = (Stage((Feed(count=3),)), Stage((Feed(0, "y"), Feed(count=4))))
    assert interpret(Pipeline(stages, ())).failures == {"SourceError"}


@settings(every_change, max_examples=100)
@given(pipelines())
def test_what_is_drawn_at_random_is_a_right_graph(pipeline):
    graph = build(pipeline, Play())
    assert graph.check() == []
    assert all(name_of(place) in graph.to_text() for place in range(len(pipeline.stages)))
