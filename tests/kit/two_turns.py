"""A conversation of two turns, the second of which says again what the first one answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hush.core import PARENT, CodeNode, GraphNode
from hush.providers import LLMNode, PromptNode
from kit.model_places import SOON


def in_two_turns(
    given: Mapping[str, Any], *, streams: bool, alter: Callable[[Any], None] | None = None, second: str = "m"
) -> GraphNode:
    """A question, the calls that the model asks for, and their results sent back with its message.

    ``given`` are inputs of both requests, ``alter`` may change the message between them.
    """

    def called(message, tool_calls):
        if alter is not None:
            alter(message)
        history = [{"role": "user", "content": "?"}, message]
        return {"history": history, "results": [{"id": call["id"], "result": "5"} for call in tool_calls]}

    with GraphNode(name="g") as graph:
        one = LLMNode(name="one", resource_key="m", inputs={"messages": "?", **given}, stream=streams, retry=SOON)
        work = CodeNode(code_fn=called, inputs={"message": one["message"], "tool_calls": one["tool_calls"]})
        prompt = PromptNode(
            name="prompt",
            inputs={
                "prompt": [{"role": "system", "content": "Be brief."}],
                "conversation_history": work["history"],
                "tool_results": work["results"],
            },
        )
        two = LLMNode(
            name="two",
            resource_key=second,
            inputs={"messages": prompt["messages"], **given},
            stream=streams,
            retry=SOON,
        )
        two["content"] >> PARENT["content"]
        one["message"] >> PARENT["message"]
        one["thinking_content"] >> PARENT["thinking"]
    return graph
