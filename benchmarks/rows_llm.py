"""Language models: what a call costs, how long many take, when the first token comes, and what is held meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks._llm import (
    ASKED,
    ASKED_AT_ONCE,
    IDEAL_LLM_S,
    LATENCY_S,
    MODEL,
    QUESTIONS,
    at_once,
    calls_seen,
    llm_server,
    message,
)
from benchmarks._measure import Effort, WrongResultError, must_agree
from benchmarks._processes import Record, in_fresh_process, peak_mb
from benchmarks._row import Line, Row, Times
from hush.core import END, PARENT, START, Each, GraphNode, Hush, MapNode, NodeChunk, ResourceHub
from hush.providers import LLMNode, PromptNode

Ask = Callable[[], Awaitable[list[Any]]]
SDK = "openai SDK + semaphore"
MANY, FEW = 20_000, 2_000  # of those whose answers are dropped


def asking(*, answers: bool = True) -> GraphNode:
    """A map over questions: a prompt and a model."""
    with GraphNode(name="asking") as graph:
        inputs = {"question": Each(PARENT["questions"])}
        with MapNode(name="each", inputs=inputs, max_concurrency=ASKED_AT_ONCE) as each:
            prompt = PromptNode("prompt", inputs={"prompt": "{question}", "question": PARENT["question"]})
            inputs = {"messages": prompt["messages"]}
            llm = LLMNode("llm", resource_key="model", inputs=inputs, outputs={"content": PARENT})
            START >> prompt >> llm >> END
        if answers:
            each["content"] >> PARENT["answers"]
        START >> each >> END
    return graph


def hub(base_url: str, **more: Any) -> ResourceHub:
    """The scripted server as a resource."""
    settings = {"type": "openai", "api_key": "none", "base_url": base_url, "model": MODEL, **more}
    return ResourceHub({"llm:model": settings})


# --- many calls -------------------------------------------------------------------------------------------------------
@asynccontextmanager
async def by_hush(base_url: str, limits: Mapping[str, Any] | None) -> AsyncIterator[Ask]:
    """A run for all of the questions; ``limits`` as a resource has them."""
    more = {} if limits is None else {"limits": dict(limits)}
    async with Hush(asking(), resources=hub(base_url, **more)) as engine:

        async def ask() -> list[Any]:
            found: list[Any] = (await engine.run(inputs={"questions": ASKED}))["answers"]
            return found

        yield ask


@asynccontextmanager
async def by_sdk(base_url: str) -> AsyncIterator[Ask]:
    """What one writes with the vendor's client."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def one(question: str) -> str | None:
            reply = await client.chat.completions.create(model=MODEL, messages=message(question))
            return reply.choices[0].message.content

        yield lambda: at_once(one, ASKED)


@asynccontextmanager
async def by_http(base_url: str) -> AsyncIterator[Ask]:
    """The same without it: a request, and a field of its answer."""
    from httpx2 import AsyncClient, Limits

    limits = Limits(max_connections=ASKED_AT_ONCE, max_keepalive_connections=ASKED_AT_ONCE)
    async with AsyncClient(limits=limits, timeout=60, headers={"authorization": "Bearer none"}) as client:

        async def one(question: str) -> Any:
            body = {"model": MODEL, "messages": message(question)}
            reply = await client.post(f"{base_url}/chat/completions", json=body)
            return reply.json()["choices"][0]["message"]["content"]

        yield lambda: at_once(one, ASKED)


