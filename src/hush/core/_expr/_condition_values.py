"""The operators of conditions, how tightly they bind, and the functions that give the values of what is read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

Values: TypeAlias = tuple[Any, ...]
Get: TypeAlias = Callable[[Values], Any]
Operation: TypeAlias = Callable[[Any, Any], Any]


class Power(IntEnum):
    """How tightly an operator binds."""

    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    SUM = 5
    PRODUCT = 6
    UNARY = 7


def _within(item: Any, container: Any) -> bool:
    return item in container


def _not_within(item: Any, container: Any) -> bool:
    return item not in container


_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_EQUALITIES = {"==": operator.eq, "!=": operator.ne, "is": operator.is_, "in": _within, "not": _not_within}
_SUMS = {"+": operator.add, "-": operator.sub}
_PRODUCTS = {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod}
OPERATIONS: dict[str, Operation] = _ORDERS | _EQUALITIES | _SUMS | _PRODUCTS
POWERS: dict[str, int] = {
    "or": Power.OR,
    "and": Power.AND,
    **dict.fromkeys(_ORDERS | _EQUALITIES, Power.COMPARE),
    **dict.fromkeys(_SUMS, Power.SUM),
    **dict.fromkeys(_PRODUCTS, Power.PRODUCT),
}
CONSTANTS = {"True": True, "False": False, "None": None}


class Part(NamedTuple):
    """A piece that was read: what gives its value, and that value as the one item of ``fixed`` if it never changes."""

    get: Get
    fixed: Values = ()


Steps: TypeAlias = Sequence[tuple[Operation, Part]]


def constant(value: Any) -> Part:
    return Part(lambda values: value, (value,))


def unary(fn: Callable[[Any], Any], part: Part) -> Part:
    get = part.get
    return Part(lambda values: fn(get(values)))


def binary(left: Get, fn: Operation, right: Part) -> Part:
    get = right.get
    if right.fixed:
        value = right.fixed[0]
        return Part(lambda values: fn(left(values), value))
    return Part(lambda values: fn(left(values), get(values)))


# Chains are loops, not closures inside closures: however long, they take no stack.


def folded(first: Get, steps: Steps) -> Part:
    """``first + a - b``, or ``first[a][b]``: each step is done with what the one before gave."""
    if len(steps) == 1:
        return binary(first, *steps[0])
    calls = [(fn, part.get) for fn, part in steps]

    def get(values: Values) -> Any:
        value = first(values)
        for fn, other in calls:
            value = fn(value, other(values))
        return value

    return Part(get)


def compared(first: Get, steps: Steps) -> Part:
    """``first < a <= b``: each operand is read at most once, and none after a comparison that is false."""
    if len(steps) == 1:
        return binary(first, *steps[0])
    *calls, (last, end) = [(fn, part.get) for fn, part in steps]

    def get(values: Values) -> Any:
        value = first(values)
        for fn, other in calls:
            right = other(values)
            if not (result := fn(value, right)):
                return result
            value = right
        return last(value, end(values))

    return Part(get)


def chosen(gets: list[Get], *, truth: bool) -> Part:
    """The first value whose truth is ``truth``, else the last one: ``or`` for True, ``and`` for False."""
    *tried, last = gets

    def get(values: Values) -> Any:
        for part in tried:
            value = part(values)
            if (not value) is not truth:
                return value
        return last(values)

    return Part(get)


def built(make: Callable[[list[Any]], Any], parts: list[Part]) -> Part:
    """A literal of several parts. One of constants is made once: no operator of the grammar can change it."""
    gets = [part.get for part in parts]
    if all(part.fixed for part in parts):
        try:
            return constant(make([part.fixed[0] for part in parts]))
        except TypeError:  # unhashable, which is for evaluation to say
            pass
    return Part(lambda values: make([get(values) for get in gets]))
