"""Who is admitted when: order, priority, several limits at once, closed gates, those who go away."""

from __future__ import annotations

import gc
import math
import random
import threading
import weakref

import pytest

from hush.core import Limit
from hush.core._admission._admission import PASSES
from hush.core._admission._limiter import End
from unit.admission.desk import Bell, Desk, is_in


@pytest.fixture
def desk():
    return Desk()


def test_as_many_as_allowed_go_at_once_and_the_next_when_one_ends(desk):
    limit = Limit(concurrency=2)
    a, b, c, d = [desk.ask(limit) for _ in range(4)]
    assert list(map(is_in, (a, b, c, d))) == [True, True, False, False]
    desk.end(b)
    assert list(map(is_in, (a, c, d))) == [True, True, False]
    desk.end(a)
    desk.end(c)
    assert (is_in(d), desk.in_use(limit), desk.waiting(limit)) == (True, 1, 0)
    assert desk.bell.woken == [c, d]


def test_two_limits_that_say_the_same_are_two(desk):
    assert is_in(desk.ask(Limit(concurrency=1)))
    assert is_in(desk.ask(Limit(concurrency=1)))


def test_a_limit_that_is_named_twice_is_taken_once(desk):
    limit = Limit(concurrency=1)
    ticket = desk.ask(limit, limit)
    assert is_in(ticket)
    desk.end(ticket)
    assert desk.in_use(limit) == 0


def test_who_has_a_higher_priority_goes_first_and_then_who_came_first(desk):
    limit = Limit(concurrency=1)
    running = desk.ask(limit)
    waiting = {name: desk.ask(limit, priority=p) for name, p in [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0)]}
    order = []
    while waiting:
        desk.end(running)
        (name,) = [name for name, each in waiting.items() if is_in(each)]
        order.append(name)
        running = waiting.pop(name)
    assert order == ["b", "d", "a", "e", "c"]


def test_a_late_comer_does_not_overtake_although_there_is_room_for_it(desk):
    """As long as the first wants more of it than there is."""
    limit = Limit(tokens_per_minute=100)
    desk.ask(limit, tokens=(60, None, None))
    large, small = desk.ask(limit, tokens=(50, None, None)), desk.ask(limit, tokens=(10, None, None))
    assert not is_in(large)
    assert not is_in(small)
    desk.go_to(62)
    assert is_in(large)
    assert is_in(small)


@pytest.mark.parametrize("seed", range(20))
def test_several_limits_are_taken_all_at_once_or_none_is(desk, seed):
    """Whoever waits holds nothing: the other limit stays free for others."""
    a, b = Limit(concurrency=1), Limit(concurrency=1)
    rng = random.Random(seed)
    first = desk.ask(a)
    both = desk.ask(*rng.sample([a, b], 2))
    assert not is_in(both)
    assert desk.in_use(b) == 0
    passing = desk.ask(b)
    assert is_in(passing)
    desk.end(first)
    assert not is_in(both)
    assert desk.in_use(a) == 0
    desk.end(passing)
    assert is_in(both)


def test_who_waits_for_two_limits_that_are_never_free_at_once_is_not_passed_for_ever(desk):
    a, b = Limit(concurrency=1), Limit(concurrency=1)
    running = {a: desk.ask(a), b: desk.ask(b)}
    both = desk.ask(a, b)
    passed = 0
    while not is_in(both):
        for limit in (a, b):
            waiting = desk.ask(limit)
            desk.end(running[limit])
            if is_in(waiting):
                running[limit] = waiting
                passed += 1
            else:
                desk.withdraw(waiting)
            assert passed <= PASSES, "it is passed for ever"
    assert passed == PASSES


def test_two_rates_that_are_never_free_at_once_do_not_starve_either(desk):
    a, b = Limit(per_second=1), Limit(per_second=1)
    desk.ask(a)
    desk.go_to(0.5)
    desk.ask(b)
    both = desk.ask(a, b)
    crowd = [desk.ask(limit) for limit in (a, b) * 100]
    desk.go_to(40)
    assert is_in(both)
    assert sum(map(is_in, crowd)) >= 2 * 35


def test_nothing_is_set_aside_for_who_waits_a_long_time(desk):
    """What it lacks comes at a time that is known: until then others may have the rest."""
    slow, quick = Limit(per_minute=1), Limit(concurrency=1)
    desk.end(desk.ask(slow))
    both = desk.ask(slow, quick)
    for number in range(5 * PASSES):
        desk.go_to(0.1 * number)
        passing = desk.ask(quick)
        assert is_in(passing), number
        desk.end(passing)
    desk.go_to(61.8)
    assert is_in(both)


