"""What is thrown away of a file of traces: whole runs that have ended, in short transactions."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from hush.core.errors import UsageError
from hush.observability._local._opening import Opened, opened
from hush.observability._local._schema import RUN_BITS

_AT_ONCE = 5_000  # spans deleted in one transaction
_PAGES = 1_000  # given back in one transaction
_FORGOTTEN_NS = 3_600_000_000_000
_MOST = 2**63 - 1  # that SQLite has a number for


class Pruned(NamedTuple):
    """What was deleted: how many runs and spans, and how many bytes the file is smaller by."""

    runs: int
    spans: int
    bytes: int


def prune(
    path: str, *, older_than_s: float | None, keep: int | None, max_bytes: int | None, now: float | None
) -> Pruned:
    """As ``TraceStore.prune``."""
    given = {"older_than_s": older_than_s, "keep": keep, "max_bytes": max_bytes}
    if all(value is None for value in given.values()):
        raise UsageError("prune(): say what may go: older_than_s=, keep= or max_bytes=.")
    for name, value in given.items():
        if value is not None and not _is_amount(value, whole=name != "older_than_s"):
            raise UsageError(f"prune({name}={value!r}): it is a number, 0 or more.")
    with opened(path) as file:
        pruning = _Pruning(file)
        before = pruning.size()
        pruning.go_on()
        if older_than_s is not None:
            # A crashed run has no end: it counts from its start.
            now_s = time.time() if now is None else now
            end_ns = int((now_s - min(older_than_s, now_s)) * 1e9)  # nothing is older than 1970
            pruning.each("coalesce(ended_ns, started_ns) < ?", (end_ns,))
        if keep is not None:
            pruning.each(
                "id NOT IN (SELECT id FROM runs WHERE status <> 'pruned' ORDER BY started_ns DESC, id DESC LIMIT ?)",
                (min(keep, _MOST),),
            )
        if max_bytes is not None:
            while pruning.size() > max_bytes and pruning.oldest():
                pass
        pruning.forget_processes()
        pruning.give_back()
        return Pruned(pruning.runs, pruning.spans, max(before - pruning.size(), 0))


def _is_amount(value: Any, *, whole: bool) -> bool:
    return not isinstance(value, bool) and isinstance(value, int if whole else int | float) and value >= 0


class _Pruning:
    def __init__(self, file: Opened) -> None:
        self._file = file
        self._connection = file.connection
        self.runs = 0
        self.spans = 0

    def size(self) -> int:
        """Bytes of the file that hold something."""
        pages, free, each = (self._number(name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * each

    def go_on(self) -> None:
        """Delete the rest of what an earlier one that was killed had begun to delete."""
        for (number,) in self._connection.execute("SELECT id FROM runs WHERE status = 'pruned'").fetchall():
            self._delete(number)

    def each(self, where: str, values: tuple[object, ...]) -> None:
        for (number,) in self._connection.execute(
            f"SELECT id FROM runs WHERE status NOT IN ('running', 'pruned') AND {where} ORDER BY started_ns, id", values
        ).fetchall():
            self._claim(number)

    def oldest(self) -> bool:
        row = self._connection.execute(
            "SELECT id FROM runs WHERE status NOT IN ('running', 'pruned') ORDER BY started_ns, id LIMIT 1"
        ).fetchone()
        if row is not None:
            self._claim(row[0])
        return row is not None

    def forget_processes(self) -> None:
        self._connection.execute(
            "DELETE FROM processes WHERE beat_ns < ? AND id NOT IN (SELECT process FROM runs)",
            (time.time_ns() - _FORGOTTEN_NS,),
        )

    def give_back(self) -> None:
        while self._number("freelist_count"):
            left = self._number("freelist_count")
            # A plain execute would stop after the first page.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            if self._number("freelist_count") == left:  # the file was made without it, by hand
                self._connection.execute("VACUUM")
                break
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _claim(self, number: int) -> None:
        """Delete a run, unless it goes on after all: then nobody sees a half of it."""
        done = self._connection.execute(
            "UPDATE runs SET status = 'pruned' WHERE id = ? AND status NOT IN ('running', 'pruned')", (number,)
        )
        if done.rowcount:
            self._delete(number)

    def _delete(self, number: int) -> None:
        first, end = number << RUN_BITS, (number + 1) << RUN_BITS
        while True:
            done = self._connection.execute(
                "DELETE FROM spans WHERE id IN (SELECT id FROM spans WHERE id >= ? AND id < ? LIMIT ?)",
                (first, end, _AT_ONCE),
            )
            self.spans += done.rowcount
            if done.rowcount < _AT_ONCE:
                break
        self.runs += self._connection.execute("DELETE FROM runs WHERE id = ?", (number,)).rowcount

    def _number(self, pragma: str) -> int:
        return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])
