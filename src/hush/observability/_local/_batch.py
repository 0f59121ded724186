"""``Writing``: one batch of spans on its way into the file of traces, in the transaction that is open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

from hush.observability._local._plain_rows import PlainRows, portions
from hush.observability._local._rows import RUN_COLUMNS, SPAN_COLUMNS, Row, run_row, span_row, storable
from hush.observability._local._schema import RUN_BITS
from hush.observability._span import Batch, RunRecord, Span

_AT_ONCE = 256
"""Rows in one statement. SQLite lets the interpreter go for each statement, and beside a busy loop Python gives it back
after 5 ms only; besides, it is twice as fast. A statement may have 32,766 values: https://www.sqlite.org/limits.html"""
_LAST_RUN = """SELECT max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'runs'), 0), coalesce((SELECT max(id) FROM runs), 0)
)"""


class Run:
    """A run as far as it is in the file.

    Attributes:
        number: Its ``id`` there.
        last: The number of its span that was written last.
        under_way: Its spans that were written before they had ended, by id, each with its number and itself.
        own: The id of its own span, where that was written before it had ended.
        told: What was last said of it, to be said again if the file is begun anew.
        over: Whether it has ended: then nothing of it is remembered.
        guessed: Whether nothing was told of it, so that all that is known is what its spans say.
    """

    __slots__ = ("guessed", "last", "number", "over", "own", "told", "under_way")

    def __init__(self, number: int, last: int, under_way: dict[str, tuple[int, Span | None]]) -> None:
        self.number = number
        self.last = last
        self.under_way = under_way
        self.own = ""
        self.told: RunRecord | None = None
        self.over = self.guessed = False


