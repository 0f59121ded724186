"""What tests of ``PromptNode`` share: messages, a graph of one node, what it gives, and what is wrong with it."""

from __future__ import annotations

from hush.core import PARENT, GraphNode, Hush
from hush.providers import PromptNode

PIXEL = "data:image/png;base64,AAAA"


def system(content):
    return {"role": "system", "content": content}


def user(content):
    return {"role": "user", "content": content}


def said(content):
    return {"role": "assistant", "content": content}


def built(inputs, **more):
    """A graph of one prompt node, called ``ask``."""
    with GraphNode(name="g") as graph:
        PromptNode(name="ask", inputs=inputs, outputs=PARENT, **more)
    return graph


def problems(inputs, **more):
    return [(one.message, one.mend) for one in built(inputs, **more).check()]


async def messages(inputs, run=None, **more):
    return (await Hush(built(inputs, **more)).run(run or {}))["messages"]


ATTACK = "{secret} {{secret}} {secret.__class__} {} {0!r:>999999999}"
HISTORY = [user("1"), said("2")]
