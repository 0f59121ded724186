"""What servers were found to get wrong answers, long waits or lost attempts with. Each is one fault, mended."""

from __future__ import annotations

import asyncio
import gc
import sys
from datetime import UTC, datetime
from types import ModuleType

import pytest

from hush.core import Hush, ResourceHub
from hush.core._runtime._signals import signal_of
from hush.providers._clients._failures import Failures
from hush.providers._clients._limits import hold_s
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatRequest, ToolCall
from hush.providers._resources._packages import is_installed
from hush.providers._structured import Misfit, shape_of
from hush.providers._tools import read_calls, tools_of
from hush.providers.errors import BadReply, RefusedByProvider, Unreachable
from hush.testing import Fault, ScriptedLLM, run_virtual
from kit.llm_forms import OPENAI, Said, chunk
from kit.llm_wire import CLOSE, HANG, RESET, answer, event, serving, stream
from kit.model_batches import batch_graph
from providers.contract import Heard


def asking(text):
    return ChatRequest(messages=[{"role": "user", "content": text}])


def told(text):
    return answer(OPENAI.whole(Said(content=(text,))))


def question_of(seen):
    return seen.json["messages"][-1]["content"]


# --- connections that are kept ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("lost", [CLOSE, RESET])
@pytest.mark.parametrize("at_once", [1, 5])
async def test_a_kept_connection_that_is_closed_when_it_is_used_again_costs_nothing(lost, at_once):
    carried = {}

    def script(seen):
        carried[seen.connection] = carried.get(seen.connection, 0) + 1
        return [lost] if carried[seen.connection] == 2 else told(question_of(seen))

    async with serving(script) as server:
        client = OPENAI.client(server.url)
        for turn in range(3):
            asked = [f"{turn}.{number}" for number in range(at_once)]
            replies = await asyncio.gather(*(client.chat(asking(text)) for text in asked))
            assert [reply.content for reply in replies] == asked
        await client.aclose()


async def test_a_server_that_goes_down_is_asked_once_more_and_not_by_everybody():
    down = False
    lost = []

    def script(seen):
        if not down:
            return told(question_of(seen))
        lost.append(seen)
        return [RESET]

    async with serving(script) as server:
        client = OPENAI.client(server.url)
        await asyncio.gather(*(client.chat(asking("?")) for _ in range(8)))
        down = True
        found = await asyncio.gather(*(client.chat(asking("?")) for _ in range(8)), return_exceptions=True)
        assert [type(each) for each in found] == [Unreachable] * 8
        # What was not answered last time is a new connection, so it is not sent again.
        many = len(lost)
        with pytest.raises(Unreachable):
            await client.chat(asking("?"))
        await client.aclose()
    assert many <= 10
    assert len(lost) == many + 1


async def test_what_comes_after_an_answer_is_not_the_next_answer():
    def script(seen):
        return [b"".join([*told(question_of(seen)), *told("what nobody asked for")])]

    async with serving(script) as server:
        client = OPENAI.client(server.url)
        for text in ("one", "two", "three"):
            assert (await client.chat(asking(text))).content == text
        await client.aclose()


# --- refusals ---------------------------------------------------------------------------------------------------------
async def test_a_refusal_is_heard_though_its_body_never_ends():
    head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 500\r\n\r\n"
    for steps in ([head, HANG], [head + b"slow do", HANG], [head + b"slow do", CLOSE]):
        async with serving() as server:
            server.answers(*steps)
            client = OPENAI.client(server.url, silence_s=0.1)
            with pytest.raises(RefusedByProvider) as caught:
                await client.chat(asking("?"))
            await client.aclose()
        assert caught.value.status_code == 429
        assert signal_of(caught.value).retry_after_s == 7
        assert "slow do" in str(caught.value) or steps[0] is head


def _in(seconds, form):
    at = datetime.fromtimestamp(1_800_000_000 + seconds, UTC)
    return {"s": f"{at.timestamp():.0f}", "ms": f"{at.timestamp() * 1000:.0f}", "iso": at.isoformat()}[form]


DATE = "Fri, 15 Jan 2027 08:00:00 GMT"  # 1,800,000,000 s since the epoch


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({"x-ratelimit-reset-requests": "2s"}, 2),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-reset-requests": _in(3, "s"), "date": DATE}, 3),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": _in(3, "s"), "date": DATE}, 3),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": _in(5, "s"), "date": DATE}, 5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": _in(5, "ms"), "date": DATE}, 5),
        ({"x-ratelimit-reset": _in(5, "ms"), "date": DATE}, 5),
        ({"anthropic-ratelimit-requests-reset": _in(9, "iso"), "date": DATE}, 9),
        ({"retry-after": "-1", "x-ratelimit-reset-requests": "2s"}, 2),
        ({"retry-after": "2s"}, 2),
        ({"retry-after": "0", "x-ratelimit-reset-requests": "2s"}, 0),
        # They say nothing of the limit that was met.
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "2s"}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": _in(5, "ms"), "date": DATE}, None),
        ({"x-ratelimit-reset": "60"}, None),
        ({"x-ratelimit-reset-requests": _in(-3, "s"), "date": DATE}, None),
    ],
)
def test_what_a_429_says_of_when_to_come_back(headers, after_s):
    failures = Failures(ClientSettings(vendor="openai", model="m"))
    assert signal_of(failures.of_answer(429, headers, b"")).retry_after_s == after_s


def test_what_an_answer_says_of_it_is_heard_only_if_nothing_is_left():
    assert hold_s({"x-ratelimit-reset-requests": "2s"}) is None
    assert hold_s({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}) == 2


