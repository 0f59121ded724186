"""What a function is, for the keys of a cache: its code, its defaults, what it closes over, and what it names.

Taken in are the code, without file names and lines; defaults and closure values; and of the global names that the code
reads: constants by value, functions of the same module as functions, all else by its name alone. What that does not
see, such as the inside of an imported function, a class or an object, ``version=`` has to stand for.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from hush.core._spec._certain import TOO_DEEP, Former, Tree, Uncertain, bytes_of, type_name

_NOTHING: Any = object()
_BUILTIN = (types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType, types.MethodDescriptorType)
_CONSTANTS = (str, int, float, bool, bytes, complex, type(None), tuple, frozenset)


class Identity:
    """What one function is. It is worked out anew when something that it was made of is another object by now.

    Args:
        fn: The function, method, partial, or object with ``__call__``.
        version: What stands for all of it, if given: then the function counts by its name.
    """

    __slots__ = ("_bytes", "_fixed", "_seen", "fn", "version")

    def __init__(self, fn: Callable[..., Any], version: str | None) -> None:
        self.fn = fn
        self.version = version
        self._bytes: bytes | None = None
        self._fixed = False
        self._seen: list[tuple[Any, str, Any]] = []

    def bytes(self) -> bytes:
        """What to hash. Raises ``Uncertain``, which says in ``at`` what it is about."""
        if self._bytes is None or not self._fixed or not self._holds():
            if self.version is not None:
                self._bytes, self._fixed = bytes_of(["version", qualified_name(self.fn), self.version]), True
            else:
                reading = _Reading()
                tree = ["code", *sys.version_info[:2], sys.implementation.name, reading.callable(self.fn)]
                self._bytes, self._fixed, self._seen = bytes_of(tree), reading.former.fixed, reading.seen
        return self._bytes

    def _holds(self) -> bool:
        for holder, name, value in self._seen:
            now = _look(holder, name)
            if now is not value and not (type(value) is _OfType and value.kind is type(now)):
                return False
        return True

    def changing(self) -> tuple[str, ...]:
        """The names of what it closes over that may change in place."""
        found: list[str] = []
        for holder, name, value in self._seen:
            if type(holder) is types.CellType and not isinstance(value, types.FunctionType):
                reading = _Reading()
                try:
                    reading.value(value)
                except (Uncertain, RecursionError):
                    continue
                if not reading.former.fixed:
                    found.append(name)
        return tuple(dict.fromkeys(found))


class _OfType:
    """Stands for an object that counts by its type alone, and should not be kept alive."""

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        self.kind = kind


def _look(holder: Any, name: str) -> Any:
    """What ``holder`` has now: a cell its content, a namespace a name, a function a part of it."""
    if type(holder) is types.CellType:
        try:
            return holder.cell_contents
        except ValueError:
            return _NOTHING
    if type(holder) is dict:
        return holder.get(name, _NOTHING)
    return getattr(holder, name, _NOTHING)


def qualified_name(fn: Callable[..., Any]) -> str:
    """The module and name of a function, through methods and partials. Raises ``Uncertain`` for what has none."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if isinstance(fn, types.MethodType):
        owner = fn.__self__ if isinstance(fn.__self__, type) else type(fn.__self__)
        return f"{type_name(owner)}.{fn.__name__}"
    name = getattr(fn, "__qualname__", None)
    if not isinstance(name, str):
        fn, name = type(fn), type(fn).__qualname__
    if name.rpartition(".")[2] == "<lambda>":
        raise Uncertain("a lambda, which has no name of its own for version= to go with")
    return f"{fn.__module__}:{name}"


