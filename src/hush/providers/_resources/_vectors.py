"""``embedding:name`` and ``rerank:name``: models that make vectors of texts, and that order documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hush.core.extend import ResourceType, Service
from hush.providers._resources._kinds import AZURE_SPELLINGS, kind_of
from hush.providers._resources._packages import needed
from hush.providers._resources._reached import Model

if TYPE_CHECKING:
    from hush.providers._clients._settings import ClientSettings


_OWN = ("model", "base_url")


class EmbeddingModel(Model):
    """What ``embedding:name`` stands for.

    Attributes:
        dimensions: How long vectors are asked for where the node does not say it.
    """

    def __init__(self, key: str, given: Any, *rest: Any) -> None:
        super().__init__(key, given, *rest)
        self.dimensions: int | None = getattr(given, "dimensions", None)
        if self.dimensions is not None:
            self.identity += f" {self.dimensions}"


class RerankModel(Model):
    """What ``rerank:name`` stands for."""


def _embedding(settings: ClientSettings) -> Service:
    needed("openai", "llm", settings.resource)
    from hush.providers._clients._embedding import EmbeddingClient

    return EmbeddingClient(settings)


def _rerank(settings: ClientSettings) -> Service:
    needed("httpx2", "llm", settings.resource)
    from hush.providers._clients._rerank import RerankClient

    return RerankClient(settings)


async def _probe_embedding(settings: ClientSettings) -> str:
    from hush.providers._resources._probe import probed_embedding

    return await probed_embedding(settings, _embedding)


async def _probe_rerank(settings: ClientSettings) -> str:
    from hush.providers._resources._probe import probed_rerank

    return await probed_rerank(settings, _rerank)


EMBEDDING = ResourceType(
    category="embedding",
    title="an embedding model",
    kind=EmbeddingModel,
    example="type: openai\napi_key: ${OPENAI_API_KEY}\nmodel: text-embedding-3-small",
    kinds=(
        kind_of(
            "openai",
            EmbeddingModel,
            "Vectors",
            "openai",
            _embedding,
            _probe_embedding,
            variable="OPENAI_API_KEY",
            classes=("EmbeddingConfig", "OpenAIEmbeddingConfig"),
        ),
        kind_of(
            "azure",
            EmbeddingModel,
            "AzureVectors",
            "azure",
            _embedding,
            _probe_embedding,
            variable="AZURE_OPENAI_API_KEY",
            needs=("base_url",),
            spellings=AZURE_SPELLINGS,
            classes=("AzureEmbeddingConfig",),
        ),
        kind_of(
            "gemini",
            EmbeddingModel,
            "Vectors",
            "gemini",
            _embedding,
            _probe_embedding,
            variable="GEMINI_API_KEY",
            classes=("GeminiEmbeddingConfig",),
        ),
        kind_of("vllm", EmbeddingModel, "Vectors", "openai", _embedding, _probe_embedding, needs=_OWN),
        kind_of("tei", EmbeddingModel, "Vectors", "openai", _embedding, _probe_embedding, needs=_OWN),
    ),
)
RERANK = ResourceType(
    category="rerank",
    title="a reranking model",
    kind=RerankModel,
    example="type: cohere\napi_key: ${COHERE_API_KEY}\nmodel: rerank-v3.5",
    kinds=(
        kind_of(
            "cohere",
            RerankModel,
            "Ranking",
            "openai",
            _rerank,
            _probe_rerank,
            variable="COHERE_API_KEY",
            base_url="https://api.cohere.com/v2",
            classes=("RerankConfig", "RerankingConfig", "CohereConfig"),
        ),
        kind_of(
            "jina",
            RerankModel,
            "Ranking",
            "openai",
            _rerank,
            _probe_rerank,
            variable="JINA_API_KEY",
            base_url="https://api.jina.ai/v1",
            classes=("JinaConfig",),
        ),
        kind_of("vllm", RerankModel, "Ranking", "openai", _rerank, _probe_rerank, needs=_OWN),
        kind_of("llamacpp", RerankModel, "Ranking", "openai", _rerank, _probe_rerank, needs=_OWN),
    ),
)
