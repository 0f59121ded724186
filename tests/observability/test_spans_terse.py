"""What a terse tracer is told of calls must fit what else it is told."""

from __future__ import annotations

import asyncio
import sys
import weakref
from contextlib import nullcontext
from itertools import count
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry
from hush.core._runtime._pass import BUDGET_NS
from hush.core._runtime._quick import QuickCalls
from hush.core._runtime._reading import Reading
from hush.core.errors import MissingKeyError, RunTimeout
from hush.core.events import NodeCalled, NodeCancelled, NodeRan, NodeReady, NodeStarted
from hush.testing import run_virtual
from kit.span_laws import Terse, complaints, watched


def test_the_first_quick_call_in_a_graph_starts_after_the_graph():
    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"x": 1}, inputs={})
        with GraphNode(name="inner", inputs={"x": first["x"]}) as inner:
            CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        inner["y"] >> PARENT["y"]
    for seed in range(20):
        watch = watched(Hush(graph), {}, seed, terse=True)
        (started,) = [event for event in watch.events if type(event) is NodeStarted and event.path == "g/inner"]
        (ran,) = [event for event in watch.events if type(event) is NodeRan and event.path == "g/inner/n"]
        assert ran.ready_ns is not None
        assert started.at_ns <= ran.ready_ns <= ran.started_ns


def test_an_awaited_call_is_one_event_and_until_then_among_those_under_way():
    found: list[list[tuple[str, tuple[int, ...], int]]] = []

    async def slow(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        found.append([(one.path, (*one.outer, one.item), one.number) for one in watch.under_way(2**63, 100)])
        found.append([one.number for one in watch.under_way(2**63, 1)])
        found.append([one.number for one in watch.under_way(0, 100)])
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=3):
        CodeNode(name="n", code_fn=slow, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
    watch = Terse()
    run_virtual(lambda: Hush(graph).run({"xs": [1, 2, 3]}, tracer=watch))
    under_way, first, none = found[:3]
    assert [(path, item) for path, item, _ in under_way] == [("g/m/n", (0,)), ("g/m/n", (1,)), ("g/m/n", (2,))]
    assert first == [under_way[0][2]]
    assert none == []
    assert watch.under_way(2**63, 100) == []
    ran = [event for event in watch.events if type(event) is NodeRan]
    assert sorted(event.number for event in ran) == [number for _, _, number in under_way]
    assert not [event for event in watch.events if type(event) is NodeStarted and event.path == "g/m/n"]


@pytest.mark.parametrize("ending", ["fails", "tags", "cancelled"])
def test_an_awaited_call_of_which_there_is_more_to_tell_is_told_of_as_ever(ending):
    async def call(x: int) -> dict[str, Any]:
        await asyncio.sleep(1)
        if ending == "fails":
            raise ValueError("no")
        if ending == "cancelled":
            await asyncio.sleep(1_000)
        return {"y": x, "$tags": ["a"]}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
    watch = Terse()
    try:
        run_virtual(lambda: Hush(graph).run({"x": 1}, tracer=watch, timeout_s=10))
    except (ValueError, RunTimeout):
        assert ending != "tags"
    about = [event for event in watch.events if event.path == "g/n"]
    names = ["NodeReady", "NodeStarted", "NodeCalled"]
    ends = {"fails": ["NodeFailed"], "tags": ["NodeFinished"], "cancelled": ["NodeCancelled"]}
    assert [type(event).__name__ for event in about] == names + ends[ending]
    assert about[2].inputs == {"x": 1}
    assert about[1].number == about[2].number == 1
    assert about[0].at_ns <= about[1].at_ns == about[2].at_ns


async def awaited(x: int) -> dict[str, int]:
    return {"y": x + 1}


def plain(x: int) -> dict[str, int]:
    return {"y": x + 1}


@pytest.mark.parametrize(("fn", "more"), [(awaited, {}), (plain, {"executor": "inline"})])
def test_what_follows_a_quick_call_was_ready_when_that_ended(fn, more):
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=fn, inputs={"x": 1}, **more)
        two = CodeNode(name="two", code_fn=fn, inputs={"x": one["y"]}, **more)
        CodeNode(name="three", code_fn=fn, inputs={"x": two["y"]}, outputs=PARENT, **more)
    watch = Terse()
    result = run_virtual(lambda: Hush(graph).run({}, tracer=watch, keep=True))
    ran = {event.path: event for event in watch.events if type(event) is NodeRan}
    assert ran["g/two"].ready_ns == ran["g/one"].at_ns
    assert ran["g/three"].ready_ns == ran["g/two"].at_ns
    assert result.nodes == {"g/one": {"y": 2}, "g/two": {"y": 3}, "g/three": {"y": 4}}


