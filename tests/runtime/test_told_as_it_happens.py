"""Calls on the loop, one after the other, of which a tracer is told as each begins and as it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from time import perf_counter_ns
from typing import Any

import pytest

from hush.core import PARENT, START, CodeNode, GraphNode, Hush, WhileLoopNode
from hush.core._runtime._gate import FORGIVEN_NS, QUICK_NS, SLOW_NS, AutoGate, gate_of
from hush.core._runtime._pass import BUDGET_NS
from hush.core._runtime._tracing import Tracing
from hush.core.events import NodeCalled, NodeFailed, NodeFinished, NodeReady, NodeStarted, RunFinished, RunStarted
from hush.testing import Recorder


def chain(fn: Any, length: int, **options: Any) -> GraphNode:
    with GraphNode(name="g") as graph:
        last = CodeNode(name="n0", code_fn=fn, inputs={"x": PARENT["x"]}, **options)
        for number in range(1, length):
            last = CodeNode(name=f"n{number}", code_fn=fn, inputs={"x": last["x"]}, **options)
        last["x"] >> PARENT["y"]
    return graph


def add_one(x: int) -> dict[str, int]:
    return {"x": x + 1}


class Builtin:
    """A tracer whose ``emit`` is built in, so that it cannot ask for the loop."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.emit = self.events.append


class Seeing(Builtin):
    """One that is told of calls too, in four events each."""

    sees_calls = True


def story(length: int) -> list[tuple[type, str]]:
    nodes = [(kind, f"g/n{number}") for number in range(length) for kind in (NodeReady, NodeStarted, NodeFinished)]
    # What a node makes ready is told with its end.
    return [(RunStarted, "g"), *nodes, (RunFinished, "g")]


@pytest.mark.parametrize("executor", ["inline", "auto"])
@pytest.mark.parametrize("make", [Builtin, Recorder])
async def test_each_is_told_of_before_it_is_called_and_when_it_has_ended(make, executor):
    engine, tracer, heard = None, make(), []

    def looking(x):
        heard.append([type(event) for event in tracer.events][-2:])
        return {"x": x + 1}

    engine = Hush(chain(looking, 6, executor=executor))
    for _ in range(3):  # under "auto" the first calls run in threads
        tracer.events.clear()
        heard.clear()
        assert await engine.run({"x": 0}, tracer=tracer) == {"y": 6}
    assert [(type(event), event.path) for event in tracer.events] == story(6)
    assert heard == [[NodeReady, NodeStarted]] * 6
    times = [event.at_ns for event in tracer.events]
    assert times == sorted(times)


