"""``TraceStore``: the runs and spans in a file of traces, while others write it; and which of them are thrown away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from os import PathLike
from typing import Any, NamedTuple

from hush.core.errors import UsageError
from hush.core.extend import nearest
from hush.observability._local._opening import Opened, opened
from hush.observability._local._place import traces_file
from hush.observability._local._problems import TraceError
from hush.observability._local._pruning import Pruned, prune
from hush.observability._local._rows import RUN_COLUMNS, SPAN_COLUMNS, run_of, span_of, storable
from hush.observability._local._schema import FAILED, RUN_BITS
from hush.observability._preview import clean
from hush.observability._span import RunRecord, Span

_BEAT = "(SELECT beat_ns FROM processes WHERE processes.id = runs.process)"
_RUN = f"SELECT {', '.join(RUN_COLUMNS)}, {_BEAT}, id FROM runs WHERE status <> 'pruned'"
_NEWEST = "ORDER BY started_ns DESC, id DESC"
_SPANS = f"SELECT {', '.join(SPAN_COLUMNS)} FROM spans WHERE id IN"
_LISTED = 10
_COMPARED = 1_000
_AT_ONCE = 500
WORDS = ("last", "last failed")
"""What ``find`` takes for a run by when it was, and not by what it is called."""
_STATUSES = ("running", "ok", "partial", "failed", "cancelled", "crashed")


class Found(NamedTuple):
    """A run, and its number in the file."""

    run: RunRecord
    number: int


class TraceStore:
    """The runs in a file of traces.

    Every call opens the file for itself, so one store may be used in any thread, and while others write. A run whose
    process is gone is ``crashed``, and so is what was under way in it; who first sees that writes it down. All methods
    block, and raise ``TraceError`` if the file is not there, is none of traces, or is of a newer Hush.

    Args:
        path: The file; without it ``HUSH_TRACES_DB``, else ``~/.hush/traces.db``. It is never made.
    """

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        self.path = traces_file(path, "TraceStore")

    def runs(self, limit: int = 20, *, status: str | None = None, name: str | None = None) -> list[RunRecord]:
        """The newest runs, the newest first; those with this ``status``, those of the graph ``name``."""
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise UsageError(f"runs(limit={limit!r}): it is a number of runs, 0 or more.")
        if status is not None and status not in _STATUSES:
            near = nearest(status, _STATUSES)
            raise UsageError(
                f"runs(status={status!r}): runs are {', '.join(_STATUSES)}." + (f" Did you mean {near!r}?" * bool(near))
            )
        with opened(self.path) as file:
            return [found.run for found in _newest(file, limit, status=(status,) if status else (), name=name)]

    def find(self, text: str) -> RunRecord:
        """The run that ``text`` names.

        It is ``"last"``, ``"last failed"`` (or crashed), a request id, of which the newest run is meant, or the first
        characters of a trace id, if only one begins so. Raises ``TraceError`` that names the nearest, or all that begin
        so.
        """
        with opened(self.path) as file:
            return _found(file, str(text)).run

    def spans(self, trace: str, *, failed: bool = False) -> Iterator[Span]:
        """The spans of the run with this trace id in order of their starts, read a few hundred at a time.

        Nothing is opened, and nothing raised, before the first is asked for; close the iterator if you leave it early.

        With ``failed`` only those that failed, whether that was handled or not, or were under way in a crash. While the
        run goes on they are those of the instant at which the first is asked for, each as it is when it is read.
        """
        with opened(self.path) as file:
            found = _run_at(file, "trace = ?", (storable(trace),))
            if found is None:
                raise _unknown(file, trace)
            crashed = file.crashed(found.number)
            numbers = file.connection.execute(
                f"SELECT id FROM spans WHERE id >= ? AND id < ?{_wanted(failed, crashed)} "
                "ORDER BY started_ns, length(path), id",
                (found.number << RUN_BITS, (found.number + 1) << RUN_BITS),
            ).fetchall()
            # No transaction lasts while the caller looks at a span: else the writers' log could not be cleared.
            for at in range(0, len(numbers), _AT_ONCE):
                asked = [row[0] for row in numbers[at : at + _AT_ONCE]]
                try:
                    rows = file.connection.execute(f"{_SPANS} ({', '.join('?' * len(asked))})", asked).fetchall()
                except sqlite3.Error as exc:
                    raise file.problem(exc) from exc
                there = {row[0]: row for row in rows}  # some may be gone meanwhile
                for number in asked:
                    if number in there:
                        yield span_of(trace, there[number], crashed=crashed)

    def prune(
        self,
        *,
        older_than_s: float | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        now: float | None = None,
    ) -> Pruned:
        """Delete runs that have ended, oldest first and each with all its spans, and give the space back to the disk.

        A run that is under way stays. Others may write meanwhile: each transaction is short, and if this is killed,
        the next one goes on where it was.

        Args:
            older_than_s: Those that ended longer ago, in seconds.
            keep: All but the newest so many, those under way included.
            max_bytes: As many as it takes until the file is no larger.
            now: The time that ``older_than_s`` is counted from, in seconds since the epoch; without it this instant.
        """
        return prune(self.path, older_than_s=older_than_s, keep=keep, max_bytes=max_bytes, now=now)


def _wanted(failed: bool, crashed: bool) -> str:
    """As the index has it, and what nobody could write down as crashed."""
    if not failed:
        return ""
    there = f"(error IS NOT NULL AND status IN {FAILED!r})"
    return f" AND ({there} OR status = 'running')" if crashed else f" AND {there}"


def _newest(file: Opened, limit: int, *, status: tuple[str, ...] = (), name: str | None = None) -> list[Found]:
    where, values = "", []
    if name is not None:
        where += " AND name = ?"
        values.append(storable(name))
    if status:
        # What is crashed, but not written down as such yet, is still "running" there.
        asked = {*status, *(("running",) if "crashed" in status else ())}
        where += f" AND status IN ({', '.join('?' * len(asked))})"
        values += sorted(asked)
    found: list[Found] = []
    for row in file.connection.execute(f"{_RUN}{where} {_NEWEST}", values):
        if len(found) >= limit:
            break
        one = _read(file, row)
        if not status or one.run.status in status:
            found.append(one)
    return found


def _read(file: Opened, row: Any) -> Found:
    """The run of a row; of one that has not ended, the last count of its spans may be older than some of them."""
    number = row[-1]
    run = run_of(row, crashed=file.crashed(number))
    if run.status in ("running", "crashed"):
        here = file.connection.execute(
            "SELECT count(*) FROM spans WHERE id >= ? AND id < ?", (number << RUN_BITS, (number + 1) << RUN_BITS)
        ).fetchone()[0]
        run = run._replace(produced=max(run.produced, here + run.left_out + run.dropped))
    return Found(run, number)


def _run_at(file: Opened, where: str, values: tuple[object, ...]) -> Found | None:
    row = file.connection.execute(f"{_RUN} AND {where} {_NEWEST} LIMIT 1", values).fetchone()
    return None if row is None else _read(file, row)


def _found(file: Opened, text: str) -> Found:
    if text in WORDS:
        newest = _newest(file, 1, status=() if text == "last" else ("failed", "crashed"))
        if not newest:
            raise TraceError(
                f"{file.path} has no run yet." if text == "last" else f"no run in {file.path} has failed or crashed."
            )
        return newest[0]
    # What tracers write are ids without secrets.
    exact = _run_at(file, "request_id IN (?, ?)", (storable(text), storable(clean(text, 1_000))))
    exact = exact or _run_at(file, "trace = ?", (storable(text),))
    if exact is not None:
        return exact
    beginning = text.lower()
    if beginning and beginning.isascii() and beginning.isalnum():
        end = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        rows = file.connection.execute(
            f"{_RUN} AND trace >= ? AND trace < ? {_NEWEST} LIMIT {_LISTED + 1}", (beginning, end)
        ).fetchall()
        if len(rows) > 1:
            listed = "".join(f"\n    {row[0]}  {row[1]}  ({row[2]})" for row in rows[:_LISTED])
            more = "\n    …" if len(rows) > _LISTED else ""
            raise TraceError(f"the trace ids of several runs begin with {text!r}: write more of it.{listed}{more}")
        if rows:
            return _read(file, rows[0])
    raise _unknown(file, text)


def _unknown(file: Opened, text: str) -> TraceError:
    newest = [found.run for found in _newest(file, _COMPARED)]
    if not newest:
        return TraceError(f"{file.path} has no run {text!r}, nor any other.")
    near = nearest(text, [run.request_id for run in newest])
    if near is None:
        near = nearest(text, [run.trace[: max(len(text), 8)] for run in newest])
    hint = f"Did you mean {near!r}?" if near else f"The last one is {newest[0].request_id!r}."
    return TraceError(f"{file.path} has no run {text!r}. {hint}")
