"""The real llama.cpp server of the kit, through the vendors' own SDKs: what it does, and how it says no."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from kit.llama_model import write_model
from kit.llama_server import KEY, TESTS, LlamaServer, llama_server, saying

HI: list[Any] = [{"role": "user", "content": "hi"}]
LONG = {"ignore_eos": True}  # llama.cpp's own: it goes on until `max_tokens`

SCRIPTS = [
    "Xin chào thế giới, đường về",
    "你好，世界。龍 𠮷",
    "こんにちは 안녕하세요 สวัสดี नमस्ते",
    "مرحبا بالعالم שלום עולם",
    "👩‍👩‍👧 🇻🇳 👍🏽 e\u0301",  # joined, paired and combining
    'lines\nand\t"signs" \\ {"a": [1]} </x> ``` %s {{y}}',
    "\u2028\u2029\ufeff\u200b\x7f",  # what line splitters and strippers take for their own
]


def client_of(server: LlamaServer, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def anthropic_of(server: LlamaServer, key: str = KEY) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=server.url, api_key=key, max_retries=0)


@pytest.fixture
async def client(llama: LlamaServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(llama) as client:
        yield client


@pytest.fixture
async def claude(llama: LlamaServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic_of(llama) as client:
        yield client


async def idle(server: LlamaServer) -> None:
    while server.busy() or server.metric("requests_deferred"):
        await asyncio.sleep(0)


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
    asked = [client.chat.completions.create(model="any", messages=HI, seed=seed, max_tokens=400) for seed in range(8)]
    answers = [answer.choices[0] for answer in await asyncio.gather(*asked)]
    assert not any("\ufffd" in (answer.message.content or "") for answer in answers)
    assert sum(answer.finish_reason == "stop" for answer in answers) >= 4


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


WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Hà Nội", "北京"]}}, "required": ["city"]},
}
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
    while (llama.busy(), llama.metric("requests_deferred")) != (llama.slots, 2):
        await asyncio.sleep(0)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await idle(llama)


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
    await idle(llama)
    assert llama.metric("tokens_predicted_total") - before < 8000


async def test_who_leaves_without_a_stream_does_not(client: openai.AsyncOpenAI, llama: LlamaServer) -> None:
    before = llama.metric("tokens_predicted_total")
    asked = asyncio.create_task(
        client.chat.completions.create(model="any", messages=HI, max_tokens=300, extra_body=LONG)
    )
    while not llama.busy() and not asked.done():
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await idle(llama)
    assert llama.metric("tokens_predicted_total") - before == 300


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


# --- how it says no ---------------------------------------------------------------------------------------------------
TOO_LONG = [{"role": "user", "content": "z" * 9000}]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/chat/completions", b'{"messages": [', 400, "invalid_request_error"),
        ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "\xff"}]}', 400, "invalid_request_error"),
        ("/v1/chat/completions", {}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "max_tokens": "many"}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "n": 9}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "tools": [{"type": "function"}]}, 500, "server_error"),
        ("/v1/chat/completions", {"messages": TOO_LONG}, 400, "exceed_context_size_error"),
        ("/v1/chat/completions", {"messages": TOO_LONG, "stream": True}, 400, "exceed_context_size_error"),
        ("/v1/messages", b'{"messages": [', 400, "invalid_request_error"),
        ("/v1/messages", {}, 500, "server_error"),
        ("/v1/messages", {"messages": TOO_LONG, "max_tokens": 9}, 400, "exceed_context_size_error"),
        ("/v1/embeddings", {"input": "hi"}, 501, "not_supported_error"),
        ("/v1/nowhere", {}, 404, "not_found_error"),
    ],
)
def test_every_refusal_has_one_shape(llama: LlamaServer, path: str, body: Any, status: int, kind: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{llama.url}{path}", data, timeout=20)
    with refused.value as answer:
        error = json.load(answer)["error"]
    assert (answer.code, error["code"], error["type"]) == (status, status, kind)
    assert error["message"]


async def test_the_sdks_say_what_the_server_says(client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size") as refused:
        await client.chat.completions.create(model="any", messages=TOO_LONG)  # type: ignore[arg-type]
    assert refused.value.body == {
        "code": 400,
        "message": "request (9018 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9018,
        "n_ctx": 8192,
    }
    with pytest.raises(anthropic.BadRequestError, match="exceeds the available context size"):
        await claude.messages.create(model="any", messages=TOO_LONG, max_tokens=9)  # type: ignore[arg-type]


async def test_a_wrong_key_is_refused(llama_started: Callable[..., Any]) -> None:
    with llama_started(api_key="sk-right") as server:
        async with client_of(server, "sk-wrong") as client, anthropic_of(server, "sk-wrong") as claude:
            with pytest.raises(openai.AuthenticationError, match="Invalid API Key"):
                await client.chat.completions.create(model="any", messages=HI)
            with pytest.raises(anthropic.AuthenticationError, match="Invalid API Key"):
                await claude.messages.create(model="any", messages=HI, max_tokens=9)
        async with client_of(server, "sk-right") as client:
            assert (await client.chat.completions.create(model="any", messages=HI, max_tokens=1)).choices


async def test_what_the_sdks_raise_when_a_server_dies_in_the_middle(llama_started: Callable[..., Any]) -> None:
    asked: Any = {"model": "any", "messages": HI, "max_tokens": 8000, "temperature": 0, "stream": True}
    with llama_started() as server:
        async with client_of(server) as client, await client.chat.completions.create(**asked) as stream:
            with pytest.raises(openai.APIConnectionError) as broken:
                async for _ in stream:
                    server.kill()
            assert isinstance(broken.value.__cause__, httpx2.RemoteProtocolError)
            with pytest.raises(openai.APIConnectionError):
                await client.chat.completions.create(**asked)
    with llama_started() as server:
        async with anthropic_of(server) as claude, await claude.messages.create(**asked) as stream:
            with pytest.raises(httpx2.RemoteProtocolError):  # not one of its own
                async for _ in stream:
                    server.kill()
            with pytest.raises(anthropic.APIConnectionError):
                await claude.messages.create(**asked)


# --- not for chat -----------------------------------------------------------------------------------------------------
async def test_embeddings_are_the_same_alone_and_together(llama_embed: LlamaServer) -> None:
    texts = ["hi", "你好", "thế giới"]
    async with client_of(llama_embed) as client:
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
    async with client_of(llama_rerank) as client:
        ranked: Any = await client.post("/rerank", cast_to=object, body={"query": "hi", "documents": documents})
        best: Any = await client.post(
            "/rerank", cast_to=object, body={"query": "hi", "documents": documents, "top_n": 2}
        )
    scores = [result["relevance_score"] for result in ranked["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert {result["index"] for result in ranked["results"]} == {0, 1, 2, 3}
    assert best["results"] == ranked["results"][:2]


# --- the kit itself ---------------------------------------------------------------------------------------------------
def test_the_model_is_the_same_each_time(tmp_path: Path) -> None:
    write_model(tmp_path / "a.gguf")
    write_model(tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.gguf", "b.gguf"]


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "random.gguf").write_bytes(b"no model")
    with (
        pytest.raises(RuntimeError, match="(?s)did not start.*failed to load model") as refused,
        llama_server(tmp_path),
    ):
        pass
    assert "exit code 1" in str(refused.value)


def test_a_server_ends_when_who_started_it_dies(llama_folder: Path) -> None:
    dies = f"""
import os, pathlib
from kit.llama_server import llama_server
with llama_server(pathlib.Path({str(llama_folder)!r})) as server:
    print(server.url, flush=True)
    os._exit(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", dies], env={"PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False
    )
    url = done.stdout.strip()
    assert url, done.stderr
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=10).close()
        except OSError:  # nobody listens any more
            break
