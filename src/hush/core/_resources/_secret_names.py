"""Which names say that what stands under them is secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
_AMOUNTS = frozenset(
    {"average", "avg", "budget", "cost", "count", "counter", "counts", "len", "length", "lengths", "limit", "limits"}
    | {"max", "mean", "min", "price", "quota", "rate", "size", "sum", "total", "totals", "usage"}
)
_COUNTS = frozenset({"count", "counts", "usage"})
_AMOUNTS_BEFORE = frozenset({"max", "min", "n", "num", "total"})
_TIMES = frozenset({"day", "hour", "minute", "month", "s", "sec", "second"})


def is_secret_name(name: str) -> bool:
    """Whether what stands under ``name`` is not to be shown: ``api_key``, ``accessToken``, ``db-password``.

    How many or how long they are is no secret, and the end of the name says that it is meant: ``token_count``,
    ``promptTokenCount``, ``password_length``, ``token_limit``, ``cost_per_token``.
    """
    words = words_of(name)
    keys = any(before in _KEYS and word == "key" for before, word in pairwise(words))
    return (keys or not _SECRET.isdisjoint(words)) and not _is_amount(words)


def words_of(name: str) -> list[str]:
    """The words of a name in any spelling, in small letters."""
    return [word.lower() for word in _WORD.findall(name)]


def _is_amount(words: Sequence[str]) -> bool:
    """Whether a name is that of a number that is about secrets.

    The last word is what a compound names: ``token_limit`` is a limit, ``limit_token`` a token. ``max_token`` is how
    many are written for ``max_tokens``, but ``max_access_token`` and ``used_token`` would be tokens.
    """
    while words and words[-1].isdigit():
        words = words[:-1]
    if not words:
        return False
    last = words[-1]
    if any(before == "token" and word in _COUNTS for before, word in pairwise(words)) and words.count("token") == 1:
        return _SECRET.isdisjoint(words[words.index("token") + 1 :]) or last in _AMOUNTS
    if last in _AMOUNTS or (last == "token" and len(words) == 2 and words[0] in _AMOUNTS_BEFORE):
        return True
    if last == "used":
        return words[-2:-1] == ["token"] and (len(words) == 2 or words[0] in _AMOUNTS_BEFORE)
    return words[-2:-1] == ["per"] and len(words) > 2 and (last == "token" or last in _TIMES)
