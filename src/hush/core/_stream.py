"""``Stream``: the events of a run as an async iterator, with a bounded buffer between the run and its reader."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Self

from hush.core._plan._model import Plan
from hush.core._result import Result
from hush.core._runtime._listening import Listener
from hush.core._runtime._run import Run
from hush.core._runtime._tracing import Tracing
from hush.core.errors import UsageError, nearest
from hush.core.events import Event, ItemFailed, ItemFinished

_LEFT = "nobody reads its stream any more"


class Buffer(Listener):
    """Events that wait to be read. When it is full the run is held back until half of it has been read."""

    def __init__(self, limit: int, items_of: str | None) -> None:
        self.events: deque[Event] = deque()
        self._limit = limit
        self._items_of = items_of
        self._reader: asyncio.Future[None] | None = None

    def attach(self, tracing: Tracing, run: Run) -> None:
        super().attach(tracing, run)
        tracing.items_of = self._items_of
        tracing.streams = self._items_of is None

    def emit(self, event: Event, /) -> None:
        if self._items_of is not None and not (
            isinstance(event, ItemFinished | ItemFailed) and event.path == self._items_of
        ):
            return
        self.events.append(event)
        if len(self.events) >= self._limit and not self.tracing.held:
            self.tracing.hold(held=True)
        self.wake()

    def take(self) -> Event:
        """The oldest event."""
        event = self.events.popleft()
        if self.tracing.held and len(self.events) <= self._limit // 2:
            self.tracing.hold(held=False)
        return event

    def wake(self) -> None:
        """There is something to read, or the run has ended."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def filled(self) -> None:
        """Wait for ``wake``. One may wait at a time: of two, each event would reach one, and nobody knows which."""
        if self._reader is not None:
            raise UsageError(
                "two tasks read the same stream at once. Read it in one, and hand on what it gives, as through an "
                "asyncio.Queue; or run the graph twice."
            )
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None


class Stream:
    """The events of one run, in order: an async iterator, and an async context manager around it.

    The run begins with the first event that is asked for. It is cancelled when the iterator is left: at once, where
    nothing else refers to it; by ``aclose()`` or at the end of ``async with`` it is also awaited.
    """

    def __init__(self, buffer: Buffer, make: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        self._buffer = buffer
        self._make = make
        self._task: asyncio.Task[Result] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._make())
            self._task.add_done_callback(lambda _, wake=self._buffer.wake: wake())  # type: ignore[misc]
        while not self._buffer.events:
            if self._task.done():
                self._ended = True
                self._task.result()  # raises what the run raised
                raise StopAsyncIteration
            try:
                await self._buffer.filled()
            except CancelledError:
                self._ended = (
                    True  # or who was only late, as in `wait_for(anext(stream), 1)`, was told that he is cancelled
                )
                await self._end()
                raise
        return self._buffer.take()

    async def aclose(self) -> None:
        """Cancel the run, if it has not ended, and wait for it. Raises what it failed with meanwhile."""
        told, self._ended = self._ended, True
        task = self._task
        if task is None or told:
            return
        await self._end()

    async def _end(self) -> None:
        """Cancel the run and wait for it, whatever cancellations come meanwhile. Raises what it failed with.

        Even if the reader was cancelled: as of `run`, a failure is told, and the request stays in ``cancelling()``.
        """
        task, cancelled = self._task, None
        assert task is not None
        if not task.done():
            task.cancel(_LEFT)
        while not task.done():
            try:
                await asyncio.wait([task])
            except CancelledError as exc:
                cancelled = exc
        if not task.cancelled():
            task.result()
        if cancelled is not None:
            raise cancelled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None:
            await self.aclose()
        elif self._task is not None:
            self._ended = True
            try:
                await self._end()
            except CancelledError:
                raise
            except BaseException:
                if isinstance(exc, CancelledError):
                    raise
                # The reader's own failure goes first.

    def __del__(self) -> None:
        task, loop = self._task, self._loop
        if task is None or loop is None or task.done() or loop.is_closed():
            return
        if asyncio._get_running_loop() is loop:
            task.cancel(_LEFT)
        else:
            loop.call_soon_threadsafe(task.cancel, _LEFT)


def map_called(name: str, root: Plan) -> str:
    """The path of the map that ``name`` means: its path, with or without the root's name, or its own name alone."""
    paths: list[str] = []
    todo = [root]
    while todo:
        plan = todo.pop()
        for step in plan.steps:
            if step.map is not None:
                paths.append(step.path)
            if step.body is not None:
                todo.append(step.body)
    for meant in (name, f"{root.path}/{name}"):
        if meant in paths:
            return meant
    found = [path for path in paths if path.rsplit("/", 1)[-1] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"items={name!r} may mean {' or '.join(sorted(found))}: give the path.")
    near = nearest(name, [path.rsplit("/", 1)[-1] for path in paths])
    hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(sorted(paths)) or 'none'}."
    raise UsageError(f"items={name!r} names no map of the graph {root.name!r}. {hint}")