class Writing:
    """One batch: what it changes in memory is kept apart until it is in the file.

    Rows are made before there is a transaction, since nobody else can write while there is one; which numbers they get
    is known only then.
    """

    def __init__(
        self, connection: sqlite3.Connection, known: dict[str, Run], batch: Batch, clean: Callable[[Any], Any]
    ) -> None:
        self._connection = connection
        self._known = known
        self._process = 0
        self._clean = clean
        # Where SQLite was built to take fewer values.
        limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._at_once = min(_AT_ONCE, max(1, limit // max(len(SPAN_COLUMNS), 1 + len(RUN_COLUMNS))))
        self._found: dict[str, Run] = {}
        self._rows: dict[str, tuple[int, bool] | None] = {}  # the numbers of runs, and whether they are over
        self._runs: dict[int, Row] = {}  # the rows of those of which something was told, by number
        self._last = 0  # the number that was given last to a run, if any was
        self._fresh: set[str] = set()  # runs that this batch has begun, so that there is nothing of them
        self._batch = batch
        self._own: dict[str, Span] | None = None
        # The rows of the spans that have ended and are not in the file; each has its place among these for a number.
        self._ended = [span for span in batch.ended if not self._is_known(span)]
        self._plain = PlainRows()
        self._others = [span_row(at, one) for at, one in enumerate(self._ended) if not self._plain.take(at, one)]

    def remember(self) -> None:
        """The batch is in the file."""
        for trace, run in self._found.items():
            if run.over:
                self._known.pop(trace, None)
            else:
                self._known[trace] = run

    def _is_known(self, span: Span) -> bool:
        run = self._known.get(span.trace)
        return run is not None and span.id in run.under_way

    def write(self, process: int) -> None:
        """Put all of it into the file, as what this process says; a transaction is open."""
        self._process = process
        batch = self._batch
        spans = chain(batch.ended, batch.running)
        self._look_up(list({span.trace for span in spans} | {run.trace for run in batch.runs}))
        for run in batch.runs:
            self._tell(run)
        self._put_ended()
        known = [span for span in batch.ended if self._is_known(span)] if len(self._ended) < len(batch.ended) else []
        self._spans(known, batch.running)
        self._gone(batch.gone)
        self._end()
        self._put_rows("INSERT OR REPLACE", "runs", ("id", *RUN_COLUMNS), [*self._runs.values()])

    def _put_ended(self) -> None:
        """The rows that were made: now their runs have numbers."""
        numbers: list[int] = []
        trace, run = None, None
        for span in self._ended:
            if run is None or span.trace != trace:
                trace = span.trace
                run = self._run_of(span)
            if run.under_way and (earlier := run.under_way.pop(span.id, None)) is not None:
                self._connection.execute("DELETE FROM spans WHERE id = ?", (earlier[0],))  # of another exporter
            run.last += 1
            numbers.append(run.last)
        for statement, values in self._plain.statements(self._at_once, numbers):
            self._put(statement, values)
        self._put_rows("INSERT", "spans", SPAN_COLUMNS, [(numbers[row[0]], *row[1:]) for row in self._others])

    def _spans(self, ended: Iterable[Span], running: Iterable[Span]) -> None:
        """Those that may be in the file already."""
        fresh: list[Row] = []
        known: list[Row] = []
        for span in chain(ended, running):
            run = self._run_of(span)
            earlier = run.under_way.pop(span.id, None)
            if earlier is None:
                run.last += 1
            number = run.last if earlier is None else earlier[0]
            (fresh if earlier is None else known).append(span_row(number, span))
            if span.ended_ns is None:
                run.under_way[span.id] = number, span
                if span.kind == "run":
                    run.own = span.id
        self._put_rows("INSERT", "spans", SPAN_COLUMNS, fresh)
        self._put_rows("INSERT OR REPLACE", "spans", SPAN_COLUMNS, known)

    def _put_rows(self, verb: str, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        for first, count in portions(len(rows), self._at_once):
            statement = _statement(verb, table, columns, count)
            self._put(statement, [*chain.from_iterable(rows[first : first + count])])

    def _put(self, statement: str, values: list[Any]) -> None:
        self._connection.execute(statement, [*map(storable, values)] if self._clean is storable else values)

    def _gone(self, gone: Iterable[tuple[str, str]]) -> None:
        for trace, span in gone:
            run = self._find(trace)
            if run is not None and (earlier := run.under_way.pop(span, None)) is not None:
                self._connection.execute("DELETE FROM spans WHERE id = ?", (earlier[0],))

    def _end(self) -> None:
        """Of a run that is over nothing is under way any more: the ends of what still is were dropped.

        A run that is cancelled is told of before its spans, and those may never come: then its own span, which is the
        last to end, is under way too.
        """
        ended = set[str]() if self._batch.early else {run.trace for run in self._batch.runs}
        for trace, run in self._found.items():
            if run.over and run.under_way and (trace in ended or run.own not in run.under_way):
                rows = [(at,) for at, _ in run.under_way.values()]
                self._connection.executemany("DELETE FROM spans WHERE id = ?", rows)
                run.under_way.clear()

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _run_of(self, span: Span) -> Run:
        found = self._find(span.trace)
        if found is None:  # nothing was told of it: its span is worth a row nevertheless
            self._tell(self._record_of(span), guessed=True)
            found = self._find(span.trace)
            assert found is not None
        elif found.guessed and (record := self._record_of(span)).name:
            self._tell(record, guessed=True)
        return found

    def _record_of(self, span: Span) -> RunRecord:
        """What is known of a run of which nothing was told: what its own span says, if that is in the batch."""
        if self._own is None:
            self._own = {one.trace: one for one in chain(self._batch.running, self._batch.ended) if one.kind == "run"}
        own = self._own.get(span.trace)
        if own is None:
            return RunRecord(span.trace, "", "", "running", span.started_ns)
        times = own.started_ns, own.ended_ns
        return RunRecord(span.trace, "", own.name, own.status, *times, tags=own.tags, failure=own.failure)

    def _look_up(self, traces: Sequence[str]) -> None:
        """Find the rows of runs at once: each statement may take 5 ms, in which nobody else can write."""
        for first, count in portions(len(traces), self._at_once):
            part = traces[first : first + count]
            marks = ", ".join("?" * count)
            found = self._connection.execute(
                f"SELECT trace, id, status FROM runs WHERE trace IN ({marks})", [*map(self._clean, part)]
            ).fetchall()
            self._rows |= dict.fromkeys(part)
            self._rows |= {_text(trace): (int(number), status != "running") for trace, number, status in found}

    def _there(self, trace: str) -> tuple[int, bool] | None:
        """The run's number in the file, and whether it is over, if it is there at all."""
        if trace not in self._rows:
            self._look_up([trace])
        return self._rows[trace]

    def _insert(self, run: RunRecord) -> None:
        """Give it a number that no run has had: rows that are made together are one statement in place of many."""
        self._last = (self._last or int(self._connection.execute(_LAST_RUN).fetchone()[0])) + 1
        self._put_run(self._last, run)
        self._rows[run.trace] = self._last, run.status != "running"
        self._fresh.add(run.trace)

    def _put_run(self, number: int, run: RunRecord) -> None:
        self._runs[number] = (number, *run_row(run, self._process))

    def _tell(self, run: RunRecord, *, guessed: bool = False) -> None:
        there = self._there(run.trace)
        if there is None:
            self._insert(run)
        else:
            self._put_run(there[0], run)
        found = self._find(run.trace)
        if found is not None:
            found.told = run
            found.guessed = guessed
            found.over = run.status != "running"

    def _find(self, trace: str) -> Run | None:
        """The run as it is in the file, and as this batch has changed it so far."""
        found = self._found.get(trace)
        if found is not None:
            return found
        there = self._there(trace)
        earlier = self._known.get(trace)
        if there is None:
            if earlier is None or earlier.told is None:
                return None
            self._insert(earlier.told)  # the file was begun anew
            there = self._there(trace)
            assert there is not None
        number, over = there
        if earlier is not None and earlier.number == number:
            found = Run(number, earlier.last, dict(earlier.under_way))
            found.own = earlier.own
        elif trace in self._fresh:
            found = Run(number, number << RUN_BITS, {})
        else:
            found = self._read(number)
        found.told = None if earlier is None else earlier.told
        found.guessed = earlier is not None and earlier.guessed
        found.over = over
        self._found[trace] = found
        if earlier is not None and earlier.number != number:
            missing = [span for _, span in earlier.under_way.values() if span is not None]
            self._spans((), [span for span in missing if span.id not in found.under_way])
        return found

    def _read(self, number: int) -> Run:
        """A run that another exporter, or this one before it was closed, has begun to write."""
        first, end = number << RUN_BITS, (number + 1) << RUN_BITS
        last = self._connection.execute("SELECT max(id) FROM spans WHERE id >= ? AND id < ?", (first, end)).fetchone()
        under_way = self._connection.execute(
            "SELECT span, id, kind FROM spans WHERE id >= ? AND id < ? AND ended_ns IS NULL", (first, end)
        )
        found = Run(number, first if last[0] is None else int(last[0]), {})
        for span, at, kind in under_way:
            found.under_way[_text(span)] = int(at), None
            if kind == "run":
                found.own = _text(span)
        return found


@cache
def _statement(verb: str, table: str, columns: Sequence[str], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
