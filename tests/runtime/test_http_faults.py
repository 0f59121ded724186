"""Limits and retries against a real HTTP server on loopback that keeps limits, refuses, stalls and breaks off.

What is counted is counted by the server, in its own thread and by its own clock; nothing here looks into the engine.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest
import requests

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeTimeout, Retry
from kit.adaptive_servers import steady
from kit.http_server import (
    HALF,
    RESET,
    SILENT,
    Answer,
    Bucket,
    During,
    HttpServer,
    Numbers,
    Outage,
    Slots,
    Tries,
    Window,
    serving,
)
from kit.tiers import by_day

QUICK = Retry(backoff_s=0.05)
CLIENTS = ["httpx", "aiohttp", "requests", "urllib"]
per_client = pytest.mark.parametrize("client", CLIENTS)


@asynccontextmanager
async def asking(client: str, url: str) -> AsyncIterator[Callable[..., Any]]:
    """A function that asks the server for ``/kind/x`` and gives ``{"y": x}``: ``async def``, or ``def``."""
    if client == "httpx":
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as httpx_client:

            async def ask_httpx(x, kind="x"):
                reply = await httpx_client.get(f"{url}/{kind}/{x}")
                reply.raise_for_status()
                return {"y": int(reply.json()["path"].split("/")[-1])}

            yield ask_httpx
    elif client == "aiohttp":
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask_aiohttp(x, kind="x"):
                async with session.get(f"{url}/{kind}/{x}", raise_for_status=True) as reply:
                    return {"y": int((await reply.json())["path"].split("/")[-1])}

            yield ask_aiohttp
    elif client == "requests":

        def ask_requests(x, kind="x"):
            with requests.Session() as session:
                session.trust_env = False
                reply = session.get(f"{url}/{kind}/{x}", timeout=30)
            reply.raise_for_status()
            return {"y": int(reply.json()["path"].split("/")[-1])}

        yield ask_requests
    else:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def ask_urllib(x, kind="x"):
            try:
                with opener.open(f"{url}/{kind}/{x}", timeout=30) as reply:
                    return {"y": int(json.load(reply)["path"].split("/")[-1])}
            except urllib.error.HTTPError as error:
                error.close()
                raise

        yield ask_urllib


def mapped(ask: Callable[..., Any], items: int, width: int = 100, kinds: list[str] | None = None, **policies: Any):
    """A map that asks for so many items."""
    executor = "auto" if asyncio.iscoroutinefunction(ask) else "thread"
    with GraphNode(name="g") as graph:
        inputs = {"x": Each(range(items)), "kind": Each(kinds or ["x"] * items)}
        with MapNode(name="m", inputs=inputs, max_concurrency=width) as each:
            CodeNode(name="ask", code_fn=ask, inputs={"*": PARENT}, outputs=PARENT, executor=executor, **policies)
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph


async def answers(client: str, server: HttpServer, items: int, width: int = 100, **policies: Any) -> dict[str, Any]:
    """Ask for so many items, and check that each was answered."""
    async with asking(client, server.url) as ask:
        result = await Hush(mapped(ask, items, width, **policies)).run()
    assert result["errors"] == [None] * items
    assert result["ys"] == list(range(items))
    return result


# --- refused for a while ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["httpx", "urllib"])
async def test_what_is_refused_for_a_while_is_answered_in_the_end(client):
    with serving(During(0, 0.25)) as server:
        await answers(client, server, 60, limit=Limit(concurrency="auto"), retry=QUICK)
    assert server.requests <= 1.5 * 60


@pytest.mark.parametrize("limit", [Limit(concurrency=8), Limit(per_second=200)], ids=str)
async def test_a_limit_of_a_fixed_size_waits_too_until_refusals_are_over(limit):
    with serving(Outage(20, 1)) as server:
        await answers("aiohttp", server, 60, width=8, limit=limit, retry=Retry())
    assert 0 < server.refused <= 16
    assert server.requests == 60 + server.refused


async def test_five_seconds_of_refusals_in_the_middle_cost_few_calls():
    with serving(Outage(60, 5), latency_s=0.01) as server:
        await answers("aiohttp", server, 80, width=8, limit=Limit(concurrency="auto"), retry=Retry())
    assert 0 < server.refused <= 30
    assert server.requests == 80 + server.refused


@pytest.mark.parametrize(("client", "status"), [("httpx", 429), ("aiohttp", 503), ("requests", 503), ("urllib", 429)])
async def test_a_pause_that_is_asked_for_holds_for_everybody(client, status):
    """The third request is told to come back in a quarter of a second: nobody who shares the limit comes before."""
    limit = Limit(concurrency=4)
    with serving(Numbers(frozenset({3}), Answer(status, after_s=0, retry_after=0.25))) as server:
        await answers(client, server, 20, limit=limit, retry=QUICK)
        assert server.requests == 21
        assert not server.early


async def test_a_pause_holds_in_other_graphs_loops_and_threads():
    limit = Limit(concurrency=6)
    with serving(Numbers(frozenset({5, 20}), Answer(429, after_s=0, retry_after=0.25))) as server:

        def elsewhere():
            asyncio.run(answers("aiohttp", server, 40, limit=limit, retry=QUICK))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await answers("urllib", server, 40, limit=limit, retry=QUICK)
        await asyncio.to_thread(thread.join)
    assert server.requests == 82
    assert server.most_at_once <= 6
    assert not server.early


async def test_a_pause_given_as_a_date_is_kept_by_the_clock_of_the_server():
    pause = Answer(429, after_s=0, retry_after=1, date=True)
    with serving(Tries(1, pause, "/one")) as server:
        kinds = ["one", *["x"] * 11]
        await answers("httpx", server, 12, limit=Limit(concurrency=3), retry=QUICK, kinds=kinds)
    assert not server.early
    assert server.requests == 13


# --- refused for ever -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "told"), by_day([("httpx", None), ("aiohttp", 0.05), ("requests", None), ("urllib", 0.05)], 0, 1)
)
async def test_a_server_that_refuses_for_ever_is_given_up(client, told):
    retry = Retry(max_attempts=3, backoff_s=0.02)
    with serving(During(0, 1e9, Answer(429, after_s=0, retry_after=told))) as server:
        async with asking(client, server.url) as ask:
            result = await Hush(mapped(ask, 3, limit=Limit(concurrency=5), retry=retry)).run()
    assert server.requests == 9
    assert result.status == "partial"
    for number, error in enumerate(result["errors"]):
        assert "429" in str(error)
        assert error.hush.attempt == 3
        assert error.hush.item == number
        assert error.__notes__[0].endswith("attempt 3, not tried again: max_attempts=3")


async def test_a_bound_of_time_is_kept_too():
    """Who waits for the limit when the time is over is not asked again."""
    retry = Retry(max_attempts=99, max_total_s=0.3)
    with serving(During(0, 1e9, Answer(429, after_s=0, retry_after=0.1))) as server:
        async with asking("aiohttp", server.url) as ask:
            result = await Hush(mapped(ask, 5, retry=retry, limit=Limit(concurrency=5))).run()
        assert server.now_s() < 30
    assert 5 <= server.requests <= 5 * 3
    assert all("max_total_s=0.3" in error.__notes__[0] for error in result["errors"])


# --- broken answers ---------------------------------------------------------------------------------------------------


@per_client
@pytest.mark.parametrize("sent", [HALF, RESET])
async def test_a_broken_answer_is_asked_for_again(client, sent):
    with serving(Tries(1, Answer(sent=sent), "/bad")) as server:
        kinds = ["bad" if number % 3 == 0 else "x" for number in range(30)]
        await answers(client, server, 30, retry=QUICK, kinds=kinds)
    assert len(server.of(200, sent)) == 10
    assert server.requests == 40


BROKEN = {
    ("httpx", HALF): httpx.RemoteProtocolError,
    ("httpx", RESET): httpx.ReadError,
    ("aiohttp", HALF): aiohttp.ClientPayloadError,
    ("aiohttp", RESET): aiohttp.ClientConnectionError,
    ("requests", HALF): requests.exceptions.ChunkedEncodingError,
    ("requests", RESET): requests.exceptions.ConnectionError,
    ("urllib", HALF): http.client.IncompleteRead,
    ("urllib", RESET): ConnectionError,
}


@per_client
@pytest.mark.parametrize("sent", [HALF, RESET])
async def test_what_is_broken_each_time_fails_its_item_alone_and_says_so(client, sent):
    with serving(Tries(99, Answer(sent=sent), "/bad")) as server:
        async with asking(client, server.url) as ask:
            kinds = ["bad", "x", "x"]
            result = await Hush(mapped(ask, 3, retry=Retry(max_attempts=2, backoff_s=0.01), kinds=kinds)).run()
    assert result["ys"] == [None, 1, 2]
    error = result["errors"][0]
    assert isinstance(error, BROKEN[client, sent])
    assert error.__notes__[0].endswith("attempt 2, not tried again: max_attempts=2")


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
async def test_what_does_not_begin_in_time_is_asked_for_again(client):
    """Two are slow, one says nothing at all; each is given 0.3 s."""
    slow, silent = Tries(1, Answer(after_s=1.0), "/slow"), Tries(1, Answer(sent=SILENT), "/silent")
    with serving(slow, silent) as server:
        kinds = ["slow", "x", "silent", "x", "slow"]
        await answers(client, server, 5, timeout_s=0.3, retry=QUICK, kinds=kinds)
    assert server.requests == 8


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
async def test_what_never_begins_is_named(client):
    with serving(Tries(99, Answer(sent=SILENT), "/silent")) as server:
        async with asking(client, server.url) as ask:
            retry = Retry(max_attempts=2, backoff_s=0.01)
            result = await Hush(mapped(ask, 2, timeout_s=0.2, retry=retry, kinds=["silent", "x"])).run()
    assert result["ys"] == [None, 1]
    assert isinstance(result["errors"][0], NodeTimeout)
    assert result["errors"][0].__notes__[0].endswith("attempt 2, not tried again: max_attempts=2")


async def test_a_client_in_a_thread_with_a_timeout_of_its_own_is_retried():
    with serving(Tries(1, Answer(after_s=0.6), "/slow")) as server:

        def ask(x, kind):
            with requests.Session() as session:
                session.trust_env = False
                return {"y": int(session.get(f"{server.url}/{kind}/{x}", timeout=0.2).json()["path"][-1])}

        result = await Hush(mapped(ask, 3, retry=QUICK, kinds=["slow", "x", "slow"])).run()
    assert result["ys"] == [0, 1, 2]
    assert server.requests == 5


# --- limits that are counted by the server ----------------------------------------------------------------------------


async def test_a_rate_is_never_exceeded_and_all_of_it_is_used():
    """Of 50 in any second: the first 50 open their connections, and the others find them open."""
    with serving(Window(steady(50))) as server:
        await answers("aiohttp", server, 100, limit=Limit(per_second=50), retry=QUICK)
    assert (server.refused, server.most_in_any(1.0)) == (0, 50)


async def test_two_engines_in_two_threads_share_a_limit():
    limit = Limit(per_second=40, concurrency=7)
    with serving(Window(steady(40)), Slots(steady(7))) as server:

        def elsewhere():
            asyncio.run(answers("aiohttp", server, 30, limit=limit, retry=QUICK))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await answers("requests", server, 20, limit=limit, retry=QUICK)
        await asyncio.to_thread(thread.join)
    assert server.refused == 0
    assert server.most_at_once == 7


@per_client
async def test_the_server_never_sees_one_more_than_seven_at_once(client):
    with serving(latency_s=0.01) as server:
        await answers(client, server, 60, limit=Limit(concurrency=7))
    assert server.most_at_once == 7


# --- longer -----------------------------------------------------------------------------------------------------------


@pytest.mark.nightly
@per_client
@pytest.mark.parametrize("told", [None, 1, 3])
@pytest.mark.parametrize("concurrency", ["auto", 12])
async def test_nightly_five_seconds_of_refusals(client, told, concurrency):
    with serving(Outage(200, 5, Answer(429, after_s=0, retry_after=told)), latency_s=0.02) as server:
        await answers(client, server, 600, width=16, limit=Limit(concurrency=concurrency), retry=Retry())
    assert server.of(429)
    assert server.requests <= 1.5 * 600
    assert not server.early


@pytest.mark.nightly
@pytest.mark.parametrize("latency_s", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("client", ["aiohttp", "urllib"])
async def test_nightly_a_rate_is_used_to_95_percent(client, latency_s):
    with serving(Window(steady(50)), latency_s=latency_s) as server:
        await answers(client, server, 1000, width=200, limit=Limit(per_second=50), retry=Retry())
    assert server.refused == 0
    assert server.served_per_s(1.5, server.seen[-1].at_s) >= 0.95 * 50


async def changing(make: Callable[..., Any], told: float | None) -> HttpServer:
    """25 s at 100 a second, 25 s at 30, 25 s at 100."""

    def capacity(at_s):
        return 30 if 25 <= at_s < 50 else 100

    with serving(make(capacity, else_=Answer(429, after_s=0, retry_after=told)), latency_s=0.05) as server:
        async with asking("aiohttp", server.url) as ask:
            retry = Retry(max_attempts=20, max_total_s=None, budget=None)
            graph = mapped(ask, 100_000, retry=retry, limit=Limit(concurrency="auto"))
            with pytest.raises(TimeoutError):
                await Hush(graph).run(timeout_s=75)
    return server


@pytest.mark.nightly
@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", [Window, Bucket])
async def test_nightly_a_capacity_that_drops_and_comes_back(make):
    server = await changing(make, None)
    assert server.served_per_s(35, 49.5) >= 0.9 * 30
    assert server.served_per_s(60, 74.5) >= 0.9 * 100
    assert server.refused < 0.01 * server.requests


@pytest.mark.nightly
@pytest.mark.timeout(120)
@pytest.mark.parametrize("told", [1, 2])
@pytest.mark.parametrize("make", [Window, Bucket])
async def test_nightly_a_capacity_that_drops_and_comes_back_where_each_refusal_asks_for_a_pause(make, told):
    server = await changing(make, told)
    assert not server.early
    assert server.reached_in_s(100, 50) <= 10
    # Each look for the ceiling costs the pause. Simulated: 71-85 % and 48-73 % of 100. Over sockets: 79-84 % and about
    # 71 %, but once 64 % with a pause of a second, and why is not known.
    share = {1: 0.55, 2: 0.4}[told]
    assert server.served_per_s(35, 49.5) >= share * 30
    assert server.served_per_s(60, 74.5) >= share * 100
    assert server.refused < 0.015 * server.requests  # once, beside other work, 1.02 %: of fewer calls, as many looks
