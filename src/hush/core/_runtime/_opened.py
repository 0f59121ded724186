"""Resources that are open: one service for each engine, resource and event loop, made when it is first needed.

A service is closed with its engine (``async with Hush(graph)``); else with its loop, whose ``shutdown_asyncgens`` ends
the generator that stands guard over it, or when nothing refers to the engine any more.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Mapping
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, finalize

from hush.core._logs import logger
from hush.core._spec._serving import Resource, Service
from hush.core.protocols import guard_codes

log = logger("hush.resources")


class Services:
    """The services of one engine.

    Attributes:
        resources: What its leaves name, by category and name as written.
    """

    def __init__(self, resources: Mapping[tuple[str, str], Resource]) -> None:
        self.resources = resources
        self._lock = Lock()
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = WeakKeyDictionary()
        # It also keeps them out of the garbage that the engine may become: sockets in it would just be dropped.
        finalize(self, _close_soon, self._of_loop)

    async def service(self, resource: Resource, loop: asyncio.AbstractEventLoop) -> Service:
        """The service of ``resource`` on ``loop``, which is running; opened if it is not yet."""
        services = self._of_loop.get(loop)
        if services is not None:
            found = services.by_resource.get(resource)
            if found is not None:
                return found
        else:
            with self._lock:
                services = self._of_loop.setdefault(loop, _OfLoop())
        made = services.by_resource[resource] = resource.open()
        if services.guard is None:
            services.guard = _guard(services.by_resource)
            await anext(services.guard)
        return made

    async def aclose(self) -> None:
        """Close what is open on all loops; those of loops that do not run any more are gone with them."""
        with self._lock:
            found = list(self._of_loop.items())
            self._of_loop.clear()
        here = asyncio.get_running_loop()
        for loop, services in found:
            if services.guard is None or loop.is_closed():
                continue
            if loop is here:
                await services.guard.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(services.guard.aclose(), loop))


class _OfLoop:
    """What is open on one loop."""

    def __init__(self) -> None:
        self.by_resource: dict[Any, Service] = {}
        self.guard: AsyncGenerator[None, None] | None = None

    def forget(self) -> None:
        """Drop the guard."""
        self.guard = None


def _close_soon(of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop]) -> None:
    """Close what an engine had open that is gone, on whatever loops are still running."""
    for loop, services in list(of_loop.items()):
        if services.guard is None or not services.by_resource:
            continue
        try:
            # Without its last reference the guard is closed, by the loop, as every async generator is.
            loop.call_soon_threadsafe(services.forget)
        except RuntimeError:
            pass  # the loop is closed, and they with it


async def _guard(services: dict[Any, Service]) -> AsyncGenerator[None, None]:
    """Closes ``services`` when it is closed itself, or when its loop shuts down."""
    try:
        yield
    finally:
        cancelled: CancelledError | None = None
        while services:
            resource, service = services.popitem()
            try:
                await service.aclose()
            except CancelledError as exc:
                cancelled = exc  # the others are closed in any case
            except Exception:
                log.exception("%s could not be closed", resource.name)
        if cancelled is not None:
            raise cancelled


guard_codes.add(_guard.__code__)
