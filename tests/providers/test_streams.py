"""Streams of servers that keep to the form more or less: whole answers stay whole, halves are errors."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hush.providers._clients._lenient import Joined
from hush.providers._clients._sse import Decoder
from hush.providers._model import ChatRequest
from hush.providers.errors import (
    BadReply,
    ProviderError,
    ProviderTimeout,
    RefusedByProvider,
    UnfinishedReply,
    Unreachable,
)
from kit.llm_forms import ANTHROPIC, FORMS, OPENAI, Said, chunk
from kit.llm_wire import CLOSE, HANG, RESET, answer, cut, event, serving, stream
from providers.contract import Heard, told

ASK = ChatRequest(messages=[{"role": "user", "content": "?"}])
SAID = Said(thinking=("考え",), content=("Xin chào ", "👩‍👩‍👧", " \u2028\u0085 end"), finish="length")
both = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


async def ask(form, *steps, request=ASK, streamed=True, **settings):
    """What is answered, what was heard, and how many connections were made for two such requests."""
    async with serving() as server:
        server.answers(*steps)
        client = form.client(server.url, **settings)
        try:
            heard = Heard()
            reply = await client.chat(request, heard if streamed else None)
        finally:
            await client.aclose()
            await server.until(lambda: not server.open)
        return reply, heard


async def fails(kind, form, *steps, **more):
    with pytest.raises(kind) as caught:
        await ask(form, *steps, **more)
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    return caught.value


# --- cut anywhere -----------------------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
async def test_a_stream_in_single_bytes_is_the_same(form, ends):
    data = b"".join(form.events(SAID)).replace(b"\n", ends)
    whole, _ = await ask(form, *answer(form.whole(SAID)), streamed=False)
    reply, heard = await ask(form, *stream([data[at : at + 1] for at in range(len(data))]))
    assert told(reply) == told(whole)
    assert heard.text("content") == "".join(SAID.content) == reply.content
    assert reply.thinking == "考え"


@both
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(places=st.lists(st.integers(0, 2000), max_size=6))
def test_a_stream_cut_anywhere_is_the_same(form, places):
    from hush.providers._clients._anthropic_reply import MessageReader
    from hush.providers._clients._failures import Failures
    from hush.providers._clients._openai_reply import ChatReader
    from hush.providers._clients._settings import ClientSettings

    reader = (ChatReader if form is OPENAI else MessageReader)(
        Failures(ClientSettings(vendor="openai", model="m")), Heard()
    )
    for part in cut(b"\xef\xbb\xbf: hello\n\n" + b"".join(form.events(SAID)), *places):
        reader.feed(part)
    reader.end()
    assert reader.reply().content == "".join(SAID.content)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_events_of_several_lines_are_read_byte_by_byte(ends):
    lines = [b"event: e", b"data: 1", b": no", b"data:2", b"data", b"nothing: x", b"", b"data: 3", b"", b"data: 4"]
    decoder, found = Decoder(), []
    for byte in ends.join(lines):
        found += decoder.feed(bytes([byte]))
    assert [*found, *decoder.end()] == [("e", "1\n2\n"), ("", "3"), ("", "4")]


async def test_a_character_in_two_escapes_may_come_in_two_parts():
    first, second = b'{"content": "a\\ud83d"}', b'{"content": "\\ude00b"}'
    events = [b'data: {"choices": [{"delta": %s}]}\n\n' % delta for delta in (first, second)]
    reply, heard = await ask(OPENAI, *stream([*events, chunk({}, "stop")]))
    assert reply.content == "a😀b" == heard.text("content")
    lone, _ = await ask(OPENAI, *stream([events[0], chunk({}, "stop")]))
    assert lone.content == "a\ufffd"  # half a character is none, and nobody could write it anywhere


# --- servers that take liberties --------------------------------------------------------------------------------------
@both
async def test_comments_pings_and_unknown_events_are_passed_over(form):
    noise = [
        b": OPENROUTER PROCESSING\n\n",
        b"\n\n\n",
        b"retry: 3\n\n",
        b"id: 7\n\n",
        event({"type": "novelty"}, "novelty"),
    ]
    parts = [part for each in form.events(SAID) for part in (*noise, each)]
    reply, _ = await ask(form, *stream(parts))
    assert reply.content == "".join(SAID.content)


@both
@pytest.mark.parametrize("last", [[], [CLOSE], [RESET]], ids=["ends", "close", "reset"])
async def test_done_may_be_missing_after_a_finish_reason(form, last):
    events = form.events(SAID)[:-1]
    reply, _ = await ask(form, *stream([*events, *last], ends=not last))
    assert reply.finish_reason == "length"
    assert reply.usage.output_tokens == 5


async def test_usage_may_be_missing():
    reply, _ = await ask(OPENAI, *stream([chunk({"content": "a"}), chunk({}, "stop"), event("[DONE]")]))
    assert reply.usage.input_tokens is None


async def test_events_without_a_line_between_them_are_read():
    lines = b"".join(OPENAI.events(SAID)).replace(b"\n\n", b"\n")
    reply, _ = await ask(OPENAI, *stream([lines]))
    assert reply.content == "".join(SAID.content)


@both
async def test_json_may_answer_a_request_for_a_stream(form):
    reply, heard = await ask(form, *answer(form.whole(SAID)))
    assert reply.content == heard.text("content") == "".join(SAID.content)


@both
async def test_a_stream_may_answer_a_request_for_json(form):
    reply, _ = await ask(form, *stream(form.events(SAID), kind="text/plain"), streamed=False)
    assert told(reply) == told((await ask(form, *answer(form.whole(SAID)), streamed=False))[0])


async def test_other_choices_are_passed_over():
    other = event({"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]})
    reply, _ = await ask(OPENAI, *stream([other, chunk({"content": "yes"}), chunk({}, "stop"), event("[DONE]")]))
    assert reply.content == "yes"


@pytest.mark.parametrize(
    ("message", "content", "thinking"),
    [
        ({"content": None}, "", None),
        ({}, "", None),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", None),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, "b"]}, "b", "t"),
        ({"content": "a", "reasoning": "t"}, "a", "t"),
        ({"content": "a", "reasoning": "t", "reasoning_content": "t"}, "a", "t"),
        ({"content": "<think>t</think>a"}, "<think>t</think>a", None),
        ({"content": {"text": "a"}}, "a", None),
        ({"content": "a", "reasoning_content": "", "refusal": None, "audio": None, "annotations": []}, "a", None),
    ],
)
async def test_contents_of_any_shape_are_read_the_same(message, content, thinking):
    whole = {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}
    parts = [event({"choices": [{"delta": message, "finish_reason": None}]}), chunk({}, "stop"), event("[DONE]")]
    for reply, _ in (await ask(OPENAI, *answer(whole), streamed=False), await ask(OPENAI, *stream(parts))):
        assert (reply.content, reply.thinking, reply.finish_reason) == (content, thinking, "stop")


async def test_a_refusal_is_told():
    reply, heard = await ask(
        OPENAI, *stream([chunk({"refusal": "I "}), chunk({"refusal": "won't."}), chunk({}, "stop")])
    )
    assert reply.refusal == "I won't." == heard.text("refusal")
    assert reply.content == ""


async def test_logprobs_are_joined():
    one, two = {"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}
    parts = [
        event({"choices": [{"delta": {"content": each["token"]}, "logprobs": {"content": [each], "refusal": None}}]})
        for each in (one, two)
    ]
    reply, _ = await ask(OPENAI, *stream([*parts, chunk({}, "stop")]))
    assert reply.logprobs == {"content": [one, two], "refusal": None}


# --- calls of tools ---------------------------------------------------------------------------------------------------
def fragment(**call):
    return chunk({"tool_calls": [call]})


@pytest.mark.parametrize(
    "fragments",
    [
        [  # by index, mixed
            fragment(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
            fragment(index=1, id="b", type="function", function={"name": "g", "arguments": '{"y"'}),
            fragment(index=0, function={"arguments": '{"x":'}),
            fragment(index=1, id="", function={"name": None, "arguments": ": 2}"}),
            fragment(index=0, id=None, function={"arguments": " 1}"}),
        ],
        [  # without an index
            fragment(index=None, id="a", function={"name": "f", "arguments": '{"x":'}),
            fragment(index=None, function={"arguments": " 1}"}),
            fragment(index=None, id="b", function={"name": "g", "arguments": '{"y": 2}'}),
        ],
        [  # whole calls, all with the index 0
            fragment(index=0, id="a", function={"name": "f", "arguments": '{"x": 1}'}),
            fragment(index=0, id="b", function={"name": "g", "arguments": '{"y": 2}'}),
        ],
        [  # the id and the name in each fragment
            fragment(index=0, id="a", function={"name": "f", "arguments": '{"x":'}),
            fragment(index=0, id="a", function={"name": "f", "arguments": " 1}"}),
            fragment(index=1, id="b", function={"name": "g", "arguments": '{"y": 2}'}),
        ],
    ],
    ids=["by index", "no index", "all at 0", "repeated"],
)
async def test_calls_are_put_together(fragments):
    reply, _ = await ask(OPENAI, *stream([*fragments, chunk({}, "tool_calls"), event("[DONE]")]))
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("a", "f", '{"x": 1}'),
        ("b", "g", '{"y": 2}'),
    ]


async def test_calls_without_ids_and_with_values_for_json_are_read():
    calls = [{"function": {"name": "f", "arguments": {"x": "é"}}}, {"function": {"name": "f", "arguments": None}}]
    whole = {"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    parts = [chunk({"tool_calls": calls}), chunk({}, "tool_calls")]
    for reply, _ in (await ask(OPENAI, *answer(whole), streamed=False), await ask(OPENAI, *stream(parts))):
        assert [(call.id, call.arguments) for call in reply.tool_calls] == [("call_0", '{"x":"é"}'), ("call_1", "")]


async def test_what_else_a_call_holds_is_kept():
    signed = {"extra_content": {"google": {"thought_signature": "s"}}}
    reply, _ = await ask(
        OPENAI,
        *stream([fragment(index=0, id="a", function={"name": "f", "arguments": "{}"}, **signed), chunk({}, "stop")]),
    )
    assert reply.tool_calls[0].extra == signed


# --- halves -----------------------------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_stream_that_ends_without_a_finish_reason_is_an_error(form, count):
    kind = UnfinishedReply if count else BadReply
    error = await fails(kind, form, *stream(form.events(SAID)[:count]))
    assert error.status_code == 502


@both
@pytest.mark.parametrize("last", [CLOSE, RESET])
async def test_a_stream_that_is_cut_off_is_an_error(form, last):
    await fails(Unreachable, form, *stream([*form.events(SAID)[:3], last], ends=False))


async def test_done_without_a_finish_reason_is_an_error():
    await fails(UnfinishedReply, OPENAI, *stream([chunk({"content": "a"}), event("[DONE]")]))


async def test_a_last_event_that_is_cut_is_no_event():
    half = chunk({"content": "b"})[:30]
    await fails(UnfinishedReply, OPENAI, *stream([chunk({"content": "a"}), half]))
    reply, _ = await ask(OPENAI, *stream([chunk({"content": "a"}), chunk({}, "stop"), half]))
    assert reply.content == "a"


async def test_an_event_that_is_no_json_is_an_error():
    error = await fails(BadReply, OPENAI, *stream([chunk({"content": "a"}), b"data: {oops\n\n", chunk({}, "stop")]))
    assert "{oops" in str(error)


@both
async def test_a_web_page_is_an_error(form):
    page = b"<!DOCTYPE html><html><head><title>502 Bad gateway</title></head><body>Ray ID</body></html>"
    for streamed in (True, False):
        error = await fails(BadReply, form, *answer(page, kind="text/html"), streamed=streamed)
        assert "502 Bad gateway" in str(error)
        assert "<" not in str(error)


@both
@pytest.mark.parametrize(
    "body",
    [b"", b"  ", b"{", b"[]", b"null", b"7", b"[" * 100_000, b"Internal error", {}, {"choices": []}, {"choices": None}],
)
async def test_what_is_no_answer_is_an_error(form, body):
    await fails(BadReply, form, *answer(body), streamed=False)


@pytest.mark.parametrize(
    "choice", [{"message": {"content": None}}, {"message": {"content": ""}, "finish_reason": ""}, {}, 7]
)
async def test_an_empty_choice_is_an_error(choice):
    await fails(BadReply, OPENAI, *answer({"choices": [choice]}), streamed=False)


async def test_an_empty_answer_with_a_finish_reason_is_one():
    reply, _ = await ask(OPENAI, *answer({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}))
    assert reply.content == ""
    reply, _ = await ask(OPENAI, *answer({"choices": [{"message": {"content": "a"}}]}), streamed=False)
    assert (reply.content, reply.finish_reason) == ("a", None)


@pytest.mark.parametrize("reason", ["error", "abort"])
async def test_an_answer_that_was_broken_off_is_an_error(reason):
    await fails(BadReply, OPENAI, *stream([chunk({"content": "a"}), chunk({}, reason), event("[DONE]")]))


# --- errors in the middle ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, 429),
        ({"error": {"code": "502", "message": "upstream"}}, 502),
        ({"error": {"type": "server_error", "message": "oops"}}, 500),
        ({"error": {"code": "context_length_exceeded", "message": "long"}}, 400),
        ({"object": "error", "message": "long", "type": "BadRequestError", "code": 400}, 400),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, 429),
    ],
)
@pytest.mark.parametrize("after", [0, 1])
async def test_an_error_in_a_stream_has_its_status(error, status, after):
    parts = [chunk({"content": "a"})] * after
    caught = await fails(RefusedByProvider, OPENAI, *stream([*parts, event(error), event("[DONE]")]))
    assert caught.status_code == status


async def test_an_error_without_a_status_is_a_bad_reply():
    for error in (event({"error": "something broke"}), b'error: {"message": "something broke"}\n\n'):
        caught = await fails(BadReply, OPENAI, *stream([chunk({"content": "a"}), error]))
        assert "something broke" in str(caught)
        assert caught.status_code == 502


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("timeout_error", 504)],
)
async def test_errors_of_anthropic_have_their_status(kind, status):
    error = {"type": "error", "error": {"type": kind, "message": "Overloaded"}}
    caught = await fails(RefusedByProvider, ANTHROPIC, *stream([*ANTHROPIC.events(SAID)[:4], event(error, "error")]))
    assert (caught.status_code, caught.code) == (status, kind)


async def test_an_error_in_a_choice_is_one():
    choice = {"delta": {"content": ""}, "finish_reason": "error", "error": {"code": 503, "message": "no one there"}}
    caught = await fails(RefusedByProvider, OPENAI, *stream([event({"choices": [choice]})]))
    assert caught.status_code == 503


# --- time -------------------------------------------------------------------------------------------------------------
@both
async def test_silence_in_a_stream_is_a_timeout(form):
    error = await fails(ProviderTimeout, form, *stream([*form.events(SAID)[:3], HANG], ends=False), silence_s=0.05)
    assert "0.05 s" in str(error)


@both
async def test_no_answer_in_time_is_a_timeout(form):
    for steps in ([HANG], stream([*form.events(SAID)[:3], HANG], ends=False)):
        error = await fails(ProviderTimeout, form, *steps, timeout_s=0.2)
        assert "0.2 s" in str(error)


@both
async def test_a_stream_that_is_complete_is_not_waited_for_for_ever(form):
    reply, _ = await ask(form, *stream([*form.events(SAID), HANG], ends=False), silence_s=0.05)
    assert reply.content == "".join(SAID.content)


# --- connections ------------------------------------------------------------------------------------------------------
@both
async def test_a_connection_is_used_again(form):
    async with serving(form.says(SAID)) as server:
        client = form.client(server.url)
        for number in range(6):
            await client.chat(ASK, Heard() if number % 2 else None)
        await client.aclose()
    assert server.connections == 1


@both
async def test_no_more_connections_than_allowed(form):
    opened = asyncio.Event()
    async with serving(lambda seen: [opened, *form.says(SAID)(seen)]) as server:
        client = form.client(server.url, max_connections=2)
        asking = [asyncio.create_task(client.chat(ASK)) for _ in range(6)]
        await server.until(lambda: len(server.seen) == 2)
        opened.set()
        await asyncio.gather(*asking)
        await client.aclose()
    assert server.connections == 2


@both
async def test_after_errors_of_all_kinds_all_connections_are_free(form):
    """With one connection, each request would wait for ever for one that is not given back."""
    bad = [
        answer(form.error("x", "no"), 500),
        answer(b"<html>", 200),
        stream(form.events(SAID)[:2]),
        stream([event({"error": {"code": 429}}), HANG], ends=False),
        stream([b"data: {oops\n\n\n", *form.events(SAID)]),
        [RESET],
        [CLOSE],
    ]
    async with serving() as server:
        client = form.client(server.url, max_connections=1)
        for steps in bad * 2:
            server.answers(*steps)
            with pytest.raises((BadReply, RefusedByProvider, Unreachable)):
                await client.chat(ASK, Heard())
        server.script = form.says(SAID)
        assert (await client.chat(ASK)).content == json.loads(json.dumps("".join(SAID.content)))
        await client.aclose()


@both
async def test_closing_ends_what_is_under_way(form):
    async with serving(lambda _: [HANG]) as server:
        client = form.client(server.url)
        asking = [asyncio.create_task(client.chat(ASK, heard)) for heard in (None, Heard())]
        await server.until(lambda: len(server.seen) == 2)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()  # it closes all the same
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert not [task for task in asyncio.all_tasks() if "aclose" in repr(task)]  # it has waited for the end
        await asyncio.wait(asking)
        assert all(isinstance(each.exception(), ProviderError) for each in asking)
        await server.until(lambda: not server.open)


async def test_http2_without_its_package_changes_nothing():
    reply, _ = await ask(OPENAI, *answer(OPENAI.whole(SAID)), http2=True)
    assert reply.content == "".join(SAID.content)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.lists(st.integers(0, 50), max_size=8))
def test_texts_cut_between_the_halves_of_characters_are_joined(text, places):
    units = text.encode("utf-16-le", "surrogatepass")
    joined, shown = Joined(), ""
    for part in cut(units, *(2 * place for place in places if 2 * place < len(units))):
        shown += joined.add(part.decode("utf-16-le", "surrogatepass"))
    shown += joined.end()
    assert str(joined) == shown == units.decode("utf-16-le", "replace")
