"""What tracers are told of a leaf with ``executor="process"``: its calls hold worker processes, and wait for them."""

from __future__ import annotations

from collections import Counter

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    NodeAdmitted,
    NodeCalled,
    NodeFailed,
    NodeFinished,
    NodeQueued,
    NodeReleased,
)
from hush.core._spec._portable import cpu_count
from kit.span_laws import Watch

CALLS = 2 * cpu_count() + 1
WAIT = ("worker processes",)


def odd(x):
    if x % 3 == 2:
        raise ValueError(x)
    return {"y": x}


@pytest.fixture(scope="module")
def watch():
    """Those of one run: starting processes takes longest."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=CALLS) as each:
            CodeNode("n", code_fn=odd, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="process")
        each["y"] >> PARENT["y"]
    watch = Watch()
    Hush(graph).run_sync({"xs": range(CALLS)}, tracer=watch)
    return watch


def test_each_call_is_admitted_then_called_and_gives_its_process_back_however_it_ends(watch):
    told = Counter()
    for index in range(CALLS):
        mine = [type(event) for event in watch.events if event.path == "g/m/n" and event.item == index]
        end = NodeFailed if index % 3 == 2 else NodeFinished
        assert [kind for kind in mine if kind is not NodeQueued][2:] == [NodeAdmitted, NodeCalled, NodeReleased, end]
        told.update(mine)
    assert told[NodeQueued] == CALLS - cpu_count()  # all began at once, and so many found a process


def test_there_are_never_more_calls_than_processes(watch):
    holding = most = 0
    for event in watch.events:
        if isinstance(event, NodeAdmitted | NodeReleased):
            assert event.limits == WAIT
            holding += 1 if isinstance(event, NodeAdmitted) else -1
            most = max(most, holding)
    assert (holding, most) == (0, cpu_count())


def test_the_wait_for_a_process_is_none_of_the_functions_time(watch):
    calls = [span for span in watch.spans if span.path == "g/m/n"]
    assert len(calls) == CALLS
    for span in calls:
        (wait,) = span.waits
        assert wait.limits == WAIT
        assert wait.queued_ns <= wait.admitted_ns <= span.called_ns <= wait.released_ns <= span.ended_ns
    (totals,) = [one for one in watch.tree.record().totals if one.path == "g/m/n"]
    assert totals.waited_s["worker processes"] > 0
    assert totals.waited_s["worker processes"] + totals.called_s <= totals.seconds
