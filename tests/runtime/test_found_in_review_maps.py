"""Faults that a review of the first engine found: maps and their sources."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._domain import Domain
from hush.core.events import MapFinished, MapStarted
from kit.faults import Boom, members


def give(x):
    return {"y": x}


def map_over(source, *, body=give, executor="auto", pull="auto", **options):
    """In a graph: one map over the source, whose items are ``body``."""
    with MapNode(name="m", inputs={"x": Each(source, pull=pull)}, **options) as each:
        CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT, executor=executor)
    each["y"] >> PARENT["y"]


# ── What maps keep ───────────────────────────────────────────────────────────────────────────────────────────────────


class Lines:
    """Stands for an open file: an iterator over its lines."""

    def __init__(self):
        self._lines = iter("ab")

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._lines)


def lines():
    yield from "ab"


@pytest.mark.parametrize("opener", [Lines, lines])
def test_iterators_that_were_gone_through_die_while_the_run_goes_on(opener):
    """A run over many files has a few of them open, not all: that used iterators are refused must not keep them."""
    opened, most = [], []

    def open_one(x):
        most.append(sum(ref() is not None for ref in opened))
        rows = opener()
        opened.append(weakref.ref(rows))
        return {"rows": rows}

    with GraphNode(name="g") as graph:
        with MapNode(name="files", inputs={"x": Each(range(100))}, max_concurrency=1) as files:
            one = CodeNode(name="open", code_fn=open_one, inputs={"x": PARENT["x"]})
            with MapNode(name="lines", inputs={"x": Each(one["rows"])}) as each:
                CodeNode(name="n", code_fn=give, inputs={"x": PARENT["x"]}, outputs=PARENT)
            each["y"] >> PARENT["y"]
        files["y"] >> PARENT["y"]
    assert Hush(graph).run_sync() == {"y": [["a", "b"]] * 100}
    assert max(most) <= 5


def test_maps_that_fail_while_they_open_are_forgotten():
    """An item's domain knows the domains in it, to cancel them: one that never begins would never be taken out."""
    alive = []

    def look(x):
        gc.collect()
        alive.append(sum(isinstance(each, Domain) for each in gc.get_objects()))
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"rows": Each([["first"], *[5] * 200, ["last"]])}, max_concurrency=1):
            with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}) as each:
                CodeNode(name="look", code_fn=look, inputs={"x": PARENT["x"]}, executor="inline", outputs=PARENT)
            each["y"] >> PARENT["y"]
    assert Hush(graph).run_sync().errors.total == 200
    assert alive[1] - alive[0] < 20


# ── Sources that fail ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_error_of_a_source_in_its_thread_is_not_lost_in_a_cancellation():
    """The map is ending when the thread raises, and waits for it already: so it must also listen."""
    pulled, go = threading.Event(), threading.Event()

    def source():
        pulled.set()
        go.wait(20)
        raise OSError("disk")
        yield

    async def bad():
        while not pulled.is_set():  # noqa: ASYNC110  # a thread has no loop to tell it
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(0.005, go.set)
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        map_over(PARENT["xs"], on_error="raise")
        CodeNode(name="bad", code_fn=bad)
    with pytest.raises(ExceptionGroup) as caught:
        await Hush(graph, grace_s=10).run({"xs": source()})
    assert {type(error) for error in members(caught.value)} == {Boom, OSError}


@pytest.mark.parametrize("pull", ["auto", "inline"])
async def test_items_before_the_failure_of_their_source_run_wherever_it_is_pulled(pull):
    """In a thread it is pulled a few at a time: those that came with the failure count as well."""
    ran = []

    def source():
        yield 1
        yield 2
        raise OSError("disk")

    def body(x):
        ran.append(x)
        return {"y": x}

    with GraphNode(name="g") as graph:
        map_over(PARENT["xs"], body=body, executor="inline", pull=pull)
    with pytest.raises(OSError, match="disk") as caught:
        await Hush(graph).run({"xs": source()})
    assert ran == [1, 2]
    assert caught.value.hush.columns["y"] == [1, 2]


# ── The loop ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tracers_and_inline_sources_always_see_the_running_loop():
    """Functions under `auto` never see it, so that all is the same in a thread: but these are no such functions."""
    loop, blind, seen_by_source = asyncio.get_running_loop(), [], set()

    def running():
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    class Tracer:
        def emit(self, event):
            if running() is not loop:
                blind.append(type(event).__name__)

    def source():
        for number in range(60):
            seen_by_source.add(running())
            yield number

    def body(x):
        if x % 7 == 6:
            raise Boom(x)
        return {"y": x}

    def bad():
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        map_over(PARENT["xs"], body=body, pull="inline")
        failed = CodeNode(name="failed", code_fn=bad, on_error="collect", inputs={})
        CodeNode(name="skipped", code_fn=give, inputs={"x": failed["y"]})
    engine = Hush(graph)
    for tracer in (None, Tracer()):
        assert (await engine.run({"xs": source()}, tracer=tracer)).errors.total == 9
    assert (blind, seen_by_source) == ([], {loop})


async def test_items_that_failed_upstream_do_not_hold_up_the_loop():
    """They cost nothing one by one; twenty thousand of them do."""
    ticks, at = 0, {}

    class Tracer:
        def emit(self, event):
            if isinstance(event, MapStarted | MapFinished):
                at[event.path, type(event)] = ticks

    def fail(x):
        raise Boom(x)

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(20_000))}) as first:
            CodeNode(name="n", code_fn=fail, inputs={"x": PARENT["x"]}, outputs={"y": PARENT}, executor="inline")
        with MapNode(name="k", inputs={"x": Each(first["y"])}) as second:
            CodeNode(name="n", code_fn=give, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="inline")
        second["y"] >> PARENT["y"]
    ticking = asyncio.ensure_future(tick())
    result = await Hush(graph).run(tracer=Tracer())
    ticking.cancel()
    assert result == {"y": [None] * 20_000}
    assert at["g/k", MapFinished] - at["g/k", MapStarted] >= 2
