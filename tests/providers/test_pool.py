"""The connections of a resource: which is used, how many there are, and when they are closed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx2
import pytest

from hush.providers._clients._connections import connections
from hush.providers._clients._pool import Pool
from hush.providers._clients._settings import ClientSettings

TRAILING = SimpleNamespace(_connection=SimpleNamespace(_h11_state=SimpleNamespace(trailing_data=(b"more", False))))
"""A connection on which more came than the answer."""


class Body(httpx2.AsyncByteStream):
    def __init__(self):
        self.closed = 0

    async def __aiter__(self):
        yield b"yes"

    async def aclose(self):
        self.closed += 1
        await asyncio.sleep(0)


class Line(httpx2.AsyncBaseTransport):
    """One connection."""

    def __init__(self, number, made):
        self.number = number
        self.used = 0
        self.closed = 0
        self.body = None
        self.blocks = made.blocks
        self.fails = made.fails

    async def handle_async_request(self, request):
        self.used += 1
        if self.blocks is not None:
            await self.blocks.wait()
        if self.fails:
            raise httpx2.ConnectError("no")
        self.body = Body()
        return httpx2.Response(200, stream=self.body)

    async def aclose(self):
        self.closed += 1


class Lines(list):
    """Makes them and keeps them."""

    blocks = None
    fails = False

    def __call__(self):
        self.append(Line(len(self), self))
        return self[-1]


def pool_of(most=10, kept=10, expiry_s=60.0):
    made = Lines()
    return made, Pool(most, kept, expiry_s, made)


REQUEST = httpx2.Request("POST", "http://here/")


async def ask(pool):
    return await pool.handle_async_request(REQUEST)


async def test_the_one_that_was_used_last_is_used_again():
    made, pool = pool_of()
    first, second = await ask(pool), await ask(pool)
    await first.aclose()
    await second.aclose()
    for _ in range(3):
        await (await ask(pool)).aclose()
    assert [line.used for line in made] == [1, 4]


async def test_an_answer_gives_its_connection_back_once_however_often_it_is_closed():
    made, pool = pool_of(most=1)
    answer = await ask(pool)
    stream = answer.stream
    await stream.aclose()
    await stream.aclose()
    held = await ask(pool)
    waiting = asyncio.create_task(ask(pool))
    await asyncio.sleep(0)
    assert not waiting.done()
    await held.aclose()
    await (await waiting).aclose()
    assert len(made) == 1


async def test_who_waits_is_served_in_order_and_may_give_up():
    made, pool = pool_of(most=1)
    held = await ask(pool)
    order = []

    async def one(name):
        answer = await ask(pool)
        order.append(name)
        await answer.aclose()

    tasks = [asyncio.create_task(one(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    await held.aclose()
    await asyncio.gather(*tasks[1:])
    assert (order, len(made)) == (["b", "c"], 1)


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_an_exchange_that_comes_to_nothing_gives_its_place_back(how):
    made, pool = pool_of(most=1)
    made.fails = how == "failed"
    made.blocks = asyncio.Event()
    task = asyncio.create_task(ask(pool))
    await asyncio.sleep(0)
    if how == "cancelled":
        task.cancel()
    made.blocks.set()
    with pytest.raises((asyncio.CancelledError, httpx2.ConnectError)):
        await task
    made[0].fails = False
    await (await ask(pool)).aclose()
    assert made[0].used == 2


async def test_those_that_are_too_many_or_too_old_are_closed_the_oldest_first():
    made, pool = pool_of(kept=2)
    for answer in [await ask(pool) for _ in range(5)]:
        await answer.aclose()
    assert [line.closed for line in made] == [1, 1, 1, 0, 0]
    made, pool = pool_of(expiry_s=-1.0)
    await (await ask(pool)).aclose()
    assert [line.closed for line in made] == [1]


async def test_closing_it_closes_all_and_what_ends_after_that_is_not_kept():
    made, pool = pool_of()
    under_way = await ask(pool)
    await (await ask(pool)).aclose()
    await pool.aclose()
    assert [line.closed for line in made] == [1, 1]
    await under_way.aclose()
    assert [line.closed for line in made] == [1, 1]


async def test_who_waits_when_it_is_closed_opens_nothing_any_more():
    made, pool = pool_of(most=1)
    under_way = await ask(pool)
    waiting = [asyncio.create_task(ask(pool)) for _ in range(3)]
    await asyncio.sleep(0)
    await pool.aclose()
    await under_way.aclose()
    for task in waiting:
        with pytest.raises(httpx2.ConnectError):
            await task
    assert len(made) == 1


async def test_who_is_cancelled_while_a_connection_is_closed_gives_its_place_back():
    made, pool = pool_of(most=1)
    answer = await ask(pool)
    made[0]._pool = SimpleNamespace(connections=[TRAILING])
    closing = asyncio.Event()

    async def aclose():
        closing.set()
        await asyncio.sleep(3600)

    made[0].aclose = aclose
    task = asyncio.create_task(answer.aclose())
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pool._places.locked()


def test_proxies_and_http2_have_the_pool_of_httpx(monkeypatch):
    import ssl

    context = ssl.create_default_context()

    def transport(**settings):
        made = connections(ClientSettings(vendor="openai", resource="llm:m", model="m", **settings), context)
        return made._transport_for_url(httpx2.URL("http://elsewhere.test/"))

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(transport(), Pool)
    assert not isinstance(transport(proxy="http://127.0.0.1:1"), Pool)
    assert not isinstance(transport(http2=True), Pool)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert not isinstance(transport(), Pool)
