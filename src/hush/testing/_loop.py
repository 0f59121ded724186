"""An asyncio loop whose time jumps and whose tasks take turns in an order that a seed decides.

`VirtualLoop.time()` is a number that nobody waits for: when nothing is ready it jumps to the next timer. When there is
no timer either, nothing can ever happen again, and `Deadlock` says which tasks wait for it.

Before each pass the steps of different tasks that lie in the ready queue change places. Everything else there keeps its
place, so whoever relies on the order of `call_soon` is right to.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

from hush.core.protocols import guard_codes
from hush.testing._left import Leak
from hush.testing._tasks import alive_on, place_of_caller
from hush.testing._threads import is_idle

# How long, in real seconds, an idle loop waits for what lies outside of it: for threads and sockets of which it cannot
# know whether they will ever call, and for calls in its own executors, which will.
PATIENCE_S = 2.0
PATIENCE_FOR_CALLS_S = 60.0

T = TypeVar("T")
Args = TypeVarTuple("Args")

_hearers: list[list[Leak]] = []


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and nothing outside of the loop answers: it would wait for ever."""


class Runaway(AssertionError):
    """The loop made more passes than anything under test should need."""


def hear(complaints: list[Leak]) -> None:
    """Add what closed loops are told to this list as well, until ``stop_hearing``."""
    _hearers.append(complaints)


