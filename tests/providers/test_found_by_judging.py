"""Ways of providers that were found by servers which misbehave, each of which cost an answer, a request or a hint."""

from __future__ import annotations

import json
import time
from array import array
from base64 import b64encode
from typing import Any

import pytest

from hush.core import Hush, Retry
from hush.core._runtime._signals import signal_of
from hush.providers._clients._embedding import EmbeddingClient
from hush.providers._clients._settings import ClientSettings
from hush.providers._clients._told import told_of
from hush.providers._model import ChatRequest
from hush.providers.errors import AnswerMismatch, BadReply, ProviderTimeout, RefusedByProvider, Unreachable
from kit.llm_forms import ANTHROPIC, OPENAI, chunk
from kit.llm_wire import CLOSE, HANG, Steps, answer, event, serving, stream
from kit.model_places import SOON, asked, asking

TOOL = {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}
SHAPE = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
ASKED = ChatRequest(messages=[{"role": "user", "content": "?"}])
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
BOTH = pytest.mark.parametrize("streams", [False, True])


def said(message: dict[str, Any], reason: Any = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"id": "a", "model": "m", "choices": [choice], "usage": USAGE, **more}


def message(blocks: list[dict[str, Any]], reason: str = "tool_use") -> dict[str, Any]:
    usage = {"input_tokens": 7, "output_tokens": 5}
    return {
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks,
        "stop_reason": reason,
        "usage": usage,
    }


def call(arguments: Any, call_id: str = "c") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


async def given(*steps: Steps, kind: str = "openai", streams: bool = False, **more: Any) -> tuple[dict[str, Any], int]:
    """What a node gives of these answers, the last of which is repeated, and how many requests there were."""
    async with serving(lambda seen: steps[min(seen.number, len(steps)) - 1]) as server:
        base = server.url if kind == "anthropic" else f"{server.url}/v1"
        settings = {"type": kind, "base_url": base, "api_key": "k", "model": "m", **more.pop("settings", {})}
        found = await asked({"llm:m": settings}, stream=streams, **more)
        return found, len(server.seen)


async def refused(*steps: Steps, error: type[Exception] = RefusedByProvider, **more: Any) -> str:
    with pytest.raises(error) as caught:
        await given(*steps, retry=Retry(max_attempts=1), **more)
    return str(caught.value)


# --- an answer that is none -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reason",
    [
        "insufficient_system_resource",  # DeepSeek
        "network_error",  # Zhipu
        "function_call_filter: MALFORMED_FUNCTION_CALL",  # Gemini
        "MALFORMED_FUNCTION_CALL",
        "ERROR",
        "canceled",
    ],
)
@BOTH
async def test_half_an_answer_is_never_a_success(reason, streams):
    half = stream([chunk({"content": "Ha"}), chunk({}, reason), event("[DONE]")])
    whole = stream([chunk({"content": "Whole."}, "stop"), event("[DONE]")])
    found, requests = await given(half, whole, streams=streams)
    assert (found["content"], found["attempts"], requests) == ("Whole.", 2, 2)


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        ("STOP", "stop"),
        ("Tool_Calls", "tool_calls"),
        ("COMPLETE", "stop"),
        ("model_length", "length"),
        ("content_filter: SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("sensitive", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("Something New", "Something New"),
    ],
)
async def test_a_finish_reason_is_told_in_openais_words(reason, meant):
    found, requests = await given(answer(said({"content": "a"}, reason)))
    assert (found["finish_reason"], requests) == (meant, 1)


@pytest.mark.parametrize(
    "after",
    [
        event({"error": {"message": "late", "code": 500}}),
        event({"error": {"message": "late"}}, "error"),
        b'data: {"broken\n\n',
        event([1]),
    ],
)
async def test_what_goes_wrong_after_an_answer_costs_no_second_one(after):
    """It was whole, and is paid for."""
    steps = stream([chunk({"content": "Whole."}), chunk({}, "stop"), after, event("[DONE]")])
    found, requests = await given(steps, streams=True)
    assert (found["content"], found["attempts"], requests) == ("Whole.", 1, 1)


# --- calls of tools ---------------------------------------------------------------------------------------------------
async def test_calls_of_one_answer_are_as_many_as_it_lists():
    calls = [call('{"n":1}'), call('{"n":2}'), call('{"n":3}', "")]
    found, requests = await given(answer(said({"tool_calls": calls}, "tool_calls")), inputs={"tools": [TOOL]})
    assert ([one["arguments"] for one in found["tool_calls"]], requests) == ([{"n": 1}, {"n": 2}, {"n": 3}], 1)


