"""What a model has said goes back to it in the next turn as it came: ``message`` of an ``LLMNode``."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, GraphNode, Hush
from hush.providers import PromptNode
from hush.providers._clients._anthropic_messages import conversation
from hush.providers.errors import PromptError, RefusedByProvider
from kit.llm_forms import ANTHROPIC, OPENAI, Said
from kit.llm_wire import answer, cut, event, serving, stream
from kit.model_places import asked
from kit.tiers import every_change
from kit.two_turns import in_two_turns

TOOL = {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
THOUGHT = {"type": "thinking", "thinking": "Hm, 👩‍👩‍👧 ế.", "signature": "c2ln+/=="}
HIDDEN = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
TEXT = {"type": "text", "text": "Tôi xem."}
CALL = {"type": "tool_use", "id": "c-1", "name": "f", "input": {"n": 1}}
ANSWERS = {
    "thought": [THOUGHT, CALL],
    "hidden": [HIDDEN, CALL],
    "all": [THOUGHT, HIDDEN, TEXT, CALL, {**CALL, "id": "c-2", "input": {}}],
    "between": [THOUGHT, TEXT, {**THOUGHT, "signature": "b3RoZXI="}, {"type": "text", "text": "Now."}, CALL],
    "unknown": [{**THOUGHT, "new": [1]}, CALL],
}


def whole(blocks: list[dict[str, Any]], reason: str = "tool_use") -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 4}
    return {"id": "a", "role": "assistant", "model": "m", "content": blocks, "stop_reason": reason, "usage": usage}


def events(blocks: list[dict[str, Any]], reason: str = "tool_use") -> list[bytes]:
    """As Anthropic streams it: texts, signatures and input in parts, what is hidden at once."""

    def named(kind: str, **data: Any) -> bytes:
        return event({"type": kind, **data}, kind)

    found = [named("message_start", message={**whole([]), "stop_reason": None})]
    for index, block in enumerate(blocks):
        deltas: list[dict[str, Any]] = []
        begun = dict(block)
        for name, kind in (("text", "text"), ("thinking", "thinking"), ("signature", "signature")):
            if name in block:
                begun[name] = ""
                pieces = [block[name][:3], block[name][3:]] if name != "signature" else [block[name]]
                deltas += [{"type": f"{kind}_delta", name: piece} for piece in pieces]
        if block["type"] == "tool_use":
            begun["input"] = {}
            text = json.dumps(block["input"])
            deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:2], text[2:])]
        found.append(named("content_block_start", index=index, content_block=begun))
        found += [named("content_block_delta", index=index, delta=delta) for delta in deltas]
        found.append(named("content_block_stop", index=index))
    found.append(named("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 4}))
    return [*found, named("message_stop")]


def strict(blocks: list[dict[str, Any]], first: list[dict[str, Any]] | None = None):
    """A server that answers with ``blocks``, and refuses a later turn that does not have them as they were."""

    def script(seen):
        turns = [turn["content"] for turn in seen.json["messages"] if turn["role"] == "assistant"]
        said = first if first is not None and not turns else blocks
        before = [first if first is not None else blocks, blocks][: len(turns)]
        if turns != before:
            refusal = "thinking blocks in the latest assistant message cannot be modified"
            return answer({"type": "error", "error": {"type": "invalid_request_error", "message": refusal}}, 400)
        last = turns and first is None
        said, reason = ([{"type": "text", "text": "Done."}], "end_turn") if last else (said, "tool_use")
        streams = seen.json.get("stream")
        return stream(events(said, reason)) if streams else answer(whole(said, reason))

    return script


def settings(server, **more: Any) -> dict[str, Any]:
    return {"type": "anthropic", "base_url": server.url, "api_key": "k", "model": "m", **more}


def two_turns(**more: Any) -> GraphNode:
    return in_two_turns(
        {"tools": [TOOL], "extra_body": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}, **more
    )


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
async def test_what_was_thought_goes_back_as_it_came(name, streams):
    async with serving(strict(ANSWERS[name])) as server:
        async with Hush(two_turns(streams=streams), resources={"llm:m": settings(server)}) as engine:
            found = await engine.run()
    assert found["content"] == "Done."
    assert found["message"]["anthropic_blocks"] == ANSWERS[name]
    assert server.seen[1].json["messages"][1]["content"] == ANSWERS[name]


@pytest.mark.parametrize("streams", [False, True])
async def test_the_server_of_these_tests_refuses_what_was_altered(streams):
    def alter(message):
        message["anthropic_blocks"][0]["signature"] = "forged"

    async with serving(strict(ANSWERS["all"])) as server:
        async with Hush(two_turns(streams=streams, alter=alter), resources={"llm:m": settings(server)}) as engine:
            with pytest.raises(RefusedByProvider, match="cannot be modified"):
                await engine.run()


@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_that_is_sent_back_to_be_mended_has_what_was_thought(streams):
    wrong = [THOUGHT, HIDDEN, {**CALL, "input": {"n": "one"}}]
    async with serving(strict([{**THOUGHT, "thinking": "Oh."}, CALL], first=wrong)) as server:
        found = await asked({"llm:m": settings(server)}, inputs={"tools": [TOOL]}, streams=streams)
    assert (found["attempts"], found["tool_calls"][0]["arguments"]) == (2, {"n": 1})


async def test_no_other_vendor_is_sent_it():
    said = OPENAI.says(Said(["Done."]))
    async with serving(strict(ANSWERS["all"])) as one, serving(said) as other:
        both = {
            "llm:m": settings(one),
            "llm:o": {"type": "openai", "base_url": f"{other.url}/v1", "api_key": "k", "model": "m"},
        }
        async with Hush(two_turns(streams=False, second="o"), resources=both) as engine:
            assert (await engine.run())["content"] == "Done."
    message = other.seen[0].json["messages"][2]
    assert message.keys() == {"role", "content", "tool_calls"}
    assert (message["content"], [call["id"] for call in message["tool_calls"]]) == ("Tôi xem.", ["c-1", "c-2"])


@pytest.mark.parametrize("form", [OPENAI, ANTHROPIC], ids=lambda form: form.name)
@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_without_thoughts_is_in_openais_form_alone(form, streams):
    calls = [("c-1", "f", ['{"n":', "1}"])]
    function = {"name": "f", "arguments": '{"n":1}'}
    called = {"content": "a", "tool_calls": [{"id": "c-1", "type": "function", "function": function}]}
    for said, wanted in [(Said(["a", "b"]), {"content": "ab"}), (Said(["a"], (), calls, "tool_calls"), called)]:
        async with serving(form.says(said)) as server:
            base = server.url if form is ANTHROPIC else f"{server.url}/v1"
            given = {"type": form.name, "base_url": base, "api_key": "k", "model": "m"}
            found = await asked({"llm:m": given}, inputs={"tools": [TOOL]}, streams=streams)
        assert found["message"] == {"role": "assistant", **wanted}


KEPT = ANSWERS["between"]
MESSAGE = {
    "role": "assistant",
    "content": "Tôi xem.Now.",
    "tool_calls": [{"id": "c-1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}],
    "anthropic_blocks": KEPT,
}


@pytest.mark.parametrize(
    "change", [{"content": "Other."}, {"tool_calls": []}, {"content": [{"type": "text", "text": "Tôi xem.Now."}]}]
)
def test_a_message_that_was_changed_says_what_it_says_now(change):
    """The thoughts go first, unaltered: no signature is over the rest."""
    _, [turn] = conversation([{**MESSAGE, **change}])
    rest = {name: value for name, value in {**MESSAGE, **change}.items() if name != "anthropic_blocks"}
    _, plain = conversation([rest])
    content = plain[0]["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    assert turn["content"] == [KEPT[0], KEPT[2], *blocks]


@pytest.mark.parametrize(
    "kept", [[1], [{}], [{"type": "text"}], [{"type": "text", "text": 3}], [{"type": "x"}], "x", 3]
)
def test_blocks_that_are_none_harm_nobody(kept):
    """They come from a file that somebody else may have written."""
    plain = {name: value for name, value in MESSAGE.items() if name != "anthropic_blocks"}
    assert conversation([{**plain, "anthropic_blocks": kept}]) == conversation([plain])


@every_change
@given(st.permutations([THOUGHT, HIDDEN, TEXT, CALL]), st.data())
def test_wherever_its_stream_is_cut(blocks, data):
    """Whole and streamed it is the same, byte by byte."""
    from hush.providers._clients._anthropic_reply import MessageReader
    from hush.providers._clients._failures import Failures
    from hush.providers._clients._settings import ClientSettings

    failures = Failures(ClientSettings(vendor="anthropic", model="m", resource="llm:m", base_url="http://x"))
    one, other = MessageReader(failures, None), MessageReader(failures, None)
    one.feed(json.dumps(whole(blocks)).encode())
    sent = b"".join(events(blocks))
    for part in cut(sent, *data.draw(st.lists(st.integers(0, len(sent)), max_size=6))):
        other.feed(part)
    one.end()
    other.end()
    assert one.reply().blocks == other.reply().blocks == list(blocks)


# --- from data --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (
            {"anthropic_blocks": [{"type": "image", "source": {"type": "url", "url": "http://x"}}]},
            "of the type 'image'",
        ),
        ({"anthropic_blocks": [{"type": "server_tool_use", "name": "web_fetch"}]}, "of the type 'server_tool_use'"),
        ({"anthropic_blocks": ["x"]}, "of the type None"),
        ({"anthropic_blocks": "x"}, "are of type str"),
        ({"images": [{"type": "image_url", "image_url": {"url": "http://x"}}]}, "names an image by a URL"),
    ],
)
async def test_nothing_in_a_history_names_what_would_be_fetched(more, wrong):
    with GraphNode(name="g") as graph:
        PromptNode(inputs={"prompt": "?", "conversation_history": PARENT["history"]}, outputs=PARENT)
    history = [{"role": "assistant", "content": "a", **more}]
    with pytest.raises(PromptError, match=wrong):
        await Hush(graph).run({"history": deepcopy(history)})
