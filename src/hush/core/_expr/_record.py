"""``record``: a slotted class made of its annotations, frozen for type checkers, which costs nothing at run time.

A dataclass in little: there are two dozen of them, and making each with ``dataclasses`` was a tenth of what importing
Hush costs.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


class Made:
    """The default of a field that is made anew for each record, by calling ``make``."""

    __slots__ = ("make",)

    def __init__(self, make: Any) -> None:
        self.make = make


def made(*, default_factory: Any) -> Any:
    """The default of a field, made anew for each record."""
    return Made(default_factory)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(made,))
def record(cls: type[T]) -> type[T]:
    """Make ``cls`` a slotted class without ``==`` and ``repr``, whose fields nobody assigns.

    Its ``__init__`` takes the fields of the classes below it, then its own, in order. Both type checkers refuse an
    assignment. ``dataclass(frozen=True)`` would do so at run time too, at the price of a call for each field: it is
    most of what making a plan of 20 fields costs, and a graph has one for each node.
    """
    space = dict(cls.__dict__)
    own = tuple(space.get("__annotations__", ()))
    defaults: dict[str, Any] = dict(getattr(cls, "__record_defaults__", {}))
    for name in own:
        if name in space:
            defaults[name] = space.pop(name)
    names = (*getattr(cls, "__record_fields__", ()), *own)

    def first(self: Any, *given: Any, **named: Any) -> None:
        new.__init__ = _init(names, defaults)  # type: ignore[method-assign]
        new.__init__(self, *given, **named)

    space.pop("__dict__", None)
    space.pop("__weakref__", None)
    space.update(
        __slots__=own,
        __init__=first,  # many are never made, and compiling the function is most of what making the class takes
        __signature__=_SIGNATURE,
        __match_args__=names,
        __record_fields__=names,
        __record_defaults__=defaults,
    )
    kind: Any = type(cls)
    new: type[T] = kind(cls.__name__, cls.__bases__, space)
    new.__qualname__ = cls.__qualname__
    return new


def _init(names: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    """The ``__init__`` that sets these fields."""
    taken = ", ".join(f"{name}=_{name}" if name in defaults else name for name in names)
    body = "".join(
        f"\n self.{name} = _{name}.make() if {name} is _{name} else {name}"
        if isinstance(defaults.get(name), Made)
        else f"\n self.{name} = {name}"
        for name in names
    )
    scope: dict[str, Any] = {f"_{name}": value for name, value in defaults.items()}
    exec(f"def __init__(self, {taken}):{body}", scope)  # as ``dataclasses`` and ``namedtuple`` do
    return scope["__init__"]


class _Signature:
    """What ``inspect.signature`` finds of a record of which none has been made."""

    def __get__(self, one: object, kind: Any) -> Any:
        from inspect import signature

        found = signature(_init(kind.__record_fields__, kind.__record_defaults__))
        return found.replace(parameters=[*found.parameters.values()][1:])


_SIGNATURE = _Signature()


def replace(one: T, **changes: Any) -> T:
    """Another record that has the fields of ``one``, but for ``changes``."""
    kind: Any = type(one)
    values = {name: getattr(one, name) for name in kind.__record_fields__}
    values.update(changes)
    new: T = kind(**values)
    return new
