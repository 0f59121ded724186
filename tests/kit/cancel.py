"""Cancel a coroutine at every tick of its life, once or twice, and see that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from kit.loop import Ended, VirtualLoop, overheard, play

MakeCoro = Callable[[], Coroutine[Any, Any, Any]]


def cancel_everywhere(
    make_coro: MakeCoro,
    times: int = 1,
    *,
    errors: tuple[type[BaseException], ...] = (),
    check: Callable[[], None] = lambda: None,
    seed: object = None,
    window: int = 8,
) -> int:
    """Run the coroutine once for each pass of the loop, cancelled when that pass begins.

    Args:
        make_coro: Makes the coroutine anew for each try.
        times: 1, or 2 to cancel a second time as well, in each of the `window` passes after the first.
        errors: What may be raised in place of `CancelledError`, because the run was failing already. Members of a group
            are looked at one by one.
        check: Called after each try, to look at what the coroutine did.
        seed: Of the order in which tasks take their turns.
        window: How many passes after the first request the second is tried in.

    Returns:
        How many tries there were.

    Raises:
        AssertionError: The request got lost, control did not return, or something was left behind: tasks, open async
            generators, files, threads, complaints to the loop. The message names the passes.
    """
    with no_leaks():
        _examine(_try(make_coro, (), seed)[0], (), 0, errors)
        tries = 0
        for first in range(1, 1_000_000):
            later = (first + gap for gap in range(1, window + 1)) if times == 2 else ()
            fired = _try_and_examine(make_coro, (first,), seed, errors, check)
            if fired == 0:
                return tries
            tries += 1
            for second in later:
                if _try_and_examine(make_coro, (first, second), seed, errors, check) < 2:
                    break
                tries += 1
    raise AssertionError("it never ends")


def _try_and_examine(
    make_coro: MakeCoro,
    passes: tuple[int, ...],
    seed: object,
    errors: tuple[type[BaseException], ...],
    check: Callable[[], None],
) -> int:
    ended, delivered = _try(make_coro, passes, seed)
    try:
        _examine(ended, passes, delivered, errors)
        check()
    except AssertionError as problem:
        problem.add_note(f"cancelled at pass {passes}, delivered {delivered}; at {ended.at_s} s, pass {ended.passes}")
        raise
    return delivered


def _try(make_coro: MakeCoro, passes: tuple[int, ...], seed: object) -> tuple[Ended, int]:
    """What became of it, and how many of the requests came before it had ended."""
    loop = VirtualLoop(seed)
    main = loop.create_task(make_coro(), name="main")
    delivered: list[int] = []

    def cancel() -> None:
        if main.cancel():
            delivered.append(loop.passes)

    for number in passes:
        loop.at_pass(number, cancel)
    return play(loop, main), len(delivered)


def _examine(ended: Ended, passes: tuple[int, ...], delivered: int, errors: tuple[type[BaseException], ...]) -> None:
    ended.demand_tidiness()
    error = ended.error
    if delivered == 0:
        if error is not None and not _is_one_of(error, errors):
            raise AssertionError("it failed without being cancelled") from error
        return
    assert error is not None, f"the cancellation got lost: it returned {ended.value!r}"
    if isinstance(error, asyncio.CancelledError):
        return
    if not _is_one_of(error, errors):
        raise AssertionError(f"cancelled, but raised {error!r}") from error
    assert ended.cancelling == delivered, f"a failing run hides the request: cancelling() is {ended.cancelling}"


def _is_one_of(error: BaseException, errors: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_one_of(each, errors) for each in error.exceptions)
    return isinstance(error, errors)


@contextlib.contextmanager
def no_leaks() -> Iterator[None]:
    """Fail if the block leaves a file open, a thread running (but Hush's own idle ones) or a complaint unheard."""
    files, threads = _open_files(), set(threading.enumerate())
    overheard.clear()
    yield
    gc.collect()  # a task whose error nobody took complains when it is collected
    said = list(overheard)
    overheard.clear()
    assert not said, "\n".join(said)
    new_files = [link for number, link in _open_files().items() if files.get(number) != link]
    assert not new_files, f"files left open: {new_files}"
    new_threads = [each for each in threading.enumerate() if each not in threads and not each.name.startswith("hush")]
    assert not new_threads, f"threads left running: {new_threads}"


def _open_files() -> dict[str, str]:
    """Descriptor → what it is, where the system tells."""
    found: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
                found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found
