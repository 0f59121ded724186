"""``Domain``: a failure domain and its nursery. What fails in it ends all of it; nothing in it outlives it.

The host is the task that awaits the domain (``conduct``); members are the tasks spawned in it. When something fails,
members and host are cancelled and awaited, then the host is told. The rules are ``asyncio.TaskGroup``'s, with three
differences: one failure is not wrapped in a group, a timer may fail a domain, and ``conduct`` gives the failure back
instead of raising it, so that it is never mistaken for the host's own cancellation.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from functools import partial
from types import CoroutineType
from typing import Any, Protocol

from hush.core._runtime._frame import Frame


class Member(Protocol):
    """What runs in a task of a domain."""

    task: Any  # an asyncio.Task, once it has begun

    def work(self) -> Coroutine[Any, Any, None]:
        """The task's coroutine. It calls ``domain.leave(self)`` when it ends."""
        ...

    def stop(self) -> None:
        """Drop what was still to do."""
        ...


_plain_create_task = asyncio.BaseEventLoop.create_task


def task_maker(loop: asyncio.AbstractEventLoop) -> Callable[..., asyncio.Task[Any]]:
    """How tasks are made on ``loop``: its own way, past its checks where that comes to the same.

    They are a tenth of what a task costs.
    """
    if type(loop).create_task is _plain_create_task and loop.get_task_factory() is None:
        return partial(asyncio.Task, loop=loop)
    return loop.create_task


class EndTold(CancelledError):
    """A step ends whose failure has been told (``fail_early``)."""


