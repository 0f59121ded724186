"""Costs by the list of genai-prices: the same as the package's own, which is asked rarely."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.providers._model import Usage
from hush.providers._resources import _listed

genai_prices = pytest.importorskip("genai_prices")


def listed():
    from genai_prices.data_snapshot import get_snapshot

    return [(provider.id, model.id) for provider in get_snapshot().providers for model in provider.models]


# Around the places where tiers of prices begin, and below.
COUNTS = st.sampled_from([0, 1, 7, 1_234, 127_999, 128_000, 128_001, 199_999, 200_000, 200_001, 272_001, 1_000_003])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(listed()), COUNTS, st.sampled_from([0, 1, 333, 70_000]), st.sampled_from([0, 2, 3]), st.booleans()
)
def test_costs_are_those_of_the_package(which, sent, answered, part, writes):
    vendor, model = which
    cached = sent // part if part else 0
    written = (sent - cached) // 2 if writes else 0
    usage = Usage(input_tokens=sent, output_tokens=answered, cached_tokens=cached, cache_write_tokens=written)
    exact = _listed._listed(model, vendor, None, sent, answered, cached, written)
    expected = None if exact is None else float(exact.total_price)
    assert _listed.listed_cost(usage, model, vendor, None) == expected


def test_the_package_is_asked_for_a_few_costs_and_not_for_each():
    _listed._rates.cache_clear()
    for sent in range(500):
        assert _listed.listed_cost(Usage(input_tokens=sent), "gpt-4o", "openai", None) == pytest.approx(sent * 2.5e-6)
        assert _listed.listed_cost(Usage(input_tokens=sent), "no-such-model", "openai", None) is None
    asked = _listed._rates.cache_info().misses
    assert asked <= 4  # two, unless a minute ends meanwhile


def test_prices_are_looked_up_again_after_a_while():
    before = _listed._rates.cache_info().misses
    _listed._rates("gpt-4o", "openai", None, -1)
    _listed._rates("gpt-4o", "openai", None, -2)
    assert _listed._rates.cache_info().misses == before + 2


def test_what_took_nothing_that_is_known_has_no_cost():
    assert _listed.listed_cost(Usage(), "gpt-4o", "openai", None) is None
