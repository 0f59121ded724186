"""``hub.check()`` against a real llama.cpp server."""

from __future__ import annotations

from hush.core import ResourceHub
from kit.llama_server import LlamaServer


def test_a_real_server_is_reached_and_its_model_verified(llama: LlamaServer) -> None:
    hub = ResourceHub(
        {
            "llm:listed": {"type": "vllm", "base_url": f"{llama.url}/v1", "model": "random"},
            "llm:other": {"type": "openai", "base_url": f"{llama.url}/v1", "model": "any"},
            "llm:messages": {"type": "anthropic", "base_url": llama.url, "model": "random"},
        }
    )
    found = hub.check(timeout_s=30)
    assert found == [], found
    assert found.works == {
        "llm:listed": "random at 127.0.0.1",
        "llm:other": "any at 127.0.0.1, which does not list it",
        "llm:messages": "random at 127.0.0.1",
    }


def test_vectors_and_rankings(llama_embed: LlamaServer, llama_rerank: LlamaServer) -> None:
    hub = ResourceHub(
        {
            "embedding:a": {"type": "vllm", "base_url": f"{llama_embed.url}/v1", "model": "unlisted"},
            "rerank:a": {"type": "llamacpp", "base_url": f"{llama_rerank.url}/v1", "model": "unlisted"},
        }
    )
    assert hub.check(timeout_s=30) == []