def test_one_place_is_set_aside_and_not_all(desk):
    wide, narrow = Limit(concurrency=3), Limit(concurrency=1)
    running = desk.ask(narrow)
    both = desk.ask(wide, narrow)
    for _ in range(PASSES):
        desk.end(desk.ask(wide))
    assert [is_in(desk.ask(wide)) for _ in range(3)] == [True, True, False]
    desk.end(running)
    assert is_in(both)
    assert desk.in_use(wide) == 3


def test_nothing_is_set_aside_for_who_is_not_the_next(desk):
    a, b = Limit(concurrency=1), Limit(concurrency=1)
    desk.ask(a)
    before = desk.ask(a)
    both = desk.ask(a, b)
    for _ in range(3 * PASSES):
        passing = desk.ask(b)
        assert is_in(passing)
        desk.end(passing)
    assert not is_in(before)
    assert not is_in(both)


@pytest.mark.parametrize("alive", [True, False])
def test_what_is_set_aside_comes_free_in_time_though_the_loop_it_is_for_does_not_call(desk, alive):
    """That one may be closed with its calls still waiting, or at work on something else for long."""
    slow, quick = Limit(per_second=1), Limit(concurrency=1, per_second=100)
    desk.ask(slow)
    desk.go_to(0.5)
    elsewhere = Bell()
    elsewhere.alive = alive
    both = desk.ask(slow, quick, bell=elsewhere)
    for _ in range(PASSES):
        desk.end(desk.ask(quick))
    others = [desk.ask(quick) for _ in range(3)]
    assert desk.in_use(quick) == 0
    assert not any(map(is_in, others))
    desk.go_to(2)
    if alive:
        assert is_in(both)
        desk.end(both)
    assert is_in(others[0])


# ── Going away ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_gives_up_while_waiting_is_passed_over(desk):
    limit = Limit(concurrency=1)
    running, a, b = desk.ask(limit), desk.ask(limit), desk.ask(limit)
    desk.withdraw(a)
    desk.end(running)
    assert is_in(b)
    assert not is_in(a)


def test_who_gives_up_when_it_has_just_been_admitted_hands_on_its_place(desk):
    limit = Limit(concurrency=1)
    running, a, b = desk.ask(limit), desk.ask(limit), desk.ask(limit)
    desk.end(running)
    assert is_in(a)
    desk.withdraw(a)
    assert is_in(b)


@pytest.mark.parametrize(
    "limit", [Limit(per_second=1), Limit(per_minute=1, burst=1), Limit(tokens_per_minute=1)], ids=str
)
def test_a_call_that_was_never_made_has_not_started(desk, limit):
    first, second = desk.ask(limit, tokens=(1, None, None)), desk.ask(limit, tokens=(1, None, None))
    assert not is_in(second)
    desk.withdraw(first)
    assert is_in(second)


def test_giving_back_twice_counts_once(desk):
    limit = Limit(concurrency=1)
    running, a, b = desk.ask(limit), desk.ask(limit), desk.ask(limit)
    desk.end(running)
    desk.end(running)
    assert is_in(a)
    assert not is_in(b)


def test_those_of_a_loop_that_is_closed_are_dropped_and_hold_nothing(desk):
    limit = Limit(concurrency=1)
    running, dead = desk.ask(limit), Bell()
    lost = [desk.ask(limit, bell=dead) for _ in range(3)]
    last = desk.ask(limit)
    dead.alive = False
    desk.end(running)
    assert is_in(last)
    assert not any(map(is_in, lost))
    assert not dead.lanes


def test_thousands_that_give_up_leave_nothing(desk):
    limit = Limit(concurrency=1)
    running = desk.ask(limit)
    lane = running.lane
    last = desk.ask(limit)
    for _ in range(10_000):
        desk.withdraw(desk.ask(limit))
    assert len(lane._heap) < 50
    desk.end(running)
    assert is_in(last)


def test_a_call_may_end_while_this_very_thread_is_admitting(desk):
    """As when the garbage collector closes a coroutine in there: it must neither block nor be lost."""
    limit = Limit(concurrency=1)
    running = desk.ask(limit)
    a = desk.ask(limit)
    with desk.admission._lock:
        desk.end(running)
        assert not is_in(a)
    desk.ask(Limit(concurrency=1))
    assert is_in(a)


