"""What a function takes: ``inspect.signature`` where it is needed, the code object where that says the same."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from hush.core._expr._record import record

CO_VARARGS, CO_VARKEYWORDS, CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x200


@record
class Parameter:
    """One named parameter. ``how`` is ``"both"``, ``"positional"`` or ``"keyword"``."""

    name: str
    how: str
    has_default: bool
    default: Any


@record
class Signature:
    """The named parameters of a function, in order.

    Attributes:
        known: False for a callable whose signature nobody can tell: it takes what it is given, unchecked.
        open: True if it also takes any other keyword.
        awaited: True if calling it gives a coroutine.
        generates: True if calling it gives a generator, sync or async.
    """

    parameters: tuple[Parameter, ...]
    known: bool
    open: bool
    awaited: bool
    generates: bool

    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(parameter.name for parameter in self.parameters)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter called ``name``."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        return None


NOTHING = Signature((), known=True, open=False, awaited=False, generates=False)
UNKNOWN = Signature((), known=False, open=True, awaited=False, generates=False)

# Plain functions only; graphs are rebuilt for each request, and reading a signature is most of a node's cost.
_known: WeakKeyDictionary[types.FunctionType, Signature] = WeakKeyDictionary()


def signature_of(fn: Callable[..., Any]) -> Signature:
    """The signature of ``fn``; ``UNKNOWN`` for a callable without one."""
    if type(fn) is types.FunctionType and "__wrapped__" not in fn.__dict__ and "__signature__" not in fn.__dict__:
        found = _known.get(fn)
        if found is None:
            found = _known[fn] = _from_code(fn)
        return found
    return _from_inspect(fn)


def _from_code(fn: types.FunctionType) -> Signature:
    code, defaults, keyword_defaults = fn.__code__, fn.__defaults__ or (), fn.__kwdefaults__ or {}
    count = code.co_argcount
    first_default = count - len(defaults)
    names = code.co_varnames
    parameters = [
        Parameter(
            names[place],
            "positional" if place < code.co_posonlyargcount else "both",
            place >= first_default,
            defaults[place - first_default] if place >= first_default else None,
        )
        for place in range(count)
    ]
    parameters += [
        Parameter(name, "keyword", name in keyword_defaults, keyword_defaults.get(name))
        for name in names[count : count + code.co_kwonlyargcount]
    ]
    flags = code.co_flags
    return Signature(
        tuple(parameters),
        known=True,
        open=bool(flags & CO_VARKEYWORDS),
        awaited=bool(flags & CO_COROUTINE),
        generates=bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)),
    )


def _from_inspect(fn: Callable[..., Any]) -> Signature:
    import inspect

    flags = _flags_of(fn)
    awaited, generates = bool(flags & CO_COROUTINE), bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR))
    try:
        found = inspect.signature(fn)
    except (TypeError, ValueError):
        return Signature((), known=False, open=True, awaited=awaited, generates=generates)
    kinds = inspect.Parameter
    how = {kinds.POSITIONAL_ONLY: "positional", kinds.POSITIONAL_OR_KEYWORD: "both", kinds.KEYWORD_ONLY: "keyword"}
    parameters: list[Parameter] = []
    takes_any = False
    for parameter in found.parameters.values():
        if parameter.kind in how:
            given = parameter.default is not kinds.empty
            default = parameter.default if given else None
            parameters.append(Parameter(parameter.name, how[parameter.kind], given, default))
        elif parameter.kind is kinds.VAR_KEYWORD:
            takes_any = True
    return Signature(tuple(parameters), known=True, open=takes_any, awaited=awaited, generates=generates)


def takes_one(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` can be called with one value; true where nobody can tell."""
    import inspect

    try:
        found = inspect.signature(fn)
    except (TypeError, ValueError):
        return True
    try:
        found.bind(None)
    except TypeError:
        return False
    return True


def code_of(fn: Callable[..., Any]) -> types.CodeType | None:
    """The code that runs when ``fn`` is called, looking through methods, partials and ``__call__``."""
    import functools

    while isinstance(fn, functools.partial):
        fn = fn.func
    if isinstance(fn, types.MethodType):
        fn = fn.__func__
    if not isinstance(fn, types.FunctionType) and not isinstance(fn, type):
        call = getattr(type(fn), "__call__", None)  # noqa: B004  # what it is, not whether
        fn = call if isinstance(call, types.FunctionType) else fn
    code = getattr(fn, "__code__", None)
    return code if type(code) is types.CodeType else None  # a mock's says that it is one


def _flags_of(fn: Callable[..., Any]) -> int:
    code = code_of(fn)
    return code.co_flags if code is not None else 0


def name_of(fn: Callable[..., Any]) -> str:
    """A node's name for ``fn``: its own, its class's, or ``lambda``."""
    import functools

    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__name__", None)
    if not isinstance(name, str):
        name = type(fn).__name__
    return "lambda" if name == "<lambda>" else name
