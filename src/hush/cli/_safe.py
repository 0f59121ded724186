"""Texts of others as a terminal may be given them: what would steer it is written as an escape instead."""

from __future__ import annotations

import re
from typing import Any

# Control characters of both sets, DEL, what reverses the direction of a line, other ends of lines, what is invisible
# and makes two texts look alike, halves of pairs, which cannot be encoded, and tags, which are invisible letters.
_STEERING = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_LINES = re.compile(f"[{_STEERING}]")
_IN_ONE_LINE = re.compile(f"[{_STEERING}\t\n]")
_NAMES = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def safe(text: str, *, lines: bool = False) -> str:
    r"""``text`` with control characters and the like as escapes: ``\x1b``, ``\u202e``.

    Args:
        text: A name, an id, a message: whatever somebody else chose.
        lines: Leave ends of lines and tabs as they are; else it is one line.
    """
    return (_IN_LINES if lines else _IN_ONE_LINE).sub(lambda found: _escaped(found[0]), text)


def shortened(text: str, most: int) -> str:
    """``text`` in one line of at most ``most`` characters, made safe; what is cut off is told by an ellipsis."""
    line = safe(text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def safe_json(text: str) -> str:
    """``text``, a document of JSON, with such characters as JSON's own escapes: they stand in its strings only."""
    return _IN_LINES.sub(lambda found: _in_json(ord(found[0])), text)


def is_unicode(file: Any) -> bool:
    """Whether all characters can be written there."""
    encoding = (getattr(file, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    return encoding in ("utf8", "utf16", "utf32", "utf8sig")


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return _NAMES.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
