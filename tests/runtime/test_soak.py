"""A quarter of an hour of runs that fail, time out, are cancelled, refused and lose their processes: nothing grows.

``HUSH_SOAK_S`` is for how many seconds, if not 900.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from statistics import median
from time import monotonic
from typing import NamedTuple

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, ResourceHub, Retry
from hush.observability import LocalTracer
from hush.providers import LLMNode
from hush.testing import Fault, ScriptedLLM, llm_server
from kit.processes import HAVE_PROC, descriptors

SECONDS = float(os.environ.get("HUSH_SOAK_S", "900"))
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6 if hasattr(os, "sysconf") else 0.0
ITEMS = 200

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(SECONDS + 300),
    pytest.mark.usefixtures("silence"),  # or pytest would keep what is logged: two kilobytes a round
    pytest.mark.skipif(not HAVE_PROC, reason="memory and descriptors are counted in /proc"),
]


class Seen(NamedTuple):
    """What there is between two rounds."""

    mb: float
    tasks: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> Seen:
        gc.collect()
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        return cls(pages * PAGE_MB, len(asyncio.all_tasks()), threading.active_count(), descriptors())


async def asks(x):
    """Some fail once, some always, some hang."""
    chance = random.random()
    await asyncio.sleep(chance / 200)
    if chance < 0.1:
        raise ConnectionError("reset")
    if chance > 0.98:
        await asyncio.sleep(60)
    return {"y": x, "text": "a" * 1_000}


def computes(y):
    if y % 50 == 7:
        raise ValueError(y)
    return {"z": sum(range(2_000)) + y}


def dies(x):
    if x == 1:
        os._exit(3)
    return {"w": x}


def engine() -> Hush:
    with GraphNode(name="soak") as graph:
        with MapNode(name="first", inputs={"x": Each(PARENT["xs"])}, max_concurrency=50) as first:
            policies = {"retry": Retry(3, backoff_s=0.001), "timeout_s": 0.1, "limit": Limit(concurrency=30)}
            CodeNode("ask", code_fn=asks, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, **policies)
        with MapNode(name="second", inputs={"y": Each(first["y"])}, max_concurrency=8) as second:
            CodeNode("compute", code_fn=computes, inputs={"y": PARENT["y"]}, outputs=PARENT, executor="thread")
        second["z"] >> PARENT["zs"]
        second["error"] >> PARENT["errors"]
    return Hush(graph)


def in_processes() -> Hush:
    with GraphNode(name="processes") as graph:
        with MapNode(name="m", inputs={"x": Each([0, 1, 2])}, executor="process", max_concurrency=2) as each:
            CodeNode("die", code_fn=dies, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["error"] >> PARENT["errors"]
    return Hush(graph)


def of_models(url: str) -> Hush:
    """Asks a server that refuses some, breaks off others, and says when to come back."""
    model = {
        "type": "openai",
        "api_key": "none",
        "base_url": f"{url}/v1",
        "model": "m",
        "limits": {"concurrency": "auto"},
    }
    with GraphNode(name="models") as graph:
        with MapNode(name="m", inputs={"q": Each(PARENT["qs"])}, max_concurrency=20) as each:
            policies = {"retry": Retry(5, backoff_s=0.001), "timeout_s": 5}
            LLMNode("ask", resource_key="m", inputs={"messages": PARENT["q"]}, outputs=PARENT, **policies)
        each["error"] >> PARENT["errors"]
    return Hush(graph, resources=ResourceHub({"llm:m": model}))


async def one_round(number: int, hush: Hush, models: Hush, tracer: LocalTracer) -> None:
    run = asyncio.create_task(hush.run({"xs": iter(range(ITEMS))}, tracer=tracer))
    if number % 3 == 0:  # somewhere in the middle
        await asyncio.wait([run], timeout=random.random() / 5)
        run.cancel()
        await asyncio.wait([run])
    else:
        result = await run
        assert len(result["zs"]) == len(result["errors"]) == ITEMS
    if number % 20 == 0:
        found = await in_processes().run(tracer=tracer)
        assert [error is None for error in found["errors"]] == [True, False, True]
    if number % 5 == 1:
        found = await models.run({"qs": ["why"] * 40}, tracer=tracer)
        assert len(found["errors"]) == 40
    if number % 10 == 0:
        assert await asyncio.to_thread(tracer.flush, 30)


def test_memory_tasks_threads_and_descriptors_are_flat(tmp_path):
    async def main() -> list[Seen]:
        seen: list[Seen] = []
        tracer, until_s, number = LocalTracer(tmp_path / "traces.db"), monotonic() + SECONDS, 0
        hush = engine()
        with llm_server(llm) as url:
            async with of_models(url) as models:
                while monotonic() < until_s or number % 20:
                    await one_round(number, engine() if number % 5 == 0 else hush, models, tracer)
                    number += 1
                    if not number % 20:
                        statuses.update(llm.stats.by_status)
                        llm.reset()
                        seen.append(Seen.now())
        return seen

    random.seed(1)
    statuses: Counter[int] = Counter()
    faults = [
        Fault("rate_limited", probability=0.1, retry_after_s=0.02),
        Fault(503, probability=0.05),
        Fault("reset", probability=0.02),
    ]
    llm = ScriptedLLM(faults=faults, latency_s=0.005)
    seen = asyncio.run(main())
    third = len(seen) // 3
    assert third >= 2, f"only {len(seen)} looks: give it more time"
    before, after = seen[third : 2 * third], seen[-third:]
    print(f"\n{20 * len(seen)} rounds; first, middle, last: {seen[0]} {before[0]} {seen[-1]}")
    assert min(statuses[status] for status in (200, 429, 503)) > 10
    assert {one.tasks for one in seen} == {1}
    assert median(one.mb for one in after) <= median(one.mb for one in before) * 1.03 + 2
    assert median(one.threads for one in after) <= median(one.threads for one in before)
    assert median(one.files for one in after) <= median(one.files for one in before)
