"""Sampling of large maps: every error, the slowest share exactly, a random share; nothing uncounted, little held."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core._runtime._choice import Choice
from hush.core.errors import UsageError
from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.core.protocols import NONE_SLOW, lot
from hush.observability._condense import Condenser
from hush.observability._crowding import FULL, ROOMY
from hush.observability._sampling import LEAST_HELD, MOST_HELD, ItemSampler, Sampling, wanted
from hush.observability._span import Failure
from hush.observability._tree import Tree
from kit.tiers import every_change


class Large:
    """A map of so many items, each of one node, fed into a tree without an engine."""

    def __init__(self, count: int, took: list[int], failing: set[int], sampling: Sampling, *, known: bool) -> None:
        self.tree = tree = Tree(sampling)
        self.kept: list[tuple[int, ...]] = []
        self.spans = self.held = 0
        self.kinds: dict[str, int] = {}
        feed = Condenser(None)
        total = count if known else None

        def tell(event: object) -> None:
            condensed = feed(event)  # type: ignore[arg-type]
            assert condensed is not None
            tree.feed(condensed)

        tell(RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds={"g/m": "map", "g/m/n": "code"}))
        tell(NodeStarted("r", "g/m", None, 1))
        tell(MapStarted("r", "g/m", None, 2, total))
        failure = Failure("ValueError", "x")
        for item in range(count):
            at_ns = 10 + item
            end_ns = at_ns + took[item]
            if item in failing and item % 2:  # in the node; else of the item itself
                tell(NodeStarted("r", "g/m/n", item, at_ns))
                tree.feed(NodeFailed("r", "g/m/n", item, end_ns, failure))  # type: ignore[arg-type]
            else:
                tree.feed(NodeRan("r", "g/m/n", item, end_ns, (), at_ns, at_ns, {}, {}))
            if item in failing:
                tree.feed(ItemFailed("r", "g/m", item, end_ns, failure))
            else:
                tree.feed(ItemFinished("r", "g/m", item, end_ns))
            if item % 1_024 == 1_000:
                self._take()
        at_ns = 10 + count + max(took, default=0)
        tree.feed(MapFinished("r", "g/m", None, at_ns, count, len(failing), (), total))
        tree.feed(NodeFinished("r", "g/m", None, at_ns))
        tell(RunFinished("r", "g", None, at_ns, "partial", 1.0))
        self._take()

    def _take(self) -> None:
        tree = self.tree
        sampler = next((one.sampler for one in tree._nodes.values() if one.sampler is not None), None)
        if sampler is not None:
            self.held = max(self.held, sum(whole.size() for _, _, whole in sampler._slow))
        ended, tree.ended = tree.ended, []
        self.spans += len(ended)
        for span in ended:
            self.kinds[span.kind] = self.kinds.get(span.kind, 0) + 1
            if span.kind == "item":
                self.kept.append(span.items)
            elif span.kind == "map":
                self.map = span


def check(count: int, *, known: bool, order: str, seed: int = 0) -> None:
    rng = random.Random(seed)
    took = rng.sample(range(1, 10 * count), count)
    if order != "mixed":
        took.sort(reverse=order == "falling")
    failing = set(rng.sample(range(count), count // 500))
    rule = Sampling()
    large = Large(count, took, failing, rule, known=known)
    kept = {item for (item,) in large.kept}
    assert len(kept) == len(large.kept)

    others = [item for item in range(rule.first, count) if item not in failing]
    share = int(rule.slowest * count)
    slowest = sorted(others, key=lambda item: -took[item])[:share]
    by_chance = kept - failing - set(range(rule.first)) - set(slowest)
    assert failing <= kept  # every error
    assert set(range(rule.first)) <= kept
    # Exact while they fit in what is held; those drawn by chance besides stand in nobody's place.
    assert set(slowest[: min(share, MOST_HELD // 2 if known else LEAST_HELD)]) <= kept
    if order == "mixed":
        assert set(slowest) <= kept
    assert len(by_chance) <= 1.2 * rule.random * count + share // 20 + 20
    drawn = rule.random * (count - rule.first - len(failing))
    assert 0.8 * drawn - 20 <= len(by_chance) + 0.02 * drawn

    tree, record = large.tree, large.tree.record()
    assert tree.produced == 2 * count + 2 == large.spans + tree.left_out == record.produced
    assert (large.map.done, large.map.failed) == (count, len(failing))
    assert large.map.left_out == count - len(kept)
    assert large.kinds["code"] == len(kept)  # what is in an item goes with it
    totals = {one.path: one for one in record.totals}
    assert totals["g/m/n"].calls == count
    assert totals["g/m/n"].failed == sum(item % 2 for item in failing)
    assert totals["g/m/n"].seconds == pytest.approx(sum(took) / 1e9)
    assert totals["g/m/n"].slowest_s == max(took) / 1e9
    most = 2 * share if known else max(2 * LEAST_HELD, 4 * share)
    assert large.held <= min(most, MOST_HELD) + 4
    assert not tree._nodes
    again = Large(count, took, failing, rule, known=known)
    assert again.kept == large.kept  # the same events, the same choice


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("order", ["mixed", "rising", "falling"])
def test_of_twenty_thousand_items(known, order):
    check(20_000, known=known, order=order)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("order", ["mixed", "rising", "falling"])
def test_of_a_million_items(known, order):
    check(1_000_000, known=known, order=order)


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 1_099])
def test_small_maps_are_kept_whole_but_for_a_few(count):
    large = Large(count, [*range(1, count + 1)], set(), Sampling(), known=True)
    assert len(large.kept) >= min(count, 1_000)
    assert large.map.left_out in (None, count - len(large.kept))


@pytest.mark.parametrize(("rule", "kept"), [(Sampling(0, 0, 0), 0), (Sampling(0, 1, 0), 100), (Sampling(0, 0, 1), 100)])
def test_none_and_all(rule, kept):
    for known in (True, False):
        large = Large(100, [*range(1, 101)], set(), rule, known=known)
        assert len(large.kept) == kept
        assert large.tree.produced == 202 == large.spans + large.tree.left_out


def test_all_fail():
    large = Large(5_000, [1] * 5_000, set(range(5_000)), Sampling(0, 0, 0), known=False)
    assert len(large.kept) == 5_000


@pytest.mark.parametrize(
    "wrong", [{"first": -1}, {"first": True}, {"slowest": 2}, {"random": "x"}, {"slowest": float("nan")}]
)
def test_numbers_that_cannot_be_meant(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong).checked()


class Sized:
    def __init__(self, size: int) -> None:
        self._size = size

    def size(self) -> int:
        return self._size


SAMPLINGS = [
    *(Sampling(0, 0, 0), Sampling(3, 0.1, 0.3), Sampling(0, 1, 0)),
    *(Sampling(5, 0.2, 1), Sampling(7, 0, 0.2), Sampling(2, 0.1, 0)),
]


def hold_choice(rng: random.Random, sampling: Sampling, total: int | None, items: int, *, mixed: bool) -> None:
    """What the engine does not tell of would be left out, whatever else it is told of; and nothing else, if nothing is.

    ``mixed``: some items fail, or are more than one call.
    """
    sampler: ItemSampler[Sized] = ItemSampler(sampling, total)
    seed = rng.randrange(100)
    choice = Choice(wanted(sampling, total, seed, NONE_SLOW))
    for index in range(items):
        took_ns, failed, odd = rng.randrange(rng.choice([3, 3_000])), mixed and rng.random() < 0.1, rng.random() < 0.2
        drawn = lot(seed, index) < choice.share
        told = drawn or took_ns > choice.slow_ns
        if told and not failed and not (mixed and odd):
            choice.told(took_ns, index + 1, drawn=drawn)
        told = told or failed or (mixed and odd)
        if not told and rng.random() < 0.5:
            sampler.pass_over(1)
            continue
        whole = Sized(rng.choice([1, 3]) if mixed and odd else 2)
        kept, out = sampler.choose(whole, lot(seed, index) / 2**32, failed=failed, took_ns=took_ns)
        if not told:
            assert not kept
            assert [*out] == [whole]
        elif not mixed:
            assert whole not in out  # kept, or held until slower ones come


@settings(every_change, max_examples=200)
@given(st.integers(0, 1 << 30), st.sampled_from(SAMPLINGS), st.sampled_from([None, 0, 10, 40, 60]), st.booleans())
def test_what_is_not_told_of_would_be_left_out_and_nothing_else(seed, sampling, total, mixed):
    hold_choice(random.Random(seed), sampling, total, 60, mixed=mixed)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(
    ("sampling", "total", "items"),
    [
        (Sampling(0, 1, 0), None, 12_000),  # more than are held
        (Sampling(0, 0.9, 0), 12_000, 12_000),
        (Sampling(100, 0.2, 0.01), None, 12_000),  # what is held grows
    ],
)
def test_the_same_of_many(sampling, total, items, mixed):
    hold_choice(random.Random(1), sampling, total, items, mixed=mixed)


class Item:
    """An item of so many spans."""

    def __init__(self, took_ns: int, spans: int) -> None:
        self.took_ns, self.spans = took_ns, spans

    def size(self) -> int:
        return self.spans


@settings(every_change)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5)), max_size=60),
)
def test_where_it_is_full_slower_items_take_the_place_of_faster_ones_and_no_more_room(before, after):
    sampler: ItemSampler[Item] = ItemSampler(Sampling(first=0, slowest=1.0, random=0.0))
    held: list[Item] = []
    for crowd, items in ((ROOMY, before), (FULL, after)):
        room = sum(one.spans for one in held)
        for took_ns, spans in items:
            item = Item(took_ns, spans)
            kept, out = sampler.choose(item, 0.5, failed=False, took_ns=took_ns, crowd=crowd)
            assert not kept
            held.append(item)
            for gone in out:
                held.remove(gone)
            if crowd == ROOMY:
                assert not out
            elif item in out:
                assert sum(one.spans for one in held if one.took_ns < took_ns) < spans
            else:
                assert max(gone.took_ns for gone in out) <= min(one.took_ns for one in held)
                assert sum(one.spans for one in held) <= room
    kept_last, _ = sampler.rest(crowd=FULL)
    assert {id(one) for one in kept_last} <= {id(one) for one in held}
    assert [one.took_ns for one in kept_last] == sorted((one.took_ns for one in held), reverse=True)[: len(kept_last)]
    assert len(kept_last) == len(held)  # all of them are the slowest share here
