"""The tables of a file of traces, and how older files become this version's.

The version is SQLite's ``PRAGMA user_version``, and ``PRAGMA application_id`` says that it is a file of traces. Times
are nanoseconds since the epoch. Texts that no file can hold as text (lone surrogates) are stored as bytes.

=============  ==============  =========================================================================================
table          column          what
=============  ==============  =========================================================================================
``runs``       ``id``          its number in this file, never used again
               ``trace``       32 hexadecimal digits
               ``request_id``  as given to ``run``, or made there
               ``name``        the graph's
               ``status``      ``running``, ``ok``, ``partial``, ``failed``, ``cancelled``, ``crashed``; ``pruned``
                               while it is being deleted
               ``started_ns``, ``ended_ns``, ``user_id``, ``session_id``
               ``process``     the ``id`` in ``processes`` of the one that runs it
               ``produced``, ``left_out``, ``dropped``  how many spans
               ``error``       type and message of what it failed with
               ``more``        a JSON object of what else is known, by the names of ``RunRecord``: ``tags``,
                               ``failure``, ``totals``, ``items``, ``items_failed``
``spans``      ``id``          ``run * 4294967296 + n``: a run's spans lie together
               ``run``         computed from ``id``
               ``span``        16 hexadecimal digits
               ``parent``      the ``span`` around it
               ``kind``, ``name``, ``path``, ``status``, ``started_ns``, ``ended_ns``, ``ready_ns``, ``called_ns``
               ``items``       the indexes of the maps around it: ``"17"``, ``"17,2"``
               ``error``       type and message of its failure; else ``failed``, ``handled`` or ``crashed``, if it is
               ``more``        a JSON object by the names of ``Span`` of what is not its default: ``inputs``,
                               ``outputs``, ``failure``, ``waits``, ``generation``, ``attempts``, …
``processes``  ``id``, ``host``, ``boot``, ``space`` (of process ids), ``pid``, ``began`` (when, by its system's count)
               ``beat_ns``     when it last wrote
``calls``      (a view)        spans with their run's ``trace``, ``request_id`` and name (``graph``), with ``seconds``
=============  ==============  =========================================================================================
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from hush.observability._local._problems import Unusable

APPLICATION = 0x48755472  # "HuTr", in the header of the file: https://www.sqlite.org/pragma.html#pragma_application_id
RUN_BITS = 32
BUSY_S = 2.0
FAILED = ("failed", "handled", "crashed")
"""The statuses of spans that one looks at first: their ``error`` is never ``NULL``."""

Migration: TypeAlias = Callable[[sqlite3.Connection], None]


def _first(connection: sqlite3.Connection) -> None:
    for statement in (
        """CREATE TABLE processes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            host TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL, pid INTEGER NOT NULL, began TEXT NOT NULL,
            beat_ns INTEGER NOT NULL
        )""",
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            trace TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
            started_ns INTEGER NOT NULL, ended_ns INTEGER, user_id TEXT, session_id TEXT,
            produced INTEGER NOT NULL, left_out INTEGER NOT NULL, dropped INTEGER NOT NULL,
            process INTEGER NOT NULL, error TEXT, more TEXT
        )""",
        "CREATE INDEX runs_by_request ON runs (request_id)",
        "CREATE INDEX runs_by_start ON runs (started_ns)",
        "CREATE INDEX runs_under_way ON runs (process) WHERE status = 'running'",
        """CREATE TABLE spans (
            id INTEGER PRIMARY KEY,
            span TEXT NOT NULL, parent TEXT, kind TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, items TEXT,
            status TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER, ready_ns INTEGER, called_ns INTEGER,
            error TEXT, more TEXT,
            run INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL
        )""",
        # This condition costs nothing where it does not hold; a list of statuses costs as much as the row.
        "CREATE INDEX spans_failed ON spans (id) WHERE error IS NOT NULL",
        """CREATE VIEW calls AS SELECT
            runs.trace, runs.request_id, runs.name AS graph, spans.path, spans.items, spans.kind, spans.status,
            (spans.ended_ns - spans.started_ns) / 1e9 AS seconds, spans.error, spans.more, spans.id
            FROM runs JOIN spans ON spans.id >= runs.id * 4294967296 AND spans.id < (runs.id + 1) * 4294967296""",
    ):
        connection.execute(statement)


MIGRATIONS: Sequence[Migration] = (_first,)
"""The n-th makes version n of the version before it; each is given a connection in a transaction."""


def version_of(connection: sqlite3.Connection, path: str, newest: int = len(MIGRATIONS)) -> int:
    """The version of a file of traces; 0 of an empty one. Raises ``Unusable`` for anything else, and if it is newer."""
    row = connection.execute("SELECT application_id, user_version FROM pragma_application_id, pragma_user_version")
    application, version = map(int, row.fetchone())
    if application == APPLICATION:
        if version > newest:
            raise Unusable(
                f"the traces in {path} are of a newer Hush (their form is {version}, this one knows {newest}): update "
                f"hushflow, or name another file: HUSH_TRACES_DB, or LocalTracer(path)."
            )
        return version
    if application or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Unusable(
            f"{path} is a database of something else: name another file: HUSH_TRACES_DB, or LocalTracer(path)."
        )
    return 0


def prepare(connection: sqlite3.Connection, path: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Make the tables in an empty file, and this version's of an older one's. Others may do so at the same time."""
    newest = len(migrations)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN")  # or somebody may make it between one look and the next
    try:
        version = version_of(connection, path, newest)
    finally:
        if connection.in_transaction:  # of some errors SQLite ends it by itself, and they are what is to be told
            connection.execute("ROLLBACK")
    if version == 0:
        # Only before there is a table; then a pruned file can be made smaller without being written anew.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _write_ahead(connection)
    if version == newest:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migrate in migrations[version_of(connection, path, newest) :]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Readers then never wait. Switching to it does not wait for others by itself."""
    end_s = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if not str(exc.sqlite_errorname).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > end_s:
                raise
            time.sleep(0.01)
