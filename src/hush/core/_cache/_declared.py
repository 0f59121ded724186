"""The types that a function declares: the only ones that may be made again of what a file holds."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from hush.core._spec._certain import base_model, type_name
from hush.core._spec._signature import code_of


def declared_types(fn: Callable[..., Any]) -> dict[str, type]:
    """Data classes, models, enums and named tuples that annotations, code and closure of ``fn`` name, by name.

    Those that stand in the fields of others count too.
    """
    import functools

    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = getattr(fn, "__func__", fn)
    found: dict[str, type] = {}
    todo = [*_named(fn)]
    seen: dict[int, Any] = {}  # with the objects, or another may get the id of one that has died
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, type) and not isinstance(one, types.GenericAlias):
            if _is_data(one):
                found.setdefault(type_name(one), one)
                todo += _annotations(one)
            elif hasattr(one, "__total__"):  # a TypedDict
                todo += _annotations(one)
        elif isinstance(one, typing.TypeVar):
            todo += [one.__bound__, *one.__constraints__]
        else:
            todo += [*typing.get_args(one), typing.get_origin(one)]
            value = getattr(one, "__value__", None)  # what ``type X = ...`` stands for
            todo += [] if value is None else [value]
    return found


def _is_data(kind: type) -> bool:
    if is_dataclass(kind) or issubclass(kind, Enum) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return True
    model = base_model()
    return model is not None and issubclass(kind, model)


def _named(fn: Any) -> Iterator[Any]:
    call = getattr(type(fn), "__call__", None)  # noqa: B004  # what it is, not whether
    if not isinstance(fn, types.FunctionType) and isinstance(call, types.FunctionType):
        fn = call
    yield from _annotations(fn)
    code, names = code_of(fn), getattr(fn, "__globals__", {})
    if code is None:
        return
    todo = [code]
    while todo:
        one = todo.pop()
        todo += [inner for inner in one.co_consts if isinstance(inner, types.CodeType)]
        for name in one.co_names:
            value = names.get(name)
            if isinstance(value, types.ModuleType):
                yield from [vars(value).get(inner) for inner in one.co_names]
            yield value
    yield from _closure_of(fn).values()


def _annotations(holder: Any) -> list[Any]:
    """The annotations of a function or class: each by itself, so that one that cannot be read costs no other."""
    import sys
    from inspect import get_annotations

    found: list[Any] = []
    for base in holder.__mro__ if isinstance(holder, type) else (holder,):
        try:
            given = get_annotations(base)
        except Exception:  # from Python 3.14 on they are worked out here, and may name what is for type checkers only
            given = {}
        module = sys.modules.get(getattr(base, "__module__", ""))
        names = getattr(base, "__globals__", None) or (vars(module) if module is not None else {})
        local = _closure_of(base)
        for one in given.values():
            if not isinstance(one, str):
                found.append(one)
                continue
            try:
                found.append(typing.get_type_hints(_Holder(one), dict(names), local)["it"])
            except Exception:  # a name that exists for type checkers only: nothing is declared by it
                continue
    return found


def _closure_of(fn: Any) -> dict[str, Any]:
    code, cells = getattr(fn, "__code__", None), getattr(fn, "__closure__", None)
    if code is None or not cells:
        return {}
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            pass  # not set yet
    return found


class _Holder:
    """One annotation, in the form in which ``get_type_hints`` takes it."""

    def __init__(self, annotation: str) -> None:
        self.__annotations__ = {"it": annotation}