def long(x: int) -> dict[str, int]:
    """More than a pass has."""
    until_ns = perf_counter_ns() + 2 * BUDGET_NS
    while perf_counter_ns() < until_ns:
        pass
    return {"y": x + 1}


INLINE = {"executor": "inline"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (plain, (awaited, {})),
        (awaited, (plain, INLINE)),
        (plain, (plain, {"executor": "thread"})),
        (plain, (plain, {"retry": Retry(2)})),
        (long, (plain, INLINE)),
        (long, (awaited, {})),
    ],
)
def test_what_follows_was_ready_then_however_it_is_called(first, second):
    async def run() -> None:
        with GraphNode(name="g") as graph:
            one = CodeNode(name="one", code_fn=first, inputs={"x": 1}, **({} if first is awaited else INLINE))
            CodeNode(name="two", code_fn=second[0], inputs={"x": one["y"]}, outputs=PARENT, **second[1])
        await Hush(graph).run({}, tracer=watch)

    watch = Terse()
    asyncio.run(run())  # in virtual time nothing runs in a thread, and a pass has no end
    (one,) = [event for event in watch.events if type(event) is NodeRan and event.path == "g/one"]
    two = [event for event in watch.events if event.path == "g/two"]
    ran = [event for event in two if type(event) is NodeRan]
    ready_ns = ran[0].ready_ns if ran else next(event.at_ns for event in two if type(event) is NodeReady)
    assert ready_ns == one.at_ns


@pytest.mark.parametrize(("fn", "more"), [(awaited, {}), (plain, INLINE)])
@pytest.mark.parametrize("wrong", [False, True])
def test_all_that_follow_a_quick_call_were_ready_when_that_ended(fn, more, wrong):
    """Many, or one which fails."""

    def fails(x: int) -> None:
        raise ValueError(x)

    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=fn, inputs={"x": 1}, **more)
        for name in ["two"] if wrong else ["two", "three"]:
            CodeNode(name=name, code_fn=fails if wrong else fn, inputs={"x": one["y"]}, **(INLINE if wrong else more))
    watch = Terse()
    with pytest.raises(ValueError) if wrong else nullcontext():
        run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    (ended_ns,) = {event.at_ns for event in watch.events if type(event) is NodeRan and event.path == "g/one"}
    ready = [event.at_ns for event in watch.events if type(event) is NodeReady and event.path == "g/two"]
    ready += [event.ready_ns for event in watch.events if type(event) is NodeRan and event.path != "g/one"]
    assert ready == [ended_ns] * (1 if wrong else 2)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_call_that_was_shown_as_under_way_is_forgotten_when_it_ends_and_the_run_when_that_does(wrong):
    shown: list[Any] = []

    async def call(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        shown[:] = watch.tree.called(watch.under_way(2**63, 10))
        return {} if wrong else {"y": x}

    with GraphNode(name="g") as graph:
        node = CodeNode(name="n", code_fn=call, inputs={"x": 1})
        node["y"] >> PARENT["y"]
    watch = Terse()
    with pytest.raises(MissingKeyError) if wrong else nullcontext():
        run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    assert [span.id for span in shown] == [span.id for span in watch.spans if span.path == "g/n"]
    assert not watch.tree._told_calls
    late = NodeRan("r", "g/n", None, 3, (), 1, 2, {}, {}, 9)
    before = watch.tree.produced
    watch.tree.ran(late)
    Terse().tree.ran(late)
    assert (watch.tree.produced, watch.spans[-1].kind) == (before, "run")


@pytest.mark.parametrize("asked", [False, True], ids=["its domain fails", "the run is cancelled"])
def test_a_call_that_ends_well_though_it_is_cancelled_is_told_of(asked):
    async def fails() -> None:
        await asyncio.sleep(1)
        if not asked:
            raise ValueError

    async def goes_on() -> dict[str, int]:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            return {"y": 1}
        return {}

    async def main() -> None:
        if asked:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(2, task.cancel)
        with pytest.raises(asyncio.CancelledError if asked else ValueError):
            await Hush(graph).run({}, tracer=watch)
        if asked:
            task.uncancel()

    with GraphNode(name="g") as graph:
        CodeNode(name="one", code_fn=fails)
        CodeNode(name="two", code_fn=goes_on)
    watch = Terse()
    run_virtual(main)
    assert [type(event) for event in watch.events if event.path == "g/two"] == [
        NodeReady,
        NodeStarted,
        NodeCalled,
        NodeCancelled,
    ]
    assert [*complaints(watch)] == []


class Deaf:
    """Hears all, and keeps nothing."""

    terse = sees_calls = True

    def attach(self, under_way: Any) -> None:
        pass

    def emit(self, event: Any, /) -> None:
        pass


def test_what_two_have_read_dies_with_the_second():
    class Value:
        pass

    made: list[weakref.ref[Value]] = []

    def makes() -> dict[str, Any]:
        value = Value()
        made.append(weakref.ref(value))
        return {"v": value}

    def reads(v: Any) -> dict[str, Any]:
        return {}

    def looks() -> dict[str, Any]:
        return {"gone": made[0]() is None}

    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=makes, **INLINE)
        two = CodeNode(name="two", code_fn=reads, inputs={"v": one["v"]}, **INLINE)
        three = CodeNode(name="three", code_fn=reads, inputs={"v": one["v"]}, **INLINE)
        one >> two >> three >> CodeNode(name="four", code_fn=looks, outputs=PARENT, **INLINE)
    assert run_virtual(lambda: Hush(graph).run({}, tracer=Deaf())) == {"gone": True}


