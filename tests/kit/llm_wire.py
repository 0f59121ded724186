"""A server on loopback that sends exactly the bytes it is told to, when it is told to, and sees what a client does.

It knows as much of HTTP/1.1 as reading a request takes. An answer is a list of steps: bytes are sent as one write each,
so that they can be cut anywhere; an ``asyncio.Event`` is waited for; ``HANG``, ``CLOSE`` and ``RESET`` are what they
say. After an answer that ends in none of them the connection is kept.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

HANG, CLOSE, RESET = "hang", "close", "reset"

Step: TypeAlias = "bytes | asyncio.Event | str"
Steps: TypeAlias = "Sequence[Step]"


@dataclass
class Seen:
    """A request as it came.

    Attributes:
        number: Which one it is, from 1.
        connection: Which connection it came over, from 1.
    """

    number: int
    connection: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script: TypeAlias = "Callable[[Seen], Steps]"


@dataclass
class WireServer:
    """A running server.

    Attributes:
        script: What is answered; it can be replaced.
        seen: All requests.
        open: The connections that neither side has closed.
        connections: How many there were.
    """

    script: Script
    seen: list[Seen] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    connections: int = 0
    url: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def answers(self, *steps: Step) -> None:
        """From now on every request is answered with this."""
        self.script = lambda _: steps

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a request or the end of a connection makes ``condition`` true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open.add(number)
        try:
            while (request := await self._read(reader, number)) is not None:
                self.seen.append(request)
                self.changed.set()
                if not await self._answer(self.script(request), reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client has left
        finally:
            self.open.discard(number)
            self.changed.set()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, connection: int) -> Seen | None:
        head = await reader.readline()
        if not head:
            return None
        method, path, _ = head.decode().split()
        headers: dict[str, str] = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Seen(len(self.seen) + 1, connection, method, path, headers, body)

    async def _answer(self, steps: Steps, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)  # so that the next one is a part of its own
            elif isinstance(step, asyncio.Event):
                left = asyncio.ensure_future(reader.read(1))
                opened = asyncio.ensure_future(step.wait())
                await asyncio.wait([left, opened], return_when=asyncio.FIRST_COMPLETED)
                opened.cancel()
                if left.done():
                    return False
                left.cancel()
                await asyncio.wait([left])
            elif step == HANG:
                await reader.read(1)  # until the client leaves
                return False
            elif step == RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(*_LINGER)
                return False
            elif step == CLOSE:
                return False
            else:
                raise ValueError(step)
        return True


def _linger() -> tuple[int, int, bytes]:
    import socket

    return socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)


_LINGER = _linger()


@asynccontextmanager
async def serving(script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[WireServer]:
    """A server for a block. Its connections are closed at the end, whatever they are at."""
    server = WireServer(script or (lambda _: answer({})))
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # StreamReaderProtocol would report it as an error that nobody took
        finally:
            tasks.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=2**22)
    host, port = listening.sockets[0].getsockname()[:2]
    server.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))
        await listening.wait_closed()


# --- answers ----------------------------------------------------------------------------------------------------------
def answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, kind: str = "application/json"
) -> list[Step]:
    """A whole answer: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [_head(status, {"content-type": kind, "content-length": str(len(content)), **(headers or {})}) + content]


def stream(
    parts: Iterable[bytes | Step],
    *,
    ends: bool = True,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = "text/event-stream",
) -> list[Step]:
    """An answer in chunks, one for each of ``parts`` that is bytes; without ``ends`` the last chunk is missing."""
    steps: list[Step] = [_head(status, {"content-type": kind, "transfer-encoding": "chunked", **(headers or {})})]
    steps += [b"%x\r\n%s\r\n" % (len(part), part) if isinstance(part, bytes) else part for part in parts if part]
    return [*steps, b"0\r\n\r\n"] if ends else steps


def event(data: Any, name: str = "") -> bytes:
    """One event: JSON, or text as it is."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def cut(data: bytes, *places: int) -> list[bytes]:
    """``data`` in pieces."""
    ends = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(ends) if start < end]


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
