"""Runs one coroutine on a virtual loop of its own, tells what became of it, and clears away what it left behind."""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hush.core.protocols import guard_codes
from hush.testing._left import Leak, LeftOver
from hush.testing._loop import Deadlock, Runaway, VirtualLoop
from hush.testing._tasks import alive_on, place

T = TypeVar("T")


@dataclass
class Ended:
    """What became of one coroutine on a virtual loop.

    Attributes:
        value: What it returned.
        error: What it raised, ``CancelledError`` included.
        cancelling: ``task.cancelling()`` of its task at the end: the cancellations that nobody took back.
        passes: How many passes the loop made.
        at_s: Virtual seconds it took.
        left: What it left behind.
    """

    value: Any = None
    error: BaseException | None = None
    cancelling: int = 0
    passes: int = 0
    at_s: float = 0.0
    left: list[Leak] = field(default_factory=list)

    def demand_tidiness(self) -> None:
        """Raise if it hung, or left something behind."""
        if isinstance(self.error, (Deadlock, Runaway)):
            raise self.error
        if self.left:
            raise LeftOver(self.left) from self.error

    def result(self) -> Any:
        """The value, or the error raised."""
        self.demand_tidiness()
        if self.error is not None:
            raise self.error
        return self.value


def play(loop: VirtualLoop, main: asyncio.Task[Any]) -> Ended:
    """Run the loop until the task is done, look at what is left, clear that away and close the loop."""
    try:
        ended = Ended()
        try:
            ended.value = loop.run_until_complete(main)
        except BaseException as error:
            if not main.done() and not isinstance(error, (Deadlock, Runaway)):
                raise  # Ctrl-C, or a bug of the loop's
            ended.error = error
        ended.cancelling, ended.passes, ended.at_s = main.cancelling(), loop.passes, loop.time()
        loop.end_guards()
        ended.left += alive_on(loop)
        ended.left += _open_generators(loop)
        ended.left += loop.complaints
        return ended
    finally:
        _clear_away(loop)


def _open_generators(loop: asyncio.AbstractEventLoop) -> list[Leak]:
    opened = [
        each
        for each in getattr(loop, "_asyncgens", ())
        if each.ag_frame is not None and each.ag_code not in guard_codes
    ]
    return [
        Leak(
            "async generator",
            f"{each.__qualname__}() is open",
            f"at {place(each.ag_code.co_filename, each.ag_frame.f_lineno)}",
            "Close it: async with contextlib.aclosing(...) as rows: ...",
        )
        for each in opened
    ]


def _clear_away(loop: VirtualLoop) -> None:
    loop.complaints = []
    loop._max_passes = loop.passes + 1000
    try:
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    except (Deadlock, Runaway):
        loop.set_exception_handler(lambda *_: None)  # what hangs even then was reported already
    finally:
        loop.close()


def check_main(name: str, main: object) -> None:
    """Refuse what is no function that makes a coroutine, and callers that a loop runs already."""
    if asyncio.iscoroutine(main):
        main.close()
        raise TypeError(f"{name}() takes the function and calls it on a loop of its own: {name}(main), not main().")
    if not callable(main):
        raise TypeError(f"{name}() takes a function that makes a coroutine, not {main!r}.")
    if _get_running_loop() is not None:
        raise RuntimeError(
            f"{name}() runs a loop of its own, so a loop must not be running: make the test a plain def."
        )


def end_of(
    main: Callable[[], Coroutine[Any, Any, Any]],
    seed: object = 0,
    *,
    shuffle: bool = True,
    inline: bool = True,
    max_passes: int = 200_000,
) -> Ended:
    """Run ``main()`` on a virtual loop of its own and tell what became of it: what it gave or raised, and how late.

    Takes the same arguments as `VirtualLoop`.

    Raises:
        LeftOver: Tasks are alive or async generators open when it ends, or the loop's exception handler was called.
        Deadlock: It waits for what can never happen.
        Runaway: It keeps the loop busy for ever.
    """
    check_main("end_of", main)
    return _ended(main, VirtualLoop(seed, shuffle=shuffle, inline=inline, max_passes=max_passes))


def run_virtual(
    main: Callable[[], Coroutine[Any, Any, T]],
    seed: object = 0,
    *,
    shuffle: bool = True,
    inline: bool = True,
    max_passes: int = 200_000,
) -> T:
    """Run ``main()`` on a virtual loop of its own, and give what it returns or raise what it raises.

    Nothing is waited for: the clock jumps from timer to timer. The seed decides in which order tasks take their turns,
    so try several. Takes the same arguments as `VirtualLoop`; the loop is closed at the end.

    Args:
        main: Makes the coroutine; called once. It may be a bound method such as ``engine.run``.
        seed: Of the order of turns; the same seed gives the same run.
        shuffle: See `VirtualLoop`.
        inline: See `VirtualLoop`.
        max_passes: See `VirtualLoop`.

    Raises:
        LeftOver: Tasks are alive or async generators open when it ends, or the loop's exception handler was called.
        Deadlock: It waits for what can never happen.
        Runaway: It keeps the loop busy for ever.
    """
    check_main("run_virtual", main)
    loop = VirtualLoop(seed, shuffle=shuffle, inline=inline, max_passes=max_passes)
    value: T = _ended(main, loop).result()
    return value


def _ended(main: Callable[[], Coroutine[Any, Any, Any]], loop: VirtualLoop) -> Ended:
    try:
        task = loop.create_task(main(), name="main")
    except BaseException:
        loop.close()
        raise
    ended = play(loop, task)
    ended.demand_tidiness()
    return ended
