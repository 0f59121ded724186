"""A report says of a limit that hardly anybody held only what can have been so: a busy loop is no closed limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core.events import NodeAdmitted, NodeCalled, NodeFinished, NodeQueued, NodeReleased, NodeStarted, RunStarted
from hush.observability._sampling import Sampling
from hush.observability._span import Wait
from hush.observability._stopped import stopped_of
from hush.observability._tree import Tree
from kit.reports import seen_in
from kit.runs_seen import Seen, ns
from kit.tiers import every_change

PLAIN, RATE, NAMED = "Limit(concurrency=2)", "Limit(concurrency=2, per_second=4)", "api"


def with_waits(
    *waits: tuple[float, float | None, float, float], limits: tuple[str, ...] = (PLAIN,), **more: Any
) -> Seen:
    """A call for each: when it asked, was let in, went on and gave its place back, in ms."""
    seen = Seen()
    root = seen.run(10_000)
    for number, (asked, let_in, went_on, released) in enumerate(waits):
        call = seen.add(root, "code", f"call_{number}", asked, released, called=went_on, **more)
        let_in_ns = None if let_in is None else ns(let_in)
        seen.end(call, waits=(Wait(limits, ns(asked), ns(went_on), ns(released), 1, let_in_ns),))
    return seen


def test_calls_that_were_let_in_and_waited_for_the_loop_are_not_said_to_wait_for_a_closed_limit():
    busy = [(0, None, 0, 20), (0, None, 0, 20), (0, 20, 900, 1_000), (0, 20, 950, 1_000)]
    assert seen_in(with_waits(*busy)).time.stopped == ()
    (old,) = seen_in(with_waits(*[(asked, None, on, end) for asked, _, on, end in busy])).time.stopped
    assert old.causes == ("others", "busy")  # of a version that did not tell
    assert old.seconds == pytest.approx(0.88)


@pytest.mark.parametrize(
    ("limit", "failing", "causes"),
    [
        (PLAIN, False, ("others",)),
        (PLAIN, True, ("closed", "others")),
        (RATE, False, ("window", "others")),
        (RATE, True, ("closed", "window", "others")),
        ("Limit(tokens_per_minute=9)", False, ("window", "others")),
        (NAMED, False, ("window", "others")),  # nobody knows what it bounds
        ("worker processes", False, ("processes", "busy")),
    ],
)
def test_only_causes_that_are_possible_are_named(limit, failing, causes):
    more = {"attempts": 2} if failing else {}
    closed = [(0, None, 0, 20), (0, None, 0, 30), (10, 1_030, 1_030, 1_050), (10, 1_030, 1_030, 1_060)]
    seen = with_waits(*closed, limits=(limit,), **more)
    (one,) = seen_in(seen).time.stopped
    assert (one.name, one.seconds, one.most, one.causes) == (limit, pytest.approx(1.0), 2, causes)


def test_that_a_limit_opens_by_itself_is_seen_by_the_loop_which_may_have_been_busy():
    closed = [(0, None, 0, 20), (0, None, 0, 20), (10, 1_020, 1_020, 1_050), (10, 1_020, 1_020, 1_050)]
    for from_ms, busy in ((19, True), (900, True), (999, False)):
        for limit in (PLAIN, RATE):
            seen = with_waits(*closed, limits=(limit,))
            seen.add(seen.spans[0], "code", "other", from_ms, 1_020, called=from_ms)
            (one,) = seen_in(seen).time.stopped
            # A place that is given back is given on in that instant, whatever the loop does.
            assert ("busy" in one.causes) == (busy and limit == RATE)


def test_a_call_with_two_limits_one_of_which_is_full_waits_for_that_one():
    seen = Seen()
    root = seen.run(10_000)
    for number in range(6):
        seen.add(root, "code", f"a_{number}", 0, 10, called=0, waits=(("a", 0, 0),))
    for number in range(4):
        at, until = number * 100, number * 100 + 100
        call = seen.add(root, "code", f"b_{number}", 0, until, called=at)
        seen.end(call, waits=(Wait(("a", "b"), ns(0), ns(at), ns(until), 1, ns(at)),))
    assert seen_in(seen).time.stopped == ()


times = st.tuples(*[st.integers(0, 40)] * 4).map(sorted).map(tuple)


@every_change
@given(st.lists(st.tuples(times, st.sampled_from([("a",), ("b",), ("a", "b")])), max_size=8))
def test_what_is_said_is_so_at_every_instant(calls):
    """Against a count of who waits and who holds in each millisecond."""
    seen = Seen()
    root = seen.run(10_000)
    for number, ((asked, let_in, went_on, released), limits) in enumerate(calls):
        call = seen.add(root, "code", f"call_{number}", asked, released, called=went_on)
        seen.end(call, waits=(Wait(limits, ns(asked), ns(went_on), ns(released), 1, ns(let_in)),))
    found = {one.name: one for one in stopped_of(seen.spans)}
    for limits in {limits for _, limits in calls}:
        most = {
            limit: max(
                sum(on <= at < until for (_, _, on, until), other in calls if limit in other) for at in range(41)
            )
            for limit in limits
        }
        stood = sum(
            any(asked <= at < let_in for (asked, let_in, _, _), other in calls if other == limits)
            and all(
                2 * sum(let_in <= at < until for (_, let_in, _, until), other in calls if limit in other) < most[limit]
                for limit in limits
            )
            for at in range(41)
        )
        one = found.pop(", ".join(limits), None)
        assert (0 if one is None else one.seconds) == pytest.approx(stood / 1e3)
        assert one is None or one.most == min(most.values())
    assert not found


def test_when_a_limit_let_a_call_in_is_kept_apart_from_when_the_loop_came_to_it():
    gone_on_ns = 900
    tree, events = (
        Tree(Sampling()),
        [
            RunStarted("r", "g", None, 0, 10**18, kinds={"g/a": "code"}),
            NodeStarted("r", "g/a", None, 10),
            NodeQueued("r", "g/a", None, 10, (PLAIN,)),
            NodeAdmitted("r", "g/a", None, gone_on_ns, (PLAIN,), 3e-8),
            NodeCalled("r", "g/a", None, gone_on_ns),
            NodeReleased("r", "g/a", None, 950, (PLAIN,)),
            NodeFinished("r", "g/a", None, 950),
        ],
    )
    for event in events:
        tree.feed(event)
    [span] = tree.ended
    [wait] = span.waits
    assert (wait.let_in_ns - wait.queued_ns, wait.admitted_ns - wait.queued_ns) == (30, 890)
