"""What a model has thought goes back to those that want it: DeepSeek's ``reasoning_content``, OpenRouter's details."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, GraphNode, Hush
from hush.providers import PromptNode
from hush.providers._clients._openai import OpenAIClient
from hush.providers._clients._settings import ClientSettings
from hush.providers._clients._thoughts import Thoughts
from hush.providers._model import ChatRequest
from hush.providers.errors import PromptError, RefusedByProvider
from kit.llm_forms import OPENAI, chunk
from kit.llm_wire import answer, event, serving, stream
from kit.model_places import asked
from kit.tiers import every_change
from kit.two_turns import in_two_turns

TOOL = {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
CALL = {"index": 0, "id": "c-1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}
SIGNED = {
    "type": "reasoning.text",
    "text": "Hm, 👩‍👩‍👧 ế.",
    "signature": "c2ln+/==",
    "format": "anthropic-claude-v1",
    "index": 0,
}
SUMMED = {"type": "reasoning.summary", "summary": "I look.", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
HIDDEN = {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "id": "rs_1", "format": "openai-responses-v1", "index": 0}


def parts_of(detail: dict[str, Any]) -> list[dict[str, Any]]:
    """As it is streamed: a text in parts, its signature last and without a text, what is hidden at once."""
    name = {"reasoning.text": "text", "reasoning.summary": "summary"}.get(detail["type"])
    if name is None:
        return [detail]
    rest = {key: value for key, value in detail.items() if key not in (name, "signature")}
    found = [{**rest, name: detail[name][:3]}, {**rest, name: detail[name][3:]}]
    return [*found, {**rest, "signature": detail["signature"]}] if "signature" in detail else found


THOUGHTS = {
    "deepseek": ({"reasoning_content": "Tôi nghĩ, 👩‍👩‍👧."}, "Tôi nghĩ, 👩‍👩‍👧."),
    "deepseek, not at all": ({"reasoning_content": ""}, None),
    "vllm": ({"reasoning": "Tôi nghĩ, 👩‍👩‍👧."}, "Tôi nghĩ, 👩‍👩‍👧."),
    "signed": ({"reasoning": SIGNED["text"], "reasoning_details": [SIGNED]}, SIGNED["text"]),
    "hidden": ({"reasoning_details": [SUMMED, HIDDEN]}, "I look."),
    "hidden twice": ({"reasoning_details": [HIDDEN, {**HIDDEN, "id": "rs_2"}]}, None),
    "unknown": ({"reasoning_details": [{"type": "reasoning.new", "x": [1]}, SIGNED]}, SIGNED["text"]),
}


def said(message: dict[str, Any], reason: str) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    return {"id": "a", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


def streamed(message: dict[str, Any], reason: str) -> list[bytes]:
    found = [chunk({"role": "assistant", "content": "", "reasoning_content": None})]
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str):
            found += [chunk({name: part, "content": None}) for part in (message[name][:2], message[name][2:])]
    for detail in message.get("reasoning_details", ()):
        found += [chunk({"content": "", "reasoning_details": [part]}) for part in parts_of(detail)]
    found += [chunk({"tool_calls": [call]}) for call in message.get("tool_calls", ())]
    if message.get("content"):
        found.append(chunk({"content": message["content"]}))
    return [*found, chunk({}, reason), event("[DONE]")]


def what_goes_back(fields: dict[str, Any]) -> dict[str, Any]:
    """All but what says the same in another place."""
    return {name: value for name, value in fields.items() if name != "reasoning" or len(fields) == 1}


def strict(fields: dict[str, Any]):
    """A server that thinks, calls a tool, and refuses a turn in which what it thought is not as it was."""
    kept = what_goes_back(fields)

    def script(seen):
        turns = [message for message in seen.json["messages"] if message["role"] == "assistant"]
        for turn in turns:
            if {name: value for name, value in turn.items() if name.startswith("reasoning")} != kept:
                name = next(iter(kept))
                text = f"The `{name}` in the thinking mode must be passed back to the API."
                return answer({"error": {"message": text, "type": "invalid_request_error"}}, 400)
        message = {**fields, **({"content": "Done."} if turns else {"tool_calls": [CALL]})}
        reason = "stop" if turns else "tool_calls"
        return stream(streamed(message, reason)) if seen.json.get("stream") else answer(said(message, reason))

    return script


def settings(server, **more: Any) -> dict[str, Any]:
    return {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m", **more}


def turns(**more: Any) -> GraphNode:
    return in_two_turns({"tools": [TOOL]}, **more)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", THOUGHTS)
async def test_it_goes_back_as_it_came(name, streams):
    fields, text = THOUGHTS[name]
    async with serving(strict(fields)) as server:
        async with Hush(turns(streams=streams), resources={"llm:m": settings(server)}) as engine:
            found = await engine.run()
    assert (found["content"], found["thinking"], len(server.seen)) == ("Done.", text, 2)
    kept = {key: value for key, value in found["message"].items() if key.startswith("reasoning")}
    assert kept == what_goes_back(fields)


@pytest.mark.parametrize("streams", [False, True])
async def test_the_server_of_these_tests_refuses_what_is_missing_and_is_asked_once(streams):
    def alter(message):
        del message["reasoning_content"]

    async with serving(strict(THOUGHTS["deepseek"][0])) as server:
        async with Hush(turns(streams=streams, alter=alter), resources={"llm:m": settings(server)}) as engine:
            with pytest.raises(RefusedByProvider, match=r"must be passed back(.|\n)*output message of the node"):
                await engine.run()
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "settled",
    [{"type": "azure", "deployment": "m"}, {"type": "gemini"}, {"type": "anthropic"}],
    ids=lambda more: more["type"],
)
async def test_those_who_have_no_such_field_are_not_sent_it(settled):
    """Groq, Cerebras and Mistral refuse a message that has a field which they do not know."""
    fields = {**THOUGHTS["deepseek"][0], **THOUGHTS["signed"][0]}
    fields.pop("reasoning")

    def other(seen):
        if settled["type"] == "anthropic":
            block = {"type": "text", "text": "Fine."}
            return answer({"role": "assistant", "model": "m", "content": [block], "stop_reason": "end_turn"})
        return answer(said({"content": "Fine."}, "stop"))

    async with serving(strict(fields)) as one, serving(other) as two:
        both = {"llm:m": settings(one), "llm:o": {**settings(two), **settled}}
        async with Hush(turns(streams=False, second="o"), resources=both) as engine:
            assert (await engine.run())["content"] == "Fine."
    assert b"reasoning" not in two.seen[0].body


REFUSALS = [
    "for 'role:assistant' the following must be satisfied[('m.2' : property 'reasoning_content' is unsupported)]",
    "messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' is unsupported",
    "reasoning_content must not be in the input messages",
]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_details"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_who_refuses_it_is_asked_again_without_and_never_sent_it_again(refusal, field):
    refusal = refusal.replace("reasoning_content", field)
    thought = [SIGNED] if field == "reasoning_details" else "Hm."

    def script(seen):
        if f'"{field}"'.encode() in seen.body:
            return answer({"error": {"message": refusal, "type": "invalid_request_error"}}, 400)
        return answer(said({"content": "Fine."}, "stop"))

    history = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], field: thought},
        {"role": "tool", "tool_call_id": "c-1", "content": "5"},
    ]
    async with serving(script) as server:
        client = OPENAI.client(server.url)
        for _ in range(2):
            assert (await client.chat(ChatRequest(messages=history))).content == "Fine."
        await client.aclose()
    assert [f'"{field}"' in seen.body.decode() for seen in server.seen] == [True, False, False]


async def test_without_tools_it_is_not_sent_unless_the_server_asks_for_it():
    """DeepSeek's first reasoner refused it, those of today ignore it; others may want it."""
    wants = False

    def script(seen):
        if wants is not (b"reasoning_content" in seen.body):
            text = "reasoning_content is missing in assistant message at index 1" if wants else "no reasoning_content"
            return answer({"error": {"message": text, "type": "invalid_request_error"}}, 400)
        return answer(said({"content": "Fine."}, "stop"))

    history = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
        {"role": "user", "content": "Really?"},
    ]
    async with serving(script) as server:
        client = OPENAI.client(server.url)
        await client.chat(ChatRequest(messages=history))
        assert len(server.seen) == 1
        wants = True
        for _ in range(2):
            await client.chat(ChatRequest(messages=history))
        await client.aclose()
    assert len(server.seen) == 4


