"""What the items of a chunk have given, on its way back from a worker process: only what somebody reads of it.

Column by column, each pickled as one list, where the items gave the same keys and plain values for them; else item by
item, so that what cannot be pickled or loaded fails its own item only.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hush.core._runtime._parcels import all_plain, pack, unpack


class Rows(NamedTuple):
    """Pickled outputs.

    Attributes:
        number: Of how many items.
        keys: What each of them gave, read or not; ``None`` where they differ, or are not plain.
        data: With ``keys``, the columns that are read; else the outputs one by one, and ``ends`` says where each ends.
    """

    number: int
    keys: tuple[str, ...] | None
    data: bytes
    ends: list[int] | None


class Loaded(NamedTuple):
    """Outputs, loaded again: ``columns`` where they came as such; ``keys`` are those of every item, read or not."""

    number: int
    keys: tuple[str, ...]
    columns: dict[str, list[Any]] | None
    rows: Sequence[Any]

    def one_by_one(self) -> Sequence[Any]:
        """The outputs, item by item: ``None`` for what nobody reads, ``Unloadable`` for what cannot be loaded."""
        if self.columns is None:
            return self.rows
        nothing = [None] * self.number
        columns = [self.columns.get(key, nothing) for key in self.keys]
        return [dict(zip(self.keys, row, strict=True)) for row in zip(*columns, strict=True)] or [
            {} for _ in range(self.number)
        ]


def pack_rows(outs: list[dict[str, Any]], wanted: frozenset[str] | None) -> tuple[Rows, dict[int, Exception]]:
    """Pickle outputs, ``wanted`` keys of them or all; and the reasons why some cannot be, by their place in ``outs``.

    Those are left out.
    """
    if not outs:
        return Rows(0, (), pickle.dumps({}), None), {}
    columns = _plain_columns(outs, wanted)
    if columns is not None:
        return Rows(len(outs), tuple(outs[0]), pickle.dumps(columns, pickle.HIGHEST_PROTOCOL), None), {}
    if wanted is not None and any(not out.keys() <= wanted for out in outs):
        outs = [{key: value if key in wanted else None for key, value in out.items()} for out in outs]
    parcel = pack(outs)
    assert parcel.ends is not None
    ends = [end for place, end in enumerate(parcel.ends) if place not in parcel.refused]
    return Rows(len(ends), None, parcel.data, ends), parcel.refused


def _plain_columns(outs: list[dict[str, Any]], wanted: frozenset[str] | None) -> dict[str, list[Any]] | None:
    """The columns that are ``wanted``, if all items gave the same keys and nothing but plain values is read of them."""
    keys = outs[0].keys()
    if any(map(len(keys).__ne__, map(len, outs))):
        return None
    columns: dict[str, list[Any]] = {}
    for key in keys:
        try:
            column = list(map(itemgetter(key), outs))
        except KeyError:
            return None
        if wanted is None or key in wanted:
            if not all_plain(column):
                return None
            columns[key] = column
    return columns


def load_rows(rows: Rows) -> Loaded:
    """What ``pack_rows`` has packed."""
    if rows.keys is None:
        return Loaded(rows.number, (), None, list(unpack(rows.data, rows.ends)))
    return Loaded(rows.number, rows.keys, pickle.loads(rows.data), [])
