"""What tests of items that fail share: bodies that fail below 0, a map over them, and names for what they raised."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode
from kit.faults import Boom, label


def sync_body(x):
    if x < 0:
        raise Boom(x)
    return {"y": x * 10}


async def async_body(x):
    """Later items are done sooner."""
    await asyncio.sleep(100 - abs(x))
    return sync_body(x)


bodies = pytest.mark.parametrize("body", [sync_body, async_body])


def mapped(body, items, *, read=("y", "error"), starred=False, **options):
    """A graph of one map. It reads these columns of it as `ys`, `errors` and so on."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(items)}, **options) as each:
            outputs = PARENT if starred else {key: PARENT[key] for key in read if key != "error"}
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=outputs)
        for key in read:
            each[key] >> PARENT[f"{key}s"]
    return graph


def labels(column):
    return [error if error is None else label(error) if isinstance(error, BaseException) else error for error in column]
