"""`hush show`: what it says of where the time went is so, and is said only of what it can be said of."""

from __future__ import annotations

import re

import pytest

from hush.cli._show_text import screen
from hush.cli._timeline import UNICODE
from hush.observability._report import report
from hush.observability._source import SourceLines
from hush.observability._span import AskedInVain, FailedAttempts, Totals, Wait
from kit.runs_seen import Seen, failure, ns


def shown(seen: Seen, width: int = 100, **more) -> str:
    """The screen."""
    found = report(seen.record(**more), seen.spans)
    lines = screen(found, seen.spans, width=width, glyphs=UNICODE, lines=SourceLines(ns(0)))
    return "\n".join(line.plain for line in lines)


def said(seen: Seen, **more) -> str:
    """The screen, in one line, since sentences are wrapped."""
    return re.sub(r"\s+", " ", shown(seen, **more))


# ── Attempts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def tried_again(*, counted: bool) -> str:
    seen = Seen("g")
    root = seen.run(1_000)
    lost, other = failure("ConnectionError", "reset"), failure("KeyError", "'a'")
    for number in range(2):
        node = seen.add(root, "code", "n", number * 10, number * 10 + 9, called=number * 10, attempts=2)
        seen.add(node, "attempt", "n", number * 10, number * 10 + 2, attempt=1, status="failed", failure=lost)
    failed = (FailedAttempts(lost, 9_000, 9_000, 4.0), FailedAttempts(other, 1_000, 900, 0.5, others=True))
    in_vain = (AskedInVain("llm:a", lost, 30), AskedInVain("llm:b", other, 2, others=True))
    totals = Totals("g/n", "code", 20_000, attempts=30_000, seconds=9.0, called_s=9.0)
    if counted:
        totals = totals._replace(failed_attempts=failed, in_vain=in_vain)
    return said(seen, totals=(totals,), left_out=20_000)


def test_attempts_are_told_exactly_also_where_spans_were_left_out():
    text = tried_again(counted=True)
    assert "n ConnectionError 9,000 times reset n other reasons, the first KeyError 900 times 'a'" in text
    assert "4.50 s of the calls were attempts that failed" in text
    assert "llm:a given up 30 times for n, first because of ConnectionError" in text
    assert "other resources, the first llm:b, given up 2 times for n, first because of KeyError" in text
    assert "as far as" not in text


def test_what_no_total_tells_of_attempts_is_told_as_far_as_spans_were_kept():
    text = tried_again(counted=False)
    assert "n ConnectionError at least 2 times" in text
    assert "at least 4.0 ms of the calls were attempts that failed" in text


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        ("Limit(concurrency=1)", 1, "held no call though others waited: other runs had it by the clock no call"),
        (
            "Limit(concurrency=2)",
            2,
            "held no call, of 2 at most, though others waited: other runs had it by the clock no call",
        ),
        (
            "Limit(per_second=4)",
            4,
            "held fewer than 2 calls, of 4 at most, though others waited: its window was used up or other runs had it;",
        ),
    ],
)
def test_a_limit_that_hardly_anybody_held(limit, most, told):
    seen = Seen("g")
    root = seen.run(2_000)
    for number in range(2 * most):
        at = 0 if number < most else 1_000
        call = seen.add(root, "code", "call", at, at + 10, called=at)
        seen.end(call, waits=(Wait((limit,), ns(0), ns(at), ns(at + 10), 1, ns(at)),))
    assert f"for 990 ms by the clock {limit} {told}" in said(seen)


def test_limits_are_called_what_they_are_called():
    """A limit without a name may have commas in what it is called instead."""
    seen = Seen("g")
    root = seen.run(2_000)
    for at in (0, 1_000):
        seen.add(root, "code", "call", 0, at + 10, called=at, waits=[("Limit(per_day=9, per_second=4)", 0, at)])
    text = shown(seen, 200)
    assert "waiting for Limit(per_day=9, per_second=4)" in text
    assert "for 990 ms by the clock Limit(per_day=9, per_second=4) held no call" in text


# ── The clock, and all calls ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("ready", "more"), [(1.0, ""), (50_000.0, ", and before that 50.0 s ready, not yet started")])
def test_at_once_on_average_is_the_one_number_over_the_other(ready, more):
    """Calls that could have begun and had not are no calls: as where one call holds up the loop, and all others."""
    seen = Seen("g")
    root = seen.run(1_000)
    seen.add(root, "code", "a", 0, 1_000, called=0, ready=-ready)
    seen.add(root, "code", "b", 0, 1_000, called=0)
    text = said(seen)
    assert f"1.00 s by the clock; 2.00 s over all calls, 2.0 at once on average{more}" in text
    assert ("before that" in text) == bool(more)


# ── Calls in threads ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("calls", "way_ms", "is_told"), [(1, 1.4, False), (1, 900, False), (19, 100, False), (20, 4, False), (20, 6, True)]
)
def test_that_calls_in_threads_wait_for_each_other_is_said_of_many_that_waited_for_long(calls, way_ms, is_told):
    """One call was said to wait for others, and to be spared 1.4 ms by an executor of its own."""
    seen = Seen("g")
    root = seen.run(1_000)
    for number in range(calls):
        seen.add(root, "code", "n", number, number + way_ms, called=number, thread_s=2e-6)
    assert ("mostly for each other" in said(seen)) == is_told
