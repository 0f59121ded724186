"""A report says what failed, why, how often, and where the time went: exactly, however many spans are there."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.observability._causes import is_users, pattern_of, place_of
from hush.observability._report import report
from hush.observability._span import Failure, Frame, Totals, Wait
from kit import runs_seen
from kit.runs_seen import Seen, failure, ns
from kit.tiers import every_change

SCENES = {
    "thousand": lambda: runs_seen.failed_thousand(items=200),
    "sampled": lambda: runs_seen.failed_thousand(items=300, keep_all=False),
    "killed": runs_seen.killed,
    "models": runs_seen.llm_batch,
    "nested": runs_seen.nested,
    "one": runs_seen.one_node,
    "empty": runs_seen.empty,
    "threads": lambda: runs_seen.in_threads(items=60),
}


def seen_in(seen: Seen, **more):
    return report(seen.record(**more), seen.spans)


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_failures_are_grouped_by_cause_what_ended_the_run_first():
    found = seen_in(runs_seen.failed_thousand())
    assert [(g.path, g.type, g.number, g.outcome) for g in found.failures] == [
        ("shop/load", "psycopg.errors.UniqueViolation", 1, "raised"),
        ("shop/orders/price", "ValueError", 32, "collected"),
        ("shop/orders/price", "TimeoutError", 4, "collected"),
    ]
    load, prices, late = found.failures
    assert prices.pattern == "order … of … has no price"
    assert prices.place == Frame("/home/me/shop/prices.py", 31, "parse")
    assert [(call.items, call.keys) for call in prices.first[:2]] == [((12,), ("SKU-84",)), ((43,), ("SKU-301",))]
    assert prices.failure.message == "order 12 of 'SKU-84' has no price"
    assert prices.inputs == {"order": {"id": 12, "sku": "SKU-84", "price": None}, "currency": "EUR"}
    assert late.attempts == (3, 3)
    assert load.first[0].items == ()
    assert found.unseen == ()
    assert found.items == (1000, 36)


def test_sampling_changes_no_number():
    full, sampled = runs_seen.failed_thousand(items=400), runs_seen.failed_thousand(items=400, keep_all=False)
    assert sampled.left_out > 500
    one, other = seen_in(full), seen_in(sampled)
    assert [(g.path, g.type, g.number) for g in one.failures] == [(g.path, g.type, g.number) for g in other.failures]
    assert one.nodes == other.nodes
    assert one.time._replace(idle_s=None, stopped=()) == other.time  # only spans tell of these two
    assert one.items == other.items


def test_failures_whose_spans_were_dropped_are_counted_where_it_is_clear_whose_they_are():
    seen = runs_seen.failed_thousand(items=400)
    record = seen.record(dropped=9)
    values = [span for span in seen.spans if span.failure and span.failure.type == "ValueError"]
    dropped = {span.id for span in values[4:]}
    without_late = [
        span for span in seen.spans if span.id not in dropped and not (span.failure and "Timeout" in span.failure.type)
    ]
    found = report(record, without_late)
    (prices,) = (group for group in found.failures if group.path == "shop/orders/price")
    assert (prices.number, prices.seen) == (15, 2)
    both = report(record, [span for span in seen.spans if span.id not in dropped])
    assert [(one.path, one.number) for one in both.unseen] == [("shop/orders/price", 11)]
    total = sum(group.number for group in both.failures) + sum(one.number for one in both.unseen)
    assert total == sum(group.number for group in seen_in(seen).failures)


def test_a_failure_that_goes_up_through_graphs_is_one():
    seen = Seen("deep")
    boom = failure("ValueError", "no")
    root = seen.run(100, "failed", failure=boom)
    outer = seen.add(root, "graph", "outer", 1, 99, status="failed", failure=boom)
    inner = seen.add(outer, "graph", "inner", 2, 98, status="failed", failure=boom)
    seen.add(inner, "code", "leaf", 3, 97, status="failed", failure=boom)
    (group,) = seen_in(seen).failures
    assert (group.path, group.number, group.outcome) == ("deep/outer/inner/leaf", 1, "raised")


def test_a_group_of_failures_is_not_a_cause_and_too_many_of_them_is_one():
    seen = Seen("g")
    one, two = failure("ValueError", "one"), failure("KeyError", "'two'")
    root = seen.run(9, "failed", failure=Failure("ExceptionGroup", "2 nodes failed", causes=(one, two)))
    seen.add(root, "code", "a", 1, 2, status="failed", failure=one)
    seen.add(root, "code", "b", 1, 2, status="failed", failure=two)
    assert {(g.path, g.type, g.outcome) for g in seen_in(seen).failures} == {
        ("g/a", "ValueError", "raised"),
        ("g/b", "KeyError", "raised"),
    }
    seen = Seen("t")
    much = Failure("hush.core.errors.TooManyFailures", "1 of 3 items failed, 0 are tolerated")
    root = seen.run(9, "failed", failure=much)
    rows = seen.add(root, "map", "rows", 1, 8, status="failed", failure=much, done=3, failed=1)
    item = seen.add(rows, "item", "rows", 2, 4, index=0, status="failed", failure=one)
    seen.add(item, "code", "a", 2, 3, status="failed", failure=one)
    assert [(g.path, g.outcome) for g in seen_in(seen).failures] == [("t/rows", "raised"), ("t/rows/a", "collected")]


def test_a_handled_failure_says_so():
    seen = Seen("h")
    root = seen.run(9, "ok")
    seen.add(root, "code", "a", 1, 2, status="handled", failure=failure("ValueError", "no"))
    inner = failure("ValueError", "deeper")
    held = seen.add(root, "graph", "held", 1, 3, status="handled", failure=inner)
    seen.add(held, "code", "b", 1, 2, status="failed", failure=inner)
    assert [(g.path, g.outcome) for g in seen_in(seen).failures] == [("h/a", "handled"), ("h/held/b", "handled")]


def test_what_a_stream_passes_on_belongs_to_its_cause():
    seen = Seen("s")
    root = seen.run(100, "partial")
    boom = failure("ValueError", "no")
    first = seen.add(root, "map", "first", 1, 50, done=3, failed=2, status="partial")
    second = seen.add(root, "map", "second", 1, 60, done=3, failed=2, status="partial")
    for index in range(3):
        bad = None if index == 1 else boom
        status = "failed" if bad else "ok"
        item = seen.add(first, "item", "first", 2, 4, index=index, status=status, failure=bad)
        seen.add(item, "code", "a", 2, 3, status=status, failure=bad)
        item = seen.add(second, "item", "second", 4, 6, index=index, status=status, failure=bad)
        if not bad:
            seen.add(item, "code", "b", 4, 5)
    (group,) = seen_in(seen).failures
    assert (group.path, group.number, group.passed_on) == ("s/first/a", 2, (("s/second", 2),))


def test_an_error_that_a_body_reported_as_a_value_is_a_failure_of_the_item():
    seen = Seen("r")
    root = seen.run(9, "partial")
    rows = seen.add(root, "map", "rows", 1, 8, done=1, failed=1, status="partial")
    item = seen.add(rows, "item", "rows", 2, 4, index=0, status="failed", failure=Failure("reported", "too short"))
    seen.add(item, "code", "a", 2, 3)
    (group,) = seen_in(seen).failures
    assert (group.path, group.kind, group.type) == ("r/rows", "item", "reported")


def test_a_run_that_failed_without_any_span_says_why():
    seen = Seen("x")
    root = seen.run(9, "failed", failure=failure("hush.core.errors.InputError", "x is missing"))
    found = report(seen.record(), [])
    (group,) = found.failures
    assert (group.path, group.type, group.outcome) == ("x", "hush.core.errors.InputError", "raised")
    assert root.failure == found.failures[0].failure


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 12 has no price", "order 9913 has no price"),
        ("no row 'a'", "no row 'b c'"),
        ('"x" is not "y"', '"u" is not "v"'),
        ("at 0x7f3a2b: gone", "at 0x1122ff: gone"),
        ("id 3f2a9c1e-5b7d-4a6f-8e0c-1b2a3d4e5f60", "id 00000000-5b7d-4a6f-8e0c-000000000001"),
        ("took 1.5 s\nmore of it", "took 22.75 s\nsomething else"),
    ],
)
def test_messages_that_differ_in_values_only_are_alike(one, other):
    assert pattern_of(one) == pattern_of(other)


def test_messages_that_all_differ_are_one_cause():
    seen = Seen("n")
    root = seen.run(900, "partial")
    rows = seen.add(root, "map", "rows", 1, 800, done=300, failed=300, status="partial")
    names = ["".join(chr(97 + index // 26**place % 26) for place in range(3)) for index in range(300)]
    for index, name in enumerate(names):
        boom = failure("LookupError", f"nobody is called {name}")
        item = seen.add(rows, "item", "rows", 2, 4, index=index, status="failed", failure=boom)
        seen.add(item, "code", "find", 2, 3, status="failed", failure=boom)
    (group,) = seen_in(seen).failures
    assert (group.number, group.pattern) == (300, "…")
    assert group.first[0].message == "nobody is called aaa"


def test_messages_that_differ_in_words_are_not():
    assert pattern_of("can't read it, don't try") != pattern_of("can't write it, don't try")
    assert pattern_of("connection refused") != pattern_of("connection reset")


@pytest.mark.parametrize("text", ["'" * 50_000, '"' * 50_001, "1." * 50_000, "a" * 100_000 + "'", "' '" * 30_000])
def test_no_message_takes_long_to_generalise(text):
    assert len(pattern_of(text)) <= 600


def test_the_place_is_the_last_line_of_the_users_own():
    here = Frame("/home/me/shop/prices.py", 3, "f")
    library = Frame("/home/me/.venv/lib/python3.11/site-packages/httpx/_client.py", 9, "send")
    ours = Frame("/src/hush/core/_runtime/_calls.py", 9, "call")
    assert place_of(Failure("E", "", (ours, here, library))) == here
    assert place_of(Failure("E", "", (ours, library))) == library
    assert place_of(Failure("E", "")) is None
    assert is_users(Frame("<stdin>", 1, "f"))
    assert not is_users(Frame("<frozen runpy>", 1, "f"))
    assert not is_users(Frame("C:\\Python311\\Lib\\json\\decoder.py", 1, "f"))


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_a_killed_run_counts_what_was_under_way():
    found = seen_in(runs_seen.killed())
    assert found.until_ns == ns(4910)  # the last that anybody heard of it
    assert [call.items for call in found.under_way] == [(index,) for index in range(40, 48)]
    assert [call.waiting_for for call in found.under_way] == [()] * 5 + [("llm:gpt-4o",)] * 3
    ask = found.nodes[0]
    assert (ask.path, ask.calls, ask.running) == ("summaries/pages/ask", 48, 8)
    assert found.failures == ()


def test_a_running_run_is_measured_until_now():
    seen = runs_seen.killed()
    record = seen.record(status="running")
    later = report(record, seen.spans, now_ns=ns(60_000))
    assert later.seconds == 60
    assert later.under_way[0].seconds > 55


# ── Models, and what the end waited for ──────────────────────────────────────────────────────────────────────────────


def test_what_models_used():
    found = seen_in(runs_seen.llm_batch())
    big, small = found.models
    assert (big.name, big.calls, big.priced) == ("gpt-4o", 50, 49)
    assert big.cost == pytest.approx(49 * 0.0031)
    assert small.usage == {"input_tokens": 1011, "output_tokens": 50}
    assert found.generations == (51, 51)
    assert found.cached == 9
    assert [(one.path, one.resource, one.times) for one in found.rerouted] == [
        ("answers/questions/ask", "llm:gpt-4o", 1)
    ]
    assert found.time.retries_s == pytest.approx(10 * 0.4)
    assert found.time.again_s == pytest.approx(10 * 0.18)


def test_the_chain_that_the_end_waited_for():
    links = seen_in(runs_seen.nested()).waited_for
    assert [link.path for link in links] == [
        "deep/outer/inner/first",
        "deep/outer/inner/second",
        "deep/outer/router",
        "deep/outer/high",
        "deep/improve",
        "deep/shops",
    ]
    for before, after in pairwise(links):
        assert before.started_ns + before.seconds * 1e9 <= after.started_ns


def test_what_ended_sooner_is_not_in_the_chain():
    seen = Seen("c")
    root = seen.run(100)
    seen.add(root, "code", "short", 0, 10, ready=0)
    seen.add(root, "code", "long", 0, 50, ready=0)
    seen.add(root, "code", "join", 51, 90, ready=50)
    seen.add(root, "code", "aside", 0, 70, ready=0)
    assert [(link.path, link.seconds) for link in seen_in(seen).waited_for] == [("c/long", 0.05), ("c/join", 0.039)]


def test_where_nobody_knows_all_calls_it_says_so():
    seen = runs_seen.failed_thousand(items=200, keep_all=False)
    assert seen_in(seen).time.exact
    assert not seen_in(seen, totals=()).time.exact
    assert seen_in(runs_seen.killed(), totals=()).time.exact


# ── Whatever comes ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scene", SCENES)
def test_the_order_of_spans_does_not_matter(scene):
    seen = SCENES[scene]()
    record = seen.record()
    shuffled = seen.spans.copy()
    random.Random(7).shuffle(shuffled)
    one, other = report(record, seen.spans), report(record, shuffled)
    assert one.failures == other.failures
    assert one.nodes == other.nodes
    assert one.waited_for == other.waited_for
    assert one.under_way == other.under_way
    assert {call.seconds for call in one.slowest} == {call.seconds for call in other.slowest}
    assert one.time.total_s == pytest.approx(other.time.total_s)


@every_change
@given(st.sampled_from(sorted(SCENES)), st.randoms(use_true_random=False), st.floats(0, 1))
def test_spans_may_be_missing(scene, chance, share):
    """Whatever was dropped: a report is made, and no failure that a leaf had is counted twice or not at all."""
    seen = SCENES[scene]()
    spans = [span for span in seen.spans if chance.random() < share]
    record = seen.record(dropped=1 + len(seen.spans) - len(spans))
    found = report(record, spans)
    by_path: dict[str, int] = {}
    for group in found.failures:
        if group.kind not in ("item", "map", "graph", "run"):
            by_path[group.path] = by_path.get(group.path, 0) + group.number
    for one in found.unseen:
        by_path[one.path] = by_path.get(one.path, 0) + one.number
    known = {one.path: one.failed for one in record.totals if one.failed and one.kind not in ("map", "graph", "while")}
    assert by_path == known


def test_a_ring_of_parents_ends():
    seen = runs_seen.nested()
    first, second = seen.spans[3], seen.spans[4]
    damaged = [
        *seen.spans[:3],
        first._replace(parent=second.id, failure=failure("E", "x"), status="failed"),
        second._replace(parent=first.id, failure=failure("E", "x"), status="failed"),
        *seen.spans[5:],
    ]
    report(seen.record(), damaged)


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
    assert (one.name, one.seconds, one.most) == ("api,all", pytest.approx(1.0), 2)  # a call counts once


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


def test_how_long_a_call_was_at_what_it_was_at_when_it_was_cancelled():
    seen = Seen()
    root = seen.run(1000, "cancelled")
    late = seen.add(root, "code", "late", 0, 1000, status="cancelled", called=980)
    seen.end(late, waits=(Wait(("api",), ns(0), ns(980), ns(1000)),))
    waits = seen.add(root, "code", "waits", 100, 1000, status="cancelled")
    seen.end(waits, waits=(Wait(("api",), ns(400), None, None),))
    assert [(call.path, call.lately_s) for call in seen_in(seen).under_way] == [
        ("shop/late", pytest.approx(0.02)),
        ("shop/waits", pytest.approx(0.6)),
    ]


def test_a_killed_map_of_short_calls_says_how_many_items_had_begun():
    """The calls in them were not under way for long enough to be in the file, and their items' spans are held back."""
    seen = Seen()
    root = seen.run(None, "crashed")
    rows = seen.add(root, "map", "rows", 0, None, status="crashed", done=2, failed=0, total=100)
    for index in range(2):
        item = seen.add(rows, "item", "rows", 0, 10, index=index)
        seen.add(item, "code", "read", 0, 5)
        seen.add(item, "code", "write", 5, 10)
    totals = (
        Totals("shop/rows/read", "code", 7, attempts=7, seconds=0.1),
        Totals("shop/rows/write", "code", 2, attempts=2, seconds=0.1),
    )
    (call,) = report(seen.record(status="crashed")._replace(totals=totals), seen.spans).under_way
    assert (call.path, call.begun) == ("shop/rows", 5)


