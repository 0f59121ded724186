"""``Pool``: the connections of one resource over HTTP/1.1, each of which carries one exchange at a time.

httpcore2's own pool goes through all of its connections, and asks the system about each that is idle, whenever an
exchange begins or ends. With 200 connections that is a third of what an exchange costs. Here each connection is a
pool of one, and the one that was used last is used again first, so the cost of an exchange does not depend on how many
there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic

from httpx2 import AsyncBaseTransport, AsyncByteStream, Request, Response


class Pool(AsyncBaseTransport):
    """At most ``most`` exchanges at a time. Who finds none free waits in line, for as long as it takes.

    Args:
        most: How many connections there are at most.
        kept: How many of them are kept open while they are not used.
        expiry_s: For how long one is kept open that is not used.
        make: Makes a transport with a single connection. Nothing is connected before its first exchange.
    """

    def __init__(self, most: int, kept: int, expiry_s: float, make: Callable[[], AsyncBaseTransport]) -> None:
        self._kept = kept
        self._expiry_s = expiry_s
        self._make = make
        self._places = asyncio.Semaphore(most)
        self._idle: deque[tuple[AsyncBaseTransport, float]] = deque()  # with when they were used last; the oldest first
        self._all: set[AsyncBaseTransport] = set()

    async def handle_async_request(self, request: Request) -> Response:
        await self._places.acquire()
        if self._idle:
            one = self._idle.pop()[0]
        else:
            one = self._make()
            self._all.add(one)
        try:
            response = await one.handle_async_request(request)
        except BaseException:
            self._give_back(one)  # whose connection is closed, if it is not as good as before
            raise
        assert isinstance(response.stream, AsyncByteStream)
        response.stream = _Body(response.stream, self, one)
        return response

    def _give_back(self, one: AsyncBaseTransport) -> None:
        if one in self._all:  # else the pool was closed meanwhile
            self._idle.append((one, monotonic()))
        self._places.release()

    async def end(self, one: AsyncBaseTransport) -> None:
        """The exchange that ``one`` carried is over; those that have not been used for long are closed."""
        self._give_back(one)
        idle = self._idle
        while idle and (len(idle) > self._kept or idle[0][1] < monotonic() - self._expiry_s):
            old = idle.popleft()[0]
            self._all.discard(old)
            await old.aclose()

    async def aclose(self) -> None:
        """Close all of them; exchanges under way lose theirs."""
        found = list(self._all)
        self._all.clear()
        self._idle.clear()
        for one in found:
            await one.aclose()


class _Body(AsyncByteStream):
    """The body of an answer, which gives the connection back when it is closed."""

    def __init__(self, inner: AsyncByteStream, pool: Pool, one: AsyncBaseTransport) -> None:
        self._inner = inner
        self._pool: Pool | None = pool
        self._one = one

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._inner.__aiter__()

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        try:
            await self._inner.aclose()
        finally:
            if pool is not None:
                await pool.end(self._one)
