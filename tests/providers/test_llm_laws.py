"""Laws of an ``LLMNode`` over replies at random, and over a real llama.cpp server."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import Hush, NodeChunk
from hush.testing import Fault, Reply, ScriptedLLM, ToolCall, Usage, run_virtual
from kit.llama_server import KEY, saying
from kit.model_batches import batch_graph
from kit.model_places import PLACES, SOON, asked, asking, hub_of, served
from kit.tiers import every_change

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
argument = st.dictionaries(st.sampled_from(["a", "ế", "👩‍👩‍👧"]), text | st.integers(-9, 9) | st.none(), max_size=2)


def tool(name):
    return {"name": name, "description": "d", "parameters": {"type": "object", "properties": {}}}


TOOLS = [tool("f"), tool("g")]


@st.composite
def replies(draw):
    chunks = draw(st.lists(text, max_size=4))
    called = draw(st.lists(st.tuples(st.sampled_from("fg"), argument), max_size=2))
    calls = [ToolCall(name, given, id=f"c-{n}") for n, (name, given) in enumerate(called)]
    usage = Usage(draw(st.integers(1, 99)), draw(st.integers(1, 99)), draw(st.integers(0, 1)), draw(st.integers(0, 1)))
    reason = draw(st.sampled_from([None, "stop", "length"])) if not calls else None
    thinking = draw(st.none() | text.filter(bool))
    return Reply("".join(chunks), calls, finish_reason=reason, thinking=thinking, usage=usage, chunks=chunks)


def heard(events, kind):
    return "".join(event.text for event in events if isinstance(event, NodeChunk) and event.kind == kind)


async def both_ways(settings):
    """What the node gives, what it gives when it is streamed, and the events of that."""
    async with Hush(asking(inputs={"tools": TOOLS}, retry=SOON), resources=hub_of(settings)) as engine:
        plain = await engine.run({"messages": "?"})
        events = [event async for event in engine.stream({"messages": "?"})]
    return plain, events[-1].result, events


def check(reply, plain, streamed, events):
    assert plain == streamed
    assert plain["content"] == reply.content == heard(events, "content")
    assert (plain["thinking_content"] or "") == (reply.thinking or "") == heard(events, "thinking")
    assert [(call["id"], call["name"], call["arguments"]) for call in plain["tool_calls"]] == [
        (call.id, call.name, dict(call.arguments)) for call in reply.tool_calls
    ]
    assert plain["usage"]["total_tokens"] == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert plain["finish_reason"] == (reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop"))


@every_change
@given(replies(), st.sampled_from([(), ("crlf",), ("keep_alives",), ("no_done",), ("split_bytes",)]))
def test_a_streamed_answer_is_the_same(reply, bends):
    llm = ScriptedLLM(reply, faults=[Fault(bend) for bend in bends])
    check(reply, *run_virtual(lambda: both_ways({"llm:m": llm})))


@pytest.mark.parametrize("place", PLACES)
async def test_a_streamed_answer_is_the_same_over_sockets(place):
    """Thirty of them, drawn by hand: hypothesis and a running loop do not go together."""
    draws = random.Random(place)
    letters = 'aế你👩\u200d\u2028\u0301\U0010fffd\n\r\\"{}:, '
    for bend in (None, "crlf", "keep_alives", "no_done", "split_bytes"):
        made = []
        for number in range(6):
            chunks = ["".join(draws.choices(letters, k=draws.randint(1, 9))) for _ in range(draws.randint(1, 4))]
            calls = [ToolCall("f", {"ế": draws.choice(letters)}, id=f"c-{n}") for n in range(draws.randint(0, 2))]
            made.append(
                Reply(
                    "".join(chunks),
                    calls,
                    thinking=draws.choice([None, "考え"]),
                    usage=Usage(3 + number, 2),
                    chunks=chunks,
                )
            )
        for reply in made:
            if bend == "no_done" and place == "anthropic":
                continue  # its last event is what says that it is complete
            llm = ScriptedLLM(reply, faults=[Fault(bend)] if bend else [])
            async with served(place, m=llm) as settings:
                check(reply, *await both_ways(settings))


# --- a real server ----------------------------------------------------------------------------------------------------
def real(llama, **more):
    return {"llm:m": {"type": "openai", "base_url": f"{llama.url}/v1", "api_key": KEY, "model": "random", **more}}


TEXTS = ["Xin chào, Huế ơi", "你好 𠮷", "مرحبا", "👩‍👩‍👧 🇻🇳", "Tie\u0302\u0301ng", '"q" \\ {"a": 1} ']


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("said", TEXTS)
async def test_llama_says_each_text_whole(llama, said, streams):
    out = await asked(real(llama), inputs={"max_tokens": 200, "extra_body": saying(said)}, streams=streams)
    assert out["content"] == said
    assert out["finish_reason"] == "stop"
    assert out["usage"]["output_tokens"] > 0
    assert out["usage"]["total_tokens"] == out["usage"]["input_tokens"] + out["usage"]["output_tokens"]


async def test_llama_through_anthropics_route(llama):
    settings = {"llm:m": {"type": "anthropic", "base_url": llama.url, "api_key": KEY, "model": "random"}}
    for streams in (False, True):
        out = await asked(settings, inputs={"max_tokens": 4}, streams=streams)
        assert out["finish_reason"] in ("stop", "length")
        assert 0 < out["usage"]["output_tokens"] <= 4


async def test_llama_is_held_to_a_schema(llama):
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Lan", "Minh"]}, "age": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    for streams in (False, True):
        given = {"response_format": schema, "max_tokens": 60}
        out = await asked(real(llama), inputs=given, streams=streams)
        assert out["parsed"]["name"] in ("Lan", "Minh")
        assert 1 <= out["parsed"]["age"] <= 9
        assert out["attempts"] == 1
        assert json.loads(out["content"]) == out["parsed"]


async def test_llama_gives_logprobs(llama):
    for streams in (False, True):
        given = {"logprobs": True, "top_logprobs": 2, "max_tokens": 3, "extra_body": saying("ab")}
        out = await asked(real(llama), inputs=given, streams=streams)
        tokens = out["logprobs"]["content"]
        assert tokens
        assert all(math.isfinite(one["logprob"]) and len(one["top_logprobs"]) == 2 for one in tokens)


async def test_llama_is_cut_off(llama):
    out = await asked(real(llama), inputs={"max_tokens": 2, "extra_body": saying("a long answer that is cut off")})
    assert out["finish_reason"] == "length"
    assert out["usage"]["output_tokens"] == 2


async def test_many_questions_to_llama_at_once(llama):
    """More than it has slots for; none is lost."""
    graph = batch_graph(max_concurrency=20, inputs={"max_tokens": 40, "extra_body": saying("xin chào")}, retry=SOON)
    async with Hush(graph, resources=real(llama)) as engine:
        questions = [f"câu {number}" for number in range(40)]
        result = await engine.run({"questions": questions, "more": questions})
    assert result["answers"] == ["xin chào"] * 40
    assert result.status == "ok"
