"""What many calls of a language model cost in connections, requests, tasks and events: counted, never timed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from hush.core import END, PARENT, START, Each, GraphNode, Hush, MapNode, ResourceHub
from hush.providers import LLMNode, PromptNode
from hush.testing import Recorder, ScriptedLLM, leak_check, llm_server

REPLY = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY) + REPLY


class Server:
    """Answers when so many requests are there: no call is answered before all that may be under way are."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.connections = 0
        self.open = 0
        self.requests = 0
        self.most = 0
        self.url = ""
        self._here: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                self.requests += 1
                self._here.append(writer)
                self.most = max(self.most, len(self._here))
                if len(self._here) == self.at_once:
                    for each in self._here:
                        each.write(ANSWER)
                    self._here.clear()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def until_open(self, count: int) -> None:
        """Wait until no more connections than these are open."""
        async with asyncio.timeout(10):
            while self.open > count:  # noqa: ASYNC110  # the kernel tells of it, and no future does
                await asyncio.sleep(0.005)


@asynccontextmanager
async def server(at_once):
    found = Server(at_once)
    listening = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield found
    finally:
        listening.close()
        await listening.wait_closed()


def asking(at_once):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"q": Each(PARENT["qs"])}, max_concurrency=at_once) as each:
            prompt = PromptNode("prompt", inputs={"prompt": "{q}", "q": PARENT["q"]})
            llm = LLMNode("llm", resource_key="m", inputs={"messages": prompt["messages"]}, outputs={"content": PARENT})
            START >> prompt >> llm >> END
        each["content"] >> PARENT["answers"]
        START >> each >> END
    return graph


def engine(url, at_once, **more):
    settings = {"type": "openai", "api_key": "none", "base_url": url, "model": "m"}
    settings |= {"limits": {"concurrency": at_once}} | more
    return Hush(asking(at_once), resources=ResourceHub({"llm:m": settings}))


# ── Connections and requests ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("calls", "at_once"), [(300, 50), pytest.param(2_000, 200, marks=pytest.mark.nightly)], ids=["300", "2000"]
)
async def test_a_connection_for_each_call_at_once_and_a_request_for_each_call(calls, at_once):
    async with server(at_once) as there:
        async with engine(there.url, at_once) as hush:
            first = await hush.run({"qs": ["why"] * calls})
            assert first["answers"] == ["yes"] * calls
            assert (there.requests, there.connections, there.most) == (calls, at_once, at_once)
            # They are kept between the runs of one engine.
            await hush.run({"qs": ["why"] * calls})
            assert (there.requests, there.connections, there.open) == (2 * calls, at_once, at_once)
        await there.until_open(0)


async def test_a_smaller_pool_holds_calls_back_and_loses_none():
    async with server(5) as there, engine(there.url, 20, pool={"max_connections": 5}) as hush:
        await hush.run({"qs": ["why"] * 60})
        assert (there.requests, there.connections, there.most) == (60, 5, 5)


async def test_no_more_are_kept_than_the_settings_say():
    async with server(20) as there, engine(there.url, 20, pool={"max_keepalive_connections": 3}) as hush:
        await hush.run({"qs": ["why"] * 20})
        await there.until_open(3)
        assert there.open == 3


async def test_single_calls_use_one_connection_again_and_again():
    async with server(1) as there, engine(there.url, 200) as hush:
        for _ in range(5):
            await hush.run({"qs": ["why"]})
        assert (there.requests, there.connections) == (5, 1)


def test_each_loop_has_connections_of_its_own_and_closes_them():
    llm = ScriptedLLM()
    with leak_check(), llm_server(llm) as url:
        hush = engine(f"{url}/v1", 4)
        for _ in range(2):
            found = asyncio.run(hush.run({"qs": ["why"] * 8}))
            assert len(found["answers"]) == 8
    assert llm.stats.calls == 16


def test_the_scripted_server_serves_on_uvloop_too():
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with llm_server(ScriptedLLM()) as url, engine(f"{url}/v1", 4) as hush:
            return await asyncio.wait_for(hush.run({"qs": ["why"] * 8}), 10)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(main())["answers"]) == 8


# ── Tasks and events ─────────────────────────────────────────────────────────────────────────────────────────────────


def scripted(at_once):
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": ScriptedLLM(), "limits": {"concurrency": at_once}}})
    return asking(at_once), {"qs": ["why"] * 1_000}, hub


async def test_tasks_are_those_of_the_workers_and_none_is_made_for_a_call():
    graph, inputs, hub = scripted(50)
    made = 0

    def factory(loop, coro, **more):
        nonlocal made
        made += 1
        return asyncio.Task(coro, loop=loop, **more)

    async with Hush(graph, resources=hub) as hush:
        await hush.run({"qs": ["why"]})
        asyncio.get_running_loop().set_task_factory(factory)
        found = await hush.run(inputs)
        asyncio.get_running_loop().set_task_factory(None)
    assert len(found["answers"]) == 1_000
    assert made <= 50


async def test_events_of_a_call():
    graph, inputs, hub = scripted(50)
    recorder = Recorder()
    await Hush(graph, resources=hub).run({"qs": inputs["qs"][:100]}, tracer=recorder)
    kinds = Counter(type(event).__name__ for event in recorder.events)
    assert {kind: count // 100 for kind, count in kinds.items() if count >= 50} == {
        "NodeReady": 2,  # the prompt, and the model
        "NodeStarted": 2,
        "NodeFinished": 2,
        "NodeAdmitted": 1,
        "NodeReleased": 1,
        "ItemFinished": 1,
    }
