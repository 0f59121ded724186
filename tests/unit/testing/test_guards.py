"""Engines that nobody holds any more leave nothing behind on a virtual loop, and what they had opened is closed."""

from __future__ import annotations

from hush.core import PARENT, GraphNode, Hush
from hush.providers import LLMNode
from hush.testing import ScriptedLLM, run_virtual


def test_an_engine_that_is_made_for_one_run():
    def engine():
        with GraphNode(name="one") as graph:
            LLMNode(name="llm", resource_key="m", inputs={"messages": PARENT["text"]}, outputs=PARENT)
        return Hush(graph, resources={"llm:m": ScriptedLLM()})

    assert run_virtual(lambda: engine().run({"text": "a"}))["content"] == "echo: a"

    async def several():
        return [(await engine().run({"text": text}))["content"] for text in "ab"]

    assert run_virtual(several) == ["echo: a", "echo: b"]
