"""What comes back over a bare socket, byte for byte: an HTTP client would tidy it up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Raw:
    """One answer.

    Attributes:
        pieces: What each read gave, body only.
        end: ``"whole"``, ``"closed"`` (before the body was whole) or ``"reset"``.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    end: str = "closed"

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[str]:
        """The data of a stream's events."""
        lines = self.body.decode().replace("\r\n", "\n").split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def post(path: str, body: Any, **headers: str) -> bytes:
    """A request as bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def exchanged(url: str, request: bytes, *, within_s: float = 5.0) -> Raw:
    """Send a request on a connection of its own, and read what comes until it is whole or the connection ends."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(within_s):
            writer.write(request)
            return await read(reader)
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader) -> Raw:
    """One answer."""
    raw = Raw()
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        raw.status = int(first.split(" ")[1])
        raw.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if raw.headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                raw.pieces.append((await reader.readexactly(size + 2))[:-2])
            await reader.readexactly(2)
        else:
            left = int(raw.headers.get("content-length", 1 << 30))
            while left:
                piece = await reader.read(left)
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                raw.pieces.append(piece)
                left -= len(piece)
        raw.end = "whole"
    except asyncio.IncompleteReadError:
        raw.end = "closed"
    except ConnectionResetError:
        raw.end = "reset"
    raw.body = b"".join(raw.pieces)
    return raw