class _Reading:
    """One look at a function and all that it is made of."""

    def __init__(self) -> None:
        self.former = Former(for_key=True)
        self.seen: list[tuple[Any, str, Any]] = []
        self._places: dict[int, int] = {}

    def callable(self, fn: Any) -> Tree:
        """A node's function. Raises ``Uncertain`` if its code cannot be read."""
        if isinstance(fn, types.FunctionType | types.MethodType | functools.partial):
            return self.value(fn)
        call = getattr(type(fn), "__call__", None)  # noqa: B004  # what it is, not whether
        if isinstance(fn, type) or not isinstance(call, types.FunctionType):
            raise Uncertain("no function of Python's whose code can be read")
        return ["object", self.function(call), self._at("self", fn)]

    def value(self, value: Any) -> Tree:
        """Whatever a function may close over or have as a default."""
        if isinstance(value, types.FunctionType):
            return self.function(value)
        if isinstance(value, types.MethodType):
            owner = value.__self__
            return ["method", self.value(value.__func__), self._at("self", owner)]
        if type(value) is functools.partial:
            return [
                "partial",
                self.value(value.func),
                [self._at(f"argument {place + 1}", one) for place, one in enumerate(value.args)],
                {name: self._at(name, one) for name, one in sorted(value.keywords.items())},
            ]
        named = _by_name(value)
        return named if named is not None else self.former.form(value)

    def _at(self, name: str, value: Any) -> Tree:
        try:
            return self.value(value)
        except Uncertain as exc:
            exc.at = f"{name}, {exc.at}" if exc.at and not exc.at.startswith((".", "[")) else f"{name}{exc.at}"
            raise
        except RecursionError:
            raise Uncertain(TOO_DEEP, name) from None

    def function(self, fn: types.FunctionType) -> Tree:
        """A function: one that is met again stands as its place among those met."""
        known = self._places.get(id(fn))
        if known is not None:
            return ["again", known]
        self._places[id(fn)] = len(self._places)
        code = fn.__code__
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self.seen.append((fn, part, getattr(fn, part)))
        defaults = fn.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        closure = zip(code.co_freevars, fn.__closure__ or (), strict=True)
        return [
            "function",
            f"{fn.__module__}:{fn.__qualname__}",
            self.code(code),
            {name: self._at(f"the default of {name}", one) for name, one in zip(names, defaults, strict=True)},
            {name: self._at(f"the default of {name}", one) for name, one in sorted((fn.__kwdefaults__ or {}).items())},
            {name: self._cell(name, cell) for name, cell in closure},
            self._globals(fn),
        ]

    def _cell(self, name: str, cell: types.CellType) -> Tree:
        found = _look(cell, name)
        self.seen.append((cell, name, found))
        return {"$empty": 0} if found is _NOTHING else {"$cell": self._at(name, found)}

    def code(self, code: types.CodeType) -> Tree:
        """What code does, wherever it stands."""
        return [
            {"$bytes": code.co_code.hex()},
            [self._constant(one) for one in code.co_consts],
            list(code.co_names),
            list(code.co_varnames),
            list(code.co_freevars),
            list(code.co_cellvars),
            [code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount],
            getattr(code, "co_exceptiontable", b"").hex(),
        ]

    def _constant(self, value: Any) -> Tree:
        if isinstance(value, types.CodeType):
            return {"$code": self.code(value)}
        if type(value) in (tuple, frozenset):
            inner = [self._constant(one) for one in value]
            return {f"${type(value).__name__}": inner if type(value) is tuple else sorted(inner, key=bytes_of)}
        return {"$ellipsis": 0} if value is ... else self.former.form(value)

    def _globals(self, fn: types.FunctionType) -> dict[str, Tree]:
        """The names that the code reads from its module and does not itself set."""
        found: dict[str, Tree] = {}
        for name in _names_read(fn.__code__):
            value = _look(fn.__globals__, name)
            tree = None if value is _NOTHING else self._global(value, fn)
            of_type = type(tree) is list and tree[0] == "of"
            self.seen.append((fn.__globals__, name, _OfType(type(value)) if of_type else value))
            if tree is not None:
                found[name] = {"$is": tree}
        return found

    def _global(self, value: Any, fn: types.FunctionType) -> Tree:
        plain = getattr(value, "__wrapped__", value) if type(value) is _LRU else value
        if isinstance(plain, types.FunctionType) and plain.__globals__ is fn.__globals__:
            try:
                return self.function(plain)
            except Uncertain:
                return ["named", f"{plain.__module__}:{plain.__qualname__}"]
        if isinstance(value, types.FunctionType):
            return ["named", f"{value.__module__}:{value.__qualname__}"]
        named = _by_name(value)
        if named is not None:
            return named
        if isinstance(value, _CONSTANTS):
            former = Former(for_key=True)
            try:
                tree = former.form(value)
            except (Uncertain, RecursionError):
                return ["of", type_name(type(value))]
            return tree if former.fixed else ["of", type_name(type(value))]
        return ["of", type_name(type(value))]


_LRU = type(functools.lru_cache(lambda: None))
_read_by: WeakKeyDictionary[types.CodeType, tuple[str, ...]] = WeakKeyDictionary()


def _names_read(code: types.CodeType) -> tuple[str, ...]:
    """The global names that a code object reads, with the functions in it, but for those that it sets by itself."""
    found = _read_by.get(code)
    if found is None:
        import dis

        read: set[str] = set()
        written: set[str] = set()
        todo = [code]
        while todo:
            one = todo.pop()
            todo += [inner for inner in one.co_consts if isinstance(inner, types.CodeType)]
            for step in dis.get_instructions(one):
                if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    read.add(step.argval)
                elif step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                    written.add(step.argval)
        found = _read_by[code] = tuple(sorted(read - written))
    return found


def _by_name(value: Any) -> Tree | None:
    """Classes, modules and builtin functions: what they do hangs on their name."""
    if isinstance(value, type):
        return ["type", type_name(value)]
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    if isinstance(value, _BUILTIN):
        owner = getattr(value, "__self__", None)
        if owner is None or isinstance(owner, type | types.ModuleType):
            return ["builtin", f"{value.__module__}:{value.__qualname__}"]
        return None
    import re

    if isinstance(value, re.Pattern):
        return ["pattern", Former(for_key=True).form(value.pattern), value.flags]
    return None


def uncertain_function(exc: Uncertain) -> tuple[str, str]:
    """What is said of a function that has no certain form, and how to mend it."""
    if not exc.at:
        if "lambda" in exc.what:
            return f"its function is {exc.what}", "Write it as a def, or leave version= out."
        return f"its function is {exc.what}", 'Give version="1", and another one whenever it changes.'
    return (
        f"{exc.at}, which its function holds, is {exc.what}, and has no certain form to be found again by",
        'Give version="1", and another one whenever the function changes; or hand it in as an input.',
    )
