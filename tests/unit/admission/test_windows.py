"""Rates: never more than allowed in any window, seen from here and from a server, and nearly all of it used."""

from __future__ import annotations

import copy
import heapq
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Limit
from hush.core._admission._limiter import WELL, End
from hush.core._admission._window import SLACK, Window
from kit.tiers import by_day
from unit.admission.desk import Desk, is_in


def most_in_a_window(times, period_s):
    """The largest number of ``times`` in any half-open window."""
    times, most, first = sorted(times), 0, 0
    for last, at_s in enumerate(times):
        while times[first] <= at_s - period_s + 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


def played(limit, durations, desk=None):
    """Calls of these lengths, all asked for at once; when each started and when it ended."""
    desk = desk or Desk()
    asked = [desk.ask(limit) for _ in durations]
    desk.bell.woken = [each for each in asked if is_in(each)]
    waiting, lengths = len(asked), iter(durations)
    running, calls = [], []

    def look():
        nonlocal waiting
        woken, desk.bell.woken = desk.bell.woken, []
        for ticket in woken:
            assert is_in(ticket)
            waiting -= 1
            ticket.begun = True
            length_s = next(lengths)
            running.append((desk.now_s + length_s, ticket))
            calls.append((ticket.admitted_s, length_s))

    look()
    while waiting or running:
        next_s = min([desk.bell.at_s, *(at_s for at_s, _ in running)])
        assert next_s < math.inf, "nobody would ever call those who wait"
        desk.go_to(next_s, look)
        for at_s, ticket in sorted(running, key=lambda each: each[0]):
            if at_s <= desk.now_s:
                running.remove((at_s, ticket))
                desk.end(ticket)
        look()
    return calls


def windows_of(limit):
    """How many may start in how many seconds. A rate that is no whole number lets one start at a time."""
    rates = [(rate, period_s) for rate, period_s in ((limit.per_second, 1), (limit.per_minute, 60)) if rate]
    return [(rate, period_s) if rate == int(rate) else (1, period_s / rate) for rate, period_s in rates]


def earliest(limit, count):
    """When calls could start at the earliest."""
    starts = []
    interval_s = max(period_s / most for most, period_s in windows_of(limit))
    for number in range(count):
        after = [starts[number - most] + period_s for most, period_s in windows_of(limit) if number >= most]
        if limit.burst:
            after.append((number - limit.burst + 1) * interval_s)
        starts.append(max(after, default=0))
    return starts


RATES = [
    Limit(per_second=5),
    Limit(per_second=1),
    Limit(per_minute=60),
    Limit(per_second=4, per_minute=90),
    Limit(per_second=0.5),
    Limit(per_second=2.5),
    Limit(per_minute=100, burst=3),
    Limit(per_second=10, burst=1),
]


@pytest.mark.parametrize("limit", RATES, ids=str)
@pytest.mark.parametrize("longest_s", [0, 0.02, 1, 90])
def test_no_window_has_more_starts_than_allowed_and_nearly_all_are_used(limit, longest_s):
    rng = random.Random(f"{limit} {longest_s}")
    calls = played(limit, [rng.random() * longest_s for _ in range(400)])
    starts = [start_s for start_s, _ in calls]
    assert len(starts) == 400
    for most, period_s in windows_of(limit):
        assert most_in_a_window(starts, period_s) <= most
    assert max(starts) <= max(earliest(limit, 400)) / 0.95


@pytest.mark.parametrize("limit", [Limit(per_second=5), Limit(per_minute=60), Limit(per_minute=60, burst=7)], ids=str)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_server_that_counts_arrivals_never_sees_more(limit, data):
    """Calls that are shorter than 3 % of the window arrive at any time between their start and their end."""
    rate, period_s = (limit.per_second, 1.0) if limit.per_second else (limit.per_minute, 60.0)
    seed = data.draw(st.integers(0, 10**6))
    rng = random.Random(seed)
    kinds = [0.0, SLACK * period_s / 2, SLACK * period_s]
    calls = played(limit, [rng.choice(kinds) * rng.choice([1, rng.random()]) for _ in range(4 * int(rate))])
    arrivals = [start_s + length_s * rng.choice([0, 1, rng.random()]) for start_s, length_s in calls]
    assert most_in_a_window(arrivals, period_s) <= rate


