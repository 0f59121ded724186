"""The virtual loop: time jumps, tasks take turns as the seed says, what hangs or stays behind is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.testing import Deadlock, Runaway, VirtualLoop, run_virtual

since_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")

# ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_time_goes_on_where_a_float_has_no_room_for_the_resolution_of_the_clock():
    """A loop takes a timer for due when it lies before now and a nanosecond, which is now after half a year."""

    async def main():
        for _ in range(3):
            await asyncio.sleep(1e12)
            await asyncio.sleep(1e-3)
        return asyncio.get_running_loop().time()

    assert run_virtual(main, max_passes=1_000) == pytest.approx(3e12)


def released_soon():
    """An event that real time sets."""
    released = threading.Event()
    threading.Timer(0.05, released.set).start()
    return released


def test_the_clock_stands_still_while_a_thread_is_at_work():
    async def main():
        async with asyncio.timeout(0.001):
            return await asyncio.to_thread(released_soon().wait, 10)

    assert run_virtual(main) is True


def test_a_thread_that_waits_for_the_loop_does_not_hold_its_clock_for_ever(monkeypatch):
    monkeypatch.setattr("hush.testing._loop.PATIENCE_S", 0.01)

    async def main():
        loop = asyncio.get_running_loop()

        async def answer():
            await asyncio.sleep(3600)
            return loop.time()

        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(answer(), loop).result(10))

    assert run_virtual(main) == 3600


def test_no_thread_of_the_default_executor_is_left():
    async def main():
        return await asyncio.to_thread(threading.current_thread)

    assert not run_virtual(main).is_alive()


def test_the_loop_can_be_given_to_asyncio():
    async def main():
        loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor()
        loop.set_default_executor(pool)
        await asyncio.sleep(3600)
        pool.submit(released_soon().wait, 10)  # the end waits for it, in real time
        return loop.time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == 3600


def test_an_hour_of_a_graphs_waits_takes_a_moment():
    async def wait(seconds):
        await asyncio.sleep(seconds)
        return {"at": asyncio.get_running_loop().time()}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=wait, inputs={"seconds": 1800})
        CodeNode(name="second", code_fn=wait, inputs={"seconds": first["at"]}, outputs=PARENT)
    began_s = time.monotonic()
    assert run_virtual(Hush(graph).run) == {"at": 3600}
    assert time.monotonic() - began_s < 60  # that it is not an hour


# ── Hanging ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def wait_in_vain():
    await asyncio.get_running_loop().create_future()


def test_waiting_for_what_can_never_happen_is_a_deadlock_that_names_the_tasks():
    with pytest.raises(Deadlock, match=r"(?s)seed 5.*main is alive, running wait_in_vain.*waits at .*test_loop.py:"):
        run_virtual(wait_in_vain, seed=5)


def test_a_task_is_shown_at_the_innermost_line_of_the_users_code():
    async def outer():
        await asyncio.wait_for(wait_in_vain(), None)

    line = wait_in_vain.__code__.co_firstlineno + 1
    with pytest.raises(Deadlock, match=f"waits at .*test_loop.py:{line}$|waits at .*test_loop.py:{line}\n"):
        run_virtual(outer)


def test_spinning_for_ever_is_found():
    async def spin():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Runaway, match=r"running .*spin"):
        run_virtual(spin, max_passes=1_000)


# ── Turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


CANCELLED_GROUP = """
import asyncio
from hush.testing import run_virtual

junk = [object() for _ in range({junk})]

async def main():
    if {eager}:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    seen = []

    async def one(number):
        try:
            await asyncio.sleep(9)
        finally:
            seen.append(number)

    async def fail():
        await asyncio.sleep(1)
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            keep = []
            for number in range(40):
                keep.append(bytearray(number * {junk} % 977))
                group.create_task(one(number))
            group.create_task(fail())
    except* ValueError:
        pass
    return seen

print(run_virtual(main, seed=1))
"""


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=since_312)])
def test_the_same_seed_gives_the_same_turns_where_asyncio_goes_by_addresses(eager):
    """A `TaskGroup` keeps its tasks in a set and cancels them in the order of their addresses."""
    found = {
        subprocess.run(
            [sys.executable, "-c", CANCELLED_GROUP.format(junk=junk, eager=eager)],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout
        for junk in (1, 311, 7_919)
    }
    assert len(found) == 1


@since_312
def test_tasks_that_begin_eagerly_take_turns_too():
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        seen = []

        async def one(name):
            seen.append(name)
            await asyncio.sleep(1)
            seen.append(name.upper())

        await asyncio.gather(*[one(name) for name in "abc"])
        return "".join(seen)

    orders = [run_virtual(main, seed=seed) for seed in range(30)]
    assert {order[:3] for order in orders} == {"abc"}
    assert len(set(orders)) == 6
    assert orders == [run_virtual(main, seed=seed) for seed in range(30)]


def test_callbacks_keep_the_order_that_asyncio_promises():
    async def main():
        seen = []
        for number in range(20):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.sleep(0.1)
        return seen

    assert run_virtual(main, seed=3) == list(range(20))


def test_threads_may_call_the_loop_while_turns_are_dealt():
    """Nothing in the ready queue may be missed or told wrong because a thread adds to it meanwhile."""
    seen = []

    class Watched:
        """A callback at which somebody looks, who is held up by it until a thread has called the loop."""

        def __init__(self, loop):
            self._loop = loop

        @property
        def __self__(self):
            thread = threading.Thread(target=lambda: self._loop.call_soon_threadsafe(seen.append, "thread"))
            thread.start()
            thread.join()

        def __call__(self):
            seen.append("called")

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(Watched(loop))
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])
        await asyncio.sleep(1)

    run_virtual(main)
    assert seen.count("called") == 1
    assert seen.count("thread") >= 2  # when it was called for, and when turns were dealt


def test_passes_are_counted_and_hooks_called_when_they_begin():
    loop = VirtualLoop()
    seen = []
    loop.at_pass(2, lambda: seen.append(loop.passes))
    loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    assert seen == [2]
    assert loop.passes >= 3
