"""``Channel``: how the items of a map come to the map that streams from it, a few at a time and mostly in order.

The map that writes may have pulled at most ``window`` items that the reader has not taken: then it pulls no more until
some are. So a slow reader slows everything before it down to the first source, and what is under way is bounded. Items
that end early wait in the channel until those before them have ended, unless the reader takes them in any order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hush.core._runtime._sources import DONE, WAIT
from hush.core._spec._model import ERROR

Record: TypeAlias = "tuple[Mapping[str, Any] | None, Any]"
"""What one item gave, and the error it failed with or reported, if it did."""


class Channel:
    """Between two maps of one graph.

    Attributes:
        total: How many items there will be, where that is known.
        said: The same, as whoever shows progress is told it.
        wanted: Whether the reader takes items: it may have been skipped, or have had enough.
        taken: How many items it has taken.
        window: How many may have been pulled and not taken.
    """

    __slots__ = (
        "_closed",
        "_early",
        "_ended",
        "_late",
        "_loop",
        "_next",
        "_ready",
        "_waits_for_end",
        "_waits_for_items",
        "_waits_for_room",
        "said",
        "taken",
        "total",
        "wanted",
        "window",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, window: int, total: int | None, said: int | None, *, ordered: bool
    ) -> None:
        self.total = total
        self.said = said
        self.wanted = True
        self.taken = 0
        self._loop = loop
        self.window = window
        self._ready: deque[Record] = deque()
        self._early: dict[int, Record] | None = {} if ordered else None  # those that ended before the one at the head
        self._next = 0
        self._closed = False
        self._ended = False
        self._waits_for_items: asyncio.Future[None] | None = None
        self._waits_for_room: asyncio.Future[None] | None = None
        self._waits_for_end: asyncio.Future[None] | None = None

    # --- the map that writes --------------------------------------------------------------------------------
    def full(self, pulled: int) -> bool:
        """Whether no more items may be pulled for now."""
        return self.wanted and pulled - self.taken >= self.window

    @property
    def holds_back(self) -> bool:
        """Whether the map that writes is waiting for room."""
        return self._waits_for_room is not None

    async def wait_for_room(self, pulled: Callable[[], int]) -> None:
        """Wait until more items may be pulled. One worker at a time."""
        while self.full(pulled()):
            self._waits_for_room = self._loop.create_future()
            try:
                await self._waits_for_room
            finally:
                self._waits_for_room = None

    def put(self, index: int, out: Mapping[str, Any] | None, error: Any) -> None:
        """Item ``index`` has ended."""
        if not self.wanted:
            return
        early = self._early
        if early is None:
            self._ready.append((out, error))
        elif index != self._next:
            early[index] = (out, error)
            return
        else:
            self._ready.append((out, error))
            index += 1
            while early and (record := early.pop(index, None)) is not None:
                self._ready.append(record)
                index += 1
            self._next = index
        if self._waits_for_items is not None:
            _wake(self._waits_for_items)

    def close(self) -> None:
        """All items have ended."""
        self._closed = True
        _wake(self._waits_for_items)

    def end(self) -> None:
        """The map that writes has ended: what follows its reader may go on when this has been heard of."""
        self._ended = True
        _wake(self._waits_for_end)

    # --- the map that reads ---------------------------------------------------------------------------------
    def take(self) -> Any:
        """The next item, ``WAIT`` or ``DONE``."""
        if not self._ready:
            self._ask_for_more(at_least=1)
            return DONE if self._closed else WAIT
        self.taken += 1
        record = self._ready.popleft()
        if self._waits_for_room is not None:
            self._ask_for_more(at_least=self.window // 2)  # a switch between the two for each item would cost more
        return record

    def _ask_for_more(self, at_least: int) -> None:
        # Those that are at work do not count: they are not to hold the writer back while there is nothing to take.
        if len(self._ready) + (len(self._early) if self._early else 0) <= self.window - at_least:
            _wake(self._waits_for_room)

    async def wait_for_items(self) -> None:
        """Wait until there is an item to take, or the last has been taken. One worker at a time."""
        while not (self._ready or self._closed):
            self._waits_for_items = self._loop.create_future()
            try:
                await self._waits_for_items
            finally:
                self._waits_for_items = None

    def abandon(self) -> None:
        """The reader takes no more: nothing is kept for it, and nothing waits for it."""
        self.wanted = False
        self._ready.clear()
        if self._early:
            self._early.clear()
        _wake(self._waits_for_room)

    async def wait_for_end(self) -> None:
        """Wait until the map that writes has ended."""
        while not self._ended:
            self._waits_for_end = self._loop.create_future()
            try:
                await self._waits_for_end
            finally:
                self._waits_for_end = None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class Reader:
    """What one map takes from a channel: an item at a time, of which each of its columns gives one value.

    Attributes:
        error: What the item at hand failed with before, if it did.
    """

    __slots__ = ("_channel", "_columns", "_left", "error")

    def __init__(self, channel: Channel, first: int | None) -> None:
        self._channel = channel
        self._left = first
        self._columns: list[ColumnSource] = []
        self.error: Any = None

    def column(self, key: str) -> ColumnSource:
        """The source of the column ``key``."""
        source = ColumnSource(self, self._channel, key)
        self._columns.append(source)
        return source

    def advance(self) -> Any:
        """Take the next item, if all columns have given their values of the last; else ``WAIT``."""
        columns = self._columns
        if len(columns) > 1 and any(column.value is not WAIT for column in columns):
            return WAIT
        if self._left == 0:
            return DONE
        record = self._channel.take()
        if record is WAIT or record is DONE:
            return record
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._channel.abandon()
        out, error = record
        self.error = error
        for column in columns:
            key = column.key
            column.value = error if key == ERROR else None if out is None else out.get(key)
        return None


class ColumnSource:
    """One column of a channel, as a source."""

    __slots__ = ("_channel", "_reader", "key", "size", "value")

    def __init__(self, reader: Reader, channel: Channel, key: str) -> None:
        self._reader = reader
        self._channel = channel
        self.key = key
        self.size = channel.total
        self.value: Any = WAIT  # nothing at hand

    def now(self) -> Any:
        """The value of the item at hand, or of the next."""
        if self.value is WAIT:
            signal = self._reader.advance()
            if signal is not None:
                return signal
        value, self.value = self.value, WAIT
        return value

    async def fill(self, cancelled: Callable[[], None], most: int) -> None:
        """Wait for an item."""
        if self.value is WAIT:
            await self._channel.wait_for_items()

    async def close(self) -> None:
        """Take no more."""
        self._channel.abandon()