def test_without_a_burst_all_of_a_window_may_go_at_once_and_with_one_they_are_paced():
    at_once = [start_s for start_s, _ in played(Limit(per_minute=60), [0] * 61)]
    assert at_once == [0] * 60 + [60]
    paced = [start_s for start_s, _ in played(Limit(per_minute=60, burst=2), [0] * 6)]
    assert paced == [0, 0, 1, 2, 3, 4]


def test_half_a_start_in_a_second_is_one_in_two():
    assert [start_s for start_s, _ in played(Limit(per_second=0.5), [0] * 4)] == [0, 2, 4, 6]


def test_a_call_that_is_under_way_when_its_window_is_over_leaves_it_late():
    limit = Limit(per_second=1)
    # The first stays by all of its 0.4 s, since what is usual was not known then. The third would have been answered
    # by then as the second was: what is left of the credit, and a little refilled.
    starts = [start_s for start_s, _ in played(limit, [0.4, 0.01, 9, 0])]
    assert starts[:3] == pytest.approx([0, 1.4, 2.41])
    assert starts[3] == pytest.approx(2.41 + 1.03 + 0.5 - 0.37 + 0.025, abs=0.015)


def test_what_was_paid_for_lateness_in_one_window_makes_nobody_wait_in_the_next():
    # The third is late by 0.3 s, and nearly all that is left of the credit goes for it. The fourth is under way for
    # long: only what has been refilled since keeps it in its window, though that much had been paid when it started.
    starts = [start_s for start_s, _ in played(Limit(per_second=1), [0.4, 0.01, 0.3, 9, 0])]
    assert starts[3] == pytest.approx(2.41 + 1.03 + 0.13 + 0.015, abs=0.01)
    assert starts[4] == pytest.approx(starts[3] + 1.03 + 0.01, abs=0.005)


@pytest.mark.parametrize("period_s", [1.0, 60.0])
@pytest.mark.parametrize("longest", [0.1, 0.7, 3])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_nothing_fits_before_the_time_that_is_told(period_s, longest, seed):
    """Whoever waits is called then and not before: what fitted earlier would wait for nothing."""
    rng = random.Random(seed)
    window, now_s, ends = Window(100, period_s), 0.0, []
    for _ in range(40):
        amount = rng.choice([1, 10, rng.randint(1, 100), 130])
        while (at_s := window.until_s(amount, now_s)) > now_s:
            next_s = min(at_s, ends[0][0] if ends else at_s)
            for share in (0.3, 0.8, 0.99):
                looked_s = now_s + share * (next_s - now_s)
                assert copy.deepcopy(window).until_s(amount, looked_s) > looked_s or looked_s in (now_s, next_s)
            now_s = next_s
            while ends and ends[0][0] <= now_s:
                _, _, entry = heapq.heappop(ends)
                window.end(entry, now_s, entry.amount, failed=rng.random() < 0.1)
        length_s = longest * period_s * rng.random()
        heapq.heappush(ends, (now_s + length_s, rng.random(), window.enter(amount, now_s)))


@pytest.mark.parametrize("service_s", [0.004, 0.05, 0.1])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_server_never_sees_more_though_connections_have_to_be_opened_first(service_s, seed):
    """Each of the first calls is on its way for up to 0.2 s longer than those after it, and so is one more later."""
    rng = random.Random(seed)
    lates = [rng.random() * 0.2 for _ in range(20)] + [rng.random() * 0.001 for _ in range(60)]
    lates[rng.randrange(40, 80)] = 0.2
    calls = played(Limit(per_second=20), [late_s + service_s for late_s in lates])
    arrivals = [start_s + late_s for (start_s, _), late_s in zip(calls, lates, strict=True)]
    assert most_in_a_window(arrivals, 1.0) <= 20
    assert calls[-1][0] <= 3 * 1.03 + 0.5


