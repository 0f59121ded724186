"""The guide's blocks on language models, as printed, over all kinds of servers."""

from __future__ import annotations

from typing import Any

import pytest

from docs.guide import Play, RunIt
from hush.core import Hush, NodeChunk
from hush.testing import Fault, Rule, ScriptedLLM
from kit.llama_server import KEY, LlamaServer
from kit.model_places import PLACES, hub_of, served

PROMPTS, BATCH = "Multiple prompts in parallel", "Batch LLM với MapNode"


class Reader:
    """Answers as the guide's prompts ask, and notes what came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def llm(self, **given: Any) -> ScriptedLLM:
        def answer(request: Any) -> str:
            self.asked.append((request.system, request.text))
            return f"<{request.system}|{request.text}>"

        return ScriptedLLM([Rule(answer=answer)], **given)


@pytest.mark.parametrize("place", PLACES)
async def test_prompts_in_parallel(play: Play, place: str) -> None:
    """Each model is asked what is its to answer; all three at once."""
    big, small = Reader(), Reader()
    models = {"gpt-4": big.llm(latency_s=0.05), "gpt-4-mini": small.llm(latency_s=0.05)}
    graph = (await play(PROMPTS))["graph"]
    text = "Huế mưa, {text} {{x}} 👩‍👩‍👧"
    async with served(place, **models) as settings, Hush(graph, resources=hub_of(settings)) as engine:
        result = await engine.run(inputs={"text": text})
    assert result == {
        "summary": f"<Tóm tắt văn bản sau.|{text}>",
        "keywords": f"<Liệt kê keywords.|{text}>",
        "sentiment": f"<Phân tích sentiment.|{text}>",
    }
    assert result.status == "ok"
    assert big.asked == [("Tóm tắt văn bản sau.", text)]
    assert sorted(small.asked) == [("Liệt kê keywords.", text), ("Phân tích sentiment.", text)]
    assert models["gpt-4-mini"].stats.most_at_once == 2


async def test_both_ways_to_run_it(play: Play, run_it: RunIt) -> None:
    hub = hub_of({"llm:gpt-4": ScriptedLLM("a"), "llm:gpt-4-mini": ScriptedLLM("b")})
    graph = (await play(PROMPTS))["graph"]
    assert await run_it(graph, hub, text="x") == {"summary": "a", "keywords": "b", "sentiment": "b"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("count", [0, 1, 40])
async def test_the_batch_asks_five_at_once_and_never_more(play: Play, place: str, count: int) -> None:
    """`max_concurrency=5  # Avoid rate limiting`."""
    reader = Reader()
    llm = reader.llm(latency_s=0.03)  # five are asked within that, on a busy machine too
    graph = (await play(BATCH))["graph"]
    queries = [f"câu hỏi {number}" for number in range(count)]
    async with served(place, **{"gpt-4-mini": llm}) as settings, Hush(graph, resources=hub_of(settings)) as engine:
        result = await engine.run(inputs={"queries": queries})
    assert result == {"answers": [f"<Answer briefly.|{query}>" for query in queries]}
    assert llm.stats.calls == count
    assert llm.stats.most_at_once == min(count, 5)


async def test_the_batch_streams_each_answer(play: Play) -> None:
    graph = (await play(BATCH))["graph"]
    parts: dict[int | None, str] = {}
    async for event in Hush(graph, resources={"llm:gpt-4-mini": ScriptedLLM()}).stream({"queries": ["a", "b", "c"]}):
        if isinstance(event, NodeChunk):
            assert event.path == "batch-llm/llm_batch/llm"
            parts[event.item] = parts.get(event.item, "") + event.text
    assert parts == dict(enumerate(event.result["answers"])) == {0: "echo: a", 1: "echo: b", 2: "echo: c"}  # type: ignore[union-attr]


async def test_one_failed_question_leaves_the_others_alone(play: Play, silence: None) -> None:
    llm = ScriptedLLM(faults=[Fault("bad_request", contains="b")])
    graph = (await play(BATCH))["graph"]
    result = await Hush(graph, resources={"llm:gpt-4-mini": llm}).run(inputs={"queries": ["a", "b", "c"]})
    assert result == {"answers": ["echo: a", None, "echo: c"]}
    assert result.status == "partial"


async def test_over_a_real_server(play: Play, llama: LlamaServer) -> None:
    """llama.cpp, which says what it is told to by its own grammar: here, 4 tokens of anything."""
    settings = {"type": "openai", "base_url": f"{llama.url}/v1", "api_key": KEY, "model": "random", "max_tokens": 4}
    prompts, batch = (await play(PROMPTS))["graph"], (await play(BATCH))["graph"]
    async with Hush(prompts, resources={"llm:gpt-4": settings, "llm:gpt-4-mini": settings}) as engine:
        result = await engine.run(inputs={"text": "Xin chào"})
    assert set(result) == {"summary", "keywords", "sentiment"}
    assert all(isinstance(text, str) for text in result.values())
    async with Hush(batch, resources={"llm:gpt-4-mini": settings}) as engine:
        result = await engine.run(inputs={"queries": ["một", "hai", "ba"]})
    assert len(result["answers"]) == 3
    assert result.status == "ok"
