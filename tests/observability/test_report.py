"""A report is made of whatever is there, and says what models used, what the end waited for, what is under way."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.observability._report import report
from hush.observability._span import Totals, Wait
from kit import runs_seen
from kit.reports import SCENES, seen_in
from kit.runs_seen import Seen, failure, ns
from kit.tiers import every_change

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
    assert not seen_in(runs_seen.killed(), totals=()).time.exact  # the last half a second is not known
    assert not seen_in(runs_seen.killed()).time.exact


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


@settings(every_change, max_examples=60)
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


# ── Runs that were killed, and those that still run ──────────────────────────────────────────────────────────────────


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
