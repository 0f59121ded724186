"""What writes spans into the file of traces: one for each file in a process, in one thread, one transaction a batch."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from threading import Lock
from typing import Any

from hush.core.protocols import kept_open
from hush.observability._exporter import ExportError
from hush.observability._local._forks import close_before_forks
from hush.observability._local._place import identity_at, make_file
from hush.observability._local._problems import is_sqlite, problem_of
from hush.observability._local._process import Identity, this_process
from hush.observability._local._rows import RUN_COLUMNS, SPAN_COLUMNS, Row, run_row, span_row, storable
from hush.observability._local._schema import BUSY_S, RUN_BITS, prepare, version_of
from hush.observability._span import Batch, RunRecord, Span

_INSERT = f"INSERT INTO spans ({', '.join(SPAN_COLUMNS)}) VALUES "
_REPLACE = f"INSERT OR REPLACE INTO spans ({', '.join(SPAN_COLUMNS)}) VALUES "
_PLACES = f"({', '.join('?' * len(SPAN_COLUMNS))})"
_AT_ONCE = 256
"""Rows in one statement. SQLite lets the interpreter go for each statement, and beside a busy loop Python gives it back
after 5 ms only; besides, it is twice as fast. A statement may have 32,766 values: https://www.sqlite.org/limits.html"""
_INSERT_RUN = f"INSERT INTO runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"
_UPDATE_RUN = f"UPDATE runs SET {', '.join(f'{name} = ?' for name in RUN_COLUMNS)} WHERE id = ?"
_BEAT_NS = 400_000_000  # a run under way writes every 0.5 s: of a crash that is all that tells when it was

_held: set[sqlite3.Connection] = set()
"""Connections that are open, and those that must never be closed, by the garbage collector neither: one whose file was
deleted would delete what lies beside the new one: https://www.sqlite.org/howtocorrupt.html"""


class _Run:
    """A run as far as it is in the file.

    Attributes:
        number: Its ``id`` there.
        last: The number of its span that was written last.
        under_way: Its spans that were written before they had ended, by id, each with its number and itself.
        told: What was last said of it, to be said again if the file is begun anew.
        over: Whether it has ended: then nothing of it is remembered.
    """

    __slots__ = ("last", "number", "over", "told", "under_way")

    def __init__(self, number: int, last: int, under_way: dict[str, tuple[int, Span | None]]) -> None:
        self.number = number
        self.last = last
        self.under_way = under_way
        self.told: RunRecord | None = None
        self.over = False


