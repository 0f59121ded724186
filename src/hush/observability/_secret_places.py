"""Which values are secret by a name beside them: under it, in an entry or a pair with it, or after it in a list."""

from __future__ import annotations

from typing import Any

from hush.core.extend import is_secret_name

SECRET = "[secret]"
LONGEST_NAME = 100
_KNOWN_NAMES = 10_000

_secret_names: dict[str, bool] = {}


def is_secret(name: str) -> bool:
    """``is_secret_name``, remembered: keys are few, and asked for each value."""
    found = _secret_names.get(name)
    if found is None:
        if len(_secret_names) >= _KNOWN_NAMES:
            _secret_names.clear()
        found = _secret_names[name] = is_secret_name(name)
    return found


def hide_entry(table: dict[str, Any], name: str, key: str, value: str) -> None:
    """Hide what an entry gives under ``value``, if it has the name of a secret: so variables and headers are listed."""
    called = table.get(name) or table.get(key)
    if type(called) is str and type(table[value]) is str and is_secret(called[:LONGEST_NAME]):
        table[value] = SECRET


def without_argument(text: str, secret: bool) -> str:
    """An argument of a command, or a variable of its environment, without the value of a secret one."""
    if secret and text[:1] != "-":
        return SECRET
    name = text[: max(text.find("=", 0, LONGEST_NAME), 0)]
    named = name.lstrip("-").replace("-", "_").isidentifier() and is_secret(name)
    return f"{name}={SECRET}" if named else text


def is_pair(value: Any) -> bool:
    """Whether one of several pairs is the name of a secret and its value, as of headers."""
    name, given = value
    kind = type(name)
    if (kind is not str and kind is not bytes) or len(name) > LONGEST_NAME:
        return False
    if not is_secret(name if kind is str else name.decode("latin-1")):
        return False
    kind = type(given)
    return kind is str or kind is bytes
