"""``llm:name``: a language model, and the kinds of servers it may be on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hush.core.extend import ResourceType, Service
from hush.providers._resources._kinds import AZURE_SPELLINGS, SPELLINGS, kind_of
from hush.providers._resources._packages import needed
from hush.providers._resources._reached import Model

if TYPE_CHECKING:
    from hush.providers._clients._settings import ClientSettings

__all__ = ("LLM", "SPELLINGS", "LanguageModel")


_OWN = ("model", "base_url")
"""What a server of one's own needs."""


class LanguageModel(Model):
    """A language model that may be asked: what ``llm:name`` stands for."""


def _openai(settings: ClientSettings) -> Service:
    needed("openai", "llm", settings.resource)
    from hush.providers._clients._openai import OpenAIClient

    return OpenAIClient(settings)


def _anthropic(settings: ClientSettings) -> Service:
    needed("anthropic", "anthropic", settings.resource)
    from hush.providers._clients._anthropic import AnthropicClient

    return AnthropicClient(settings)


async def _probe(settings: ClientSettings) -> str:
    from hush.providers._resources._probe import probed_chat

    return await probed_chat(settings, _anthropic if settings.vendor == "anthropic" else _openai)


LLM = ResourceType(
    category="llm",
    title="a language model",
    kind=LanguageModel,
    example="type: openai\napi_key: ${OPENAI_API_KEY}\nmodel: gpt-4o",
    kinds=(
        kind_of(
            "openai",
            LanguageModel,
            "OpenAIChat",
            "openai",
            _openai,
            _probe,
            variable="OPENAI_API_KEY",
            classes=("OpenAIConfig", "LLMConfig"),
        ),
        kind_of(
            "azure",
            LanguageModel,
            "AzureChat",
            "azure",
            _openai,
            _probe,
            variable="AZURE_OPENAI_API_KEY",
            needs=("base_url",),
            spellings=AZURE_SPELLINGS,
            classes=("AzureConfig", "AzureOpenAIConfig"),
        ),
        kind_of(
            "anthropic",
            LanguageModel,
            "Chat",
            "anthropic",
            _anthropic,
            _probe,
            variable="ANTHROPIC_API_KEY",
            classes=("AnthropicConfig", "ClaudeConfig"),
        ),
        kind_of(
            "gemini",
            LanguageModel,
            "Chat",
            "gemini",
            _openai,
            _probe,
            variable="GEMINI_API_KEY",
            classes=("GeminiConfig",),
        ),
        kind_of("vllm", LanguageModel, "OpenAIChat", "openai", _openai, _probe, needs=_OWN, classes=("VLLMConfig",)),
    ),
)
