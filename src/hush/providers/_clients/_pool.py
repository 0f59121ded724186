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
from typing import Any

from httpx2 import (
    AsyncBaseTransport,
    AsyncByteStream,
    ByteStream,
    ConnectError,
    ReadError,
    RemoteProtocolError,
    Request,
    Response,
)

_SOON_S = 0.25
"""Who was asked anew and has not closed the connection after so long is there."""


class Pool(AsyncBaseTransport):
    """At most ``most`` exchanges at a time. Who finds none free waits in line, for as long as it takes.

    A server may close a connection that was kept just when it is used again. Nothing has failed then: the request is
    sent once more, on a new connection (RFC 9112, 9.3.1). Where a server closes many, it may be going down: one is sent
    first, and the others when it shows that there is somebody.

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
        self._idle: deque[tuple[AsyncBaseTransport, float, bool]] = deque()
        """With when each was used last, the oldest first, and whether it was answered then."""
        self._all: set[AsyncBaseTransport] = set()
        self._first: asyncio.Future[bool] | None = None  # of those sent again: whether there was an answer
        self._closed = False

    async def handle_async_request(self, request: Request) -> Response:
        await self._places.acquire()
        if self._closed:  # while it waited: nobody would close what is opened now
            self._places.release()
            raise ConnectError("its connections were closed before there was one for it", request=request)
        if self._idle:
            one, _, kept = self._idle.pop()
        else:
            one, kept = self._make(), False
            self._all.add(one)
        try:
            response = await self._sent(one, request, kept=kept)
        except BaseException:
            self._give_back(one, answered=False)  # its connection is closed, if it is not as good as before
            raise
        assert isinstance(response.stream, AsyncByteStream)
        response.stream = _Body(response.stream, self, one)
        return response

    async def _sent(self, one: AsyncBaseTransport, request: Request, *, kept: bool) -> Response:
        may_be_gone = kept and isinstance(request.stream, ByteStream)
        try:
            response = await one.handle_async_request(request)
            if not (may_be_gone and _is_farewell(response) and one in self._all):
                return response
            await response.aclose()
            await one.aclose()  # what it said was for whoever had not asked by then
            first = self._first
        except (ReadError, RemoteProtocolError) as error:
            unanswered = isinstance(error, ReadError) or "without sending a response" in str(error)
            if not (may_be_gone and unanswered and one in self._all):
                raise
            first = self._first
            if first is not None:
                await asyncio.wait([first], timeout=_SOON_S)
                if (first.done() and not first.result()) or one not in self._all:
                    raise
        if first is not None:
            return await one.handle_async_request(request)
        mine = self._first = asyncio.get_running_loop().create_future()
        answered = False
        try:
            response = await one.handle_async_request(request)
            answered = True
            return response
        finally:
            mine.set_result(answered)
            self._first = None

    def _give_back(self, one: AsyncBaseTransport, *, answered: bool) -> None:
        if one in self._all:  # else the pool was closed meanwhile
            self._idle.append((one, monotonic(), answered))
        self._places.release()

    async def end(self, one: AsyncBaseTransport) -> None:
        """The exchange that ``one`` carried is over; those that have not been used for long are closed."""
        try:
            if _has_more(one):
                await one.aclose()
        finally:
            self._give_back(one, answered=True)
        idle = self._idle
        while idle and (len(idle) > self._kept or idle[0][1] < monotonic() - self._expiry_s):
            old = idle.popleft()[0]
            self._all.discard(old)
            await old.aclose()

    async def aclose(self) -> None:
        """Close all of them; exchanges under way lose theirs, and those that wait in line come to nothing."""
        self._closed = True
        found = list(self._all)
        self._all.clear()
        self._idle.clear()
        for one in found:
            await one.aclose()


def _is_farewell(response: Response) -> bool:
    """Whether it is what some servers say before they close a connection that nobody uses (RFC 9110, 15.5.9).

    Who uses it again at that moment reads it as the answer. One of an API to a request that it has read is JSON.
    """
    headers = response.headers
    closes = "close" in headers.get("connection", "").lower()
    return response.status_code == 408 and closes and "json" not in headers.get("content-type", "")


def _has_more(one: Any) -> bool:
    """Whether more has come than the answer, which would be taken for the answer to the next request.

    httpcore2 sees what is left in the socket, but not what it has read already; nor does it say so.
    """
    for connection in getattr(getattr(one, "_pool", None), "connections", ()):
        state = getattr(getattr(connection, "_connection", None), "_h11_state", None)
        if state is not None and state.trailing_data[0]:
            return True
    return False


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
