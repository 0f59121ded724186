"""`run_virtual` and `end_of`: what a coroutine leaves behind is told, and so are wrong calls."""

from __future__ import annotations

import asyncio

import pytest

from hush.testing import LeftOver, end_of, run_virtual

# ── What stays behind ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_left_alive_is_an_error_that_says_where_it_was_made():
    async def main():
        main.task = asyncio.ensure_future(asyncio.sleep(1))

    line = main.__code__.co_firstlineno + 1
    with pytest.raises(LeftOver, match=f"task: .* is alive, running sleep.*made at .*test_run.py:{line}") as raised:
        run_virtual(main)
    [leak] = raised.value.leaks
    assert leak.kind == "task"
    assert "TaskGroup" in leak.mend


def test_an_async_generator_left_open_is_an_error():
    async def numbers():
        yield 1
        yield 2

    async def main():
        main.numbers = numbers()
        await anext(main.numbers)

    with pytest.raises(LeftOver, match=r"async generator: .*numbers\(\) is open; at .*test_run.py:"):
        run_virtual(main)


def test_what_is_told_to_the_exception_handler_is_an_error():
    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.1)

    with pytest.raises(LeftOver, match=r"complaint: .*ZeroDivisionError"):
        run_virtual(main)


def test_what_a_closed_loop_is_told_is_logged_unless_a_leak_check_hears_it(caplog):
    """A task whose error nobody took says so when it is collected, and its loop may be gone by then."""
    kept = []

    async def fail():
        raise ValueError("nobody took me")

    async def main():
        kept.append(asyncio.ensure_future(fail()))
        await asyncio.sleep(1)

    run_virtual(main)
    kept.clear()
    assert "never retrieved" in caplog.text


def test_the_error_of_the_coroutine_is_raised_as_it_is():
    async def main():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_virtual(main)
    ended = end_of(main)
    assert (type(ended.error), ended.value, ended.at_s) == (KeyError, None, 0)


async def nothing():
    pass


# ── Wrong calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("run", [run_virtual, end_of])
def test_a_coroutine_in_place_of_its_function_is_refused(run):
    with pytest.raises(TypeError, match=rf"{run.__name__}\(main\), not main\(\)"):
        run(nothing())
    with pytest.raises(TypeError, match="not 3"):
        run(3)


async def test_where_a_loop_runs_already_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="make the test a plain def"):
        run_virtual(nothing)
