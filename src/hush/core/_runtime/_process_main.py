"""What a worker process runs: it is told once what to do, then given chunks of items, or calls, until its pipe closes.

The main thread works, with an event loop of its own. Another thread reads the pipe: when that closes while there is
work at hand, whoever wanted it is gone, and the process ends at once.
"""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Any, Protocol

from hush.core._runtime._parcels import (
    ErrorParcel,
    Unloadable,
    culprit,
    dumps,
    pack_error,
    reason,
    unpack,
)
from hush.core.errors import TransportError

FLUSH_NS = 20_000_000
"""What has been done is told this often: so much is at stake when the process dies."""


class Work(Protocol):
    """What a process was set up for."""

    def do(self, request: tuple[Any, ...], tell: Callable[..., None]) -> None:
        """Do what one request asks for."""
        ...


def main(connection: Any) -> None:
    """Serve one parent. ``connection`` is the worker's end of the pipe."""
    faulthandler.enable()  # a crash in C code says where
    multiprocessing.current_process().daemon = False  # functions may start processes of their own
    # The parent cancels what it is interrupted in: a Ctrl-C must not reach here besides. And who kills this process
    # kills what it has started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        os.setpgid(0, 0)
    except (AttributeError, OSError):
        pass  # not on this system, or not allowed
    _Server(connection).serve()


class _Server:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self._received = self._done = 0  # each written by one thread only
        self._loop = asyncio.new_event_loop()
        self._work: Work | None = None

    def serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        threading.Thread(target=self._read, name="hush-pipe", daemon=True).start()
        while (request := self._requests.get()) is not None:
            self._serve(pickle.loads(request))
            del request
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _read(self) -> None:
        while True:
            try:
                request = self._connection.recv_bytes()
            except (EOFError, OSError):
                if self._received != self._done:
                    os._exit(1)
                self._requests.put(None)
                return
            self._received += 1
            self._requests.put(request)

    def _serve(self, request: tuple[Any, ...]) -> None:
        if request[0] == "setup":
            try:
                self._work = pickle.loads(request[1])(self._loop)
            except Exception as exc:  # a module that cannot be imported here, whatever that raises
                self._tell("broken", pack_error(exc), last=True)
            else:
                self._tell("ready", last=True)
            return
        self._tell("begun")
        assert self._work is not None
        self._work.do(request, self._tell)

    def _tell(self, *message: Any, last: bool = False) -> None:
        if last:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()  # it may be killed any time now
                except (OSError, ValueError, AttributeError):
                    pass  # nobody reads it, it was closed, or there is none
            self._done += 1
        data = pickle.dumps((*message, last), pickle.HIGHEST_PROTOCOL)
        try:
            self._connection.send_bytes(data)
        except OSError:
            os._exit(1)  # whoever wanted it is gone


class Calls:
    """The work of a node: calls of one function."""

    def __init__(self, fn: Callable[..., Any], path: str, loop: AbstractEventLoop) -> None:
        self._fn = fn
        self._path = path
        self._loop = loop

    def do(self, request: tuple[Any, ...], tell: Callable[..., None]) -> None:
        """Make one call, and await what it gives if that is awaitable."""
        (given,) = unpack(request[1], request[2])
        if isinstance(given, Unloadable):
            error: BaseException = not_there(f"the inputs of {self._path}", given.error)
            tell("done", None, pack_error(error), 0, last=True)
            return
        began_ns = perf_counter_ns()
        parcel: ErrorParcel | None = None
        data = None
        try:
            out = self._fn(*given[0], **given[1])
            if type(out) is not dict and hasattr(out, "__await__"):
                out = self._loop.run_until_complete(_awaiting(out))
        except BaseException as exc:  # it is the outcome
            parcel = pack_error(exc)
        else:
            try:
                data = dumps(out)
            except Exception:
                parcel = pack_error(not_back(out, self._path))
            out = None
        tell("done", data, parcel, perf_counter_ns() - began_ns, last=True)


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


def not_there(what: str, why: Exception) -> TransportError:
    """The error of what cannot be loaded in a worker process."""
    hint = ""
    if isinstance(why, ImportError | AttributeError):
        hint = " A worker process imports modules by their names, from the same sys.path."
    return TransportError(f"{what} cannot be loaded in a worker process: {reason(why)}.{hint}")


def not_back(out: Any, path: str) -> TransportError:
    """The error of an output that cannot be pickled."""
    return TransportError(f"what {path} gave cannot come back from its worker process: {culprit(out, 'output')}")
