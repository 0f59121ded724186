"""An asyncio loop whose time jumps and whose tasks take turns in an order that a seed decides.

`VirtualLoop.time()` is a number that nobody waits for: when nothing is ready it jumps to the next timer. When there is
no timer either, nothing can ever happen again, and `Deadlock` says which tasks wait for it. Only time is virtual:
sockets work, but their peers' real time and this loop's have nothing to do with each other.

Before each pass the steps of different tasks that lie in the ready queue change places. Everything else there keeps its
place, so whoever relies on the order of `call_soon` is right to.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

# How long, in real seconds, an idle loop waits for a thread that might still call `call_soon_threadsafe`.
THREAD_PATIENCE_S = 2.0

# Said to a loop's exception handler after the loop was closed, by tasks that were collected late.
overheard: list[str] = []


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and no thread is there that could change it."""


class Runaway(AssertionError):
    """The loop made more passes than anything under test should need."""


class LeftOver(AssertionError):
    """Something outlived the coroutine that the loop ran, or complained to the loop."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never blocks: where the real one would sleep until a timer, this one moves the loop's clock to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            return self._wait_for_threads()
        self._loop.jump()
        return []

    def _wait_for_threads(self) -> list[Any]:
        threads = threading.enumerate()
        if self._loop.runs_inline:
            threads = [each for each in threads if not each.name.startswith("hush")]
        events = super().select(THREAD_PATIENCE_S) if len(threads) > 1 else []
        if not events:
            raise Deadlock("\n".join(["nothing can ever happen again; alive are:", *describe_tasks(self._loop)]))
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """One coroutine's world: virtual time, seeded turns, counted passes.

    Args:
        seed: Of the order in which tasks take their turns.
        shuffle: Whether they change places at all.
        inline: Whether the engine is to call every `def` on the loop, so that a run depends on nothing but its seed.
            With threads, time jumps whether or not they are at work.
        max_passes: How many passes are so many that something must be wrong.
    """

    def __init__(
        self, seed: object = None, *, shuffle: bool = True, inline: bool = True, max_passes: int = 200_000
    ) -> None:
        self.runs_inline = inline  # the engine reads it
        self._now = 0.0
        self.passes = 0
        self.complaints: list[str] = []
        self._max_passes = max_passes
        self._turns = random.Random(repr(seed)) if shuffle else None
        self._hooks: defaultdict[int, list[Callable[[], object]]] = defaultdict(list)
        super().__init__(_JumpingSelector(self))
        self.set_exception_handler(_note_complaint)

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        """Make it as late as the next timer wants it."""
        self._now = max(self._now, self._scheduled[0].when())

    def at_pass(self, number: int, hook: Callable[[], object]) -> None:
        """Call the hook when the given pass begins, before anything else happens in it. The first pass is 1."""
        self._hooks[number].append(hook)

    def _run_once(self) -> None:
        self.passes += 1
        if self.passes > self._max_passes:
            raise Runaway(f"{self.passes} passes at {self._now} s; alive are:\n" + "\n".join(describe_tasks(self)))
        for hook in self._hooks.pop(self.passes, ()):
            hook()
        if self._turns is not None:
            self._shuffle(self._turns)
        super()._run_once()

    def _shuffle(self, turns: random.Random) -> None:
        places = [place for place, handle in enumerate(self._ready) if _steps_a_task(handle)]
        if len(places) < 2:
            return
        handles = [self._ready[place] for place in places]
        turns.shuffle(handles)
        for place, handle in zip(places, handles, strict=True):
            self._ready[place] = handle


def _steps_a_task(handle: Any) -> bool:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    return isinstance(owner, asyncio.Task) and getattr(callback, "__name__", "") != "cancel"


def _note_complaint(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    words = f"{context['message']}: {context.get('exception', '')!r} {context.get('task', context.get('future', ''))!r}"
    (overheard if loop.is_closed() else loop.complaints).append(words)


def describe_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """One line for each task that is not done, with the innermost line of the user's code it stands at."""
    lines = []
    for task in asyncio.all_tasks(loop):
        stack = task.get_stack(limit=1)
        where = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
        lines.append(f"  {task.get_name()} {task.get_coro()!r}{where}")
    return sorted(lines)


@dataclass
class Ended:
    """What became of one coroutine on a virtual loop, and what it left behind."""

    value: Any = None
    error: BaseException | None = None
    cancelling: int = 0
    passes: int = 0
    at_s: float = 0.0
    left: list[str] = field(default_factory=list)

    def demand_tidiness(self) -> None:
        """Raise if it hung, or left something behind."""
        if isinstance(self.error, (Deadlock, Runaway)):
            raise self.error
        if self.left:
            raise LeftOver("\n".join(self.left)) from self.error

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
                raise  # Ctrl-C, or a bug of the kit's
            ended.error = error
        ended.cancelling, ended.passes, ended.at_s = main.cancelling(), loop.passes, loop.time()
        ended.left += [f"a task is alive:{line}" for line in describe_tasks(loop)]
        ended.left += [f"an async generator is open: {each!r}" for each in loop._asyncgens if each.ag_frame is not None]
        ended.left += [f"the loop was told: {words}" for words in loop.complaints]
        return ended
    finally:
        _clear_away(loop)


def _clear_away(loop: VirtualLoop) -> None:
    loop.complaints = []
    loop._max_passes = loop.passes + 1000
    try:
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except (Deadlock, Runaway):
        loop.set_exception_handler(lambda *_: None)  # what hangs even then was reported already
    finally:
        loop.close()


def end_of(coro_fn: Callable[[], Coroutine[Any, Any, Any]], seed: object = None, **options: Any) -> Ended:
    """Run one coroutine on a loop of its own and tell what became of it.

    Raises:
        LeftOver: Tasks are alive or async generators open when it ends, or the loop's exception handler was called.
        Deadlock: It waits for what can never happen.
        Runaway: It keeps the loop busy for ever.
    """
    loop = VirtualLoop(seed, **options)
    ended = play(loop, loop.create_task(coro_fn(), name="main"))
    ended.demand_tidiness()
    return ended


def run_virtual(
    coro_fn: Callable[[], Coroutine[Any, Any, Any]], seed: object = None, shuffle: bool = True, **options: Any
) -> Any:
    """Run one coroutine on a loop of its own and give what it gives; raises what `end_of` raises besides."""
    return end_of(coro_fn, seed, shuffle=shuffle, **options).result()
