"""A small HTTP/1.1 server on asyncio's protocols, which writes the bytes and ends the connection as it is told.

Not starlette and uvicorn: ASGI has no word for a reset, for half of a body with the length of the whole, for the end of
a chunked body without its last chunk, nor for bytes that must go in packets of their own; and a call costs less so.
It knows what clients of models send: requests one after the other on kept connections, with a length or in chunks
(RFC 9112). It must not stand where anybody but a test can reach it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast

from hush.testing._scripted._http_bytes import Sent, whole
from hush.testing._scripted._steps import Ending

_MOST_HEAD = 64 << 10
_MOST_BODY = 256 << 20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpRequest(NamedTuple):
    """One request. Names of headers are in small letters."""

    method: str
    target: str
    version: str
    headers: Mapping[str, str]
    body: bytes


class HttpAnswer(NamedTuple):
    """What is sent, and what is called when it has been (``True``: the client went away before)."""

    steps: Iterator[Sent]
    ended: Callable[[bool], None] | None = None


class _Unreadable(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Connection(asyncio.Protocol):
    """One connection: reads requests and writes answers, one at a time."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: tuple[str, str, str, dict[str, str]] | None = None
        self._chunks: bytearray | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    # --- the protocol -------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no instance of it
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._go_on()
        elif self._transport is not None and len(self._buffer) > _MOST_HEAD:
            self._transport.pause_reading()  # a client that does not wait for its answers

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- requests -----------------------------------------------------------------------------------------
    def _go_on(self) -> None:
        """Begin with the next request, if it is there whole."""
        try:
            request = self._next()
        except _Unreadable as error:
            body = {"error": {"message": error.message, "type": "invalid_request_error", "param": None, "code": None}}
            for part in whole(error.status, body, {"connection": "close"}):
                self._write(part)
            self.close()
            return
        if request is not None:
            self._task = self._loop.create_task(self._serve(request))

    def _next(self) -> HttpRequest | None:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MOST_HEAD:
                    raise _Unreadable(431, "the headers are too large")
                return None
            self._head = _parsed(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._head[3].get("expect", "").lower() == "100-continue":
                self._write(_CONTINUE)
        method, target, version, headers = self._head
        body = self._chunked() if "chunked" in headers.get("transfer-encoding", "").lower() else self._measured(headers)
        if body is None:
            return None
        self._head = None
        self._server.received(len(body))
        return HttpRequest(method, target, version, headers, body)

    def _measured(self, headers: Mapping[str, str]) -> bytes | None:
        given = headers.get("content-length", "0")
        if not (given.isascii() and given.isdigit()):
            raise _Unreadable(400, "Content-Length is no number")
        length = int(given)
        if length > _MOST_BODY:
            raise _Unreadable(413, "the body is too large")
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _chunked(self) -> bytes | None:
        if self._chunks is None:
            self._chunks = bytearray()
        while True:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                return None
            try:
                length = int(bytes(self._buffer[:end]).split(b";")[0], 16)
            except ValueError:
                raise _Unreadable(400, "the size of a chunk is no number") from None
            if length < 0 or len(self._chunks) + length > _MOST_BODY:
                raise _Unreadable(413, "the body is too large")
            if len(self._buffer) < end + 2 + length + 2:  # trailers are not known here: nobody sends them
                return None
            self._chunks += self._buffer[end + 2 : end + 2 + length]
            del self._buffer[: end + 2 + length + 2]
            if length == 0:
                body, self._chunks = bytes(self._chunks), None
                return body

    # --- answers ------------------------------------------------------------------------------------------
    async def _serve(self, request: HttpRequest) -> None:
        kept = request.version == "HTTP/1.1" and request.headers.get("connection", "").lower() != "close"
        ended: Callable[[bool], None] | None = None
        gone = True
        try:
            steps, ended = self._server.answer(request, self)
            if not await self._send(steps):
                kept = False
            gone = False
        except Exception:
            self.close(reset=True)  # a mistake of ours: nobody waits for an answer that will not come
            raise
        finally:
            if ended is not None:
                ended(gone)
            self._task = None
        if self._transport is None:
            return
        if not kept:
            self.close()
            return
        self._transport.resume_reading()
        self._go_on()

    async def _send(self, steps: Iterator[Sent]) -> bool:
        """Take the steps; whether the connection may be used again."""
        for step in steps:
            if isinstance(step, bytes):
                if self._writable is not None:
                    await self._writable
                self._write(step)
            elif isinstance(step, Ending):
                if step is Ending.HANG:
                    await self._loop.create_future()  # until the client goes away, or the server ends
                self.close(reset=step is Ending.RESET)
                return False
            else:
                await asyncio.sleep(step)
        return True

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._server.sent(len(data))
            self._transport.write(data)

    def close(self, *, reset: bool = False) -> None:
        """Close the connection once all is sent; with ``reset``, at once and by a reset."""
        transport = self._transport
        if transport is None:
            return
        if not reset:
            transport.close()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:  # with a linger of no time the system sends a reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def end(self) -> None:
        """Cut the connection, and wait for its answer to end."""
        task = self._task
        if self._transport is not None:
            self._transport.abort()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


class HttpServer:
    """Listens, and gives each request to a function.

    Attributes:
        connections: Those that are open.
    """

    def __init__(
        self,
        answer: Callable[[HttpRequest, object], HttpAnswer],
        received: Callable[[int], None],
        sent: Callable[[int], None],
    ) -> None:
        self.answer = answer
        self.received = received
        self.sent = sent
        self.connections: set[Connection] = set()
        self._listening: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen, and give the URL."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        bound = self._listening.sockets[0].getsockname()
        return f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Listen no more, cut all connections, and wait for what was under way."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.connections):
            await connection.end()
        for _ in range(3):  # a transport that was aborted closes its socket in a later pass
            await asyncio.sleep(0)


def _parsed(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Unreadable(400, "the first line is no request of HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise _Unreadable(400, "a header has no colon")
        headers[name.strip().lower()] = value.strip()
    return parts[0], parts[1], parts[2], headers
