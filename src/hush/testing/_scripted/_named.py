"""Settings checked by name and by kind, so that a script is wrong where it is written and not where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hush.testing._scripted._errors import ScriptError

At = tuple[str | int, ...]


def check_keys(given: Mapping[Any, Any], known: Iterable[str], what: str, at: At = ()) -> None:
    """Raise for the first key that is not known, with the nearest one."""
    names = tuple(known)
    for key in given:
        if key not in names:
            raise ScriptError(f"{what} has no {key!r}{nearest(key, names)}", (*at, key))


def nearest(name: Any, known: Iterable[str]) -> str:
    """``": did you mean 'x'?"``, or all there are."""
    from difflib import get_close_matches

    names = tuple(known)
    close = get_close_matches(str(name), names, n=1)
    return f": did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"


def number_of(name: str, given: Any, at: At = (), *, least: float = 0.0) -> float:
    """A number that is finite and not below ``least``."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given < float("inf"):
        raise ScriptError(f"{name} is a number from {least:g} on, not {given!r}", (*at, name))
    return given


def whole_of(name: str, given: Any, at: At = (), *, least: int = 0) -> int:
    """A whole number not below ``least``."""
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ScriptError(f"{name} is a whole number from {least} on, not {given!r}", (*at, name))
    return given


def text_given(name: str, given: Any, at: At = ()) -> str:
    """A text."""
    if not isinstance(given, str):
        raise ScriptError(f"{name} is text, not {given!r}", (*at, name))
    return given
