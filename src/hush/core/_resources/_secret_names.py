"""Which names say that what stands under them is secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET = frozenset(
    {"apikey", "accesskey", "accountkey", "masterkey", "privatekey", "secretkey", "auth", "authorization", "bearer"}
    | {"credential", "credentials", "jwt", "otp", "passcode", "passphrase", "passwd", "password", "passwords", "pwd"}
    | {"secret", "secrets", "token", "accesstoken", "authtoken", "refreshtoken", "sessiontoken"}
)
_SECRET_ENDS = ("apikey", "passwd", "password")  # PGPASSWORD
_SECRET_LAST = frozenset({"cookie", "cookies", "pin", "signature", "signatures"})
"""At the end of a name: ``session_cookie``, but not ``cookie_policy``, nor ``pin_code``, as a post office has it."""
_SIGNATURES = frozenset({"call", "fn", "func", "function", "method", "model", "type"})
KEYS = frozenset(
    {"access", "account", "api", "encryption", "license", "master", "private", "secret", "shared", "signing"}
    | {"subscription"}
)
_OF_A_SECRET = frozenset({"code", "hash", "header", "plain", "raw", "string", "text", "value"})
STEMS = ("token", "pass", "auth", "secret", "pwd", "credential", "cookie", "signature", "bearer", "jwt", "otp", "pin")
"""One of them is in each secret name, in small letters, or ``key`` and one of ``KEYS``."""
_AMOUNTS = frozenset(
    {"average", "avg", "budget", "cost", "count", "counter", "counts", "len", "length", "lengths", "limit", "limits"}
    | {"max", "mean", "min", "price", "quota", "rate", "size", "sum", "total", "totals", "usage"}
)
_COUNTS = frozenset({"count", "counts", "usage"})
_AMOUNTS_BEFORE = frozenset({"max", "min", "n", "num", "total"})
_SPECIAL = frozenset({"bos", "cls", "eos", "mask", "pad", "sep", "unk"})
"""Tokens of a model's vocabulary that everybody knows."""
_TIMES = frozenset({"day", "hour", "minute", "month", "s", "sec", "second"})


def is_secret_name(name: str) -> bool:
    """Whether what stands under ``name`` is not to be shown: ``api_key``, ``accessToken``, ``db-password``.

    How many or how long they are is no secret, and the end of the name says that it is meant: ``token_count``,
    ``promptTokenCount``, ``password_length``, ``token_limit``, ``cost_per_token``. Nor are ``eos_token`` and
    ``token_type``.
    """
    words = words_of(name)
    if not words:
        return False
    return (_ends_secret(_base(words)) or any(map(_is_secret, words)) or _has_key(words)) and not (
        _is_amount(words) or _is_of_a_vocabulary(words)
    )


def base_of(name: str) -> list[str]:
    """The words of a name that ends as that of a secret, without what says only in what form: numbers, ``value``.

    None if it does not: ``auth_url`` and ``AuthError`` are secret names, in doubt, but sentences have such words too.
    """
    words = _base(words_of(name))
    return words if _ends_secret(words) else []


def _base(words: list[str]) -> list[str]:
    end = len(words)
    while end > 1 and (words[end - 1].isdigit() or words[end - 1] in _OF_A_SECRET) and words[end - 2] != "pin":
        end -= 1
    return words[:end]


def _ends_secret(words: Sequence[str]) -> bool:
    last = words[-1] if words else ""
    if last in _SECRET_LAST:
        return last not in ("signature", "signatures") or _SIGNATURES.isdisjoint(words)
    return _is_secret(last) or (last in ("key", "keys") and words[-2:-1] != [] and words[-2] in KEYS)


def _is_secret(word: str) -> bool:
    return word in _SECRET or word.endswith(_SECRET_ENDS)


def _has_key(words: Sequence[str]) -> bool:
    return any(before in KEYS and word in ("key", "keys") for before, word in pairwise(words))


def words_of(name: str) -> list[str]:
    """The words of a name in any spelling, in small letters."""
    return [word.lower() for word in _WORD.findall(name)]


def _is_of_a_vocabulary(words: Sequence[str]) -> bool:
    """``eos_token``, ``pad_token_id``, ``token_id``, and the type of any; but a ``session_token_id`` opens doors."""
    last = words[-1]
    kind = last in ("id", "type") and words[-2:-1] == ["token"]
    before = words[:-2] if kind else words[:-1]
    if not (kind or last == "token") or any(map(_is_secret, before)):
        return False
    return last == "type" or (before[-1:] != [] and before[-1] in _SPECIAL) or (last == "id" and not before)


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
        return not any(map(_is_secret, words[words.index("token") + 1 :])) or last in _AMOUNTS
    if last in _AMOUNTS or (last == "token" and len(words) == 2 and words[0] in _AMOUNTS_BEFORE):
        return True
    if last == "used":
        return words[-2:-1] == ["token"] and (len(words) == 2 or words[0] in _AMOUNTS_BEFORE)
    return words[-2:-1] == ["per"] and len(words) > 2 and (last == "token" or last in _TIMES)
