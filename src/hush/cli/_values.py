"""``plain``: what a graph gave, as JSON can hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from math import isfinite
from typing import Any

from hush.cli._safe import shortened
from hush.core.extend import without_secrets

_DEEPEST = 200
_LONGEST_REPR = 1000
_SURELY_WRITTEN_BITS = 2_000
"""Python writes whole numbers of up to 640 digits whatever ``sys.set_int_max_str_digits`` was given: 2,126 bits."""


class Unheld:
    """What JSON could not hold: where the first few were, and how many there were."""

    SHOWN = 3

    def __init__(self) -> None:
        self.first: list[str] = []
        self.count = 0

    def add(self, place: tuple[Any, ...], what: str) -> None:
        """Take note of one."""
        self.count += 1
        if len(self.first) < self.SHOWN:
            where = "".join(f"[{_repr(part)}]" for part in place)
            self.first.append(f"{shortened(where, 80)}: {shortened(what, 80)}")

    def __str__(self) -> str:
        more = f"; and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
        return f"JSON cannot hold {'; '.join(self.first)}{more}"


def plain(value: Any, unheld: Unheld) -> Any:
    """``value`` as dicts, lists, texts, numbers, booleans and ``None``.

    Fields of pydantic models and data classes, items of named tuples, sets, arrays and data frames that have a
    ``tolist`` or ``to_dict``; times in ISO 8601; enums by their values; paths, UUIDs and decimals as text; bytes as
    text if they are UTF-8; exceptions by ``type`` and ``message``. Anything else, what raises when it is read, what is
    nested too deeply, numbers that are not finite and whole ones that Python does not write in decimal digits are told
    to ``unheld``: the last stand as text in hexadecimal digits, those before them as ``null``, the rest as ``repr``.
    """
    return _plain(value, (), unheld)


def _plain(value: Any, place: tuple[Any, ...], unheld: Unheld) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if value.bit_length() <= _SURELY_WRITTEN_BITS else _whole(value, place, unheld)
    if kind is float:
        return _number(value, place, unheld)
    if len(place) > _DEEPEST:
        unheld.add(place[:5], f"{kind.__name__}, nested more than {_DEEPEST} deep, or in itself")
        return "…"
    try:
        if isinstance(value, Mapping):
            return _mapping(value.items(), place, unheld)
        if isinstance(value, list | tuple | Set | Sequence) and not isinstance(
            value, str | bytes | bytearray | memoryview
        ):
            named: Any = getattr(value, "_asdict", None)
            if callable(named):
                return _plain(named(), place, unheld)
            return [_plain(one, (*place, at), unheld) for at, one in enumerate(value)]
    except Exception:  # a property or a method of somebody's class
        return _as_repr(value, place, unheld)
    return _object(value, place, unheld)


def _whole(value: int, place: tuple[Any, ...], unheld: Unheld) -> int | str:
    """The number, or where Python does not write it in decimal digits, which takes the square of their time, a text."""
    try:
        str(value)
    except ValueError:
        unheld.add(place, "a whole number of too many digits, which stands as text in hexadecimal")
        return hex(value)
    return value


def _number(value: float, place: tuple[Any, ...], unheld: Unheld) -> float | None:
    if isfinite(value):
        return value
    unheld.add(place, f"the number {value}, which stands as null")
    return None


def _mapping(items: Any, place: tuple[Any, ...], unheld: Unheld) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in items:
        name = str.__str__(key) if isinstance(key, str) else _key(key, (*place, key), unheld)
        if name in found:
            unheld.add((*place, key), "a key that is another's as text")
            name = f"{name} ({type(key).__name__})"
        found[name] = _plain(value, (*place, key), unheld)
    return found


def _key(key: Any, place: tuple[Any, ...], unheld: Unheld) -> str:
    """A key that is no text, as JSON spells it: numbers, ``true`` and ``null`` as such, others by their plain form."""
    made = _plain(key, place, unheld)
    if isinstance(made, str):
        return made
    if made is None:
        return "null"
    return str(made).lower() if isinstance(made, bool) else str(made)


def _object(value: Any, place: tuple[Any, ...], unheld: Unheld) -> Any:
    for reads in (_of_a_class_of_its_own, _of_the_library, _of_others):
        try:
            found = reads(value)
        except Exception:  # a property or a method of somebody's class
            continue
        if found is None:
            continue
        try:
            return _plain(found[0], place, unheld)
        except RecursionError:  # each gives another of its kind
            break
    return _as_repr(value, place, unheld)


def _as_repr(value: Any, place: tuple[Any, ...], unheld: Unheld) -> str:
    unheld.add(place, f"a {type(value).__module__}.{type(value).__qualname__}, which stands as its repr")
    text = without_secrets(_repr(value))
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}…"


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__}, whose repr raised {type(error).__name__}>"


def _of_a_class_of_its_own(value: Any) -> tuple[Any] | None:
    """The fields of a model or a data class; what an exception says; the values below those of JSON's types."""
    kind = type(value)
    if callable(getattr(kind, "model_dump", None)) and hasattr(kind, "model_fields"):
        given = {name: getattr(value, name) for name in kind.model_fields} | (value.model_extra or {})
        return (given["root"],) if list(given) == ["root"] else (given,)
    names = getattr(kind, "__dataclass_fields__", None)
    if names is not None:
        from dataclasses import fields

        return ({one.name: getattr(value, one.name) for one in fields(value)},)
    if isinstance(value, BaseException):
        return ({"type": kind.__qualname__, "message": without_secrets(str(value))},)
    from enum import Enum

    if isinstance(value, Enum):
        return (value.value,)
    if isinstance(value, str):
        return (str.__str__(value),)
    if isinstance(value, int):
        return (int.__int__(value),)
    return (float.__float__(value),) if isinstance(value, float) else None


def _of_the_library(value: Any) -> tuple[Any] | None:
    import datetime
    import decimal
    import os
    import uuid

    if isinstance(value, datetime.date | datetime.time):
        return (value.isoformat(),)
    if isinstance(value, datetime.timedelta):
        return (value.total_seconds(),)
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return (str(value),)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return (path,) if isinstance(path, str) else None
    if isinstance(value, bytes | bytearray):
        return (value.decode("utf-8"),)
    return None


def _of_others(value: Any) -> tuple[Any] | None:
    """Arrays, scalars and columns give lists and numbers; frames give rows; secrets of pydantic stay hidden."""
    if hasattr(value, "get_secret_value"):
        return (str(value),)
    if callable(getattr(value, "to_dict", None)) and hasattr(value, "columns"):
        return (value.to_dict("records"),)
    if callable(getattr(value, "tolist", None)):
        made = value.tolist()
        return None if made is value else (made,)
    return None