@pytest.mark.parametrize("limits", [{}, {"limits": {"concurrency": 4}}, {"limits": {"rpm": 6}}], ids=str)
def test_who_is_told_to_come_back_tomorrow_fails_and_so_do_the_others(limits):
    llm = ScriptedLLM(faults=[Fault("rate_limited", until_s=600, retry_after_s=86_400)])
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": llm, **limits}})

    async def run():
        async with Hush(batch_graph(), resources=hub) as engine:
            result = await engine.run({"questions": [f"{number}" for number in range(300)]})
            asked, ended_s = llm.stats.calls, asyncio.get_running_loop().time()
            await asyncio.sleep(86_400)
            later = await engine.run({"questions": ["?"]})
        return result, asked, ended_s, later

    result, asked, ended_s, later = run_virtual(run)
    assert {(type(error), error.status_code) for error in result["errors"]} == {(RefusedByProvider, 429)}
    assert "not asked for" in result["errors"][-1].__notes__[0]
    assert asked <= 10
    assert ended_s < 10
    assert later["answers"] == ["echo: ?"]


# --- answers ----------------------------------------------------------------------------------------------------------
async def read(*steps, on_chunk=None):
    async with serving() as server:
        server.answers(*steps)
        client = OPENAI.client(server.url)
        try:
            return await client.chat(asking("?"), on_chunk)
        finally:
            await client.aclose()


def nested(depth):
    return b'{"choices":[{"index":0,"%s":{"content":' + b"[" * depth + b'"x"' + b"]" * depth + b"}}]}"


@pytest.mark.parametrize("depth", [500, 900, 100_000])
async def test_what_is_nested_too_deeply_is_no_answer(depth):
    gc.collect()  # the garbage of other tests must not be collected deep in the recursion
    with pytest.raises(BadReply):
        await read(*answer(nested(depth).replace(b"%s", b"message")))
    with pytest.raises(BadReply):
        await read(*stream([b"data: " + nested(depth).replace(b"%s", b"delta") + b"\n\n"]), on_chunk=Heard())


def parts_of_calls(*parts):
    return stream([*(chunk({"tool_calls": [part]}) for part in parts), chunk({}, "tool_calls"), event("[DONE]")])


CALLS = [("f", '{"x":1}'), ("g", '{"y":2}')]


@pytest.mark.parametrize(
    "parts",
    [
        [
            {"id": "a", "function": {"name": "f", "arguments": '{"x":'}},
            {"id": "b", "function": {"name": "g", "arguments": '{"y":'}},
            {"id": "a", "function": {"arguments": "1}"}},
            {"id": "b", "function": {"arguments": "2}"}},
        ],
        [
            {"index": 0, "function": {"name": "f", "arguments": '{"x":1}'}},
            {"index": 0, "function": {"name": "g", "arguments": '{"y":2}'}},
        ],
        [
            {"index": 0, "function": {"name": "f", "arguments": '{"x"'}},
            {"index": 0, "function": {"name": "f", "arguments": ":1}"}},
            {"index": 1, "function": {"name": "g", "arguments": ""}},
            {"index": 1, "function": {"name": "g", "arguments": '{"y":2}'}},
        ],
    ],
    ids=["interleaved by id", "all at 0 without ids", "the name in each part"],
)
async def test_parts_of_calls_find_theirs(parts):
    reply = await read(*parts_of_calls(*parts), on_chunk=Heard())
    assert [(call.name, call.arguments) for call in reply.tool_calls] == CALLS


async def test_signs_of_life_are_no_answer():
    parts = [
        event("ping", "ping"),
        b"event: heartbeat\ndata: 12:00:01\n\n",
        event(None),
        *OPENAI.events(Said(("yes",))),
    ]
    assert (await read(*stream(parts), on_chunk=Heard())).content == "yes"


def test_data_that_is_nested_too_deeply_does_not_fit():
    deep = '{"x":' + "[" * 20_000 + "]" * 20_000 + "}"
    with pytest.raises(Misfit):
        shape_of("json_object").read(deep)
    tools = tools_of([{"name": "f", "parameters": {"type": "object"}}])
    with pytest.raises(Misfit):
        shape_of({"$ref": "#/$defs/any", "$defs": {"any": {"items": {"$ref": "#/$defs/any"}}}}).read(
            "[" * 700 + "]" * 700
        )
    with pytest.raises(Misfit):
        read_calls([ToolCall(id="a", name="f", arguments=deep)], tools)


# --- models that are down ---------------------------------------------------------------------------------------------
def test_a_model_that_refuses_one_question_is_there_for_the_next():
    """The one that tried whether it is back was too long: that is an answer of a model that is back."""
    a = ScriptedLLM(
        "a", faults=[Fault(503, until_s=30), Fault("context_length_exceeded", contains="long")], latency_s=1.0
    )
    b = ScriptedLLM("b", latency_s=1.0)
    hub = ResourceHub({"llm:a": a, "llm:b": b})
    graph = batch_graph(resource_key="a", fallback="b", max_concurrency=1)

    async def run():
        async with Hush(graph, resources=hub) as engine:
            await engine.run({"questions": ["short"] * 6})
            await asyncio.sleep(60)
            return await engine.run({"questions": ["long"] + ["short"] * 5})

    assert run_virtual(run)["answers"] == ["b", *["a"] * 5]


def test_a_package_that_tests_have_made_by_hand_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "h2", ModuleType("h2"))
    assert is_installed("h2")
