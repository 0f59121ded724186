"""The scripted model's server through the vendors' own clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from hush.testing import Fault, Reply, ScriptedLLM, ToolCall, Usage, llm_server

USER: Any = [{"role": "user", "content": "hello"}]
WHOLE = Reply(
    "größer als €5 " * 4, tool_calls=[ToolCall("look_up", {"city": "Huế"})], thinking="let me think of it",
    usage=Usage(100, 50, 40, 10),
)  # fmt: skip


@asynccontextmanager
async def openai_of(llm: ScriptedLLM) -> AsyncIterator[openai.AsyncOpenAI]:
    async with llm_server(llm) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=10) as client:
            yield client


@asynccontextmanager
async def anthropic_of(llm: ScriptedLLM) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with llm_server(llm) as url:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, timeout=10) as client:
            yield client


# --- OpenAI -----------------------------------------------------------------------------------------------------------
async def test_openai_gets_a_reply_whole():
    async with openai_of(ScriptedLLM(WHOLE)) as client:
        found = await client.chat.completions.create(model="m", messages=USER)
    (choice,) = found.choices
    assert choice.message.content == WHOLE.content
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"city": "Huế"}'  # type: ignore[union-attr]
    assert choice.finish_reason == "tool_calls"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (100, 50)
    assert found.usage.prompt_tokens_details is not None
    assert found.usage.prompt_tokens_details.cached_tokens == 40


@pytest.mark.parametrize("bend", [None, "split_bytes", "keep_alives", "crlf", "no_done"])
async def test_openai_puts_a_stream_together(bend):
    content, arguments, thinking, usage, reason = "", "", "", None, None
    async with openai_of(ScriptedLLM(WHOLE, faults=[bend] if bend else [])) as client:
        stream = await client.chat.completions.create(
            model="m", messages=USER, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                content += choice.delta.content or ""
                thinking += getattr(choice.delta, "reasoning_content", None) or ""
                reason = choice.finish_reason or reason
                for call in choice.delta.tool_calls or ():
                    arguments += (call.function and call.function.arguments) or ""
    assert (content, arguments, thinking) == (WHOLE.content, '{"city": "Huế"}', WHOLE.thinking)
    assert reason == "tool_calls"
    assert usage is not None
    assert usage.completion_tokens == 50


class City(BaseModel):
    name: str
    people: int


async def test_openai_parses_what_is_made_up():
    async with openai_of(ScriptedLLM()) as client:
        found = await client.chat.completions.parse(model="m", messages=USER, response_format=City)
    assert isinstance(found.choices[0].message.parsed, City)


async def test_openai_embeds():
    async with openai_of(ScriptedLLM()) as client:
        packed = await client.embeddings.create(model="e", input=["a", "b"], dimensions=16)  # asks for base64
        plain = await client.embeddings.create(model="e", input=["a", "b"], dimensions=16, encoding_format="float")
    assert [each.embedding for each in packed.data] == [each.embedding for each in plain.data]
    assert len(packed.data[0].embedding) == 16


async def test_azure():
    async with llm_server(ScriptedLLM(api_key="k")) as url:
        client = openai.AsyncAzureOpenAI(azure_endpoint=url, api_key="k", api_version="2024-10-21", max_retries=0)
        async with client:
            found = await client.chat.completions.create(model="my-deployment", messages=USER)
    assert found.model == "my-deployment"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_limited", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("unauthorized", openai.AuthenticationError),
        ("context_length_exceeded", openai.BadRequestError),
        ("not_found", openai.NotFoundError),
        (500, openai.InternalServerError),
        ("overloaded", openai.InternalServerError),
        ("html", openai.InternalServerError),
        ("reset", openai.APIConnectionError),
        ("close", openai.APIConnectionError),
        ("half_body", openai.APIConnectionError),
    ],
)
async def test_errors_that_openai_raises(fault, error):
    async with openai_of(ScriptedLLM(faults=[fault])) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(model="m", messages=USER)
    if isinstance(caught.value, openai.APIStatusError) and isinstance(caught.value.body, dict) and fault != 500:
        assert caught.value.code in (fault, "rate_limit_exceeded", "invalid_api_key", "model_not_found", None)


async def test_errors_in_a_stream_that_openai_raises():
    async def read(fault: str) -> None:
        async with openai_of(ScriptedLLM("0123456789" * 5, faults=[fault])) as client:
            stream = await client.chat.completions.create(model="m", messages=USER, stream=True)
            async for _ in stream:
                pass

    with pytest.raises(openai.APIError, match="Provider returned error"):
        await read("error_in_stream")
    for fault in ("half_body", "reset_in_stream"):
        with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
            await read(fault)
    await read("half_stream")  # the client takes it for a success: whoever uses it has to look


async def test_the_clients_own_retries_obey_and_are_counted():
    llm = ScriptedLLM("hi", faults=[Fault("rate_limited", first=2, retry_after_s=0.05, retry_after_as="both")])
    async with llm_server(llm) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=3) as client:
            found = await client.chat.completions.create(model="m", messages=USER)
    assert found.choices[0].message.content == "hi"
    assert (llm.stats.calls, llm.stats.refused, llm.stats.early) == (3, 2, 0)


# --- Anthropic --------------------------------------------------------------------------------------------------------
TOOLS: Any = [{"name": "look_up", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


def is_whole(found: Any) -> bool:
    thinking, text, call = found.content
    assert (thinking.thinking, text.text) == (WHOLE.thinking, WHOLE.content)
    assert (call.name, call.input) == ("look_up", {"city": "Huế"})
    assert (found.stop_reason, found.usage.output_tokens) == ("tool_use", 50)
    assert (found.usage.input_tokens, found.usage.cache_read_input_tokens) == (60, 40)
    return True


async def test_anthropic_gets_a_reply_whole():
    async with anthropic_of(ScriptedLLM(WHOLE)) as client:
        assert is_whole(await client.messages.create(model="c", max_tokens=99, messages=USER, tools=TOOLS))


@pytest.mark.parametrize("bend", [None, "split_bytes", "keep_alives", "crlf"])
async def test_anthropic_puts_a_stream_together(bend):
    async with anthropic_of(ScriptedLLM(WHOLE, faults=[bend] if bend else [])) as client:
        async with client.messages.stream(model="c", max_tokens=99, messages=USER) as stream:
            assert is_whole(await stream.get_final_message())


async def test_anthropic_is_understood():
    seen: list[Any] = []

    def answer(request: Any) -> str:
        seen.append(request)
        return "ok"

    turns: Any = [
        {"role": "user", "content": [{"type": "text", "text": "where"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look_up", "input": {"city": "x"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "there"}]},
    ]
    async with anthropic_of(ScriptedLLM(answer)) as client:
        await client.messages.create(model="c", max_tokens=9, system="be kind", messages=turns, tools=TOOLS)
        await client.messages.count_tokens(model="c", messages=USER)
    (request,) = seen
    assert (request.system, request.text, request.dialect) == ("be kind", "where", "anthropic")
    assert [message["role"] for message in request.messages] == ["system", "user", "assistant", "tool"]
    assert request.tools[0]["function"]["name"] == "look_up"


async def test_anthropic_gets_what_is_made_up():
    async with anthropic_of(ScriptedLLM()) as client:
        forced = await client.messages.create(
            model="c", max_tokens=9, messages=USER, tools=TOOLS, tool_choice={"type": "tool", "name": "look_up"}
        )
        schema = {"type": "json_schema", "schema": City.model_json_schema()}
        shaped = await client.messages.create(
            model="c", max_tokens=9, messages=USER, output_config={"format": schema}  # type: ignore[typeddict-item]
        )  # fmt: skip
    (call,) = forced.content
    assert call.type == "tool_use"
    assert isinstance(call.input["city"], str)
    City.model_validate_json(shaped.content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("rate_limited", anthropic.RateLimitError, "rate_limit_error"),
        ("unauthorized", anthropic.AuthenticationError, "authentication_error"),
        ("bad_request", anthropic.BadRequestError, "invalid_request_error"),
        ("overloaded", anthropic.InternalServerError, "overloaded_error"),
        (500, anthropic.InternalServerError, "api_error"),
        ("reset", anthropic.APIConnectionError, None),
    ],
)
async def test_errors_that_anthropic_raises(fault, error, kind):
    async with anthropic_of(ScriptedLLM(faults=[fault])) as client:
        with pytest.raises(error) as caught:
            await client.messages.create(model="c", max_tokens=9, messages=USER)
    if kind is not None:
        assert caught.value.body["error"]["type"] == kind


async def test_an_error_in_a_stream_that_anthropic_raises():
    async with anthropic_of(ScriptedLLM("0123456789" * 5, faults=["error_in_stream"])) as client:
        with pytest.raises(anthropic.APIStatusError, match="Provider returned error"):
            async with client.messages.stream(model="c", max_tokens=9, messages=USER) as stream:
                await stream.get_final_message()
