"""Refusals in a row close the gate of a limit of a fixed size; single calls try whether they are over."""

from __future__ import annotations

import pytest

from hush.core import Limit
from hush.core._admission._limiter import BROKEN, End
from hush.core._admission._outage import GAP_MOST_S, IN_A_ROW, LONGEST_S
from unit.admission.desk import Desk, is_in

REFUSED = End(failed=True, overloaded=True)


def shut(width=10):
    """A desk whose limit has just been closed by refusals, those who wait there, and the limit."""
    desk, limit = Desk(), Limit(concurrency=width)
    first = [desk.ask(limit) for _ in range(width)]
    waiting = [desk.ask(limit) for _ in range(400)]
    for ticket in first:
        desk.end(ticket, REFUSED)
    return desk, waiting, limit, width


def begun(desk, waiting):
    found = [ticket for ticket in waiting if is_in(ticket)]
    for ticket in found:
        waiting.remove(ticket)
    return found


def test_single_calls_try_it_further_and_further_apart():
    desk, waiting, _, _ = shut()
    begun(desk, waiting)  # those who were let in before the row was long enough
    times = []

    def look():
        for ticket in begun(desk, waiting):
            times.append(desk.now_s)
            desk.end(ticket, REFUSED)

    desk.go_to(9, look)
    gaps = [after - before for before, after in zip([0, *times], times, strict=False)]
    assert gaps[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert gaps[5:] == pytest.approx([GAP_MOST_S] * len(gaps[5:]))


def test_one_that_is_served_opens_it_for_all():
    desk, waiting, limit, width = shut()
    for ticket in begun(desk, waiting):
        desk.end(ticket, REFUSED)
    desk.go_to(0.1)
    (probe,) = begun(desk, waiting)
    assert desk.in_use(limit) == 1
    desk.end(probe)
    assert len(begun(desk, waiting)) == width


def test_one_that_takes_its_time_opens_it_too():
    desk, waiting, _, width = shut()
    for ticket in begun(desk, waiting):
        desk.end(ticket, REFUSED)
    desk.go_to(0.1)
    assert len(begun(desk, waiting)) == 1
    desk.go_to(0.3)
    assert len(begun(desk, waiting)) == width - 1


def test_one_that_is_withdrawn_or_breaks_is_followed_by_another():
    desk, waiting, _, _ = shut()
    for ticket in begun(desk, waiting):
        desk.end(ticket, REFUSED)
    desk.go_to(0.1)
    (probe,) = begun(desk, waiting)
    desk.withdraw(probe)
    desk.go_to(0.2)
    (probe,) = begun(desk, waiting)
    desk.end(probe, BROKEN)
    desk.go_to(0.301)
    assert len(begun(desk, waiting)) == 1


def test_after_a_while_it_stays_open_whatever_comes():
    desk, waiting, _, _ = shut()

    def look():
        while found := begun(desk, waiting):
            for ticket in found:
                desk.end(ticket, REFUSED)

    look()
    desk.go_to(LONGEST_S - 1, look)
    left = len(waiting)
    desk.go_to(LONGEST_S + 1, look)
    assert left > 300
    assert not waiting


def test_refusals_between_calls_that_are_served_close_nothing():
    desk, limit = Desk(), Limit(concurrency=2)
    for _ in range(20):
        for _ in range(IN_A_ROW - 1):
            desk.end(desk.ask(limit), REFUSED)
        desk.end(desk.ask(limit))
    assert is_in(desk.ask(limit))


def test_failures_of_another_kind_close_nothing():
    desk, limit = Desk(), Limit(concurrency=2)
    for _ in range(20):
        desk.end(desk.ask(limit), BROKEN)
    assert is_in(desk.ask(limit))


@pytest.mark.parametrize("end", [REFUSED, End(failed=True, down=True)])
def test_who_was_let_in_before_says_nothing_of_it(end):
    """Long calls that began before a row of refusals are answered in its middle: it is no less of a row."""
    desk, limit = Desk(), Limit(concurrency=20)
    long = [desk.ask(limit) for _ in range(4)]
    desk.go_to(1)
    for number in range(IN_A_ROW):
        desk.end(desk.ask(limit), end)
        desk.end(long[number])
    desk.go_to(desk.now_s + 0.05)
    assert not is_in(desk.ask(limit))  # the gate is closed


def test_what_is_down_closes_an_adaptive_limit_as_well_and_opens_it_when_it_serves():
    desk, limit = Desk(), Limit(concurrency="auto")
    for _ in range(IN_A_ROW):
        desk.end(desk.ask(limit), End(failed=True, down=True))
    waiting = [desk.ask(limit) for _ in range(10)]
    assert not any(map(is_in, waiting))
    desk.go_to(0.1)
    (probe,) = begun(desk, waiting)
    desk.end(probe)
    desk.go_to(0.2)
    assert begun(desk, waiting)


def test_how_long_nothing_but_refusals_came_is_counted_from_the_first_of_a_row():
    desk, limit = Desk(), Limit(concurrency="auto")

    def refused_for_s():
        return desk.admission.refused_for_s(desk.admission.lane([limit]))

    def call(at_s, end=REFUSED):
        desk.go_to(at_s)
        ticket = desk.ask(limit)
        while not is_in(ticket):
            desk.go_to(desk.now_s + 0.1)
        desk.end(ticket, end) if end is not None else desk.end(ticket)

    assert refused_for_s() == 0
    for at_s in (10, 60, 110):
        call(at_s)
    assert refused_for_s() == pytest.approx(100, abs=10)
    call(120, None)  # served
    assert refused_for_s() == 0
    call(130)
    call(230)  # nobody has asked in between
    assert refused_for_s() == 0
