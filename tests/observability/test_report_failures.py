"""A report says what failed: one entry for each cause, how often, and whether it ended the run."""

from __future__ import annotations

from hush.observability._report import report
from hush.observability._span import Failure, Frame
from kit import runs_seen
from kit.reports import seen_in
from kit.runs_seen import Seen, failure


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
