"""Tokens a minute under ``concurrency="auto"``: refusals that the tokens account for say nothing of the level.

Nor does what started before, when there was little to do, or when there were few tokens left.
"""

from __future__ import annotations

import pytest

from hush.core import Limit
from hush.core._admission._adaptive import Adaptive
from hush.core._admission._level import DOUBLING, PACED
from hush.core._admission._limiter import End
from kit.token_play import played
from unit.admission.desk import Desk, is_in

REFUSED = End(failed=True, overloaded=True, retry_after_s=0.1)
ENOUGH = 0.95
"""Of the allowance is used, and of it"""
FEW = 0.005
"""of the calls are refused, at most."""


def check(many):
    many = list(many)
    assert min(each.used for each in many) >= ENOUGH
    assert min(each.pace for each in many) >= ENOUGH
    assert sum(each.refused for each in many) <= FEW * sum(each.calls for each in many)


@pytest.mark.parametrize(("tpm", "seeds"), [(100_000, range(12, 37)), (200_000, range(30, 40))])
def test_with_estimates_that_are_right_on_average_the_allowance_is_used(tpm, seeds):
    """Calls that took more than expected make a refusal in some runs, and were taken for too high a level."""
    check(played(seed, tpm) for seed in seeds)


@pytest.mark.nightly
@pytest.mark.parametrize("most_answered", [None, 500])
@pytest.mark.parametrize("tpm", [100_000, 200_000, 400_000, 2_000_000])
def test_with_many_seeds(tpm, most_answered):
    estimate = {} if most_answered is None else {"estimate": lambda sent: (sent, most_answered)}
    seeds = range(1000, 1000 + min(250, 40_000_000 // tpm))
    check(played(seed, tpm, most_answered=most_answered, **estimate) for seed in seeds)


class Model:
    """A limit of 1,000 tokens a minute, of which calls took 10 each, up to four at a time; then 930 are used."""

    def __init__(self):
        self.desk, self.limit = Desk(), Limit(tokens_per_minute=1000, concurrency="auto")
        self.adaptive = self.desk.admission._limiter(self.limit).adaptive
        for _ in range(10):
            self.serve(*(self.ask(10) for _ in range(4)))
        self.desk.now_s = 30.0
        self.serve(self.ask(530))
        self.desk.now_s = 50.0

    def ask(self, tokens):
        ticket = self.desk.ask(self.limit, tokens=(tokens, tokens, 0))
        while not is_in(ticket):
            self.desk.go_to(self.desk.bell.at_s)
        return ticket

    def serve(self, *tickets):
        for ticket in tickets:
            self.desk.now_s += 0.1
            self.desk.end(ticket)

    def refuse(self, tokens):
        """A call is refused; whether that was too much at once, as far as the controller was told."""
        before = self.adaptive.episodes
        self.desk.now_s += 0.2
        self.desk.end(self.ask(tokens), REFUSED)
        return self.adaptive.episodes > before


def test_a_refusal_while_the_tokens_are_all_but_used_up_is_no_overload():
    model = Model()
    level = model.adaptive.level
    assert not model.refuse(60)
    assert (model.adaptive.mode, model.adaptive.level) == (DOUBLING, level)
    assert model.adaptive.in_flight == 0


def test_it_is_one_if_there_were_tokens_enough():
    model = Model()
    assert model.refuse(20)  # 930 + 20, and as much again if it took twice as many
    assert model.adaptive.mode == PACED


def test_it_is_one_if_the_call_waited_for_the_level():
    model = Model()
    under_way = [model.ask(1) for _ in range(int(model.adaptive.level) - 1)]
    assert model.refuse(50)
    model.serve(*under_way)


def test_it_is_one_if_more_were_in_flight_than_were_ever_served():
    model = Model()
    assert model.adaptive.level > 5
    under_way = [model.ask(1) for _ in range(4)]
    assert model.refuse(50)
    model.serve(*under_way)


def test_so_many_refusals_are_put_down_to_the_tokens_and_no_more():
    model = Model()
    for tokens in (36, 18, 9, 5):
        assert not model.refuse(tokens)
    assert model.refuse(2)


def test_for_each_hundred_calls_that_are_served_it_is_one_more():
    model = Model()
    for tokens in (36, 18, 9, 5):
        model.refuse(tokens)
    for _ in range(100):
        model.serve(model.ask(0))
    model.desk.now_s = 200.0
    model.serve(model.ask(970))
    assert not model.refuse(20)
    assert model.refuse(10)


def test_nothing_is_expected_of_calls_any_more_however_they_ended():
    desk, limit = Desk(), Limit(tokens_per_minute=1000)
    window = desk.admission._limiter(limit)._counters[0].window
    answered, refused, withdrawn, late, never_ended = [desk.ask(limit, tokens=(100, 100, 0)) for _ in range(5)]
    assert window._open == 500
    desk.end(answered, End((700, 700, 0)))
    desk.end(refused, REFUSED)
    desk.withdraw(withdrawn)
    assert window._open == 200
    desk.now_s = 200.0  # both have left the minute
    desk.ask(limit, tokens=(50, 50, 0))
    assert window._open == 50
    desk.end(late, End((300, 300, 0)))
    desk.withdraw(never_ended)
    assert window._open == 50


def test_a_probe_that_was_never_made_opens_no_gate():
    adaptive = Adaptive(start=16)
    for call in [adaptive.started(number / 100) for number in range(12)]:
        adaptive.ended(call, 0.2, overloaded=True, retry_after_s=None)
    assert adaptive.closed
    at_s = adaptive.admit_at_s(0.2, 0)
    assert at_s > 0.2
    adaptive.withdrawn(adaptive.started(at_s))
    assert adaptive.closed
    assert adaptive.in_flight == 0
    assert adaptive.admit_at_s(at_s, 0) <= at_s  # another takes its place


@pytest.mark.parametrize("clock_s", [0.0, 2.0**20])
def test_after_a_time_without_calls_a_cut_goes_by_what_was_served_before(clock_s):
    """Whatever the clock says at the first call: a monotonic one begins when the machine does."""
    adaptive = Adaptive()
    for number in range(20):
        call = adaptive.started(clock_s + number / 2)
        adaptive.ended(call, clock_s + number / 2 + 0.25, overloaded=False, retry_after_s=None)
    call = adaptive.started(clock_s + 15)
    adaptive.ended(call, clock_s + 15.1, overloaded=True, retry_after_s=1.0)
    assert adaptive.mode == PACED
    assert 0.9 * 20 / 15 <= adaptive.per_s <= 20 / 15
