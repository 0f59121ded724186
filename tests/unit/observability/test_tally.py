"""How far runs and maps are, as counted from events: against what the run itself tells at the end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._tally import TAKES, RunTally
from hush.testing import run_virtual

SECOND = 10**9


class Tallies:
    """A tracer that does with a tally what `ConsoleProgress` does, and looks at it after every event."""

    def __init__(self, look=lambda tally: None):
        self.look, self.events = look, []

    def emit(self, event):
        self.events.append(event)
        if isinstance(event, RunStarted):
            self.tally = RunTally(event)
        elif isinstance(event, RunFinished):
            self.tally.finish(event)
        elif (take := TAKES.get(type(event))) is not None:
            take(self.tally, event)
        self.look(self.tally)


def tally_of(*events):
    """A run called `g` to which these things happened."""
    tally = RunTally(RunStarted("r", "g", None, 0, 0))
    for event in events:
        TAKES[type(event)](tally, event)
    return tally


def started(path, item=None, total=None, at_s=0.0):
    return MapStarted("r", path, item, round(at_s * SECOND), total)


def items(path, count, *, first=0, outer=()):
    return [ItemFinished("r", path, first + number, 0, outer) for number in range(count)]


def finished(path, item=None, done=0, total=None, at_s=0.0):
    at_ns = round(at_s * SECOND)
    return [MapFinished("r", path, item, at_ns, done, 0, (), total), NodeFinished("r", path, item, at_ns)]


async def step(x):
    await asyncio.sleep(abs(x))
    if x < 0:
        raise ValueError(x)
    return {"y": x}


@given(
    rows=st.lists(st.lists(st.sampled_from([0, 1, 2, -1]), max_size=5), max_size=5),
    lazily=st.booleans(),
    on_error=st.sampled_from(["collect", "raise"]),
    seed=st.integers(0, 3),
)
def test_the_numbers_at_the_end_are_those_of_the_run(rows, lazily, on_error, seed):
    def look(tally):
        for each in tally.maps.values():
            total, certain = each.total()
            assert 0 <= each.failed <= each.done
            assert each.well <= each.begun
            assert total is None or total >= 0
            assert not (certain and total is None)
            if each.is_under_way and each.above is not None and each.above.is_under_way:
                assert not certain

    tallies = Tallies(look)
    with (
        GraphNode(name="g") as graph,
        MapNode(name="a", inputs={"row": Each((row for row in rows) if lazily else rows)}, on_error=on_error),
        MapNode(name="b", inputs={"x": Each(PARENT["row"])}, max_concurrency=2, on_error=on_error),
    ):
        CodeNode(name="n", code_fn=step, inputs={"x": PARENT["x"]})

    async def main():
        try:
            await Hush(graph).run(tracer=tallies)
        except ValueError:
            pass

    run_virtual(main, seed=seed)
    for path, found in tallies.tally.maps.items():
        ends = [event for event in tallies.events if isinstance(event, MapFinished) and event.path == path]
        assert not found.is_under_way
        assert found.done == sum(event.done for event in ends)
        assert found.failed == sum(event.failed for event in ends)
        assert found.total() == (sum(event.done if event.total is None else event.total for event in ends), True)
        assert found.begun == len(ends)
        well = [event for event in tallies.events if isinstance(event, NodeFinished) and event.path == path]
        assert found.well == len(well)
    assert not tallies.tally.working


def test_maps_stand_below_the_maps_around_them():
    tally = tally_of(
        started("g/a"), started("g/b/c"), started("g/a/x", 0), started("g/a/deep/y", 0), started("g/a/x", 1)
    )
    assert {path: found.name for path, found in tally.maps.items()} == {
        "g/a": "a",
        "g/b/c": "b/c",
        "g/a/x": "x",
        "g/a/deep/y": "deep/y",
    }
    assert [below.name for below in tally.maps["g/a"].below] == ["x", "deep/y"]
    assert tally.maps["g/b/c"].above is None


def test_a_map_that_is_the_root_has_items():
    assert tally_of(started("g")).maps["g"].name == "items"


def test_a_map_whose_source_could_not_be_opened_is_not_there():
    assert not tally_of(MapFinished("r", "g/m", None, 0)).maps
    tally = tally_of(started("g/m", 0, 3), MapFinished("r", "g/m", 1, 0))
    assert tally.maps["g/m"].is_under_way
    assert tally.maps["g/m"].total() == (3, True)


def test_an_item_that_is_told_of_twice_counts_once():
    tally = tally_of(started("g/m"), *items("g/m", 2), ItemFailed("r", "g/m", 0, 0, corrects=True))
    assert (tally.maps["g/m"].done, tally.maps["g/m"].failed) == (2, 1)
    TAKES[MapFinished](tally, MapFinished("r", "g/m", None, 0, 2, 1))
    assert (tally.maps["g/m"].done, tally.maps["g/m"].failed) == (2, 1)


# ── The total of a map in a map ──────────────────────────────────────────────────────────────────────────────────────


def nested(ended, *, around, each=10, every=1):
    """A map of `around` items of which `ended` have; every so many of them began a map of `each` items."""
    events = [started("g/a", total=around)]
    for item in range(ended):
        if item % every == 0:
            events += [started("g/a/b", item, each), *items("g/a/b", each, outer=(item,))]
            events += finished("g/a/b", item, each, each)
        events += items("g/a", 1, first=item)
    return tally_of(*events)


@pytest.mark.parametrize(("ended", "every", "total"), [(1, 1, 1000), (40, 1, 1000), (40, 2, 500), (99, 3, 333)])
def test_it_is_guessed_from_the_items_that_have_ended(ended, every, total):
    found, certain = nested(ended, around=100, every=every).maps["g/a/b"].total()
    assert not certain
    assert found == pytest.approx(total, rel=0.02)


def test_it_is_guessed_before_the_first_item_has_ended():
    tally = tally_of(started("g/a", total=100), started("g/a/b", 0, 10), started("g/a/b", 1, 20))
    assert tally.maps["g/a/b"].total() == (1500, False)


def test_it_is_known_once_the_map_around_it_has_ended():
    tally = nested(40, around=100)
    for event in finished("g/a", None, 40, 100):
        TAKES[type(event)](tally, event)
    assert tally.maps["g/a/b"].total() == (400, True)


@pytest.mark.parametrize("around", [started("g/a"), started("g/a", total=5)])
def test_nobody_knows_it_where_one_of_the_two_is_not_known(around):
    inner = started("g/a/b", 0, None if around.total else 3)
    assert tally_of(around, inner).maps["g/a/b"].total() == (None, False)


def test_a_map_in_a_loop_has_the_items_of_all_rounds_until_now():
    tally = tally_of(
        started("g/w/m", total=3), *items("g/w/m", 3), *finished("g/w/m", None, 3, 3), started("g/w/m", total=4)
    )
    assert tally.maps["g/w/m"].total() == (7, True)
    assert tally.maps["g/w/m"].done == 3


# ── Rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rate_of(tally, now_s):
    tally.note(now_s)
    return tally.rate_per_s(now_s)


def test_a_steady_rate_is_told_as_it_is():
    tally = tally_of(started("g/m", at_s=100))
    rates = []
    for number in range(1, 400):
        for event in items("g/m", 5):
            TAKES[type(event)](tally, event)
        rates.append(rate_of(tally.maps["g/m"], 100 + number * 0.1))
    assert rates == pytest.approx([50.0] * len(rates))


def test_a_rate_follows_within_ten_seconds_and_falls_while_nothing_ends():
    tally = tally_of(started("g/m"))
    found = tally.maps["g/m"]
    for tenth in range(1, 601):
        found.done += 10 if tenth <= 300 else 1
        rate = rate_of(found, tenth / 10)
        if tenth == 300:
            assert rate == pytest.approx(100, rel=0.05)
    assert rate == pytest.approx(10, rel=0.05)
    assert found.rate_per_s(70.0) < 6


def test_of_slow_items_ten_are_looked_at_and_little_is_kept():
    tally = tally_of(started("g/m"))
    found = tally.maps["g/m"]
    for second in range(10_000):
        found.done += second % 60 == 59
        rate = rate_of(found, float(second + 1))
        if second > 1200:
            assert rate == pytest.approx(1 / 60, rel=0.12)
    assert len(found._samples) < 30


def test_of_a_map_that_has_ended_it_is_the_whole():
    tally = tally_of(started("g/m", at_s=1), *items("g/m", 6), *finished("g/m", None, 6, 6, at_s=3))
    assert tally.maps["g/m"].rate_per_s(1000.0) == 3.0


@pytest.mark.parametrize("events", [[], finished("g/m", None, 0, 0, at_s=0)])
def test_there_is_none_before_anything_has_ended(events):
    assert tally_of(started("g/m"), *events).maps["g/m"].rate_per_s(5.0) is None


# ── Nodes at work ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_containers_and_what_is_in_maps_are_not_at_work():
    tally = tally_of(
        NodeStarted("r", "g/inner", None, 1),
        NodeStarted("r", "g/inner/slow", None, 2),
        NodeStarted("r", "g/m", None, 3),
        started("g/m"),
        NodeStarted("r", "g/m/n", 0, 4),
        NodeStarted("r", "g/other", None, 5),
        NodeFinished("r", "g/other", None, 6),
    )
    assert tally.working == {"g/inner/slow": 2}
