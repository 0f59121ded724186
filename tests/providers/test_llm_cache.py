"""``cache=`` on nodes that ask models: one question is asked once, and what decides on an answer is in the key."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from hush.core import PARENT, GraphNode, Hush, Limit, NodeCached, NodeChunk, ResourceHub, Retry
from hush.providers import EmbeddingNode, LLMChainNode, LLMNode, RerankNode
from hush.providers.errors import RefusedByProvider
from hush.testing import Fault, Reply, ScriptedLLM, ToolCall, Usage, llm_server, run_virtual
from kit.model_batches import batch
from kit.model_places import SOON, asked, asking, served


class Person(BaseModel):
    name: str


def look_up(word: str):
    """Look it up."""


def look_up_more(word: str, pages: int = 1):
    """Look it up."""


@pytest.fixture(params=["memory", "file"])
def where(request, tmp_path):
    return True if request.param == "memory" else tmp_path / "answers.db"


def twice(llm, where, first, second, **given):
    """Two runs with these arguments; what they gave."""

    async def main():
        return [await asked({"llm:m": llm}, cache=where, **(given | each)) for each in (first, second)]

    return run_virtual(main)


def test_the_same_question_is_asked_once(where):
    llm = ScriptedLLM(Reply("Xin chào 👩‍👩‍👧", thinking="Hm.", usage=Usage(7, 5)))
    one, two = twice(llm, where, {}, {})
    assert one == two
    assert one["content"] == "Xin chào 👩‍👩‍👧"
    assert two["usage"]["total_tokens"] == 12  # what it took, when it was asked
    assert llm.stats.calls == 1


def test_a_question_that_is_on_its_way_is_asked_once(where):
    llm = ScriptedLLM("a", latency_s=1.0)
    done = batch(llm, ["same"] * 20 + ["other"], cache=where)
    assert done.answers == ["a"] * 21
    assert llm.stats.calls == 2


MORE = [
    {"messages": "other"},
    {"messages": [{"role": "system", "content": "?"}]},
    {"key": "n"},
    *[
        {"inputs": each}
        for each in (
            {"temperature": 0},
            {"temperature": 0.5},
            {"max_tokens": 5},
            {"top_p": 0.5},
            {"stop": "x"},
            {"seed": 1},
            {"presence_penalty": 0.5},
            {"frequency_penalty": 0.5},
            {"logprobs": True},
            {"user": "u"},
            {"reasoning_effort": "low"},
            {"extra_body": {"guided": 1}},
            {"tools": [look_up]},
            {"tools": [look_up_more]},
            {"tools": [look_up], "tool_choice": "none"},
            {"response_format": "json_object"},
            {"response_format": Person},
        )
    ],
]


def test_whatever_decides_on_an_answer_is_in_the_key(where):
    """Each of them with each other."""
    llm, other = ScriptedLLM('{"name": "a"}'), ScriptedLLM('{"name": "a"}')

    async def main():
        for _ in range(2):
            for each in [{}, *MORE]:
                await asked({"llm:m": llm, "llm:n": other}, cache=where, **each)

    run_virtual(main)
    assert llm.stats.calls + other.stats.calls == 1 + len(MORE)


@pytest.mark.parametrize(
    "other",
    [
        {"retry": Retry(max_attempts=2)},
        {"limit": Limit(concurrency=3)},
        {"timeout_s": 30},
        {"priority": 4},
        {"tokens": 7},
        {"stream": True},
        {"key": "llm:m"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_how_it_is_asked_is_not(where, other):
    llm = ScriptedLLM("a")
    twice(llm, where, {}, other)
    assert llm.stats.calls == 1


def test_the_version_is_in_the_key(where):
    llm = ScriptedLLM("a")
    twice(llm, where, {"version": "1"}, {"version": "2"})
    assert llm.stats.calls == 2


def test_failures_are_not_kept(where):
    llm = ScriptedLLM("a", faults=[Fault("bad_request", first=1)])

    async def main():
        with pytest.raises(RefusedByProvider):
            await asked({"llm:m": llm}, cache=where)
        return [(await asked({"llm:m": llm}, cache=where))["content"] for _ in range(2)]

    assert run_virtual(main) == ["a", "a"]
    assert llm.stats.calls == 2


def test_data_is_made_anew_each_time(where):
    """Nobody can change what others get."""
    llm = ScriptedLLM('{"name": "Lan"}')
    one, two = twice(llm, where, {}, {}, inputs={"response_format": Person})
    assert one["parsed"] == two["parsed"] == Person(name="Lan")
    assert one["parsed"] is not two["parsed"]
    assert type(two["parsed"]) is Person
    assert llm.stats.calls == 1


def test_a_corrected_answer_is_what_is_kept(where):
    llm = ScriptedLLM(["no", '{"name": "Lan"}'])
    one, two = twice(llm, where, {}, {}, inputs={"response_format": Person})
    assert one["content"] == two["content"] == '{"name": "Lan"}'
    assert llm.stats.calls == 2


def test_calls_of_tools_are_kept(where):
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("look_up", {"word": "tea"}, id="c-1")]))
    one, two = twice(llm, where, {}, {}, inputs={"tools": [look_up]})
    assert one["tool_calls"] == two["tool_calls"]
    assert two["tool_calls"][0]["arguments"] == {"word": "tea"}
    assert llm.stats.calls == 1


def test_the_parser_of_a_chain_reads_what_was_kept(where):
    llm, read = ScriptedLLM("a\nb"), []

    def run(parser):
        with GraphNode(name="g") as graph:
            LLMChainNode(
                name="chain", resource_key="m", parser=parser, cache=where, inputs={"prompt": "?"}, outputs=PARENT
            )
        return Hush(graph, resources={"llm:m": llm}).run()

    def parse(text):
        read.append(text)
        return len(read)

    async def main():
        return [(await run(parser))["parsed"] for parser in (parse, parse, "lines")]

    assert run_virtual(main) == [1, 2, ["a", "b"]]
    assert llm.stats.calls == 1


def test_who_reads_the_stream_of_a_kept_answer_gets_it_whole(where):
    """It is not streamed again: ``NodeCached`` says where it came from, and the outputs are those of the first time."""
    llm = ScriptedLLM("abc def ghi")

    async def main():
        engine, seen = Hush(asking(cache=where, retry=SOON), resources={"llm:m": llm}), []
        for _ in range(2):
            events = [event async for event in engine.stream({"messages": "?"})]
            text = "".join(event.text for event in events if isinstance(event, NodeChunk))
            cached = any(isinstance(event, NodeCached) for event in events)
            seen.append((text, cached, events[-1].result["content"]))
        return seen

    assert run_virtual(main) == [("abc def ghi", False, "abc def ghi"), ("", True, "abc def ghi")]
    assert llm.stats.calls == 1


def test_a_fallback_answers_for_both(where):
    """The key names all who may be asked; who answered stands in ``model_used``."""
    a, b = ScriptedLLM("a", faults=[Fault("unauthorized", first=1)]), ScriptedLLM("b")

    async def main():
        return [await asked({"llm:a": a, "llm:b": b}, key="a", fallback="b", cache=where) for _ in range(2)]

    one, two = run_virtual(main)
    assert one == two
    assert two["model_used"] == "llm:b"


async def test_a_file_serves_another_process_and_another_key_of_the_api(tmp_path):
    """Over a real socket: who asks, with which key, is no part of it."""
    llm = ScriptedLLM("a")
    async with served("openai", m=llm) as settings:
        await asked(settings, cache=tmp_path / "answers.db")
        settings["llm:m"]["api_key"] = "hk-another"
        assert (await asked(settings, cache=tmp_path / "answers.db"))["content"] == "a"
    assert llm.stats.calls == 1
    assert b"hk-" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_vectors_and_rankings_are_kept_too(where):
    vectors, ranks = ScriptedLLM(), ScriptedLLM()
    with GraphNode(name="g") as graph:
        texts = {"texts": PARENT["texts"]}
        embedding = EmbeddingNode(name="e", resource_key="e", inputs=texts, batch_size=2, cache=where)
        embedding["embeddings"] >> PARENT["vectors"]
        RerankNode(
            name="r",
            resource_key="r",
            inputs={"query": "a b", "documents": PARENT["texts"]},
            outputs={"documents": PARENT["ranked"]},
            cache=where,
        )

    async def main():
        engine = Hush(graph, resources=ResourceHub({"embedding:e": vectors, "rerank:r": ranks}))
        return [await engine.run({"texts": texts}) for texts in (["c", "b", "a b"], ["c", "b", "a b"], ["c", "b", "x"])]

    one, two, three = run_virtual(main)
    assert one == two
    assert vectors.stats.calls == 3  # two batches, and then the second one anew
    assert ranks.stats.calls == 2
    assert three["vectors"][:2] == one["vectors"][:2]


def test_an_answer_that_nobody_waits_for_is_given_up(where):
    llm = ScriptedLLM("a", latency_s=100)

    async def main():
        engine = Hush(asking(cache=where), resources={"llm:m": llm})
        runs = [asyncio.create_task(engine.run({"messages": "?"})) for _ in range(2)]
        await asyncio.sleep(1)
        runs[0].cancel()
        await asyncio.sleep(1)
        between = llm.stats.at_once
        runs[1].cancel()
        await asyncio.wait(runs)
        return between, llm.stats.at_once

    assert run_virtual(main) == (1, 0)
    assert llm.stats.calls == 1


async def test_two_addresses_of_one_model_share_no_answers():
    """Nobody can tell whether what runs on them is the same. One address under two keys is one."""
    llm = ScriptedLLM("a")
    async with llm_server(llm) as one, llm_server(llm) as other:
        for url, key, calls in [(one, "m", 1), (one, "n", 1), (other, "m", 2), (one, "m", 2)]:
            given = {"type": "openai", "base_url": f"{url}/v1", "api_key": "k", "model": "same"}
            with GraphNode(name="g") as graph:
                LLMNode(name="a", resource_key=key, inputs={"messages": "?"}, outputs=PARENT, cache=True)
            async with Hush(graph, resources={f"llm:{key}": given}) as engine:
                assert (await engine.run())["content"] == "a"
            assert llm.stats.calls == calls
