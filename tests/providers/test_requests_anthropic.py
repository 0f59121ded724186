"""The same requests in Anthropic's form: what it knows is translated, what it does not know is an error."""

from __future__ import annotations

import base64

import pytest

from hush.providers._model import ChatRequest
from hush.providers.errors import RefusedByProvider
from kit.llm_forms import ANTHROPIC
from providers.sending import POINT, TOOL, USER, body


async def test_what_anthropic_knows_is_translated():
    request = ChatRequest(
        messages=[{"role": "system", "content": "s"}, USER, {"role": "developer", "content": "d"}],
        tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parameters={
            "temperature": 0,
            "max_tokens": 9,
            "stop": "x",
            "user": "u",
            "parallel_tool_calls": False,
            "reasoning_effort": "low",
        },
        extra={"inference_geo": "eu"},
    )
    assert await body(ANTHROPIC, request) == {
        "model": "m-1",
        "max_tokens": 9,
        "system": "s\n\nd",
        "messages": [USER],
        "tools": [
            {"name": "f", "description": "does", "input_schema": POINT},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "temperature": 0,
        "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
        "output_config": {"effort": "low"},
        "inference_geo": "eu",
    }


@pytest.mark.parametrize(
    ("choice", "found"),
    [("auto", {"type": "auto"}), ("none", {"type": "none"}), ("required", {"type": "any"}), (None, None)],
)
async def test_choices_of_tools(choice, found):
    request = ChatRequest(messages=[USER], tools=[TOOL], tool_choice=choice)
    assert (await body(ANTHROPIC, request)).get("tool_choice") == found
    assert "tool_choice" not in await body(ANTHROPIC, ChatRequest(messages=[USER], tool_choice=choice))


async def test_a_bound_is_sent_where_none_is_given():
    assert (await body(ANTHROPIC, ChatRequest(messages=[USER])))["max_tokens"] == 4096
    assert (await body(ANTHROPIC, ChatRequest(messages=[USER]), max_tokens=7))["max_tokens"] == 7


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"seed": 1, "logprobs": True}}, "logprobs, seed"),
        ({"parameters": {"presence_penalty": 0.0}}, "presence_penalty"),
        ({"parameters": {"n": 2}}, "n"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "sometimes"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "input_audio"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "critic"),
        ({"messages": [{"role": "user", "content": 7}]}, "7"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "url"),
    ],
)
async def test_what_anthropic_does_not_know_is_an_error(given, named):
    client = ANTHROPIC.client("http://127.0.0.1:9")
    with pytest.raises(RefusedByProvider) as caught:
        await client.chat(ChatRequest(**{"messages": [USER], **given}))
    await client.aclose()
    assert named in str(caught.value)
    assert "llm:anthropic" in str(caught.value)
    assert caught.value.status_code == 400
    assert caught.value.__context__ is None


async def test_turns_alternate_and_results_of_tools_are_the_users():
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "name": "g", "arguments": {"y": 2}, "function": {"name": "g", "arguments": ""}},
        {"id": "c", "function": {"name": "h", "arguments": "{broken"}},
    ]
    messages = [
        USER,
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "I ask.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "assistant", "content": "Then"},
    ]
    assert (await body(ANTHROPIC, ChatRequest(messages=messages)))["messages"] == [
        USER,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I ask."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
                {"type": "tool_use", "id": "c", "name": "h", "input": {"arguments": "{broken"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "2"}]},
                {"type": "tool_result", "tool_use_id": "c"},
                {"type": "text", "text": "go on"},
            ],
        },
        {"role": "assistant", "content": "Then"},
    ]


async def test_images_and_files_are_translated():
    data = base64.b64encode("é".encode()).decode()
    parts = [
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": f"data:image/PNG;base64,{data}", "detail": "low"}},
        {"type": "image_url", "image_url": "https://x/y.png"},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{data}"}},
        {"type": "file", "file": {"file_id": "f-1"}},
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ]
    (turn,) = (await body(ANTHROPIC, ChatRequest(messages=[{"role": "user", "content": parts}])))["messages"]
    assert turn["content"] == [
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": data},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        {"type": "document", "source": {"type": "file", "file_id": "f-1"}},
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ]
