"""What is secret, by the name it stands under or by its shape."""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "secrets",
        "token",
    }
)
_KEYS = frozenset({"api", "access", "private", "encryption", "signing", "secret"})
_SHAPE = re.compile(
    r"\b(?:bearer|basic)\s+\S|\bsk-\w|-----BEGIN |://[^/\s:@]*:[^/\s@]+@"
    r"|[?&][\w-]*(?:key|token|secret|password|sig|signature|code)=",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether what stands under ``name`` is not to be shown: ``api_key``, ``accessToken``, ``db-password``."""
    words = [word.lower() for word in _WORD.findall(name)]
    keys = any(before in _KEYS and word == "key" for before, word in pairwise(words))
    return keys or not _SECRET.isdisjoint(words)


def looks_secret(text: str) -> bool:
    """Whether ``text`` has the shape of a credential: ``Bearer ...``, ``sk-...``, a key, a URL with a password."""
    return _SHAPE.search(text) is not None
