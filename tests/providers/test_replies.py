"""What comes back is told as OpenAI tells it: reasons to stop, usage, calls of tools, parts in their order."""

from __future__ import annotations

import pytest

from hush.providers._model import ChatRequest
from kit.llm_forms import ANTHROPIC, Said
from kit.llm_wire import answer, serving, stream
from providers.contract import Heard
from providers.sending import SAID, USER, both


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
async def test_reasons_to_stop_are_openais(stopped, reason):
    whole = {**ANTHROPIC.whole(SAID), "stop_reason": stopped, "stop_details": {"type": "refusal", "explanation": "no"}}
    async with serving(lambda _: answer(whole)) as server:
        client = ANTHROPIC.client(server.url)
        reply = await client.chat(ChatRequest(messages=[USER]))
        await client.aclose()
    assert (reply.finish_reason, reply.refusal) == (reason, "no")


@both
async def test_usage_counts_what_a_cache_has_served(form):
    async with serving(form.says(SAID)) as server:
        client = form.client(server.url)
        for heard in (None, Heard()):
            usage = (await client.chat(ChatRequest(messages=[USER]), heard)).usage
            assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (7, 5, 2)
        await client.aclose()


async def test_a_tool_without_arguments_is_called_with_none():
    said = Said(calls=(("t", "now", ()),), finish="tool_calls")
    async with serving(ANTHROPIC.says(said)) as server:
        client = ANTHROPIC.client(server.url)
        for heard in (None, Heard()):
            (call,) = (await client.chat(ChatRequest(messages=[USER]), heard)).tool_calls
            assert call.arguments == "{}"
        await client.aclose()


async def test_events_that_are_streamed_keep_their_order():
    said = Said(thinking=("t",), content=("a", "b"))
    async with serving(lambda _: stream(ANTHROPIC.events(said))) as server:
        client, heard = ANTHROPIC.client(server.url), Heard()
        await client.chat(ChatRequest(messages=[USER]), heard)
        await client.aclose()
    assert heard.parts == [("t", "thinking"), ("a", "content"), ("b", "content")]
