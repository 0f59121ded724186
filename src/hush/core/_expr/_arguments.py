"""``checks_arguments``: a class that is given an argument it does not take says which one was meant, at the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from hush.core._expr._where import caller
from hush.core.errors import UsageError, nearest

C = TypeVar("C", bound=type)


def checks_arguments(cls: C) -> C:
    """Make ``cls(...)`` raise ``UsageError`` for a keyword that its ``__init__`` does not have.

    Type checkers and ``inspect.signature`` go on seeing the parameters as they are written, which ``**unknown`` would
    hide. A method ``_instead_of(name, value)`` of the class may know better than the nearest name what to write.
    """
    init: Any = cls.__init__  # type: ignore[misc]  # of the class itself
    code = init.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    known = frozenset(names)

    @wraps(init)
    def checked(self: Any, *args: Any, **given: Any) -> None:
        if not given.keys() <= known:
            unknown = {name: value for name, value in given.items() if name not in known}
            raise not_taken(type(self), unknown, names)
        init(self, *args, **given)

    type.__setattr__(cls, "__init__", checked)
    return cls


def not_taken(cls: type, unknown: Mapping[str, Any], names: Iterable[str]) -> UsageError:
    """The error for arguments of ``cls`` that it does not take; ``names`` are those that it takes."""
    names = list(names)
    instead = getattr(cls, "_instead_of", None)
    mends: list[str] = []
    for name, value in unknown.items():
        mend = instead(name, value) if instead is not None else None
        if mend is None and (near := nearest(name, names)) is not None:
            mend = f"Did you mean {near!r}?"
        mends.append(mend or f"It takes: {', '.join(names)}.")
    said = " ".join(dict.fromkeys(mends))
    return UsageError(f"{cls.__name__}(...) at {caller()} takes no argument {', '.join(map(repr, unknown))}. {said}")
