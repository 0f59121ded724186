"""Admission under anything that may happen in any order, beside a model that keeps nothing but a list of calls."""

from __future__ import annotations

import math
import random
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from hush.core import Limit
from hush.core._admission._lane import ADMITTED, WAITING
from hush.core._admission._limiter import WELL, End
from unit.admission.desk import Bell, Desk

ONE, TWO = Limit(concurrency=1, name="one"), Limit(concurrency=2, name="two")
RATE, PACED = Limit(per_second=3, name="rate"), Limit(concurrency=3, per_second=4, burst=2, name="paced")
TOKENS = Limit(tokens_per_minute=100, name="tokens")
BOTH = Limit(concurrency=1, per_second=2, name="both")  # one at a time, and even so not all that could be
LIMITS = (ONE, TWO, RATE, PACED, TOKENS, BOTH)


GIVEN_UP = []


class Call:
    """What the model knows of one call."""

    def __init__(self, number, limits, priority, tokens, ticket, bell):
        self.number, self.limits, self.priority, self.tokens = number, limits, priority, tokens
        self.ticket, self.bell = ticket, bell
        self.order = -priority, number
        self.refunded = self.seen = False

    def waits(self):
        return self.ticket.state == WAITING

    def runs(self):
        return self.ticket.state == ADMITTED


