"""What writes spans into the file of traces: one for each file in a process, in one thread, one transaction a batch."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import nullcontext
from random import uniform
from threading import Lock
from typing import Any

from hush.core.protocols import kept_open
from hush.observability._exporter import ExportError
from hush.observability._local._batch import Run, Writing
from hush.observability._local._forks import close_before_forks
from hush.observability._local._place import identity_at, make_file
from hush.observability._local._problems import is_busy, is_sqlite, problem_of
from hush.observability._local._process import Identity, this_process
from hush.observability._local._rows import storable
from hush.observability._local._schema import BUSY_S, prepare, version_of
from hush.observability._local._turns import in_short_turns
from hush.observability._span import Batch

_BEAT_NS = 400_000_000  # a run under way writes every 0.5 s: of a crash that is all that tells when it was

_MOST, _LEAST = 5_000, 2_500
"""Spans in one transaction: the most, and where these take too long, the least."""
_HOLD_S = 0.5
"""For so long a transaction may keep others from writing: then the next one is smaller."""
_REST_S = 0.002
"""So long after a transaction the next one begins at the earliest: whoever waits has a chance in between."""
_ASK_EVERY_S = (0.01, 0.004, 0.001)
"""How often it is asked whether the file is free: the more often the longer one has waited, so that those who came
first are the next ones. SQLite's own waiting is the other way round, and beside several writers lasts for seconds."""
_OLDER_S = 0.1
"""So long after another one waits, it asks more often."""
_OTHERS_S = 10.0
"""So long after the file was busy others are taken to write to it too, and to wait while this writer does."""
_LOCKED_EVERY_S = 0.05
"""The same where the file is locked for long: that is nobody's turn."""

_held: set[sqlite3.Connection] = set()
"""Connections that are open, and those that must never be closed, by the garbage collector neither: one whose file was
deleted would delete what lies beside the new one: https://www.sqlite.org/howtocorrupt.html"""


class LocalWriter:
    """The exporter of ``LocalTracer``: batches of spans into the file at ``path``.

    Nothing is opened before the first batch. Whatever goes wrong, a batch is in the file wholly or not at all.
    """

    live = True

    def __init__(self, path: str) -> None:
        self.path = self.where = path
        self.most = _MOST
        self._ended_s = 0.0  # when the last transaction did
        self._others_until_s = 0.0  # until then others are taken to write to the file too
        self._locked = False  # whether the last one could not begin, for all the time that one waits
        self._connection: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._pid = 0
        self._who: Identity | None = None
        self._process = 0
        self._beat_ns = 0
        self._runs: dict[str, Run] = {}
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
                raise ExportError(problem.message, again=problem.again, soon=is_busy(exc)) from exc

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
                connection.execute("PRAGMA busy_timeout = 0")  # see ``_begin``
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
        writing = Writing(connection, self._runs, batch, clean)
        self._begin(connection)
        began_s, now_ns = time.monotonic(), time.time_ns()
        try:
            with in_short_turns() if began_s < self._others_until_s else nullcontext():
                version_of(connection, self.path)  # a newer Hush may have changed the tables meanwhile
                process = self._here(connection, now_ns)
                writing.write(process)
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            self._ended_s = time.monotonic()
        took_s = self._ended_s - began_s
        if took_s > _HOLD_S:
            self.most = max(_LEAST, int(len(batch.ended) * _HOLD_S / took_s))
        elif len(batch.ended) >= self.most:
            self.most = min(_MOST, 2 * self.most)
        self._process = process
        if now_ns - self._beat_ns >= _BEAT_NS:
            self._beat_ns = now_ns
        writing.remember()

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction when it is this writer's turn."""
        time.sleep(max(0.0, self._ended_s + _REST_S - time.monotonic()))
        began_s = time.monotonic()
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as exc:
                if not is_busy(exc):
                    raise
                waited_s = time.monotonic() - began_s
                self._others_until_s = began_s + waited_s + _OTHERS_S
                if waited_s > BUSY_S:
                    self._locked = True
                    raise
            else:
                self._locked = False
                return
            every_s = _ASK_EVERY_S[min(int(waited_s / _OLDER_S), len(_ASK_EVERY_S) - 1)]
            every_s = _LOCKED_EVERY_S if self._locked else every_s
            time.sleep(uniform(0.5 * every_s, 1.5 * every_s))

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


def _as_it_is(value: Any) -> Any:
    return value
