"""The real llama.cpp server of the kit, through OpenAI's own SDK: what a chat, a stream and a schema are like."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from kit.llama_clients import HI, LONG, WEATHER, openai_client, until, until_idle
from kit.llama_server import LlamaServer, saying

SCRIPTS = [
    "Xin chào thế giới, đường về",
    "你好，世界。龍 𠮷",
    "こんにちは 안녕하세요 สวัสดี नमस्ते",
    "مرحبا بالعالم שלום עולם",
    "👩‍👩‍👧 🇻🇳 👍🏽 e\u0301",  # joined, paired and combining
    'lines\nand\t"signs" \\ {"a": [1]} </x> ``` %s {{y}}',
    "\u2028\u2029\ufeff\u200b\x7f",  # what line splitters and strippers take for their own
]


@pytest.fixture
async def client(llama: LlamaServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(llama) as client:
        yield client


# --- chat -------------------------------------------------------------------------------------------------------------
async def test_chat_tells_what_it_used_and_why_it_ended(client: openai.AsyncOpenAI) -> None:
    ended = await client.chat.completions.create(model="any", messages=HI, max_tokens=3, extra_body=LONG)
    (choice,), usage = ended.choices, ended.usage
    assert (choice.finish_reason, choice.message.role, ended.model) == ("length", "assistant", "random")
    assert choice.message.content
    assert usage is not None
    assert usage.completion_tokens == 3
    assert usage.total_tokens == usage.prompt_tokens + 3
    assert usage.prompt_tokens_details is not None

    said = await client.chat.completions.create(model="any", messages=HI, extra_body=saying("đường về"))
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("đường về", "stop")


async def test_a_stream_ends_with_a_reason_and_then_the_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="any", messages=HI, max_tokens=5, stream=True, stream_options={"include_usage": True}, extra_body=LONG
    )
    *pieces, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 5
    assert [piece.choices[0].finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["length"]
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert all(piece.usage is None for piece in pieces)


@pytest.mark.parametrize("text", SCRIPTS)
async def test_every_script_comes_back_whole(client: openai.AsyncOpenAI, text: str) -> None:
    asked: Any = {"model": "any", "messages": [{"role": "user", "content": text}], "extra_body": saying(text)}
    whole = await client.chat.completions.create(**asked)
    stream = await client.chat.completions.create(**asked, stream=True)
    pieces = [chunk.choices[0].delta.content async for chunk in stream]
    assert whole.choices[0].message.content == text
    assert "".join(piece or "" for piece in pieces) == text


async def test_what_is_cut_in_the_middle_of_a_character_ends_before_it(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="any", messages=HI, max_tokens=4, extra_body=saying("北京市"))
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("北", "length")


async def test_it_chatters_in_valid_text_and_comes_to_an_end(client: openai.AsyncOpenAI) -> None:
    ways: list[Any] = [{"seed": seed} for seed in range(8)] + [{"temperature": 0}]
    asked = [client.chat.completions.create(model="any", messages=HI, **way) for way in ways]
    answers = [answer.choices[0] for answer in await asyncio.gather(*asked)]
    assert {answer.finish_reason for answer in answers} == {"stop"}
    assert all(answer.message.content for answer in answers)
    assert not any("\ufffd" in (answer.message.content or "") for answer in answers)


async def test_thoughts_come_apart_from_the_answer(client: openai.AsyncOpenAI) -> None:
    body = {"chat_template_kwargs": {"think": True}, **saying("hm 你</think>yes 🙂")}
    answer = await client.chat.completions.create(model="any", messages=HI, extra_body=body)
    message = answer.choices[0].message
    assert (message.content, message.model_extra) == ("yes 🙂", {"reasoning_content": "hm 你"})
    stream = await client.chat.completions.create(model="any", messages=HI, extra_body=body, stream=True)
    thoughts = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") async for chunk in stream]
    assert "".join(thought or "" for thought in thoughts) == "hm 你"


# --- structure --------------------------------------------------------------------------------------------------------
class Place(BaseModel):
    city: Literal["Hà Nội", "北京", 'the "sea"']
    people: int
    near: list[bool]


async def test_a_schema_is_kept(client: openai.AsyncOpenAI) -> None:
    for seed in range(5):
        answer = await client.chat.completions.parse(
            model="any", messages=HI, seed=seed, max_tokens=400, response_format=Place
        )
        assert answer.choices[0].finish_reason == "stop"
        assert answer.choices[0].message.parsed is not None
        assert Place.model_validate_json(answer.choices[0].message.content or "")


TOOLS: Any = [{"type": "function", "function": WEATHER}]


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "weather"}}])
async def test_it_calls_a_tool_and_answers_when_it_has_the_result(client: openai.AsyncOpenAI, choice: Any) -> None:
    answer = await client.chat.completions.create(model="any", messages=HI, tools=TOOLS, tool_choice=choice)
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Hà Nội", "北京")

    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "28 °C"}
    after = [*HI, message.model_dump(exclude_none=True), result]
    answer = await client.chat.completions.create(model="any", messages=after, tools=TOOLS, max_tokens=400, seed=1)
    assert answer.choices[0].message.tool_calls is None


async def test_a_call_arrives_in_pieces(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="any", messages=HI, tools=TOOLS) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls is not None
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Hà Nội", "北京")


# --- several, and none any more ---------------------------------------------------------------------------------------
async def test_it_works_at_as_many_as_it_has_slots_and_the_rest_waits(
    client: openai.AsyncOpenAI, llama: LlamaServer
) -> None:
    async def read() -> None:
        body: Any = {"model": "any", "messages": HI, "max_tokens": 8000, "extra_body": LONG}
        async with await client.chat.completions.create(**body, stream=True) as stream:
            async for _ in stream:
                pass

    readers = [asyncio.create_task(read()) for _ in range(llama.slots + 2)]
    await until(lambda: (llama.busy(), llama.metric("requests_deferred")) == (llama.slots, 2))
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await until_idle(llama)


async def test_all_are_answered_and_nobody_gets_what_is_for_another(client: openai.AsyncOpenAI) -> None:
    async def ask(number: int) -> str | None:
        text = f"số {number} 号"
        answer = await client.chat.completions.create(model="any", messages=HI, extra_body=saying(text))
        return answer.choices[0].message.content

    assert await asyncio.gather(*map(ask, range(40))) == [f"số {number} 号" for number in range(40)]


async def test_who_leaves_a_stream_frees_its_slot(client: openai.AsyncOpenAI, llama: LlamaServer) -> None:
    before = llama.metric("tokens_predicted_total")
    stream = await client.chat.completions.create(
        model="any", messages=HI, max_tokens=8000, stream=True, extra_body=LONG
    )
    async for _ in stream:
        break
    assert llama.busy() == 1
    await stream.close()
    await until_idle(llama)
    assert llama.metric("tokens_predicted_total") - before < 8000


async def test_who_leaves_without_a_stream_does_not(client: openai.AsyncOpenAI, llama: LlamaServer) -> None:
    before = llama.metric("tokens_predicted_total")
    asked = asyncio.create_task(
        client.chat.completions.create(model="any", messages=HI, max_tokens=300, extra_body=LONG)
    )
    await until(lambda: llama.busy() or asked.done())
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await until_idle(llama)
    assert llama.metric("tokens_predicted_total") - before == 300
