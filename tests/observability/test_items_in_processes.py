"""What a trace says of items in worker processes, of whose nodes nothing is told: how long each took, and when."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections import defaultdict
from contextlib import closing

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapNode,
    NodeTimeout,
    WorkerDied,
)
from hush.core._runtime._crew import Chunk
from hush.core._runtime._errand import Errand
from hush.core._runtime._rows import pack_rows
from hush.core.errors import MissingKeyError, TransportError
from hush.observability import LocalTracer, TraceStore
from hush.observability._chrome import chrome_events
from hush.observability._otel._convert import events
from hush.observability._report_json import span_json
from hush.testing import Recorder
from kit.span_laws import Watch

WORKERS = 2


def mapped(fn, *, max_concurrency=WORKERS, **policies):
    with GraphNode(name="g") as graph:
        with MapNode(
            name="m",
            inputs={"x": Each(PARENT["xs"])},
            executor="process",
            max_concurrency=max_concurrency,
            on_error="collect",
            **policies,
        ) as each:
            CodeNode("work", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
        each["y"] >> PARENT["y"]
    return Hush(graph)


def measured(x):
    """Something that takes a while, and says itself which process that was, from when to when."""
    began_ns = time.perf_counter_ns()
    if x % 7 == 3:
        raise ValueError(x)
    for _ in range(x % 5):
        sum(range(5_000))
    return {"y": (os.getpid(), began_ns, time.perf_counter_ns())}


async def awaited(x):
    await asyncio.sleep(0)
    return measured(x)


def told(watch):
    """The events of items, by index."""
    return {event.item: event for event in watch.events if isinstance(event, ItemFinished | ItemFailed)}


def most_at_once(stretches):
    """How many of ``stretches`` overlap, at most; who ends where another begins does not."""
    edges = sorted([(began, 1) for began, _ in stretches] + [(ended, -1) for _, ended in stretches])
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("fn", [measured, awaited])
async def test_items_lie_where_they_were(fn):
    watch = Watch()
    out = await mapped(fn).run({"xs": range(400)}, tracer=watch)
    [whole] = [span for span in watch.spans if span.kind == "map"]
    items = {span.items[0]: span for span in watch.spans if span.kind == "item"}
    assert len(items) == 400
    # No more at a time than there are processes, none before the map, and none after it.
    assert most_at_once([(span.started_ns, span.ended_ns) for span in items.values()]) <= WORKERS
    assert all(whole.started_ns <= span.started_ns <= span.ended_ns <= whole.ended_ns for span in items.values())
    # In Chrome's form they take no more lanes.
    events = chrome_events(watch.tree.record(), watch.spans)
    assert len({event["tid"] for event in events if event.get("cat") == "item"}) <= WORKERS
    events, by_process = told(watch), defaultdict(list)
    for index, span in items.items():
        event = events[index]
        assert (span.started_ns, span.ended_ns) == (span.called_ns, span.started_ns + event.took_ns)
        assert event.ended_ns <= event.at_ns
        if index % 7 != 3:
            pid, began_ns, ended_ns = out["y"][index]
            by_process[pid].append((event.ended_ns - event.took_ns, began_ns, ended_ns, event.ended_ns))
    wall_ns = watch.events[0].wall_ns - watch.events[0].at_ns
    assert all(items[index].ended_ns == event.ended_ns + wall_ns for index, event in events.items())
    one_clock = time.get_clock_info("monotonic") == time.get_clock_info("perf_counter")
    for stretches in by_process.values():
        assert most_at_once([(began, ended) for began, _, _, ended in stretches]) == 1
        for began_ns, own_began_ns, own_ended_ns, ended_ns in stretches:
            assert ended_ns - began_ns >= own_ended_ns - own_began_ns
            if one_clock:  # then what the function saw lies in what is told of it
                assert began_ns <= own_began_ns <= own_ended_ns <= ended_ns
    [total] = [one for one in watch.tree.record().totals if one.kind == "item"]
    assert (total.calls, total.failed) == (400, 57)
    assert total.called_s == total.seconds == pytest.approx(sum(event.took_ns for event in events.values()) / 1e9)


async def test_where_nobody_asks_nothing_is_measured():
    recorder = Recorder()
    recorder.sees_calls = False
    await mapped(measured).run({"xs": range(10)}, tracer=recorder)
    assert {(event.took_ns, event.ended_ns) for event in recorder.of(ItemFinished, ItemFailed)} == {(None, None)}


async def test_maps_in_a_map_share_their_processes():
    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"xs": Each(PARENT["rows"])}, max_concurrency=3):
            inner = MapNode(
                name="m",
                inputs={"x": Each(PARENT["xs"])},
                executor="process",
                max_concurrency=WORKERS,
                on_error="collect",
            )
            with inner:
                CodeNode("work", code_fn=measured, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
    watch = Watch()
    await Hush(graph).run({"rows": [range(20), range(3, 40), range(9)]}, tracer=watch)
    maps = {span.id: span for span in watch.spans if span.path == "g/outer/m" and span.kind == "map"}
    items = [span for span in watch.spans if span.path == "g/outer/m" and span.kind == "item"]
    assert (len(maps), len(items)) == (3, 20 + 37 + 9)
    assert most_at_once([(span.started_ns, span.ended_ns) for span in items]) <= WORKERS
    for span in items:
        assert maps[span.parent].started_ns <= span.started_ns <= span.ended_ns <= maps[span.parent].ended_ns


def kill(x):
    if x % 50 == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return measured(x)


def stick(x):
    while x % 50 == 7:
        pass
    return measured(x)


def lack(x):
    return {"z": 1} if x % 50 == 7 else measured(x)


async def test_items_that_end_with_their_process_are_calls_too():
    watch = Watch()
    await mapped(kill).run({"xs": range(100)}, tracer=watch)
    counted(watch, 100, [7, 57], WorkerDied)


async def test_items_that_are_late_are_calls_too():
    watch = Watch()
    await mapped(stick, item_timeout_s=0.3).run({"xs": range(60)}, tracer=watch)
    counted(watch, 60, [7, 57], NodeTimeout)
    assert all(told(watch)[index].took_ns >= 250_000_000 for index in (7, 57))  # until its time was over


async def test_items_that_cannot_be_sent_are_calls_too():
    watch = Watch()
    unsendable = (each for each in ())
    xs = [unsendable if x == 7 else x for x in range(20)]
    await mapped(measured).run({"xs": xs}, tracer=watch)
    counted(watch, 20, [7], TransportError)
    assert told(watch)[7].took_ns == 0


async def test_items_that_lack_a_key_are_calls_too():
    watch = Watch()
    await mapped(lack).run({"xs": range(60)}, tracer=watch)
    counted(watch, 60, [7, 57], MissingKeyError)


def counted(watch, number, hit, kind):
    """The totals are those of the map; the items ``hit`` failed with ``kind``, besides those that always do."""
    failed = {index for index in range(number) if index % 7 == 3} | set(hit)
    events = told(watch)
    assert {index for index, event in events.items() if isinstance(event, ItemFailed)} == failed
    assert all(type(events[index].error) is kind for index in hit)
    assert all(event.took_ns is not None and event.ended_ns <= event.at_ns for event in events.values())
    [whole] = [span for span in watch.spans if span.kind == "map"]
    [total] = [one for one in watch.tree.record().totals if one.kind == "item"]
    assert (whole.done, whole.failed) == (total.calls, total.failed) == (number, len(failed))
    items = [(span.started_ns, span.ended_ns) for span in watch.spans if span.kind == "item"]
    assert most_at_once(items) <= WORKERS


@pytest.mark.parametrize("wrong", [-(10**15), 10**18], ids=["before", "after"])
def test_where_clocks_differ_the_last_item_ended_when_its_message_came(wrong):
    errand = Errand(None, None, Chunk([4, 5, 6], ["a", "b", "c"]), in_columns=False)
    rows, _ = pack_rows([{"y": 1}, {"y": 2}, {"y": 3}], None)
    before_ns = time.monotonic_ns()
    _, outcome, _ = errand.hear(("items", 3, 60, 70, (wrong, [10, 20, 30]), {}, rows, None, True))
    after_ns = time.monotonic_ns()
    (_, first), (_, second), (_, third) = outcome.times
    assert [took for took, _ in outcome.times] == [10, 20, 30]
    assert (second - first, third - second) == (20, 30)
    assert before_ns <= third <= after_ns


async def test_the_failure_of_an_item_says_which_node_it_was(tmp_path):
    """Of which there is no span: in the store, in JSON, and in OpenTelemetry's form."""
    tracer = LocalTracer(tmp_path / "traces.db")
    await mapped(measured).run({"xs": range(4)}, tracer=tracer, request_id="it")
    assert await asyncio.to_thread(tracer.flush)
    store = TraceStore(tmp_path / "traces.db")
    [span] = store.spans(store.find("it").trace, failed=True)
    assert (span.kind, span.path, span.items) == ("item", "g/m", (3,))
    assert span.failure.path == span_json(span)["failure"]["path"] == "g/m/work"
    [raised] = [event for event in events(span) if event.name == "exception"]
    assert raised.attributes["hush.exception.path"] == "g/m/work"
    with closing(sqlite3.connect(tmp_path / "traces.db")) as file:
        asked = "SELECT path, more ->> '$.failure.path' FROM spans WHERE error IS NOT NULL"
        assert file.execute(asked).fetchall() == [("g/m", "g/m/work")]
