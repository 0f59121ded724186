"""What a recorder asks for of a map's items: never less than what its tree would keep, whatever it knows by then."""

from __future__ import annotations

from collections import Counter
from time import monotonic_ns
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode, events
from hush.core.protocols import NONE_SLOW
from hush.observability._bounds import PREVIEW
from hush.observability._recorder import AFTER_S, AGAIN_S, SLICE, RunRecorder
from hush.observability._sampling import Sampling
from hush.testing import run_virtual
from kit.sinks import Sink
from kit.tiers import every_change

NOTHING = Sampling(first=0, slowest=0, random=0)


def recorder_of(sampling: Sampling) -> tuple[RunRecorder, Sink]:
    sink = Sink()
    return RunRecorder(sink, PREVIEW, sampling, (), None), sink


def folded(recorder: RunRecorder) -> Any:
    while recorder.fold(SLICE):
        pass
    return recorder.tree


@settings(every_change, max_examples=12)
@given(st.integers(0, 400), st.integers(1, 700), st.integers(2, 3), st.booleans())
def test_each_activation_of_a_map_in_a_loop_keeps_the_items_that_end_first(first, count, rounds, awaited):
    """Not only the first one: what is known of the last round does not say what is wanted of this one."""

    async def suspendable(x: int) -> dict[str, int]:
        return {"y": x}

    def plain(x: int) -> dict[str, int]:
        return {"y": x}

    fn: Any = suspendable if awaited else plain
    more: Any = {} if awaited else {"executor": "inline"}
    with GraphNode(name="g") as graph, WhileLoopNode(name="w", inputs={"k": 0}, max_iterations=rounds):
        with MapNode(name="m", inputs={"x": Each(range(count))}) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, **more)
        CodeNode(
            name="next",
            code_fn=lambda k, ys: {"k": k + len(ys)},
            inputs={"k": PARENT["k"], "ys": each["y"]},
            outputs=PARENT,
        )
    recorder, sink = recorder_of(Sampling(first=first, slowest=0, random=0))
    run_virtual(lambda: Hush(graph).run({}, tracer=_Of(recorder)))
    tree = folded(recorder)
    kept = Counter(span.parent for span in sink.spans if span.kind == "item")
    maps = [span for span in sink.spans if span.kind == "map"]
    assert [(span.done, kept[span.id]) for span in maps] == [(count, min(first, count))] * min(first, rounds)
    assert {span.status for span in sink.spans} == {"ok"}
    assert tree.record().items == count * rounds
    assert tree.produced == tree.left_out + len(sink.spans)


class _Of:
    """A tracer with this recorder for its one run."""

    def __init__(self, recorder: RunRecorder) -> None:
        self._recorder = recorder

    def for_run(self) -> RunRecorder:
        return self._recorder

    def emit(self, event: Any, /) -> None:
        raise AssertionError(event)


@pytest.mark.parametrize("under_way_s", [0.0, AFTER_S / 2, AFTER_S, AFTER_S + 1e-6, 3600])
def test_the_end_of_a_call_that_was_told_of_as_under_way_is_wanted(under_way_s):
    """Nobody else would say that it has ended: it would be shown as running, then as cancelled."""
    recorder, _ = recorder_of(NOTHING)
    now_ns = monotonic_ns()
    call = events.NodeStarted("r", "g/m/n", 0, now_ns - int(under_way_s * 1e9), (), 2)

    def under_way(before_ns: int, most: int) -> list[Any]:
        return [call] if call.at_ns <= before_ns else []

    recorder.attach(under_way)
    recorder.emit(events.RunStarted("r", "g", None, 0, 10**18, kinds={"g/m": "map", "g/m/n": "code"}))
    recorder.emit(events.NodeStarted("r", "g/m", None, 1, (), 1))
    recorder.emit(events.MapStarted("r", "g/m", None, 2, 10))
    folded(recorder)
    running, _, _ = recorder.news(live=True)
    told = any(span.path == "g/m/n" for span in running)
    assert told == (under_way_s >= AFTER_S)
    took_ns = monotonic_ns() - call.at_ns
    wanted = recorder.wants("g/m", ())
    assert wanted is not None
    assert 0 < wanted.slow_ns < NONE_SLOW
    if told:
        assert took_ns > wanted.slow_ns
    # What is told then ends it.
    recorder.emit(events.NodeRan("r", "g/m/n", 0, now_ns + 5, (), call.at_ns, call.at_ns, {}, {}, 2))
    recorder.emit(events.ItemFinished("r", "g/m", 0, now_ns + 5))
    recorder.emit(events.MapFinished("r", "g/m", None, now_ns + 6, 1, 0))
    recorder.emit(events.NodeFinished("r", "g/m", None, now_ns + 7))
    recorder.emit(events.RunFinished("r", "g", None, now_ns + 8, "ok", 1.0))
    tree = folded(recorder)
    _, gone, _ = recorder.news(live=True)
    assert {each[1] for each in gone} >= {span.id for span in running if span.path == "g/m/n"}
    assert tree.left_out == 2


def test_a_run_of_which_nothing_is_heard_is_told_of_seldom():
    """Of thousands that wait for a model each was written again twice a second."""
    recorder, _ = recorder_of(NOTHING)
    recorder.emit(events.RunStarted("r", "g", None, 0, 10**18, kinds={"g/n": "code"}))
    folded(recorder)

    def is_told(*, beats: bool) -> bool:
        recorder._told_ns = 1  # long ago
        return recorder.news(live=True, beats=beats)[2] is not None

    assert is_told(beats=False)
    assert not is_told(beats=False)
    assert is_told(beats=True)
    recorder.emit(events.NodeSkipped("r", "g/n", None, 5))
    folded(recorder)
    assert is_told(beats=False)
    assert not is_told(beats=False)
    recorder.lose(1)
    assert is_told(beats=False)
    recorder._recorded_ns -= int(AGAIN_S * 1e9)
    assert is_told(beats=False)


def test_nothing_is_left_of_maps_that_have_ended():
    recorder, _ = recorder_of(NOTHING)
    with GraphNode(name="g") as graph, MapNode(name="o", inputs={"x": Each(range(5))}):
        with MapNode(name="m", inputs={"y": Each([1, 2])}):
            CodeNode(name="n", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs=PARENT, executor="inline")
    run_virtual(lambda: Hush(graph).run({}, tracer=_Of(recorder)))
    assert recorder._totals == {}
