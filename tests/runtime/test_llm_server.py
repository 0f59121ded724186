"""The scripted model behind a real socket: what comes back byte for byte, and how connections end."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.request
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from hush.testing import Fault, Reply, Rule, ScriptedLLM, leak_check, llm_server
from kit.raw_http import Raw, exchanged, post, read

CHAT = "/v1/chat/completions"


def asked(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def answer(llm: ScriptedLLM, body: Any = None, path: str = CHAT, **headers: str) -> Raw:
    async with llm_server(llm) as url:
        return await exchanged(url, post(path, asked() if body is None else body, **headers))


def texts(raw: Raw) -> str:
    chunks = [json.loads(each) for each in raw.events() if each.startswith("{")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


# --- answers ----------------------------------------------------------------------------------------------------------
async def test_a_body_and_a_stream():
    raw = await answer(ScriptedLLM("größer"))
    assert (raw.status, raw.end, raw.headers["content-type"]) == (200, "whole", "application/json")
    assert raw.json()["choices"][0]["message"]["content"] == "größer"
    raw = await answer(ScriptedLLM("größer " * 9), asked(stream=True))
    assert (raw.status, raw.end) == (200, "whole")
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert texts(raw) == "größer " * 9
    assert raw.events()[-1] == "[DONE]"
    assert len(raw.pieces) > 5


async def test_a_connection_is_kept_and_takes_requests_in_pieces_and_in_chunks():
    async with llm_server(ScriptedLLM()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        request = post(CHAT, asked("one"))
        for byte in range(0, len(request), 7):
            writer.write(request[byte : byte + 7])
            await asyncio.sleep(0)
        assert "one" in (await read(reader)).body.decode()
        data = json.dumps(asked("two")).encode()
        chunked = b"%x;ext=1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, data[:9], len(data) - 9, data[9:])
        writer.write(b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % CHAT.encode() + chunked)
        assert "two" in (await read(reader)).body.decode()
        writer.write(post(CHAT, asked("three")) + post(CHAT, asked("four")))
        assert ["three" in (await read(reader)).body.decode(), "four" in (await read(reader)).body.decode()] == [
            True
        ] * 2
        writer.write(post(CHAT, asked("five"), connection="close"))
        assert (await read(reader)).end == "whole"
        assert await reader.read() == b""
        writer.close()


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection():
    request = post(CHAT, asked(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with llm_server(ScriptedLLM("some words")) as url:
        raw = await exchanged(url, request)
    assert "transfer-encoding" not in raw.headers
    assert texts(raw) == "some words"


async def test_expect_is_answered():
    async with llm_server(ScriptedLLM()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        head, _, body = post(CHAT, asked(), expect="100-continue").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await read(reader)).status == 200
        writer.close()


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/v1/embeddings", {"model": "e", "input": ["a", "b"]}, "data"),
        ("/v1/rerank", {"model": "r", "query": "a", "documents": ["a"]}, "results"),
        ("/v2/rerank", {"model": "r", "query": "a", "documents": ["a"]}, "results"),
        (
            "/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            {"messages": asked()["messages"]},
            "choices",
        ),
        ("/api/v1/chat/completions", asked(), "choices"),
        ("/chat/completions", asked(), "choices"),
        ("/v1/messages", asked(max_tokens=5), "content"),
        ("/v1/messages/count_tokens", asked(), "input_tokens"),
    ],
)
async def test_routes(path, body, found):
    raw = await answer(ScriptedLLM(), body, path)
    assert raw.status == 200, raw.body
    assert found in raw.json()


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/chat/completion", {}, 404, "Unknown request URL"),
        ("/openai/deployments/gpt/chat/completions", asked(), 404, "api-version"),
        (CHAT, b"{", 400, "could not parse the JSON"),
        (CHAT, [], 400, "no object"),
        (CHAT, {"messages": asked()["messages"]}, 400, "model"),
        ("/v1/messages", asked(), 400, "max_tokens"),
    ],
)
async def test_wrong_requests_are_refused(path, body, status, says):
    raw = await answer(ScriptedLLM(), body, path)
    assert raw.status == status
    assert says in raw.json()["error"]["message"]


@pytest.mark.parametrize(
    "request_",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"],
)
async def test_what_is_no_http_is_refused_and_the_connection_closed(request_):
    async with llm_server(ScriptedLLM()) as url:
        raw = await exchanged(url, request_)
    assert (raw.status, raw.headers["connection"]) == (400, "close")


async def test_the_api_key_is_asked_for():
    llm = ScriptedLLM(api_key="right")
    assert (await answer(llm)).status == 401
    assert (await answer(llm, authorization="Bearer wrong")).status == 401
    assert (await answer(llm, authorization="Bearer right")).status == 200
    assert (await answer(llm, api_key="right")).status == 200
    assert (await answer(llm, asked(max_tokens=3), "/v1/messages", x_api_key="right")).status == 200


async def test_only_the_models_that_there_are():
    llm = ScriptedLLM(models=["m", "n"])
    assert (await answer(llm)).status == 200
    assert (await answer(llm, {**asked(), "model": "other"})).status == 404
    async with llm_server(llm) as url:
        raw = await exchanged(url, b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert [each["id"] for each in raw.json()["data"]] == ["m", "n"]
        assert (await exchanged(url, b"GET /v1/models/n HTTP/1.1\r\n\r\n")).status == 200
        assert (await exchanged(url, b"GET /v1/models/x HTTP/1.1\r\n\r\n")).status == 404


async def test_stats_and_reset():
    async with llm_server(ScriptedLLM(faults=[Fault(503, first=1)])) as url:
        for _ in range(2):
            await exchanged(url, post(CHAT, asked()))
        stats = (await exchanged(url, b"GET /stats HTTP/1.1\r\n\r\n")).json()
        assert (stats["calls"], stats["answered"], stats["by_status"]) == (2, 1, {"503": 1, "200": 1})
        assert stats["bytes_in"] > 0 < stats["bytes_out"]
        await exchanged(url, post("/reset", {}))
        assert (await exchanged(url, b"GET /stats HTTP/1.1\r\n\r\n")).json()["calls"] == 0
        assert (await exchanged(url, post(CHAT, asked()))).status == 503


async def test_a_function_that_raises_is_an_error_that_says_so():
    def fail(request):
        raise KeyError("mine")

    raw = await answer(ScriptedLLM([Rule(answer=fail)]))
    assert raw.status == 500
    assert "KeyError: 'mine'" in raw.json()["error"]["message"]


# --- faults -----------------------------------------------------------------------------------------------------------
async def broken(fault: Any, *, stream: bool = False, path: str = CHAT, text: str = "0123456789" * 4) -> Raw:
    llm = ScriptedLLM(Reply(text), faults=[fault])
    raw = await answer(llm, asked(stream=stream, max_tokens=9), path)
    kind = fault.kind if isinstance(fault, Fault) else fault
    assert llm.stats.faults[kind] == 1
    assert llm.stats.at_once == 0
    return raw


@pytest.mark.parametrize("stream", [False, True])
async def test_connections_that_end_before_an_answer(stream):
    assert (await broken("reset", stream=stream)).end == "reset"
    raw = await broken("close", stream=stream)
    assert (raw.end, raw.status) == ("closed", 0)
    raw = await broken("reset_after_headers", stream=stream)
    assert (raw.end, raw.status, raw.body) == ("reset", 200, b"") or raw.end == "reset"
    with pytest.raises(TimeoutError):
        async with llm_server(ScriptedLLM(faults=["timeout"])) as url:
            await exchanged(url, post(CHAT, asked(stream=stream)), within_s=0.05)


async def test_half_a_body_with_the_length_of_the_whole():
    raw = await broken("half_body")
    assert (raw.end, raw.status) == ("closed", 200)
    assert 0 < len(raw.body) < int(raw.headers["content-length"])


async def test_half_streams():
    raw = await broken("half_stream", stream=True)
    assert raw.end == "whole"
    assert "[DONE]" not in raw.events()
    assert '"finish_reason": "stop"' not in raw.body.decode()
    assert 0 < len(texts(raw)) < 40
    raw = await broken("half_body", stream=True)
    assert raw.end == "closed"
    assert 0 < len(texts(raw)) < 40
    raw = await broken("no_done", stream=True)
    assert '"finish_reason": "stop"' in raw.events()[-1]


async def test_a_body_that_is_reset_and_one_that_stalls():
    for stream in (False, True):
        assert (await broken("reset_in_stream", stream=stream)).end == "reset"
        llm = ScriptedLLM("0123456789" * 4, faults=["stalled_stream"])
        async with llm_server(llm) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            writer.write(post(CHAT, asked(stream=stream)))
            assert b"01234" in await reader.readuntil(b"01234")
            assert llm.stats.at_once == 1
            writer.close()
            await until(lambda llm=llm: llm.stats.at_once == 0)
        assert llm.stats.abandoned == 1


async def test_an_error_in_the_middle_of_a_stream():
    raw = await broken("error_in_stream", stream=True)
    assert raw.end == "whole"
    assert json.loads(raw.events()[-1])["error"] == {"code": 502, "message": "Provider returned error"}
    raw = await broken(Fault("error_in_stream", body={"error": {"message": "mine"}}), stream=True)
    assert json.loads(raw.events()[-1]) == {"error": {"message": "mine"}}
    raw = await broken("error_in_stream", stream=True, path="/v1/messages")
    assert raw.body.decode().rstrip().rpartition("\n\n")[2].startswith("event: error\n")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_json_and_what_is_an_error_in_spite_of_its_status(stream):
    raw = await broken("html", stream=stream)
    assert (raw.status, raw.headers["content-type"]) == (502, "text/html")
    assert b"<h1>502 Bad Gateway</h1>" in raw.body
    assert (await broken(Fault("html", status=200), stream=stream)).status == 200
    raw = await broken("error_in_200", stream=stream)
    assert (raw.status, raw.json()["error"]["code"]) == (200, 502)
    raw = await broken("bad_json", stream=stream)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(raw.events()[-1] if stream else raw.body)


async def test_characters_are_cut_in_their_middle():
    for stream in (False, True):
        raw = await broken("split_bytes", stream=stream, text="é€😀" * 3)
        assert raw.end == "whole"
        whole = texts(raw) if stream else raw.json()["choices"][0]["message"]["content"]
        assert whole == "é€😀" * 3
    with pytest.raises(UnicodeDecodeError):
        for piece in raw.pieces:
            piece.decode()


async def test_comments_and_line_ends_of_a_stream():
    raw = await broken("keep_alives", stream=True)
    assert raw.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert raw.body.count(b": OPENROUTER PROCESSING") > 3
    assert texts(raw) == "0123456789" * 4
    raw = await broken("crlf", stream=True)
    assert b"\r\n\r\n" in raw.body
    assert b"\n\n" not in raw.body
    assert texts(raw) == "0123456789" * 4


@pytest.mark.parametrize(
    ("how", "header"),
    [
        ({}, None),
        ({"retry_after_s": 1.5}, ("retry-after", "1.5")),
        ({"retry_after_s": 7}, ("retry-after", "7")),
        ({"retry_after_s": 1.5, "retry_after_as": "ms"}, ("retry-after-ms", "1500")),
    ],
)
async def test_retry_after(how, header):
    raw = await broken(Fault("rate_limited", **how))
    assert raw.status == 429
    assert raw.json()["error"]["code"] == "rate_limit_exceeded"
    told = {name: value for name, value in raw.headers.items() if name.startswith("retry-after")}
    assert told == ({} if header is None else dict([header]))


async def test_retry_after_as_a_date():
    raw = await broken(Fault("rate_limited", retry_after_s=30, retry_after_as="date"))
    then, now = (parsedate_to_datetime(raw.headers[name]) for name in ("retry-after", "date"))
    assert 30 <= (then - now).total_seconds() <= 31


async def test_headers_of_limits():
    raw = await answer(ScriptedLLM(limits={"rpm": 60, "tpm": 1000}))
    assert raw.headers["x-ratelimit-limit-requests"] == "60"
    assert raw.headers["x-ratelimit-remaining-requests"] == "59"
    assert re.fullmatch(r"1m0s|59\.\d+s", raw.headers["x-ratelimit-reset-requests"])
    raw = await answer(ScriptedLLM(limits={"rpm": 60}), asked(max_tokens=3), "/v1/messages")
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "59"
    assert datetime.fromisoformat(raw.headers["anthropic-ratelimit-requests-reset"]).tzinfo is not None


async def test_who_comes_back_early_on_the_same_connection_is_known_at_once():
    llm = ScriptedLLM(faults=[Fault("rate_limited", first=1, retry_after_s=30)])
    async with llm_server(llm) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        for _ in range(2):
            writer.write(post(CHAT, asked()))
            await read(reader)
        writer.close()
        await exchanged(url, post(CHAT, asked()))  # may have been on its way
    assert llm.stats.early == 1


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the server, on this same loop, is about to do."""
    while not holds():  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0)


