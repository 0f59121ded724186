"""The cache in a SQLite file, shared by threads and processes.

Everything here blocks, so it is called in worker threads. A file that was used stays open until the process ends:
opening and closing one costs a hundred times what a look into it does, since closing waits for the disk.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path

from hush.core.errors import CacheError
from hush.core.protocols import kept_open

_APPLICATION_ID = (
    0x48757368  # "Hush", in the header of the file: https://www.sqlite.org/pragma.html#pragma_application_id
)
_SCHEMA_VERSION = 1
_BUSY_S = 30.0
_FORK_WAIT_S = 5.0  # a look or a write takes milliseconds, or waits for another process
_given_up: list[sqlite3.Connection] = []
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY,
    function TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    value BLOB NOT NULL
)"""


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class FileStore:
    """Packed values by key, in the file at ``path``, which is made with its folder when it is first needed.

    Several processes may use one file: readers never wait (write-ahead log), writers wait for one another.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._inherited = False  # it was open in the process that this one was forked off, and so is not safe here

    def before_fork(self, *, wait_s: float = _FORK_WAIT_S) -> bool:
        """This process is about to be forked: close the file, and let nobody open it until that has happened.

        SQLite counts in the process's memory which locks it holds, and a fork copies the count but not the locks. A
        child would take itself for safe that opened the file while the parent's connection is in its memory, and when
        the parent closes it, it would delete the log that the child writes to:
        https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_

        Returns whether that was done in ``wait_s``.
        """
        if not self._lock.acquire(timeout=wait_s):
            return False
        self._close()
        return True

    def after_fork(self) -> None:
        """This process, whose ``before_fork`` gave ``True``, has been forked."""
        self._lock.release()

    def forked(self, *, closed: bool) -> None:
        """This process was forked off; ``closed`` is what ``before_fork`` gave."""
        self._lock = threading.Lock()
        if not closed:
            self._give_up()  # it is the parent's
            self._inherited = True

    def close(self) -> None:
        """Close the file, until it is needed again. What holds it longer than a second goes before."""
        if self._lock.acquire(timeout=1.0):
            try:
                self._close()
            finally:
                self._lock.release()

    def get(self, key: bytes) -> bytes | None:
        """What is kept under ``key``. Raises ``CacheError`` if the file cannot be used."""
        with self._lock:
            try:
                found = self._opened().execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
            except (sqlite3.Error, OSError) as exc:
                raise self._problem(exc) from exc
            return None if found is None else bytes(found[0])

    def put(self, key: bytes, value: bytes, function: str) -> None:
        """Keep ``value``: it is in the file when this returns. Raises ``CacheError`` if the file cannot be used."""
        row = (key, function, int(time.time()), value)
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as exc:
                raise self._problem(exc) from exc

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened_as != _file_at(self.name):
            self._give_up()  # somebody has deleted it, or put another in its place
        if self._inherited:
            raise CacheError(
                f"the cache {self.name} cannot be used: this process was forked while another thread had been at work "
                f"on it for {_FORK_WAIT_S:g} s. Start processes with multiprocessing's 'spawn', or fork before the run."
            )
        if self._connection is None:
            Path(self.name).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.name, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._opened_as = _file_at(self.name)
            kept_open.add(self.name)
        return self._connection

    def _give_up(self) -> None:
        """Forget the connection without closing it, which would delete what lies beside the file by its name."""
        if self._connection is not None:
            _given_up.append(self._connection)
            self._connection = None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """See that the file is a cache that this Hush can read; make one of an empty file."""
        connection.execute("BEGIN")  # or somebody may make it between one look and the next
        try:
            is_ours = self._is_ours(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if is_ours:
            connection.execute("PRAGMA synchronous = NORMAL")
            return
        # Not in write-ahead mode yet: switching to it does not wait for others by itself.
        end_s = time.monotonic() + _BUSY_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not self._is_ours(connection):  # somebody else may have made it meanwhile
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is a cache; ``False`` if it is empty. Raises for anything else."""
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application == _APPLICATION_ID:
            if version > _SCHEMA_VERSION:
                raise CacheError(
                    f"the cache {self.name} was made by a newer Hush (its form is {version}, this one reads "
                    f"{_SCHEMA_VERSION}). Update hushflow, or name another file in cache=."
                )
            return True
        if application or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise CacheError(f"the file {self.name} is a database of something else. Name another file in cache=.")
        return False

    def _problem(self, exc: BaseException) -> CacheError:
        self._close()
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            mend = f"Another process has kept it locked for {_BUSY_S:g} s: end that one."
        elif code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or not isinstance(
            exc, sqlite3.OperationalError | OSError
        ):
            mend = "It is damaged, or no cache: delete it, or name another file in cache=."
        else:
            mend = "See that the folder is there and can be written to, or name another file in cache=."
        return CacheError(f"the cache {self.name} cannot be used: {exc}. {mend}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # it is given up whatever state it is in