async def test_an_answer_that_is_sent_back_to_be_mended_has_what_was_thought():
    fields = {"reasoning_details": [SIGNED]}
    bad = {**CALL, "function": {"name": "f", "arguments": '{"n": "one"}'}}

    def script(seen):
        sent = [message.get("reasoning_details") for message in seen.json["messages"] if message["role"] == "assistant"]
        assert sent in ([], [[SIGNED]])
        return answer(said({**fields, "tool_calls": [CALL if sent else bad]}, "tool_calls"))

    async with serving(script) as server:
        found = await asked({"llm:m": settings(server)}, inputs={"tools": [TOOL]})
    assert (found["attempts"], found["tool_calls"][0]["arguments"]) == (2, {"n": 1})


def test_openai_itself_is_never_sent_it():
    client = OpenAIClient(ClientSettings(vendor="openai", model="m", api_key="k"))
    message = {"role": "assistant", "content": "a", "reasoning_content": "Hm.", "reasoning_details": [SIGNED]}
    body = client._body(ChatRequest(messages=[message], tools=[{"type": "function"}]), streamed=False)
    assert body["messages"] == [{"role": "assistant", "content": "a"}]


# --- in parts ---------------------------------------------------------------------------------------------------------
NEXT = {**SIGNED, "text": "More.", "signature": "b3RoZXI="}


