"""JSON of servers that keep to no schema, read as what was most likely meant."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_DECODER = json.JSONDecoder(strict=False)  # json.loads would make one for each text


def loads(text: str | bytes) -> Any:
    """JSON of UTF-8, however it is marked, and with raw control characters in its strings. Raises ``ValueError``."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _DECODER.decode(text.lstrip("\ufeff"))


NO_JSON: Any = object()
"""What ``parsed`` gives for a text that is none."""


def parsed(text: str | bytes) -> Any:
    """As ``loads``, without an error, which would hold the text, secrets and all, as the context of the next one."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return NO_JSON


def dumps(value: Any) -> str:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, empty if it is none."""
    # What JSON gives is a dict, and telling that is four times as fast.
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """A list, empty if it is none."""
    return value if isinstance(value, list) else []


def as_count(value: Any) -> int | None:
    """A number of things: an ``int`` from 0 on, also one that is written as text or float."""
    if type(value) is int:  # the usual case
        return value if value >= 0 else None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_word(value: Any) -> str | None:
    """A text that is not empty. Half a character in it, which nobody could write, is replaced."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def as_text(value: Any) -> str:
    """The text of a content: text, or a list of parts of which the texts are taken."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for name in ("text", "content", "refusal", "message", "msg"):
            if name in value:
                return as_text(value[name])
        return ""
    if isinstance(value, list):
        return "".join(as_text(part) for part in value if as_mapping(part).get("type") not in ("thinking", "reasoning"))
    return "" if value is None or isinstance(value, bool) else str(value)


class Joined:
    """Text that comes in parts, in which a character outside the first plane may be cut in two.

    JSON writes such a character as two escapes, and a server that cuts its text by these sends them in two parts.
    """

    __slots__ = ("_half", "_parts")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._half = ""

    def add(self, text: str) -> str:
        """Take a part, and give what can be shown of it now."""
        if self._half:
            text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return self._keep(text)

    def end(self) -> str:
        """There are no more parts: give what is left to be shown."""
        text, self._half = self._half, ""
        return self._keep(text)

    def _keep(self, text: str) -> str:
        if text:
            if not text.isascii():
                text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            self._parts.append(text)
        return text

    def __str__(self) -> str:
        return "".join(self._parts)
