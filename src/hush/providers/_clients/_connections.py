"""Pools of connections, and the contexts for TLS that they share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hush.providers._clients._settings import ClientSettings
from hush.providers._resources._packages import is_installed

if TYPE_CHECKING:
    from httpx2 import AsyncBaseTransport, AsyncClient, Request, Response

_REASON_S = 5.0
_REASON_BYTES = 262_144
"""How long, and how much, of the body of a refusal is waited for: its status and headers say what to do."""


def connections(settings: ClientSettings, context: ssl.SSLContext) -> AsyncClient:
    """A pool for one resource. Nothing is connected yet."""
    import httpx2

    return httpx2.AsyncClient(
        verify=context,
        http2=_speaks_http2(settings),
        proxy=settings.proxy,
        event_hooks={"request": [_close_half_made], "response": [_reads_reason(min(_REASON_S, settings.silence_s))]},
        # Redirects would carry the key, and what was asked, to whoever is named.
        follow_redirects=False,
        # The clock of an exchange bounds the rest, waiting for a free connection included.
        timeout=httpx2.Timeout(None, connect=settings.connect_s),
        limits=httpx2.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_keepalive,
            keepalive_expiry=settings.keepalive_s,
        ),
        transport=_own_pool(settings, context),
    )


def _own_pool(settings: ClientSettings, context: ssl.SSLContext) -> AsyncBaseTransport | None:
    """A pool of ours; ``None`` where connections are shared by exchanges, or go to proxies."""
    from urllib.request import getproxies

    if _speaks_http2(settings) or settings.proxy is not None or getproxies():
        return None
    from httpx2 import AsyncHTTPTransport, Limits

    from hush.providers._clients._pool import Pool

    single = Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=settings.keepalive_s)
    return Pool(
        settings.max_connections,
        settings.max_keepalive,
        settings.keepalive_s,
        lambda: AsyncHTTPTransport(verify=context, limits=single),
    )


def _speaks_http2(settings: ClientSettings) -> bool:
    return settings.http2 and is_installed("h2")


async def _close_half_made(request: Request) -> None:
    """See to it that a connection is closed if its handshake is cancelled.

    httpcore2 closes it when the handshake fails, but not when it is cancelled, and would leave the socket to the
    garbage collector. What it does is told to the extension ``trace``, which is called without a pause in between.
    """
    made: Any = None

    async def trace(name: str, info: dict[str, Any]) -> None:
        nonlocal made
        if name.endswith("connect_tcp.complete"):
            made = info.get("return_value")
        elif name.endswith("start_tls.complete"):
            made = None
        elif name.endswith("start_tls.failed") and made is not None:
            stream, made = made, None
            await stream.aclose()

    request.extensions = {**request.extensions, "trace": trace}


def _reads_reason(longest_s: float) -> Callable[[Response], Awaitable[None]]:
    """Reads the body of a refusal, as far as it comes: the vendors' clients would wait for its end."""

    async def read(response: Response) -> None:
        if response.is_success:
            return
        from httpx2 import AsyncByteStream, ByteStream

        stream, found = response.stream, bytearray()
        assert isinstance(stream, AsyncByteStream)
        try:
            with contextlib.suppress(Exception):  # a part of it, or none, is better than not to know the status
                async with asyncio.timeout(longest_s):
                    async for part in stream:
                        found += part
                        if len(found) > _REASON_BYTES:
                            break
        finally:
            await stream.aclose()
        response.stream = ByteStream(bytes(found))

    return read


# --- once for the process -------------------------------------------------------------------------------------------
_contexts: dict[tuple[Any, bool], ssl.SSLContext] = {}
_making = threading.Lock()


async def tls_context(settings: ClientSettings) -> ssl.SSLContext:
    """The context for TLS: one for the process, since reading the certificates takes 20 to 60 ms.

    Clients that speak HTTP/2 have one of their own: what is offered to the server is set in it.

    Raises:
        OSError: If the settings name certificates that cannot be read.
    """
    key = (settings.verify, _speaks_http2(settings))
    found = _contexts.get(key)
    return await asyncio.to_thread(_made, key) if found is None else found


def _made(key: tuple[Any, bool]) -> ssl.SSLContext:
    import httpx2

    with _making:
        if key not in _contexts:
            verify, _ = key
            if verify is True:
                _contexts[key] = httpx2.create_ssl_context()
            elif os.path.isdir(verify):
                _contexts[key] = ssl.create_default_context(capath=verify)
            else:
                _contexts[key] = ssl.create_default_context(cafile=verify)
        return _contexts[key]
