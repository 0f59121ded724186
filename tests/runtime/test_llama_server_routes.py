"""The real llama.cpp server of the kit: Anthropic's route, embeddings and ranking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from kit.llama_clients import HI, WEATHER, anthropic_client, openai_client
from kit.llama_server import LlamaServer


@pytest.fixture
async def claude(llama: LlamaServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic_client(llama) as client:
        yield client


# --- Anthropic's route ------------------------------------------------------------------------------------------------
async def test_anthropic_chat(claude: anthropic.AsyncAnthropic) -> None:
    answer = await claude.messages.create(model="any", messages=HI, max_tokens=1, system="be brief")
    assert (answer.type, answer.role, answer.stop_reason, answer.model) == (
        "message",
        "assistant",
        "max_tokens",
        "random",
    )
    assert answer.usage.output_tokens == 1
    counted = await claude.messages.count_tokens(model="any", messages=HI, system="be brief")
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) == counted.input_tokens


async def test_anthropic_stream(claude: anthropic.AsyncAnthropic) -> None:
    stream = await claude.messages.create(model="any", messages=HI, max_tokens=20, stream=True)
    events = [event async for event in stream]
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert set(kinds[1:-2]) <= {"content_block_start", "content_block_delta", "content_block_stop"}
    delta = events[-2]
    assert delta.type == "message_delta"
    assert delta.delta.stop_reason in ("max_tokens", "end_turn")
    assert 1 <= delta.usage.output_tokens <= 20


async def test_anthropic_tools(claude: anthropic.AsyncAnthropic) -> None:
    tools: Any = [{"name": "weather", "description": "of a city", "input_schema": WEATHER["parameters"]}]
    answer = await claude.messages.create(model="any", messages=HI, max_tokens=400, tools=tools)
    async with claude.messages.stream(model="any", messages=HI, max_tokens=400, tools=tools) as stream:
        streamed = await stream.get_final_message()
    for message in answer, streamed:
        assert message.stop_reason == "tool_use"
        (block,) = message.content
        assert block.type == "tool_use"
        assert block.input["city"] in ("Hà Nội", "北京")


# --- not for chat -----------------------------------------------------------------------------------------------------
async def test_embeddings_are_the_same_alone_and_together(llama_embed: LlamaServer) -> None:
    texts = ["hi", "你好", "thế giới"]
    async with openai_client(llama_embed) as client:
        together = await client.embeddings.create(model="any", input=texts)
        alone = [await client.embeddings.create(model="any", input=text) for text in texts]
    assert [item.index for item in together.data] == [0, 1, 2]
    assert together.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    for item, one in zip(together.data, alone, strict=True):
        assert len(item.embedding) == 64
        assert sum(number * number for number in item.embedding) == pytest.approx(1, abs=1e-4)
        assert item.embedding == pytest.approx(one.data[0].embedding, abs=1e-4)


async def test_ranking_gives_the_best_first(llama_rerank: LlamaServer) -> None:
    documents = ["sea stone", "你好", "hi", "море"]
    async with openai_client(llama_rerank) as client:
        ranked: Any = await client.post("/rerank", cast_to=object, body={"query": "hi", "documents": documents})
        best: Any = await client.post(
            "/rerank", cast_to=object, body={"query": "hi", "documents": documents, "top_n": 2}
        )
    scores = [result["relevance_score"] for result in ranked["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert {result["index"] for result in ranked["results"]} == {0, 1, 2, 3}
    assert best["results"] == ranked["results"][:2]
