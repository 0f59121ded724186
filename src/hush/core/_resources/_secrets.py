"""What is secret, by the name it stands under or by its shape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from threading import Lock

from hush.core import protocols

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
    r"\b(?:bearer|basic)\s+\S|\bsk-\w|-----BEGIN |(?:://|\A)[^/\s:@]*:[^/\s@]+@"
    r"|[?&][\w.-]*(?:key|token|secret|sig|signature|password)=[^&\s]",
    re.IGNORECASE,
)
_HIDDEN = "[secret]"
_SHORTEST = 4  # removing shorter ones would only garble the text
_PARTS = re.compile(
    r"(?P<before>\b(?:bearer|basic)\s+)[^\s\"',;]+"
    r"|\bsk-[\w*.-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"
    r"|(?P<address>://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?P<query>[?&][\w.-]*(?:key|token|secret|sig|signature|password)=)[^&\s\"']+",
    re.IGNORECASE | re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether what stands under ``name`` is not to be shown: ``api_key``, ``accessToken``, ``db-password``."""
    words = [word.lower() for word in _WORD.findall(name)]
    keys = any(before in _KEYS and word == "key" for before, word in pairwise(words))
    return keys or not _SECRET.isdisjoint(words)


def looks_secret(text: str) -> bool:
    """Whether ``text`` has the shape of a credential: ``Bearer ...``, ``sk-...``, a key, a URL with a password."""
    return _SHAPE.search(text) is not None


def hidden(text: str, secrets: Iterable[str]) -> str:
    """``text`` of others without ``secrets``, by value, and without what has the shape of a credential."""
    return _without(text, {each for each in secrets if len(each) >= _SHORTEST and each in text})


def _without(text: str, secrets: Iterable[str]) -> str:
    """``text`` without these and what has the shape of a credential, all found in the text as it was.

    One after the other would not do: where a secret is the beginning of another, its rest would have no shape any more.
    """
    places = [
        (found.start() + len(next(filter(None, found.groups()), "")), found.end()) for found in _PARTS.finditer(text)
    ]
    for secret in secrets:
        at = text.find(secret)
        while at >= 0:
            places.append((at, at + len(secret)))
            at = text.find(secret, at + 1)
    kept, end = [], 0
    for begin, stop in sorted(places):
        if begin >= end:
            kept += [text[end:begin], _HIDDEN]
        end = max(end, stop)
    return "".join([*kept, text[end:]])


_remembered: tuple[str, ...] = ()
"""The values of all secrets that this process has read from settings, the longest first."""
_remembering = Lock()
_MARKS = frozenset(" -:?&")  # each shape of a credential has one of them


def remember_secrets(secrets: Iterable[str]) -> None:
    """From now on ``without_secrets`` finds these by value. From any thread."""
    global _remembered  # noqa: PLW0603  # one for the process, as its logs and traces are
    new = {each for each in secrets if len(each) >= _SHORTEST}.difference(_remembered)
    if new:
        with _remembering:
            _remembered = tuple(sorted({*_remembered, *new}, key=len, reverse=True))


def without_secrets(text: str) -> str:
    """``text`` without the values of remembered secrets, and without what has the shape of a credential.

    It is made to be called for each value of a run: a short text without any of them takes a fraction of a microsecond.
    """
    found = [secret for secret in _remembered if secret in text]
    if found:
        return _without(text, found)
    if _MARKS.isdisjoint(text):
        return text
    return _PARTS.sub(lambda found: f"{next(filter(None, found.groups()), '')}{_HIDDEN}", text)


protocols.without_secrets.call = without_secrets
