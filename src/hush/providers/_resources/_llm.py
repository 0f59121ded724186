"""``llm:name``: a language model, and the kinds of servers it may be on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hush.core import UsageError
from hush.core.extend import LIMIT_SPELLINGS, ResourceKind, ResourceType, Service
from hush.providers._resources._reached import Model, client_settings, is_local

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hush.providers._clients._settings import ClientSettings

SPELLINGS = {
    **{f"limits.{short}": long for short, long in LIMIT_SPELLINGS.items()},
    "timeout": "timeout_s",
    "price.cached": "price.cached_input",
    "max_completion_tokens": "max_tokens",
}


class LanguageModel(Model):
    """A language model that may be asked: what ``llm:name`` stands for."""


@cache
def _openai_settings() -> type[BaseModel]:
    from hush.providers._resources._models import OpenAIModel, with_limits

    return with_limits(OpenAIModel)


@cache
def _azure_settings() -> type[BaseModel]:
    from hush.providers._resources._models import AzureModel, with_limits

    return with_limits(AzureModel)


@cache
def _chat_settings() -> type[BaseModel]:
    from hush.providers._resources._models import ChatModel, with_limits

    return with_limits(ChatModel)


def _openai_client(settings: ClientSettings) -> Service:
    from hush.providers._clients._openai import OpenAIClient

    return OpenAIClient(settings)


def _anthropic_client(settings: ClientSettings) -> Service:
    from hush.providers._clients._anthropic import AnthropicClient

    return AnthropicClient(settings)


def need_key(given: Any, variable: str) -> None:
    """Raise where a server elsewhere would be asked without a key."""
    if given.api_key is None and not is_local(given.base_url) and "authorization" not in map(str.lower, given.headers):
        raise UsageError(f"api_key is missing: write api_key: ${{{variable}}}")
    if given.api_key is not None and not given.api_key.get_secret_value().strip():
        raise UsageError(f"api_key is empty: is {variable} set?")


def _openai(key: str, given: Any) -> LanguageModel:
    need_key(given, "OPENAI_API_KEY")
    settings = client_settings(
        key,
        given,
        "openai",
        organization=given.organization,
        project=given.project,
        token_parameter=given.token_parameter,
        schema_mode=given.structured,
        max_tokens=given.max_tokens,
    )
    return LanguageModel(key, given, settings, _openai_client)


def _azure(key: str, given: Any) -> LanguageModel:
    need_key(given, "AZURE_OPENAI_API_KEY")
    if not (given.model or given.deployment):
        raise UsageError("deployment is missing: the name under which the model is deployed")
    settings = client_settings(
        key,
        given,
        "azure",
        deployment=given.deployment,
        api_version=given.api_version,
        token_parameter=given.token_parameter,
        schema_mode=given.structured,
        max_tokens=given.max_tokens,
    )
    return LanguageModel(key, given, settings, _openai_client)


def _anthropic(key: str, given: Any) -> LanguageModel:
    need_key(given, "ANTHROPIC_API_KEY")
    settings = client_settings(key, given, "anthropic", schema_mode=given.structured, max_tokens=given.max_tokens)
    return LanguageModel(key, given, settings, _anthropic_client)


def _gemini(key: str, given: Any) -> LanguageModel:
    need_key(given, "GEMINI_API_KEY")
    settings = client_settings(key, given, "gemini", schema_mode=given.structured, max_tokens=given.max_tokens)
    return LanguageModel(key, given, settings, _openai_client)


AZURE_SPELLINGS = {**SPELLINGS, "azure_endpoint": "base_url", "endpoint": "base_url", "azure_deployment": "deployment"}

LLM = ResourceType(
    category="llm",
    title="a language model",
    kind=LanguageModel,
    example="type: openai\napi_key: ${OPENAI_API_KEY}\nmodel: gpt-4o",
    kinds=(
        ResourceKind(
            "openai", _openai_settings, _openai, SPELLINGS, ("OpenAIConfig", "OpenRouterConfig", "VLLMConfig")
        ),
        ResourceKind("azure", _azure_settings, _azure, AZURE_SPELLINGS, ("AzureConfig", "AzureOpenAIConfig")),
        ResourceKind("anthropic", _chat_settings, _anthropic, SPELLINGS, ("AnthropicConfig", "ClaudeConfig")),
        ResourceKind("gemini", _chat_settings, _gemini, SPELLINGS, ("GeminiConfig", "GoogleConfig")),
    ),
)
