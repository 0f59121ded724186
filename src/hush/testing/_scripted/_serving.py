"""``llm_server``: a scripted model behind a real socket, for as long as a block runs."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from hush.testing._scripted._core import ScriptedCore
from hush.testing._scripted._http_server import HttpServer
from hush.testing._scripted._routes import Routes


class llm_server:  # noqa: N801  # used as a word: `async with llm_server(model) as url:`
    """Serve a scripted model over HTTP while a block runs: ``async with llm_server(scripted) as url:``.

    ``url`` has no slash at its end. Clients of OpenAI take ``f"{url}/v1"`` as their base URL, those of Anthropic and
    Azure ``url`` itself. ``GET /stats`` gives ``scripted.stats`` as JSON, ``POST /reset`` is ``scripted.reset()``.

    With ``async with`` the server lives on the running loop; with a plain ``with``, for blocking clients, on a loop in
    a thread of its own. When the block ends its connections are cut and what was under way has ended.

    Args:
        scripted: The model.
        host: Where to listen; whoever reaches it may call it.
        port: 0: one that is free.
    """

    def __init__(self, scripted: ScriptedCore, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._scripted = scripted
        self._host = host
        self._port = port
        self._server: HttpServer | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> str:
        if self._server is not None:
            raise RuntimeError("this server runs already: make another one")
        routes = Routes(self._scripted)
        server = HttpServer(routes.answer, routes.received, routes.sent)
        url = await server.start(self._host, self._port)
        self._server = server
        return url

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def __enter__(self) -> str:
        started: list[str | BaseException] = []
        ready = threading.Event()

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            try:
                async with self as url:
                    started.append(url)
                    ready.set()
                    await self._stop.wait()
            except BaseException as error:
                started.append(error)
                raise
            finally:
                ready.set()

        def run() -> None:
            try:
                asyncio.run(serve())
            except OSError:
                pass  # raised where the block begins

        self._thread = threading.Thread(target=run, name="llm-server", daemon=True)
        self._thread.start()
        ready.wait()
        if isinstance(started[0], BaseException):
            self._thread.join()
            raise started[0]
        return started[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
