"""Server-sent events, decoded from bytes as they come (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Lines end where the standard says and nowhere else: what Unicode counts as an end of a line may stand in an answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hush.providers._clients._charset import as_utf8

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"  # which some put before all that is UTF-8
_NAMES = (b"data", b"event", b"id", b"retry", b"error")


class Event(NamedTuple):
    """One event. ``name`` is empty where the server gives none."""

    name: str
    data: str


def begins(head: bytes) -> bool | None:
    """Whether what begins with ``head`` are events; ``None`` if it takes more to say so."""
    head = head.removeprefix(_MARK).lstrip()
    if not head or _MARK.startswith(head):
        return None
    if head.startswith(b":"):
        return True
    for name in _NAMES:
        field = name + b":"
        if head.startswith(field):
            return True
        if field.startswith(head):
            return None
    return False


class Lines:
    """Takes lines of JSON as they come, cut anywhere, and gives each as an event (https://github.com/ndjson/ndjson-spec)."""

    def __init__(self, charset: str | None) -> None:
        self._rest: list[bytes] = []
        self._charset = charset

    def feed(self, part: bytes) -> list[Event]:
        """The lines that are whole now."""
        self._rest.append(part)
        if b"\n" not in part:
            return []
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest]
        texts = [as_utf8(line, self._charset).decode("utf-8", "replace").strip() for line in lines]
        return [Event("", text) for text in texts if text]

    def end(self) -> list[Event]:
        """The last line, which may lack its end."""
        return self.feed(b"\n")


class Decoder:
    """Takes bytes as they come, cut anywhere, and gives events.

    Attributes:
        charset: What lines are in that are not UTF-8.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._first = True
        self._name = ""
        self._data: list[str] = []
        self.charset: str | None = None

    def feed(self, part: bytes) -> list[Event]:
        """The events that are whole now."""
        waiting = bool(self._rest) and self._rest[-1].endswith(b"\r")
        self._rest.append(part)
        if not waiting and b"\n" not in part and b"\r" not in part:
            return []  # a long line in many parts is put together once
        text, found, start = b"".join(self._rest), list[Event](), 0
        for end in _LINE_END.finditer(text):
            if end.group() == b"\r" and end.end() == len(text):
                break  # the next part may begin with its "\n"
            self._line(text[start : end.start()], found)
            start = end.end()
        self._rest = [text[start:]] if start < len(text) else []
        return found

    def end(self) -> list[Event]:
        """The events that lack only the blank line at their end, and one of which the last line was cut."""
        found = self.feed(b"\n")
        self._line(b"", found)
        return found

    def _line(self, line: bytes, found: list[Event]) -> None:
        if self._first:
            line, self._first = line.removeprefix(_MARK), False
        if not line:
            if self._data:
                found.append(Event(self._name, "\n".join(self._data)))
            self._name, self._data = "", []
            return
        name, _, value = line.partition(b":")
        text = as_utf8(value.removeprefix(b" "), self.charset).decode("utf-8", "replace")
        if name == b"data":
            self._data.append(text)
        elif name == b"event":
            self._name = text
        elif name == b"error":  # llama.cpp has sent errors so
            self._name = "error"
            self._data.append(text)
