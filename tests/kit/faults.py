"""What leaves raise on purpose, and names for exceptions by which a run and the reference can be compared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kit.values import COUNTS, Counts


class Boom(Exception):
    """What failing leaves raise; its argument is the leaf's name."""


@dataclass(frozen=True)
class Failure:
    """In place of an exception where the reference knows only what it may be: one of these, or a group of some."""

    labels: frozenset[str]


# Raised by branches, loops and maps themselves, or by what their conditions say: these name the node.
OF_NODES = {"NoCaseMatched", "TooManyIterations", "TooManyFailures", "TypeError", "IndexError", "ValueError"}


def label(error: BaseException) -> str:
    """The leaf's name for what leaves raise on purpose, else the type's name, with the node's where that is certain."""
    match error:
        case Boom(args=(name,)):
            return str(name)
        case asyncio.CancelledError(args=(name,)):
            return f"cancelled {name}"
    kind = type(error).__name__
    if kind not in OF_NODES:
        return kind
    return f"{kind} {str(getattr(getattr(error, 'hush', None), 'path', '')).rpartition('/')[2]}"


def members(error: BaseException) -> list[BaseException]:
    """The exception itself, or all that a group is made of."""
    if isinstance(error, BaseExceptionGroup):
        return [each for member in error.exceptions for each in members(member)]
    return [error]


def differences(actual: Any, expected: Any, where: str = "outputs") -> Iterator[str]:
    """How a value differs from what the reference says of it."""
    match expected:
        case Failure(labels):
            # What an item reported as its error need be no exception; as one of several, its text stands there.
            called = {label(each) for each in members(actual)} if isinstance(actual, BaseException) else {str(actual)}
            if not called <= labels:
                yield f"{where} is {actual!r}, not an error of {sorted(labels)}"
        case list():
            if not isinstance(actual, list) or len(actual) != len(expected):
                yield f"{where} is {actual!r}, not {expected!r}"
            else:
                for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
                    yield from differences(one, other, f"{where}[{place}]")
        case Counts():
            if not isinstance(actual, dict) or not {*COUNTS} <= set(actual):
                yield f"{where} is {actual!r}, without some of {COUNTS}"
            else:
                for key, value in expected.items():
                    yield from differences(actual.get(key, "missing"), value, f'{where}["{key}"]')
        case dict():
            if set(actual) != set(expected):
                yield f"{where} has the keys {sorted(actual)}, not {sorted(expected)}"
            else:
                for key in expected:
                    yield from differences(actual[key], expected[key], f'{where}["{key}"]')
        case _:
            if type(actual) is not type(expected) or actual != expected:
                yield f"{where} is {actual!r}, not {expected!r}"