class LocalWriter:
    """The exporter of ``LocalTracer``: batches of spans into the file at ``path``.

    Nothing is opened before the first batch. Whatever goes wrong, a batch is in the file wholly or not at all.
    """

    live = True
    most = 5_000

    def __init__(self, path: str) -> None:
        self.path = self.where = path
        self._connection: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._pid = 0
        self._who: Identity | None = None
        self._process = 0
        self._beat_ns = 0
        self._runs: dict[str, _Run] = {}
        self.lock = Lock()
        close_before_forks(self)

    def export(self, batch: Batch, /) -> None:
        """Write the batch; an empty one only says that this process is alive."""
        with self.lock:
            try:
                connection = self._opened()
                try:
                    self._write(connection, batch, _as_it_is)
                except UnicodeEncodeError:
                    self._write(connection, batch, storable)
            except Exception as exc:
                if not is_sqlite(exc):
                    raise
                problem = problem_of(exc, self.path)
                if problem.reopen:
                    self.let_go()
                raise ExportError(problem.message, again=problem.again) from exc

    def close(self) -> None:
        with self.lock:
            self.let_go()

    def let_go(self) -> None:
        """Close the file until the next batch; the lock is held."""
        connection, self._connection = self._connection, None
        if connection is None or self._pid != os.getpid() or self._opened_as != identity_at(self.path):
            return  # the parent's, or of a file that is no more
        try:
            connection.close()
        except sqlite3.Error:
            pass  # it is given up whatever state it is in
        _held.discard(connection)

    # ── The file ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _opened(self) -> sqlite3.Connection:
        if self._pid != os.getpid():  # the first time, or this process was forked off
            self._connection = None
            self._pid, self._who, self._process = os.getpid(), None, 0
            self._runs = {}
        if self._connection is not None and self._opened_as != identity_at(self.path):
            self._connection = None  # somebody has deleted it, or put another in its place
        if self._connection is None:
            make_file(self.path)
            # Any thread: the one that closes it may be another, and never at the same time.
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            _held.add(connection)
            try:
                prepare(connection, self.path)
            except BaseException:
                _held.discard(connection)
                connection.close()
                raise
            found = identity_at(self.path)
            if found != self._opened_as:
                self._process = 0
                self._begin_anew()
            self._connection, self._opened_as = connection, found
            kept_open.add(self.path)
        return self._connection

    def _begin_anew(self) -> None:
        """What was under way in the file that is gone shall be in the new one too."""
        for run in self._runs.values():
            run.number = 0

    # ── A batch ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, connection: sqlite3.Connection, batch: Batch, clean: Callable[[Any], Any]) -> None:
        now_ns = time.time_ns()
        connection.execute("BEGIN IMMEDIATE")
        try:
            version_of(connection, self.path)  # a newer Hush may have changed the tables meanwhile
            process = self._here(connection, now_ns)
            writing = _Writing(connection, self._runs, process, clean)
            writing.runs(batch.runs)
            writing.spans(batch.ended, batch.running)
            writing.gone(batch.gone)
            writing.ended()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._process = process
        if now_ns - self._beat_ns >= _BEAT_NS:
            self._beat_ns = now_ns
        writing.remember()

    def _here(self, connection: sqlite3.Connection, now_ns: int) -> int:
        """The number of this process's row, which is made, or says that it is alive."""
        if self._process and now_ns - self._beat_ns < _BEAT_NS:
            return self._process
        if self._process:
            beat = connection.execute("UPDATE processes SET beat_ns = ? WHERE id = ?", (now_ns, self._process))
            if beat.rowcount:
                return self._process
        if self._who is None:
            self._who = this_process()
        made = connection.execute(
            "INSERT INTO processes (host, boot, space, pid, began, beat_ns) VALUES (?, ?, ?, ?, ?, ?)",
            (*map(storable, self._who), now_ns),
        )
        return int(made.lastrowid or 0)