async def test_calls_of_one_answer_of_anthropics_are_as_many_as_it_lists():
    blocks = [
        {"type": "tool_use", "id": "c", "name": "f", "input": given} for given in ({"n": 1}, {"n": 2}, '{"n": 3}')
    ]
    found, requests = await given(answer(message(blocks)), kind="anthropic", inputs={"tools": [TOOL]})
    assert ([one["arguments"] for one in found["tool_calls"]], requests) == ([{"n": 1}, {"n": 2}, {"n": 3}], 1)


@pytest.mark.parametrize("arguments", [json.dumps('{"n": 1}'), json.dumps(' {"n": 1}'), '\n{"n":\t1}', {"n": 1}])
@BOTH
async def test_arguments_that_are_written_twice_cost_no_second_answer(arguments, streams):
    steps = stream([chunk({"tool_calls": [{"index": 0, **call(arguments)}]}), chunk({}, "tool_calls")])
    found, requests = await given(steps, streams=streams, inputs={"tools": [TOOL]})
    assert ([one["arguments"] for one in found["tool_calls"]], requests) == ([{"n": 1}], 1)


async def test_no_arguments_may_be_null():
    bare = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    found, requests = await given(answer(said({"tool_calls": [call("null")]}, "tool_calls")), inputs={"tools": [bare]})
    assert ([one["arguments"] for one in found["tool_calls"]], requests) == ([{}], 1)


@pytest.mark.parametrize("arguments", ['"{"', '"1"', '"[1]"', '{"n": "one"}', "null"])
async def test_other_arguments_are_sent_back_once_and_then_shown(arguments):
    async with serving(lambda _: answer(said({"tool_calls": [call(arguments)]}, "tool_calls"))) as server:
        settings = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m"}
        with pytest.raises(AnswerMismatch) as caught:
            await asked({"llm:m": settings}, inputs={"tools": [TOOL]})
    assert len(server.seen) == 2
    assert repr(f"f({arguments})") in str(caught.value)


SLIP = "Failed to call a function. See 'failed_generation' for more details."


@pytest.mark.parametrize(
    ("code", "inputs"), [("tool_use_failed", "tools"), ("json_validate_failed", "response_format")]
)
@BOTH
async def test_what_a_model_slipped_at_and_the_server_kept_is_asked_for_once_more(code, inputs, streams):
    """Groq's 400 is the model's mistake, and nobody's who asked."""
    given_ = {"tools": {"tools": [TOOL]}, "response_format": {"response_format": SHAPE}}[inputs]
    slip = answer({"error": {"message": SLIP, "type": "invalid_request_error", "code": code}}, 400)
    good = {"tool_calls": [call('{"n":1}')]} if inputs == "tools" else {"content": '{"a": 1}'}
    found, requests = await given(slip, answer(said(good)), streams=streams, inputs=given_)
    assert (found["attempts"], requests) == (2, 2)
    async with serving(lambda _: slip) as server:
        settings = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m"}
        with pytest.raises(RefusedByProvider, match="Failed to call"):
            await asked({"llm:m": settings}, inputs=given_)
    assert len(server.seen) == 2
    assert [len(seen.json["messages"]) for seen in server.seen] == [1, 2]


# --- data -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "parsed"),
    [
        ('<think>It is {"a": 2}.\n</think>\n\n{"a": 1}', {"a": 1}),
        ('<think></think>```json\n{"a": 1}\n```', {"a": 1}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
        ({"a": 1}, {"a": 1}),
    ],
)
async def test_data_is_found_where_it_is(content, parsed):
    found, requests = await given(answer(said({"content": content})), inputs={"response_format": SHAPE})
    assert (found["parsed"], requests) == (parsed, 1)


async def test_text_is_given_as_it_came():
    text = "<think>Hm.</think>Yes."
    found, _ = await given(answer(said({"content": text})))
    assert (found["content"], found["thinking_content"]) == (text, None)


# --- tokens -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "cached", "written"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 4}}, 4, None),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 3}, 4, None),
        ({"cached_tokens": 4}, 4, None),
        ({"cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}, 4, 2),
        ({"prompt_tokens_details": None, "cached_tokens": "4"}, 4, None),
    ],
)
async def test_cached_tokens_are_counted_in_each_spelling(more, cached, written):
    found, _ = await given(answer({**said({"content": "a"}), "usage": {**USAGE, **more}}))
    assert (found["usage"]["cached_tokens"], found["usage"]["cache_write_tokens"]) == (cached, written)


