"""The bytes of an answer as UTF-8, whatever ``Content-Type`` says that they are.

JSON and events are UTF-8 by their standards, and there are servers that send something else and say so.
"""

from __future__ import annotations

import codecs
import re

_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"',]+)", re.IGNORECASE)
_NO_ASCII = ("utf-16", "utf-32", "utf-7", "iso2022", "hz", "cp037", "cp500")


def charset_of(content_type: str) -> str | None:
    """The name that Python has for the charset of a ``Content-Type``; ``None`` for UTF-8.

    Raises ``LookupError`` for one that Python does not know.
    """
    found = _CHARSET.search(content_type)
    name = "utf-8" if found is None else codecs.lookup(found[1]).name
    return None if name in ("utf-8", "ascii") else name


def as_utf8(body: bytes, charset: str | None) -> bytes:
    """``body``, which is in ``charset``, as UTF-8. What is UTF-8 stays so: some servers say what they do not do."""
    if charset is None or not (charset.startswith(_NO_ASCII) or not _is_utf8(body)):
        return body
    return body.decode(charset, "replace").encode("utf-8", "replace")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
