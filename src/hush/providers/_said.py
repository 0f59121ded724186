"""What a model has said, as the message that goes back to it in the next turn."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hush.providers._model import BLOCKS, Reply
from hush.providers._tools import as_openai


def said(reply: Reply) -> dict[str, Any]:
    """The message of the assistant, in OpenAI's form, with what the vendor wants to see again.

    Pictures are not in it: no vendor takes them from the assistant. Of what was spoken it has the id, as OpenAI wants.
    """
    calls = [as_openai(call) for call in reply.tool_calls]
    found: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if calls:
        found |= {"content": reply.content or None, "tool_calls": calls}
    if reply.refusal is not None:
        found["refusal"] = reply.refusal
    if reply.blocks:
        found[BLOCKS] = [dict(block) for block in reply.blocks]
    found |= deepcopy(dict(reply.thoughts))
    if reply.audio is not None and reply.audio.get("id"):
        found["audio"] = {"id": reply.audio["id"]}
    return found
