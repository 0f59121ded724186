"""What can be read of somebody's object without running his code: no property, no ``__getattr__``, no metaclass."""

from __future__ import annotations

from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

mro: Any = type.__dict__["__mro__"].__get__
"""The classes that a class inherits from, itself first."""
_names: Any = type.__dict__["__dict__"].__get__
_name: Any = type.__dict__["__name__"].__get__
_qualname: Any = type.__dict__["__qualname__"].__get__
_module: Any = type.__dict__["__module__"].__get__
_LONGEST = 200
_MISSING: Any = object()


def named(kind: type) -> str:
    """The name of a class."""
    return _fit(_name(kind))


def module_of(kind: type) -> str:
    """The module of a class; empty if that is no text."""
    found = _module(kind)
    return _fit(found) if type(found) is str else ""


def full_name(kind: type) -> str:
    """Module and name of a class; of one of Python's own, or of the main program, the name alone."""
    module, name = module_of(kind), _fit(_qualname(kind))
    return name if module in ("", "builtins", "__main__") else f"{module}.{name}"


def _fit(name: str) -> str:
    """A name as any file and any wire can hold it: code may have given a class any text for one."""
    name = str.__str__(name)[:_LONGEST]
    if not name.isascii():
        name = name.encode("utf-8", "replace").decode()
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")


def of_class(kind: type, name: str, missing: Any = None) -> Any:
    """What stands in the class or those it inherits from, as it stands there."""
    for base in mro(kind):
        found = _names(base).get(name, _MISSING)
        if found is not _MISSING:
            return found
    return missing


def attributes(value: Any) -> dict[str, Any]:
    """The ``__dict__`` of an object; empty if there is none, or if its class has put something in its place."""
    slot = of_class(type(value), "__dict__")
    if type(slot) is not GetSetDescriptorType:
        return {}
    found = slot.__get__(value, type(value))
    return found if type(found) is dict else {}


def attribute(value: Any, name: str) -> Any:
    """A field of an object, if it is stored in it or as a plain value in its class; else ``None``."""
    standing = of_class(type(value), name, _MISSING)
    if type(standing) is MemberDescriptorType:
        try:
            return standing.__get__(value, type(value))
        except AttributeError:  # it was never set
            return None
    found = attributes(value)
    if name in found:
        return found[name]
    if standing is _MISSING or of_class(type(standing), "__get__") is not None:
        return None
    return standing


def hides_itself(kind: type) -> bool:
    """Whether a kind of text is not to be shown: its ``__repr__``, written in Python, asks for no other."""
    shows = of_class(kind, "__repr__")
    return type(shows) is FunctionType and "__repr__" not in shows.__code__.co_names
