"""Texts of others without the secrets in them, and no longer than an error should be."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HIDDEN = "[secret]"
_SHORTEST = 4  # removing shorter ones would only garble the text
_LONGEST = 500
_SHAPES = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[^\s\"',;]+"
    r"|\bsk-[\w*.-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"
    r"|(?P<address>://)[^/\s:@]*:[^/\s@]+@",
    re.IGNORECASE | re.DOTALL,
)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """``text`` without ``secrets``, by value, and without what has the shape of one: ``Bearer ...``, ``sk-...``."""
    for secret in sorted({each for each in secrets if len(each) >= _SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _SHAPES.sub(lambda found: f"{found['scheme'] or found['address'] or ''}{_HIDDEN}", text)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """``text`` on one line, cut after ``longest`` characters. What is secret has to be removed before."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