@pytest.mark.parametrize(
    "details",
    [
        [SIGNED, NEXT],  # a signature ends what it is over, though the index is the same
        [SUMMED, HIDDEN, SUMMED],
        [SUMMED, {**SUMMED, "id": "rs_2"}],
        [{**SUMMED, "index": 0}, {**SUMMED, "index": 1}],
        [HIDDEN, HIDDEN],
    ],
)
def test_what_belongs_together_is_put_together_and_nothing_else(details):
    thoughts = Thoughts()
    for detail in details:
        for part in parts_of(detail):
            thoughts.add({"reasoning_details": [part]}, in_parts=True)
    assert thoughts.whole()["reasoning_details"] == details


@every_change
@given(st.text(min_size=1, max_size=12), st.data())
def test_wherever_a_text_is_cut(text, data):
    """Also where one character is two escapes."""
    halves = text.encode("utf-16-le", "surrogatepass")
    units = [halves[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(halves), 2)]
    places = sorted(data.draw(st.sets(st.integers(1, len(units)), max_size=4)) | {len(units)})
    thoughts, start = Thoughts(), 0
    for end in places:
        part = json.loads(json.dumps("".join(units[start:end])))
        thoughts.add({"reasoning_content": part, "reasoning_details": [{**SIGNED, "text": part}]}, in_parts=True)
        start = end
    found = thoughts.whole()
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert found["reasoning_content"] == whole


# --- from data --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"reasoning_content": ["x"]}, "is of type list"),
        ({"reasoning_details": "x"}, "are of type str"),
        ({"reasoning_details": [{"type": "image_url", "image_url": {"url": "http://x"}}]}, "of the type 'image_url'"),
        ({"reasoning_details": ["x"]}, "of the type None"),
    ],
)
async def test_nothing_else_stands_there_in_a_history(more, wrong):
    with GraphNode(name="g") as graph:
        PromptNode(inputs={"prompt": "?", "conversation_history": PARENT["history"]}, outputs=PARENT)
    with pytest.raises(PromptError, match=wrong):
        await Hush(graph).run({"history": [{"role": "assistant", "content": "a", **more}]})
