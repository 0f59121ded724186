"""What a node gave, as JSON, and made again of it: always a fresh copy, of the types that it had.

Only types that the caller lists are ever made: a file may name any, but names choose among those, and import nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, cast
from uuid import UUID

from hush.core._spec._certain import TOO_DEEP, Former, Tree, Uncertain, base_model, bytes_of, is_plain

Types = Mapping[str, type]


class UnknownType(Exception):
    """What was kept is of a type that is not known here, or has changed since: as good as not kept."""


class Packed(NamedTuple):
    """What a node gave: as JSON, with the types in it by name."""

    data: bytes
    types: Types


def pack(outputs: Mapping[Any, Any]) -> Packed:
    """Raises ``Uncertain`` for what cannot be kept; its ``at`` begins with the key."""
    former = Former(for_key=False)
    try:
        tree = former.form(dict(outputs))
        return Packed(bytes_of(tree), former.types)
    except RecursionError:
        raise Uncertain(TOO_DEEP) from None


def unpack(data: bytes, types: Types) -> dict[Any, Any]:
    """Make of ``data`` what it was made of.

    Raises ``UnknownType`` for a type that is none of ``types``, and ``ValueError`` if it is damaged.
    """
    try:
        found = _made(json.loads(data.decode("utf-8", "surrogatepass")), types)
    except UnknownType:
        raise
    except Exception as exc:  # whatever a damaged or strange file makes of it
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc
    if type(found) is not dict:
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


def _made(tree: Tree, types: Types) -> Any:
    kind = type(tree)
    if kind is list:
        return [_made(one, types) for one in tree]
    if kind is not dict:
        return tree
    if len(tree) == 1:
        (tag,) = tree
        if tag.startswith("$"):
            return _OF_TAG[tag](tree[tag], types)
    return {key: _made(one, types) for key, one in tree.items()}


def _known(name: str, types: Types) -> Any:
    found = types.get(name)
    if found is None:
        raise UnknownType(name)
    return found


def _check(holds: object, name: str) -> None:
    if not holds:
        raise UnknownType(f"{name} has changed since")


def _dict(pairs: Any, types: Types) -> dict[Any, Any]:
    return {_made(key, types): _made(one, types) for key, one in pairs}


def _data(given: Any, types: Types) -> Any:
    name, state = given
    kind = _known(name, types)
    _check(is_data_class(kind), name)
    names = {one.name for one in fields(kind)}
    made = object.__new__(kind)
    _check(state.keys() <= names, name)
    # A field may have no value. One that is new since would be missing: then the value is as good as not kept.
    _check(names - state.keys() <= {one.name for one in fields(kind) if not one.init}, name)
    for field, one in state.items():
        object.__setattr__(made, field, _made(one, types))  # past a frozen class's own
    return made


def is_data_class(kind: Any) -> bool:
    """Whether it is a data class whose objects are their fields and nothing more."""
    return is_dataclass(kind) and is_plain(cast("type", kind))


def _named(given: Any, types: Types) -> Any:
    name, values = given
    kind = _known(name, types)
    _check(issubclass(kind, tuple) and list(values) == list(getattr(kind, "_fields", ())), name)
    return tuple.__new__(kind, [_made(one, types) for one in values.values()])


def _model(given: Any, types: Types) -> Any:
    name, found = given
    kind, model = _known(name, types), base_model()
    _check(model is not None and issubclass(kind, model), name)
    setstate: Any = getattr(model, "__setstate__", None)
    state = {
        part: None if found[part] is None else {field: _made(one, types) for field, one in found[part].items()}
        for part in ("__dict__", "__pydantic_extra__", "__pydantic_private__")
    }
    _check(state["__dict__"] is not None and state["__dict__"].keys() == kind.model_fields.keys(), name)
    made = kind.__new__(kind)
    setstate(made, {**state, "__pydantic_fields_set__": set(found["set"])})
    return made


def _enum(given: Any, types: Types) -> Any:
    name, member = given
    kind = _known(name, types)
    _check(issubclass(kind, Enum) and member in kind.__members__, name)
    return kind.__members__[member]


def _flag(given: Any, types: Types) -> Any:
    name, value = given
    kind = _known(name, types)
    _check(issubclass(kind, Flag), name)
    try:
        return kind(value)
    except ValueError:
        raise UnknownType(f"{name} has changed since") from None


def _timezone(given: Any, types: Types) -> timezone:
    offset = _made(given[0], types)
    plain = timezone(offset)
    if plain.tzname(None) == given[1]:
        return UTC if not offset else plain
    return timezone(offset, given[1])


def _zone(key: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _bytes(text: str) -> bytes:
    import base64

    return base64.b85decode(text)


def _path(kind: type[PurePath]) -> Callable[[Any, Types], PurePath]:
    def make(text: Any, _: Types) -> PurePath:
        if issubclass(kind, Path) and not isinstance(Path(), kind):
            raise UnknownType(kind.__name__)  # the other system's
        return kind(text)

    return make


def _paths() -> dict[str, Callable[[Any, Types], Any]]:
    from pathlib import PosixPath, WindowsPath

    return {f"${kind.__name__}": _path(kind) for kind in (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)}


def _clock(given: Any, types: Types, parse: Callable[[str], Any]) -> Any:
    text, fold, zone = given
    return parse(text).replace(fold=fold, tzinfo=None if zone is None else _made(zone, types))


_OF_TAG: dict[str, Callable[[Any, Types], Any]] = {
    "$int": lambda text, _: int(text, 16),
    "$float": lambda text, _: float(text),
    "$dict": _dict,
    "$tuple": lambda given, types: tuple([_made(one, types) for one in given]),
    "$set": lambda given, types: {_made(one, types) for one in given},
    "$frozenset": lambda given, types: frozenset([_made(one, types) for one in given]),
    "$bytes": lambda text, _: _bytes(text),
    "$bytearray": lambda text, _: bytearray(_bytes(text)),
    "$complex": lambda given, types: complex(_made(given[0], types), _made(given[1], types)),
    "$range": lambda given, _: range(*given),
    "$decimal": lambda text, _: Decimal(text),
    "$fraction": lambda given, types: Fraction(_made(given[0], types), _made(given[1], types)),
    "$uuid": lambda text, _: UUID(hex=text),
    "$date": lambda text, _: date.fromisoformat(text),
    "$datetime": lambda given, types: _clock(given, types, datetime.fromisoformat),
    "$time": lambda given, types: _clock(given, types, time.fromisoformat),
    "$timedelta": lambda given, _: timedelta(*given),
    "$timezone": _timezone,
    "$zone": lambda key, _: _zone(key),
    "$enum": _enum,
    "$flag": _flag,
    "$data": _data,
    "$named": _named,
    "$model": _model,
    **_paths(),
}
