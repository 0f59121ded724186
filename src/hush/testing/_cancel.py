"""Cancels a coroutine at every tick of its life, once or twice, and sees that nothing of it stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hush.testing._leaks import leak_check
from hush.testing._loop import VirtualLoop
from hush.testing._run import Ended, check_main, play
from hush.testing._tasks import standing

MakeCoro = Callable[[], Coroutine[Any, Any, Any]]

_MOST_PASSES = 1_000_000


def cancel_everywhere(
    make: MakeCoro,
    *,
    times: int = 1,
    errors: tuple[type[BaseException], ...] = (),
    check: Callable[[], object] | None = None,
    seed: object = 0,
    window: int = 8,
) -> int:
    """Run ``make()`` once for each pass of the loop, in virtual time, cancelled when that pass begins.

    Each try has a loop of its own. That every resource was given back is for ``check`` to say; what is listed under
    ``Raises`` is seen without it.

    Args:
        make: Makes the coroutine anew for each try, such as ``engine.run``.
        times: 1, or 2 to cancel a second time as well, in each of the ``window`` passes after the first.
        errors: What may be raised in place of ``CancelledError``, because the run was failing already. Members of a
            group are looked at one by one.
        check: Called after each try, to look at what the coroutine did; it raises ``AssertionError`` if that is wrong.
        seed: Of the order in which tasks take their turns.
        window: How many passes after the first request the second is tried in.

    Returns:
        How many tries there were.

    Raises:
        AssertionError: The request got lost, control did not return (`Deadlock`, `Runaway`), or something was left
            behind (`LeftOver`): tasks, open async generators, files, threads, complaints to the loop. A note names
            the passes in which it was cancelled, and the line at which it stood.
    """
    check_main("cancel_everywhere", make)
    if times not in (1, 2):
        raise ValueError(f"times={times!r}: a coroutine is cancelled once or twice.")
    trial = _Trial(make, errors, check or _nothing, seed)
    with leak_check():
        trial.run(())
        tries = 0
        for first in range(1, _MOST_PASSES):
            if trial.run((first,)) == 0:
                return tries
            tries += 1
            later = (first + gap for gap in range(1, window + 1)) if times == 2 else ()
            for second in later:
                if trial.run((first, second)) < 2:
                    break
                tries += 1
    raise AssertionError(f"it did not end within {_MOST_PASSES} passes")


def _nothing() -> None:
    pass


@dataclass
class _Trial:
    make: MakeCoro
    errors: tuple[type[BaseException], ...]
    check: Callable[[], object]
    seed: object

    def run(self, passes: tuple[int, ...]) -> int:
        """Make one try; give how many of the requests came before it had ended."""
        loop = VirtualLoop(self.seed)
        main = loop.create_task(self.make(), name="main")
        places: list[str] = []

        def cancel() -> None:
            at = standing(main)
            if main.cancel():
                places.append(at)

        for number in passes:
            loop.at_pass(number, cancel)
        ended = play(loop, main)
        try:
            self._examine(ended, len(places))
            self.check()
        except AssertionError as problem:
            told = ", ".join(
                f"at pass {number}" + (f" while it stood at {at}" if at else "")
                for number, at in zip(passes, places, strict=False)
            )
            seen = f"cancelled {told}" if told else "not cancelled"
            problem.add_note(f"{seen}; seed {self.seed!r}; it ended at {ended.at_s:g} s, pass {ended.passes}")
            raise
        return len(places)

    def _examine(self, ended: Ended, delivered: int) -> None:
        ended.demand_tidiness()
        error = ended.error
        if delivered == 0:
            if error is not None and not _is_one_of(error, self.errors):
                raise AssertionError(f"it failed without being cancelled: {error!r}") from error
            return
        if error is None:
            raise AssertionError(
                f"the cancellation got lost: it returned {ended.value!r}. "
                "Whoever catches CancelledError (or BaseException) must raise it again."
            )
        if isinstance(error, asyncio.CancelledError):
            return
        if not _is_one_of(error, self.errors):
            raise AssertionError(
                f"cancelled, but raised {error!r}. If it was failing already, allow for it: errors=({_names(error)},)"
            ) from error
        if ended.cancelling != delivered:
            raise AssertionError(
                f"a failing run hides the request: cancelled {delivered} times, but cancelling() is {ended.cancelling}."
            ) from error


def _is_one_of(error: BaseException, errors: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_one_of(each, errors) for each in error.exceptions)
    return isinstance(error, errors)


def _names(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(dict.fromkeys(_names(each) for each in error.exceptions))
    return type(error).__name__
