"""What authors of new kinds of models import: what is asked and answered, and how OpenAI's form is written and read."""

from __future__ import annotations

from hush.providers._clients._embedding import Embedded
from hush.providers._clients._failures import Failures
from hush.providers._clients._openai_reply import ChatReader
from hush.providers._clients._openai_request import body_of
from hush.providers._clients._rerank import Ranked, Reranked
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatClient, ChatRequest, Message, OnChunk, Reply, ToolCall, Usage
from hush.providers._resources._llm import SPELLINGS, LanguageModel
from hush.providers._resources._models import Reached, with_limits
from hush.providers._resources._vectors import EmbeddingModel, RerankModel

__all__ = (
    "SPELLINGS",
    "ChatClient",
    "ChatReader",
    "ChatRequest",
    "ClientSettings",
    "Embedded",
    "EmbeddingModel",
    "Failures",
    "LanguageModel",
    "Message",
    "OnChunk",
    "Ranked",
    "Reached",
    "Reply",
    "RerankModel",
    "Reranked",
    "ToolCall",
    "Usage",
    "body_of",
    "with_limits",
)
