"""Credentials of models are removed by value from logs and traces, wherever in the settings they stand."""

from __future__ import annotations

import pytest

from hush.core import ResourceHub
from hush.core._resources import _secrets
from hush.core.extend import without_secrets


@pytest.fixture(autouse=True)
def forgetting():
    known = _secrets._remembered.copy()
    yield
    _secrets._remembered = known


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"headers": {"X-Corp": "corp-7f21aa03-planted"}}, "it says corp-7f21aa03-planted"),
        ({"headers": {"X-Pass-Token": "planted"}}, "it says planted"),
        ({"headers": {"X-Corp": "Key planted-7f21aa03"}}, "it says planted-7f21aa03"),
        ({"base_url": "https://ann:pl%40nted@models.example.com/v1"}, "pl@nted and pl%40nted"),
        ({"proxy": "http://ann:planted@proxy.example.com:3128"}, "it says planted"),
    ],
)
def test_it_is_found_nowhere(settings, text):
    hub = ResourceHub({"llm:m": {"type": "openai", "model": "m", "api_key": "k-1234567", **settings}})
    hub.check(open=False)
    assert "nted" not in without_secrets(text)


@pytest.mark.parametrize("key", ["none", "EMPTY", "ollama", "**********"])
def test_what_stands_for_no_key_stays_a_word(key):
    settings = {"type": "vllm", "model": "m", "base_url": "http://here/v1", "api_key": key}
    hub = ResourceHub({"llm:m": settings})
    hub.check(open=False)
    assert without_secrets(f"there are {key}") == f"there are {key}"
    assert without_secrets(f"there are {key}", [key]) == f"there are {key}"


def test_a_word_in_a_header_stays_one():
    hub = ResourceHub(
        {"llm:m": {"type": "openai", "model": "m", "api_key": "k-1234567", "headers": {"X-Team": "blue"}}}
    )
    hub.check(open=False)
    assert without_secrets("a blue sky") == "a blue sky"