class Domain:
    """One failure domain.

    Attributes:
        host: The task that awaits it.
        floor: ``host.cancelling()`` when it began: more than that is a cancellation from outside.
        outer: The domain in which it is awaited.
        around: The frame in which its step stands, where its own frames do not know of one.
        fatal: Whether its failure fails that one too: nobody handles it.
        errors: What failed on its own, in order of time.
        dropped: Futures that functions returned and nobody awaited, cancelled and waited for at the end.
        closing: Whether everything in it is being cancelled: it starts nothing any more.
        why: What was said when the host was cancelled from outside.
    """

    __slots__ = (
        "_host_cancelled",
        "_host_works",
        "_idle",
        "_inner",
        "_make_task",
        "around",
        "closing",
        "dropped",
        "errors",
        "fatal",
        "floor",
        "host",
        "loop",
        "members",
        "outer",
        "why",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: asyncio.Task[Any],
        outer: Domain | None = None,
        *,
        fatal: bool = False,
        around: Frame | None = None,
    ) -> None:
        self.loop = loop
        self.host = host
        self.outer = outer
        self.fatal = fatal
        self.around = around
        self._inner: set[Domain] = set()
        self.floor = host.cancelling()
        self.members: set[Member] = set()
        self.errors: list[BaseException] = []
        self.dropped: list[asyncio.Future[Any]] = []
        self.closing = False
        self._host_works = True
        self._host_cancelled = False
        self.why: tuple[Any, ...] = ()
        self._idle: asyncio.Future[None] | None = None
        self._make_task: Callable[..., asyncio.Task[None]] | None = None

    # --- members ------------------------------------------------------------------------------------------
    def spawn(self, member: Member, name: str, context: Context | None = None) -> None:
        """Run ``member`` in a task of its own."""
        make = self._make_task
        if make is None:
            make = self._make_task = task_maker(self.loop)
        self.members.add(member)  # first: an eager task may end before it is given here
        member.task = make(member.work(), name=name, context=context)

    def leave(self, member: Member) -> None:
        """``member`` has nothing more to do; its task is about to end."""
        self.members.discard(member)
        if self._idle is not None and not self.members and not self._idle.done():
            self._idle.set_result(None)

    def round(self, frame: Frame) -> int | None:
        """The round of the innermost loop around ``frame``, which runs in this domain."""
        number = frame.round()
        domain: Domain | None = self
        while number is None and domain is not None:
            if domain.around is not None:
                number = domain.around.round()
            domain = domain.outer
        return number

    # --- failing ------------------------------------------------------------------------------------------
    def fail(self, error: BaseException, by: asyncio.Task[Any] | None = None) -> None:
        """Something failed on its own, in the task ``by``: end everything else."""
        self.errors.append(error)
        self.close(by)
        domain = self
        while domain.fatal and domain.outer is not None:
            # The failure comes out when this domain has ended; what it will end anyway need not wait for that.
            domain.outer.close(domain.host)
            domain = domain.outer

    def close(self, by: asyncio.Task[Any] | None = None) -> None:
        """Cancel the members and the host, all but the task ``by``, which ends by itself."""
        if self.closing:
            return
        self.closing = True
        for member in tuple(self.members):
            if member.task is not by and member.task is not None:
                member.task.cancel()
                member.task.add_done_callback(partial(self._gone, member))
        for domain in self._inner:
            # Its host is one of the tasks cancelled here; its members need not wait until that one has cleaned up.
            domain.close(domain.host)
        if self._host_works and self.host is not by:
            self._host_cancelled = True
            self.host.cancel()

    def _gone(self, member: Member, _: asyncio.Task[Any]) -> None:
        # A task that is cancelled before its first step never comes to leave by itself.
        if member in self.members:
            member.stop()
            self.leave(member)

    def drop(self, awaitable: Any) -> None:
        """Nobody will await ``awaitable``, which a function returned: end it, and wait for it if it is at work."""
        if isinstance(awaitable, asyncio.Future):
            awaitable.cancel()
            self.dropped.append(awaitable)
        elif isinstance(awaitable, CoroutineType):
            awaitable.close()

    def host_cancelled(self) -> None:
        """The host was cancelled while it runs a step that lingers: cancel the others meanwhile.

        As far out as the request comes from further out: what a domain asked of its host itself ends there. It is
        called where the cancellation is caught, and remembers what that says, since it may not be raised on from there.
        """
        domain: Domain | None = self
        request, ours = sys.exception(), 0
        why = request.args if isinstance(request, CancelledError) else ()
        while domain is not None and domain.host is self.host:
            ours += domain._host_cancelled
            if self.host.cancelling() <= domain.floor + ours:
                return
            why = domain.why = domain.why or why  # a member may call this, when the host has heard why
            domain.close(self.host)
            domain = domain.outer

    async def conduct(self, work: Callable[[], Coroutine[Any, Any, None]]) -> BaseException | None:
        """Do ``work`` in the host's task and wait for all members; give what failed.

        Raises ``CancelledError`` only if the host was cancelled from outside and nothing failed: a failure is told
        even then, as ``TaskGroup`` does, and the request stays in ``host.cancelling()``.
        """
        cancelled: CancelledError | None = None
        if self.outer is not None:
            self.outer._inner.add(self)
        try:
            await work()
        except CancelledError as exc:
            cancelled, self.why = exc, self.why or exc.args
            self.close(self.host)
        except BaseException as exc:  # nothing may be lost, not even a fault of the engine
            self.fail(exc, self.host)
        self._host_works = False
        while self.members or self.dropped:
            try:
                if self.members:
                    self._idle = self.loop.create_future()
                    await self._idle
                else:
                    await asyncio.wait(self.dropped)
                    self.dropped = []
            except CancelledError as exc:
                cancelled, self.why = exc, self.why or exc.args
                self.close(self.host)
        if self._host_cancelled:
            self._host_cancelled = False
            self.host.uncancel()
            if getattr(self.host, "_must_cancel", False) and self.host.cancelling() <= self.floor:
                # An eager task failed while the host that made it was itself running. What was asked of the host then
                # would come at its next await, in the caller's code (before Python 3.13).
                try:
                    await asyncio.sleep(0)
                except CancelledError as exc:
                    cancelled = exc if self.host.cancelling() > self.floor else cancelled
        if self.outer is not None:
            self.outer._inner.discard(self)
        if self.errors:
            return combined(self.errors)
        if cancelled is not None and (cancelled.args or not self.why):
            raise cancelled
        if cancelled is not None or self.closing:
            raise CancelledError(*self.why)  # as ``host_cancelled`` told
        return None

    def reset(self) -> None:
        """Make a finished domain ready for the next item of the same host."""
        self.errors = []
        self.closing = False
        self._host_works = True
        self.why = ()


def combined(errors: Sequence[BaseException]) -> BaseException:
    """One failure as it is, several as a group; what was already such a group is taken apart first."""
    flat: list[BaseException] = []
    for error in errors:
        if parts := parts_of(error):
            flat += parts
        elif not any(error is other for other in flat):
            flat.append(error)
    if len(flat) == 1:
        return flat[0]
    if all(isinstance(error, CancelledError) for error in flat):
        return flat[0]
    group = BaseExceptionGroup(f"{len(flat)} nodes failed", flat)
    group.__dict__[_OURS] = True
    return group


_OURS = "_hush_made"


def parts_of(error: BaseException) -> tuple[BaseException, ...]:
    """What a group that ``combined`` made is made of; nothing of anything else."""
    if isinstance(error, BaseExceptionGroup) and error.__dict__.get(_OURS):
        return error.exceptions
    return ()


def is_ordinary(error: BaseException) -> bool:
    """Whether an error is one that may be handled or collected: not a ``KeyboardInterrupt`` or its like."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_ordinary(part) for part in error.exceptions)
    return isinstance(error, Exception | CancelledError)
