"""What docs/llm-providers.md says of each kind of server, by nodes over HTTP: scripted ones, and a real llama.cpp."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from hush.core import PARENT, GraphNode, Hush, NodeChunk, ResourceHub
from hush.providers import EmbeddingNode, File, LLMNode, PromptNode, RerankNode
from hush.testing import Reply, Rule, ScriptedLLM, ToolCall, Usage, llm_server
from kit.llama_server import LlamaServer

PIXEL = b"\x89PNG\r\n\x1a\n..."


class Fact(BaseModel):
    """What a structured answer is here."""

    city: str


def weather(city: str) -> str:
    """What the weather is."""
    return city


def settings(type_: str, url: str, **more: Any) -> dict[str, Any]:
    """How one kind of server is written down."""
    written = {
        "openai": {"base_url": f"{url}/v1", "model": "m"},
        "azure": {"base_url": url, "deployment": "m"},
        "anthropic": {"base_url": url, "model": "m"},
        "gemini": {"base_url": f"{url}/v1", "model": "m"},
        "vllm": {"base_url": f"{url}/v1", "model": "m"},
    }
    return {"type": type_, "api_key": "key-of-a-test", **written[type_], **more}


def asking(hub: ResourceHub, **inputs: Any) -> Hush:
    with GraphNode(name="g") as graph:
        LLMNode(name="llm", resource_key="m", inputs={"messages": PARENT["messages"], **inputs})
    return Hush(graph, resources=hub)


async def ask(hub: ResourceHub, messages: Any = "hello", **inputs: Any) -> dict[str, Any]:
    async with asking(hub, **inputs) as engine:
        return dict((await engine.run({"messages": messages}, keep=True)).nodes["g/llm"])


async def streamed(hub: ResourceHub) -> tuple[dict[str, Any], str]:
    parts: list[str] = []
    with GraphNode(name="g") as graph:
        LLMNode(
            name="llm",
            resource_key="m",
            inputs={"messages": "hello", "max_tokens": 30},
            outputs={"content": PARENT, "finish_reason": PARENT, "usage": PARENT},
        )
    async with Hush(graph, resources=hub) as engine:
        async for event in engine.stream({}):
            if isinstance(event, NodeChunk) and event.kind == "content":
                parts.append(event.text)
        return event.result, "".join(parts)


# --- scripted servers -------------------------------------------------------------------------------------------------
SCRIPTED = ["openai", "azure", "anthropic", "gemini", "vllm"]
ANSWERS = [
    Rule("weather", Reply("I look.", tool_calls=[ToolCall("weather", {"city": "Huế"})])),
    Rule("fact", '{"city": "Huế"}'),
    Rule("think", Reply("42", thinking="Let me see.", usage=Usage(20, 9, cached_tokens=8))),
    Rule("picture", lambda request: json.dumps(request.body["messages"][-1]["content"])),
]


@pytest.fixture(params=SCRIPTED)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, ResourceHub]]:
    async with llm_server(ScriptedLLM(ANSWERS)) as url:
        yield request.param, ResourceHub({"llm:m": settings(request.param, url)})


async def test_each_kind_answers_streams_calls_and_keeps_a_schema(served: tuple[str, ResourceHub]) -> None:
    _, hub = served
    plain = await ask(hub)
    assert (plain["content"], plain["finish_reason"]) == ("echo: hello", "stop")
    assert plain["usage"]["total_tokens"] == plain["usage"]["input_tokens"] + plain["usage"]["output_tokens"]
    result, parts = await streamed(hub)
    assert result["content"] == parts == "echo: hello"
    assert result["usage"] == plain["usage"]
    called = await ask(hub, "the weather?", tools=[weather])
    assert [(call["name"], call["arguments"]) for call in called["tool_calls"]] == [("weather", {"city": "Huế"})]
    assert (await ask(hub, "a fact", response_format=Fact))["parsed"] == Fact(city="Huế")
    thought = await ask(hub, "think")
    assert (thought["content"], thought["thinking_content"]) == ("42", "Let me see.")
    assert (thought["usage"]["cached_tokens"], thought["usage"]["output_tokens"]) == (8, 9)


async def test_each_kind_is_shown_a_picture(served: tuple[str, ResourceHub], tmp_path: Any) -> None:
    type_, hub = served
    (tmp_path / "a.png").write_bytes(PIXEL)
    prompt = PromptNode(inputs={"prompt": {"user": ["A picture", File(tmp_path / "a.png")]}})
    got = await ask(hub, prompt()["messages"])
    assert '"image_url"' in got["content"] or type_ == "anthropic"
    assert "iVBORw0KGgouLi4=" in got["content"]


@pytest.mark.parametrize("type_", ["openai", "azure", "gemini", "vllm"])
async def test_embeddings_of_each_kind(type_: str) -> None:
    async with llm_server(ScriptedLLM()) as url:
        assert len(await embeddings(settings(type_, url))) == 3


async def embeddings(written: dict[str, Any]) -> list[list[float]]:
    with GraphNode(name="g") as graph:
        EmbeddingNode(resource_key="m", inputs={"texts": ["a", "b", "c"]}, outputs={"embeddings": PARENT}, batch_size=2)
    async with Hush(graph, resources=ResourceHub({"embedding:m": written})) as engine:
        found: list[list[float]] = (await engine.run())["embeddings"]
        return found


@pytest.mark.parametrize("type_", ["cohere", "jina", "vllm", "llamacpp"])
async def test_ranking_of_each_kind(type_: str) -> None:
    async with llm_server(ScriptedLLM()) as url:
        assert (await ranked({"type": type_, "base_url": f"{url}/v1", "model": "m"}))[0] == 1


async def ranked(written: dict[str, Any]) -> list[int]:
    with GraphNode(name="g") as graph:
        RerankNode(
            resource_key="m",
            inputs={"query": "red tea", "documents": ["cold milk", "red tea", "black coffee"]},
            outputs={"indexes": PARENT},
        )
    async with Hush(graph, resources=ResourceHub({"rerank:m": written})) as engine:
        found: list[int] = (await engine.run())["indexes"]
        return found


# --- a real one -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("type_", ["openai", "anthropic"])
async def test_llama_cpp(type_: str, llama: LlamaServer) -> None:
    hub = ResourceHub({"llm:m": settings(type_, llama.url)})
    plain = await ask(hub, max_tokens=30)
    assert plain["finish_reason"] in ("stop", "length")
    assert plain["usage"]["input_tokens"] > 0
    assert 1 <= plain["usage"]["output_tokens"] <= 30
    result, parts = await streamed(hub)
    assert result["content"] == parts
    assert result["finish_reason"] in ("stop", "length")
    assert result["usage"]["output_tokens"] >= 1


async def test_llama_cpp_keeps_a_schema_and_calls_tools(llama: LlamaServer) -> None:
    hub = ResourceHub({"llm:m": settings("openai", llama.url)})
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Huế", "Hà Nội"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert (await ask(hub, response_format=schema, max_tokens=200))["parsed"]["city"] in ("Huế", "Hà Nội")
    tool = {"name": "weather", "parameters": schema}
    called = await ask(hub, tools=[tool], tool_choice="required", max_tokens=400)
    assert called["tool_calls"][0]["arguments"]["city"] in ("Huế", "Hà Nội")


async def test_llama_cpp_embeds_and_ranks(llama_embed: LlamaServer, llama_rerank: LlamaServer) -> None:
    assert len(await embeddings(settings("openai", llama_embed.url))) == 3
    order = await ranked({"type": "llamacpp", "base_url": f"{llama_rerank.url}/v1", "model": "m"})
    assert sorted(order) == [0, 1, 2]
