"""Calls that are told of in sums: where their code is, what they read, and what is held of them."""

from __future__ import annotations

import asyncio
import weakref
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry, events
from hush.core._runtime._listening import Listener
from hush.core._runtime._summing import Summing
from hush.core.protocols import NONE_SLOW, Wanted
from hush.testing import run_virtual
from kit.sampled_laws import complaints_of_sums
from kit.span_laws import Terse
from kit.summing import Fixed, map_of, summing_now

pytestmark = pytest.mark.usefixtures("silence")


# --- where the code of a call is ----------------------------------------------------------------------------------
here: ContextVar[int | None] = ContextVar("here", default=None)


class Placing(Fixed):
    """Says in the context of each call which it is."""

    def enter(self, event: Any) -> Any:
        return partial(here.reset, here.set(event.number))


class PlaceByNumber:
    token: Any = None

    def enter(self, number: int) -> None:
        assert self.token is None, "two calls at a time"
        self.token = here.set(number)

    def leave(self) -> None:
        here.reset(self.token)
        self.token = None


class PlacingByNumber(Placing):
    def place(self) -> PlaceByNumber:
        return PlaceByNumber()


@pytest.mark.parametrize(
    "tracers", [[Placing], [PlacingByNumber], [Placing, PlacingByNumber], [PlacingByNumber, Fixed]]
)
@pytest.mark.parametrize("answer", [Wanted(), Wanted(NONE_SLOW, 3, 2**31), Wanted(NONE_SLOW, 3, 0)])
@pytest.mark.parametrize("way", ["async", "async that does not suspend", "def", "def that gives an awaitable"])
@pytest.mark.parametrize("changed", [False, True])
def test_each_call_knows_where_it_is_and_what_it_read_is_told(tracers, answer, way, changed):
    places: dict[int, list[int | None]] = {}
    left: list[Any] = []

    async def awaited(x: int) -> dict[str, int]:
        places[x] = [here.get()]
        if way != "async that does not suspend":
            await asyncio.sleep(0.001 * (x % 3))
        places[x].append(here.get())
        left.append(copy_context())
        if x % 100 == 11:
            raise ValueError("no")
        return {"y": x}

    def plain(x: int) -> dict[str, int]:
        places[x] = [here.get()]
        if x % 100 == 11:
            raise ValueError("no")
        return {"y": x}

    fn: Any = {"def": plain, "def that gives an awaitable": lambda x: awaited(x)}.get(way, awaited)
    given = [kind() for kind in tracers]
    for each in given:
        each.answer = answer  # one that is no ``Fixed`` is told of each
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(40))}, max_concurrency=3):
        x = PARENT["x"].apply(lambda x: x + 100) if changed else PARENT["x"]
        more: Any = {"executor": "inline"} if way.startswith("def") else {}
        CodeNode(name="n", code_fn=fn, inputs={"x": x}, outputs={"y": PARENT}, **more)

    async def main() -> Any:
        result = await Hush(graph).run({}, tracer=given)
        assert here.get() is None
        return result

    run_virtual(main)
    watch = given[0]
    more_x = 100 if changed else 0
    assert sorted(places) == [*range(more_x, more_x + 40)]
    assert all(seen[0] is not None and len({*seen}) == 1 for seen in places.values())
    assert len({seen[0] for seen in places.values()}) == 40
    assert {context[here] for context in left} == ({seen[0] for seen in places.values()} if left else set())
    told = 0
    for event in watch.events:
        if type(event) is events.NodeRan or (type(event) is events.NodeStarted and event.path == "g/m/n"):
            told += 1
            assert places[event.item + more_x][0] == event.number
        if type(event) in (events.NodeRan, events.NodeCalled) and event.path == "g/m/n":
            assert event.inputs == {"x": event.item + more_x}
    assert told + sum(event.calls for event in watch.events if type(event) is events.ItemsRan) == 40
    assert told >= (40 if answer == Wanted() or Terse in tracers else 1)
    assert not [*complaints_of_sums(watch, choice=False)]


# --- what it holds ------------------------------------------------------------------------------------------------
class Entering(Fixed):
    """Keeps no event, and prepares the context of calls."""

    def emit(self, event: Any, /) -> None:
        pass

    def enter(self, event: Any) -> Any:
        return lambda: None

    def place(self) -> Any:
        return Nowhere()


class Nowhere:
    def enter(self, number: int) -> None:
        pass

    def leave(self) -> None:
        pass


