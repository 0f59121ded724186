"""What is known of classes, by looking at them alone: what they inherit from, whether they hide what they hold."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple
from weakref import ref

from hush.observability._look import attribute, mro, of_class

_MOST = 1_000

ENUM, STR, INT, FLOAT, BYTES, ERROR, DICT, SEQUENCE = (1 << at for at in range(8))
_BASES = {
    id(base): bit
    for bit, bases in (
        *((ENUM, (Enum,)), (STR, (str,)), (INT, (int,)), (FLOAT, (float,)), (BYTES, (bytes, bytearray))),
        *((ERROR, (BaseException,)), (DICT, (dict,)), (SEQUENCE, (tuple, list, set, frozenset))),
    )
    for base in bases
}
"""By identity, as below: a metaclass may have an ``__eq__`` and a ``__hash__``."""


class Known(NamedTuple):
    """What is known of a class, since it is asked for each value that is no plain one.

    Attributes:
        of: The class; it is found by its identity, which another one may have when it is gone.
        hides: Whether its objects hold a secret and say so.
        fields: The names of what they hold, if it says that.
    """

    of: ref[type]
    bases: int
    hides: bool
    fields: tuple[str, ...] | None


_kinds: dict[int, Known] = {}


def known(kind: type) -> Known:
    """What there is to know of ``kind``, remembered."""
    found = _kinds.get(id(kind))
    if found is None or found.of() is not kind:
        if len(_kinds) >= _MOST:
            _kinds.clear()
        hides = of_class(kind, "get_secret_value") is not None
        found = _kinds[id(kind)] = Known(ref(kind), _bases_of(kind), hides, _fields_of(kind))
    return found


def _fields_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass, or of a model of pydantic, that it shows."""
    fields = of_class(kind, "__dataclass_fields__")
    if type(fields) is not dict:
        fields = of_class(kind, "__pydantic_fields__")
    if type(fields) is not dict:
        return None
    return tuple(name for name, one in fields.items() if type(name) is str and attribute(one, "repr") is not False)


def _bases_of(kind: type) -> int:
    """What of these ``kind`` inherits from, as bits: one look at its ancestors, not one for each question."""
    found = 0
    for one in mro(kind):
        found |= _BASES.get(id(one), 0)
    return found


def issubclass_of(kind: type, base: type) -> bool:
    """``isinstance``, by the class alone: an object may say by a property that it is of another one."""
    for one in mro(kind):  # noqa: SIM110  # twice as fast
        if one is base:
            return True
    return False
