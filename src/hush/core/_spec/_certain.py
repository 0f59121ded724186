"""The certain form of a value: JSON with the types told apart, for the keys of a cache and for what it keeps.

What JSON has by itself stands for itself: ``null``, ``true``, text, lists, and numbers, of which those with a point are
floats. Everything else is an object with one name that begins with ``$``, such as ``{"$tuple": [1, 2]}``. Nothing here
looks at an object's ``repr``, hash or address.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from functools import cached_property
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

Tree: TypeAlias = Any
_LARGE = 1 << 4096
"""Whole numbers from here on are told in base 16: Python refuses to read and write very long ones in base 10."""
TOO_DEEP = "nested too deeply, or holds itself"
"""What a value is that makes Python run out of stack."""


class Uncertain(Exception):
    """A value has no certain form.

    Attributes:
        at: The way to it from the value that was asked about, such as ``["rows"][0].owner``.
        what: What it is.
    """

    def __init__(self, what: str, at: str = "") -> None:
        super().__init__(what)
        self.at = at
        self.what = what


class Former:
    """Forms values.

    Args:
        for_key: Whether equal values must have one form: dicts are sorted, and objects may have more attributes than
            their fields. Else the form is one to make the value of again, and keeps their order.

    Attributes:
        types: The types that were met, by name, beyond those that need no import.
        fixed: Whether all values that were met can never change.
    """

    def __init__(self, *, for_key: bool) -> None:
        self.for_key = for_key
        self.types: dict[str, type] = {}
        self.fixed = True

    def form(self, value: Any) -> Tree:
        """The form of ``value``; raises ``Uncertain``."""
        kind = type(value)
        if value is None or kind is str or kind is bool:
            return value
        if kind is int:
            return value if -_LARGE < value < _LARGE else {"$int": hex(value)}
        if kind is float:
            return value if value - value == 0 else {"$float": repr(value)}
        if kind is list:
            self.fixed = False
            return self.items(value)
        if kind is dict:
            self.fixed = False
            return self._dict(value)
        make = _PLAIN.get(kind)
        if make is not None:
            return make(self, value)
        return self.other(value, kind)

    def items(self, values: Any) -> list[Tree]:
        """The forms of the members of a list."""
        found: list[Tree] = []
        for place, value in enumerate(values):
            kind = type(value)
            if kind is str or (kind is int and -_LARGE < value < _LARGE):  # most members of long lists
                found.append(value)
                continue
            try:
                found.append(self.form(value))
            except Uncertain as exc:
                exc.at = f"[{place}]{exc.at}"
                raise
        return found

    def _dict(self, value: dict[Any, Any]) -> Tree:
        plain = True
        pairs: list[tuple[Tree, Tree]] = []
        for key, one in value.items():
            plain = plain and type(key) is str and not key.startswith("$")
            try:
                pairs.append((self.form(key), self.form(one)))
            except Uncertain as exc:
                exc.at = f"[{key!r}]{exc.at}" if type(key) in (str, int) else f"[...]{exc.at}"
                raise
        if self.for_key:
            pairs.sort(key=lambda pair: text_of(pair[0]))
        return dict(pairs) if plain else {"$dict": [list(pair) for pair in pairs]}

    def other(self, value: Any, kind: type) -> Tree:
        """The form of what is of no builtin type."""
        if isinstance(value, Enum):
            return self._member(value, kind)
        if isinstance(value, PurePath):
            return {f"${kind.__name__}": str(value)} if kind.__name__ in _PATHS else self._unknown(kind)
        if isinstance(value, tzinfo):
            return self._zone(value, kind)
        if is_dataclass(kind):
            return {"$data": [self._named(kind), self._state(value, kind, {one.name for one in fields(kind)})]}
        if isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
            if getattr(value, "__dict__", None):
                raise Uncertain(f"a {kind.__name__} that has attributes besides its fields")
            return {"$named": [self._named(kind), dict(zip(kind._fields, self.items(value), strict=True))]}  # type: ignore[attr-defined]
        model = base_model()
        if model is not None and issubclass(kind, model):
            return self._model(value, kind)
        return self._unknown(kind)

    def _unknown(self, kind: type) -> Tree:
        module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
        raise Uncertain(f"of type {module}{kind.__qualname__}")

    def _named(self, kind: type) -> str:
        name = type_name(kind)
        self.types[name] = kind
        return name

    def _member(self, value: Enum, kind: type) -> Tree:
        if isinstance(value, Flag):
            return {"$flag": [self._named(kind), value.value]}
        if not self.for_key:
            return {"$enum": [self._named(kind), value.name]}
        return {"$enum": [self._named(kind), value.name, self.part(".value", value.value)]}

    def part(self, name: str, value: Any) -> Tree:
        """The form of what stands under ``name`` in something."""
        try:
            return self.form(value)
        except Uncertain as exc:
            exc.at = name + exc.at
            raise

    def _state(self, value: Any, kind: type, names: set[str]) -> dict[str, Tree]:
        """The attributes of an object whose fields are ``names``."""
        self.fixed = False
        if not is_plain(kind):
            raise Uncertain(f"of type {kind.__qualname__}, which is more than its fields")
        slots = {
            slot
            for base in kind.__mro__
            for slot in _listed(base.__dict__.get("__slots__", ()))
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot)
        }
        kept = {
            name
            for name in getattr(value, "__dict__", ())
            if not isinstance(getattr(kind, name, None), cached_property)
        }
        more = sorted((slots | kept) - names)
        if more and not self.for_key:
            raise Uncertain(f"a {kind.__qualname__} that has attributes besides its fields: {', '.join(more)}")
        return {
            name: self.part(f".{name}", getattr(value, name))
            for name in (*sorted(names), *more)
            if hasattr(value, name)
        }

    def _model(self, value: Any, kind: type) -> Tree:
        self.fixed = False
        state = value.__getstate__()
        found: dict[str, Tree] = {}
        for part in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
            given = state.get(part)
            if given is None:
                found[part] = None
                continue
            found[part] = {
                name: self.part(f".{name}", one)
                for name, one in (sorted(given.items()) if self.for_key else given.items())
                if not isinstance(getattr(kind, name, None), cached_property)
            }
        found["set"] = sorted(state.get("__pydantic_fields_set__") or ())
        return {"$model": [self._named(kind), found]}

    def _zone(self, value: tzinfo, kind: type) -> Tree:
        if kind is timezone:
            return {"$timezone": [self.form(value.utcoffset(None)), value.tzname(None)]}
        key = getattr(value, "key", None)
        if (kind.__module__, kind.__name__) != ("zoneinfo", "ZoneInfo") or type(key) is not str:
            self._unknown(kind)
        return {"$zone": key}

    def clock(self, value: datetime | time) -> list[Tree]:
        """The form of a time of day, with its zone."""
        zone = None if value.tzinfo is None else self.part(".tzinfo", value.tzinfo)
        return [value.replace(tzinfo=None).isoformat(), value.fold, zone]

    def members(self, values: Any) -> list[Tree]:
        """The forms of the members of a set, in an order of their own."""
        try:
            return sorted([self.form(one) for one in values], key=text_of)
        except Uncertain as exc:
            exc.at = "{...}" + exc.at
            raise


def _changing(form: Callable[[Former, Any], Tree]) -> Callable[[Former, Any], Tree]:
    def make(former: Former, value: Any) -> Tree:
        former.fixed = False
        return form(former, value)

    return make


def _base85(value: bytes | bytearray) -> str:
    import base64

    return base64.b85encode(value).decode("ascii")


_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
_PLAIN: dict[type, Callable[[Former, Any], Tree]] = {
    tuple: lambda former, value: {"$tuple": former.items(value)},
    set: _changing(lambda former, value: {"$set": former.members(value)}),
    frozenset: lambda former, value: {"$frozenset": former.members(value)},
    bytes: lambda _, value: {"$bytes": _base85(value)},
    bytearray: _changing(lambda _, value: {"$bytearray": _base85(value)}),
    complex: lambda former, value: {"$complex": [former.form(value.real), former.form(value.imag)]},
    range: lambda _, value: {"$range": [value.start, value.stop, value.step]},
    Decimal: lambda _, value: {"$decimal": str(value)},
    Fraction: lambda former, value: {"$fraction": [former.form(value.numerator), former.form(value.denominator)]},
    UUID: lambda _, value: {"$uuid": value.hex},
    date: lambda _, value: {"$date": value.isoformat()},
    datetime: lambda former, value: {"$datetime": former.clock(value)},
    time: lambda former, value: {"$time": former.clock(value)},
    timedelta: lambda _, value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}


def _listed(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def type_name(kind: type) -> str:
    """What a type is called: its module and its qualified name."""
    return f"{kind.__module__}:{kind.__qualname__}"


def is_plain(kind: type) -> bool:
    """Whether an object of a class is made by ``object`` itself: what it is lies in its attributes."""
    new: Any = kind.__new__
    return new is object.__new__


def base_model() -> type | None:
    """The ``BaseModel`` of pydantic, if anybody in this process uses pydantic."""
    pydantic = sys.modules.get("pydantic")
    return None if pydantic is None else getattr(pydantic, "BaseModel", None)


def text_of(tree: Tree) -> str:
    """A form as text: one for each form."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def bytes_of(tree: Tree) -> bytes:
    """A form as bytes."""
    return text_of(tree).encode("utf-8", "surrogatepass")


def form_named(former: Former, values: Mapping[str, Any]) -> dict[str, Tree]:
    """The forms of named values, sorted by name; what is raised says in ``at`` which one it is about, first of all."""
    found: dict[str, Tree] = {}
    for name in sorted(values):
        try:
            found[name] = former.part(name, values[name])
        except RecursionError:
            raise Uncertain(TOO_DEEP, name) from None
    return found