class Machine(RuleBasedStateMachine):
    """Asks, ends, gives up, lets time pass, closes gates and loops."""

    def __init__(self):
        super().__init__()
        self.desk = Desk()
        self.calls = []
        self.numbers = count()
        self.gates = dict.fromkeys(LIMITS, -math.inf)
        self.dead = []

    def _some(self, number, condition):
        found = [call for call in self.calls if condition(call)]
        return found[number % len(found)] if found else None

    @rule(
        several=st.lists(
            st.tuples(
                st.lists(st.sampled_from(LIMITS), min_size=1, max_size=3, unique=True),
                st.sampled_from([0, 0, 0, 1, -1]),
                st.integers(0, 130),
                st.booleans(),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def ask(self, several):
        for limits, priority, tokens, own_loop in several:
            bell = Bell() if own_loop else self.desk.bell
            ticket = self.desk.ask(*limits, priority=priority, tokens=(tokens, None, None), bell=bell)
            in_order = tuple(limit for limit in LIMITS if limit in limits)  # a set's order is another in each process
            self.calls.append(Call(next(self.numbers), in_order, priority, tokens, ticket, bell))
            self.nobody_overtakes_and_nobody_comes_in_through_a_closed_gate()

    @rule(number=st.integers(0, 99), after_s=st.sampled_from([None, None, None, 0.3, 2.0]))
    def end(self, number, after_s):
        call = self._some(number, Call.runs)
        if call is not None:
            if after_s is not None:
                for limit in call.limits:
                    self.gates[limit] = max(self.gates[limit], self.desk.now_s + after_s)
            self.desk.end(call.ticket, WELL if after_s is None else End(failed=True, retry_after_s=after_s))

    @rule(numbers=st.lists(st.integers(0, 99), min_size=1, max_size=4))
    def give_up(self, numbers):
        """Those who wait, or were admitted and have not begun."""
        for number in numbers:
            call = self._some(number, lambda call: call.waits() or (call.runs() and not call.ticket.begun))
            if call is not None:
                call.refunded = call.runs()
                self.desk.withdraw(call.ticket)
                GIVEN_UP.append(call.number)

    @rule(number=st.integers(0, 99))
    def begin(self, number):
        call = self._some(number, Call.runs)
        if call is not None:
            call.ticket.begun = True

    @rule(seconds=st.sampled_from([0.01, 0.25, 0.33, 1.0, 1.03, 7.0, 61.8]))
    def let_time_pass(self, seconds):
        self._pass(seconds)

    @precondition(lambda self: any(call.bell is not self.desk.bell and call.waits() for call in self.calls))
    @rule(number=st.integers(0, 99))
    def close_a_loop(self, number):
        call = self._some(number, lambda call: call.bell is not self.desk.bell and call.waits())
        call.bell.alive = False
        self.dead.append(call)

    def _bells(self):
        """In order, since of those that ring at the same time the first comes first."""
        return dict.fromkeys([self.desk.bell, *(call.bell for call in self.calls if call.waits() and call.bell.alive)])

    def _pass(self, seconds):
        """Each loop's timer rings at its time, and never two at once."""
        until_s = self.desk.now_s + seconds
        while True:
            bell = min(self._bells(), key=lambda bell: bell.at_s)
            if bell.at_s > until_s:
                break
            self.desk.now_s, bell.at_s = max(self.desk.now_s, bell.at_s), math.inf
            self.desk.admission.tick(bell)
            if all(each.at_s > self.desk.now_s for each in self._bells()):
                self.nobody_waits_for_nothing()
        self.desk.now_s = until_s

    # ── What always holds ────────────────────────────────────────────────────────────────────────────────────────────
    def _running(self, limit):
        return [call for call in self.calls if limit in call.limits and call.runs()]

    def _started(self, limit):
        """Those that have started under it: they were admitted, and called."""
        return [
            call
            for call in self.calls
            if limit in call.limits and (call.runs() or call.ticket.begun) and not call.refunded
        ]

    @invariant()
    def never_more_at_once(self):
        oldest_s = self.desk.now_s - 61
        self.calls = [
            call
            for call in self.calls
            if call.waits() or call.runs() or (call.ticket.begun and call.ticket.admitted_s > oldest_s)
        ]
        for limit in LIMITS:
            count = len(self._running(limit))
            assert count == self.desk.in_use(limit), f"lost or found: {limit}"
            assert limit.concurrency is None or count <= limit.concurrency

    @invariant()
    def never_more_in_a_window(self):
        for limit in (RATE, PACED, BOTH):
            starts = sorted(call.ticket.admitted_s for call in self._started(limit))
            for first, last in zip(starts, starts[int(limit.per_second) :], strict=False):
                assert last - first >= 1 - 1e-9
            if limit.burst:
                for first, last in zip(starts, starts[limit.burst :], strict=False):
                    assert last - first >= 1 / limit.per_second - 1e-9
        now_s = self.desk.now_s
        recent = [call.tokens for call in self._started(TOKENS) if call.ticket.admitted_s > now_s - 60]
        assert sum(recent) <= 100 or sum(1 for tokens in recent if tokens) == 1

    @invariant()
    def nobody_overtakes_and_nobody_comes_in_through_a_closed_gate(self):
        for call in self.calls:
            if call.runs() and not call.seen:
                call.seen = True
                assert all(self.gates[limit] <= call.ticket.admitted_s for limit in call.limits)
                for other in self.calls:
                    assert not (other.waits() and other.limits == call.limits and other.order < call.order)

    @invariant()
    def nobody_waits_for_nothing(self):
        """The first of all, and whoever shares no limit with one before it, waits only for what it really lacks."""
        waiting = sorted((call for call in self.calls if call.waits()), key=lambda call: call.order)
        before = set()
        for call in waiting:
            if call.bell.alive and before.isdisjoint(call.limits):
                assert self._lacks(call), f"{call.limits} waits for nothing"
            before.update(call.limits)

    def _lacks(self, call):
        now_s = self.desk.now_s
        for limit in call.limits:
            until_s = self.desk.admission._limiter(limit).until_s(call.ticket.tokens, now_s)
            if until_s > now_s:
                if until_s < math.inf:
                    assert call.bell.at_s < math.inf or self._waits_for_a_call(call), "nobody will ring for it"
                return True
        return False

    def _waits_for_a_call(self, call):
        return any(
            limit.concurrency is not None and len(self._running(limit)) >= limit.concurrency for limit in call.limits
        )

    def teardown(self):
        """All that wait are admitted in the end, and nothing stays behind."""
        for _ in range(10 * len(self.calls) + 10):
            for call in self.calls:
                if call.runs():
                    self.desk.end(call.ticket)
            if not any(call.runs() or (call.waits() and call.bell.alive) for call in self.calls):
                break
            self._pass(70)
        assert not [call.order for call in self.calls if call.waits() and call.bell.alive], "it waits for ever"
        for call in self.dead:
            self.desk.withdraw(call.ticket)
        for limit in LIMITS:
            assert self.desk.in_use(limit) == self.desk.waiting(limit) == 0
            assert not self.desk.admission._limiter(limit).lanes
            assert not self.desk.admission._limiter(limit).held


def hard(examples, steps):
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def walk(seed, steps):
    """The same machine driven by a random number generator: hypothesis asks for few cancellations in a row."""
    rng, machine = random.Random(f"walk {seed}"), Machine()
    for _ in range(steps):
        kind = rng.choice(["ask", "ask", "end", "end", "give up", "give up", "begin", "time", "loop"])
        number = rng.randrange(100)
        if kind == "ask":
            machine.ask(
                [
                    (
                        rng.sample(LIMITS, rng.choice([1, 1, 2, 3])),
                        rng.choice([0, 0, 0, 1, -1]),
                        rng.randint(0, 130),
                        rng.random() < 0.5,
                    )
                    for _ in range(rng.randint(1, 8))
                ]
            )
        elif kind == "end":
            machine.end(number, rng.choice([None, None, None, 0.3, 2.0]))
        elif kind == "give up":
            machine.give_up([rng.randrange(100) for _ in range(rng.randint(1, 5))])
        elif kind == "begin":
            machine.begin(number)
        elif kind == "time":
            machine.let_time_pass(rng.choice([0.01, 0.25, 0.33, 1.0, 1.03, 7.0, 61.8]))
        elif any(call.bell is not machine.desk.bell and call.waits() for call in machine.calls):
            machine.close_a_loop(number)
        machine.never_more_at_once()
        machine.never_more_in_a_window()
        machine.nobody_overtakes_and_nobody_comes_in_through_a_closed_gate()
        machine.nobody_waits_for_nothing()
    machine.teardown()


def test_whatever_is_asked_ended_and_given_up_in_any_order():
    hard(100, 30)


def test_thousands_give_up_at_random_and_no_place_is_lost():
    GIVEN_UP.clear()
    for seed in range(60):
        walk(seed, 150)
    assert len(GIVEN_UP) > 4000


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_whatever_is_asked_ended_and_given_up_in_any_order_for_long():
    hard(3000, 60)
    for seed in range(2000):
        walk(seed, 200)
