"""A call is told of field by field to a tracer that has ``ran``: what it hears is what the event would have said."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core.events import NodeRan
from hush.core.extend import remember_secrets
from hush.core.protocols import Wanted
from hush.observability._bounds import PREVIEW, Bounds
from hush.observability._condense import MANY_ITEMS
from hush.observability._recorder import SLICE, RunRecorder
from hush.observability._sampling import Sampling as Sampled
from hush.observability._span import Span
from hush.testing import run_virtual
from kit.sinks import Sink
from kit.span_laws import Terse


class ByField(Terse):
    """Takes calls apart, and puts them together again."""

    def ran(self, *told: Any) -> None:
        self.emit(NodeRan(*told))


class Sampling(ByField):
    """Wants every second item, about."""

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted:
        return Wanted(2**62, 1, 2**31)


def some_calls() -> Hush:
    """Calls of each kind: in the graph and in items, quick and awaited, with and without inputs."""

    async def later(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        return {"y": x}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"x": 1}, inputs={})
        second = CodeNode(name="second", code_fn=later, inputs={"x": first["x"]})
        third = CodeNode(name="third", code_fn=lambda x: {"z": [x]}, inputs={"x": second["y"] + 1})
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=3) as each:
            CodeNode(name="n", code_fn=later, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="two", inputs={"x": Each(PARENT["xs"])}) as two:
            one = CodeNode(name="one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]})
            CodeNode(name="other", code_fn=later, inputs={"x": one["y"]}, outputs={"y": PARENT["y"]})
        third["z"] >> PARENT["z"]
        each["y"] >> PARENT["y"]
        two["y"] >> PARENT["w"]
    return Hush(graph)


def told_to(*tracers: Any) -> None:
    """Twice, since how a step reads is known from the first time on."""
    engine = some_calls()
    for _ in range(2):
        run_virtual(lambda: engine.run({"xs": range(20)}, tracer=list(tracers)))


@pytest.mark.parametrize("kind", [ByField, Sampling])
def test_it_hears_what_others_hear_in_one_event_in_the_same_order(kind):
    class Whole(kind):
        ran = None

    apart, whole = kind(), Whole()
    told_to(apart, whole)
    assert apart.events == whole.events
    assert [type(event).__name__ for event in whole.events].count("RunFinished") == 2
    ran = [event for event in apart.events if type(event) is NodeRan]
    assert {event.path for event in ran} >= {"g/first", "g/second", "g/third", "g/m/n", "g/two/one", "g/two/other"}
    assert any(event.ends_item for event in ran) is (kind is Sampling)


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
@pytest.mark.parametrize("method", ["ran", "emit"])
@pytest.mark.parametrize("ends_item", [False, True])
def test_one_that_raises_there_hears_no_more_and_the_others_do(at, error, method, ends_item, caplog):
    class Broken(Sampling):
        def ran(self, *told: Any) -> None:
            event = NodeRan(*told)
            if method == "ran" and event.ends_item is ends_item:
                raise error("not this one")
            super().emit(event)

        def emit(self, event: Any, /) -> None:
            if method == "emit" and (type(event).__name__ == "MapStarted" or not ends_item):
                raise error("nor this one")
            super().emit(event)

    broken, whole = Broken(), Sampling()
    tracers = [whole, whole]
    tracers[at] = broken
    engine = some_calls()
    with caplog.at_level(logging.ERROR, "hush.tracing"):
        run_virtual(lambda: engine.run({"xs": range(20)}, tracer=tracers))
    (record,) = caplog.records
    assert "it hears no more of run" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is error
    alone = Sampling()
    run_virtual(lambda: engine.run({"xs": range(20)}, tracer=alone))
    assert [type(event) for event in whole.events] == [type(event) for event in alone.events]
    assert "RunFinished" not in [type(event).__name__ for event in broken.events]


def test_whoever_only_hands_on_to_one_that_has_it_is_given_events():
    class Wrapper:
        def __init__(self, around: Any) -> None:
            self._around = around
            self.heard: list[Any] = []

        def emit(self, event: Any, /) -> None:
            self.heard.append(event)
            self._around.emit(event)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._around, name)

    class Counts(ByField):
        ran: Any = None  # what it calls so is no method

        def __init__(self) -> None:
            super().__init__()
            self.ran = []

    wrapper, counts = Wrapper(ByField()), Counts()
    told_to(wrapper, counts)
    assert wrapper.heard == wrapper._around.events == counts.events
    assert [event for event in wrapper.heard if type(event) is NodeRan]


# ── What a recorder keeps ────────────────────────────────────────────────────────────────────────────────────────────


def recorded(*functions: Any, bounds: Bounds | None = PREVIEW, before: Callable[[], object] = bool) -> dict[str, Span]:
    """The spans of a chain by path, of a run that has ended before any was made, and ``before`` that was called."""
    with GraphNode(name="g") as graph:
        last: Any = PARENT
        for number, function in enumerate(functions):
            last = CodeNode(name=f"n{number}", code_fn=function, inputs={"x": last["x"]})
        last["x"] >> PARENT["x"]
    sink = Sink()
    recorder = RunRecorder(sink, bounds, Sampled(), (), None)
    run_virtual(lambda: Hush(graph).run({"x": 0}, tracer=recorder))
    before()
    while recorder.fold(SLICE):
        pass
    return {span.path: span for span in sink.spans}


def test_what_a_call_gave_is_shown_as_it_was_when_it_ended():
    mine: dict[str, Any] = {}

    def gives(x: int) -> dict[str, Any]:
        mine["x"] = x + 1
        return mine

    def changes(x: int) -> dict[str, Any]:
        mine.update(x=-1, more="text")
        return {"x": [x]}

    def changes_too(x: list[int]) -> dict[str, Any]:
        x.append(7)
        return {"x": x}

    spans = recorded(gives, changes, changes_too, lambda x: {"x": x.clear()})
    shown = [(spans[f"g/n{number}"].inputs, spans[f"g/n{number}"].outputs) for number in range(4)]
    assert shown == [
        ({"x": 0}, {"x": 1}),
        ({"x": 1}, {"x": [1]}),
        ({"x": [1, 7]}, {"x": [1, 7]}),  # inputs are those at the end, as ``NodeRan`` says
        ({"x": []}, {"x": None}),
    ]


def test_a_secret_is_not_shown_though_it_was_harmless_before(forgetting):
    secret = "zebra-quartz-8315-lemon"
    for _ in range(2):
        assert recorded(lambda x: {"x": secret}, lambda x: {"x": 1})["g/n0"].outputs == {"x": secret}
    remember_secrets([secret])
    spans = recorded(lambda x: {"x": secret}, lambda x: {"x": 1})
    assert secret not in repr(spans)
    assert spans["g/n1"].inputs == spans["g/n0"].outputs != {}


def test_names_of_secrets_hide_what_stands_under_them():
    spans = recorded(lambda x: {"x": 1, "api_key": "abc", "tokens": 3})
    assert spans["g/n0"].outputs == {"x": 1, "api_key": "[secret]", "tokens": 3}


def test_where_no_values_are_kept_there_are_none():
    spans = recorded(lambda x: {"x": x}, lambda x: {"x": "a" * 1_000}, bounds=None)
    assert {(spans[path].inputs, spans[path].outputs) for path in ("g/n0", "g/n1")} == {(None, None)}


def test_what_may_change_or_is_large_is_not_kept_until_then():
    class Thing:
        pass

    def gives(x: int) -> dict[str, Any]:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return {"x": thing}

    def looks(x: Any) -> dict[str, Any]:
        return {"x": 1}

    def gives_under(x: int) -> dict[Any, Any]:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return {"x": 1, thing: 2, "a" * 10_000: 3}

    for giving in (gives, gives_under):
        alive: list[weakref.ref[Thing]] = []
        dead: list[bool] = []
        spans = recorded(giving, looks, before=lambda: dead.append(alive[0]() is None))  # noqa: B023  # called at once
        assert dead == [True]
        assert "Thing" in repr(spans["g/n0"].outputs)
        assert len(repr(spans["g/n0"].outputs)) < 3_000


def test_of_two_that_write_to_one_place_one_keeps_calls():
    class OnlyOne(Sink):
        def add(self, recorder: Any, run: Any, /) -> bool:
            return not told and not told.append(run)

    told: list[Any] = []
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"x": x}, inputs={"x": PARENT["x"]}, outputs={"x": PARENT["x"]})
    recorders = [RunRecorder(OnlyOne(), PREVIEW, Sampled(), (), None) for _ in range(2)]
    run_virtual(lambda: Hush(graph).run({"x": 1}, tracer=recorders))
    assert [recorder.waiting() for recorder in recorders] == [3, 0]


@pytest.mark.parametrize("gives", [False, True])
def test_of_items_after_the_first_thousand_less_is_kept(gives):
    def nine(**given: int) -> dict[str, int]:
        return given if gives else {"k0": given["k0"]}

    names = [f"k{number}" for number in range(9)]
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as each:
        CodeNode(name="n", code_fn=nine, inputs=dict.fromkeys(names, PARENT["x"]), outputs={"*": PARENT})
        each["k0"] >> PARENT["y"]
    sink = Sink()
    recorder = RunRecorder(sink, PREVIEW, Sampled(first=10**9), (), None)
    run_virtual(lambda: Hush(graph).run({"xs": range(MANY_ITEMS + 100)}, tracer=recorder))
    while recorder.fold(SLICE):
        pass
    shown = {span.items[-1]: span.outputs if gives else span.inputs for span in sink.spans if span.path == "g/m/n"}
    assert len(shown) == MANY_ITEMS + 100
    assert len(shown[0]) == 9
    assert shown[MANY_ITEMS + 99] == {**{f"k{number}": MANY_ITEMS + 99 for number in range(5)}, "…": "4 more"}