async def test_usage_may_stand_in_the_last_choice_of_a_stream():
    last = {"id": "a", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}
    found, _ = await given(stream([chunk({"content": "a"}), event(last), event("[DONE]")]), streams=True)
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (7, 5)


# --- when to come back ------------------------------------------------------------------------------------------------
async def retry_after_s(body: Any, status: int = 429, **headers: str) -> float | None:
    async with serving(lambda _: answer(body, status, headers)) as server:
        client = OPENAI.client(server.url)
        with pytest.raises(RefusedByProvider) as caught:
            await client.chat(ASKED)
        await client.aclose()
    return signal_of(caught.value).retry_after_s


async def test_openrouter_says_it_in_the_body():
    """https://openrouter.ai/docs/api-reference/limits: there is no header."""
    reset = str(int(time.time() * 1000) + 42_000)
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    error = {"code": 429, "message": "Rate limit exceeded", "metadata": {"headers": headers}}
    found = await retry_after_s({"error": error})
    assert found is not None
    assert 30 < found <= 42
    behind = {"code": 429, "message": "x", "metadata": {"headers": {"Retry-After": "9"}}}
    assert await retry_after_s({"error": behind}, 200) == 9
    assert await retry_after_s({"error": behind}, **{"retry-after": "3"}) == 3  # its own comes first


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("Rate limit reached for m. Please try again in 1.5s. Visit x.", 1.5),
        ("Please try again in 6m0s.", 360),
        ("Please retry after 20 seconds.", 20),
        ("please Retry in 38.5s", 38.5),
        ("try again in 120ms", 0.12),
        ("try again in 1 hour, 2 minutes and 3 seconds", 3723),
        ("try again in 5 moons", None),
        ("try again in 7", None),
        ("Please try again later.", None),
        ("try again in 0s", None),
    ],
)
async def test_some_say_it_in_words_alone(text, after_s):
    assert told_of({"error": {"message": text}}).wording_s == after_s
    if after_s is not None:
        assert await retry_after_s({"error": {"message": text}}) == pytest.approx(after_s)
        assert await retry_after_s({"error": {"message": text}}, **{"retry-after": "3"}) == 3
        assert await retry_after_s({"error": {"message": text}}, 400) is None


# --- what to do -------------------------------------------------------------------------------------------------------
PAGE = answer(b"<html><title>Sign in</title></html>", kind="text/html")


@pytest.mark.parametrize(
    ("steps", "kind", "words"),
    [
        (answer(b"<title>413 Too Large</title>", 413), "openai", "shorten the messages"),
        (
            answer({"error": {"message": "no", "code": "context_length_exceeded"}}, 400),
            "openai",
            "shorten the messages",
        ),
        (answer({"error": {"message": "prompt is too long: 9 > 8"}}, 400), "anthropic", "shorten the messages"),
        (answer({"error": {"message": "Your credit balance is too low"}}, 400), "anthropic", "nothing left to spend"),
        (answer({"error": {"message": "Insufficient balance"}}, 403), "openai", "nothing left to spend"),
        (answer({"error": {"message": "Your input was flagged"}}, 403), "openai", "it is the messages that it refuses"),
        (answer({"error": {"message": "no access"}}, 403), "openai", "Look at api_key of llm:m"),
    ],
)
async def test_a_refusal_says_what_to_do(steps, kind, words):
    assert words in await refused(steps, kind=kind)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (answer({"error": "Unexpected endpoint or method. (POST /chat/completions)"}), "look at model and base_url"),
        (
            answer({"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, 429),
            "nothing left to spend",
        ),
        (answer({"error": {"type": "exceeded_current_quota_error", "message": "x"}}, 429), "nothing left to spend"),
    ],
)
async def test_what_waiting_does_not_mend_is_asked_once(steps, words, streams):
    async with serving(lambda _: steps) as server:
        settings = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m"}
        with pytest.raises(RefusedByProvider, match=words):
            await asked({"llm:m": settings}, streams=streams)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "steps",
    [
        answer({"error": {"message": "Flex tier capacity exceeded"}}, 498),
        answer({"error": "Model is overloaded", "error_type": "overloaded"}),
        answer({"error": {"type": "engine_overloaded_error", "message": "The engine is currently overloaded"}}),
    ],
)
async def test_what_waiting_mends_is_asked_again(steps):
    found, requests = await given(steps, answer(said({"content": "a"})))
    assert (found["content"], found["attempts"], requests) == ("a", 2, 2)


@BOTH
async def test_a_web_page_names_the_address(streams):
    for kind, end in (("openai", "; most end in /v1."), ("anthropic", " of llm:m.")):
        text = await refused(PAGE, kind=kind, error=BadReply, streams=streams)
        assert "a web page: Sign in" in text
        assert "Look at base_url" in text
        assert text.endswith(end)


