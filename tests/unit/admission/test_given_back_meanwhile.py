"""What is given back by another thread, while one looks or asks, is not left lying until somebody comes by."""

from __future__ import annotations

from threading import Lock

import pytest

from hush.core import Limit
from hush.core._admission._admission import Admission
from hush.core._admission._lane import ADMITTED, WAITING
from unit.admission.desk import Bell


class Interrupted:
    """A lock in whose hold another thread does something, once."""

    def __init__(self, then):
        self._lock = Lock()
        self._then = then

    def acquire(self, blocking=True):
        return self._lock.acquire(blocking)

    def release(self):
        self._lock.release()

    def __enter__(self):
        self._lock.acquire()
        then, self._then = self._then, None
        if then is not None:
            then()  # it finds the lock taken, as any other thread would

    def __exit__(self, *_):
        self._lock.release()


ASKS = {
    "state": lambda admission, lane, limit, bell: admission.state(limit),
    "is_shut": lambda admission, lane, limit, bell: admission.is_shut(lane),
    "refused_for_s": lambda admission, lane, limit, bell: admission.refused_for_s(lane),
    "lane": lambda admission, lane, limit, bell: admission.lane([limit]),
    "enter": lambda admission, lane, limit, bell: admission.enter(lane),
    "queue": lambda admission, lane, limit, bell: admission.queue(lane, bell, object()),
    "tick": lambda admission, lane, limit, bell: admission.tick(bell),
    "disarm": lambda admission, lane, limit, bell: admission.disarm(bell),
}


def test_all_are_tried_that_take_the_lock():
    named = {name for name, made in vars(Admission).items() if callable(made) and "_lock" in made.__code__.co_names}
    assert named - {"__init__", "_follow_up"} == {*ASKS}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_who_waits_is_admitted(ask):
    limit, bell = Limit(concurrency=1), Bell()
    admission = Admission(lambda: 0.0)
    lane = admission.lane([limit])
    first = admission.enter(lane)
    second = admission.queue(lane, bell, object())
    assert second.state == WAITING
    admission._lock = Interrupted(lambda: admission.give_back(first))
    ask(admission, lane, limit, bell)
    assert second.state == ADMITTED
    assert bell.woken == [second]
