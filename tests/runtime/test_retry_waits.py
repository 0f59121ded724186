"""How long a retry waits, and the bounds of time and budget, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, GraphNode, Hush, Limit, Retry
from hush.core._runtime._retry_budget import ALWAYS, PERIOD_S
from hush.testing import Recorder, VirtualLoop, run_virtual
from hush.testing._run import play
from kit.flaky import Busy, Flaky, Lost, each, one
from kit.tiers import by_day
from runtime.observing import outcome

LIMIT = Limit(concurrency=2)


def waits_of(retry, failures=9, error=Lost, seed=0, takes_s=0.0):
    """The waits between the calls of one node."""
    flaky = Flaky(failures, error, takes_s)
    outcome(one(flaky.coroutine, retry), seed=seed)
    return flaky.waits_s


# --- the wait ---------------------------------------------------------------------------------------------------------


def test_waits_grow_by_the_factor_up_to_the_bound():
    assert waits_of(Retry(max_attempts=7, backoff_s=0.5, factor=3, max_backoff_s=20, jitter=False)) == [
        0.5,
        1.5,
        4.5,
        13.5,
        20,
        20,
    ]


def test_the_defaults_without_chance():
    assert waits_of(Retry(jitter=False)) == [0.5, 1, 2, 4]


def test_waits_begin_when_the_attempt_has_failed():
    assert waits_of(Retry(max_attempts=3, backoff_s=1, jitter=False), takes_s=5) == [6, 7]


@pytest.mark.parametrize("attempt", by_day([1, 2, 3, 4], 0, 2))
def test_waits_are_drawn_evenly_from_nothing_to_the_longest(attempt):
    """Of a fixed seed, so this holds always or never."""
    retry = Retry(backoff_s=1, max_total_s=None, budget=None, max_attempts=attempt + 1)
    recorder = Recorder()
    outcome(each(Flaky(99).coroutine, 1000, retry, width=1000), tracer=recorder)
    waits = sorted(
        event.wait_s / 2 ** (attempt - 1) for event in recorder.events if getattr(event, "attempt", 0) == attempt
    )
    assert len(waits) == 1000
    assert 0 <= waits[0] <= waits[-1] <= 1
    # Kolmogorov and Smirnov: an even thousand strays further than this once in a thousand times.
    assert max(abs(wait - place / 1000) for place, wait in enumerate(waits)) < 1.95 / 1000**0.5


def test_the_same_seed_gives_the_same_waits():
    assert waits_of(Retry(), seed=1) == waits_of(Retry(), seed=1) != waits_of(Retry(), seed=2)


def test_loops_draw_for_themselves():
    """What ran before on another loop changes nothing."""
    alone = waits_of(Retry(), seed=1)
    waits_of(Retry(), seed=5)
    assert waits_of(Retry(), seed=1) == alone


# --- when to come back ------------------------------------------------------------------------------------------------


def test_a_failure_says_when_to_come_back():
    retry = Retry(max_attempts=3, jitter=False)
    assert waits_of(retry, error=lambda *_: Busy(7)) == [7, 7]
    assert waits_of(retry, error=lambda *_: Busy(0)) == [0.5, 1]
    assert waits_of(retry, error=lambda *_: Busy(0.75)) == [0.75, 1]


def test_it_may_be_later_than_any_wait_of_ones_own():
    assert waits_of(Retry(max_attempts=2, max_backoff_s=1, jitter=False), error=lambda *_: Busy(99)) == [99]


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0, 10), st.integers(0, 3))
@settings(max_examples=50)
def test_nobody_comes_back_earlier_and_nobody_much_later(told_s, backoff_s, max_backoff_s, seed):
    retry = Retry(max_attempts=3, backoff_s=backoff_s, max_backoff_s=max_backoff_s)
    for number, wait_s in enumerate(waits_of(retry, error=lambda *_: Busy(told_s), seed=seed), start=1):
        assert told_s - 1e-6 <= wait_s
        assert wait_s <= max(retry.longest_s(number), told_s + min(backoff_s, max_backoff_s)) + 1e-6


def test_not_all_come_back_at_the_same_instant():
    flaky = Flaky(1, lambda *_: Busy(60))
    outcome(each(flaky.coroutine, 100, Retry(), width=100))
    back_s = flaky.at_s[100:]
    assert len(set(back_s)) == 100
    assert 60 <= min(back_s) <= max(back_s) <= 60.5


# --- max_total_s ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total_s", "attempts"), [(0, 1), (0.9, 1), (1, 2), (2.9, 2), (3, 3), (None, 5)])
def test_a_retry_that_could_not_start_in_time_is_not_made(total_s, attempts):
    flaky = Flaky(9)
    found = outcome(one(flaky.coroutine, Retry(backoff_s=1, jitter=False, max_total_s=total_s)))
    assert (flaky.calls[1], found.error.hush.attempt) == (attempts, attempts)
    bound = "max_attempts=5" if total_s is None else f"max_total_s={total_s:g}"
    assert found.error.__notes__[0].endswith(f", attempt {attempts}, not tried again: {bound}")
    assert found.at_s == [0, 0, 1, 3, 7, 15][attempts]  # it does not wait for what will not be


def test_the_time_of_the_attempts_counts():
    flaky = Flaky(9, takes_s=4)
    outcome(one(flaky.coroutine, Retry(backoff_s=1, factor=1, jitter=False, max_total_s=10)))
    assert flaky.at_s == [0, 5, 10]


def test_an_attempt_under_way_is_not_ended_by_it():
    flaky = Flaky(1, takes_s=50)
    assert outcome(one(flaky.coroutine, Retry(backoff_s=1, jitter=False, max_total_s=60))).at_s == 101


def test_whoever_is_told_to_come_back_tomorrow_does_not_wait():
    found = outcome(one(Flaky(9, lambda *_: Busy(86_400)).coroutine, Retry()))
    assert (found.at_s, found.error.hush.attempt) == (0, 1)
    assert found.error.__notes__[0].endswith(", attempt 1, not tried again: max_total_s=600")


def test_a_retry_that_is_not_admitted_in_time_is_not_made():
    """The one is told to come back in 2 s, twice; then the other closes the limit for 30 s."""
    flaky = Flaky(99, lambda x, _: Busy(2 if x == 0 else 30))
    with GraphNode(name="g") as graph:
        for x in range(2):
            CodeNode(
                name=f"n{x}",
                code_fn=flaky.coroutine,
                inputs={"x": x},
                retry=Retry(max_total_s=10, backoff_s=0),
                limit=LIMIT,
                on_error="collect",
            )
    found = outcome(graph)
    assert flaky.at_s == [0, 2, 2]
    assert found.at_s == 10
    for error, attempts in zip(found.result.errors, [2, 1], strict=True):
        assert error.hush.attempt == attempts
        assert error.__notes__[0].endswith(f", attempt {attempts}, not tried again: max_total_s=10")


# --- budget -----------------------------------------------------------------------------------------------------------


def failing_at_once(items, retry, error=Lost):
    flaky = Flaky(99, error)
    found = outcome(each(flaky.coroutine, items, retry, width=items))
    return flaky, found


def test_when_all_fail_few_calls_are_made_in_vain():
    flaky, found = failing_at_once(2000, Retry(budget=0.1, max_attempts=2))
    assert sum(flaky.calls.values()) == 2000 + 200 + ALWAYS
    notes = [error.__notes__[0].rpartition(": ")[2] for error in found.result["errors"]]
    assert notes.count("budget=0.1") == 2000 - 200 - ALWAYS
    assert notes.count("max_attempts=2") == 200 + ALWAYS


def test_over_time_too():
    """Whatever the width: in any period retries are few beside the calls."""
    flaky = Flaky(99)
    found = outcome(each(flaky.coroutine, 3000, Retry(), width=32))
    periods = found.at_s / PERIOD_S + 2
    assert sum(flaky.calls.values()) <= 3000 * 1.2 + ALWAYS * periods


def test_without_a_budget_all_are_tried():
    flaky, _ = failing_at_once(500, Retry(budget=None, max_attempts=2))
    assert sum(flaky.calls.values()) == 1000


def test_retries_that_helped_cost_nothing():
    """Sixteen at a time fail three times each, far more often than a fifth of the calls, and none is given up."""
    flaky = Flaky(3)
    found = outcome(each(flaky.coroutine, 1000, Retry(), width=16))
    assert found.result["y"] == list(range(1000))
    assert sum(flaky.calls.values()) == 4000


def test_retries_that_were_asked_for_cost_nothing():
    flaky = Flaky(1, lambda *_: Busy(1))
    found = outcome(each(flaky.coroutine, 1000, Retry(), width=1000))
    assert found.result["y"] == list(range(1000))


def test_nodes_that_share_an_object_share_its_budget_and_others_do_not():
    def graph_of(*retries):
        with GraphNode(name="g") as graph:
            for number, (flaky, retry) in enumerate(retries):
                with GraphNode(name=f"part_{number}"):
                    for x in range(ALWAYS):
                        name, fn = f"n{x}", flaky.coroutine
                        CodeNode(name=name, code_fn=fn, inputs={"x": x}, retry=retry, on_error="collect")
            CodeNode(name="end", code_fn=lambda: {"y": 1}, inputs={}, outputs=PARENT)
        return graph

    def retries_of(one_retry, other_retry):
        flakies = Flaky(99), Flaky(99)
        outcome(graph_of(*zip(flakies, (one_retry, other_retry), strict=True)))
        return sum(flaky.calls.total() - ALWAYS for flaky in flakies)

    shared = Retry(budget=0, max_attempts=2)
    assert retries_of(shared, shared) == ALWAYS
    assert retries_of(shared, Retry(budget=0, max_attempts=2)) == 2 * ALWAYS


def test_a_budget_is_one_for_all_runs_on_a_loop_and_every_virtual_loop_begins_anew():
    retry = Retry(budget=0, max_attempts=2)
    calls = []
    for runs in (1, 2):
        flakies = [Flaky(99) for _ in range(runs)]

        async def main(flakies=flakies):
            for flaky in flakies:
                await Hush(each(flaky.coroutine, 80, retry, width=80)).run()

        run_virtual(main)
        calls.append(sum(flaky.calls.total() for flaky in flakies))
    assert calls == [160, 160 + ALWAYS]


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_node_that_does_not_fail_makes_no_task_and_no_pass_for_its_retry():
    passes = []
    for retry in (None, Retry()):
        loop = VirtualLoop(shuffle=False)
        engine = Hush(one(Flaky(0).coroutine, retry))
        ended = play(loop, loop.create_task(engine.run()))
        assert ended.result() == {"y": 1}
        passes.append(loop.passes)
    assert passes[0] == passes[1]
