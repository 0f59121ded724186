"""Whenever a run whose leaves have policies is cancelled, nothing is held, and the runs that share with it go on."""

from __future__ import annotations

import asyncio

import pytest

from hush.testing import cancel_everywhere
from hush.testing._loop import VirtualLoop
from hush.testing._run import play
from kit.cancel_policies import SHAPES, Site

by_name = pytest.mark.parametrize("shape", SHAPES, ids=str)


def runs(shape):
    """Makes one run, after which nothing is held."""

    async def run():
        site = Site()
        try:
            await shape.engine(site).run()
        finally:
            left = site.left()
            assert not left, left

    return run


@by_name
@pytest.mark.parametrize("seed", range(2))
def test_a_run_is_cancelled_at_every_tick(shape, seed):
    assert cancel_everywhere(runs(shape), errors=shape.errors, seed=seed) >= 5


@by_name
def test_a_run_is_cancelled_at_every_tick_and_once_more(shape):
    assert cancel_everywhere(runs(shape), times=2, errors=shape.errors, window=3) >= 5


# ── Several runs that share ──────────────────────────────────────────────────────────────────────────────────────────


def result_of(task):
    error = task.exception()
    return dict(task.result()) if error is None else type(error)


def beside(shape, seed, at_pass=None, times=1):
    """Three runs that share limits and calls, the first of which is cancelled when that pass begins.

    Gives what became of each, and whether the cancellation came before its end.
    """
    loop = VirtualLoop(seed)
    asked = []

    async def main():
        site = Site()
        engines = [shape.engine(site), shape.engine(site)]
        tasks = [asyncio.ensure_future(engines[number % 2].run()) for number in range(3)]
        if at_pass is not None:
            for number in range(times):
                loop.at_pass(at_pass + number, lambda: asked.append(tasks[0].cancel()))
        await asyncio.wait(tasks)
        left = site.left()
        assert not left, left
        return [None if task.cancelled() else result_of(task) for task in tasks]

    found = play(loop, loop.create_task(main()))
    return found.result(), any(asked)


@by_name
@pytest.mark.parametrize(("seed", "times"), [(0, 1), (1, 2)])
def test_one_of_three_runs_is_cancelled_at_every_tick_and_the_others_do_not_notice(shape, seed, times):
    usual, _ = beside(shape, seed)
    at_pass = 2
    while True:
        found, asked = beside(shape, seed, at_pass, times)
        assert found[1:] == usual[1:], f"cancelled at pass {at_pass}"
        assert found[0] is None or found[0] == usual[0]
        if not asked:
            break
        at_pass += 1
    assert at_pass > 5


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(2, 22))
def test_a_run_is_cancelled_at_every_tick_in_many_orders_of_turns(shape, seed):
    cancel_everywhere(runs(shape), errors=shape.errors, seed=seed)
    cancel_everywhere(runs(shape), times=2, errors=shape.errors, seed=seed, window=5)


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(2, 12))
def test_one_of_three_runs_is_cancelled_at_every_tick_in_many_orders_of_turns(shape, seed):
    test_one_of_three_runs_is_cancelled_at_every_tick_and_the_others_do_not_notice(shape, seed, 1 + seed % 2)
