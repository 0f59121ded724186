"""What every ``ChatClient`` keeps, asked of a server that answers: a scripted one or a real one.

A client is brought by a ``Subject``: how one is made, and what its server can do. Each check is a coroutine function of
it, to be used so::

    @pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
    async def test_contract(check, subject):
        await check(subject)
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hush.providers._model import ChatClient, ChatRequest, Reply
from hush.providers.errors import ProviderError

SCRIPTS = 'Xin chào, 你好, नमस्ते, 👩‍👩‍👧 é \u2028 \\ " </s> {"a": 1}'


def _asked() -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": SCRIPTS}], parameters={"max_tokens": 16})


@dataclass(kw_only=True)
class Subject:
    """A client and what is known of its server.

    Attributes:
        connect: A new client.
        request: What it is asked; the answer has a text.
        repeats: Whether the same question gets the same answer.
        counts: Whether the server tells how many tokens there were.
        tools: A request that is answered with a call of a tool, if there is one.
        media: A request that is answered with a picture and with speech, if there is one.
        refused: A request that the server refuses with a status, if there is one.
        sockets: How many connections the server sees open, if it says so.
        settled: Wait until the server has seen what the client did last.
    """

    connect: Callable[[], ChatClient]
    request: ChatRequest = field(default_factory=_asked)
    repeats: bool = True
    counts: bool = True
    tools: ChatRequest | None = None
    media: ChatRequest | None = None
    refused: ChatRequest | None = None
    sockets: Callable[[], int] | None = None
    settled: Callable[[], Any] | None = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ChatClient]:
        client = self.connect()
        try:
            yield client
        finally:
            await client.aclose()


@dataclass
class Heard:
    """Listens to an answer."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, text: str, kind: str) -> None:
        self.parts.append((text, kind))
        self.first.set()

    def text(self, kind: str) -> str:
        return "".join(text for text, of in self.parts if of == kind)


def told(reply: Reply) -> Reply:
    """A reply without what is another one each time."""
    return replace(reply, id=None, hold_s=None)


async def an_answer_is_whole(subject: Subject) -> None:
    async with subject.client() as client:
        reply = await client.chat(subject.request)
    assert reply.content
    assert reply.content.encode() is not None  # no half characters
    assert reply.role == "assistant"
    assert reply.finish_reason in ("stop", "length")
    assert reply.tool_calls == ()
    if subject.counts:
        assert reply.usage.input_tokens is not None
        assert reply.usage.input_tokens > 0
        assert reply.usage.output_tokens is not None
        assert reply.usage.output_tokens > 0
    assert reply.hold_s is None or (reply.hold_s > 0 and math.isfinite(reply.hold_s))


async def a_streamed_answer_is_the_same(subject: Subject) -> None:
    async with subject.client() as client:
        heard = Heard()
        streamed = await client.chat(subject.request, heard)
        assert heard.text("content") == streamed.content
        assert heard.text("thinking") == (streamed.thinking or "")
        assert all(text for text, _ in heard.parts)
        if subject.repeats:
            assert told(await client.chat(subject.request)) == told(streamed)


async def calls_of_tools_are_the_same(subject: Subject) -> None:
    if subject.tools is None:
        return
    async with subject.client() as client:
        whole, streamed = await client.chat(subject.tools), await client.chat(subject.tools, Heard())
    for reply in (whole, streamed):
        assert reply.finish_reason == "tool_calls"
        assert reply.tool_calls
        for call in reply.tool_calls:
            assert call.id
            assert call.name
    if subject.repeats:
        assert told(whole) == told(streamed)


async def pictures_and_speech_are_the_same(subject: Subject) -> None:
    if subject.media is None:
        return
    async with subject.client() as client:
        whole, streamed = await client.chat(subject.media), await client.chat(subject.media, Heard())
    for reply in (whole, streamed):
        assert reply.images
        assert all(set(image) == {"type", "image_url"} for image in reply.images)
        assert reply.audio is not None
        assert reply.audio["id"]
    if subject.repeats:
        assert told(whole) == told(streamed)


async def many_at_once_are_answered(subject: Subject) -> None:
    async with subject.client() as client:
        asked = [client.chat(subject.request, Heard() if number % 2 else None) for number in range(8)]
        replies = await asyncio.gather(*asked)
    assert len(replies) == 8
    if subject.repeats:
        assert all(told(reply) == told(replies[0]) for reply in replies)


async def a_cancelled_stream_leaves_nothing(subject: Subject) -> None:
    async with subject.client() as client:
        for _ in range(3):
            heard = Heard()
            asking = asyncio.create_task(client.chat(subject.request, heard))
            await heard.first.wait()
            asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled() or asking.result()
        assert (await client.chat(subject.request)).content  # its connections can be used
    await nothing_is_open(subject)


async def cancelled_anywhere_it_leaves_nothing(subject: Subject) -> None:
    """After each number of passes of the loop, until the answer is there before it could be cancelled."""
    async with subject.client() as client:
        await client.chat(subject.request)
        for heard in (None, Heard()):
            passes, done = 0, 0
            while done < 3 and passes < 200:
                asking = asyncio.create_task(client.chat(subject.request, heard))
                for _ in range(passes):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
                done += not asking.cancelled()
                passes += 1
            assert (await client.chat(subject.request)).content
    await nothing_is_open(subject)


async def what_is_refused_says_so(subject: Subject) -> None:
    if subject.refused is None:
        return
    async with subject.client() as client:
        for heard in (None, Heard()):
            with pytest.raises(ProviderError) as caught:
                await client.chat(subject.refused, heard)
            assert caught.value.status_code is not None
            assert str(caught.value)
            assert caught.value.__context__ is None  # a vendor's error would hold the key
        assert (await client.chat(subject.request)).content


async def an_error_of_who_listens_is_his(subject: Subject) -> None:
    class TheirsError(Exception):
        pass

    def on_chunk(text: str, kind: str) -> None:
        raise TheirsError

    async with subject.client() as client:
        with pytest.raises(TheirsError):
            await client.chat(subject.request, on_chunk)
        assert (await client.chat(subject.request)).content
    await nothing_is_open(subject)


async def closed_is_closed(subject: Subject) -> None:
    client = subject.connect()
    await client.chat(subject.request)
    await client.aclose()
    await client.aclose()
    with pytest.raises(ProviderError):
        await client.chat(subject.request)
    await nothing_is_open(subject)


async def nothing_is_open(subject: Subject) -> None:
    """The server sees no connection, once it has had time to see."""
    if subject.settled is not None:
        await subject.settled()
    if subject.sockets is not None:
        assert subject.sockets() == 0


Check = Callable[[Subject], Any]
CHECKS: tuple[Check, ...] = (
    an_answer_is_whole,
    a_streamed_answer_is_the_same,
    calls_of_tools_are_the_same,
    pictures_and_speech_are_the_same,
    many_at_once_are_answered,
    a_cancelled_stream_leaves_nothing,
    cancelled_anywhere_it_leaves_nothing,
    what_is_refused_says_so,
    an_error_of_who_listens_is_his,
    closed_is_closed,
)


def name_of(check: Check) -> str:
    """The id of a test."""
    return check.__name__
