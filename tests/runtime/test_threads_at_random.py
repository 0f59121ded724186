"""Random graphs with real threads, failures, timeouts and cancellations: nothing stays behind, nothing is invented."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
import time

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout, RunFinished, RunTimeout
from hush.testing import Recorder
from kit.faults import Boom, members

var = contextvars.ContextVar("var", default="nothing")
SECONDS = [0, 0, 0.0005, 0.002]


class Writer:
    """Writes random graphs, and sees what becomes of their nodes."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.numbers = itertools.count()
        self.active = 0
        self.raised = []
        self.foreign = []

    def chance(self, share, **options):
        return options if self.rng.random() < share else {}

    def name(self, kind):
        return f"{kind}{next(self.numbers)}"

    def enter(self):
        self.active += 1
        self.foreign += [] if var.get() == "the run's" else [var.get()]
        var.set("a node's")

    def leave(self, fails):
        if fails:
            self.raised.append(Boom("random"))
            raise self.raised[-1]
        return {"x": 1}

    def leaf(self, inputs):
        fails, seconds = self.rng.random() < 0.12, self.rng.choice(SECONDS)

        def work(x=0):
            self.enter()
            try:
                time.sleep(seconds)
                return self.leave(fails)
            finally:
                self.active -= 1

        async def work_async(x=0):
            self.enter()
            try:
                await asyncio.sleep(seconds)
                return self.leave(fails)
            finally:
                self.active -= 1

        kind = self.rng.choice(["auto", "thread", "timed", "async", "async"])
        policies = {"executor": kind} if kind in ("auto", "thread") else self.chance(0.3, timeout_s=0.001)
        policies |= self.chance(0.3, on_error="collect")
        fn = work_async if kind == "async" else work
        return CodeNode(name=self.name("n"), code_fn=fn, inputs=inputs, **policies)

    def source(self):
        count = self.rng.randrange(6)
        kind = self.rng.choice(["list", "generator", "async"])
        if kind == "list":
            return Each([*range(count)])

        async def rows():
            for number in range(count):
                await asyncio.sleep(0)
                yield number

        make = rows if kind == "async" else lambda: (number for number in range(count))
        return Each(CodeNode(name=self.name("rows"), code_fn=lambda: {"rows": make()}, inputs={})["rows"])

    def block(self, depth):
        made = []
        for _ in range(self.rng.randint(1, 4)):
            before = self.rng.choice(made) if made and self.rng.random() < 0.7 else None
            kind = self.rng.choice(["leaf", "leaf", "leaf", "graph", "map"]) if depth else "leaf"
            if kind == "leaf":
                node = self.leaf({"x": before["x"]} if before is not None and self.rng.random() < 0.7 else {})
            else:
                node = self.container(kind, depth)
            if before is not None and self.rng.random() < 0.3:
                before >> node
            made.append(node)
        return made

    def container(self, kind, depth):
        timed = self.chance(0.15, timeout_s=0.002)
        if kind == "graph":
            node = GraphNode(name=self.name("g"), **timed, **self.chance(0.3, on_error="collect"))
        else:
            limit, on_error = self.rng.randint(1, 4), self.rng.choice(["collect", "collect", "raise"])
            inputs = {"i": self.source()}
            node = MapNode(name=self.name("m"), inputs=inputs, max_concurrency=limit, on_error=on_error, **timed)
        with node:
            self.block(depth - 1)[-1]["x"] >> PARENT["x"]
        return node


@pytest.mark.parametrize("first", range(0, 250, 50))
async def test_nothing_stays_behind_and_nothing_is_invented(first):
    """No task, no call and no open end; no error that no node raised, and no cancellation that nobody asked for."""
    for seed in range(first, first + 50):
        writer, tracer = Writer(seed), Recorder()
        with GraphNode(name="g") as graph:
            writer.block(3)
        var.set("the run's")
        timeout_s = writer.rng.choice([None, None, 0.003])
        task = asyncio.ensure_future(Hush(graph, grace_s=20).run(timeout_s=timeout_s, tracer=tracer))
        asked = False
        if writer.rng.random() < 0.4:
            await asyncio.sleep(writer.rng.choice(SECONDS))
            asked = task.cancel()
        await asyncio.wait([task], timeout=20)

        assert task.done(), f"seed {seed}: it hangs"
        assert asyncio.all_tasks() == {asyncio.current_task()}, f"seed {seed}"
        assert writer.active == 0, f"seed {seed}: calls are under way"
        assert not writer.foreign, f"seed {seed}: a node saw what another one had set"
        assert not tracer.events or isinstance(tracer.events[-1], RunFinished), f"seed {seed}"
        assert asked or not task.cancelled(), f"seed {seed}: nobody asked for a cancellation"
        error = None if task.cancelled() else task.exception()
        for each in [] if error is None else members(error):
            mine = any(each is one for one in writer.raised)
            assert mine or isinstance(each, NodeTimeout | RunTimeout), f"seed {seed}: {each!r}"