def test_what_the_spans_of_a_killed_run_know_better_than_its_record_counts():
    seen = Seen()
    root = seen.run(None, "crashed")
    rows = seen.add(root, "map", "rows", 0, None, status="crashed", done=1, failed=0, total=100)
    boom = failure("ValueError", "no")
    for index in range(4):
        seen.add(rows, "item", "rows", 0, 10, index=index, called=0, status="failed", failure=boom)
    record = seen.record(status="crashed", items=2, items_failed=1)
    found = report(record._replace(totals=(Totals("shop/rows", "item", 9, 1, attempts=9, seconds=0.1),)), seen.spans)
    assert found.items == (4, 4)
    assert (found.nodes[0].calls, found.nodes[0].failed) == (9, 4)
    assert sum(group.number for group in found.failures) == 4


def in_a_worker(message: str, line: int) -> Failure:
    note = (
        "Hush: in the worker process:\n"
        '  File "/home/me/shop/graph.py", line 11, in <lambda>\n    shape(n)\n    ~~~~~^^^\n'
        f'  File "/home/me/shop/shapes.py", line {line}, in shape\n    return record["id"]\n'
        '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n    raise'
    )
    return Failure("KeyError", message, notes=(note,))


def test_two_bugs_in_worker_processes_are_two_causes():
    """Their tracebacks are texts; without the lines in them both are a `KeyError` with some quoted text."""
    seen = Seen()
    root = seen.run(10, "partial")
    rows = seen.add(root, "map", "rows", 0, 9, status="partial", done=4, failed=4, total=4)
    for index in range(4):
        boom = in_a_worker("'id'", 5) if index % 2 else in_a_worker("'amount'", 7)
        seen.add(rows, "item", "rows", 1, 2, index=index, called=1, status="failed", failure=boom)
    found = seen_in(seen).failures
    assert [(group.number, group.failure.message) for group in found] == [(2, "'amount'"), (2, "'id'")]
    assert [group.place for group in found] == [
        Frame("/home/me/shop/shapes.py", 7, "shape"),
        Frame("/home/me/shop/shapes.py", 5, "shape"),
    ]


def test_one_line_that_wraps_two_failures_is_two_causes():
    """`except Exception as error: raise Wrapped(...) from error`: why it failed is what it was raised from."""
    seen = Seen()
    root = seen.run(10, "partial")
    rows = seen.add(root, "map", "rows", 0, 9, status="partial", done=30, failed=30, total=30)
    for index in range(30):
        why = failure("KeyError", "'price'", 4) if index % 3 else failure("TimeoutError", f"no answer in {index} s", 5)
        boom = failure("app.Wrapped", f"row {index} could not be imported", 11, causes=(why,))
        item = seen.add(rows, "item", "rows", 1, 2, index=index, status="failed", failure=boom)
        seen.add(item, "code", "load", 1, 2, status="failed", failure=boom)
    found = seen_in(seen).failures
    assert [(group.number, group.type, group.failure.causes[0].type) for group in found] == [
        (20, "app.Wrapped", "KeyError"),
        (10, "app.Wrapped", "TimeoutError"),
    ]
