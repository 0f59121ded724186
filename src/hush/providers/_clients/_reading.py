"""An answer as it comes: one JSON document or a stream of events, told apart by how it begins.

Which of the two was asked for does not matter: servers are known to send one in place of the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hush.providers._clients import _sse
from hush.providers._clients._charset import as_utf8, charset_of
from hush.providers._clients._failures import Failures
from hush.providers._clients._lenient import NO_JSON, parsed
from hush.providers.errors import ProviderError, UnfinishedReply

_DONE = "[DONE]"
_LINES = re.compile(r"application/(x-)?(ndjson|jsonl|jsonlines|json-lines|stream\+json)\b", re.IGNORECASE)
_SIGNS_OF_LIFE = frozenset(("ping", "heartbeat", "keepalive", "keep-alive"))  # of proxies; what they hold is no answer


class Reader:
    """Takes the bytes of one answer. A form of answers is a subclass: ``event``, ``document``, ``finished``.

    Attributes:
        done: Whether the server has said that this was all; what still comes is not read.
        finished: Whether what has come is an answer even if nothing more comes.
        streamed: Whether it came as events, or as lines of JSON.
        lines: The first of those lines, if it did.
    """

    def __init__(self, failures: Failures) -> None:
        self.failures = failures
        self.headers: Mapping[str, str] = {}
        self.done = False
        self.finished = False
        self.streamed: bool | None = None
        self._whole: list[bytes] = []
        self.lines: str | None = None
        self._charset: str | None = None
        self._events: _sse.Decoder | _sse.Lines = _sse.Decoder()

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
            self._recognise(self.headers.get("content-type", ""))
            if self.streamed:
                self._whole.clear()
                self._take(self._events.feed(head), at_end=False)

    def _recognise(self, content_type: str) -> None:
        """See in what the answer is written, and whether it is lines of JSON."""
        unknown = ""
        try:
            self._charset = charset_of(content_type)
        except LookupError:
            unknown = content_type
        if unknown:
            raise self.failures.bad(f"answers in a charset that nobody knows here: {unknown}. Let it send UTF-8.")
        if self.streamed is False and _LINES.match(content_type):
            self.streamed, self.lines, self._events = True, "", _sse.Lines(self._charset)
        elif self.streamed and isinstance(self._events, _sse.Decoder):
            self._events.charset = self._charset

    def end(self) -> None:
        """Nothing more comes. Raises a ``ProviderError`` if that was no answer."""
        if self.streamed:
            self._take(self._events.end(), at_end=True)
            if not self.finished:
                raise self.unfinished()
            return
        body = as_utf8(b"".join(self._whole), self._charset)
        self._whole.clear()
        if not body.strip():
            raise self.failures.bad("gave an empty answer.", self.headers)
        found = parsed(body)
        if found is NO_JSON and self._are_lines(body):
            return
        if found is NO_JSON:
            raise self.failures.no_json(body, self.headers)
        self._understood(self.document, found)

    def _are_lines(self, body: bytes) -> bool:
        """Whether it is lines of JSON, though nobody said so; they are then taken. One line alone is no line."""
        lines = [line.decode("utf-8", "replace") for line in body.split(b"\n") if line.strip()]
        if len(lines) < 2 or any(parsed(line) is NO_JSON for line in lines if line.strip() != _DONE):
            return False
        self.streamed, self.lines = True, ""
        self._take([_sse.Event("", line) for line in lines], at_end=True)
        if not self.finished:
            raise self.unfinished()
        return True

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
        if self.lines is not None:
            kind = self.headers.get("content-type", "of no type")
            what += f" It came as lines of JSON ({kind}), of which the first is: {self.lines}"
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
            if self.lines == "":
                self.lines = data
            finished = self.finished
            try:
                found = parsed(data)
                for each in [found] if found is not NO_JSON else self._one_a_line(name, data, at_end=at_end):
                    if each is not None:
                        self._understood(self.event, name, each)
            except ProviderError:
                if not finished:
                    raise
                self.done = True  # what was wrong came after the answer, which has been paid for

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
