"""The cache in memory is bounded, by count and by bytes, and what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from hush.core._cache import _memory
from hush.core._cache._memory import MemoryStore
from hush.core._cache._values import Packed

OVERHEAD = _memory._OVERHEAD


def packed(size):
    return Packed(b"x" * size, {})


def test_what_was_not_used_for_longest_goes_first():
    store = MemoryStore(max_entries=2)
    for name in (b"a", b"b"):
        store.put(name, packed(1))
    assert store.get(b"a") is not None
    store.put(b"c", packed(1))
    assert store.get(b"b") is None
    assert store.get(b"a") is not None
    assert len(store) == 2


def test_what_is_larger_than_all_is_refused_and_costs_nothing_else():
    store = MemoryStore(max_bytes=2 * OVERHEAD)
    store.put(b"a", packed(10))
    assert not store.put(b"b", packed(3 * OVERHEAD))
    assert store.get(b"a") is not None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 400)), max_size=40))
def test_it_does_what_a_plain_model_does(moves):
    store = MemoryStore(max_entries=3, max_bytes=4 * OVERHEAD)
    model: OrderedDict[bytes, int] = OrderedDict()
    for puts, number, size in moves:
        name = bytes([number])
        if puts:
            assert store.put(name, packed(size))
            model.pop(name, None)
            model[name] = size
            while len(model) > 3 or sum(model.values()) + OVERHEAD * len(model) > 4 * OVERHEAD:
                model.popitem(last=False)
        else:
            found = store.get(name)
            assert (found is not None) == (name in model)
            if name in model:
                model.move_to_end(name)
        assert store.bytes == sum(model.values()) + OVERHEAD * len(model)
        assert len(store) == len(model)
