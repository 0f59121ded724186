"""Whenever a run whose leaves have policies is cancelled, nothing is held, and the runs that share with it go on."""

from __future__ import annotations

import asyncio
import re

import pytest

from hush.core import RunFinished, RunStarted
from hush.testing import Recorder, cancel_everywhere, run_virtual
from hush.testing._loop import VirtualLoop
from hush.testing._run import play
from kit.cancel_policies import SHAPES, Site
from kit.guarded_laws import LETTERS
from kit.tiers import by_day

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
def test_a_run_is_cancelled_at_every_tick(shape):
    assert cancel_everywhere(runs(shape), errors=shape.errors) >= 5


@by_name
def test_a_run_is_cancelled_at_every_tick_and_once_more(shape):
    assert cancel_everywhere(runs(shape), times=2, errors=shape.errors, window=3) >= 5


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────────────────

# A node is ready, starts, is queued, admitted and released in each attempt, and ends; or a cancellation cuts it off.
WHOLE = "(?:rs(?:(?:q?al)?t)*(?:q?al)?c?[fx]|rk?)"
CUT_OFF = "(?:r(?:s(?:(?:q?al)?t)*(?:q(?:al)?|al)?)?)?"
ORDER = re.compile(f"{WHOLE}*{CUT_OFF}|k*")


def told_in_order(events):
    """Of each node in each place, of those that began; and the end of the run is the end."""
    assert type(events[0]) is RunStarted
    assert type(events[-1]) is RunFinished
    words, attempts = {}, {}
    for event in events:
        letter = LETTERS.get(type(event))
        if letter is not None:
            place = event.path, event.outer, event.item
            words[place] = words.get(place, "") + letter
            if letter in "rs":
                attempts[place] = 1
            elif letter in "qalt":
                assert event.attempt == attempts[place], event
                attempts[place] += letter == "t"
    for place, word in words.items():
        assert ORDER.fullmatch(word), (place, word)


@by_name
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (0, *range(2, 10)))])
def test_whenever_a_run_is_cancelled_what_was_told_is_in_order_and_who_was_admitted_is_released(shape, seed):
    recorder = Recorder()

    async def run():
        recorder.events.clear()
        await shape.engine(Site()).run(tracer=recorder)

    def check():
        if recorder.events:  # else it was cancelled before it began
            told_in_order(recorder.events)

    assert cancel_everywhere(run, errors=shape.errors, check=check, seed=seed) >= 5


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
@pytest.mark.parametrize(("seed", "times"), by_day([(0, 1), (1, 2)], 1))
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


@by_name
@pytest.mark.parametrize("leaves", by_day([False, True], 0))
def test_one_of_three_runs_is_read_no_further_than_to_some_event_and_the_others_do_not_notice(shape, leaves):
    """A reader that stops reading, or leaves, holds up its own run: not the calls and limits that others share."""
    usual, _ = beside(shape, 0)
    last = 0
    for after in range(1 + leaves, 1000, 2):

        async def main(after=after):
            site = Site()
            engines = [shape.engine(site), shape.engine(site)]

            async def read():
                nonlocal last
                last = 0
                async with engines[0].stream(buffer=1) as events:
                    async for _ in events:
                        last += 1
                        if last == after:
                            await asyncio.sleep(1 if leaves else 1000)
                            return

            reader = asyncio.ensure_future(read())
            await asyncio.sleep(0.05)  # so that it has begun the calls that they share
            tasks = [asyncio.ensure_future(engine.run()) for engine in (engines[1], engines[0])]
            await asyncio.wait(tasks)
            assert asyncio.get_running_loop().time() < 1000
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            assert not site.left()
            return [result_of(task) for task in tasks]

        assert run_virtual(main, seed=after) == usual[1:], f"not read further than to event {after}"
        if last < after:
            break


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(1, 22))
def test_a_run_is_cancelled_at_every_tick_in_many_orders_of_turns(shape, seed):
    cancel_everywhere(runs(shape), errors=shape.errors, seed=seed)
    cancel_everywhere(runs(shape), times=2, errors=shape.errors, seed=seed, window=5)


@pytest.mark.nightly
@by_name
@pytest.mark.parametrize("seed", range(2, 12))
def test_one_of_three_runs_is_cancelled_at_every_tick_in_many_orders_of_turns(shape, seed):
    test_one_of_three_runs_is_cancelled_at_every_tick_and_the_others_do_not_notice(shape, seed, 1 + seed % 2)
