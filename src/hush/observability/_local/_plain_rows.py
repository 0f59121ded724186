"""``PlainRows``: the rows of spans that ended well, and of which no more is known than columns hold, and values.

They are most of what a file of traces takes, so they have a way of their own into it.
"""

from __future__ import annotations

import json.encoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from hush.observability._local._rows import UNWRITABLE, indexes, more_of, written
from hush.observability._span import USUAL, Span

_OWN = len(Span._fields) - len(USUAL)
_IN_ITEM, _WITH_MORE, _A_LEAF = 1, 2, 4
_MOST_NAMES, _LONGEST_NAME = 1_000, 100


class _Names(dict[str, str]):
    """Keys as JSON has them: those of inputs and outputs are few."""

    def __missing__(self, key: str) -> str:
        name = f"{_quoted(key)}:"
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[key] = name
        return name


_names = _Names()
_quoted: Callable[[str], str] = getattr(json.encoder, "c_encode_basestring", None) or json.encoder.py_encode_basestring


class PlainRows:
    """Collects such rows.

    Whatever SQLite is given costs. So what is the same in all rows, or twice in a row, is given once; and columns that
    are empty are left out: for each ``None`` Python looks for somebody who adapts it, as dear as four other values.
    """

    __slots__ = ("_of_kinds",)

    def __init__(self) -> None:
        self._of_kinds: dict[str, tuple[list[Any], ...]] = {}

    def take(self, number: int, span: Span) -> bool:
        """Add the row of ``span``, unless more is known of it than such a row holds."""
        own: Any = span[:_OWN]
        _, id_, parent, kind, name, path, items, status, started, ended, ready, called, inputs, outputs = own
        if status != "ok" or span[_OWN:] != USUAL:
            return False
        form = 0
        if ready is not None:
            if called != started:
                return False
            form = _A_LEAF
        elif called is not None:
            return False
        more = _more(inputs, outputs)
        if items:
            form += _IN_ITEM
        if more is not None:
            form += _WITH_MORE
        forms = self._of_kinds.get(kind)
        if forms is None:
            forms = self._of_kinds[kind] = tuple([kind] for _ in range(_IN_ITEM + _WITH_MORE + _A_LEAF + 1))
        values = forms[form]
        values += (number, id_, parent, name, path, started, ended)
        if form & _A_LEAF:
            values.append(ready)
        if items:
            values.append(indexes(items))
        if more is not None:
            values.append(more)
        return True

    def statements(self, at_once: int, numbers: Sequence[int]) -> Iterator[tuple[str, list[Any]]]:
        """What puts them all into the file, so many at a time, and the values of each.

        What was added as number n gets the n-th of ``numbers``.
        """
        for forms in self._of_kinds.values():
            for form, values in enumerate(forms):
                width = len(_columns(form))
                values[1::width] = [numbers[at] for at in values[1::width]]
                for first, count in portions((len(values) - 1) // width, at_once):
                    part = values[first * width + 1 : (first + count) * width + 1]
                    yield _statement(form, count), [values[0], *part]


def portions(count: int, most: int) -> Iterator[tuple[int, int]]:
    """The first and the number of rows of each statement: powers of two, so that there are few different ones."""
    first = 0
    while first < count:
        size = min(most, 1 << ((count - first).bit_length() - 1))
        yield first, size
        first += size


@cache
def _columns(form: int) -> tuple[str, ...]:
    """Those of which each row of this form has a value of its own, in their order."""
    some = ("ready_ns", _A_LEAF), ("items", _IN_ITEM), ("more", _WITH_MORE)
    has = [name for name, bit in some if form & bit]
    return ("id", "span", "parent", "name", "path", "started_ns", "ended_ns", *has)


@cache
def _statement(form: int, count: int) -> str:
    own = _columns(form)
    given = {"kind": "?", "status": "'ok'"} | {name: f"column{place}" for place, name in enumerate(own, 1)}
    if form & _A_LEAF:
        given["called_ns"] = given["started_ns"]
    row = f"({', '.join('?' * len(own))})"
    return (
        f"INSERT INTO spans ({', '.join(given)}) SELECT {', '.join(given.values())} "
        f"FROM (VALUES {', '.join([row] * count)})"  # whose columns SQLite names by their places
    )


def _more(inputs: Mapping[str, Any] | None, outputs: Mapping[str, Any] | None) -> str | None:
    """``more_of`` these two, in half the time where they are few numbers and texts."""
    if inputs is None or outputs is None:
        return more_of(inputs, outputs)
    read: list[str] = []
    gave: list[str] = []
    try:
        for parts, values in ((read, inputs), (gave, outputs)):
            for key, value in values.items():
                if type(value) is int:
                    parts.append(f"{_names[key]}{value}")
                else:
                    parts.append(f"{_names[key]}{_quoted(value) if type(value) is str else written(value)}")
    except UNWRITABLE:
        return more_of(inputs, outputs)
    return f'{{"inputs":{{{",".join(read)}}},"outputs":{{{",".join(gave)}}}}}'