async def test_each_event_is_told_to_all_before_the_next_one():
    heard = []

    class Noting:
        def __init__(self, name):
            self.name = name

        def emit(self, event):
            heard.append((self.name, event))

    await Hush(chain(add_one, 5, executor="inline")).run({"x": 0}, tracer=[Noting("a"), Noting("b")])
    assert [name for name, _ in heard] == ["a", "b"] * (len(heard) // 2)
    assert all(a is b for (_, a), (_, b) in zip(heard[::2], heard[1::2], strict=True))


@pytest.mark.parametrize("kind", [NodeReady, NodeStarted, NodeFinished])
async def test_one_that_raises_hears_no_more_and_the_others_all(kind, caplog):
    class Breaks(Recorder):
        def emit(self, event):
            super().emit(event)
            if type(event) is kind and event.path == "g/n2":
                raise LookupError("the disk is full")

    breaks, sound = Breaks(), Builtin()
    assert await Hush(chain(add_one, 5, executor="inline")).run({"x": 0}, tracer=[breaks, sound]) == {"y": 5}
    assert (type(breaks.events[-1]), breaks.events[-1].path) == (kind, "g/n2")
    assert [(type(event), event.path) for event in sound.events] == story(5)
    assert ["Breaks" in record.getMessage() for record in caplog.records] == [True]


async def test_whoever_could_ask_for_the_loop_is_told_with_it_running():
    """Whether or not others are told beside it that could not, and although the functions do not see it."""
    loops: list[Any] = []

    class Asking:
        def emit(self, event):
            loops.append(asyncio.get_running_loop())

    seen = []

    def hidden(x):
        try:
            seen.append(asyncio.get_running_loop())
        except RuntimeError:
            seen.append(None)
        return {"x": x + 1}

    engine = Hush(chain(hidden, 6, executor="auto"))
    await engine.run({"x": 0})
    for tracer in (Asking(), [Builtin(), Asking()], [Asking(), Builtin()], Builtin()):
        await engine.run({"x": 0}, tracer=tracer)
        asyncio.get_running_loop()
    assert loops == [asyncio.get_running_loop()] * 3 * len(story(6))  # none was dropped, since it raised
    assert set(seen) == {None}


TRIES = 5
"""A machine that is busy may take a call from the processor for longer than a call on the loop may take."""


def inline() -> tuple[Any, AutoGate]:
    """A function that has shown that it is quick, and its gate, which those of one code without a closure share."""
    one = 1

    def fn(x):
        return {"x": x + one}

    gate = gate_of(fn)
    for _ in range(3):
        gate.ran_in_thread(QUICK_NS - 1)
    return fn, gate


@pytest.mark.parametrize("make", [lambda: None, Builtin, Recorder, Seeing])
async def test_a_gate_is_told_of_its_calls_whoever_listens(make):
    """A second of inline calls without a slow one is forgiven, in a run with a tracer too."""
    rows = []
    for _ in range(TRIES):
        fn, gate = inline()
        gate.ran_inline(SLOW_NS + 1)  # back to threads, for a row of six
        for _ in range(6):
            gate.ran_in_thread(QUICK_NS - 1)
        for _ in range(FORGIVEN_NS // SLOW_NS - 1):
            gate.ran_inline(SLOW_NS)
        gate.ran_inline(SLOW_NS - 1)  # now a nanosecond is left
        assert gate.row == 6
        await Hush(chain(fn, 3)).run({"x": 0}, tracer=make())
        rows.append(gate.row)
    assert 3 in rows


@pytest.mark.parametrize("kind", [NodeReady, NodeStarted, NodeFinished])
async def test_what_a_slow_tracer_takes_is_not_the_functions_time(kind):
    """It takes longer than a call on the loop may, and less than a pass of the loop."""

    class Slow:
        def emit(self, event):
            if type(event) is kind:
                until_ns = perf_counter_ns() + SLOW_NS + 200_000
                while perf_counter_ns() < until_ns:
                    pass

    rows = []
    for _ in range(TRIES):
        fn, gate = inline()
        await Hush(chain(fn, 2)).run({"x": 0}, tracer=Slow())
        rows.append(gate.row)
    assert 3 in rows


async def test_whoever_reads_slowly_holds_a_chain_back():
    called = []

    def noting(x):
        called.append(x)
        return {"x": x + 1}

    engine = Hush(chain(noting, 400, executor="inline"))
    async with engine.stream({"x": 0}, buffer=8) as events:
        async for event in events:
            if type(event) is NodeFinished and event.path == "g/n20":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert len(called) < 60
                break
    assert len(called) < 60


async def test_what_each_gave_is_kept_whoever_listens():
    engine = Hush(chain(add_one, 3, executor="inline"))
    for tracer in (None, Builtin(), Seeing()):
        result = await engine.run({"x": 0}, tracer=tracer, keep=True)
        assert {path: dict(given) for path, given in result.nodes.items()} == {
            "g/n0": {"x": 1},
            "g/n1": {"x": 2},
            "g/n2": {"x": 3},
        }


async def test_nothing_is_remembered_of_those_that_have_ended():
    left = []

    class Entering(Seeing):
        def __init__(self):
            super().__init__()
            self.emit = self._emit

        def enter(self, event):
            return lambda: None

        def _emit(self, event):
            if type(event) is RunFinished:
                left.extend(one._started for one in gc.get_objects() if type(one) is Tracing)

    tracer = Entering()
    await Hush(chain(add_one, 3, executor="inline")).run({"x": 0}, tracer=tracer)
    assert left
    assert not any(left)


@pytest.mark.parametrize("executor", ["inline", "auto"])
@pytest.mark.parametrize("make", [Builtin, Recorder, Seeing])
async def test_after_what_is_out_of_the_ordinary_the_next_is_told_of_too(make, executor):
    """Tags, what is awaited, a failure that is handled, and what is no dict: each before one that is plain."""

    async def later():
        return {"x": 3}

    def gives(x):
        if x == 4:
            raise LookupError
        return later() if x == 2 else [{"x": 0}, {"x": 1, "$tags": "t"}, None, None][x]

    engine_of = {}
    for first in range(5):
        with GraphNode(name="g") as graph:
            steps = [
                CodeNode(
                    name=f"n{number}",
                    code_fn=gives,
                    inputs={"x": first if number == 1 else 0},
                    executor=executor,
                    on_error="collect",
                )
                for number in range(4)
            ]
            START >> steps
        engine_of[first] = Hush(graph)
    for first, engine in engine_of.items():
        await engine.run()
        loops = []

        class Asking(make):
            def __init__(self, loops=loops):
                super().__init__()
                self.hear, self.emit = self.emit, self._emit
                self.loops = loops

            def _emit(self, event):
                self.loops.append(asyncio.get_running_loop())
                self.hear(event)

        for tracer in (make(), Asking()):
            await engine.run(tracer=tracer)
            for kind in (NodeReady, NodeStarted):
                told = [event.path for event in tracer.events if type(event) is kind]
                assert sorted(told) == [f"g/n{number}" for number in range(4)], (first, kind)
            ends = [event.path for event in tracer.events if type(event) in (NodeFinished, NodeFailed)]
            assert sorted(ends) == [f"g/n{number}" for number in range(4)]
        assert len(loops) == len(tracer.events)


@pytest.mark.parametrize("executor", ["inline", "auto"])
@pytest.mark.parametrize("make", [Builtin, Recorder, Seeing])
@pytest.mark.parametrize("odd", ["nothing", "failure", "awaited", "tags", "slow"])
async def test_in_a_chain_each_is_told_of_once_whatever_the_one_before_it_did(odd, make, executor):
    async def later():
        return {"x": 0}

    def gives(x):
        if odd == "slow" and x == 2:  # all of what a pass of the loop may take
            until_ns = perf_counter_ns() + BUDGET_NS
            while perf_counter_ns() < until_ns:
                pass
        if odd == "failure" and x == 2:
            raise LookupError
        if odd == "awaited" and x == 2:
            return later()
        return {"nothing": None, "tags": {"x": 0, "$tags": "t"}}.get(odd, {"x": 0}) if x == 2 else {"x": 0}

    with GraphNode(name="g") as graph:
        steps = [
            CodeNode(name=f"n{x}", code_fn=gives, inputs={"x": x}, executor=executor, on_error="collect")
            for x in range(5)
        ]
        START >> steps[0] >> steps[1] >> steps[2] >> steps[3] >> steps[4]
    engine = Hush(graph)
    for _ in range(3):  # under "auto" the first calls run in threads
        tracer = make()
        await engine.run(tracer=tracer)
        told = [
            (NodeFinished if type(event) is NodeFailed else type(event), event.path)
            for event in tracer.events
            if type(event) is not NodeCalled
        ]
        assert told == story(5)
        numbers = [event.number for event in tracer.events if type(event) is NodeStarted]
        assert numbers == [1, 2, 3, 4, 5]
        times = [event.at_ns for event in tracer.events]
        assert times == sorted(times)


@pytest.mark.parametrize("make", [Builtin, Recorder, Seeing])
async def test_calls_that_are_told_to_a_gate_are_told_to_tracers_too(make):
    fn, gate = inline()
    gate.ran_inline(SLOW_NS + 1)  # back to threads
    for _ in range(6):
        gate.ran_in_thread(QUICK_NS - 1)
    tracer = make()
    await Hush(chain(fn, 5)).run({"x": 0}, tracer=tracer)
    assert [(type(event), event.path) for event in tracer.events if type(event) is not NodeCalled] == story(5)


async def test_a_tracer_that_prepares_contexts_hears_the_numbers_of_calls():
    class Entering(Seeing):
        def enter(self, event):
            return lambda: None

    for executor in ("inline", "thread"):
        tracer = Entering()
        await Hush(chain(add_one, 3, executor=executor)).run({"x": 0}, tracer=tracer)
        numbers = {kind: [e.number for e in tracer.events if type(e) is kind] for kind in (NodeStarted, NodeCalled)}
        assert numbers == {NodeStarted: [1, 2, 3], NodeCalled: [1, 2, 3]}


@pytest.mark.parametrize("how", ["inline", "auto", "thread", "deadline", "awaited"])
@pytest.mark.parametrize("make", [Builtin, Recorder, Seeing])
async def test_a_failure_that_is_kept_does_not_keep_the_tracer(make, how):
    def fails(x):
        raise LookupError

    async def never(x):
        return {}

    with GraphNode(name="g") as graph:
        more = {"deadline": {"timeout_s": 9}, "awaited": {}}.get(how, {"executor": how})
        fn = never if how in ("deadline", "awaited") else add_one
        first = CodeNode(name="first", code_fn=fn, inputs={"x": 1}, **more)
        last = CodeNode(name="last", code_fn=fn, inputs={"x": PARENT["x"].apply(fails)}, **more)
        START >> first >> last
    tracer = make()
    alive = weakref.ref(tracer)
    with pytest.raises(LookupError) as caught:
        await Hush(graph).run({"x": 1}, tracer=tracer)
    del tracer
    gc.collect()
    assert alive() is None
    assert caught.value.__traceback__ is not None


async def test_what_each_gave_is_told_to_whoever_asks_for_it():
    tracer = Seeing()
    await Hush(chain(add_one, 3, executor="inline")).run({"x": 0}, tracer=tracer)
    ended = [event for event in tracer.events if type(event) is NodeFinished]
    assert [event.outputs for event in ended] == [{"x": 1}, {"x": 2}, {"x": 3}]
    plain = Builtin()
    await Hush(chain(add_one, 3, executor="inline")).run({"x": 0}, tracer=plain)
    assert {event.outputs for event in plain.events if type(event) is NodeFinished} == {None}


@pytest.mark.parametrize("make", [lambda: None, Builtin, Recorder, Seeing])
async def test_what_the_condition_of_a_loop_takes_is_no_functions_time(make):
    """It takes longer than a call on the loop may, and less than a pass of the loop."""

    def done(x):
        until_ns = perf_counter_ns() + SLOW_NS + 200_000
        while perf_counter_ns() < until_ns:
            pass
        return x == 1

    rows = []
    for _ in range(TRIES):
        fn, gate = inline()
        with GraphNode(name="g") as graph:
            with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition=done) as loop:
                body = CodeNode(name="body", code_fn=fn, inputs={"x": PARENT["x"]})
                body["x"] >> PARENT["x"]
            last = CodeNode(name="last", code_fn=fn, inputs={"x": loop["x"]})
            START >> loop >> last
        await Hush(graph).run(tracer=make())
        rows.append(gate.row)
    assert 3 in rows
