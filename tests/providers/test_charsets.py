"""Answers that are not in UTF-8, and streams that are lines of JSON: read, or refused with what came."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.providers._clients._charset import as_utf8, charset_of
from hush.providers._model import ChatRequest
from hush.providers.errors import BadReply, RefusedByProvider, UnfinishedReply
from kit.llm_forms import ANTHROPIC, FORMS, OPENAI, Said
from kit.llm_wire import answer, cut, serving, stream
from kit.model_places import asked
from kit.tiers import every_change
from providers.contract import Heard

SAID = Said(content=["Caf", "é à ", "Huế ", "ÿ"], thinking=["ça"], calls=[("c-1", "f", ['{"x":', '"é"}'])])
FRENCH = Said(content=["Caf", "é à ", "l’été ÿ"], thinking=["ça"])
REQUEST = {"messages": [{"role": "user", "content": "?"}]}


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def form(request):
    return request.param


def unescaped(data, charset):
    """JSON with its letters as they are, in a charset."""
    return json.dumps(data, ensure_ascii=False).encode(charset)


def rewritten(events, charset):
    """Events with their letters as they are, in a charset."""
    found = []
    for one in events:
        lines = one.decode().split("\n")
        for at, line in enumerate(lines):
            if line.startswith("data: {"):
                lines[at] = "data: " + json.dumps(json.loads(line[6:]), ensure_ascii=False)
        found.append("\n".join(lines).encode(charset))
    return found


async def ask(form, steps, *, streams, **settings):
    async with serving(lambda _: steps) as server:
        client, heard = form.client(server.url, **settings), Heard()
        try:
            return await client.chat(ChatRequest(**REQUEST), heard if streams else None), heard
        finally:
            await client.aclose()


@pytest.mark.parametrize("charset", ["iso-8859-15", "windows-1252", '"Windows-1252"', "UTF-8", "utf-16", "latin1"])
async def test_an_answer_in_a_charset_is_read_in_it(form, charset):
    said = FRENCH if charset.lower().strip('"') in ("windows-1252", "utf-8", "utf-16") else Said(content=["Café à ÿ"])
    body = unescaped(form.whole(said), charset.strip('"'))
    reply, _ = await ask(form, answer(body, kind=f"application/json; charset={charset}"), streams=False)
    assert reply.content == "".join(said.content)


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252"])
async def test_a_stream_in_a_charset_is_read_in_it(form, charset):
    said = FRENCH if charset == "windows-1252" else Said(content=["Caf", "é à", " ÿ"], thinking=["ça"])
    sent = b"".join(rewritten(form.events(said), charset))
    steps = stream(cut(sent, *range(0, len(sent), 7)), kind=f"text/event-stream;charset={charset}")
    reply, heard = await ask(form, steps, streams=True)
    assert (reply.content, reply.thinking) == ("".join(said.content), "ça")
    assert heard.text("content") == reply.content


async def test_who_says_latin_1_and_sends_utf_8_sends_utf_8(form):
    """As the defaults of some servers do."""
    kind = "application/json; charset=ISO-8859-1"
    reply, _ = await ask(form, answer(unescaped(form.whole(SAID), "utf-8"), kind=kind), streams=False)
    assert (reply.content, reply.tool_calls[0].arguments) == ("Café à Huế ÿ", '{"x":"é"}')


async def test_an_error_in_a_charset_is_read_in_it(form):
    body = unescaped(form.error("bad", "Clé refusée"), "latin-1")
    with pytest.raises(RefusedByProvider, match="Clé refusée"):
        await ask(form, answer(body, 400, kind="application/json; charset=latin-1"), streams=False)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_charset_that_nobody_knows_is_said(form, streams):
    steps = answer(unescaped(form.whole(FRENCH), "cp1252"), kind="application/json; charset=klingon")
    with pytest.raises(BadReply, match="a charset that nobody knows here: application/json; charset=klingon"):
        await ask(form, steps, streams=streams)


@every_change
@given(st.text(st.characters(codec="latin-1")), st.sampled_from(["latin-1", "cp1252", "utf-16", "utf-32-be", "utf-7"]))
def test_no_letter_is_lost(text, name):
    """But for what is valid UTF-8 as well: that is taken for what it nearly always is."""
    charset = charset_of(f"application/json; charset={name}")
    try:
        sent = text.encode(charset)
    except UnicodeEncodeError:
        return
    found = as_utf8(sent, charset).decode()
    assert found == text or found == sent.decode()


# --- lines of JSON ----------------------------------------------------------------------------------------------------
def lines_of(events):
    """What is in events, a line each."""
    data = [line[6:] for one in events for line in one.decode().split("\n") if line.startswith("data: ")]
    return "\n".join(data).encode()


KINDS = [
    "application/x-ndjson",
    "application/x-ndjson; charset=utf-8",
    "application/jsonl",
    "application/json",
    "text/plain",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [b"\n", b""])
async def test_lines_of_json_are_a_stream(form, kind, end):
    calls = Said(content=SAID.content, thinking=SAID.thinking, calls=SAID.calls, finish="tool_calls")
    sent = lines_of(form.events(calls)) + end
    reply, heard = await ask(form, stream(cut(sent, *range(0, len(sent), 11)), kind=kind), streams=True)
    assert (reply.content, reply.thinking, reply.finish_reason) == ("Café à Huế ÿ", "ça", "tool_calls")
    assert reply.tool_calls[0].arguments == '{"x":"é"}'
    assert (heard.text("content"), heard.text("thinking")) == (reply.content, "ça")
    assert reply.usage.input_tokens == 7


async def test_they_are_told_as_they_come(form):
    """The first line is heard while the server still holds the others back."""
    lines = [line + b"\n" for line in lines_of(form.events(FRENCH)).split(b"\n")]
    go = asyncio.Event()
    first = next(at for at, line in enumerate(lines) if b"Caf" in line) + 1
    steps = stream([*lines[:first], go, *lines[first:]], kind="application/x-ndjson")

    class Opens(Heard):
        def __call__(self, text, kind):
            super().__call__(text, kind)
            if text == "Caf":
                go.set()

    async with serving(lambda _: steps) as server:
        client = form.client(server.url)
        heard = Opens()
        reply = await client.chat(ChatRequest(**REQUEST), heard)
        await client.aclose()
    assert reply.content == heard.text("content") == "".join(FRENCH.content)


async def test_lines_that_end_early_are_no_answer(form):
    lines = lines_of(form.events(FRENCH)).split(b"\n")[:3]
    steps = stream([b"\n".join(lines)], kind="application/x-ndjson")
    with pytest.raises(UnfinishedReply, match=r"lines of JSON \(application/x-ndjson\), of which the first is: {"):
        await ask(form, steps, streams=True)


OLLAMA = [
    {"model": "m", "created_at": "x", "message": {"role": "assistant", "content": "Xin"}, "done": False},
    {"model": "m", "created_at": "x", "message": {"role": "assistant", "content": " chào"}, "done": False},
    {
        "model": "m",
        "created_at": "x",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
    },
]


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json"])
@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("streams", [False, True])
async def test_ollamas_own_form_is_refused_with_what_to_set(kind, most, streams):
    body = b"\n".join(json.dumps(one).encode() for one in OLLAMA[-most:])
    with pytest.raises(BadReply, match=r"Ollama's own form. Set base_url to its address with /v1"):
        await ask(OPENAI, answer(body, kind=kind), streams=streams)


async def test_json_that_is_none_is_refused_as_before():
    for body in (b'{"a": 1}\nnothing', b"[1,\n2", b'{"choices":\n'):
        with pytest.raises(BadReply, match="no JSON"):
            await ask(ANTHROPIC, answer(body), streams=False)


async def test_a_node_reads_lines(form):
    steps = stream([lines_of(form.events(FRENCH))], kind="application/x-ndjson")
    async with serving(lambda _: steps) as server:
        base = server.url if form is ANTHROPIC else f"{server.url}/v1"
        given = {"type": form.name, "base_url": base, "api_key": "k", "model": "m"}
        found = await asked({"llm:m": given}, streams=True)
    assert found["content"] == "".join(FRENCH.content)