def test_the_state_of_a_limit_dies_with_it(desk):
    limit = Limit(concurrency=1)
    desk.end(desk.ask(limit))
    limiter = weakref.ref(desk.admission._limiter(limit))
    del limit
    gc.collect()
    assert limiter() is None


# ── Closed gates ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_retry_after_closes_the_limit_for_everybody(desk):
    limit, other = Limit(concurrency=3), Limit(concurrency=3)
    a, b = desk.ask(limit), desk.ask(limit)
    desk.end(a, End(failed=True, retry_after_s=10))
    c, free = desk.ask(limit), desk.ask(other)
    assert is_in(free)
    assert not is_in(c)
    desk.end(b, End(failed=True, retry_after_s=4))  # an earlier one does not shorten it
    desk.go_to(9.99)
    assert not is_in(c)
    assert "closed for 0.0 s more" in str(desk.admission.state(limit))
    desk.go_to(10)
    assert is_in(c)


def test_a_later_retry_after_extends_the_wait(desk):
    limit = Limit(concurrency=2)
    a, b = desk.ask(limit), desk.ask(limit)
    desk.end(a, End(failed=True, retry_after_s=5))
    c = desk.ask(limit)
    desk.go_to(3)
    desk.end(b, End(failed=True, retry_after_s=5))
    desk.go_to(7.9)
    assert not is_in(c)
    desk.go_to(8)
    assert is_in(c)


def test_being_overloaded_without_a_time_closes_nothing(desk):
    limit = Limit(concurrency=1)
    desk.end(desk.ask(limit), End(failed=True, overloaded=True))
    assert is_in(desk.ask(limit))


def test_retry_after_closes_all_limits_of_the_call(desk):
    a, b = Limit(concurrency=9), Limit(per_second=9)
    desk.end(desk.ask(a, b), End(failed=True, retry_after_s=5))
    assert not is_in(desk.ask(a))
    assert not is_in(desk.ask(b))


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_says_how_it_stands(desk):
    limit = Limit(concurrency=2, per_minute=3, name="crm")
    a, b, c = [desk.ask(limit) for _ in range(3)]
    state = desk.admission.state(limit)
    assert (state.waiting, state.in_use, state.most, state.next_s, state.closed_s) == (1, 2, 2, None, None)
    assert str(state) == "limit crm: 1 waiting, 2 of 2 in use, the next when a call ends"
    desk.end(a)
    desk.end(b)
    desk.end(c)
    desk.ask(limit)
    desk.go_to(20)
    state = desk.admission.state(limit)
    assert (state.waiting, state.in_use, state.next_s) == (1, 0, 40)
    assert str(state) == "limit crm: 1 waiting, 0 of 2 in use, the next in 40.0 s"
    assert desk.admission.state(Limit(concurrency=1)).next_s == 0


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_threads_share_a_limit():
    desk = Desk()
    limits = [Limit(concurrency=2), Limit(concurrency=3), Limit(concurrency=1)]
    lock = threading.Lock()
    inside, most, done = dict.fromkeys(limits, 0), dict.fromkeys(limits, 0), []

    class Wakes(Bell):
        def wake(self, ticket):
            ticket.future.set()
            return True

    def work(seed):
        rng = random.Random(seed)
        bell = Wakes()
        for _ in range(200):
            chosen = rng.sample(limits, rng.choice([1, 1, 2, 3]))
            lane = desk.admission.lane(chosen)
            ticket = desk.admission.enter(lane)
            if ticket is None:
                told = threading.Event()
                ticket = desk.admission.queue(lane, bell, told, priority=rng.choice([0, 1]))
                if rng.random() < 0.2:
                    desk.admission.give_back(ticket)
                    continue
                assert told.wait(20)
            with lock:
                for limit in chosen:
                    inside[limit] += 1
                    most[limit] = max(most[limit], inside[limit])
            with lock:
                for limit in chosen:
                    inside[limit] -= 1
            desk.end(ticket)
        done.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 8
    assert all(most[limit] <= limit.concurrency for limit in limits)
    assert [desk.in_use(limit) + desk.waiting(limit) for limit in limits] == [0, 0, 0]


def test_time_does_not_stand_still_for_those_that_nobody_armed(desk):
    """A timer is asked for exactly where only time is lacking."""
    limit = Limit(concurrency=1, per_second=1)
    running = desk.ask(limit)
    waiting = desk.ask(limit)
    assert desk.bell.at_s == math.inf  # a call must end first
    desk.end(running)
    assert desk.bell.at_s == 1
    desk.go_to(1)
    assert is_in(waiting)
