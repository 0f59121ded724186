"""The leak check: each kind of leak is found, named and placed; what is no leak raises no alarm."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from hush.core import CodeNode, GraphNode, Hush
from hush.testing import LeftOver, leak_check, run_virtual


def found(raised):
    """The kinds of what was found."""
    return [leak.kind for leak in raised.value.leaks]


def cancel(tasks):
    """Clear planted tasks away."""

    async def end():
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return end()


# ── Tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def dawdle():
    await asyncio.sleep(3600)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_task_that_is_alive_is_found(is_async):
    tasks = []
    with pytest.raises(
        LeftOver, match=r"running dawdle\(\) of .*test_leaks.py:\d+; waits at .*test_leaks.py"
    ) as raised:
        if is_async:
            async with leak_check():
                tasks.append(asyncio.create_task(dawdle()))
        else:
            with leak_check():
                tasks.append(asyncio.create_task(dawdle()))
                await asyncio.sleep(0)
    assert found(raised) == ["task"]
    await cancel(tasks)


async def test_a_task_that_was_cancelled_but_not_awaited_is_found():
    with pytest.raises(LeftOver, match=r"after task\.cancel"), leak_check():
        task = asyncio.create_task(dawdle())
        await asyncio.sleep(0)
        task.cancel()
    await cancel([task])


def test_a_task_left_on_the_loop_of_run_sync_is_found():
    kept = []

    async def spawn():
        kept.append((asyncio.get_running_loop(), asyncio.create_task(dawdle(), name="forgotten")))

    with GraphNode(name="g") as graph:
        CodeNode(code_fn=spawn)
    with pytest.raises(LeftOver, match="forgotten is alive") as raised, leak_check():
        Hush(graph).run_sync()
    assert found(raised) == ["task"]
    [(loop, task)] = kept
    asyncio.run_coroutine_threadsafe(cancel([task]), loop).result(10)


async def test_tasks_that_ended_or_were_there_before_are_no_leak():
    before = asyncio.create_task(dawdle())
    async with leak_check():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0.001))
    with leak_check():
        await asyncio.create_task(asyncio.sleep(0))
    await cancel([before])


def test_an_error_that_nobody_took_from_a_task_of_a_virtual_loop_is_found():
    kept = []

    async def fail():
        raise ValueError("nobody took me")

    async def main():
        kept.append(asyncio.ensure_future(fail()))
        kept.append(kept)  # so that it takes the garbage collector
        await asyncio.sleep(1)

    with pytest.raises(LeftOver, match=r"never retrieved: ValueError\('nobody took me'\)") as raised, leak_check():
        run_virtual(main)
        kept = None
    assert found(raised) == ["complaint"]


# ── Permits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def take(permit):
    taken = permit.acquire()
    if asyncio.iscoroutine(taken):
        await taken


@pytest.mark.parametrize(
    "make",
    [
        lambda: asyncio.Semaphore(3),
        lambda: asyncio.BoundedSemaphore(3),
        lambda: asyncio.Lock(),
        lambda: threading.Semaphore(3),
        lambda: threading.Lock(),
    ],
)
async def test_a_permit_that_is_not_given_back_is_found_by_name(make):
    permit = make()
    async with leak_check(permits={"api": permit}):
        await take(permit)
        permit.release()
    with pytest.raises(LeftOver, match="permit: 1 of 'api' not given back") as raised:
        async with leak_check(permits={"api": permit}):
            await take(permit)
    assert found(raised) == ["permit"]
    assert "async with" in raised.value.leaks[0].mend


def test_a_limiter_is_counted_by_its_tokens_and_anything_else_by_a_function():
    class Limiter:
        available_tokens = 5

    limiter, free = Limiter(), [1, 2, 3]
    with pytest.raises(LeftOver, match=r"(?s)2 of 'limiter'.*3 free, 5 before.*1 of 'pool' not given back"):
        with leak_check(permits={"limiter": limiter, "pool": lambda: len(free)}):
            limiter.available_tokens = 3
            free.pop()


def test_a_permit_given_back_twice_is_found():
    semaphore = threading.Semaphore(1)
    with pytest.raises(LeftOver, match="1 of 'api' given back that nobody took"), leak_check() as leaks:
        leaks.watch("api", semaphore)
        semaphore.release()


def test_what_holds_no_permits_is_refused_with_advice():
    with pytest.raises(TypeError, match=r"'api'.*Give a function"), leak_check(permits={"api": object()}):
        pass


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_left_open_is_found_and_placed(tmp_path):
    tracemalloc.start(9)
    try:
        with pytest.raises(LeftOver, match=r"file: <_io.TextIOWrapper name='.*x'.*opened at .*test_leaks.py") as raised:
            with leak_check():
                file = (tmp_path / "x").open("w")
    finally:
        tracemalloc.stop()
    file.close()
    assert found(raised) == ["file"]


def test_a_socket_left_open_is_found():
    with (
        pytest.raises(LeftOver, match=r"(?s)file: <socket.socket fd=.*wait_closed.*tracemalloc") as raised,
        leak_check(),
    ):
        left = socket.socket()
    left.close()
    assert found(raised) == ["file"]


async def test_a_socket_that_closes_in_the_next_pass_is_no_leak():
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with leak_check():
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
    server.close()
    await server.wait_closed()


def test_an_event_loop_left_open_is_found_as_one_thing():
    with pytest.raises(LeftOver, match=r"asyncio\.Runner") as raised, leak_check():
        loop = asyncio.new_event_loop()
    loop.close()
    assert found(raised) == ["event loop"]


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_thread_left_running_is_found_and_placed():
    stop = threading.Event()

    def work():
        stop.wait()

    with pytest.raises(LeftOver, match=r"'stray' is running; runs .*work\(\) of .*, is at .*test_leaks.py:") as raised:
        with leak_check():
            thread = threading.Thread(target=work, name="stray")
            thread.start()
    stop.set()
    thread.join()
    assert found(raised) == ["thread"]


def test_a_pool_that_is_not_shut_down_is_found_though_it_is_idle():
    with pytest.raises(LeftOver, match="ThreadPoolExecutor") as raised, leak_check():
        pool = ThreadPoolExecutor(1)
        pool.submit(int).result()
    pool.shutdown()
    assert found(raised) == ["thread"]


def test_a_call_that_a_run_left_behind_is_found():
    release = threading.Event()

    def stuck():
        release.wait()

    with GraphNode(name="g") as graph:
        CodeNode(code_fn=stuck, timeout_s=0.01)
    CodeNode(code_fn=lambda: None)()  # now there is an idle worker, which will be at work when the block ends
    with pytest.raises(LeftOver, match=r"'hush-worker.*is at .*test_leaks.py") as raised, leak_check():
        with contextlib.suppress(TimeoutError):
            Hush(graph, grace_s=0.01).run_sync()
    release.set()
    assert found(raised) == ["thread"]


def test_a_thread_that_is_about_to_end_is_no_leak():
    with leak_check():
        threading.Timer(0.1, int).start()
