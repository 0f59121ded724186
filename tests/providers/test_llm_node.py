"""What an ``LLMNode`` gives, wherever its model is asked."""

from __future__ import annotations

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, NodeChunk, RunFinished
from hush.providers import LLMNode
from hush.providers.errors import ProviderError
from hush.testing import Fault, Reply, Rule, ScriptedLLM, Usage, run_virtual
from kit.model_places import PLACES, SOON, asked, hub_of, served

OUTPUTS = {
    "content",
    "message",
    "role",
    "finish_reason",
    "tool_calls",
    "parsed",
    "images",
    "audio",
    "usage",
    "cost",
    "model_used",
    "thinking_content",
    "refusal",
    "logprobs",
    "attempts",
}
TEXTS = [
    "Xin chào, Tiếng Việt có dấu: ơ ư ằ ẵ ộ",
    "Tiê\u0301ng Vie\u0323\u0302t",  # combining marks, which nobody may compose
    "你好，世界。𠮷野家",
    "مرحبا \u200fبالعالم\u200e",
    "👩‍👩‍👧‍👦🏳️‍🌈 🇻🇳",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010fffd",
    "नमस्ते ไทย ខ្មែរ",
    "\ufeffa\u2028b\u2029c\u0085d\x1fe\x7ff\ufffd\u200b",
    "data: [DONE]\n\ndata: {}\r\n\r\nevent: error\n: ping",
    ' "quoted" \\ \\u0041 </s> <|im_end|> {"a": 1} ',
    "   ",
    "\n",
]


@pytest.fixture(params=PLACES)
def place(request):
    return request.param


async def test_every_text_is_whole(place):
    """Whatever its script, and streamed or not."""
    llm = ScriptedLLM({f"#{number}#": text for number, text in enumerate(TEXTS)})
    async with served(place, m=llm) as settings, Hush(many(), resources=hub_of(settings)) as engine:
        questions = [f"#{number}#" for number in range(len(TEXTS))]
        assert (await engine.run({"questions": questions}))["answers"] == TEXTS
        assert await streamed(engine, questions) == (TEXTS, TEXTS)
    assert llm.stats.calls == 2 * len(TEXTS)


async def test_a_question_is_whole_as_well(place):
    llm = ScriptedLLM()  # an echo
    async with served(place, m=llm) as settings, Hush(many(), resources=hub_of(settings)) as engine:
        answers = (await engine.run({"questions": TEXTS[:-2]}))["answers"]
    assert answers == [f"echo: {text}" for text in TEXTS[:-2]]


def many(**given):
    """One question an item."""
    with GraphNode(name="many") as graph:
        with MapNode(name="each", inputs={"question": Each(PARENT["questions"])}) as each:
            LLMNode(
                name="llm",
                resource_key="m",
                inputs={"messages": PARENT["question"]},
                outputs={"content": PARENT["answer"]},
                **{"retry": SOON, **given},
            )
        each["answer"] >> PARENT["answers"]
    return graph


async def streamed(engine, questions):
    """What the graph gives, and what the chunks of each item say when they are joined."""
    parts = {}
    async for event in engine.stream({"questions": questions}):
        if isinstance(event, NodeChunk) and event.kind == "content":
            attempts = parts.setdefault(event.item, {})
            attempts.setdefault(event.attempt, []).append(event.text)
    assert isinstance(event, RunFinished)
    joined = ["".join(attempts[max(attempts)]) for _, attempts in sorted(parts.items())]
    return event.result["answers"], joined


