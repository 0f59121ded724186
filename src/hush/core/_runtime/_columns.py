"""``Columns``: what a map gives, one list for each key, in input order whatever order the items finish in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from enum import Enum, auto
from itertools import repeat
from operator import is_
from typing import Any

from hush.core._plan._model import StepPlan
from hush.core._spec._model import ERROR, METRICS, NEVER_STARRED
from hush.core.errors import MissingKeyError, missing_key


class Place(Enum):
    """The place of an item that has not given the key, or not ended yet."""

    EMPTY = auto()


EMPTY = Place.EMPTY


_BLOCK = 256
"""Places are made this many at a time: an append for each item and column is a tenth of what an item costs."""
_EMPTY_BLOCK, _NONE_BLOCK = [EMPTY] * _BLOCK, [None] * _BLOCK


class Columns:
    """The columns of one map that somebody reads.

    Attributes:
        count: How many items were pulled; there is ``room`` for so many.
        failed: How many of them failed.
        learns: Whether a key of which nobody knew becomes one of them when an item gives it.
    """

    __slots__ = (
        "_all",
        "_errors",
        "_looks",
        "_named",
        "_path",
        "_read",
        "_seen",
        "_seen_keys",
        "_values",
        "_wanted",
        "_whole",
        "count",
        "failed",
        "failed_items",
        "learns",
        "room",
    )

    def __init__(self, step: StepPlan, *, everything: bool) -> None:
        assert step.map is not None
        gives = step.gives
        more = (*gives.optional, *gives.writes) if gives is not None else ()
        keys = dict.fromkeys(copy.key for copy in (*step.captures, *more))
        self._all = everything or (gives is not None and (gives.stars or gives.everything or bool(gives.computed)))
        self._named = step.map.named
        self.learns = self._all and not self._named
        self._path = step.path
        self._errors: list[Any] | None = [] if ERROR in keys or self._all else None
        known = step.body.output_keys if step.body is not None and (self._all or not self._named) else ()
        wanted = [*keys, *known] if self._all else [*keys]
        self._values: dict[str, list[Any]] = {key: [] for key in dict.fromkeys(wanted) if key not in (ERROR, METRICS)}
        self._read = [key for key in keys if key in self._values]  # by name: some item must give them
        self.count = 0
        self.failed = 0
        self.failed_items: set[int] = set()
        self._wanted = [*self._values.items()]
        self._looks = not self._named or self._all
        self._whole = -1 if self._looks else len(self._wanted)  # how many keys an item gives of which all are known
        self._seen: dict[str, None] = {}
        self._seen_keys = self._seen.keys()
        self.room = 0

    def make_room(self) -> None:
        """Places for more items."""
        self.room += _BLOCK
        for values in self._values.values():
            values.extend(_EMPTY_BLOCK)
        if self._errors is not None:
            self._errors.extend(_NONE_BLOCK)

    def put(self, index: int, out: Mapping[str, Any]) -> Any:
        """Keep what an item gave, and give the ``error`` it wrote by itself."""
        try:
            for key, values in self._wanted:
                values[index] = out[key]
        except KeyError:
            for key, values in self._wanted:
                if key in out:
                    values[index] = out[key]
        else:
            if len(out) == self._whole:
                return None  # these keys and no other, which most items give
        if self._looks and not out.keys() <= self._seen_keys:
            self._look(index, out)
        error = out.get(ERROR)
        if error is not None:
            self.fail(index, error)
        return error

    def put_run(self, first: int, count: int, keys: Sequence[str], given: Mapping[str, list[Any]]) -> None:
        """Keep what ``count`` items in a row gave, from the ``first``: the columns of ``keys`` that somebody reads."""
        if self._looks and not self._seen_keys >= set(keys):
            self._look(first, {key: given[key][0] if key in given else None for key in keys})
        for key, values in self._wanted:
            if key in given:
                values[first : first + count] = given[key]

    def wanted(self) -> frozenset[str] | None:
        """The keys that are kept; ``None`` if all are."""
        return None if self._all else frozenset(self._values)

    def _look(self, index: int, out: Mapping[str, Any]) -> None:
        """The keys of a body show only as its items end."""
        self._seen.update(dict.fromkeys(out))
        if self._all:
            for key in out:
                if key not in self._values and key not in NEVER_STARRED:
                    values = self._values[key] = [EMPTY] * self.room
                    values[index] = out[key]
                    self._wanted.append((key, values))
        if self._seen_keys >= self._values.keys():
            self._whole = len(self._wanted)

    @property
    def keys(self) -> Set[str]:
        """Those of the columns."""
        return self._values.keys()

    def lacks(self, out: Mapping[str, Any]) -> bool:
        """Whether ``out`` lacks a key for which its item, or the map, will fail in the end, whatever others give."""
        if self._named or out.keys() >= self._values.keys():
            return False
        return any(key not in out and (key in self._seen or key in self._read) for key in self._values)

    def fail(self, index: int, error: Any) -> None:
        """Note that an item failed."""
        self.failed += 1
        if not self._named:
            self.failed_items.add(index)
        if self._errors is not None:
            self._errors[index] = error

    def not_given(self, lacked: Collection[str]) -> MissingKeyError | None:
        """The map's own failure, if a key that is read, or one of these that some items lacked, was given by none."""
        missing = [key for key in sorted(lacked) if key not in self._seen]
        if not (missing or self._named) and self.failed < self.count:
            missing = [key for key in self._read if key not in self._seen]
        if not missing:
            return None
        return missing_key(self._path, missing[0], [one for one in self._seen if one not in NEVER_STARRED])

    def lacking(self) -> list[tuple[int, MissingKeyError]]:
        """The items that ran and lack a key that others have, when all have ended."""
        found: dict[int, MissingKeyError] = {}
        if self._named or not self.count:
            return []
        for key, values in self._values.items():
            if key in self._seen:
                del values[self.count :]
                for index, value in enumerate(values) if _has_empty(values) else ():
                    if value is EMPTY and index not in self.failed_items:
                        own = [one for one, column in self._values.items() if column[index] is not EMPTY]
                        found.setdefault(index, missing_key(f"item {index} of {self._path}", key, own))
        return sorted(found.items())

    def lists(self) -> dict[str, list[Any]]:
        """The columns, with ``None`` at empty places."""
        columns: dict[str, list[Any]] = {}
        for key, values in self._values.items():
            del values[self.count :]
            columns[key] = [None if value is EMPTY else value for value in values] if _has_empty(values) else values
        if self._errors is not None:
            del self._errors[self.count :]
            columns[ERROR] = self._errors
        return columns


def _has_empty(values: list[Any]) -> bool:
    """Whether a place is empty. ``in`` would ask the values' own ``==``, so this looks by identity."""
    return any(map(is_, values, repeat(EMPTY)))
