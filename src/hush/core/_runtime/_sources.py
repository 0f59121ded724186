"""Sources: where a map's items come from, pulled lazily.

A ``Source`` gives values one by one to ``now()``. Where none is at hand it gives ``WAIT``; then one worker, holding the
map's lock, awaits ``fill``. ``DONE`` means that it has no more, for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._entering import Around

CHUNK = 32
"""Items pulled in a thread at a time, at most."""


class Signal(Enum):
    """What a source says instead of a value."""

    WAIT = auto()
    DONE = auto()


WAIT, DONE = Signal.WAIT, Signal.DONE


class Source(Protocol):
    """What gives the values of one ``Each``.

    Attributes:
        size: How many there are, where that is known.
    """

    size: int | None

    @property
    def now(self) -> Callable[[], Any]:
        """The next value, ``WAIT`` or ``DONE``."""
        ...

    async def fill(self, cancelled: Callable[[], None], most: int) -> None:
        """Wait until a value is at hand, or there is none any more; at most ``most`` may be pulled."""
        ...

    async def close(self) -> None:
        """Nothing more is taken."""
        ...


class ListSource:
    """A list, tuple or range: everything is at hand."""

    __slots__ = ("_iterator", "now", "size")

    def __init__(self, values: list[Any] | tuple[Any, ...] | range, first: int | None) -> None:
        self.size: int | None = len(values)
        self._iterator: Iterator[Any] = iter(values) if first is None else islice(values, first)
        self.now = partial(next, self._iterator, DONE)

    def take(self, most: int) -> list[Any]:
        """Up to ``most`` values; none at the end."""
        return list(islice(self._iterator, most))

    async def fill(self, cancelled: Callable[[], None], most: int) -> None:
        """Nothing to wait for."""

    async def close(self) -> None:
        """Nothing to close."""


class AsyncSource:
    """An async iterable: awaited one value at a time."""

    __slots__ = ("_around", "_buffer", "_done", "_iterator", "_left", "size")

    def __init__(self, iterator: AsyncIterator[Any], first: int | None, around: Around | None = None) -> None:
        self.size: int | None = None
        self._around = around
        self._left = first
        self._iterator = iterator
        self._buffer: deque[Any] = deque()
        self._done = False

    def now(self) -> Any:
        """The next value, if one was awaited already."""
        if self._buffer:
            return self._buffer.popleft()
        return DONE if self._done else WAIT

    async def fill(self, cancelled: Callable[[], None], most: int) -> None:
        """Await one value."""
        if self._buffer or self._done:
            return
        if self._left is not None:
            self._done = not self._left
            self._left -= 1
            if self._done:
                return
        try:
            self._buffer.append(await self._awaited(anext(self._iterator)))
        except StopAsyncIteration:
            self._done = True

    async def close(self) -> None:
        """Close an async generator."""
        if isinstance(self._iterator, AsyncGenerator):
            await self._awaited(self._iterator.aclose())

    def _awaited(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        return awaitable if self._around is None else self._around.within(awaitable)
