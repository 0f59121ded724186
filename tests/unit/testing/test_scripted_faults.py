"""When a scripted model fails, what its limits refuse, and what it counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry
from hush.testing import (
    Fault,
    Reply,
    Rule,
    ScriptedDisconnect,
    ScriptedFault,
    ScriptedLLM,
    cancel_everywhere,
    leak_check,
    run_virtual,
)


def asked(text: str = "hello", model: str = "m", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def outcome(llm: ScriptedLLM, body: dict[str, Any] | None = None) -> str:
    try:
        await llm.respond(body or asked(), stream=False)
    except ScriptedFault as error:
        return error.kind
    return "ok"


def outcomes(llm: ScriptedLLM, count: int, *, every_s: float = 0.0) -> list[str]:
    async def main():
        found = []
        for _ in range(count):
            found.append(await outcome(llm))
            await asyncio.sleep(every_s)
        return found

    return run_virtual(main)


# --- on order ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("when", "hit"),
    [
        ({"first": 3}, [1, 2, 3]),
        ({"every": 4}, [4, 8]),
        ({"numbers": [2, 9]}, [2, 9]),
        ({"until_s": 5}, [1, 2, 3, 4, 5]),
        ({"from_s": 7, "until_s": 9}, [8, 9]),
        ({"every": 2, "from_s": 4}, [6, 8, 10]),
        ({"model": "other"}, []),
        ({"model": "*"}, list(range(1, 11))),
        ({"contains": "hell", "first": 1}, [1]),
        ({"endpoint": "rerank"}, []),
    ],
)
def test_a_fault_comes_when_it_is_ordered(when, hit):
    found = outcomes(ScriptedLLM(faults=[Fault(503, **when)]), 10, every_s=1)
    assert [place for place, each in enumerate(found, 1) if each == "unavailable"] == hit


def test_probability_is_drawn_from_the_seed():
    draws = [outcomes(ScriptedLLM(faults=[Fault("reset", probability=0.3)], seed=seed), 200) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert 30 < draws[0].count("reset") < 90


def test_the_first_of_several_faults_is_taken_and_the_bends_are_all():
    llm = ScriptedLLM(faults=["no_usage", Fault(500, numbers=[2]), Fault(503, every=2), "finish_reason_null"])

    async def main():
        body = await llm.respond(asked(), stream=False)
        return body, await outcome(llm), await outcome(llm)

    body, second, third = run_virtual(main)
    assert "usage" not in body
    assert body["choices"][0]["finish_reason"] is None
    assert (second, third) == ("server_error", "ok")
    assert llm.stats.faults == {"no_usage": 2, "finish_reason_null": 2, "server_error": 1}


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("reset", ConnectionError, None),
        ("close", ConnectionError, None),
        ("reset_after_headers", ConnectionError, 200),
        ("half_body", ConnectionError, 200),
        ("half_stream", ConnectionError, 200),
        ("bad_json", ScriptedFault, 200),
        ("html", ScriptedFault, 502),
        ("insufficient_quota", ScriptedFault, 429),
        (Fault("html", status=200), ScriptedFault, 200),
        ("context_length_exceeded", ScriptedFault, 400),
    ],
)
def test_what_is_no_answer_is_raised(fault, kind, status):
    llm = ScriptedLLM(faults=[fault])
    with pytest.raises(kind) as caught:
        run_virtual(lambda: llm.respond(asked(), stream=False))
    assert isinstance(caught.value, ScriptedFault)
    assert isinstance(caught.value, ScriptedDisconnect) == (kind is ConnectionError)
    assert caught.value.status == status
    assert llm.stats.at_once == llm.stats.abandoned == llm.stats.answered == 0


def test_what_comes_with_the_status_200_is_returned():
    def body(fault):
        return run_virtual(lambda: ScriptedLLM("0123456789", faults=[fault]).respond(asked(), stream=False))

    assert body("error_in_200") == {"error": {"code": 502, "message": "Provider returned error"}}
    assert body("empty_choices")["choices"] == []
    assert body("empty_content")["choices"][0]["message"]["content"] == ""
    (cut,) = body("length")["choices"]
    assert (cut["message"]["content"], cut["finish_reason"]) == ("01234", "length")
    assert body("content_filter")["choices"][0]["finish_reason"] == "content_filter"


def test_a_timeout_never_answers_and_counts_as_abandoned():
    llm = ScriptedLLM(faults=["timeout"], limits={"concurrency": 1})

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await llm.respond(asked())
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == 3600
    assert (llm.stats.abandoned, llm.stats.at_once) == (1, 0)


# --- streams ----------------------------------------------------------------------------------------------------------
async def chunks_of(llm: ScriptedLLM, **more: Any) -> list[dict[str, Any]]:
    async with await llm.respond(asked(**more), stream=True) as stream:
        return [chunk async for chunk in stream]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@given(st.text(), st.integers(0, 3))
def test_a_stream_put_together_is_the_answer(text, seed):
    chunks = run_virtual(lambda: chunks_of(ScriptedLLM(lambda request: Reply(text), seed=seed)))
    assert text_of(chunks) == text
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_stream_takes_its_time():
    llm = ScriptedLLM(Reply("abcdefgh", chunks=["abcd", "efgh"]), latency_s=2, per_token_s=0.5)

    async def main():
        loop = asyncio.get_running_loop()
        async with await llm.respond(asked(), stream=True) as stream:
            return [loop.time() async for _ in stream]

    assert run_virtual(main) == [2, 2.5, 3, 3]
    slow = [Fault("slow_first_token", delay_s=10), Fault("slow_chunks", delay_s=1)]
    llm = ScriptedLLM(Reply("abcdefgh", chunks=["abcd", "efgh"]), faults=slow)
    assert run_virtual(main) == [10, 11, 12, 12]


def test_a_half_stream_has_no_finish_reason_and_ends():
    chunks = run_virtual(lambda: chunks_of(ScriptedLLM(Reply("abcd", chunks=list("abcd")), faults=["half_stream"])))
    assert text_of(chunks) == "ab"
    assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])
    llm = ScriptedLLM(Reply("abcd", chunks=list("abcd")), faults=[Fault("half_stream", after=3)])
    assert text_of(run_virtual(lambda: chunks_of(llm))) == "abc"


def test_an_error_in_a_stream_is_a_chunk():
    chunks = run_virtual(lambda: chunks_of(ScriptedLLM("abcd" * 20, faults=["error_in_stream"])))
    assert chunks[-1]["error"] == {"code": 502, "message": "Provider returned error"}
    assert 0 < len(text_of(chunks)) < 80


def test_a_stream_that_is_reset_or_stalls():
    with pytest.raises(ScriptedDisconnect):
        run_virtual(lambda: chunks_of(ScriptedLLM("abcd", faults=["reset_in_stream"])))

    async def main(llm):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await chunks_of(llm)

    stalling = ScriptedLLM("abcd", faults=["stalled_stream"])
    run_virtual(lambda: main(stalling))
    assert (stalling.stats.abandoned, stalling.stats.at_once) == (1, 0)


def test_usage_in_a_stream_only_if_it_is_asked_for():
    asking = {"stream_options": {"include_usage": True}}
    assert "usage" not in run_virtual(lambda: chunks_of(ScriptedLLM("a")))[-1]
    assert run_virtual(lambda: chunks_of(ScriptedLLM("a"), **asking))[-1]["usage"]["completion_tokens"] == 1
    assert "usage" not in run_virtual(lambda: chunks_of(ScriptedLLM("a", faults=["no_usage"]), **asking))[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_cancelled_call_gives_its_place_back(stream):
    llm = ScriptedLLM("some words", latency_s=1, per_token_s=1, limits={"concurrency": 1})

    async def main():
        if stream:
            await chunks_of(llm)
        else:
            await llm.respond(asked())

    def nobody_is_inside():
        assert llm.stats.at_once == 0

    assert cancel_everywhere(main, check=nobody_is_inside) > 1


def test_a_stream_that_is_dropped_gives_its_place_back():
    llm = ScriptedLLM("some words")

    async def main():
        stream = await llm.respond(asked(), stream=True)
        assert llm.stats.at_once == 1
        await anext(stream)
        del stream
        assert llm.stats.at_once == 0

    run_virtual(main)


# --- limits -----------------------------------------------------------------------------------------------------------
def test_requests_a_minute_in_a_window_that_slides():
    llm = ScriptedLLM(limits={"rpm": 3})
    assert outcomes(llm, 9, every_s=15) == ["ok", "ok", "ok", "limited", "ok", "ok", "ok", "limited", "ok"]
    assert (llm.stats.violations, llm.stats.refused, llm.stats.answered) == (2, 2, 7)


def test_refused_calls_may_count():
    llm = ScriptedLLM(limits={"rpm": 1, "count_refused": True})
    assert outcomes(llm, 10, every_s=30) == ["ok"] + ["limited"] * 9


def test_a_refusal_says_when_there_is_room_and_what_is_left():
    llm = ScriptedLLM(limits={"rpm": 1, "tpm": 1000})

    async def main():
        await llm.respond(asked())
        await asyncio.sleep(20.5)
        with pytest.raises(ScriptedFault) as caught:
            await llm.respond(asked())
        await asyncio.sleep(float(caught.value.headers["retry-after-ms"]) / 1000)
        return caught.value, await outcome(llm)

    error, then = run_virtual(main)
    assert (error.status, error.kind, then) == (429, "limited", "ok")
    assert error.headers["retry-after"] == "40"
    assert error.headers["retry-after-ms"] == "39500"
    assert error.headers["x-ratelimit-limit-requests"] == "1"
    assert error.headers["x-ratelimit-remaining-requests"] == "0"
    assert error.headers["x-ratelimit-reset-requests"] == "39.5s"
    assert int(error.headers["x-ratelimit-remaining-tokens"]) < 1000
    assert error.body["error"]["code"] == "rate_limit_exceeded"
    assert llm.stats.early == 0


def test_tokens_a_minute():
    llm = ScriptedLLM(Reply("x", usage={"completion_tokens": 60}), limits={"tpm": 100})

    async def main():
        first = await outcome(llm, asked("y" * 4 * 30))  # 34 + 60
        second = await outcome(llm, asked("y" * 4 * 30))
        third = await outcome(llm, asked("y"))  # 5 fit into the 6 that are left
        with pytest.raises(ScriptedFault, match="larger than the limit") as caught:
            await llm.respond(asked("y" * 500))
        assert "retry-after" not in caught.value.headers
        return first, second, third

    assert run_virtual(main) == ("ok", "limited", "ok")


def test_calls_at_once():
    llm = ScriptedLLM(latency_s=1, limits={"concurrency": 2}, model_limits={"small": {"concurrency": 1}})

    async def main():
        found = await asyncio.gather(*[outcome(llm, asked(model=model)) for model in ("small", "small", "m", "m")])
        return found, await outcome(llm)

    found, after = run_virtual(main)  # the seed decides whose turn it is
    assert (sorted(found[:2]), sorted(found), after) == (["limited", "ok"], ["limited", "limited", "ok", "ok"], "ok")
    assert (llm.stats.most_at_once, llm.stats.violations) == (3, 2)


@pytest.mark.parametrize("rps", [3, 0.5])
def test_requests_a_second(rps):
    llm = ScriptedLLM(limits={"rps": rps})
    found = outcomes(llm, 32, every_s=0.125)
    assert llm.stats.most_in_any(1.0) == 8
    assert found.count("ok") == (12 if rps == 3 else 2)


# --- counted ----------------------------------------------------------------------------------------------------------
def test_who_comes_back_early_is_counted():
    def early(wait_s: float, **how: Any) -> int:
        llm = ScriptedLLM(faults=[Fault("rate_limited", first=1, retry_after_s=2, **how)])
        assert outcomes(llm, 2, every_s=wait_s) == ["rate_limited", "ok"]
        return llm.stats.early

    assert (early(1.9), early(2)) == (1, 0)
    assert (early(1.9, retry_after_as="ms"), early(2, retry_after_as="ms")) == (1, 0)
    assert (early(1.9, retry_after_as="date"), early(2, retry_after_as="date")) == (1, 0)


def test_a_date_is_never_too_early():
    llm = ScriptedLLM(faults=[Fault("rate_limited", retry_after_s=2, retry_after_as="date")])

    async def main():
        await asyncio.sleep(0.5)
        with pytest.raises(ScriptedFault) as caught:
            await llm.respond(asked())
        return caught.value.headers

    headers = run_virtual(main)
    assert headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert headers["retry-after"] == "Thu, 01 Jan 1970 00:00:03 GMT"


def test_other_models_are_not_held_back():
    llm = ScriptedLLM(faults=[Fault("rate_limited", first=1, retry_after_s=5)])

    async def main():
        await outcome(llm)
        await outcome(llm, asked(model="other"))

    run_virtual(main)
    assert llm.stats.early == 0
    assert llm.stats.by_model == {"m": 1, "other": 1}


def test_stats_are_json():
    import json

    llm = ScriptedLLM(limits={"rpm": 2})
    outcomes(llm, 3, every_s=1)
    told = json.loads(json.dumps(llm.stats.as_dict()))
    assert told["calls"] == 3
    assert told["arrivals_s"] == [0, 1, 2]
    assert told["by_status"] == {"200": 2, "429": 1}
    assert told["prompt_tokens"] == 12


# --- embeddings, rerank -----------------------------------------------------------------------------------------------
def test_embeddings_are_unit_vectors_of_the_text():
    llm = ScriptedLLM(embeddings={"dimensions": 8, "max_inputs": 3})
    body = run_virtual(lambda: llm.embed({"model": "e", "input": ["a", "b", "a"]}))
    a, b, again = (each["embedding"] for each in body["data"])
    assert a == again != b
    assert sum(x * x for x in a) == pytest.approx(1)
    assert a[0] == pytest.approx(
        run_virtual(lambda: ScriptedLLM().embed({"model": "e", "input": "a"}))["data"][0]["embedding"][0], abs=1
    )
    with pytest.raises(ScriptedFault, match="there may be 3"):
        run_virtual(lambda: llm.embed({"model": "e", "input": ["a"] * 4}))
    with pytest.raises(ScriptedFault, match="must be a text"):
        run_virtual(lambda: llm.embed({"model": "e", "input": []}))


def test_rerank_goes_by_words_in_common():
    body = {"model": "r", "query": "green tea", "documents": ["coffee", {"text": "Tea, green."}, "tea"], "top_n": 2}
    found = run_virtual(lambda: ScriptedLLM().rerank({**body, "return_documents": True}))
    assert [each["index"] for each in found["results"]] == [1, 2]
    assert found["results"][0]["relevance_score"] > found["results"][1]["relevance_score"] > 0
    assert found["results"][0]["document"] == {"text": "Tea, green."}


# --- with the engine --------------------------------------------------------------------------------------------------
def test_retries_and_limits_of_the_engine_understand_it():
    llm = ScriptedLLM(
        [Rule(answer=lambda request: request.text.upper())],
        faults=[Fault("rate_limited", first=5, retry_after_s=3), Fault("reset", every=7)],
        limits={"concurrency": 4, "rpm": 600},
        latency_s=(0.1, 0.3),
    )

    async def ask(word):
        body = await llm.respond(asked(word))
        return {"said": body["choices"][0]["message"]["content"]}

    with GraphNode(name="g") as graph:
        with MapNode(name="each", inputs={"word": Each(PARENT["words"])}) as each:
            CodeNode(
                name="ask", code_fn=ask, inputs={"*": PARENT}, outputs=PARENT,
                limit=Limit(concurrency=4), retry=Retry(max_attempts=8),
            )  # fmt: skip
        each["said"] >> PARENT["said"]

    async def main():
        async with leak_check():
            return await Hush(graph).run({"words": [f"w{place}" for place in range(50)]})

    assert run_virtual(main)["said"] == [f"W{place}" for place in range(50)]
    assert (llm.stats.early, llm.stats.violations, llm.stats.answered) == (0, 0, 50)