@dataclass(frozen=True)
class ManyCalls:
    """All figures come from the same runs."""

    name: str = "llm"
    work: str = (
        f"a language model asked {QUESTIONS:,} questions, {ASKED_AT_ONCE} at a time, {LATENCY_S * 1000:.0f} ms each"
    )

    def measure(self, effort: Effort) -> list[Line]:
        """Wall time, and processor time."""
        with llm_server() as base_url:
            wall_s, used_s = asyncio.run(self._seconds(base_url, effort))
        walls = {label: each / IDEAL_LLM_S for label, each in wall_s.items()}
        used = {label: each / QUESTIONS * 1e6 for label, each in used_s.items()}
        return [
            Line(work=self.work, unit="× ideal", goal=Times(1.1, SDK), hush=walls.pop("hush"), hands=walls),
            Line(
                work="of it, processor time", unit="µs a call", goal=Times(1.3, SDK), hush=used.pop("hush"), hands=used
            ),
        ]

    async def _seconds(self, base_url: str, effort: Effort) -> tuple[dict[str, float], dict[str, float]]:
        async with AsyncExitStack() as stack:
            sides = {
                "hush": await stack.enter_async_context(by_hush(base_url, {"concurrency": ASKED_AT_ONCE})),
                "hush, no limits": await stack.enter_async_context(by_hush(base_url, None)),
                SDK: await stack.enter_async_context(by_sdk(base_url)),
                "httpx2 + semaphore": await stack.enter_async_context(by_http(base_url)),
            }
            before = calls_seen(base_url)
            must_agree({label: {"answers": await side()} for label, side in sides.items()})
            if calls_seen(base_url) - before != QUESTIONS * len(sides):
                raise WrongResultError("there were not as many calls as questions")
            wall_s: dict[str, list[float]] = {label: [] for label in sides}
            used_s: dict[str, list[float]] = {label: [] for label in sides}
            for _ in range(effort.heavy):
                for label, side in sides.items():
                    gc.collect()
                    began_s, used = perf_counter(), process_time()
                    await side()
                    wall_s[label].append(perf_counter() - began_s)
                    used_s[label].append(process_time() - used)
        return {label: median(each) for label, each in wall_s.items()}, {
            label: median(each) for label, each in used_s.items()
        }


# --- the first token --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class FirstToken:
    """From asking until the first part of the answer is there."""

    name: str = "llm-stream"
    work: str = f"a streamed answer, until its first token, of which the server takes {LATENCY_S * 1000:.0f} ms"

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        with llm_server() as base_url:
            seconds = asyncio.run(self._seconds(base_url, effort))
        return [
            Line(
                work=self.work,
                unit="ms",
                goal=Times(1.1, "openai SDK"),
                hush=seconds["hush"] * 1000,
                hands={"openai SDK": seconds["openai SDK"] * 1000},
            )
        ]

    async def _seconds(self, base_url: str, effort: Effort) -> dict[str, float]:
        from openai import AsyncOpenAI

        with GraphNode(name="one") as graph:
            llm = LLMNode("llm", resource_key="model", inputs={"messages": PARENT["question"]})
            START >> llm >> END
        question = ASKED[0]
        async with (
            Hush(graph, resources=hub(base_url)) as engine,
            AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client,
        ):

            async def hush() -> float:
                began_s, first_s = perf_counter(), 0.0
                async for event in engine.stream({"question": question}):
                    if isinstance(event, NodeChunk) and not first_s:
                        first_s = perf_counter() - began_s
                return first_s

            async def sdk() -> float:
                began_s, first_s = perf_counter(), 0.0
                stream = await client.chat.completions.create(model=MODEL, messages=message(question), stream=True)
                async for chunk in stream:
                    if chunk.choices and chunk.choices[0].delta.content and not first_s:
                        first_s = perf_counter() - began_s
                return first_s

            sides = {"hush": hush, "openai SDK": sdk}
            taken: dict[str, list[float]] = {label: [] for label in sides}
            for side in sides.values():
                await side()
            for _ in range(effort.samples):
                for label, side in sides.items():
                    taken[label].append(await side())
        return {label: median(each) for label, each in taken.items()}


# --- memory -----------------------------------------------------------------------------------------------------------
def hush_peak(base_url: str, count: str) -> Record:
    """The peak of a process that asks so many questions and drops the answers."""

    async def main() -> None:
        limits = {"concurrency": ASKED_AT_ONCE}
        async with Hush(asking(answers=False), resources=hub(base_url, limits=limits)) as engine:
            await engine.run(inputs={"questions": (f"What is {n}?" for n in range(int(count)))})

    asyncio.run(main())
    return {"mb": peak_mb()}


@dataclass(frozen=True)
class Dropped:
    """What the peak rises by with the number of calls."""

    name: str = "llm-memory"
    work: str = f"{MANY:,} calls from a generator, answers dropped: its peak memory, over {FEW:,}"

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        del effort  # a minute each
        with llm_server("latency_s: 0.001\n") as base_url:
            many, few = (in_fresh_process(hush_peak, base_url, str(count))["mb"] for count in (MANY, FEW))
        return [Line(work=self.work, unit="MB", hush=many - few, hands={})]


ROWS: tuple[Row, ...] = (ManyCalls(), FirstToken(), Dropped())
