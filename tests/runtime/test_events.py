"""What tracers are told of a run: everything, in order, and nothing that they do harms it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapNode,
    MapStarted,
    NodeFailed,
    NodeFinished,
    NodeReady,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.core.errors import UsageError
from hush.testing import Recorder
from kit.faults import Boom, label
from runtime.observing import outcome

NODE_EVENTS = (NodeReady, NodeStarted, NodeFinished, NodeFailed, NodeSkipped)
STORIES = {
    (NodeReady, NodeStarted, NodeFinished),
    (NodeReady, NodeStarted, NodeFailed),
    (NodeSkipped,),
}


def give(x=1):
    return {"y": x}


async def give_later(x=1):
    await asyncio.sleep(x)
    return {"y": x}


def bad(x=1):
    raise Boom("bad")


def leaf(name, fn=give, inputs=None, **options):
    return CodeNode(name=name, code_fn=fn, inputs=inputs or {}, **options)


def traced(graph, inputs=None, *, seed=0, **options):
    """Run the graph: what came of it, and what a tracer was told."""
    tracer = Recorder()
    return outcome(graph, inputs, seed=seed, tracer=tracer, **options), tracer


def told(tracer, *kinds):
    """Type and path of each event, with the item where there is one."""
    return [
        (type(event).__name__, event.path) + (() if event.item is None else (event.item,))
        for event in tracer.of(*(kinds or (tuple,)))
    ]


# ── Whole runs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_chain_is_told_from_beginning_to_end():
    with GraphNode(name="g") as graph:
        one = leaf("one")
        leaf("two", give_later, {"x": one["y"]}, outputs=PARENT)
    found, tracer = traced(graph)
    assert told(tracer) == [
        ("RunStarted", "g"),
        ("NodeReady", "g/one"),
        ("NodeStarted", "g/one"),
        ("NodeFinished", "g/one"),
        ("NodeReady", "g/two"),
        ("NodeStarted", "g/two"),
        ("NodeFinished", "g/two"),
        ("RunFinished", "g"),
    ]
    assert found.error is None


def everything():
    """A graph in which everything happens that can happen to a node."""
    with GraphNode(name="g") as graph:
        start = leaf("start", give_later)
        with GraphNode(name="inner") as inner:
            leaf("a", give_later, {"x": start["y"]}, outputs=PARENT) >> leaf("b")
            with GraphNode(name="innermost"):
                leaf("c")
        fails = leaf("fails", bad, {"x": start["y"]}, on_error="collect")
        skipped = leaf("skipped", give, {"x": fails["y"]})
        skipped >> leaf("after_skipped")
        with GraphNode(name="broken", on_error="collect"):
            leaf("slow", give_later, {"x": 0.5})
            leaf("d", bad)
        with MapNode(name="m", inputs={"x": Each([3, -1, 2, 1])}, max_concurrency=2) as each:
            one = leaf("one", lambda x: give_later(x) if x > 0 else bad(), {"x": PARENT["x"]})
            with GraphNode(name="deep", inputs={"x": one["y"]}, outputs=PARENT):
                leaf("two", give, {"x": PARENT["x"]}, outputs=PARENT)
            with MapNode(name="n", inputs={"z": Each([1, 2])}):
                leaf("three", give_later, {"x": PARENT["z"]})
        each["y"] >> PARENT["ys"]
        inner >> leaf("end")
    return graph


def histories(tracer):
    """For each node, in each item: its events, in order."""
    found = defaultdict(list)
    for event in tracer.of(*NODE_EVENTS):
        found[event.path, event.outer, event.item].append(type(event))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_every_node_is_told_of_once_and_whole(seed):
    """Ready, then started, then finished or failed; or skipped, and nothing else."""
    _, tracer = traced(everything(), seed=seed)
    found = histories(tracer)
    # What was cancelled with the failure beside it, in a graph that goes on and in an item, is told of no further.
    cut_short = {key for key in found if key[0] == "g/broken/slow" or (*key[1], key[2])[0] == 1}
    wrong = {key: story for key, story in found.items() if tuple(story) not in STORIES and key not in cut_short}
    assert not wrong
    tops = {key[0] for key in found if key[2] is None}
    assert tops >= {"g/start", "g/inner", "g/fails", "g/skipped", "g/after_skipped", "g/broken", "g/m", "g/end"}
    assert tops >= {"g/inner/a", "g/inner/b", "g/inner/innermost", "g/inner/innermost/c", "g/broken/d"}
    assert {key[2] for key in found if key[0] == "g/m/one"} == {0, 1, 2, 3}
    deepest = {(*key[1], key[2]) for key in found if key[0] == "g/m/n/three"}
    assert deepest >= {(outer, inner) for outer in (0, 2, 3) for inner in (0, 1)}
    assert {tuple(found[key]) for key in cut_short} <= {story[:n] for story in STORIES for n in (1, 2, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_the_run_is_told_of_first_and_last(seed):
    _, tracer = traced(everything(), seed=seed)
    assert len(tracer.of(RunStarted)) == len(tracer.of(RunFinished)) == 1
    assert isinstance(tracer.events[0], RunStarted)
    assert isinstance(tracer.events[-1], RunFinished)


@pytest.mark.parametrize("seed", range(5))
def test_times_never_run_backwards(seed):
    _, tracer = traced(everything(), seed=seed)
    times = [event.at_ns for event in tracer.events]
    assert times == sorted(times)


@pytest.mark.parametrize("seed", range(5))
def test_containers_begin_before_and_end_after_what_is_in_them(seed):
    _, tracer = traced(everything(), seed=seed)
    for container in ("g/inner", "g/inner/innermost", "g/broken", "g/m"):
        about = [event for event in tracer.of(*NODE_EVENTS) if event.path == container]
        within = [event for event in tracer.events if event.path.startswith(f"{container}/")]
        places = [tracer.events.index(event) for event in within]
        start, end = (tracer.events.index(event) for event in (about[1], about[-1]))
        assert start < min(places) <= max(places) < end


def test_every_event_names_its_run():
    _, tracer = traced(everything(), request_id="r-7")
    assert {event.run for event in tracer.events} == {"r-7"}


def test_a_run_without_an_id_has_the_same_made_one_everywhere():
    found, tracer = traced(everything())
    assert {event.run for event in tracer.events} == {found.result.request_id}


def test_the_run_says_who_asked_and_when():
    before = time.time_ns()
    _, tracer = traced(everything(), user_id="an", session_id="s")
    first = tracer.events[0]
    assert (first.user_id, first.session_id, first.path) == ("an", "s", "g")
    assert before <= first.wall_ns <= time.time_ns()


def test_events_are_plain_tuples_that_begin_alike():
    _, tracer = traced(everything())
    for event in tracer.events:
        assert isinstance(event, tuple)
        assert event._fields[:4] == ("run", "path", "item", "at_ns")
        assert type(event.outer) is tuple


# ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_handled_failure_is_told_as_such():
    with GraphNode(name="g") as graph:
        leaf("one", bad, on_error="collect")
    found, tracer = traced(graph)
    (failed,) = tracer.of(NodeFailed)
    assert (failed.path, failed.handled, label(failed.error)) == ("g/one", True, "bad")
    assert failed.error is found.result.errors[0]


def test_a_failure_that_ends_the_run_is_told_before_its_end():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            leaf("one", bad)
        leaf("two", give_later)
    found, tracer = traced(graph)
    failed = {event.path: event for event in tracer.of(NodeFailed)}
    assert failed["g/inner/one"].error is found.error
    assert not failed["g/inner/one"].handled
    last = tracer.events[-1]
    assert (last.status, last.error, last.result) == ("failed", found.error, None)


def test_a_skipped_node_is_told_of_once():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad, on_error="collect")
        leaf("two", give, {"x": one["y"]}) >> leaf("three")
    _, tracer = traced(graph)
    assert told(tracer, NodeSkipped) == [("NodeSkipped", "g/two"), ("NodeSkipped", "g/three")]


def test_nodes_that_become_ready_together_are_told_in_the_order_they_were_written():
    with GraphNode(name="g") as graph:
        start = leaf("start")
        start >> [leaf(name, give_later) for name in "abc"]
    _, tracer = traced(graph)
    assert [path for _, path in told(tracer, NodeReady)] == ["g/start", "g/a", "g/b", "g/c"]


@pytest.mark.parametrize("outcome_of_it", ["ok", "partial", "failed"])
def test_the_end_says_what_came_of_the_run(outcome_of_it):
    options = {"ok": {}, "partial": {"on_error": "collect"}, "failed": {}}[outcome_of_it]
    with GraphNode(name="g") as graph:
        leaf("one", give if outcome_of_it == "ok" else bad, **options)
    found, tracer = traced(graph)
    last = tracer.events[-1]
    assert last.status == outcome_of_it
    assert last.result is found.result
    assert last.error is found.error
    assert last.seconds >= 0
    assert found.result is None or found.result.seconds == last.seconds


def test_tags_are_in_the_end_and_in_the_result():
    with GraphNode(name="g") as graph:
        one = leaf("one", lambda: {"$tags": ["a", "b"]})
        one >> leaf("two", lambda: {"$tags": "c", "y": 1}, outputs=PARENT)
    found, tracer = traced(graph)
    assert list(tracer.events[-1].tags) == list(found.result.tags) == ["a", "b", "c"]
    assert found.result == {"y": 1}


def test_tags_come_in_an_order_that_does_not_depend_on_time():
    """Results depend on inputs only, never on the order in which things finish."""
    found = []
    for seconds in ((1, 2), (2, 1)):
        with GraphNode(name="g") as graph:
            for name, after_s in zip("ab", seconds, strict=True):
                leaf(
                    name,
                    lambda name, after_s: asyncio.sleep(after_s, {"$tags": name}),
                    {"name": name, "after_s": after_s},
                )
        found.append(outcome(graph).result.tags)
    assert list(found[0]) == list(found[1])


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def mapped(items, fn=give, **options):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(items)}, **options):
        leaf("n", fn, {"x": PARENT["x"]})
    return graph


def test_a_map_is_told_from_beginning_to_end():
    _, tracer = traced(mapped([1, 2]))
    assert told(tracer) == [
        ("RunStarted", "g"),
        ("NodeReady", "g/m"),
        ("NodeStarted", "g/m"),
        ("MapStarted", "g/m"),
        *[(f"Node{what}", "g/m/n", 0) for what in ("Ready", "Started", "Finished")],
        ("ItemFinished", "g/m", 0),
        *[(f"Node{what}", "g/m/n", 1) for what in ("Ready", "Started", "Finished")],
        ("ItemFinished", "g/m", 1),
        ("MapFinished", "g/m"),
        ("NodeFinished", "g/m"),
        ("RunFinished", "g"),
    ]


def test_a_map_says_how_many_items_there_are_where_it_can_know():
    totals = []
    for items in ([1, 2, 3], (1, 2, 3), range(3), [], (number for number in range(3))):
        _, tracer = traced(mapped(items))
        totals.append(tracer.of(MapStarted)[0].total)
    assert totals == [3, 3, 3, 0, None]


def test_every_item_is_told_of_when_it_ends():
    _, tracer = traced(mapped([3, 1, 2], give_later))
    assert [event.item for event in tracer.of(ItemFinished)] == [1, 2, 0]
    finished = tracer.of(MapFinished)[0]
    assert (finished.done, finished.failed) == (3, 0)


def test_items_that_fail_are_told_with_their_errors():
    found, tracer = traced(mapped([1, 2, 3], lambda x: give() if x == 2 else bad()))
    assert [(event.item, event.error) for event in tracer.of(ItemFailed)] == [
        (0, found.result.errors[0]),
        (2, found.result.errors[1]),
    ]
    assert [event.item for event in tracer.of(ItemFinished)] == [1]
    finished = tracer.of(MapFinished)[0]
    assert (finished.done, finished.failed) == (3, 2)


def test_items_that_failed_upstream_are_told_as_failed():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, 2])}) as one:
            leaf("n", lambda x: give(x) if x == 2 else bad(), {"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="b", inputs={"x": Each(one["y"])}):
            leaf("n", give, {"x": PARENT["x"]})
    _, tracer = traced(graph)
    assert [(event.path, event.item) for event in tracer.of(ItemFailed)] == [("g/a", 0), ("g/b", 0)]
    assert [(event.path, event.item) for event in tracer.of(ItemFinished)] == [("g/a", 1), ("g/b", 1)]


def test_an_error_of_the_bodys_own_is_told_as_it_is():
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1])}):
        leaf("n", lambda x: {"error": "odd"}, {"x": PARENT["x"]}, outputs={"error": PARENT["error"]})
    _, tracer = traced(graph)
    assert [event.error for event in tracer.of(ItemFailed)] == ["odd"]


def test_a_map_that_fails_fast_is_told_to_its_end():
    found, tracer = traced(mapped([1, 2, 3], lambda x: give() if x == 1 else bad(), on_error="raise"))
    finished = tracer.of(MapFinished)[0]
    assert (finished.done, finished.failed) == (2, 1)
    assert [(event.item, event.error) for event in tracer.of(ItemFailed)] == [(1, found.error)]


def test_nested_maps_say_where_they_stand():
    rows = Each([[1], [2, 3]])
    with (
        GraphNode(name="g") as graph,
        MapNode(name="a", inputs={"row": rows}),
        MapNode(name="b", inputs={"x": Each(PARENT["row"])}),
    ):
        leaf("n", give, {"x": PARENT["x"]})
    _, tracer = traced(graph)
    assert [(event.outer, event.item) for event in tracer.of(NodeFinished) if event.path == "g/a/b/n"] == [
        ((0,), 0),
        ((1,), 0),
        ((1,), 1),
    ]
    assert [(event.outer, event.item, event.total) for event in tracer.of(MapStarted)] == [
        ((), None, 2),
        ((), 0, 1),
        ((), 1, 2),
    ]
    assert [(event.path, event.outer, event.item) for event in tracer.of(ItemFinished)] == [
        ("g/a/b", (0,), 0),
        ("g/a", (), 0),
        ("g/a/b", (1,), 0),
        ("g/a/b", (1,), 1),
        ("g/a", (), 1),
    ]


# ── Tracers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Breaks(Recorder):
    """A tracer that raises at its third event."""

    def emit(self, event):
        super().emit(event)
        if len(self.events) == 3:
            raise LookupError("the disk is full")


def test_a_tracer_that_raises_is_dropped_and_said_so_once(caplog):
    breaks, sound = Breaks(), Recorder()
    found = outcome(everything(), tracer=[breaks, sound])
    assert found.error is None
    assert len(breaks.events) == 3
    assert isinstance(sound.events[-1], RunFinished)
    said = [record for record in caplog.records if "Breaks" in record.getMessage()]
    assert len(said) == 1
    assert said[0].levelno >= logging.WARNING
    assert "the disk is full" in caplog.text


def test_a_tracer_that_was_dropped_is_told_of_the_next_run():
    breaks = Breaks()
    for _ in range(2):
        outcome(mapped([1]), tracer=breaks)
    assert len(breaks.events) > 3


def test_several_tracers_are_told_the_same_in_order():
    heard = []

    class Named(Recorder):
        def emit(self, event):
            super().emit(event)
            heard.append(self)

    one, two = Named(), Named()
    outcome(everything(), tracer=[one, two])
    assert all(a is b for a, b in zip(one.events, two.events, strict=True))
    assert heard[::2] == [one] * len(one.events)


@pytest.mark.parametrize("tracer", [[], (), None])
def test_no_tracer_is_no_tracer(tracer):
    assert outcome(mapped([1]), tracer=tracer).error is None


@pytest.mark.parametrize("wrong", [object(), [object()], "text", Recorder])
def test_what_is_no_tracer_is_refused_at_once(wrong):
    began = []
    with GraphNode(name="g") as graph:
        leaf("one", lambda: began.append(1))
    error = outcome(graph, tracer=wrong).error
    assert isinstance(error, TypeError)
    assert "emit" in str(error)
    assert not began


async def test_tracers_are_told_on_the_loop_and_never_in_a_thread():
    """They need no lock, whatever runs where."""
    threads, loops = set(), set()

    class Where(Recorder):
        def emit(self, event):
            threads.add(threading.get_ident())
            loops.add(asyncio.get_running_loop())

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(20))}):
        leaf("a", give, {"x": PARENT["x"]}, executor="thread")
        leaf("b", give, {"x": PARENT["x"]}, executor="auto")
        leaf("c", give, {"x": PARENT["x"]}, executor="inline")
    await Hush(graph).run(tracer=Where())
    assert threads == {threading.get_ident()}
    assert loops == {asyncio.get_running_loop()}


async def test_events_in_threads_come_in_order_too():
    tracer = Recorder()
    with GraphNode(name="g") as graph:
        one = leaf("one", give, executor="thread")
        with MapNode(name="m", inputs={"x": Each(range(8)), "k": one["y"]}):
            leaf("a", give, {"x": PARENT["x"]}, executor="thread")
    await Hush(graph).run(tracer=tracer)
    assert {tuple(story) for story in histories(tracer).values()} == {(NodeReady, NodeStarted, NodeFinished)}
    times = [event.at_ns for event in tracer.events]
    assert times == sorted(times)


async def test_runs_side_by_side_tell_their_own_tracers():
    engine = Hush(everything())
    tracers = [Recorder() for _ in range(5)]

    async def quick(x=1):
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(9))}):
        leaf("n", quick, {"x": PARENT["x"]})
    engine = Hush(graph)
    await asyncio.gather(*(engine.run(tracer=tracer, request_id=str(n)) for n, tracer in enumerate(tracers)))
    for number, tracer in enumerate(tracers):
        assert {event.run for event in tracer.events} == {str(number)}
        assert len(tracer.of(ItemFinished)) == 9


async def test_a_tracer_that_is_given_twice_is_a_slip():
    tracer = Recorder()
    with GraphNode(name="g") as graph:
        leaf("n")
    with pytest.raises(UsageError, match="there twice"):
        await Hush(graph).run(tracer=[tracer, Recorder(), tracer])
    assert not tracer.events
