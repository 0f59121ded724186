"""Worker processes, each with a pipe of its own to this process.

They are started as loky starts its own (the caller's ``__main__`` is not run again, nor is anything forked), but not
kept in its executor: there, one worker that dies takes the work of all others with it, and a single call cannot be
ended. Here each process is spoken to by itself, so that killing one touches nobody else.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from time import monotonic, sleep
from typing import Any

from hush.core._runtime._parcels import unpack_error
from hush.core._runtime._threads import Job, start_in_thread

_LOOK_EVERY_S = 0.1
"""A worker that has died is mostly seen by its pipe closing. What it has forked may hold that open: then by looking."""
END_S = 5.0
"""A process that is told to end, and does not, is waited for so long."""


class Died(Exception):
    """A worker process is gone.

    Attributes:
        begun: Whether it had begun with what it was asked.
        barren: Whether it had not begun with anything, ever.
    """

    def __init__(self, exit_code: int | None, *, begun: bool, barren: bool) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.begun = begun
        self.barren = barren

    def how(self) -> str:
        """How it ended, for people."""
        code = self.exit_code
        if code is None:
            return "died"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"


class Unfit(Exception):
    """A worker process cannot do what it is told: ``error`` says why, and no other could."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class WorkerProcess:
    """One worker process. ``ask`` blocks, and is called in worker threads; ``kill`` never does.

    Several may ask at a time: what is sent waits in the process until what came before is done, so that it need not
    wait for this one. A process that dies takes all of them with it.

    Attributes:
        knows: Whatever its user has told it already.
        served: Whether it has begun with anything.
        users: How many ask it, or are about to.
        alone: Whether nobody else is to ask it meanwhile: it may well die.
    """

    def __init__(self, setup: Callable[[], bytes]) -> None:
        self._setup = setup
        self._process: Any = None
        self._connection: Any = None
        self._lock = threading.Lock()  # of the process and of being killed, held for a moment only
        self._sending = threading.Lock()
        self._hearing = threading.Lock()
        self._ending = threading.Lock()
        self._turn = threading.Condition()
        self._sent = self._answered = 0
        self._killed = self._ended = False
        self._exit_code: int | None = None
        self.knows: object = None
        self.served = False
        self.users = 0
        self.alone = False

    def ask(self, request: Callable[[], tuple[Any, ...]], hear: Callable[[tuple[Any, ...]], None]) -> None:
        """Send a request, starting the process if need be, and ``hear`` its messages up to the last.

        Raises ``Died``, ``Unfit``, or what ``request`` raises.
        """
        begun = False
        try:
            with self._sending:
                if self._ended:
                    raise EOFError
                if self._process is None:
                    self._start()
                data = pickle.dumps(request(), pickle.HIGHEST_PROTOCOL)
                place = self._sent
                self._sent += 1
                sent = self._send(data)
                del data
            try:
                with self._turn:
                    self._turn.wait_for(lambda: self._answered == place)
                with self._hearing:
                    while True:
                        message = self._receive(sent)
                        if message[0] == "broken":
                            raise Unfit(unpack_error(message[1]))
                        self.served = begun = True
                        hear(message)
                        if message[-1]:
                            return
            finally:
                with self._turn:
                    self._answered += 1
                    self._turn.notify_all()
        except EOFError:
            code = self.end()
            raise Died(code, begun=begun, barren=not self.served) from None

    @property
    def busy(self) -> bool:
        """Whether it has not yet answered all that it was sent. Asked by a ``request``, before that is sent."""
        return self._sent != self._answered

    def _send(self, data: bytes) -> bool:
        try:
            self._connection.send_bytes(data)
        except OSError:
            return False  # whoever was sent something before is to hear first that the process is gone
        return True

    def _start(self) -> None:
        from hush.core._runtime._process_main import main

        setup = pickle.dumps(("setup", self._setup()), pickle.HIGHEST_PROTOCOL)
        context = import_module("loky.backend.context").get_context("loky")
        ours, theirs = context.Pipe(duplex=True)
        # A daemon for this process only: should it end in the middle of a run, it does not wait for this one.
        process = context.Process(target=main, args=(theirs,), name="hush-worker", daemon=True)
        try:
            process.start()
        finally:
            theirs.close()
        with self._lock:
            self._process, self._connection = process, ours
            killed = self._killed
        del process  # it has a descriptor, which an error that is raised here, and kept, would keep
        if killed:
            self.kill()  # while it was being started
        message = self._receive(self._send(setup))
        if message[0] == "broken":
            raise Unfit(unpack_error(message[1]))

    def _receive(self, sent: bool) -> tuple[Any, ...]:
        """The next message. Raises ``EOFError`` if the process is gone, or the request could not be ``sent``."""
        if self._ended or not sent:
            raise EOFError
        try:
            while not self._connection.poll(_LOOK_EVERY_S):
                if self._killed or not self._is_alive():
                    if self._connection.poll(0):
                        break  # its last words
                    raise EOFError
            data = self._connection.recv_bytes()
        except OSError:
            raise EOFError from None
        found: tuple[Any, ...] = pickle.loads(data)
        return found

    def _is_alive(self) -> bool:
        # By itself: a frame that knows the process, kept by an error, would keep its descriptor.
        process = self._process
        return process is not None and process.is_alive()

    @property
    def started(self) -> bool:
        """Whether there is a process whose end nobody has seen."""
        return self._process is not None

    def kill(self) -> None:
        """End the process now, with the processes that it has started."""
        with self._lock:
            self._killed = True
            process = self._process
            if process is None or process.exitcode is not None:
                return
            if os.name != "posix":
                process.terminate()
                return
            for kill in (os.killpg, os.kill):  # the group is its own once it has begun
                try:
                    kill(process.pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass

    def let_go(self) -> None:
        """Nothing more will be asked: the process ends by itself."""
        connection = self._connection
        if connection is None or connection.closed:
            return
        if os.name == "posix":
            # Whoever is in the middle of sending or hearing is to stop first: closed under their hands, its number
            # could be another's by then. What the process has forked may hold the other end open.
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)
        with self._sending, self._hearing:
            connection.close()

    def end(self, wait_s: float = _LOOK_EVERY_S) -> int | None:
        """Wait until the process has ended, and end it if that takes longer than ``wait_s``; its exit code."""
        with self._ending:
            process = self._process
            if process is None:
                return self._exit_code
            self._ended = True
            code = _exit_code(process, wait_s)  # one that has died by itself is to say how: its pipe closes before
            if code is None:
                self.kill()
                code = _exit_code(process, END_S)
            self.let_go()
            if code is not None:
                process.join(0)  # or multiprocessing would remember it
            with self._lock:
                self._process = None
            self._exit_code = code
            return code