class _Writing:
    """One batch: what it changes in memory is kept apart until it is in the file."""

    def __init__(
        self, connection: sqlite3.Connection, known: dict[str, _Run], process: int, clean: Callable[[Any], Any]
    ) -> None:
        self._connection = connection
        self._known = known
        self._process = process
        self._clean = clean
        # Where SQLite was built to take fewer values.
        limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._at_once = min(_AT_ONCE, max(1, limit // len(SPAN_COLUMNS)))
        self._found: dict[str, _Run] = {}

    def remember(self) -> None:
        """The batch is in the file."""
        for trace, run in self._found.items():
            if run.over:
                self._known.pop(trace, None)
            else:
                self._known[trace] = run

    def runs(self, runs: Iterable[RunRecord]) -> None:
        for run in runs:
            self._tell(run)

    def spans(self, ended: Iterable[Span], running: Iterable[Span]) -> None:
        fresh: list[Row] = []
        known: list[Row] = []
        trace, run = None, None
        for span in ended:
            if run is None or span.trace != trace:
                trace = span.trace
                run = self._run_of(span)
            if run.under_way and (earlier := run.under_way.pop(span.id, None)) is not None:
                known.append(span_row(earlier[0], span))
            else:
                run.last += 1
                fresh.append(span_row(run.last, span))
        for span in running:
            run = self._run_of(span)
            earlier = run.under_way.get(span.id)
            if earlier is None:
                run.last += 1
                fresh.append(span_row(run.last, span))
            else:
                known.append(span_row(earlier[0], span))
            run.under_way[span.id] = (run.last if earlier is None else earlier[0], span)
        for statement, rows in ((_INSERT, fresh), (_REPLACE, known)):
            if rows:
                if self._clean is storable:
                    rows = [tuple(map(storable, row)) for row in rows]
                for first, count in _portions(len(rows), self._at_once):
                    values = chain.from_iterable(rows[first : first + count])
                    self._connection.execute(_many(statement, count), tuple(values))

    def gone(self, gone: Iterable[tuple[str, str]]) -> None:
        for trace, span in gone:
            run = self._find(trace)
            if run is not None and (earlier := run.under_way.pop(span, None)) is not None:
                self._connection.execute("DELETE FROM spans WHERE id = ?", (earlier[0],))

    def ended(self) -> None:
        """Of a run that is over nothing is under way any more: the ends of what still is were dropped."""
        for run in self._found.values():
            if run.over and run.under_way:
                rows = [(at,) for at, _ in run.under_way.values()]
                self._connection.executemany("DELETE FROM spans WHERE id = ?", rows)
                run.under_way.clear()

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _run_of(self, span: Span) -> _Run:
        found = self._find(span.trace)
        if found is None:  # nothing was told of it: its span is worth a row nevertheless
            self._tell(RunRecord(span.trace, "", "", "running", span.started_ns))
            found = self._find(span.trace)
            assert found is not None
        return found

    def _there(self, trace: str) -> tuple[int, bool] | None:
        """The run's number in the file, and whether it is over, if it is there at all."""
        row = self._connection.execute("SELECT id, status FROM runs WHERE trace = ?", (self._clean(trace),)).fetchone()
        return None if row is None else (int(row[0]), row[1] != "running")

    def _tell(self, run: RunRecord) -> None:
        there = self._there(run.trace)
        row = tuple(map(self._clean, run_row(run, self._process)))
        if there is None:
            self._connection.execute(_INSERT_RUN, row)
        else:
            self._connection.execute(_UPDATE_RUN, (*row, there[0]))
        found = self._find(run.trace)
        if found is not None:
            found.told = run
            found.over = run.status != "running"

    def _find(self, trace: str) -> _Run | None:
        """The run as it is in the file, and as this batch has changed it so far."""
        found = self._found.get(trace)
        if found is not None:
            return found
        there = self._there(trace)
        earlier = self._known.get(trace)
        if there is None:
            if earlier is None or earlier.told is None:
                return None
            self._tell_again(earlier.told)  # the file was begun anew
            there = self._there(trace)
            assert there is not None
        number, over = there
        if earlier is not None and earlier.number == number:
            found = _Run(number, earlier.last, dict(earlier.under_way))
        else:
            found = self._read(number)
        found.told = None if earlier is None else earlier.told
        found.over = over
        self._found[trace] = found
        if earlier is not None and earlier.number != number:
            missing = [span for _, span in earlier.under_way.values() if span is not None]
            self.spans((), [span for span in missing if span.id not in found.under_way])
        return found

    def _tell_again(self, run: RunRecord) -> None:
        self._connection.execute(_INSERT_RUN, tuple(map(storable, run_row(run, self._process))))

    def _read(self, number: int) -> _Run:
        """A run that another exporter, or this one before it was closed, has begun to write."""
        first, end = number << RUN_BITS, (number + 1) << RUN_BITS
        last = self._connection.execute("SELECT max(id) FROM spans WHERE id >= ? AND id < ?", (first, end)).fetchone()
        under_way = self._connection.execute(
            "SELECT span, id FROM spans WHERE id >= ? AND id < ? AND ended_ns IS NULL", (first, end)
        )
        return _Run(
            number,
            first if last[0] is None else int(last[0]),
            {_text(span): (int(at), None) for span, at in under_way},
        )


@cache
def _many(statement: str, count: int) -> str:
    return statement + ", ".join([_PLACES] * count)


def _portions(count: int, most: int) -> Iterator[tuple[int, int]]:
    """The first and the number of rows of each statement: powers of two, so that there are few different ones."""
    first = 0
    while first < count:
        size = min(most, 1 << ((count - first).bit_length() - 1))
        yield first, size
        first += size


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _as_it_is(value: Any) -> Any:
    return value