async def test_the_form_of_another_vendor_is_recognised():
    text = await refused(answer(said({"content": "a"})), kind="anthropic", error=BadReply)
    assert "write type: openai" in text
    text = await refused(answer(message([{"type": "text", "text": "a"}], "end_turn")), error=BadReply)
    assert "write type: anthropic" in text


async def test_who_is_too_slow_is_told_which_time_was_over():
    slow = {"timeout_s": 0.05}
    assert "set a greater timeout_s of llm:m" in await refused([HANG], error=ProviderTimeout, settings=slow)
    still = stream([chunk({"content": "a"}), HANG])
    text = await refused(still, error=ProviderTimeout, streams=True, settings={"silence_timeout_s": 0.05})
    assert "set a greater silence_timeout_s of llm:m" in text


async def test_a_server_that_is_not_there_and_one_that_leaves_are_told_apart():
    text = await refused([CLOSE], error=Unreachable)
    assert "base_url" not in text
    with pytest.raises(Unreachable, match=r"no connection to http://127.0.0.1:9/v1.*\n.*base_url of llm:m right"):
        await asked({"llm:m": {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}}, retry=SOON)


async def test_a_resource_that_has_no_name_is_called_so():
    async with serving(lambda _: PAGE) as server:
        client = ANTHROPIC.client(server.url, resource="")
        with pytest.raises(BadReply, match="Look at base_url of the resource"):
            await client.chat(ASKED)
        await client.aclose()


# --- vectors ----------------------------------------------------------------------------------------------------------
async def embedded(body: Any, count: int = 2) -> Any:
    async with serving(lambda _: answer(body)) as server:
        settings = ClientSettings(vendor="openai", model="m", resource="embedding:m", base_url=f"{server.url}/v1")
        client = EmbeddingClient(settings)
        try:
            return (await client.embed(["a", "b"][:count])).vectors
        finally:
            await client.aclose()


def rows(*vectors: Any) -> dict[str, Any]:
    return {"data": [{"embedding": one} for one in vectors]}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (rows([1.0], [float("nan")]), "none, at place 1"),
        (rows([1.0], [float("inf")]), "none, at place 1"),
        (rows([1.0], [float("inf"), float("-inf")]), "none, at place 1"),
        (rows([1.0], b64encode(array("f", [float("nan")]).tobytes()).decode()), "none, at place 1"),
        (rows([1.0], [1.0, 2.0]), "of different lengths"),
        (rows([1.0], []), "none, at place 1"),
    ],
)
async def test_vectors_that_are_none_are_no_answer(body, wrong):
    with pytest.raises(BadReply, match=wrong):
        await embedded(body)


# --- words ------------------------------------------------------------------------------------------------------------
async def test_no_word_holds_half_a_character():
    """It could be written nowhere: not into a cache, a trace or the next request."""
    body = said({"role": "\ud800", "tool_calls": [call("{}", "c\udc00")]}, "ế\ud800", model="m\ud800")
    bare = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    found, _ = await given(answer(body), inputs={"tools": [bare]})
    json.dumps(found, ensure_ascii=False, default=str).encode()
    assert (found["finish_reason"], found["tool_calls"][0]["id"]) == ("ế?", "c?")


# --- connections ------------------------------------------------------------------------------------------------------
FAREWELL = answer(b"<html>408</html>", 408, {"connection": "close"}, kind="text/html")
TIMED_OUT = answer({"error": {"message": "timed out"}}, 408, {"connection": "close"})


@pytest.mark.parametrize(("said_first", "attempts", "requests"), [(FAREWELL, 1, 3), (TIMED_OUT, 2, 3)])
async def test_a_farewell_to_nobody_is_no_answer(said_first, attempts, requests):
    """On a kept connection a proxy says that it closes it, just when it is used again; an API's own 408 is one."""

    def script(seen):
        return [*said_first, CLOSE] if seen.number == 2 else answer(said({"content": "a"}))

    async with serving(script) as server:
        settings = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m"}
        async with Hush(asking(retry=SOON), resources={"llm:m": settings}) as engine:
            found = [await engine.run({"messages": "?"}) for _ in range(2)]
    assert [one["attempts"] for one in found] == [1, attempts]
    assert (len(server.seen), server.connections, len(server.open)) == (requests, 2, 0)


async def test_a_new_connection_has_nobody_to_say_farewell_to():
    found, requests = await given([*FAREWELL, CLOSE], answer(said({"content": "a"})))
    assert (found["attempts"], requests) == (2, 2)
