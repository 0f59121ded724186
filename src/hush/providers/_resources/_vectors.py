"""``embedding:name`` and ``rerank:name``: models that make vectors of texts, and that order documents."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hush.core.extend import ResourceKind, ResourceType, Service
from hush.providers._resources._llm import AZURE_SPELLINGS, SPELLINGS, need_key
from hush.providers._resources._reached import Model, client_settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hush.providers._clients._settings import ClientSettings


class EmbeddingModel(Model):
    """What ``embedding:name`` stands for."""


class RerankModel(Model):
    """What ``rerank:name`` stands for."""


@cache
def _settings() -> type[BaseModel]:
    from hush.providers._resources._models import Model, with_limits

    return with_limits(Model)


@cache
def _azure_settings() -> type[BaseModel]:
    from hush.providers._resources._models import AzureModel, with_limits

    return with_limits(AzureModel)


def _embedding_client(settings: ClientSettings) -> Service:
    from hush.providers._clients._embedding import EmbeddingClient

    return EmbeddingClient(settings)


def _rerank_client(settings: ClientSettings) -> Service:
    from hush.providers._clients._rerank import RerankClient

    return RerankClient(settings)


def _openai(key: str, given: Any) -> EmbeddingModel:
    need_key(given, "OPENAI_API_KEY")
    return EmbeddingModel(key, given, client_settings(key, given, "openai"), _embedding_client)


def _azure(key: str, given: Any) -> EmbeddingModel:
    need_key(given, "AZURE_OPENAI_API_KEY")
    more = {"deployment": given.deployment, "api_version": given.api_version}
    return EmbeddingModel(key, given, client_settings(key, given, "azure", **more), _embedding_client)


def _gemini(key: str, given: Any) -> EmbeddingModel:
    need_key(given, "GEMINI_API_KEY")
    return EmbeddingModel(key, given, client_settings(key, given, "gemini"), _embedding_client)


def _rerank(key: str, given: Any) -> RerankModel:
    need_key(given, "RERANK_API_KEY")
    return RerankModel(key, given, client_settings(key, given, "openai"), _rerank_client)


EMBEDDING = ResourceType(
    category="embedding",
    title="an embedding model",
    kind=EmbeddingModel,
    example="type: openai\napi_key: ${OPENAI_API_KEY}\nmodel: text-embedding-3-small",
    kinds=(
        ResourceKind("openai", _settings, _openai, SPELLINGS, ("OpenAIEmbeddingConfig", "EmbeddingConfig")),
        ResourceKind("azure", _azure_settings, _azure, AZURE_SPELLINGS, ("AzureEmbeddingConfig",)),
        ResourceKind("gemini", _settings, _gemini, SPELLINGS, ("GeminiEmbeddingConfig",)),
    ),
)
RERANK = ResourceType(
    category="rerank",
    title="a reranking model",
    kind=RerankModel,
    example="type: cohere\nbase_url: https://api.cohere.com/v2\napi_key: ${COHERE_API_KEY}\nmodel: rerank-v3.5",
    kinds=(
        ResourceKind("cohere", _settings, _rerank, SPELLINGS, ("CohereConfig", "RerankConfig")),
        ResourceKind("jina", _settings, _rerank, SPELLINGS, ("JinaConfig",)),
        ResourceKind("vllm", _settings, _rerank, SPELLINGS, ("VLLMRerankConfig",)),
        ResourceKind("llamacpp", _settings, _rerank, SPELLINGS),
    ),
)
