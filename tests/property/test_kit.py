"""The kit is right by itself: time jumps, tasks take turns as the seed says, what stays behind is found."""

from __future__ import annotations

import asyncio

import pytest

from kit.cancel import cancel_everywhere, no_leaks
from kit.faults import Boom
from kit.loop import Deadlock, LeftOver, Runaway, VirtualLoop, run_virtual

# ── The loop ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_day_of_sleep_takes_no_time():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.gather(asyncio.sleep(86_400), asyncio.sleep(100_000))
        return loop.time()

    assert run_virtual(main) == 100_000


def test_a_timeout_falls_exactly_when_it_should():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.sleep(0.30001)
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == pytest.approx(0.3)


def test_waiting_for_what_can_never_happen_is_a_deadlock_that_names_the_tasks():
    async def wait_in_vain():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="wait_in_vain"):
        run_virtual(wait_in_vain)


def test_spinning_for_ever_is_found():
    async def spin():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Runaway):
        run_virtual(spin, max_passes=1_000)


async def order_of_three():
    seen = []

    async def one(name):
        seen.append(name)

    await asyncio.gather(*[one(name) for name in "abc"])
    return "".join(seen)


def test_the_seed_alone_decides_whose_turn_it_is():
    orders = [run_virtual(order_of_three, seed=seed) for seed in range(30)]
    assert len(set(orders)) == 6
    assert orders == [run_virtual(order_of_three, seed=seed) for seed in range(30)]
    assert run_virtual(order_of_three, shuffle=False) == "abc"


def test_callbacks_keep_the_order_that_asyncio_promises():
    async def main():
        seen = []
        for number in range(20):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.sleep(0.1)
        return seen

    assert run_virtual(main, seed=3) == list(range(20))


def test_a_task_left_alive_is_an_error():
    async def main():
        main.task = asyncio.ensure_future(asyncio.sleep(1))

    with pytest.raises(LeftOver, match="alive"):
        run_virtual(main)


def test_an_async_generator_left_open_is_an_error():
    async def numbers():
        yield 1
        yield 2

    async def main():
        main.numbers = numbers()
        await anext(main.numbers)

    with pytest.raises(LeftOver, match="generator"):
        run_virtual(main)


def test_what_is_told_to_the_exception_handler_is_an_error():
    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.1)

    with pytest.raises(LeftOver, match="ZeroDivisionError"):
        run_virtual(main)


def test_passes_are_counted_and_hooks_called_when_they_begin():
    loop = VirtualLoop()
    seen = []
    loop.at_pass(2, lambda: seen.append(loop.passes))
    loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    assert seen == [2]
    assert loop.passes >= 3


# ── Cancellation ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def two_sleepers():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        group.create_task(asyncio.sleep(2))


def test_good_code_is_cancelled_everywhere():
    assert cancel_everywhere(two_sleepers) >= 4
    assert cancel_everywhere(two_sleepers, times=2) > 8


def test_a_swallowed_cancellation_is_found():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "as if nothing had happened"

    with pytest.raises(AssertionError, match="got lost"):
        cancel_everywhere(main)


def test_a_task_that_is_not_awaited_on_the_way_out_is_found():
    async def main():
        main.task = asyncio.ensure_future(asyncio.sleep(5))
        await asyncio.sleep(1)
        await main.task

    with pytest.raises(LeftOver, match="alive"):
        cancel_everywhere(main)


def test_an_error_instead_of_the_cancellation_is_found():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            raise Boom("x") from None

    with pytest.raises(AssertionError, match="raised Boom"):
        cancel_everywhere(main)
    assert cancel_everywhere(main, errors=(Boom,)) > 0


def test_a_hidden_request_is_found():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            raise Boom("x") from None

    with pytest.raises(AssertionError, match="hides the request"):
        cancel_everywhere(main, errors=(Boom,))


def test_a_file_left_open_is_found(tmp_path):
    with pytest.raises(AssertionError, match="files left open"), no_leaks():
        file = (tmp_path / "x").open("w")
    file.close()