# --- many, and the end ------------------------------------------------------------------------------------------------
async def test_two_hundred_connections_at_once():
    llm = ScriptedLLM(latency_s=0.3, limits={"concurrency": 200})
    async with llm_server(llm) as url:
        found = await asyncio.gather(
            *[
                exchanged(url, post(CHAT, asked(f"n{place}", stream=place % 2 == 0)), within_s=30)
                for place in range(200)
            ]
        )
    assert [raw.end for raw in found] == ["whole"] * 200
    assert llm.stats.violations == 0
    assert all(f"n{place}" in (texts(raw) or raw.body.decode()) for place, raw in enumerate(found))


async def test_the_end_of_the_block_cuts_what_is_under_way_and_leaves_nothing():
    llm = ScriptedLLM(faults=["timeout"])
    async with leak_check():
        async with llm_server(llm) as url:
            call = asyncio.ensure_future(exchanged(url, post(CHAT, asked())))
            await until(lambda: llm.stats.at_once == 1)
        assert (await call).end in ("reset", "closed")
        assert (llm.stats.at_once, llm.stats.abandoned) == (0, 1)


async def test_a_client_that_leaves_gives_its_place_back():
    llm = ScriptedLLM(faults=["timeout"], limits={"concurrency": 1})
    async with llm_server(llm) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(post(CHAT, asked()))
        await until(lambda: llm.stats.at_once == 1)
        writer.close()
        await until(lambda llm=llm: llm.stats.at_once == 0)
    assert llm.stats.abandoned == 1


def test_a_plain_with_serves_blocking_clients():
    llm = ScriptedLLM("hi")
    with leak_check(), llm_server(llm) as url:
        request = urllib.request.Request(f"{url}{CHAT}", json.dumps(asked()).encode())
        with urllib.request.urlopen(request, timeout=10) as answered:
            assert json.load(answered)["choices"][0]["message"]["content"] == "hi"


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            with llm_server(ScriptedLLM(), port=port):
                pass
