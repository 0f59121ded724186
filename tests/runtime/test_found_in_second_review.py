"""Faults that a second review of the engine found: turns, timeouts, context variables, what errors keep alive."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import gc
import sys
import weakref
from time import perf_counter, perf_counter_ns

import pytest

from hush.core import PARENT, Branch, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode, events
from hush.core._runtime._gate import gate_of
from hush.core._runtime._pass import pass_of
from kit.faults import Boom
from runtime.observing import outcome


def busy():
    """Spends the budget of a pass."""
    end = perf_counter() + 0.006
    while perf_counter() < end:
        pass


def engine_that_is_busy() -> Hush:
    with GraphNode(name="g") as graph:
        CodeNode(name="busy", code_fn=busy, executor="inline")
    return Hush(graph)


# ── Turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_waits_for_a_turn_keeps_its_place_however_many_wait():
    """32 are woken at a time. Those that found the budget spent went behind all who had not been woken yet."""
    budget = pass_of(asyncio.get_running_loop())
    served = []

    async def one(number):
        await budget.turn(served=False)
        served.append(number)
        budget.must_wait(perf_counter_ns())
        budget.deadline_ns = 1  # long ago: it is spent

    budget.deadline_ns = 1
    await asyncio.gather(*[one(number) for number in range(100)])
    assert served == list(range(100))


async def test_who_was_served_waits_behind_who_was_not():
    """The first of them is served once before the others, which are woken at the same time."""
    budget = pass_of(asyncio.get_running_loop())
    told = []

    async def one(name, *, served):
        await budget.turn(served=served)
        told.append(name)
        budget.must_wait(perf_counter_ns())
        budget.deadline_ns = 1

    budget.deadline_ns = 1
    old = [one(f"old {number}", served=True) for number in range(3)]
    new = [one(f"new {number}", served=False) for number in range(40)]
    await asyncio.gather(*old, *new)
    assert told == [f"new {number}" for number in range(40)] + [f"old {number}" for number in range(3)]


def test_a_loop_that_was_closed_while_runs_waited_for_their_turn_is_not_kept():
    """All were cancelled when it was closed, but more stood in line than are woken before it stops."""
    engine = engine_that_is_busy()

    async def main():
        handles = [engine.start() for _ in range(500)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(handles), weakref.ref(asyncio.get_running_loop())

    _, loop = asyncio.run(main())
    gc.collect()
    assert loop() is None


# ── Timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["run", "graph"])
async def test_a_run_may_run_out_of_time_before_its_turn_comes(where):
    """Its timeout was looked at only when it had come to its turn, behind all that stood in line before."""
    engine = engine_that_is_busy()
    ended, begun = [], []
    with GraphNode(name="late", timeout_s=None if where == "run" else 1e-9) as graph:
        CodeNode(name="late", code_fn=lambda: begun.append("late"), executor="inline")

    async def one():
        await engine.run()
        ended.append(None)

    async def in_time():
        with pytest.raises(TimeoutError):
            await Hush(graph).run(timeout_s=1e-9 if where == "run" else None)
        return len(ended)

    *_, before = await asyncio.gather(*[one() for _ in range(30)], in_time())
    assert before < 10
    assert not begun


# ── Context variables ────────────────────────────────────────────────────────────────────────────────────────────────

var: contextvars.ContextVar[str] = contextvars.ContextVar("var")


def sets(value):
    var.set("set on the way")
    return value


def same(x):
    return {"x": x}


def see():
    return {"seen": var.get()}


class Items:
    """Sets the variable when somebody begins to go through it."""

    def __iter__(self):
        sets(None)
        return iter([var.get()])


def inline(name, fn, **options):
    return CodeNode(name=name, code_fn=fn, executor="inline", **options)


def read_by_a_function(x):
    return inline("middle", same, inputs={"x": x.apply(sets)})


def written(x):
    middle = inline("middle", same, inputs={"x": x})
    middle["x"].apply(sets) >> PARENT["y"]
    return middle


def condition(x):
    middle = Branch("middle").if_(x.apply(sets) == 1, "one").otherwise("one")
    one = inline("one", same, inputs={"x": x})
    middle >> one
    return one


def read_by_a_graph(x):
    with GraphNode(name="middle", inputs={"x": x.apply(sets)}) as middle:
        inline("in_it", lambda x: see(), inputs={"x": PARENT["x"]}, outputs={"seen": PARENT["inside"]})
    middle["inside"] >> PARENT["inside"]
    return middle


def read_by_a_map(x):
    with MapNode(name="middle", inputs={"x": Each([1, 2]), "k": x.apply(sets)}) as middle:
        inline("in_it", lambda k: see(), inputs={"k": PARENT["k"]}, outputs=PARENT)
    middle["seen"] >> PARENT["inside"]
    return middle


def names_of_items(x):
    with MapNode(name="middle", inputs={"x": Each([1, 2])}, key=sets) as middle:
        inline("in_it", see, outputs=PARENT)
    middle["seen"] >> PARENT["inside"]
    return middle


def beginning_of_a_source(x):
    with MapNode(name="middle", inputs={"x": Each(Items())}) as middle:
        inline("in_it", see, outputs=PARENT)
    middle["seen"] >> PARENT["inside"]
    return middle


def condition_of_a_loop(x):
    with WhileLoopNode(name="middle", inputs={"x": x}, stop_condition=lambda x: sets(x > 2)) as middle:
        inline("more", lambda x: {"x": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    return middle


def variable_of_a_loop(x):
    with WhileLoopNode(name="middle", inputs={"x": x.apply(sets)}, max_iterations=2) as middle:
        inline("more", lambda x: {"x": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    return middle


@pytest.mark.parametrize(
    "way",
    [
        read_by_a_function,
        written,
        condition,
        read_by_a_graph,
        read_by_a_map,
        names_of_items,
        beginning_of_a_source,
        condition_of_a_loop,
        variable_of_a_loop,
    ],
)
async def test_what_functions_on_the_way_set_in_a_variable_nobody_else_sees(way):
    """References call functions too, and so do maps and loops: on the loop, outside the copy that a ``def`` gets."""
    var.set("the run's")
    with GraphNode(name="g") as graph:
        first = inline("first", lambda: {"x": 1})
        first >> way(first["x"]) >> inline("last", see, outputs=PARENT)
    found = await Hush(graph).run()
    assert found["seen"] == "the run's"
    inside = found.get("inside", [])
    assert set([inside] if isinstance(inside, str) else inside) <= {"the run's"}
    assert var.get() == "the run's"


# ── Cancellation ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has eager tasks since 3.12")
def test_a_failure_in_an_eager_task_leaves_no_cancellation_behind():
    """What follows a node that sets a variable goes on in another task; it failed while its maker was running."""

    async def first():
        var.set("the node's")
        return {"x": 1}

    def fails(x):
        raise Boom(x)

    with GraphNode(name="g") as graph:
        inline("fails", fails, inputs={"x": CodeNode(name="first", code_fn=first)["x"]})

    async def caller():
        var.set("the run's")
        with pytest.raises(Boom):
            await Hush(graph).run()
        await asyncio.sleep(0)  # the next await of the caller
        return asyncio.current_task().cancelling()

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await asyncio.create_task(caller())

    assert asyncio.run(main()) == 0


# ── What functions and tracers may do ────────────────────────────────────────────────────────────────────────────────


class Key(enum.StrEnum):
    NAME = "a_key_of_an_enum"


def test_a_member_of_a_string_enum_is_a_key_like_any_other():
    """It had been called reserved, unless some graph of the process had handed over the same key as a plain string."""

    def gives():
        key = Key.NAME
        return {key: 1}

    with GraphNode(name="g") as graph:
        inline("gives", gives, outputs=PARENT)
    assert outcome(graph).result == {"a_key_of_an_enum": 1}


class Raising:
    """A tracer that raises at its ``at``-th event."""

    def __init__(self, at):
        self.left = at

    def emit(self, event):
        self.left -= 1
        if not self.left:
            raise asyncio.CancelledError  # as `future.result()` does


@pytest.mark.parametrize("at", range(1, 8))
def test_a_tracer_that_raises_cancelled_error_cancels_nothing(at):
    async def waits():
        await asyncio.sleep(1)
        return {"x": 1}

    with GraphNode(name="g") as graph:
        inline("last", same, inputs={"x": CodeNode(name="first", code_fn=waits)["x"]}, outputs=PARENT)
    found = outcome(graph, tracer=Raising(at))
    assert (found.error, found.result) == (None, {"x": 1})


# ── What counts as the time of a call ────────────────────────────────────────────────────────────────────────────────


class Slow:
    """A tracer that takes long over some events of the second node."""

    def __init__(self, kind):
        self.kind = kind

    def emit(self, event):
        if isinstance(event, self.kind) and event.path == "g/second":
            busy()


def busily(value):
    busy()
    return value


def chain_of_two(fn):
    first = CodeNode(name="first", code_fn=fn, inputs={"x": 1})
    CodeNode(name="second", code_fn=fn, inputs={"x": first["x"]})


def map_with_slow_names(fn):
    with MapNode(name="m", inputs={"x": Each([0, 1])}, key=lambda x: busily(x) if x else x):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]})


def loop_with_a_slow_condition(fn):
    with WhileLoopNode(name="m", inputs={"x": 1}, stop_condition=lambda x: busily(x > 1), max_iterations=2):
        more = inline("more", lambda x: {"x": x + 1}, inputs={"x": PARENT["x"]})
        CodeNode(name="n", code_fn=fn, inputs={"x": more["x"]}, outputs=PARENT)


@pytest.mark.parametrize(
    ("make", "tracer"),
    [
        (chain_of_two, Slow(events.NodeStarted)),
        (chain_of_two, Slow(events.NodeFinished)),
        (map_with_slow_names, None),
        (loop_with_a_slow_condition, None),
    ],
)
async def test_what_others_take_is_not_the_time_of_a_call(make, tracer):
    """A slow tracer, key= or condition had sent the quick function beside it back to threads."""
    mark = object()

    def quick(x):
        assert mark  # closed over, so that this function is judged by itself
        return {"x": x}

    gate = gate_of(quick)
    for _ in range(gate.row):
        gate.ran_in_thread(1)
    with GraphNode(name="g") as graph:
        make(quick)
    await Hush(graph).run(tracer=tracer)
    assert gate.inline
