"""A report says where the time went: its parts are all of it, and waiting is told from working."""

from __future__ import annotations

import pytest

from hush.core.events import (
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeCached,
    NodeCalled,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._report import report
from hush.observability._sampling import Sampling
from hush.observability._span import Totals, Wait
from hush.observability._tree import Tree
from kit import runs_seen
from kit.reports import SCENES, seen_in
from kit.runs_seen import Seen, ns


@pytest.mark.parametrize("scene", SCENES)
def test_the_parts_are_all_of_the_time(scene):
    seen = SCENES[scene]()
    found = seen_in(seen)
    time = found.time
    parts = [*time.limits, *time.models, *time.code]
    rest = time.retries_s + time.joined_s + time.ready_s + time.inside_s
    assert sum(part.seconds for part in parts) + rest == pytest.approx(time.total_s)
    if time.total_s:
        assert sum(part.share for part in parts) + rest / time.total_s == pytest.approx(1)
    in_nodes = sum(node.seconds for node in found.nodes)
    assert time.total_s == pytest.approx(in_nodes + time.ready_s)
    assert time.at_once * time.wall_s == pytest.approx(in_nodes)
    assert time.calls_s == pytest.approx(in_nodes)
    assert 0 <= time.thread_wait_s <= time.inside_s
    assert all(0 <= node.thread_s <= node.called_s + 1e-9 for node in found.nodes)


def test_calls_in_threads_that_wait_for_each_other_are_told_from_the_engine():
    seen = runs_seen.in_threads()
    for found in (seen_in(seen), report(seen.record(totals=()), seen.spans)):
        [node] = found.nodes
        assert (node.calls, node.threaded) == (300, 300)
        assert found.time.code[0].seconds == node.thread_s == pytest.approx(300 * 0.0059)
        assert found.time.thread_wait_s == node.thread_wait_s
        assert found.time.inside_s - found.time.thread_wait_s == pytest.approx(300 * 1e-5)
        assert found.time.unsized == ("sums/rows",)
    totals = tuple(one._replace(threaded=0, thread_s=0.0, thread_wait_s=0.0) for one in seen.record().totals)
    old = report(seen.record(totals=totals), seen.spans).time  # as an earlier version has written them
    assert (old.thread_wait_s, old.inside_s) == (0, pytest.approx(found.time.inside_s))


def test_spans_alone_say_the_same_as_totals():
    seen = runs_seen.nested()
    record = seen.record(dropped=1)
    one, other = report(record, seen.spans), report(record._replace(totals=()), seen.spans)
    for mine, theirs in zip(one.nodes, other.nodes, strict=True):
        assert mine.path == theirs.path
        assert mine.calls == theirs.calls
        assert mine.seconds == pytest.approx(theirs.seconds)
        assert mine.called_s == pytest.approx(theirs.called_s)
        assert mine.failed == theirs.failed
    assert one.time.ready_s == pytest.approx(other.time.ready_s)
    assert one.time.ready_s == pytest.approx(seen_in(seen).time.ready_s)


def test_where_the_time_of_a_thousand_went():
    time = seen_in(runs_seen.failed_thousand()).time
    assert [part.name for part in time.limits] == ["api"]
    assert [part.name for part in time.code] == ["shop/orders/price", "shop/load", "shop/orders/tidy", "shop/extract"]
    assert time.limits[0].share == pytest.approx(0.497, abs=0.01)
    assert time.wall_s == 9.0
    assert time.at_once > 10


def test_time_in_which_no_call_is_under_way():
    seen = Seen("i")
    root = seen.run(100)
    seen.add(root, "code", "a", 10, 40)
    seen.add(root, "code", "b", 20, 50)
    seen.add(root, "code", "c", 70, 90)
    assert seen_in(seen).time.idle_s == pytest.approx(0.010 + 0.020 + 0.010)
    assert seen_in(seen, left_out=1).time.idle_s is None


def test_a_million_items_are_counted_by_the_totals():
    seen = runs_seen.failed_thousand(items=50)
    calls = Totals("shop/orders/price", "code", 1_000_000, 2, attempts=1_000_100, seconds=90_000.0, called_s=80_000.0)
    record = seen.record(left_out=2_900_000, produced=3_000_000, dropped=1)
    others = tuple(one for one in record.totals if one.path != calls.path)
    found = report(record._replace(totals=(*others, calls)), seen.spans)
    assert found.nodes[0][:4] == ("shop/orders/price", "code", 1_000_000, 2)
    assert found.time.code[0].seconds == 80_000.0
    assert found.time.total_s > 90_000


# ── What others found who looked at runs that they knew ──────────────────────────────────────────────────────────────


def with_waits(*waits: tuple[float, float, float], limits: tuple[str, ...] = ("api",)) -> Seen:
    """A call for each of ``waits``: when it asked, was admitted and gave its place back, in ms."""
    seen = Seen()
    root = seen.run(10_000)
    for number, (queued, admitted, released) in enumerate(waits):
        call = seen.add(root, "code", f"call_{number}", queued, released, called=admitted)
        seen.end(call, waits=(Wait(limits, ns(queued), ns(admitted), ns(released)),))
    return seen


def test_a_limit_that_was_closed_is_told_from_one_that_was_full():
    full = [(0, 0, 1000), (0, 0, 1000), (0, 1000, 2000), (0, 1000, 2000)]
    assert seen_in(with_waits(*full)).time.stopped == ()
    closed = [(0, 0, 20), (0, 0, 30), (10, 1030, 1050), (10, 1030, 1060)]
    (one,) = seen_in(with_waits(*closed)).time.stopped
    assert (one.name, one.seconds, one.most) == ("api", pytest.approx(1.0), 2)
    (one,) = seen_in(with_waits(*closed, limits=("api", "all"))).time.stopped
    assert (one.name, one.seconds, one.most) == ("api, all", pytest.approx(1.0), 2)  # a call counts once


def test_that_a_limit_was_closed_is_not_said_of_runs_of_which_spans_are_missing():
    closed = with_waits((0, 0, 20), (10, 1030, 1050))
    assert len(seen_in(closed).time.stopped) == 1
    assert seen_in(closed, left_out=1).time.stopped == ()
    assert seen_in(closed, ended_ns=None, status="crashed").time.stopped == ()


def test_when_items_in_worker_processes_were_at_work_is_not_known():
    """They are all told of at the end of their chunk, so that their spans lie upon each other there."""
    seen = Seen()
    root = seen.run(400)
    rows = seen.add(root, "map", "rows", 0, 400, done=3, failed=0, total=3)
    for index in range(3):
        seen.add(rows, "item", "rows", 300, 400, index=index, called=300)
    assert seen_in(seen).time.idle_s is None


def test_waiting_for_identical_calls_is_told_of_items_that_are_left_out_too():
    """It used to be the engine's time where they were."""
    tree = Tree(Sampling(first=0, slowest=0.0, random=0.0))
    tree.feed(RunStarted("r", "g", None, 0, 10**18, kinds={"g/m": "map", "g/m/n": "code"}))
    tree.feed(NodeStarted("r", "g/m", None, 0))
    tree.feed(MapStarted("r", "g/m", None, 0, 50))
    for item in range(50):
        tree.feed(NodeStarted("r", "g/m/n", item, 0))
        if item:
            tree.feed(NodeCached("r", "g/m/n", item, 2_000_000, joined=True))
        else:
            tree.feed(NodeCalled("r", "g/m/n", item, 0, {}))
        tree.feed(NodeFinished("r", "g/m/n", item, 2_000_000))
        tree.feed(ItemFinished("r", "g/m", item, 2_000_000))
    tree.feed(MapFinished("r", "g/m", None, 3_000_000, 50, 0, (), 50))
    tree.feed(NodeFinished("r", "g/m", None, 3_000_000))
    tree.feed(RunFinished("r", "g", None, 3_000_000, "ok", 0.003))
    assert tree.left_out == 100
    time = report(tree.record(), tree.ended).time
    assert time.joined_s == pytest.approx(49 * 0.002)
    assert time.code[0].seconds == pytest.approx(0.002)
    assert time.inside_s == pytest.approx(0)
    old = tree.record()._replace(totals=tuple(one._replace(joined_s=None) for one in tree.record().totals))
    assert report(old, tree.ended).time.inside_s == pytest.approx(49 * 0.002)
