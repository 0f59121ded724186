"""Whenever a run with streaming maps is cancelled, and however it ends, nothing of it stays behind."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import Hush
from hush.testing import cancel_everywhere, run_virtual
from kit.cancel_shapes import Log
from kit.cancel_streams import SHAPES
from kit.flows import flows

by_name = pytest.mark.parametrize("shape", SHAPES, ids=str)


@by_name
def test_a_run_is_cancelled_at_every_tick(shape):
    log = Log()
    assert cancel_everywhere(shape.runs(log), errors=shape.errors, check=log.check) >= 5


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_run_is_cancelled_at_every_tick_in_other_orders(shape, seed):
    log = Log()
    assert cancel_everywhere(shape.runs(log), errors=shape.errors, check=log.check, seed=seed) >= 5


@pytest.mark.parametrize("shape", [each for each in SHAPES if each.twice][::3], ids=str)
def test_a_run_is_cancelled_at_every_tick_and_once_more(shape):
    log = Log()
    assert cancel_everywhere(shape.runs(log), times=2, errors=shape.errors, check=log.check, window=2) > 5


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_cancelled_at_every_tick_and_once_more_in_every_shape(shape, seed):
    log = Log()
    runs = shape.runs(log)
    assert cancel_everywhere(runs, times=2, errors=shape.errors, check=log.check, window=5, seed=seed) > 5


@by_name
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_alive_after_a_run_however_it_ends(shape, seed):
    log = Log()
    run = shape.runs(log)
    try:
        run_virtual(run, seed=seed)
    except* shape.errors:
        pass
    log.check()


@by_name
def test_a_reader_of_items_may_leave_after_any_event(shape):
    """Leaving cancels the run, and control comes back after its end."""
    log = Log()
    engine = Hush(shape.make(log))

    async def leave(after: int) -> int:
        seen = 0
        async with engine.stream(buffer=1) as events:
            async for _ in events:
                seen += 1
                if seen > after:
                    break
        assert asyncio.current_task().cancelling() == 0
        return seen

    after, ended = 0, False
    while not ended:
        try:
            ended = run_virtual(lambda after=after: leave(after)) <= after
        except* shape.errors:
            pass
        log.check()
        after += 5
        ended = ended or after > 150


def test_the_shapes_are_what_they_are_for():
    """Nearly all of them stream; a shape that has become a barrier would prove nothing."""
    streams = [str(shape) for shape in SHAPES if "stream" in flows(shape.make(Log())).values()]
    assert len(streams) >= len(SHAPES) - 1
