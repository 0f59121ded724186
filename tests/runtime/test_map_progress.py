"""How far a map is: what `MapProgressed` and `MapFinished` tell, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapNode,
    MapProgressed,
    MapStarted,
    Tolerate,
)
from hush.core._runtime._pace import Pace
from hush.testing import Recorder
from kit.faults import Boom
from runtime.observing import outcome


async def wait(seconds):
    """Take so long; a negative number fails after as long."""
    await asyncio.sleep(abs(seconds))
    if seconds < 0:
        raise Boom("bad")
    return {"y": seconds}


def first_of(seconds):
    """Of a batch."""
    return wait(seconds[0])


def mapped(items, fn=wait, **options):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(items)}, **options):
        CodeNode(name="n", code_fn=fn, inputs={"seconds": PARENT["x"]}, outputs=PARENT)
    return graph


def told(graph, *, seed=0, **options):
    tracer = Recorder()
    found = outcome(graph, tracer=tracer, seed=seed, **options)
    return found, tracer


def laws_hold(tracer, *, path="g/m"):
    """Whatever a map does: what it tells of itself agrees with what is told of its items."""
    places = {(event.outer, event.item) for event in tracer.of(MapStarted) if event.path == path}
    for place in places:
        within = place[0] if place[1] is None else (*place[0], place[1])
        done = failed = 0
        last_s, began, finished = None, None, None
        dones = []
        for event in tracer.masked():
            if event.path != path:
                continue
            if isinstance(event, ItemFinished | ItemFailed) and event.outer == within:
                assert began is not None
                assert finished is None
                done += isinstance(event, ItemFinished) or not event.corrects
                failed += isinstance(event, ItemFailed)
            if (event.outer, event.item) != place:
                continue
            if isinstance(event, MapStarted):
                began, last_s = event, event.at_ns / 1e9
            elif isinstance(event, MapProgressed):
                assert finished is None
                assert (event.done, event.failed, event.total) == (done, failed, began.total)
                assert event.failed <= event.done
                assert event.at_ns / 1e9 - last_s >= 0.1 - 1e-9, "more than ten times a second"
                assert event.rate_per_s >= 0
                last_s = event.at_ns / 1e9
                dones.append(event.done)
            elif isinstance(event, MapFinished):
                assert (event.done, event.failed, event.total) == (done, failed, began.total)
                seconds = (event.at_ns - began.at_ns) / 1e9
                assert event.rate_per_s == pytest.approx(done / seconds if seconds else 0.0)
                finished = event
        assert finished is not None
        assert dones == sorted(set(dones)), "each tells of more items than the one before"


seconds = st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.25, 1.5, -0.02, -0.4])


@given(
    items=st.lists(seconds, max_size=40),
    max_concurrency=st.integers(1, 8),
    lazily=st.booleans(),
    on_error=st.sampled_from(["collect", "raise"]),
    seed=st.integers(0, 3),
)
def test_the_laws_hold_whatever_the_items_do(items, max_concurrency, lazily, on_error, seed):
    source = (item for item in items) if lazily else items
    _, tracer = told(mapped(source, max_concurrency=max_concurrency, on_error=on_error), seed=seed)
    laws_hold(tracer)


@given(rows=st.lists(st.lists(seconds, max_size=6), max_size=6), seed=st.integers(0, 3))
def test_the_laws_hold_of_nested_maps(rows, seed):
    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"row": Each(rows)}, max_concurrency=3),
        MapNode(name="inner", inputs={"x": Each(PARENT["row"])}, max_concurrency=2),
    ):
        CodeNode(name="n", code_fn=wait, inputs={"seconds": PARENT["x"]})
    _, tracer = told(graph, seed=seed)
    laws_hold(tracer)
    laws_hold(tracer, path="g/m/inner")


# ── When ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_map_that_ends_sooner_tells_nothing():
    _, tracer = told(mapped([0.01] * 9, max_concurrency=1))
    assert not tracer.of(MapProgressed)
    assert tracer.of(MapFinished)[0].done == 9


def test_items_that_take_no_time_tell_nothing_however_many_they_are():
    _, tracer = told(mapped(range(5000), lambda seconds: {"y": seconds}))
    assert not tracer.of(MapProgressed)


def test_ten_times_a_second_of_a_hundred_items():
    _, tracer = told(mapped([0.0101] * 1000, max_concurrency=1))
    events = tracer.of(MapProgressed)
    assert [event.done for event in events[:3]] == [10, 20, 30]
    assert len(events) == 100


def test_it_comes_right_after_an_item_and_nothing_is_told_in_a_pause():
    _, tracer = told(mapped([0.2, 60.0], max_concurrency=1))
    assert tracer.lines(ItemFinished, MapProgressed, MapFinished) == [
        "0.2 s ItemFinished g/m[0]",
        "0.2 s MapProgressed g/m done=1 failed=0 total=2",
        "60.2 s ItemFinished g/m[1]",
        "60.2 s MapProgressed g/m done=2 failed=0 total=2",
        "60.2 s MapFinished g/m done=2 failed=0 total=2",
    ]


def test_of_items_that_end_together_the_first_is_told():
    """The docstring says so, and whoever shows numbers must know it."""
    _, tracer = told(mapped([1.0] * 8, max_concurrency=8))
    assert [event.done for event in tracer.of(MapProgressed)] == [1]


def test_failed_items_tell_too():
    _, tracer = told(mapped([-0.2, 0.2, -0.2], max_concurrency=1))
    assert [(event.done, event.failed) for event in tracer.of(MapProgressed)] == [(1, 1), (2, 1), (3, 2)]


def test_its_time_is_that_of_the_item_it_comes_after():
    _, tracer = told(mapped([0.2]))
    item, progressed = tracer.of(ItemFinished, MapProgressed)
    assert progressed.at_ns == item.at_ns
    times = [event.at_ns for event in tracer.events]
    assert times == sorted(times)


def test_the_same_seed_tells_the_same():
    lines = [told(mapped([0.03, -0.2, 0.11] * 9, max_concurrency=3), seed=7)[1].masked(MapProgressed) for _ in range(2)]
    assert lines[0] == lines[1] != []


# ── What ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Sized:
    """An iterable with a length, which it may be wrong about."""

    def __init__(self, items, says):
        self.items, self.says = items, says

    def __iter__(self):
        return iter(self.items)

    def __len__(self):
        if self.says is None:
            raise TypeError("nobody knows")
        return self.says


class AsyncSized(Sized):
    __iter__ = None

    async def __aiter__(self):
        for item in self.items:
            yield item


def totals(graph, path="g/m"):
    """The totals that were told, and how many items ended and failed."""
    found, tracer = told(graph)
    laws_hold(tracer, path=path)
    events = [event for event in tracer.of(MapStarted, MapProgressed, MapFinished) if event.path == path]
    return {event.total for event in events}, events[-1].done, found


@pytest.mark.parametrize("kind", [Sized, AsyncSized, lambda items, says: deque(items)])
def test_a_source_with_a_length_gives_the_total(kind):
    assert totals(mapped(kind([0.2] * 5, 5)))[:2] == ({5}, 5)
    assert totals(mapped(kind([0.2] * 5, 5), first=3))[:2] == ({3}, 3)
    assert totals(mapped(kind([0.2] * 5, 5), fn=first_of, batch=2))[:2] == ({3}, 3)


@pytest.mark.parametrize("says", [0, 2, 9, None])
def test_nothing_is_decided_by_a_length_that_is_wrong(says):
    """All items are gone through, what is tolerated is judged at the end, and no lengths are compared."""
    found = totals(mapped(Sized([0.2] * 5, says), max_concurrency=2))
    assert found[:2] == ({says}, 5)
    failing = mapped(Sized([-0.1] * 2 + [0.2] * 3, says), max_concurrency=1, on_error=Tolerate(fraction=0.5))
    assert totals(failing)[:2] == ({says}, 5)
    both = {"x": Each(Sized([0.2] * 5, says)), "z": Each([1] * 5)}
    with GraphNode(name="g") as graph, MapNode(name="m", inputs=both):
        CodeNode(name="n", code_fn=lambda seconds, z: {"y": seconds}, inputs={"seconds": PARENT["x"], "z": PARENT["z"]})
    assert totals(graph)[:2] == ({None}, 5)


def test_a_map_that_streams_from_it_tells_it_too():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(Sized([0.2] * 3, 3))}) as a:
            CodeNode(name="n", code_fn=wait, inputs={"seconds": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="m", inputs={"x": Each(a["y"])}) as m:
            CodeNode(name="n", code_fn=wait, inputs={"seconds": PARENT["x"]}, outputs=PARENT)
        m["y"] >> PARENT["ys"]
    assert totals(graph)[:2] == ({3}, 3)


@pytest.mark.parametrize("source", [lambda: (x for x in [0.2, 0.2]), lambda: iter([0.2, 0.2])])
def test_the_total_is_none_where_nobody_knows_it(source):
    _, tracer = told(mapped(source(), max_concurrency=1))
    assert {event.total for event in tracer.of(MapProgressed, MapFinished)} == {None}
    assert len(tracer.of(MapProgressed)) == 2


def test_a_map_in_a_map_says_where_it_stands():
    with (
        GraphNode(name="g") as graph,
        MapNode(name="a", inputs={"row": Each([[0.2], [0.2, 0.2]])}, max_concurrency=1),
        MapNode(name="b", inputs={"x": Each(PARENT["row"])}, max_concurrency=1),
        MapNode(name="c", inputs={"x": PARENT["x"], "_": Each([1])}),
    ):
        CodeNode(name="n", code_fn=wait, inputs={"seconds": PARENT["x"]})
    _, tracer = told(graph)
    inner = [event for event in tracer.of(MapProgressed) if event.path == "g/a/b"]
    assert [(event.outer, event.item, event.done, event.total) for event in inner] == [
        ((), 0, 1, 1),
        ((), 1, 1, 2),
        ((), 1, 2, 2),
    ]
    innermost = [(event.outer, event.item) for event in tracer.of(MapProgressed) if event.path == "g/a/b/c"]
    assert innermost == [((0,), 0), ((1,), 0), ((1,), 1)]


def test_items_that_lack_a_key_are_counted_once():
    """They are told of as failed, at the end, when it is known that others have the key."""

    async def some(seconds):
        await asyncio.sleep(seconds)
        return {"y": 1} if seconds > 0.2 else {"z": 1}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(x for x in [0.2, 0.3])}, max_concurrency=1) as each:
            CodeNode(name="n", code_fn=some, inputs={"seconds": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    found, tracer = told(graph)
    assert len(found.result.errors) == 1
    assert [(type(event), event.item) for event in tracer.of(ItemFailed, ItemFinished)] == [
        (ItemFinished, 1),
        (ItemFailed, 0),
    ]
    laws_hold(tracer)
    finished = tracer.of(MapFinished)[0]
    assert (finished.done, finished.failed) == (2, 1)


def test_a_source_that_cannot_be_opened_was_never_begun():
    with GraphNode(name="g") as graph:
        unequal = {"a": Each([1, 2]), "b": Each([1])}
        with MapNode(name="m", inputs=unequal):
            CodeNode(name="n", code_fn=lambda a, b: {"y": a + b}, inputs={"*": PARENT})
    found, tracer = told(graph)
    assert found.error is not None
    assert not tracer.of(MapStarted)
    finished = tracer.of(MapFinished)[0]
    assert (finished.done, finished.total, finished.rate_per_s) == (0, None, 0.0)


@pytest.mark.parametrize("timeout_s", [0.35, 1.05])
def test_a_map_that_is_cut_off_is_told_to_its_end(timeout_s):
    found, tracer = told(mapped([0.1] * 100, max_concurrency=1), timeout_s=timeout_s)
    assert found.error is not None
    laws_hold(tracer)
    assert tracer.of(MapFinished)[0].done == round(timeout_s / 0.1 - 0.5)


def paces():
    return sum(type(each) is Pace for each in gc.get_objects())


@pytest.mark.parametrize("traced", [True, False])
def test_nothing_is_kept_of_maps_that_have_ended_nor_made_without_a_tracer(traced):
    kept = []

    async def look(seconds):
        await asyncio.sleep(seconds)
        kept.append(paces())

    with (
        GraphNode(name="g") as graph,
        MapNode(name="m", inputs={"_": Each(range(8))}, max_concurrency=2),
        MapNode(name="inner", inputs={"x": Each([0.01, 0.02])}),
    ):
        CodeNode(name="n", code_fn=look, inputs={"seconds": PARENT["x"]})
    assert outcome(graph, tracer=Recorder() if traced else None).error is None
    assert max(kept) == (3 if traced else 0)
    assert paces() == 0


# ── How fast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_steady_rate_is_given_as_it_is_from_the_first_time_on():
    _, tracer = told(mapped([0.125] * 80, max_concurrency=1))
    rates = [event.rate_per_s for event in tracer.of(MapProgressed)]
    assert rates == pytest.approx([8.0] * len(rates))
    assert tracer.of(MapFinished)[0].rate_per_s == pytest.approx(8.0)


def test_the_rate_follows_what_was_last():
    """From ten a second to one: after three seconds what was counts for about a third, after fifteen for nothing."""
    _, tracer = told(mapped([0.1001] * 100 + [1.0] * 15, max_concurrency=1))
    rates = {event.done: event.rate_per_s for event in tracer.of(MapProgressed)}
    assert rates[100] == pytest.approx(10, rel=0.01)
    assert rates[103] == pytest.approx(1 + 9 * exp(-1), rel=0.05)
    assert rates[115] == pytest.approx(1, rel=0.1)


@given(st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 50)), min_size=1, max_size=30))
def test_the_rate_is_the_mean_with_weights_that_fall_with_age(steps):
    """Against the definition in the event's docstring, summed over all intervals."""
    pace, now_s, done = Pace(100.0, None), 100.0, 0
    intervals = []
    for passed_s, more in steps:
        before_s, now_s, done = now_s, now_s + passed_s, done + more
        rate = pace.told(now_s, done)
        if rate is None:  # 0.1 s that rounding made shorter
            return
        intervals.append((before_s, now_s, more / (now_s - before_s)))
        weights = [exp((end - now_s) / 3) - exp((begin - now_s) / 3) for begin, end, _ in intervals]
        mean = sum(w * r for w, (_, _, r) in zip(weights, intervals, strict=True)) / sum(weights)
        assert rate == pytest.approx(mean)