@pytest.mark.parametrize("longest_s", [0.3, 0.9, 3])
def test_answers_now_short_now_long_cost_half_a_second_and_one_percent(longest_s):
    rng = random.Random(longest_s)
    calls = played(Limit(per_second=20), [rng.random() * longest_s for _ in range(2000)])
    assert calls[-1][0] <= 99 * 1.041 + 0.5 + 0.3


def test_where_lateness_cannot_be_made_up_for_what_starts_at_once_is_spread():
    """Nothing has ended when the first window is over: the next does not start in one instant."""
    starts = [start_s for start_s, _ in played(Limit(per_second=20), [5] * 40)]
    assert starts[:20] == [0] * 20
    assert starts[20:] == pytest.approx([1.03, *[1.03 + 0.3 * number / 20 for number in range(1, 20)]])


def test_a_call_counts_from_when_it_is_made():
    """It was admitted while its loop had something else to do: it cannot have arrived before it was made."""
    desk, limit = Desk(), Limit(per_second=1)
    first, second, third = [desk.ask(limit) for _ in range(3)]
    desk.end(first)
    desk.go_to(1.0)
    assert is_in(second)
    desk.go_to(1.7)
    desk.admission.begin(second)
    desk.end(second)
    desk.go_to(2.6)
    assert not is_in(third)
    desk.go_to(2.7)
    assert is_in(third)


# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def total(tokens):
    return tokens, None, None


def told(tokens):
    return End(tokens=total(tokens))


def test_an_estimate_is_reserved_and_corrected_by_the_reply():
    desk, limit = Desk(), Limit(tokens_per_minute=1000)
    a = desk.ask(limit, tokens=total(600))
    b = desk.ask(limit, tokens=total(600))
    assert is_in(a)
    assert not is_in(b)
    desk.end(a, told(300))
    assert is_in(b)
    desk.end(b, told(900))  # more than there was: the next waits until enough has left
    c = desk.ask(limit, tokens=total(100))
    desk.go_to(59.9)
    assert not is_in(c)
    desk.go_to(60)
    assert is_in(c)


def test_more_than_a_whole_limit_is_admitted_when_nothing_else_is_there():
    desk, limit = Desk(), Limit(tokens_per_minute=100)
    small = desk.ask(limit, tokens=total(1))
    large, after = desk.ask(limit, tokens=total(500)), desk.ask(limit, tokens=total(1))
    desk.end(small)
    assert not is_in(large)
    desk.go_to(60)
    assert is_in(large)
    assert not is_in(after)
    desk.go_to(122)
    assert is_in(after)


def test_without_an_estimate_the_first_goes_alone_and_says_what_the_others_take():
    desk, limit = Desk(), Limit(tokens_per_minute=1000)
    tickets = [desk.ask(limit) for _ in range(20)]
    assert sum(map(is_in, tickets)) == 1
    desk.end(tickets[0], told(100))
    assert sum(map(is_in, tickets)) == 9
    assert desk.in_use(limit) == 9


def test_replies_that_do_not_say_what_they_took_hold_nobody_up():
    desk, limit = Desk(), Limit(tokens_per_minute=1000)
    tickets = [desk.ask(limit) for _ in range(20)]
    desk.end(tickets[0], End(failed=True))
    assert sum(map(is_in, tickets)) == 1  # a failure says nothing
    desk.end(tickets[1], WELL)
    assert all(map(is_in, tickets[2:]))


def test_what_failed_keeps_what_it_reserved():
    desk, limit = Desk(), Limit(tokens_per_minute=100)
    desk.end(desk.ask(limit, tokens=total(100)), End(failed=True))
    assert not is_in(desk.ask(limit, tokens=total(1)))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_reserved_tokens_never_exceed_the_limit_in_any_window(seed):
    """Where estimates are not too low; and input and output are counted apart."""
    rng = random.Random(seed)
    desk, limit = Desk(), Limit(input_tokens_per_minute=1000, output_tokens_per_minute=300)
    asked = [(rng.randint(1, 400), rng.randint(1, 200)) for _ in range(60)]
    waiting = [(desk.ask(limit, tokens=(None, *each)), each) for each in asked]
    taken = []

    def look():
        for one in [each for each in waiting if is_in(each[0])]:
            waiting.remove(one)
            ticket, (given_tokens, answered) = one
            real = rng.randint(0, given_tokens), rng.randint(0, answered)
            taken.append((ticket.admitted_s, real))
            desk.end(ticket, End(tokens=(None, *real)))

    look()
    while waiting:
        desk.go_to(desk.bell.at_s, look)
        look()
    for at_s, _ in taken:
        window = [real for start_s, real in taken if at_s - 60 + 1e-6 < start_s <= at_s]
        assert sum(each[0] for each in window) <= 1000
        assert sum(each[1] for each in window) <= 300


