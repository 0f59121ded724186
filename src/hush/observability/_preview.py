"""Values of a run as plain data that JSON can hold: cut to a bound, without secrets, without running anybody's code.

It is called in the run's thread for each node, since what a node gave may change as soon as the next one has it. So the
common case, a few numbers and short texts, has a path of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import isfinite
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from hush.core.extend import is_secret_name, remember_secrets, without_secrets

SECRET = "[secret]"
_SHOWN_AS_TEXT = (Decimal, Fraction, UUID, PurePath, date, datetime, time, timedelta, complex, range)
_KNOWN_NAMES = 10_000

_secret_names: dict[str, bool] = {}


class Bounds(NamedTuple):
    """How much of a value is kept.

    Attributes:
        text: Characters of one text.
        items: Values in one list, or in one mapping.
        depth: How deep they nest.
        total: Characters of everything together, about.
    """

    text: int
    items: int
    depth: int
    total: int


PREVIEW = Bounds(text=2_000, items=20, depth=6, total=8_000)
EVERYTHING = Bounds(text=1_000_000, items=100_000, depth=50, total=4_000_000)
"""All of it; there is a bound nevertheless, so that a table in memory does not become one in the trace."""


def is_secret(name: str) -> bool:
    """``is_secret_name``, remembered: keys are few, and asked for each value."""
    found = _secret_names.get(name)
    if found is None:
        if len(_secret_names) >= _KNOWN_NAMES:
            _secret_names.clear()
        found = _secret_names[name] = is_secret_name(name)
    return found


def preview(values: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """``values`` as plain data. Where something cannot be shown, its place says so; nothing is raised."""
    found: dict[str, Any] = {}
    left: list[int] | None = None
    try:
        names = _secret_names
        for key, value in values.items():
            kind = type(value)
            if type(key) is str and not (names[key] if key in names else is_secret(key)):
                if kind is int or kind is bool or value is None:
                    found[key] = value
                    continue
                if kind is str and len(value) <= 100 and value.isascii():
                    found[key] = without_secrets(value)
                    continue
            if left is None:
                left = [bounds.total]
            if len(found) >= bounds.items:
                found["…"] = f"{len(values) - len(found)} more"
                break
            name = _text(key, bounds) if type(key) is str else f"<{kind.__name__}>"
            found[name] = SECRET if is_secret(name) and value is not None else _plain(value, bounds, 1, left)
    except Exception as exc:  # a mapping that changes, or that is somebody's own: what is shown harms nobody
        found["…"] = f"not shown: {type(exc).__name__}"
    return found


def shown(value: Any, bounds: Bounds = PREVIEW) -> Any:
    """One value as plain data, as in ``preview``."""
    try:
        return _plain(value, bounds, 0, [bounds.total])
    except Exception as exc:
        return f"<{type(value).__name__}: not shown: {type(exc).__name__}>"


def clean(text: str, longest: int, hide: Callable[[str], str] = without_secrets) -> str:
    """A text without secrets, cut, and such that any file and any wire can hold it."""
    if len(text) > longest + 10_000:
        # What lies far beyond the cut need not be searched; a secret across the cut is still whole in the rest.
        rest = len(text) - longest - 10_000
        text = text[: longest + 10_000]
    else:
        rest = 0
    text = hide(text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if len(text) > longest or rest:
        text = f"{text[:longest]}… ({len(text) - longest + rest:,} more characters)"
    return text


def _text(value: str, bounds: Bounds) -> str:
    return clean(value, bounds.text)


def _plain(value: Any, bounds: Bounds, depth: int, left: list[int]) -> Any:  # noqa: C901  # one case a kind of value
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _number(value)
    if kind is float:
        return value if isfinite(value) else str(value)
    if kind is str:
        longest = min(bounds.text, max(left[0], 0))
        text = clean(value, longest) if longest else f"({len(value):,} characters)"
        left[0] -= len(text)
        return text
    left[0] -= 8
    if isinstance(value, str):
        if vars(kind).get("__repr__") is not None:  # it hides itself
            remember_secrets([str.__str__(value)], passing=True)
            return SECRET
        return _plain(str.__str__(value), bounds, depth, left)
    if callable(reveal := getattr(kind, "get_secret_value", None)):
        remember_secrets([str(reveal(value))], passing=True)
        return SECRET
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Enum):
        return _plain(value.value, bounds, depth, left)
    if isinstance(value, _SHOWN_AS_TEXT) and kind.__module__ in _PLAIN_MODULES:
        return clean(str(value), bounds.text)
    if isinstance(value, BaseException):
        return f"{kind.__name__}: {clean(said(value), bounds.text)}"
    if depth >= bounds.depth or left[0] <= 0:
        return f"<{kind.__name__}>"
    if isinstance(value, dict):
        return _table(value, len(value), bounds, depth, left)
    if isinstance(value, list | tuple | set | frozenset):
        names = getattr(kind, "_fields", None)
        if isinstance(value, tuple) and isinstance(names, tuple):
            return _table(dict(zip(names, value, strict=False)), len(value), bounds, depth, left)
        return _list(value, bounds, depth, left)
    if is_dataclass(kind):
        each = {one.name: vars_of(value, one.name) for one in fields(kind) if one.repr}
        return _table(each, len(each), bounds, depth, left)
    if isinstance(getattr(kind, "model_fields", None), dict) and isinstance(value.__dict__, dict):  # pydantic
        return _table(value.__dict__, len(value.__dict__), bounds, depth, left)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"<{kind.__name__} {' x '.join(str(one) for one in shape)}>"
    return f"<{kind.__module__}.{kind.__qualname__}>"


_PLAIN_MODULES = frozenset({"builtins", "datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid"})


def _number(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        return f"<int of {value.bit_length():,} bits>"


def vars_of(value: Any, name: str) -> Any:
    """A field of a data class, without a property's code; one that was never set is ``None``."""
    return object.__getattribute__(value, name) if hasattr(type(value), name) or name in value.__dict__ else None


def _table(values: Mapping[Any, Any], count: int, bounds: Bounds, depth: int, left: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if len(found) >= bounds.items or left[0] <= 0:
            found["…"] = f"{count - len(found):,} more"
            break
        name = clean(key, 200) if type(key) is str else str(_plain(key, bounds, bounds.depth, left))
        left[0] -= len(name)
        secret = is_secret(name) and value is not None and type(value) not in (int, bool, float)
        found[name] = SECRET if secret else _plain(value, bounds, depth + 1, left)
    return found


def _list(values: Any, bounds: Bounds, depth: int, left: list[int]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if len(found) >= bounds.items or left[0] <= 0:
            found.append(f"… {len(values) - len(found):,} more")
            break
        found.append(_plain(value, bounds, depth + 1, left))
    return found


def said(error: BaseException) -> str:
    """What an error says; its own ``__str__`` may raise."""
    try:
        return str(error)
    except Exception as exc:
        return f"<its text cannot be read: {type(exc).__name__}>"


def parts_of(error: BaseException) -> Sequence[BaseException]:
    """Those that an exception group holds."""
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()
