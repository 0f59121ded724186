"""The connections of one resource, and one exchange over them: a request, its answer, and what can go wrong between.

The vendors' clients only write the request: they know the paths, versions and headers. They do not retry, and their
models of answers are not used, since these drop what they do not know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.providers._clients._connections import connections, tls_context
from hush.providers._clients._failures import Failures, lowered
from hush.providers._clients._reading import Reader
from hush.providers._clients._settings import ClientSettings
from hush.providers._resources._packages import is_installed
from hush.providers.errors import ProviderError

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

Post: TypeAlias = "Callable[[str, Mapping[str, Any]], Awaitable[Response]]"
"""Send a JSON body to a path below ``base_url``; the body of the answer is not read yet."""

Poster: TypeAlias = "Callable[[ClientSettings, AsyncClient], Post]"
"""Makes a ``Post`` of settings and connections, with the client of a vendor."""

_TAIL_S = 5.0
"""How long the end of a stream that says that it is complete is waited for: a connection is only used again if its
answer was read to the end."""
_END_S = 0.5
"""The same, once it has said that nothing more follows."""


class _TheirsError(BaseException):
    """Carries what was raised by whoever is told of an answer past those that translate errors."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Wire:
    """The connections to one server. Opens nothing before the first exchange; belongs to the loop of that.

    Args:
        settings: Whom to reach, and how.
        module: What has to be imported before; it is, in a thread, since it takes a second.
        poster: Called when the first request is made.

    Raises:
        ImportError: When it is made, if the module is not there.
    """

    def __init__(self, settings: ClientSettings, module: str, poster: Poster) -> None:
        if not is_installed(module):
            extra = "anthropic" if module == "anthropic" else "openai"
            raise ImportError(
                f"{settings.resource or settings.who} needs the package {module}: pip install 'hushflow[{extra}]'",
                name=module,
            )
        self.settings = settings
        self.failures = Failures(settings)
        self._module = module
        self._poster = poster
        self._http: AsyncClient | None = None
        self._post: Post | None = None
        self._closed = False

    async def ask(
        self, path: str, body: Mapping[str, Any], reader: Reader, on_part: Callable[[], None] | None = None
    ) -> None:
        """Send ``body`` and feed ``reader`` with the answer, to its end; ``on_part`` is called after each part.

        The connection is given back whatever happens, when this is cancelled too: one whose answer was not read to
        its end is closed.

        Raises:
            ProviderError: Nothing else, but for what ``on_part`` raises.
        """
        failure, cause = await self._exchange(path, body, reader, on_part)
        if failure is None:
            try:
                reader.end()
            except ProviderError as error:
                failure = error
        if failure is not None:
            # Raised here, where no error of a vendor's client is being handled: it would be the context of this one.
            # Nor are the frames kept that hold the request.
            raise failure.with_traceback(None) from cause
        if on_part is not None:
            on_part()

    async def _exchange(
        self, path: str, body: Mapping[str, Any], reader: Reader, on_part: Callable[[], None] | None
    ) -> tuple[ProviderError | None, BaseException | None]:
        """What has gone wrong, and its cause."""
        settings, theirs = self.settings, None
        loop = asyncio.get_running_loop()
        until = loop.time() + settings.timeout_s
        try:
            async with asyncio.timeout_at(until) as clock:
                post = self._post or await self._open()
                response = await post(path, body)
                async with contextlib.aclosing(response):
                    reader.headers = lowered(response.headers)
                    if not response.is_success:
                        content = await response.aread()
                        return self.failures.of_answer(response.status_code, reader.headers, content), None
                    await self._receive(response, reader, on_part, clock, until)
        except ProviderError as error:
            return error, error.__cause__
        except _TheirsError as error:
            theirs = error.error
        except TimeoutError:
            if reader.finished:
                return None, None
            if loop.time() < until:
                return self.failures.too_slow(settings.silence_s, "more of its stream"), None
            return self.failures.too_slow(settings.timeout_s, "whole answer" if reader.streamed else "answer"), None
        except Exception as error:
            if reader.finished:
                return None, None  # the connection was lost after all had come
            return self.failures.of_exception(error)
        if theirs is not None:
            raise theirs
        return None, None

    async def _receive(
        self,
        response: Response,
        reader: Reader,
        on_part: Callable[[], None] | None,
        clock: asyncio.Timeout,
        until: float,
    ) -> None:
        now = asyncio.get_running_loop().time
        async with contextlib.aclosing(response.aiter_bytes()) as parts:
            async for part in parts:
                if reader.done:
                    continue
                reader.feed(part)
                if on_part is not None:
                    try:
                        on_part()
                    except BaseException as error:
                        raise _TheirsError(error) from None
                if reader.streamed:
                    silence_s = self.settings.silence_s
                    pause_s = min(silence_s, _END_S if reader.done else _TAIL_S if reader.finished else inf)
                    clock.reschedule(min(until, now() + pause_s))

    async def _open(self) -> Post:
        if self._closed:
            raise ProviderError(f"{self.settings.who}: its client is closed.", resource=self.settings.resource)
        settings = self.settings
        await imported(self._module)
        context, why = None, ""
        try:
            context = await tls_context(settings)
        except (OSError, ValueError) as error:
            why = str(error)
        if context is None:
            text = f"{settings.who}: verify={settings.verify!r} cannot be read as certificates: {why}"
            raise ProviderError(text, resource=settings.resource)
        if self._post is None:  # several calls may have waited
            self._http = connections(settings, context)
            self._post = self._poster(settings, self._http)
        return self._post

    async def aclose(self) -> None:
        """Close the connections; exchanges under way lose theirs."""
        self._closed, self._post = True, None
        http, self._http = self._http, None
        if http is None:
            return
        # To the end, also if this is cancelled: the connections that are not closed by then nobody would ever close.
        closing = asyncio.ensure_future(http.aclose())
        try:
            await asyncio.shield(closing)
        finally:
            while not closing.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([closing])


# --- once for the process ---------------------------------------------------------------------------------------------
_loaded: set[str] = set()


async def imported(module: str) -> None:
    """Import a module in a thread. That it is in ``sys.modules`` would not say that it is whole."""
    if module not in _loaded:
        await asyncio.to_thread(import_module, module)
        _loaded.add(module)
