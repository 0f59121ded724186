"""What is secret by its value or by its shape, and texts without it."""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Iterable

from hush.core._resources._fields import looks_made
from hush.core._resources._known import Known
from hush.core._resources._secret_names import is_secret_name

_ENCODED = r"(?-i:(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/]{4,}={0,2})"  # base64, and not the next word of "a basic example"
_WEB_TOKEN = r"(?-i:(?<![\w-])eyJ[\w-]{5,}+\.eyJ[\w-]{5,}+(?:\.[\w-]+)*)"  # a JWT: JSON, JSON, signature
_SHAPE = re.compile(
    rf"\bbearer\s+\S|\bbasic\s+{_ENCODED}"
    rf"|{_WEB_TOKEN}"
    r"|\bsk-\w|-----BEGIN |(?:://|\A)[^/\s:@]*:[^/\s@]+@|://(?=[^/\s:@]*\d)[^/\s:@]{16,}@"
    r"|[?&][\w.-]*(?:key|token|secret|sig|signature|password|passwd|pwd|jwt|otp)=[^&\s]",
    re.IGNORECASE,
)
HIDDEN = "[secret]"
_MEANS_NOTHING = re.compile(r"[\w.~-]*", re.ASCII)
"""Characters that are the same in addresses, JSON and Python's literals."""
_SHORTEST = 4  # removing shorter ones would only garble the text
_NO_KEYS = frozenset(
    {"none", "null", "empty", "dummy", "fake", "test", "local", "ollama", "unused", "anything", "placeholder", "no-key"}
)
"""What is written as the key of a server that wants none. As words they stand in any text."""
_OF_BEARERS = (
    r"(?!(?:tokens?|auth|authentication|authorization|scheme|header|of|is|are|was|must|not|and|or|for|in)"
    r"(?=[,;:.)]*(?:\s|\Z)))"
)
"""What a sentence that speaks of bearers goes on with."""
_PARTS = re.compile(
    rf"(?P<before>\bbearer\s+){_OF_BEARERS}[^\s\"',;]+"
    rf"|(?P<encoded>\bbasic\s+){_ENCODED}"
    rf"|{_WEB_TOKEN}"
    r"|\bsk-[\w*.-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*-----|\Z)"
    r"|(?P<address>://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?P<login>://)[^/\s:@]{16,}(?=@)"
    r"|(?P<query>[?&][\w.-]*(?:key|token|secret|sig|signature|password|passwd|pwd|jwt|otp)=)[^&\s\"']+",
    re.IGNORECASE | re.DOTALL,
)


def looks_secret(text: str) -> bool:
    """Whether ``text`` has the shape of a credential: ``Bearer ...``, ``sk-...``, a key, a URL with a password."""
    return _SHAPE.search(text) is not None


def _is_one(found: re.Match[str]) -> bool:
    """Whether it is a credential: *Basic HTTP* has the shape of one, and so has ``?sort_key=abc``."""
    if (before := found["encoded"]) is not None:
        return _has_pair(found[0][len(before) :])
    if (before := found["login"]) is not None:  # a token may stand there alone
        return looks_made(found[0][len(before) :])
    if (before := found["query"]) is not None:
        name = before[1:-1].lower()
        ordinary = name.endswith("key") and name != "key" and not is_secret_name(before[1:-1])
        return not ordinary or looks_made(found[0][len(before) :])
    return True


def _has_pair(encoded: str) -> bool:
    """Whether base64 has a user and a password in it, or is a long key that somebody wrote as it is."""
    if len(encoded) >= 16 and any(map(str.isdigit, encoded)):
        return True
    encoded = encoded.rstrip("=")
    if len(encoded) % 4 == 1:  # cut off within what stands for a byte
        encoded = encoded[:-1]
    return b":" in a2b_base64(encoded + "=" * (-len(encoded) % 4))


def _without(text: str, secrets: Iterable[str], named: Iterable[tuple[int, int]] = ()) -> str:
    """``text`` without these, what has a credential's shape, and the places ``named``, all found in the text as it was.

    One after the other would not do: where a secret is the beginning of another, its rest would have no shape any more.
    """
    places = [
        (found.start() + len(next(filter(None, found.groups()), "")), found.end())
        for found in _PARTS.finditer(text)
        if _is_one(found)
    ]
    places += named
    for secret in secrets:
        at = text.find(secret)
        while at >= 0:
            places.append((at, at + len(secret)))
            at = text.find(secret, at + 1)
    kept, end = [], 0
    for begin, stop in sorted(places):
        if begin >= end:
            kept += [text[end:begin], HIDDEN]
        end = max(end, stop)
    return "".join([*kept, text[end:]])


_remembered = Known()
"""The values of all secrets that this process has read from settings: one for the process, as its logs are."""


def remember_secrets(secrets: Iterable[str]) -> None:
    """From now on ``without_secrets`` finds these by value, also as an address, JSON or a ``repr`` has them.

    From any thread.
    """
    for each in secrets:
        if _may_be_sought(each):
            for form in _forms_of(each):
                _remembered.add(form)


def _forms_of(secret: str) -> set[str]:
    """A secret, and what becomes of it in texts that have a meaning of their own for some of its characters."""
    if _MEANS_NOTHING.fullmatch(secret):
        return {secret}
    from json import dumps
    from urllib.parse import quote

    safe = secret.encode("utf-8", "replace")
    in_address = quote(safe, safe="")
    parts = in_address, quote(safe), in_address.replace("%20", "+")
    return {secret, *parts, dumps(secret)[1:-1], dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}


def secrets_known() -> int:
    """A number that changes whenever one more is remembered: for whoever keeps what he found to hold none."""
    return _remembered.version


def _may_be_sought(secret: str) -> bool:
    # Asterisks are what is shown in place of one: settings that were printed, and read again.
    return len(secret) >= _SHORTEST and secret.casefold() not in _NO_KEYS and secret.strip("*") != ""


def _may_hold_some(text: str) -> bool:
    """Whether one of the shapes can be in it: the expression itself takes forty times as long on a long text."""
    low = text.casefold()
    return (
        "bearer" in low
        or "basic" in low
        or "sk-" in low
        or "eyj" in low
        or "-----begin" in low
        or ("@" in low and "://" in low)
        or ("=" in low and ("?" in low or "&" in low))
    )


def _known_in(text: str) -> list[str]:
    known = _remembered
    found = [secret for secret in known.plain if secret in text]
    if known.by_block:
        found += known.long_ones_in(text)
    return found


def without_secrets(text: str, also: Iterable[str] = ()) -> str:
    """``text`` without the values of remembered secrets and of ``also``, and without what has a credential's shape.

    It is made to be called for each value of a run: a short text without any of them takes a fraction of a microsecond.
    """
    found = _known_in(text)
    if also:
        found += [secret for secret in also if secret in text and _may_be_sought(secret)]
    if not found and not _may_hold_some(text):
        return text
    return _without(text, found)


def without_places(text: str, places: Iterable[tuple[int, int]]) -> str:
    """``without_secrets``, and without these ``places``, each from and to."""
    return _without(text, _known_in(text), places)
