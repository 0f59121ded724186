"""A model that refuses a share of its calls whatever the rate is: ``"auto"`` does not cut itself down to nothing.

Before refusals by chance were told apart, these took 2 to 150 times as long.
"""

from __future__ import annotations

import asyncio

import pytest

from hush.core import END, PARENT, START, Each, GraphNode, Hush, MapNode, ResourceHub
from hush.providers import LLMNode
from hush.testing import Fault, ScriptedLLM, run_virtual


def took_s(limits: dict | None, fault: Fault) -> float:
    """Seconds, in virtual time, until 200 questions are answered, 5 at a time."""
    llm = ScriptedLLM(latency_s=0.05, faults=[fault], seed=3)
    settings = {"type": "scripted", "llm": llm} | ({} if limits is None else {"limits": limits})
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"q": Each(PARENT["qs"])}, max_concurrency=5) as each:
            node = LLMNode("l", resource_key="m", inputs={"messages": PARENT["q"]}, outputs={"content": PARENT})
            START >> node >> END
        each["content"] >> PARENT["answers"]
        START >> each >> END

    async def run() -> float:
        async with Hush(graph, resources=ResourceHub({"llm:m": settings})) as engine:
            result = await engine.run({"qs": [str(number) for number in range(200)]})
            assert result.status == "ok"
            assert None not in result["answers"]
            return asyncio.get_running_loop().time()

    return run_virtual(run)


@pytest.mark.parametrize("retry_after_s", [None, 1], ids=["plain", "with a pause"])
@pytest.mark.parametrize("how", [{"every": 7}, {"every": 20}, {"probability": 0.14}], ids=["7th", "20th", "drawn"])
def test_it_takes_at_most_ten_times_as_long_as_with_a_limit_that_holds_nobody_back(how, retry_after_s):
    fault = Fault("rate_limited", retry_after_s=retry_after_s, **how) if retry_after_s else Fault(429, **how)
    assert took_s(None, fault) <= 10 * took_s({"concurrency": 200}, fault)
