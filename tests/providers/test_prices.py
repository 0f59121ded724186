"""What a request costs: by the settings, else by list, else nobody knows."""

from __future__ import annotations

import pytest

from hush.core import ResourceHub
from hush.providers._model import Usage

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=200_000)


def cost(usage=USAGE, model="", **given):
    hub = ResourceHub({"llm:x": {"type": "openai", "api_key": "k", "model": "m", **given}})
    resource, problems = hub._make("llm:x")
    assert problems == []
    return resource.cost(usage, model)


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"input": 2}, 2.0),
        ({"input": 2, "output": 10}, 3.0),
        ({"input": 2, "output": 10, "cached_input": 1}, 2.8),
        ({"input": 2, "output": 10, "cached": 0}, 2.6),
        ({"input": 0, "output": 0}, 0.0),
    ],
)
def test_by_the_price_of_the_settings(price, expected):
    assert cost(price=price) == pytest.approx(expected)


def test_what_was_written_to_a_cache():
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cache_write_tokens=500_000)
    assert cost(usage, price={"input": 2}) == pytest.approx(2)
    assert cost(usage, price={"input": 2, "cache_write": 4}) == pytest.approx(3)


def test_by_the_older_prices_of_one_token():
    assert cost(cost_per_input_token=2e-6, cost_per_output_token=10e-6) == pytest.approx(3.0)


def test_by_list_of_the_vendor_or_the_address():
    listed = cost(model="gpt-4o")
    assert listed is not None
    assert 1 < listed < 10
    assert cost(model="gpt-4o-2024-08-06") == pytest.approx(listed)
    router = {"base_url": "https://openrouter.ai/api/v1"}
    assert cost(model="openai/gpt-4o", **router) == pytest.approx(listed)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "https://llm.example.com/v1", "https://evilopenai.com/v1"])
def test_elsewhere_nobody_knows(url):
    assert cost(model="gpt-4o", base_url=url) is None


def test_of_what_is_not_told_nobody_knows():
    assert cost(Usage(), price={"input": 2}) is None
    assert cost(model="no-such-model-at-all") is None