def test_a_call_that_is_taken_back_late_gives_a_pace_no_more_than_it_had():
    """By then what it took has been refilled: it must not come back a second time."""
    desk, limit = Desk(), Limit(per_second=4, burst=2)
    never_made = desk.ask(limit)
    desk.go_to(5)
    assert is_in(desk.ask(limit))
    desk.withdraw(never_made)
    assert [is_in(desk.ask(limit)) for _ in range(2)] == [True, False]


def test_a_call_that_is_taken_back_after_others_started_makes_room_for_none_too_many():
    desk, limit = Desk(), Limit(per_second=4, burst=2)
    never_made = desk.ask(limit)
    desk.go_to(0.1)
    waiting = [desk.ask(limit) for _ in range(4)]
    desk.go_to(0.2)
    desk.withdraw(never_made)
    desk.go_to(3)
    assert all(map(is_in, waiting))
    starts = [ticket.admitted_s for ticket in waiting]
    assert all(later - first >= 0.25 - 1e-9 for first, later in zip(starts, starts[2:], strict=False))


# ── Looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Looker(Desk):
    """Somebody looks at a limit all the time."""

    def __init__(self, limit):
        super().__init__()
        self.limit, self.looked = limit, 0

    def go_to(self, at_s, each=lambda: None):
        rng = random.Random(at_s)
        for look_s in sorted(rng.uniform(self.now_s, at_s) for _ in range(3)):
            super().go_to(look_s, each)
            self.look()
        super().go_to(at_s, each)
        self.look()

    def ask(self, *limits, **options):
        self.look()
        return super().ask(*limits, **options)

    def look(self):
        self.looked += 1
        self.admission.state(self.limit)


def pauses(limit, desk, seed):
    """Starts of calls that are asked for now and then, of which some are answered late, and some wait."""
    rng = random.Random(seed)
    calls, running = [], []
    for _ in range(300):
        calls.append(desk.ask(limit, tokens=(rng.randint(1, 40), None, None)))
        running.append((desk.now_s + rng.choice([0.01, 0.05, 0.4, 2.0]), calls[-1]))
        desk.go_to(desk.now_s + rng.choice([0.0, 0.0, 0.02, 0.3, 1.1]))
        for ends_s, ticket in list(running):
            if ends_s <= desk.now_s and is_in(ticket):
                running.remove((ends_s, ticket))
                desk.end(ticket, WELL if rng.random() < 0.9 else End(failed=True))
    return [ticket.admitted_s for ticket in calls if is_in(ticket) or ticket.begun]


LOOKED_AT = [*RATES, Limit(per_second=3, concurrency=2), Limit(per_second=50), Limit(tokens_per_minute=500)]


@pytest.mark.parametrize("limit", LOOKED_AT, ids=str)
def test_who_looks_at_a_limit_delays_nothing(limit):
    looker = Looker(limit)
    lengths = [random.Random(seed).choice([0.01, 0.03, 0.2, 1.5]) for seed in range(200)]
    assert played(limit, lengths, looker) == played(limit, lengths)
    assert looker.looked > 100


@pytest.mark.parametrize("seed", by_day(range(5), 0, 1))
@pytest.mark.parametrize("limit", LOOKED_AT, ids=str)
def test_who_looks_at_a_limit_now_and_then_delays_nothing_either(limit, seed):
    looker = Looker(limit)
    assert pauses(limit, looker, seed) == pauses(limit, Desk(), seed)
    assert looker.looked > 300
