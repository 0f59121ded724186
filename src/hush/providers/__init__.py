"""Prompts, language models, embeddings and rerankers, as nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.providers._embedding import EmbeddingNode
    from hush.providers._files import File
    from hush.providers._llm import LLMNode
    from hush.providers._llm_chain import LLMChainNode
    from hush.providers._prompt import PromptNode
    from hush.providers._rerank import RerankNode

__all__ = ("EmbeddingNode", "File", "LLMChainNode", "LLMNode", "PromptNode", "RerankNode")

# Loaded when they are asked for: the clients of the vendors take their time.
_MODULES = {
    "EmbeddingNode": "_embedding",
    "File": "_files",
    "LLMChainNode": "_llm_chain",
    "LLMNode": "_llm",
    "PromptNode": "_prompt",
    "RerankNode": "_rerank",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
