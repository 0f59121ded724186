"""A file of traces opened for reading: never made by that, and with what has crashed found out."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hush.observability._local._problems import TraceError, Unusable, is_sqlite, problem_of
from hush.observability._local._process import Identity, is_gone, this_process
from hush.observability._local._schema import BUSY_S, MIGRATIONS, RUN_BITS, prepare, version_of


class Opened:
    """An open file of traces.

    Attributes:
        connection: To it; without a transaction.
        path: Where it is.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.connection = connection
        self.path = path
        self._crashed: frozenset[int] = frozenset()

    def crashed(self, number: int) -> bool:
        """Whether the run is still written down as running, and its process is gone."""
        return number in self._crashed

    def problem(self, exc: BaseException) -> TraceError:
        """What ``exc`` means."""
        return TraceError(problem_of(exc, self.path).message)

    def look_for_crashes(self) -> None:
        """Find the runs whose process is gone, and write that down if the file can be written."""
        under_way = self.connection.execute(
            "SELECT runs.id, runs.process, host, boot, space, pid, began, beat_ns"
            " FROM runs LEFT JOIN processes ON processes.id = runs.process WHERE runs.status = 'running'"
        ).fetchall()
        if not under_way:
            return
        here, now_ns = this_process(), time.time_ns()
        gone: dict[int, bool] = {}
        for row in under_way:
            if row[1] not in gone:
                gone[row[1]] = row[7] is None or is_gone(Identity(*row[2:7]), row[7], here=here, now_ns=now_ns)
        crashed = [(row[0], row[1]) for row in under_way if gone[row[1]]]
        if not crashed:
            return
        self._crashed = frozenset(number for number, _ in crashed)
        try:
            self._write_down(crashed)
        except sqlite3.Error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        else:
            self._crashed = frozenset()

    def _write_down(self, crashed: list[tuple[int, int]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        for number, process in crashed:
            done = self.connection.execute(
                "UPDATE runs SET status = 'crashed' WHERE id = ? AND process = ? AND status = 'running'",
                (number, process),
            )
            if done.rowcount:
                self.connection.execute(
                    "UPDATE spans SET status = 'crashed', error = 'crashed'"
                    " WHERE id >= ? AND id < ? AND status = 'running'",
                    (number << RUN_BITS, (number + 1) << RUN_BITS),
                )
        self.connection.execute("COMMIT")


@contextmanager
def opened(path: str) -> Generator[Opened]:
    """Open the file at ``path``. Raises ``TraceError``, also for what SQLite raises in the block."""
    try:
        size = os.stat(path).st_size
    except OSError as exc:
        raise TraceError(
            f"there are no traces in {path} ({exc.strerror}): run something with tracer=LocalTracer(), or name another "
            f"file: HUSH_TRACES_DB, or TraceStore(path)."
        ) from None
    if not size:
        raise TraceError(
            f"{path} is empty: run something with tracer=LocalTracer(), or name another file: HUSH_TRACES_DB, or "
            f"TraceStore(path)."
        )
    try:
        connection = _connected(path)
        try:
            file = Opened(connection, path)
            file.look_for_crashes()
            yield file
        finally:
            connection.close()
    except Exception as exc:
        if not is_sqlite(exc):
            raise
        raise TraceError(problem_of(exc, path).message) from exc


def _connected(path: str) -> sqlite3.Connection:
    address = Path(path).as_uri()
    connection = _at(f"{address}?mode=rw")
    try:
        version = version_of(connection, path)
    except sqlite3.OperationalError as exc:
        connection.close()
        if not str(exc.sqlite_errorname).startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
            raise
        # In a folder that cannot be written to, the files that readers share cannot be made. Nobody else writes here.
        connection = _at(f"{address}?immutable=1")
        version = version_of(connection, path)
    except BaseException:
        connection.close()
        raise
    try:
        if version == 0:
            raise Unusable(f"{path} is empty: run something with tracer=LocalTracer(), or name another file.")
        if version < len(MIGRATIONS):
            prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _at(address: str) -> sqlite3.Connection:
    # An iterator over spans may be thrown away in another thread than the one that began it.
    return sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