def stop_hearing(complaints: list[Leak]) -> None:
    """The end of ``hear``; asked of a list that does not hear, nothing happens."""
    _hearers[:] = [each for each in _hearers if each is not complaints]


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
            return self._wait_outside()
        if self._loop._away:
            events = super().select(PATIENCE_S)
            if events:
                return events
            self._loop._away.clear()  # a call that takes that long, or waits for this loop: the clock goes on
        self._loop._jump()
        return []

    def _wait_outside(self) -> list[Any]:
        patience_s = PATIENCE_FOR_CALLS_S if self._loop._away else PATIENCE_S if self._someone_may_call() else 0
        events = super().select(patience_s)
        if not events:
            words = [f"nothing can ever happen again (seed {self._loop.seed!r}, {self._loop.time():g} s); alive are:"]
            words += [f"  {each}" for each in alive_on(self._loop)]
            words.append("Something waits for an event, queue or future that nobody is left to set.")
            raise Deadlock("\n".join(words))
        return events

    def _someone_may_call(self) -> bool:
        if len(self.get_map()) > 1:  # the loop itself watches one descriptor
            return True
        here = threading.current_thread()
        return any(each is not here and self._may_call(each) for each in threading.enumerate())

    def _may_call(self, thread: threading.Thread) -> bool:
        if thread.name.startswith("hush"):
            return not self._loop.runs_inline
        return not is_idle(thread)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time, seeded turns and counted passes.

    ``time()`` starts at 0 and jumps to the next timer whenever nothing is ready. Only what asks the loop sees virtual
    time: ``asyncio.sleep``, ``asyncio.timeout``, ``call_later``, and all of Hush's timeouts; ``time.sleep`` and
    ``time.monotonic`` are the machine's. While a call in an executor is under way (``asyncio.to_thread``) the clock
    stands still, for two real seconds at most. Sockets work, but their peers know nothing of this loop's time.

    The same seed gives the same turns, if the code under test depends on nothing else. Use `run_virtual`, or give the
    class to asyncio: ``asyncio.Runner(loop_factory=VirtualLoop)``.

    Args:
        seed: Of the order in which tasks take their turns: a number, a string, or whatever always has the same
            ``repr``.
        shuffle: Whether they change places at all; if not, turns are those of asyncio.
        inline: Whether Hush is to call every ``def`` on the loop, so that a run depends on nothing but its seed. If
            not, ``def``s run in threads as usual, and time jumps whether or not they are at work.
        max_passes: How many passes are so many that something must be wrong.

    Attributes:
        passes: How many passes it has made.
        seed: As given.
        complaints: What its exception handler was told while it was open.
        runs_inline: As given by ``inline``; the engine reads it.
    """

    _ready: deque[Any]
    _scheduled: list[Any]
    _clock_resolution: float

    def __init__(
        self, seed: object = 0, *, shuffle: bool = True, inline: bool = True, max_passes: int = 200_000
    ) -> None:
        self.runs_inline = inline
        self.seed = seed
        self.passes = 0
        self.complaints: list[Leak] = []
        self._max_passes = max_passes
        self._away: set[asyncio.Future[Any]] = set()
        self._now = 0.0
        self._turns = random.Random(repr(seed)) if shuffle else None
        self._guards: list[Any] = []
        self._hooks: defaultdict[int, list[Callable[[], object]]] = defaultdict(list)
        self._born: WeakKeyDictionary[asyncio.Task[Any], tuple[int, str]] = WeakKeyDictionary()
        self._births = 0
        super().__init__(_JumpingSelector(self))
        self.set_exception_handler(_note_complaint)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _jump(self) -> None:
        """Make it as late as the next timer wants it."""
        self._now = max(self._now, self._scheduled[0].when())
        self._clock_resolution = max(1e-9, math.ulp(self._now))  # or that timer would never count as due

    def at_pass(self, number: int, hook: Callable[[], object]) -> None:
        """Call ``hook`` when the given pass begins, before anything else happens in it. The first pass is 1."""
        self._hooks[number].append(hook)

    def made_at(self, task: asyncio.Task[Any]) -> str:
        """``file:line`` of the user's code that made the task, or nothing if it is not known."""
        return self._born.get(task, (0, ""))[1]

    # --- what asyncio calls -------------------------------------------------------------------------------
    def call_soon(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            self._note_birth(task)  # its first step, so this is its maker's call
        return super().call_soon(callback, *args, context=context)

    def set_task_factory(self, factory: Any) -> None:
        """As for every loop. Tasks that begin eagerly are noted when the factory gives them."""

        def noting(loop: Any, coro: Any, **options: Any) -> Any:
            task = factory(loop, coro, **options)
            self._note_birth(task)
            return task

        super().set_task_factory(None if factory is None else noting)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        """As for every loop. The clock stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._away.add(future)
        future.add_done_callback(self._away.discard)
        return future

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        # An engine that nobody holds any more closes what it has opened: here at the end, since a task that did so
        # would be one that the code under test has left behind.
        if agen.ag_code in guard_codes:
            self._guards.append(agen)
        else:
            super()._asyncgen_finalizer_hook(agen)  # type: ignore[misc]  # asyncio has no types for it

    def end_guards(self) -> None:
        """Close what engines had opened that are gone."""
        while self._guards:
            self.run_until_complete(self._guards.pop().aclose())

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncio's name
        """As for every loop, but without the timeout, which would be over at once: threads end in real time."""
        await super().shutdown_default_executor()

    def _run_once(self) -> None:
        self.passes += 1
        if self.passes > self._max_passes:
            words = [f"{self.passes} passes, and it is {self._now:g} s (seed {self.seed!r}); alive are:"]
            words += [f"  {each}" for each in alive_on(self)]
            words.append("Something keeps the loop busy without waiting for anything. max_passes= allows for more.")
            raise Runaway("\n".join(words))
        for hook in self._hooks.pop(self.passes, ()):
            hook()
        if self._turns is not None:
            self._shuffle(self._turns)
        cast("Any", super())._run_once()

    # --- turns --------------------------------------------------------------------------------------------
    def _note_birth(self, task: asyncio.Task[Any]) -> None:
        if task not in self._born:
            self._births += 1
            self._born[task] = (self._births, place_of_caller())

    def _shuffle(self, turns: random.Random) -> None:
        # A copy made in one step: threads may call ``call_soon_threadsafe`` meanwhile, which adds at the end only.
        ready = list(self._ready)
        places = [at for at, handle in enumerate(ready) if _steps_a_task(handle)]
        if len(places) < 2:
            return
        # In order of their making first. asyncio keeps tasks in sets and wakes them in the order of their addresses,
        # which no seed decides.
        handles = sorted((ready[at] for at in places), key=self._birth_of)
        turns.shuffle(handles)
        for at, handle in zip(places, handles, strict=True):
            self._ready[at] = handle

    def _birth_of(self, handle: Any) -> int:
        return self._born[handle._callback.__self__][0]


def _steps_a_task(handle: Any) -> bool:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    return isinstance(owner, asyncio.Task) and getattr(callback, "__name__", "") != "cancel"


def _note_complaint(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    about = [repr(context[key]) for key in ("exception", "task", "future", "handle") if context.get(key) is not None]
    told = Leak(
        "complaint",
        f"{context['message']}: {', '.join(about)}",
        mend="Await what failed, or handle the error where it is raised.",
    )
    if not loop.is_closed() and isinstance(loop, VirtualLoop):
        loop.complaints.append(told)
        return
    for hearer in _hearers:
        hearer.append(told)
    if not _hearers:
        loop.default_exception_handler(context)  # a task collected late: its error must not go unheard
