"""What tests of calls in threads share: a call that blocks until it is let go, and runs that are left with one."""

from __future__ import annotations

import asyncio
import threading

from hush.core import PARENT, CodeNode, GraphNode, Hush
from runtime.observing import until

LONG_S = 30  # a grace that no test waits for
SHORT_S = 0.03  # a grace that tests do wait for


class Call:
    """A `def` that says when it started and blocks until it is let go."""

    def __init__(self, error=None):
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.error = error

    def __call__(self):
        self.started.set()
        assert self.go.wait(20)
        self.ended.set()
        if self.error is not None:
            raise self.error
        return {"y": 1}

    async def start(self):
        await until(self.started.is_set)


def engine_of(call, *, grace_s, **options):
    with GraphNode(name="g") as graph:
        CodeNode(name="call", code_fn=call, inputs={}, outputs=PARENT, **options)
    return Hush(graph, grace_s=grace_s)


async def soon(awaitable):
    """A hang is a failure; how quick it is, no test asks."""
    return await asyncio.wait_for(awaitable, 10)


async def started(engine, call, **options):
    task = asyncio.ensure_future(engine.run(**options))
    await soon(call.start())
    return task
