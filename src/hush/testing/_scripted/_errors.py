"""What a scripted model raises: a script that cannot be read, and a fault in place of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core.errors import HushError


class ScriptError(HushError, ValueError):
    """Raised when a script cannot work: where code gives it, or with the file and the line of the YAML."""

    def __init__(self, message: str, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.at = at

    def within(self, *at: str | int) -> ScriptError:
        """The same error, one step further out: ``at`` is where in the script this part stands."""
        return ScriptError(str(self), (*at, *self.at))


class ScriptedFault(Exception):
    """What `ScriptedLLM.respond` raises in place of an answer: an error that a server sent, told as data.

    Its attributes are those by which `hush.core.Retry` knows errors of HTTP clients, so it is retried as they are.

    Attributes:
        kind: The fault's name, such as ``"rate_limited"``; ``"limited"`` for what a limit of the server refused.
        status: The status of HTTP, or ``None`` where no answer came.
        headers: Those of the answer that matter, in small letters: ``retry-after``, ``retry-after-ms``,
            ``x-ratelimit-...``; ``date`` where a date stands among them.
        body: The body as decoded JSON, or as text where it is none.
    """

    def __init__(self, kind: str, status: int | None, headers: Mapping[str, str], body: Any, message: str) -> None:
        super().__init__(kind, status, headers, body, message)  # so that it can be pickled
        self.kind = kind
        self.status = status
        self.headers = dict(headers)
        self.body = body
        self.message = message

    def __str__(self) -> str:
        return f"{self.status} {self.kind}: {self.message}" if self.status else f"{self.kind}: {self.message}"


class ScriptedDisconnect(ScriptedFault, ConnectionError):
    """A connection that was lost before the answer was whole. ``status`` is there if headers had come."""

    def __init__(self, kind: str, status: int | None, headers: Mapping[str, str], body: Any, message: str) -> None:
        super().__init__(kind, status, headers, body, message)
