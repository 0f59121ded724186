"""`Retry(...)`: what it refuses at its line, which waits it names, and what its `on=` takes."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import CodeNode, GraphNode, Retry, UsageError
from hush.core._runtime._retry_budget import ALWAYS, PERIOD_S, RetryBudget, budget_of
from hush.testing import VirtualLoop


async def judge(error):
    return True


def judge_by_and_by(error):
    yield True


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        ({"max_attempts": 0}, "max_attempts=0.*from 1 on"),
        ({"max_attempts": 2.0}, "max_attempts=2.0.*whole number"),
        ({"max_attempts": True}, "max_attempts=True.*whole number"),
        ({"backoff_s": -1}, "backoff_s=-1.*seconds from 0 on"),
        ({"backoff_s": "1"}, "backoff_s='1'.*seconds"),
        ({"backoff_s": float("nan")}, "backoff_s=nan.*seconds"),
        ({"factor": 0.5}, "factor=0.5.*from 1 on"),
        ({"max_backoff_s": float("inf")}, "max_backoff_s=inf.*seconds"),
        ({"jitter": 0.5}, "jitter=0.5.*True or False"),
        ({"max_total_s": -1}, "max_total_s=-1.*or None for no bound"),
        ({"max_total_s": True}, "max_total_s=True"),
        ({"budget": -0.1}, "budget=-0.1.*fraction.*None for no bound"),
        ({"budget": "20%"}, "budget='20%'.*such as 0.2"),
        ({"on": 503}, "on=503.*class of exceptions"),
        ({"on": ()}, r"on=\(\).*class of exceptions"),
        ({"on": [ConnectionError]}, "a tuple of them"),
        ({"on": ConnectionError("no")}, "class of exceptions"),
        ({"on": int}, "class of exceptions"),
        ({"on": KeyboardInterrupt}, "only what is below Exception"),
        ({"on": (ValueError, asyncio.CancelledError)}, "only what is below Exception"),
        ({"on": judge}, "async function.*make it a def"),
        ({"on": judge_by_and_by}, "generator function.*make it a def"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_line(given_as, says):
    with pytest.raises(UsageError, match=says):
        Retry(**given_as)


@pytest.mark.parametrize(
    "given_as",
    [
        {"max_attempts": 1},
        {"backoff_s": 0, "factor": 1, "max_backoff_s": 0, "max_total_s": 0, "budget": 0},
        {"max_total_s": None, "budget": None},
        {"budget": 4},
        {"on": Exception},
        {"on": (ConnectionError, TimeoutError)},
        {"on": lambda error: "again" in str(error)},
    ],
)
def test_what_can_be_meant(given_as):
    made = Retry(**given_as)
    assert {name: getattr(made, name) for name in given_as} == given_as


def test_a_record_is_the_same_only_as_itself():
    """Nodes that share it share its budget, and no others."""
    one, other = Retry(), Retry()
    assert one != other
    assert len({one, other}) == 2
    with pytest.raises(AttributeError):
        one.max_attempts = 3


@pytest.mark.parametrize(
    ("given_as", "says"),
    [(True, r"write retry=Retry\(\)"), (3, r"write retry=Retry\(max_attempts=3\)"), (Retry, "Retry")],
)
def test_what_is_no_retry(given_as, says):
    with GraphNode(name="g"), pytest.raises(UsageError, match=says):
        CodeNode(name="n", code_fn=lambda: None, retry=given_as)


def test_the_longest_waits_grow_up_to_a_bound():
    retry = Retry(backoff_s=0.5, factor=3, max_backoff_s=10)
    assert [retry.longest_s(number) for number in range(1, 6)] == [0.5, 1.5, 4.5, 10, 10]
    assert Retry(factor=2, max_backoff_s=30).longest_s(10**6) == 30
    assert Retry(backoff_s=0).longest_s(10**6) == 0


@given(
    st.integers(1, 10**5),
    st.floats(0, 1e300),
    st.floats(1, 1e300),
    st.floats(0, 1e300),
)
def test_every_wait_is_within_its_bound(number, backoff_s, factor, max_backoff_s):
    retry = Retry(backoff_s=backoff_s, factor=factor, max_backoff_s=max_backoff_s)
    assert 0 <= retry.longest_s(number) <= max_backoff_s
    assert retry.longest_s(number) <= retry.longest_s(number + 1)


# --- on= --------------------------------------------------------------------------------------------------------------


def test_classes_take_what_is_below_them_and_groups_of_it():
    takes = Retry(on=(ConnectionError, KeyError)).rule()
    assert takes(ConnectionResetError())
    assert takes(ExceptionGroup("", [KeyError(), ExceptionGroup("", [BrokenPipeError()])]))
    assert not takes(ExceptionGroup("", [KeyError(), ValueError()]))
    assert not takes(TimeoutError())


def test_a_group_that_is_named_itself_is_taken_as_it_is():
    assert Retry(on=ExceptionGroup).rule()(ExceptionGroup("", [ValueError()]))


def test_without_it_there_is_no_rule():
    assert Retry().rule() is None


# --- the budget -------------------------------------------------------------------------------------------------------


def taken(budget, now_s, tries):
    return sum(budget.take(now_s) for _ in range(tries))


def test_some_retries_are_always_allowed():
    assert taken(RetryBudget(0.0), 5, 10 * ALWAYS) == ALWAYS


def test_beyond_them_they_are_a_fraction_of_the_calls():
    budget = RetryBudget(0.2)
    for _ in range(1000):
        budget.call(5)
    assert taken(budget, 5, 1000) == ALWAYS + 200


def test_what_is_older_than_a_period_counts_no_more():
    budget = RetryBudget(0.2)
    for _ in range(1000):
        budget.call(5)
    assert taken(budget, 5, 250) == 250
    assert taken(budget, 5 + PERIOD_S - 1, 1000) == ALWAYS + 200 - 250
    assert taken(budget, 5 + PERIOD_S, 1000) == ALWAYS - 50


def test_retries_that_helped_are_given_back():
    budget = RetryBudget(0.0)
    assert taken(budget, 5, 1000) == ALWAYS
    budget.give_back(6, [5.0, 5.5])
    assert taken(budget, 6, 1000) == 2


def test_retries_that_count_no_more_cannot_be_given_back():
    budget = RetryBudget(0.0)
    assert budget.take(5)
    budget.give_back(5 + PERIOD_S, [5.0])
    assert taken(budget, 5 + PERIOD_S, 1000) == ALWAYS


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 60), st.integers(0, 60))), st.floats(0, 2))
def test_in_no_period_there_are_more_than_allowed(passes, fraction):
    budget = RetryBudget(fraction)
    now_s, made = 100.0, []
    for gap_s, calls, retries in passes:
        now_s += gap_s
        for _ in range(calls):
            budget.call(now_s)
        made.append((int(now_s), calls, taken(budget, now_s, retries)))
        recent = [each for each in made if each[0] > int(now_s) - PERIOD_S]
        if made[-1][2]:
            assert sum(each[2] for each in recent) <= ALWAYS + fraction * sum(each[1] for each in recent)


def test_real_loops_share_it_and_those_of_tests_do_not():
    retry, loops = Retry(), [asyncio.SelectorEventLoop(), asyncio.SelectorEventLoop(), VirtualLoop(), VirtualLoop()]
    try:
        budgets = [budget_of(retry, loop) for loop in loops]
    finally:
        for loop in loops:
            loop.close()
    assert budgets[0] is budgets[1]
    assert len({id(budget) for budget in budgets}) == 3
    assert budget_of(Retry(budget=None), loops[0]) is None


def test_it_lives_no_longer_than_its_record():
    retry, loop = Retry(), VirtualLoop()
    loop.close()
    held = weakref.ref(retry)
    budget_of(retry, loop)
    del retry
    gc.collect()
    assert held() is None
