"""The recorder keeps events, and shows equal runs as equal."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    MapFinished,
    MapNode,
    MapStarted,
    NodeFinished,
    RunFinished,
    RunStarted,
)
from hush.testing import Recorder, run_virtual


def temperatures(*, slow_s: float = 2.0) -> GraphNode:
    """A map of which item 1 fails, after a node that takes its time."""

    async def look_up(city):
        await asyncio.sleep(slow_s)
        return {"texts": ["21.5", "cold"]}

    with GraphNode(name="g") as graph:
        found = CodeNode(code_fn=look_up, inputs={"city": PARENT["city"]})
        with MapNode(name="each", inputs={"text": Each(found["texts"])}, outputs=PARENT) as each:
            CodeNode(name="parse", code_fn=lambda text: {"celsius": float(text)}, inputs={"*": PARENT}, outputs=PARENT)
        each["error"] >> PARENT["errors"]
    return graph


def recorded(graph, *, seed=0, **options):
    recorder = Recorder()
    run_virtual(lambda: Hush(graph).run({"city": "Hue"}, tracer=recorder, **options), seed=seed)
    return recorder


def test_events_are_kept_as_they_came():
    recorder = recorded(temperatures(), request_id="r-1")
    assert isinstance(recorder.events[0], RunStarted)
    assert isinstance(recorder.events[-1], RunFinished)
    assert {event.run for event in recorder.events} == {"r-1"}
    assert [event.item for event in recorder.of(ItemFailed)] == [1]
    assert len(recorder.of(RunStarted, RunFinished)) == 2
    recorder.clear()
    assert recorder.events == recorder.lines() == []


def test_equal_runs_are_equal_once_they_are_masked():
    first, second = recorded(temperatures()), recorded(temperatures())
    assert first.events != second.events
    assert first.masked() == second.masked()
    assert first.lines() == second.lines()


def test_a_run_that_takes_longer_is_not_equal_in_virtual_time():
    assert recorded(temperatures()).masked() != recorded(temperatures(slow_s=3)).masked()


def test_lines_say_what_happened_and_when_in_virtual_time():
    kinds = (RunStarted, NodeFinished, MapStarted, ItemFailed, MapFinished, RunFinished)
    assert [line.partition(" result=")[0] for line in recorded(temperatures()).lines(*kinds)] == [
        "0 s RunStarted g",
        "2 s NodeFinished g/look_up",
        "2 s MapStarted g/each total=2",
        "2 s NodeFinished g/each/parse[0]",
        "2 s ItemFailed g/each[1] error=ValueError: could not convert string to float: 'cold'",
        "2 s MapFinished g/each done=2 failed=1 total=2",
        "2 s NodeFinished g/each",
        "2 s RunFinished g status=partial",
    ]


def test_a_result_is_masked_too():
    [finished] = recorded(temperatures()).masked(RunFinished)
    assert (finished.seconds, finished.run, finished.at_ns) == (0.0, "run-1", 2_000_000_000)
    assert finished.result == {
        "celsius": [21.5, None],
        "errors": [None, "ValueError: could not convert string to float: 'cold'"],
    }


async def test_on_a_loop_of_real_time_times_are_left_out():
    recorder = Recorder()
    await Hush(temperatures(slow_s=0)).run({"city": "Hue"}, tracer=recorder)
    assert {event.at_ns for event in recorder.masked()} == {0}
    assert recorder.lines(RunStarted) == ["RunStarted g"]


def test_several_runs_are_told_apart():
    async def name(x):
        await asyncio.sleep(x)

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=name, inputs={"x": PARENT["x"]})
    engine, recorder = Hush(graph), Recorder()

    async def main():
        await asyncio.gather(engine.run({"x": 2}, tracer=recorder), engine.run({"x": 1}, tracer=recorder))

    run_virtual(main, shuffle=False)
    assert recorder.lines(NodeFinished) == ["1 s NodeFinished run-2 g/n", "2 s NodeFinished run-1 g/n"]


def test_a_group_of_failures_is_text():
    def fail(name):
        raise ValueError(name)

    with GraphNode(name="g") as graph:
        for name in "ab":
            CodeNode(name=name, code_fn=fail, inputs={"name": name})
    recorder = Recorder()
    with pytest.raises((ValueError, ExceptionGroup)):
        run_virtual(lambda: Hush(graph).run(tracer=recorder))
    [finished] = recorder.masked(RunFinished)
    assert "ValueError: " in finished.error
