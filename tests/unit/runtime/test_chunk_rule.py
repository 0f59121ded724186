"""How many items go to a worker process at once: a rule that is fed durations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core._runtime._chunks import ENOUGH_NS, MOST_BYTES, MOST_NS, TARGET_NS, ChunkRule
from kit.chunk_play import Costs, Play

MS = 1_000_000


def played(
    items: int, item_ns: int, fixed_ns: int, per_item_ns: int, workers: int, item_bytes: int = 0
) -> list[tuple[int, int, int]]:
    """The chunks of a list of equal items on workers that take them in turn: size, work and transport of each."""
    rule, left, chunks = ChunkRule(workers), items, []
    while left:
        size = min(rule.size(left), left)
        left -= size
        work_ns, transport_ns = size * item_ns, fixed_ns + size * per_item_ns
        rule.learn(size, work_ns, transport_ns, size * item_bytes)
        chunks.append((size, work_ns, transport_ns))
    return chunks


def test_the_first_chunk_is_one_item():
    assert ChunkRule(4).size(None) == 1
    assert ChunkRule(4).size(1000) == 1


@given(
    item_ns=st.integers(5_000, 50 * MS),
    fixed_ns=st.integers(50_000, 2 * MS),
    workers=st.integers(1, 16),
)
def test_transport_is_a_tenth_of_the_work_at_most(item_ns, fixed_ns, workers):
    """Of all but the chunks that find out, and the last one, of which no more was left."""
    per_item_ns = item_ns // 40
    items = 40 * MOST_NS // item_ns + 10
    chunks = played(items, item_ns, fixed_ns, per_item_ns, workers)[6:-1]
    assert sum(work for _, work, _ in chunks) * 1.05 >= 10 * sum(transport for _, _, transport in chunks)


@given(st.integers(100, 300 * MS), st.integers(0, 5 * MS), st.integers(0, 1 * MS), st.integers(1, 8))
def test_a_chunk_is_no_more_than_a_fifth_of_a_second_of_work(item_ns, fixed_ns, per_item_ns, workers):
    for size, work_ns, _ in played(min(20_000, 100 * MOST_NS // item_ns + 5), item_ns, fixed_ns, per_item_ns, workers):
        assert size == 1 or work_ns <= MOST_NS


def test_cheap_handing_over_gives_chunks_of_the_target():
    sizes = [size for size, _, _ in played(100_000, MS, 100_000, 0, 2)]
    assert max(sizes) == TARGET_NS // MS


def test_at_the_end_of_a_list_chunks_shrink():
    """No worker has the last large chunk to itself: what is left is never more than half of its share."""
    rule, left = ChunkRule(4), 10_000
    rule.learn(1, MS, 100_000, 0)
    rule.learn(1000, 1000 * MS, 100_000, 0)
    sizes = []
    while left:
        size = min(rule.size(left), left)
        assert size <= max(rule.least(), -(-left // 8))
        sizes.append(size)
        left -= size
    assert sizes == sorted(sizes, reverse=True)
    assert rule.least() == 1
    assert sizes[-1] == 1


def test_sizes_grow_step_by_step():
    sizes = [size for size, _, _ in played(100_000, 1000, 1000, 0, 1)]
    assert all(after <= 16 * max(sizes[: number + 1]) for number, after in enumerate(sizes[1:]))
    assert sizes[0] == 1


def test_large_items_make_small_chunks():
    sizes = [size for size, _, _ in played(10_000, 10_000, 100_000, 0, 2, item_bytes=4_000_000)]
    assert max(sizes) == MOST_BYTES // 4_000_000


def test_items_that_become_slow_make_chunks_small_again():
    rule = ChunkRule(1)
    rule.learn(1, 10_000, 100_000, 0)
    for _ in range(5):
        size = rule.size(None)
        rule.learn(size, size * 10_000, 100_000, 0)
    assert rule.size(None) > 1000
    for _ in range(8):
        rule.learn(rule.size(None), rule.size(None) * 50 * MS, 100_000, 0)
    assert rule.size(None) <= 3


def test_a_first_chunk_teaches_the_work_but_not_the_transport():
    rule = ChunkRule(1)
    rule.learn(1, MS, None, 0)
    assert (rule.work_ns, rule.transport_ns) == (MS, 0)
    assert rule.size(None) == 16


# --- a whole map, its beginning and its end too -----------------------------------------------------------------
@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("item_ns", [5_000, 10_000, 20_000, 50_000, 200_000, MS, 10 * MS, 100 * MS, 1000 * MS])
def test_of_a_whole_map_a_tenth_is_transport_at_most(item_ns, workers):
    """From 0.2 s of work for each process on: 20,000 items of 20 µs for two."""
    items = max(4 * workers, workers * 200 * MS // item_ns)
    found = Play([item_ns] * items, workers).run()
    found.must_have_run(items)
    assert found.share() < 0.1
    if items >= 100 * workers:  # else who has one more than the others is what tells
        assert found.span() < 1.12


@settings(deadline=None)
@given(
    item_ns=st.integers(5_000, 1000 * MS),
    workers=st.integers(1, 8),
    way_ns=st.integers(50_000, 500_000),
    chunk_ns=st.integers(20_000, 2 * MS),
)
def test_whatever_the_costs(item_ns, workers, way_ns, chunk_ns):
    least_ns = 400 * MS + 200 * chunk_ns  # what comes of the ramp-up is to be a small part
    items = max(4 * workers, workers * least_ns // item_ns)
    found = Play([item_ns] * items, workers, Costs(way_ns, chunk_ns, item_ns // 40)).run()
    found.must_have_run(items)
    assert found.share() < 0.1


@given(st.integers(1, 6), st.data())
def test_items_that_become_slow_are_handed_back(workers, data):
    """All items run once, and nobody is left with a chunk that was made for quick ones."""
    count = data.draw(st.integers(1, 3000))
    slow_from = data.draw(st.integers(0, count))
    found = Play([20_000] * slow_from + [100 * MS] * (count - slow_from), workers).run()
    found.must_have_run(count)
    slow = count - slow_from
    # Evenly shared out, but for the chunks that were under way when the first slow one came.
    longest_ns = max(process.work_ns for process in found.processes)
    assert longest_ns <= (slow / workers + 1) * 100 * MS + 4 * ENOUGH_NS + count * 20_000


def test_where_handing_over_is_dear_chunks_are_ten_times_as_long_at_least():
    """Longer than they would be else, and towards the end of a list too, but never more than a worker's share."""
    rule = ChunkRule(2)
    rule.learn(1, MS, None, 0)
    rule.learn(100, 100 * MS, 15 * MS, 0)
    assert rule.size(None) == 150
    assert rule.size(1000) == 150
    assert rule.size(310) == 150
    assert rule.size(200) == 100
