"""``Strand``: one task's share of a domain: the steps that are ready, and those that are to be awaited.

A strand runs what is ready inline (``drive``), keeps the first step that must be awaited and awaits it. The others
wait in ``pending`` and get tasks of their own only when the loop gets control back, because the step that is awaited
has really suspended. So a graph of ``def`` makes no task, a chain of ``async def`` no further one, a fan-out to k
steps that suspend k - 1, and coroutines that never suspend cost none at all.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter_ns
from typing import Any

from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain
from hush.core._runtime._driving import Driving, Pending
from hush.core._runtime._frame import Ready
from hush.core._runtime._run import Raised, Run
from hush.core._spec._model import TAGS


class Strand(Driving):
    """One line of execution in ``domain``, in a task that is spawned for it.

    Attributes:
        first: The step that it was spawned to await, if it was.
        context: The context variables that every step of this strand starts from.
    """

    __slots__ = ("_spawning", "context", "first")

    # Those of a ``HostStrand``, as in ``Driving``.
    spawned = True
    held_back = True  # by whoever listens to the run, while they cannot take more
    next: Callable[[], bool] | None = None

    def __init__(self, run: Run, domain: Domain, context: Context | None, first: Pending | None = None) -> None:
        self.run = run
        self.domain = domain
        self.context = context
        self.first = first
        self.task = None
        self.ready = []
        self.pending = ()
        self._spawning = False

    def stop(self) -> None:
        """Forget what was still to do: the domain is ending."""
        self.ready.clear()
        pending, self.pending = self.pending, ()
        tracing = self.run.tracing
        for frame, step, awaitable in pending if self.first is None else (self.first, *pending):
            if awaitable is not None:
                self.domain.drop(awaitable)
                if tracing is not None:
                    tracing.node_cancelled(frame, step)
        self.first = None

    async def work(self) -> None:  # noqa: C901  # one coroutine for each task, not two
        """Drive and await until nothing is left for this task.

        What a spawned strand raises is told to its domain, what the host's raises to ``conduct``.
        """
        run, domain, ready = self.run, self.domain, self.ready
        budget, tracing, floor = run.budget, run.tracing, self.floor
        terse = None if tracing is None else self.quick or tracing.quick
        each = tracing if terse is None else None
        frame: Any = None
        then: int | None = None  # of the same frame, to be awaited next
        spare: Any = None  # for one call after the other
        begun: Any = None
        at_hand: Any
        following: Any
        now: Any
        told_ns = 0
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        try:
            context = self.context
            if context is None:
                self.context = context = copy_context()
            variables = len(context)
            while True:
                if then is not None:
                    step, then, awaitable = frame.plan.steps[then], None, None
                elif self.first is not None:
                    (frame, step, awaitable), self.first = self.first, None
                elif len(ready) == 1 and not self.pending and ready[0][1].awaited and ready[0][0].marks is None:
                    # One step that is to be awaited, and nothing else: no need to drive for that.
                    frame, step = ready.pop()
                    awaitable = None
                else:
                    while ready and not self.drive():
                        self._spawn_pending()
                        await budget.turn(served=True)
                        await self._room()
                    if not self.pending:
                        return
                    frame, step, awaitable = self.pending.popleft()
                if tracing is not None and tracing.held:
                    self.first = frame, step, awaitable
                    self._spawn_pending()
                    await self._room()
                    continue
                # Since it became ready, a soft predecessor that it reads may have failed.
                if frame.marks is not None and awaitable is None and not self.may_run(frame, step):
                    continue
                if self.pending and not self._spawning:
                    self._spawning = True
                    domain.loop.call_soon(self._suspended)
                try:
                    if awaitable is None:
                        if terse is not None and step.begin is None:
                            if spare is None:
                                spare = terse.spare()
                            begun = spare
                            begun.frame = frame  # ``Begun.begin``, spelt out
                            begun.step = step
                            begun.item = frame.item
                            begun.number = next(terse.numbers)
                            begun.ready_ns = 0
                            begun.started_ns = perf_counter_ns()
                            reading = step.reading
                            plainly = terse.direct and reading is not None and reading.slots is not None
                            awaitable = step.call(frame.slots) if plainly else terse.call(begun)
                        else:
                            if tracing is not None:
                                tracing.node_started(frame, step)
                            if step.begin is not None:
                                awaitable = step.begin(self, frame, step)
                            elif tracing is None or not tracing.sees_calls:
                                awaitable = step.call(frame.slots)
                            else:
                                awaitable = tracing.call(frame, step)
                    out = await awaitable
                    awaitable = None
                    if type(out) is Raised:
                        self.failed(frame, step, out.error, own=True)
                    elif domain.closing or self.task.cancelling() > floor:
                        if terse is not None and begun is not None:
                            terse.tell_begun(begun)
                        if tracing is not None and domain.closing:
                            tracing.node_cancelled(frame, step)  # else ``failed`` tells it
                        self._check_cancelled()
                    elif type(out) is dict and TAGS not in out and (tracing is None or begun is not None):
                        if terse is None:
                            then = frame.settle_then(step, out, ready)
                        else:
                            told_ns = perf_counter_ns()
                            then = terse.ended(begun, out, ready, told_ns)
                            if then is not None:
                                terse.note_ready(frame, frame.plan.steps[then], told_ns)
                    elif each is not None and type(out) is dict and TAGS not in out and step.begin is None:
                        told_ns = perf_counter_ns()
                        then = each.node_ran(frame, step, out, ready, told_ns)
                    else:
                        if terse is not None and begun is not None:
                            terse.tell_begun(begun)
                        self.settle(frame, step, out)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    if terse is not None and begun is not None:
                        terse.tell_begun(begun)
                    self.failed(frame, step, exc)
                awaitable = out = begun = None  # what nobody reads dies now
                if then is not None and (self.pending or not frame.plan.steps[then].awaited):
                    ready.append((frame, frame.plan.steps[then]))  # it is ready like others
                    then = None
                if not frame.left and frame.owner is not None:
                    self.complete(frame)
                at_hand, following = then is not None or ready or self.pending, self.next
                if not at_hand and (following is None or domain.members):
                    return
                now = copy_context()
                if len(now) != variables or (variables and not unchanged(context, now)):
                    # The step set a context variable in this task: what follows goes on in one that has not seen it.
                    if then is not None:
                        ready.append((frame, frame.plan.steps[then]))
                    if at_hand:
                        self._move()
                    return
                now_ns, told_ns = told_ns or perf_counter_ns(), 0
                if not at_hand:
                    spent = now_ns > budget.limit_ns and budget.must_wait(now_ns)
                    if spent or following is None or not following():
                        return
                    continue
                if now_ns > budget.limit_ns and budget.must_wait(now_ns):
                    if then is not None:
                        ready.append((frame, frame.plan.steps[then]))
                        then = None
                    self._spawn_pending()
                    await budget.turn(served=False)
                    self._check_cancelled()
        except BaseException as exc:
            self.stop()  # a worker of a map uses its strand again
            if not self.spawned:
                raise
            # A cancellation of this task alone comes from someone who is not of this run, as at the end of a loop.
            # Anything else would be a fault of the engine, and not even that may be lost.
            if not (isinstance(exc, CancelledError) and domain.closing):
                domain.fail(exc, self.task)
        finally:
            if terse is not None and spare is not None:
                terse.give_back(spare)
            frame = tracing = terse = each = begun = spare = at_hand = following = now = None  # as in ``drive``
            if self.spawned:
                domain.leave(self)

    async def _room(self) -> None:
        """Wait until whoever listens to the run can take more."""
        tracing = self.run.tracing
        if tracing is not None and tracing.held:
            await tracing.room()
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        """After an await: stop if the domain is ending, and pass on a cancellation that a step swallowed."""
        if self.domain.closing:
            self.stop()
        elif self.task.cancelling() > self.floor:
            self.stop()
            raise CancelledError

    def _suspended(self) -> None:
        """The loop has control, so the step that is awaited has suspended, if it has not ended meanwhile."""
        self._spawning = False
        if not self.domain.closing:
            self._spawn_pending()

    def _spawn_pending(self) -> None:
        """Give the steps that are to be awaited tasks of their own."""
        pending, self.pending = self.pending, ()
        run, domain, context = self.run, self.domain, self.context
        for one in pending:
            domain.spawn(Strand(run, domain, context, one), one[1].path)

    def _move(self) -> None:
        ready, self.ready = self.ready, []
        self.hand_on(ready, self.pending)
        self.pending = ()

    def hand_on(self, ready: Ready, pending: deque[Pending] | tuple[()] = ()) -> None:
        """Let a strand of its own do these steps, from the context variables that this one starts from."""
        assert self.context is not None
        strand = Strand(self.run, self.domain, self.context)
        strand.ready, strand.pending = ready, pending
        # A copy: the task sets its variables in the very context that it is given.
        self.domain.spawn(strand, self.task.get_name(), self.context.copy())


class HostStrand(Strand):
    """The strand in the task of a domain's host.

    Attributes:
        next: As ``more``, when nothing is to be awaited either.
    """

    __slots__ = ("floor", "more", "next", "quick", "timed")

    spawned = False

    def __init__(self, run: Run, domain: Domain, host: asyncio.Task[Any], floor: int) -> None:
        super().__init__(run, domain, None)
        self.task = host
        self.floor = floor
        self.more = self.next = None
        self.timed = False
        self.quick = None
