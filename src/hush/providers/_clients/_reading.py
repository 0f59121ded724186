"""An answer as it comes: one JSON document or a stream of events, told apart by how it begins.

Which of the two was asked for does not matter: servers are known to send one in place of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hush.providers._clients import _sse
from hush.providers._clients._failures import Failures
from hush.providers._clients._lenient import NO_JSON, parsed
from hush.providers._clients._told import told_by
from hush.providers.errors import UnfinishedReply

_DONE = "[DONE]"
_SIGNS_OF_LIFE = frozenset(("ping", "heartbeat", "keepalive", "keep-alive"))  # of proxies; what they hold is no answer


class Reader:
    """Takes the bytes of one answer. A form of answers is a subclass: ``event``, ``document``, ``finished``.

    Attributes:
        done: Whether the server has said that this was all; what still comes is not read.
        finished: Whether what has come is an answer even if nothing more comes.
        streamed: Whether it came as events.
    """

    def __init__(self, failures: Failures) -> None:
        self.failures = failures
        self.headers: Mapping[str, str] = {}
        self.done = False
        self.finished = False
        self.streamed: bool | None = None
        self._whole: list[bytes] = []
        self._events = _sse.Decoder()

    # --- to be told apart -------------------------------------------------------------------------------------
    def event(self, name: str, data: Any) -> None:
        """One event of a stream: its name and its JSON."""
        raise NotImplementedError

    def document(self, found: Any) -> None:
        """An answer that is one JSON document."""
        raise NotImplementedError

    # --- as it comes ------------------------------------------------------------------------------------------
    def feed(self, part: bytes) -> None:
        """Take what has come. Raises a ``ProviderError`` for what is no answer."""
        if self.streamed:
            self._take(self._events.feed(part), at_end=False)
            return
        self._whole.append(part)
        if self.streamed is None:
            head = b"".join(self._whole)
            self.streamed = _sse.begins(head)
            if self.streamed:
                self._whole.clear()
                self._take(self._events.feed(head), at_end=False)

    def end(self) -> None:
        """Nothing more comes. Raises a ``ProviderError`` if that was no answer."""
        if self.streamed:
            self._take(self._events.end(), at_end=True)
            if not self.finished:
                raise self.unfinished()
            return
        body = b"".join(self._whole)
        self._whole.clear()
        if not body.strip():
            raise self.failures.bad("gave an empty answer.", self.headers)
        found = parsed(body)
        if found is NO_JSON:
            raise self.failures.bad(f"gave an answer that is no JSON: {told_by(body).message}", self.headers)
        self._understood(self.document, found)

    def _understood(self, take: Callable[..., None], *found: Any) -> None:
        """Take what was parsed; only a server that is out of its mind nests deeper than Python calls."""
        deep = False
        try:
            take(*found)
        except RecursionError:
            deep = True
        if deep:
            raise self.failures.bad("gave an answer that is nested too deeply.", self.headers)

    def unfinished(self) -> UnfinishedReply:
        """The error of a stream that ended early."""
        what = "ended its stream without a finish reason: what came may be half of the answer."
        error = self.failures.bad(what, self.headers, UnfinishedReply)
        assert isinstance(error, UnfinishedReply)
        return error

    def _take(self, events: list[_sse.Event], *, at_end: bool) -> None:
        for name, data in events:
            if self.done:
                return
            if data.strip() == _DONE:
                self.done = True
                return
            if not data.strip():
                continue
            found = parsed(data)
            for each in [found] if found is not NO_JSON else self._one_a_line(name, data, at_end=at_end):
                if each is not None:
                    self._understood(self.event, name, each)

    def _one_a_line(self, name: str, data: str, *, at_end: bool) -> list[Any]:
        """Events that have no blank line between them, or the last one, which was cut."""
        found: list[Any] = []
        lines = [line for line in data.split("\n") if line.strip()]
        for number, line in enumerate(lines, 1):
            if line.strip() == _DONE:
                self.done = True
                break
            one = parsed(line)
            if one is not NO_JSON:
                found.append(one)
            elif name in _SIGNS_OF_LIFE:
                continue
            elif name == "error":
                raise self.failures.of_object(data, self.headers)
            elif at_end and number == len(lines):
                break  # a finish reason is then missing, or it was not needed
            else:
                raise self.failures.bad(f"sent an event that is no JSON: {line}", self.headers)
        return found