class Deaf(Fixed):
    def emit(self, event: Any, /) -> None:
        pass


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("tracer", [Deaf, Entering])
@pytest.mark.parametrize("answer", [Wanted(NONE_SLOW, 1, 0), Wanted()])
@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("changed", [False, True])
def test_the_kept_failure_of_an_item_keeps_no_value_of_others(tracer, answer, awaited, changed):
    values: list[weakref.ref[Any]] = []

    def read(x: int) -> Any:
        value = Value()
        value.x = x
        values.append(weakref.ref(value))
        return value

    def give(x: Any) -> dict[str, Any]:
        if changed:
            x = x.x
        if x == 7:
            raise ValueError("no")
        value = Value()
        values.append(weakref.ref(value))
        return {"v": value}

    async def give_later(x: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return give(x)

    watch = tracer()
    watch.answer = answer
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(40))}) as each:
            x = PARENT["x"].apply(read) if changed else PARENT["x"]
            more: Any = {} if awaited else {"executor": "inline"}
            CodeNode(name="n", code_fn=give_later if awaited else give, inputs={"x": x}, outputs={"*": PARENT}, **more)
        CodeNode(name="e", code_fn=lambda v: {"n": len(v)}, inputs={"v": each["v"]}, outputs=PARENT, executor="inline")
    result = run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    assert result["n"] == 40
    assert [str(error) for error in result.errors] == ["no"]
    assert len(values) == 39 + 40 * changed
    # What the call that failed was given is in the frame of its own function.
    assert [value().x for value in values if value() is not None] in ([], [7])


class Value:
    x = -1


def test_nothing_of_an_item_that_timed_out_is_remembered():
    """For each of a million of them a number would be."""
    held: list[tuple[int, set[str]]] = []
    left: list[Any] = []

    class Looks(Listener):
        def enter(self, event: Any) -> Any:
            return lambda: None

        def emit(self, event: Any, /) -> None:
            if type(event) is events.MapFinished:
                held.append((event.failed, {path for path, _ in self.tracing._started}))
            if type(event) is events.RunFinished:
                left.extend(self.tracing._started)

    async def slow(x: int) -> dict[str, int]:
        await asyncio.sleep(10 if x % 2 else 0.01)
        return {"y": x}

    engine = map_of(slow, retry=Retry(1), map={"item_timeout_s": 1})
    run_virtual(lambda: engine.run({"xs": range(40)}, tracer=Looks()))
    assert held == [(20, {"g/m"})]
    assert left == []


def test_nothing_of_an_item_that_reports_an_error_is_remembered():
    held: list[int] = []
    summing: list[Summing] = []

    async def odd(x: int) -> dict[str, Any]:
        if not summing:
            summing.append(summing_now())
        held.append(len(summing[0]._ended_ns))
        return {"wrong": "no" if x % 2 else None}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=1):
        n = CodeNode(name="n", code_fn=odd, inputs={"x": PARENT["x"]})
        n["wrong"] >> PARENT["error"]
    run_virtual(lambda: Hush(graph).run({"xs": range(40)}, tracer=Fixed()))
    assert len(summing) == 1
    assert max(held) <= 1


def test_nothing_is_remembered_of_an_item_that_is_in_a_sum_or_was_told_of():
    """For each of a million of them a number would be."""
    held: list[int] = []
    summing: list[Summing] = []

    async def one(x: int) -> dict[str, int]:
        if not summing:
            summing.append(summing_now())
        await asyncio.sleep(0)
        held.append(len(summing[0].decided))
        return {"y": x}

    watch = Fixed()
    watch.answer = Wanted(NONE_SLOW, 3, 2**31)
    run_virtual(lambda: map_of(one, map={"max_concurrency": 4}).run({"xs": range(200)}, tracer=watch))
    assert len(summing) == 1
    assert max(held) <= 4


@pytest.mark.parametrize("tracers", [[Placing], [PlacingByNumber], [PlacingByNumber, Placing]])
@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_calls_of_a_graph_one_after_the_other_leave_the_context_as_it_was(tracers, suspends, fails):
    seen: list[tuple[str, Any]] = []

    async def one(x: int) -> dict[str, int]:
        seen.append(("one", here.get()))
        if suspends:
            await asyncio.sleep(0.001)
        if fails:
            raise ValueError("no")
        return {"y": x}

    def look(x: int) -> dict[str, int]:
        seen.append(("between", here.get()))
        return {"y": x}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="a", code_fn=one, inputs={"x": 1})
        # It is read where it is bound, before anybody prepares the context of that call.
        CodeNode(name="b", code_fn=look, inputs={"x": first["y"].apply(lambda y: y)}, executor="inline")

    async def main() -> None:
        for _ in range(3):
            try:
                await Hush(graph).run({}, tracer=[kind() for kind in tracers])
            except ValueError:
                assert fails
            assert here.get() is None

    run_virtual(main)
    assert len(seen) == (3 if fails else 6)
    assert all(number is not None for _, number in seen)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("tracer", [Fixed, PlacingByNumber])
def test_what_a_call_read_that_failed_is_told_with_it_and_kept_for_no_other(tracer, changed):
    async def one(x: int) -> dict[str, int]:
        await asyncio.sleep(0.001)
        if x % 100 % 10 == 3:
            raise ValueError("no")
        return {"y": x}

    watch = tracer()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(40))}, max_concurrency=2):
        x = PARENT["x"].apply(lambda x: x + 100) if changed else PARENT["x"]
        CodeNode(name="n", code_fn=one, inputs={"x": x}, outputs=PARENT)
    run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    called = [event for event in watch.events if type(event) is events.NodeCalled and event.path == "g/m/n"]
    assert [(event.item, event.inputs) for event in called] == [(i, {"x": i + 100 * changed}) for i in (3, 13, 23, 33)]
    assert not [*complaints_of_sums(watch, choice=False)]
