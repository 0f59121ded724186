"""A real HTTP server on loopback that keeps limits, refuses, stalls and breaks off as it is told, and counts it all.

It serves HTTP/1.1 with connections that are kept, on an event loop in a thread of its own, so that nothing the engine
does to its own loop can hold it up. What it answers is decided by rules, asked in order: the first that has an
``Answer`` gives it, else it is 200 with ``{"path": ..., "n": ...}``. All its times are seconds of ``time.monotonic``
since it was started.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

from kit.adaptive_servers import Capacity, reached_in_s

WHOLE, HALF, RESET, SILENT = "whole", "half", "reset", "silent"
"""How an answer is sent: as it should be; half its body, then the end; a reset in its place; nothing, for ever."""

JUST_NOW_S = 0.0005  # two clocks are never read at the same instant


@dataclass(frozen=True)
class Answer:
    """What is answered, and how.

    Attributes:
        after_s: Seconds before the first byte; ``None``: as the server usually takes.
        retry_after: Seconds that ``Retry-After`` names; with ``date=True`` as a date, which is whole seconds.
    """

    status: int = 200
    after_s: float | None = None
    sent: str = WHOLE
    retry_after: float | None = None
    date: bool = False


@dataclass
class Request:
    """A request as the server saw it, and what became of it.

    Attributes:
        at_s: When its last byte was there.
        number: Which one it is, from 1.
        at_once: How many were in the server then, itself among them.
        tries: Which one with this path it is, from 1.
        opens_at_s: Until when the answer asks everybody to stay away.
    """

    at_s: float
    number: int
    path: str
    at_once: int
    tries: int
    answer: Answer = Answer()
    ended_s: float | None = None
    opens_at_s: float | None = None


Rule = Callable[[Request], Answer | None]

TOO_MANY = Answer(429, after_s=0.0)


# --- rules ------------------------------------------------------------------------------------------------------------
@dataclass
class Window:
    """Serves at most ``capacity`` requests in any ``period_s`` seconds, by their arrival; ``else_`` is the refusal."""

    capacity: Capacity
    else_: Answer = TOO_MANY
    period_s: float = 1.0
    _taken: deque[float] = field(default_factory=deque)

    def __call__(self, request: Request) -> Answer | None:
        while self._taken and self._taken[0] <= request.at_s - self.period_s:
            self._taken.popleft()
        if len(self._taken) >= self.capacity(request.at_s) * self.period_s:
            return self.else_
        self._taken.append(request.at_s)
        return None


@dataclass
class Bucket:
    """Serves ``capacity`` requests a second, ``burst`` of them at once after a pause."""

    capacity: Capacity
    burst: float = 10.0
    else_: Answer = TOO_MANY
    _tokens: float = 1e9
    _at_s: float = 0.0

    def __call__(self, request: Request) -> Answer | None:
        refilled = self._tokens + (request.at_s - self._at_s) * self.capacity(request.at_s)
        self._tokens, self._at_s = min(self.burst, refilled), request.at_s
        if self._tokens < 1:
            return self.else_
        self._tokens -= 1
        return None


@dataclass
class Slots:
    """Serves at most so many requests at once."""

    capacity: Capacity
    else_: Answer = TOO_MANY

    def __call__(self, request: Request) -> Answer | None:
        return self.else_ if request.at_once > self.capacity(request.at_s) else None


@dataclass
class During:
    """One answer for everybody, from one time to another."""

    from_s: float
    until_s: float
    answer: Answer = TOO_MANY

    def __call__(self, request: Request) -> Answer | None:
        return self.answer if self.from_s <= request.at_s < self.until_s else None


@dataclass
class Tries:
    """One answer for the first ``count`` requests with the same path, if the path says so: ``/slow/7``."""

    count: int
    answer: Answer
    when: str = ""

    def __call__(self, request: Request) -> Answer | None:
        return self.answer if request.tries <= self.count and self.when in request.path else None


@dataclass
class Numbers:
    """One answer for the requests with these numbers."""

    numbers: frozenset[int]
    answer: Answer

    def __call__(self, request: Request) -> Answer | None:
        return self.answer if request.number in self.numbers else None


@dataclass
class Outage:
    """One answer for everybody, for so many seconds from the request with this number on."""

    number: int
    seconds: float
    answer: Answer = TOO_MANY
    _from_s: float = math.inf

    def __call__(self, request: Request) -> Answer | None:
        if request.number == self.number:
            self._from_s = request.at_s
        return self.answer if self._from_s <= request.at_s < self._from_s + self.seconds else None


# --- the server -------------------------------------------------------------------------------------------------------
class HttpServer:
    """The server; ``serving`` runs it.

    Attributes:
        url: Where it listens, without a slash at the end.
        seen: All requests, in the order in which they came.
        most_at_once: The most requests that were in it at one time.
    """

    def __init__(self, rules: tuple[Rule, ...], latency_s: float) -> None:
        self.rules = rules
        self.latency_s = latency_s
        self.url = ""
        self.seen: list[Request] = []
        self.most_at_once = 0
        self._inside = 0
        self._tries: Counter[str] = Counter()
        self._began_s = time.monotonic()

    def now_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began_s

    # --- counted ------------------------------------------------------------------------------------------
    @property
    def requests(self) -> int:
        return len(self.seen)

    def of(self, status: int, sent: str = WHOLE) -> list[Request]:
        """The requests that were answered so."""
        return [each for each in self.seen if each.answer.status == status and each.answer.sent == sent]

    @property
    def refused(self) -> int:
        return sum(each.answer.status in (429, 503) for each in self.seen)

    @property
    def early(self) -> list[Request]:
        """Requests that came before a time that an answer had named by then, whoever had got it."""
        found: list[Request] = []
        told = [each for each in self.seen if each.opens_at_s is not None and each.ended_s is not None]
        for request in self.seen:
            for each in told:
                assert each.ended_s is not None
                assert each.opens_at_s is not None
                # An answer that is only on its way cannot have been obeyed: 0.1 s for it to be read.
                if each.ended_s + 0.1 < request.at_s < each.opens_at_s - JUST_NOW_S:
                    found.append(request)
                    break
        return found

    def most_in_any(self, period_s: float = 1.0) -> int:
        """The most requests that came in any window of this length, half-open."""
        window: deque[float] = deque()
        most = 0
        for request in self.seen:
            window.append(request.at_s)
            while window[0] <= request.at_s - period_s:
                window.popleft()
            most = max(most, len(window))
        return most

    def served_per_s(self, from_s: float, until_s: float) -> float:
        """Requests that came in the interval and were served, a second."""
        return sum(from_s <= each.at_s < until_s for each in self.of(200)) / (until_s - from_s)

    def reached_in_s(self, per_s: float, from_s: float) -> float:
        """How long after ``from_s`` 90 % of ``per_s`` requests that came within a second were served."""
        return reached_in_s([each.at_s for each in self.of(200)], per_s, from_s)

    # --- one connection -----------------------------------------------------------------------------------
    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode("latin-1")
                if not await self._serve(path, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _serve(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection may be used again."""
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        self._tries[path] += 1
        request = Request(self.now_s(), len(self.seen) + 1, path, self._inside, self._tries[path])
        self.seen.append(request)
        try:
            found = (rule(request) for rule in self.rules)
            answer = request.answer = next((each for each in found if each is not None), request.answer)
            await asyncio.sleep(self.latency_s if answer.after_s is None else answer.after_s)
            if answer.sent == SILENT:
                await asyncio.Event().wait()
            if answer.sent == RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            body = json.dumps({"path": path, "n": request.number}).encode()
            self._inside -= 1  # before the client can know
            try:
                writer.write(self._head(request, body) + body[: len(body) // (2 if answer.sent == HALF else 1)])
                request.ended_s = self.now_s()
                await writer.drain()
            finally:
                self._inside += 1
        finally:
            self._inside -= 1
        return answer.sent == WHOLE

    def _head(self, request: Request, body: bytes) -> bytes:
        answer = request.answer
        headers: dict[str, Any] = {"Content-Type": "application/json", "Content-Length": len(body)}
        if answer.retry_after is not None and not answer.date:
            headers["Retry-After"] = f"{answer.retry_after:g}"
            request.opens_at_s = self.now_s() + answer.retry_after
        elif answer.retry_after is not None:
            wall_s = time.time()
            then_s = int(wall_s) + int(answer.retry_after)
            headers["Date"] = formatdate(wall_s, usegmt=True)
            headers["Retry-After"] = formatdate(then_s, usegmt=True)
            request.opens_at_s = self.now_s() + then_s - wall_s
        return _bytes_of(answer.status, headers)


def _bytes_of(status: int, headers: Mapping[str, Any]) -> bytes:
    lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


@contextmanager
def serving(*rules: Rule, latency_s: float = 0.005) -> Iterator[HttpServer]:
    """A server for as long as the block runs; then its connections are cut, and its thread has ended."""
    server = HttpServer(rules, latency_s)
    ready = threading.Event()
    over: list[Callable[[], object]] = []

    async def serve() -> None:
        end = asyncio.Event()
        over.append(partial(asyncio.get_running_loop().call_soon_threadsafe, end.set))
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(server.connected(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        listening = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        ready.set()
        await end.wait()
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="http-server")
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        over[0]()
        thread.join()