def _exit_code(process: Any, wait_s: float) -> int | None:
    """The exit code of a process, once it has ended; ``None`` after ``wait_s``.

    ``join`` waits for a pipe that whatever the process has forked may hold open.
    """
    from multiprocessing.connection import wait

    end_s = monotonic() + wait_s
    while True:
        code: int | None = process.exitcode
        left_s = end_s - monotonic()
        if code is not None or left_s <= 0:
            return code
        if wait([process.sentinel], min(left_s, _LOOK_EVERY_S)):
            code = process.exitcode
            if code is None:
                sleep(0.001)  # its pipe is closed, and it ends any moment


class Talk:
    """One request to a worker process that is under way: its messages, as they come.

    Iterating over it awaits them. It has to be ended by ``kill`` if it is not heard to its end.
    """

    def __init__(self, loop: AbstractEventLoop, worker: WorkerProcess, request: Callable[[], tuple[Any, ...]]) -> None:
        self._loop = loop
        self._worker = worker
        self._request = request
        self._messages: deque[tuple[Any, ...] | None] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.hear: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
        self._error: BaseException | None = None
        self._job: Job | None = None

    async def next(self, timeout_s: float | None = None) -> tuple[Any, ...] | None:
        """The next message; ``None`` after the last. Raises ``Died`` or ``Unfit``, or ``TimeoutError``."""
        if self._job is None:
            self._job = start_in_thread(self._loop, self._ask)
        if not self._messages:
            self._waiter = self._loop.create_future()
            timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if not self._messages:
                raise TimeoutError
        message = self._messages.popleft()
        if message is None and self._error is not None:
            raise self._error
        return message

    async def kill(self, grace_s: float, cancelled: Callable[[], None] | None = None) -> None:
        """Kill the worker, and wait until nothing of it is left, whatever cancellations come meanwhile."""
        self._worker.kill()
        if self._job is not None and not self._job.withdraw():
            await self._job.linger(max(grace_s, END_S), cancelled)
        if self._worker.started:  # it had answered, so that nobody has waited for its end yet
            await start_in_thread(self._loop, self._worker.end).linger(max(grace_s, END_S), cancelled)

    def _ask(self) -> None:
        # In a thread. Messages are unpickled here, and told on the loop in their order.
        try:
            self._worker.ask(self._request, self._tell)
        except BaseException as exc:  # it is the outcome
            self._error = exc
        self._put_soon(None)

    def _tell(self, message: tuple[Any, ...]) -> None:
        self._put_soon(message if self.hear is None else self.hear(message))

    def _put_soon(self, message: tuple[Any, ...] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, message)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _put(self, message: tuple[Any, ...] | None) -> None:
        self._messages.append(message)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
