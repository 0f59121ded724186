"""Settings of models: all kinds, older spellings, limits and pools; and what is said of those that are wrong."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from pydantic import SecretStr

from hush.core import Limit, ResourceHub

FULL = """
llm:gpt-4:
  type: openai
  api_key: ${KEY_OF_THIS_TEST}
  base_url: https://llm.example.com/v1
  model: gpt-4o
  limits: {rpm: 500, tpm: 30000, concurrency: auto}
  price: {input: 2.5, output: 10, cached_input: 1.25}
  pool: {max_connections: 20, max_keepalive_connections: 10}
  timeout_s: 90
"""


@pytest.fixture
def of_text(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_OF_THIS_TEST", "  key-1\n")

    def hub_of(text):
        path = tmp_path / "resources.yaml"
        path.write_text(text, encoding="utf-8")
        return ResourceHub(path=path)

    return hub_of


def made(hub, key):
    resource, problems = hub._make(key)
    assert problems == []
    return resource


def told(settings, key="llm:x"):
    return [(one.message, one.mend) for one in ResourceHub({key: settings}).check(open=False)]


def test_settings_as_they_are_printed(of_text):
    model = made(of_text(FULL), "llm:gpt-4")
    settings, limit = model.settings, model.limit
    assert (model.name, model.model, settings.vendor) == ("llm:gpt-4", "gpt-4o", "openai")
    assert (settings.api_key, settings.base_url) == ("key-1", "https://llm.example.com/v1")
    assert (settings.max_connections, settings.max_keepalive, settings.timeout_s) == (20, 10, 90)
    assert (limit.per_minute, limit.tokens_per_minute, limit.concurrency) == (500, 30_000, "auto")
    assert limit.name == "llm:gpt-4"


@pytest.mark.parametrize(
    ("settings", "vendor", "url"),
    [
        ({"type": "openai"}, "openai", "https://api.openai.com/v1"),
        ({"type": "anthropic"}, "anthropic", "https://api.anthropic.com"),
        ({"type": "gemini"}, "gemini", "https://generativelanguage.googleapis.com/v1beta/openai/"),
        ({"type": "azure", "base_url": "https://a.openai.azure.com"}, "azure", "https://a.openai.azure.com"),
        ({"type": "vllm", "base_url": "http://gpu:8000/v1"}, "openai", "http://gpu:8000/v1"),
        # Older spellings.
        ({"_class": "OpenAIConfig", "api_type": "openai"}, "openai", "https://api.openai.com/v1"),
        (
            {"_class": "OpenAIConfig", "api_type": "vllm", "base_url": "http://gpu:8000/v1"},
            "openai",
            "http://gpu:8000/v1",
        ),
        ({"_class": "AzureConfig", "endpoint": "https://a.example"}, "azure", "https://a.example"),
        (
            {"_class": "OpenAIConfig", "api_type": "azure", "azure_endpoint": "https://a.example", "api_version": "1"},
            "azure",
            "https://a.example",
        ),
        ({"type": "azure", "api_type": "azure", "endpoint": "https://a.example"}, "azure", "https://a.example"),
        ({"_class": "LLMConfig"}, "openai", "https://api.openai.com/v1"),
        ({"_class": "GeminiConfig"}, "gemini", "https://generativelanguage.googleapis.com/v1beta/openai/"),
    ],
)
def test_every_kind_of_language_model(settings, vendor, url):
    model = made(ResourceHub({"llm:x": {"api_key": "k", "model": "m", **settings}}), "llm:x")
    assert (model.settings.vendor, model.settings.url, model.model) == (vendor, url, "m")


def test_azure_by_its_deployment():
    given = {"_class": "AzureConfig", "api_key": "k", "endpoint": "https://a.example", "deployment_name": "d"}
    model = made(ResourceHub({"llm:x": {**given, "api_version": "2024-02-15-preview"}}), "llm:x")
    assert (model.model, model.settings.deployment, model.settings.api_version) == ("d", "d", "2024-02-15-preview")


@pytest.mark.parametrize(
    ("key", "settings", "url"),
    [
        ("embedding:x", {"_class": "EmbeddingConfig", "api_type": "openai", "dimensions": 8}, "https://api.openai.com/v1"),
        ("embedding:x", {"api_type": "vllm", "base_url": "http://gpu/v1/embeddings"}, "http://gpu/v1"),
        ("embedding:x", {"type": "tei", "base_url": "http://gpu/v1/"}, "http://gpu/v1"),
        ("rerank:x", {"_class": "RerankConfig", "api_type": "cohere"}, "https://api.cohere.com/v2"),
        ("rerank:x", {"type": "jina", "base_url": "https://api.jina.ai/v1/rerank"}, "https://api.jina.ai/v1"),
        ("rerank:x", {"type": "llamacpp", "base_url": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
    ],
)  # fmt: skip
def test_embeddings_and_rerankers(key, settings, url):
    assert made(ResourceHub({key: {"api_key": "k", "model": "m", **settings}}), key).settings.url == url


def test_vectors_of_other_lengths_are_other_answers():
    given = {"type": "openai", "api_key": "k", "model": "m"}
    hub = ResourceHub({"embedding:a": given, "embedding:b": {**given, "dimensions": 8}})
    assert made(hub, "embedding:b").dimensions == 8
    assert made(hub, "embedding:a").identity != made(hub, "embedding:b").identity


def test_from_code_with_secrets_and_limits_of_httpx():
    pool = httpx.Limits(max_connections=7, max_keepalive_connections=3)
    given = {"type": "openai", "api_key": SecretStr("key-2"), "model": "m", "pool": pool, "headers": {"X-Team": "t-1"}}
    settings = made(ResourceHub({"llm:x": given}), "llm:x").settings
    assert (settings.api_key, settings.max_connections, settings.max_keepalive) == ("key-2", 7, 3)
    assert settings.headers == {"X-Team": "t-1"}


def test_hubs_side_by_side_share_nothing():
    given = {"type": "openai", "api_key": "k", "model": "m"}
    one, other = ResourceHub({"llm:x": given}), ResourceHub({"llm:x": {**given, "model": "n"}})
    assert made(one, "llm:x") is made(one, "llm:x")
    assert made(one, "llm:x").limit is not made(other, "llm:x").limit
    assert (made(one, "llm:x").model, made(other, "llm:x").model) == ("m", "n")


def test_a_resource_in_place_of_settings_is_of_that_category():
    model = made(ResourceHub({"llm:x": {"type": "openai", "api_key": "k", "model": "m"}}), "llm:x")
    hub = ResourceHub({"llm:y": model, "embedding:y": model})
    assert made(hub, "llm:y") is model
    [one] = hub.check(open=False)
    assert (one.path, one.message) == ("embedding:y", "llm:x is of llm:, and cannot stand for an embedding model")


# --- limits and pools -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("limits", "concurrency", "per_minute"),
    [
        (None, "auto", None),
        ({"rpm": 60}, "auto", 60),
        ({"tpm": 600}, "auto", None),
        ({"rpm": 60, "concurrency": 4}, 4, 60),
        ({"concurrency": 200}, 200, None),
    ],
)
def test_what_is_not_said_of_calls_at_once_is_found_out(limits, concurrency, per_minute):
    given = {"type": "openai", "api_key": "k", "model": "m", **({"limits": limits} if limits else {})}
    limit = made(ResourceHub({"llm:x": given}), "llm:x").limit
    assert (limit.concurrency, limit.per_minute, limit.name) == (concurrency, per_minute, "llm:x")
    assert isinstance(limit, Limit)


def test_a_pool_is_as_large_as_the_limit_or_as_it_is_given():
    given = {"type": "openai", "api_key": "k", "model": "m"}

    def pool(**more):
        settings = made(ResourceHub({"llm:x": {**given, **more}}), "llm:x").settings
        return settings.max_connections, settings.max_keepalive

    assert pool(limits={"concurrency": 200}) == (200, 200)
    assert pool(limits={"concurrency": 200}, pool={"max_connections": 50}) == (50, 50)
    assert pool(limits={"concurrency": 200}, pool={"max_keepalive_connections": 5}) == (200, 5)
    most, kept = pool(limits={"rpm": 60})
    assert most == kept
    assert 64 <= most <= 1024


# --- what is wrong ----------------------------------------------------------------------------------------------------
GOOD = {"type": "openai", "api_key": "k", "model": "m"}
UNSHOWN = "a value that is not shown"


@pytest.mark.parametrize(
    ("change", "message", "mend"),
    [
        ({"limits": {"rmp": 5}}, "limits.rmp is no setting of a language model", "Did you mean rpm?"),
        ({"limits": {"rpm": "x"}}, "limits.rpm should be a valid number, found 'x'", ""),
        ({"pool": {"max_conections": 5}}, "pool.max_conections is no setting of a language model",
         "Did you mean max_connections?"),
        ({"price": {"zzz": 1, "input": 1}}, "price.zzz is no setting of a language model",
         "There are: input, output, cached_input, cache_write."),
        ({"tempurature": 1}, "tempurature is no setting of a language model", None),
        ({"api_ky": "k"}, "api_ky is no setting of a language model", "Did you mean api_key?"),
        ({"limits": {"rpm": 1, "per_minute": 2}}, "limits.per_minute and rpm are two names of one setting",
         "Leave one of them out."),
        ({"type": "opnai"}, "type: 'opnai' is no kind of llm", "Did you mean openai?"),
        ({"_class": "OpenAIConfig"}, "type and _class are two names of one setting", "Leave one of them out."),
        ({"api_type": "azure"}, "api_type says something else than type, and is an older name of it", "Leave it out."),
        ({"base_url": "api.openai.com/v1"},
         "base_url should be an address with https:// or http:// at its beginning, found 'api.openai.com/v1'", ""),
        ({"base_url": "https://h/v1?api-version=1"},
         f"base_url should end before the ?; Azure's api-version is a setting of its own, found {UNSHOWN}", ""),
        ({"verify": False}, "verify is always on: give the path of your own certificates, found false", ""),
        ({"verify": "/no/such"},
         "verify should be a file or folder of certificates, and is not there, found '/no/such'", ""),
        ({"timeout": 0}, "timeout should be greater than 0, found 0", ""),
        ({"model": " "}, "model should not be empty, found empty text", ""),
        ({"api_key": ""}, "api_key should not be empty, found empty text", ""),
        ({"api_key": "a\nb"}, "api_key has characters that no header can carry, found a value that is not shown", ""),
        ({"batch_size": 5}, "batch_size is no setting of a language model",
         "Leave it out: batches are maps, and the providers' batch files are not used."),
        ({"price": {"input": 1}, "cost_per_input_token": 1}, "cost_per_input_token says what price says",
         "Leave one of them out."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_nearest_name(change, message, mend):
    [(said, how)] = told({**GOOD, **change})
    assert said == message
    assert mend is None or how == mend


def test_all_that_is_wrong_is_said_at_once_with_its_places(of_text, monkeypatch):
    monkeypatch.setenv("EMPTY_IN_THIS_TEST", "")
    hub = of_text(
        "llm:x:\n"
        "  type: openai\n"
        "  api_key: ${EMPTY_IN_THIS_TEST}\n"
        "  base_url: localhost:8000\n"
        "  limits: {rmp: 5}\n"
        "  price: {input: -1}\n"
    )
    problems = hub.check(open=False)
    assert [(one.line, one.column, one.message) for one in problems] == [
        (1, 1, "model is missing"),
        (3, 12, "api_key should not be empty, found what ${EMPTY_IN_THIS_TEST} gives, which is empty"),
        (4, 13, "base_url should be an address with https:// or http:// at its beginning, found 'localhost:8000'"),
        (5, 12, "limits.rmp is no setting of a language model"),
        (6, 18, "price.input should be greater than or equal to 0, found -1"),
    ]


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"type": "openai"}, "Write api_key: ${OPENAI_API_KEY}"),
        ({"type": "anthropic"}, "Write api_key: ${ANTHROPIC_API_KEY}"),
        ({"type": "gemini"}, "Write api_key: ${GEMINI_API_KEY}"),
        ({"type": "azure", "base_url": "https://a.example.com"}, "Write api_key: ${AZURE_OPENAI_API_KEY}"),
        ({"type": "openai", "base_url": "https://llm.example.com/v1"},
         "Write api_key: ${OPENAI_API_KEY}; or api_key: none, if this server wants none"),
    ],
)  # fmt: skip
def test_a_key_that_is_missing_is_said_with_the_line_to_write(settings, mend):
    assert told({"model": "m", **settings}) == [("api_key is missing", mend)]


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "http://gpu:8000/v1", "https://10.0.0.5/v1", "https://llm.internal/v1"]
)
def test_a_server_that_is_near_may_want_no_key(url):
    assert told({"type": "openai", "model": "m", "base_url": url}) == []


def test_a_key_may_be_in_a_header():
    assert told({"type": "openai", "model": "m", "headers": {"Authorization": "Bearer x"}}) == []


def test_a_missing_key_and_a_missing_model_are_said_together():
    assert [message for message, _ in told({"type": "openai"})] == ["api_key is missing", "model is missing"]


def test_a_deployment_is_needed_on_azure():
    assert ("deployment is missing", "Write the name under which the model is deployed.") in told(
        {"type": "azure", "api_key": "k", "base_url": "https://a.example"}
    )


def test_the_settings_of_a_client_are_a_dataclass_that_shows_nothing():
    given = {**GOOD, "api_key": "planted-1", "headers": {"X-A": "planted-2"}, "base_url": "https://u:planted-3@h/v1"}
    settings = made(ResourceHub({"llm:x": {**given, "proxy": "http://u:planted-4@p"}}), "llm:x").settings
    assert "planted" not in repr(settings) + repr(dataclasses.asdict(settings)) + str(dataclasses.astuple(settings))
    assert settings.api_key == "planted-1"