@pytest.mark.parametrize("streams", [False, True])
async def test_all_outputs_are_there_and_no_others(place, streams):
    llm = ScriptedLLM(Reply("Xin chào", thinking="Hm, 考え.", usage=Usage(900, 80, cached_tokens=512)))
    async with served(place, m=llm) as settings:
        settings["llm:m"]["price"] = {"input": 2.0, "cached_input": 1.0, "output": 10.0}
        out = await asked(settings, streams=streams)
    assert set(out) == OUTPUTS
    assert (out["content"], out["role"], out["finish_reason"]) == ("Xin chào", "assistant", "stop")
    assert out["thinking_content"] == "Hm, 考え."
    assert (out["tool_calls"], out["parsed"], out["refusal"], out["logprobs"]) == ([], None, None, None)
    assert (out["images"], out["audio"], out["message"]["content"]) == ([], None, "Xin chào")
    usage = out["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (900, 80, 980)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (900, 80)
    assert usage["cached_tokens"] == 512
    assert out["cost"] == pytest.approx((388 * 2.0 + 512 * 1.0 + 80 * 10.0) / 1e6)
    assert (out["model_used"], out["attempts"]) == ("llm:m", 1)
    assert llm.stats.calls == 1


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_why_an_answer_ended_is_told_and_is_no_error(place, reason, streams):
    async with served(place, m=ScriptedLLM(Reply("Half a", finish_reason=reason))) as settings:
        out = await asked(settings, streams=streams)
    assert (out["content"], out["finish_reason"], out["attempts"]) == ("Half a", reason, 1)


async def test_usage_that_no_server_tells_is_none_and_so_is_the_cost(place):
    async with served(place, m=ScriptedLLM("a", faults=[Fault("no_usage")])) as settings:
        settings["llm:m"]["price"] = {"input": 2.0, "output": 10.0}
        out = await asked(settings)
    assert out["content"] == "a"
    assert out["usage"]["total_tokens"] is None
    assert out["cost"] is None


@pytest.mark.parametrize("kind", ["half_stream", "reset_in_stream", "error_in_stream"])
async def test_a_stream_that_breaks_is_begun_anew_and_its_parts_are_numbered(place, kind):
    """No half of an answer ever counts, and nobody has to guess which parts belong together."""
    text = "một hai ba bốn năm sáu bảy"
    llm = ScriptedLLM(
        Reply(text, chunks=["một", text[3:]]),
        faults=[Fault(kind, first=2, after=2)],
    )
    async with served(place, m=llm) as settings, Hush(many(), resources=hub_of(settings)) as engine:
        assert await streamed(engine, ["?"]) == ([text], [text])
    assert llm.stats.calls == 3


def test_a_streamed_call_that_never_ends_well_is_a_failure():
    llm = ScriptedLLM("abc", faults=[Fault("half_stream")])

    async def main():
        with pytest.raises(ProviderError) as caught:
            await asked({"llm:m": llm}, stream=True)
        return caught.value

    error = run_virtual(main)
    assert "llm:m" in str(error)
    assert error.hush.attempt == 4
    assert llm.stats.calls == 4


@pytest.mark.parametrize(
    ("stream", "reads", "expected"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_who_decides_whether_an_answer_is_streamed(stream, reads, expected):
    seen = []

    def answer(request):
        seen.append(request.stream)
        return "a"

    run_virtual(lambda: asked({"llm:m": ScriptedLLM([Rule(answer=answer)])}, stream=stream, streams=reads))
    assert seen == [expected]


def test_parameters_are_sent_as_they_are_and_nothing_else_is():
    seen = []

    def answer(request):
        seen.append(request.body)
        return "a"

    given = {
        "temperature": 0, "max_tokens": 7, "top_p": 0.5, "stop": ["\n"], "seed": 3, "presence_penalty": 0.25,
        "frequency_penalty": -0.25, "logprobs": True, "top_logprobs": 2, "logit_bias": {"5": -100}, "user": "u",
        "service_tier": "flex", "reasoning_effort": "low", "verbosity": "low",
    }  # fmt: skip
    llm = {"llm:m": ScriptedLLM([Rule(answer=answer)])}
    run_virtual(lambda: asked(llm, inputs=given | {"extra_body": {"guided": [1]}}))
    run_virtual(lambda: asked(llm))
    bare = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    assert {name: value for name, value in seen[0].items() if name != "stream"} == {**bare, **given, "guided": [1]}
    assert {name: value for name, value in seen[1].items() if name != "stream"} == bare


async def test_the_system_message_arrives(place):
    seen = []

    def answer(request):
        seen.append((request.system, request.text))
        return "a"

    messages = [{"role": "system", "content": "Ngắn gọn."}, {"role": "user", "content": "?"}]
    async with served(place, m=ScriptedLLM([Rule(answer=answer)])) as settings:
        await asked(settings, messages=messages)
    assert seen == [("Ngắn gọn.", "?")]