def test_whoever_asks_at_any_instant_is_told_of_calls_that_there_are():
    """Another thread may ask between any two lines, while what stood for one call comes to stand for another."""
    found: set[Any] = set()
    places = {"_quick.py": ("ended", "tell_begun"), "_strand.py": ("drive", "work")}

    def hook(frame: Any, event: str, arg: object) -> Any:
        place = frame.f_code.co_filename.rpartition("/")[2], frame.f_code.co_name
        if place not in {(file, name) for file, names in places.items() for name in names}:
            return None
        found.update((each.path, each.outer, each.item, each.number) for each in watch.under_way(2**63, 10))
        return hook

    watch = Terse()
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(3))}):
            one = CodeNode(name="one", code_fn=plain, inputs={"x": PARENT["x"]}, **INLINE)
            CodeNode(name="two", code_fn=plain, inputs={"x": one["y"]}, **INLINE)
        CodeNode(name="three", code_fn=plain, inputs={"x": 1}, outputs=PARENT, **INLINE)
    before = sys.gettrace()
    sys.settrace(hook)
    try:
        run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    finally:
        sys.settrace(before)
    ran = {(each.path, each.outer, each.item, each.number) for each in watch.events if type(each) is NodeRan}
    assert len(ran) == 7
    assert found == ran


def test_a_call_that_ends_while_somebody_looks_at_it_is_not_told_of_as_the_next():
    def goes_on(frame: Any, event: str, arg: object) -> None:
        if event == "call" and frame.f_code.co_name == "_started":
            sys.settrace(None)
            quick.tell_begun(first)
            quick.give_back(first)
            again = quick.spare()
            again.begin(SimpleNamespace(item=(2,), slots=[]), step, 2, 20, 10)  # type: ignore[arg-type]
            assert again is first

    step: Any = SimpleNamespace(path="g/m/n", index=0, reading=Reading((), ()))
    tracing: Any = SimpleNamespace(
        numbers=count(1), entering=[], tell_started=lambda *told: None, tell=lambda event: None
    )
    quick = QuickCalls(tracing, "r")
    first: Any = quick.spare()
    first.begin(SimpleNamespace(item=(1,), slots=[]), step, 1, 2, 1)
    before = sys.gettrace()
    sys.settrace(goes_on)
    try:
        assert quick.under_way(2**63, 10) == []
    finally:
        sys.settrace(before)
    assert [each.item for each in quick.under_way(2**63, 10)] == [2]


async def awaited_hidden(x: int) -> dict[str, int]:
    return dict(y=x)  # noqa: C408  # whose keys nobody knows before


def hidden(x: int) -> dict[str, int]:
    return dict(y=x)  # noqa: C408  # whose keys nobody knows before


@pytest.mark.parametrize(("fn", "more"), [(awaited_hidden, {}), (hidden, {"executor": "inline"})])
def test_a_call_that_does_not_give_what_it_must_has_begun_and_failed(fn, more):
    with GraphNode(name="g") as graph:
        node = CodeNode(name="n", code_fn=fn, inputs={"x": 1}, **more)
        node["z"] >> PARENT["z"]
    watch = Terse()
    with pytest.raises(MissingKeyError):
        run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    about = [type(event).__name__ for event in watch.events if event.path == "g/n"]
    assert about == ["NodeReady", "NodeStarted", "NodeCalled", "NodeFailed"]
