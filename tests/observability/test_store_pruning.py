"""What is thrown away of a file of traces: whole runs that have ended; and older files become this version's."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from hush.observability import Pruned, TraceError, TraceStore
from hush.observability._local._schema import APPLICATION, MIGRATIONS, prepare
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch, Failure, RunRecord
from kit import records as kit

S = 10**9


def run(number: int, status: str = "ok", **changed: object) -> RunRecord:
    """A run that begins in second `number`, and ends half a second later."""
    ended = None if status == "running" else number * S + S // 2
    return kit.run(f"{number:032x}", f"r{number}", status, started_ns=number * S, ended_ns=ended, **changed)


@pytest.fixture
def ten(writer):
    """Ten runs of a hundred spans each; those of seconds 3 and 9 are under way."""
    for number in range(10):
        spans = tuple(kit.span(n, f"{number:032x}", outputs={"x": "y" * 500}) for n in range(100))
        writer.export(Batch(ended=spans, runs=(run(number, "running" if number in (3, 9) else "ok"),)))
    return writer


def left(store: TraceStore) -> list[str]:
    for each in store.runs():
        assert len(list(store.spans(each.trace))) == 100
    return [each.request_id for each in reversed(store.runs())]


@pytest.mark.parametrize(
    ("asked", "stay"),
    [
        ({"older_than_s": 4.5, "now": 9.0}, ["r3", "r4", "r5", "r6", "r7", "r8", "r9"]),
        ({"older_than_s": 0, "now": 100.0}, ["r3", "r9"]),
        ({"older_than_s": 10**9}, ["r3", "r9"]),
        ({"keep": 3}, ["r3", "r7", "r8", "r9"]),
        ({"keep": 0}, ["r3", "r9"]),
        ({"keep": 100}, [f"r{n}" for n in range(10)]),
        ({"older_than_s": 1e30}, [f"r{n}" for n in range(10)]),
        ({"keep": 10**30}, [f"r{n}" for n in range(10)]),
        ({"max_bytes": 10**9}, [f"r{n}" for n in range(10)]),
        ({"max_bytes": 0}, ["r3", "r9"]),
        ({"keep": 9, "older_than_s": 8.0, "now": 10.0}, ["r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"]),
    ],
)
def test_runs_that_have_ended_are_deleted_whole(ten, store, asked, stay):
    pruned = store.prune(**asked)
    assert left(store) == stay
    gone = 10 - len(stay)
    assert pruned[:2] == (gone, 100 * gone)
    assert (pruned.bytes > 0) == (gone > 0)
    assert store.prune(**asked) == Pruned(0, 0, 0)


def test_no_run_gets_the_number_of_one_that_is_gone(ten, file, store):
    """Whoever was reading that one would read this one's spans."""

    def numbers() -> list[int]:
        with closing(sqlite3.connect(file)) as connection:
            return [number for (number,) in connection.execute("SELECT id FROM runs ORDER BY id")]

    assert numbers() == list(range(1, 11))
    ten.export(Batch(runs=(run(9), run(3))))
    assert store.prune(keep=0).runs == 10
    ten.export(Batch(runs=(run(10),)))
    assert numbers() == [11]
    store.prune(keep=0)
    other = LocalWriter(str(file))
    other.export(Batch(runs=(run(11), run(12))))
    other.close()
    assert numbers() == [12, 13]


def test_a_bound_in_bytes_deletes_no_more_than_it_takes(ten, file, store):
    ten.close()
    before = file.stat().st_size
    bound = before - 2 * (before // 10)
    pruned = store.prune(max_bytes=bound)
    assert 1 <= pruned.runs <= 4
    assert "r9" in left(store)
    assert "r8" in left(store)
    assert file.stat().st_size <= bound


def test_the_space_goes_back_to_the_disk_while_others_have_the_file_open(ten, file, store):
    before = file.stat().st_size + file.with_name("traces.db-wal").stat().st_size
    store.prune(keep=0)
    assert file.stat().st_size < before / 3
    assert file.with_name("traces.db-wal").stat().st_size == 0
    ten.export(Batch(ended=(kit.span(100, f"{9:032x}"),), runs=(run(9),)))
    assert len(list(store.spans(f"{9:032x}"))) == 101


def test_a_large_run_goes_in_several_transactions_and_the_next_time_if_it_is_interrupted(writer, file, store):
    large = "a" * 32
    writer.export(Batch(ended=tuple(kit.span(n, large) for n in range(8_000)), runs=(kit.run(large, "large"),)))
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(
        "CREATE TRIGGER full AFTER DELETE ON spans WHEN old.id % 4294967296 = 7000 BEGIN SELECT raise(ABORT, 'x'); END"
    )
    with pytest.raises(TraceError):
        store.prune(keep=0)
    assert store.runs() == []  # no half of one is seen
    assert connection.execute("SELECT count(*) FROM spans").fetchone() == (3_000,)
    connection.execute("DROP TRIGGER full")
    assert store.prune(keep=100)[:2] == (1, 3_000)
    assert connection.execute("SELECT count(*) FROM spans").fetchone() == (0,)
    connection.close()


def test_a_run_that_has_crashed_may_go(ten, file, store):
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("UPDATE processes SET began = '1'")
    assert store.prune(keep=0)[:2] == (10, 1_000)
    # And what wrote it, once it has been silent for long.
    assert connection.execute("SELECT count(*) FROM processes").fetchone() == (1,)
    connection.execute("UPDATE processes SET beat_ns = 1")
    store.prune(keep=0)
    assert connection.execute("SELECT count(*) FROM processes").fetchone() == (0,)
    ten._beat_ns = 0
    ten.export(Batch(runs=(run(3),)))
    assert connection.execute("SELECT count(*) FROM processes").fetchone() == (1,)
    connection.close()


# ── Versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

VERSION_1 = f"""
CREATE TABLE processes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL, pid INTEGER NOT NULL, began TEXT NOT NULL,
    beat_ns INTEGER NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    started_ns INTEGER NOT NULL, ended_ns INTEGER, user_id TEXT, session_id TEXT,
    produced INTEGER NOT NULL, left_out INTEGER NOT NULL, dropped INTEGER NOT NULL,
    process INTEGER NOT NULL, error TEXT, more TEXT
);
CREATE INDEX runs_by_request ON runs (request_id);
CREATE INDEX runs_by_start ON runs (started_ns);
CREATE INDEX runs_under_way ON runs (process) WHERE status = 'running';
CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    span TEXT NOT NULL, parent TEXT, kind TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, items TEXT,
    status TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER, ready_ns INTEGER, called_ns INTEGER,
    error TEXT, more TEXT,
    run INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL
);
CREATE INDEX spans_failed ON spans (id) WHERE error IS NOT NULL;
CREATE VIEW calls AS SELECT
    runs.trace, runs.request_id, runs.name AS graph, spans.path, spans.items, spans.kind, spans.status,
    (spans.ended_ns - spans.started_ns) / 1e9 AS seconds, spans.error, spans.more, spans.id
    FROM runs JOIN spans ON spans.id >= runs.id * 4294967296 AND spans.id < (runs.id + 1) * 4294967296;
INSERT INTO processes VALUES (1, 'here', 'a-boot', 'pid:[1]', 5, '77', 1);
INSERT INTO runs VALUES (1, '{"a" * 32}', 'request', 'etl', 'failed', 1000000000000000000, 1000000001000000000, NULL,
    NULL, 2, 0, 0, 1, 'ValueError: no', '{{"failure":{{"type":"ValueError","message":"no"}},"of a later version":1}}');
INSERT INTO spans VALUES (4294967297, '0000000000000001', NULL, 'code', 'fetch', 'etl/fetch', '3,4', 'failed',
    1000000000000000001, 1000000000000000006, NULL, NULL, 'ValueError: no',
    '{{"failure":{{"type":"ValueError","message":"no"}},"inputs":{{"x":1}},"of a later version":1}}');
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = 1;
"""
OLD_RUN = kit.run(status="failed", failure=Failure("ValueError", "no"), produced=2)
OLD_SPAN = kit.span(1, status="failed", failure=Failure("ValueError", "no"), inputs={"x": 1}, items=(3, 4))


@pytest.fixture
def old(file):
    """A file of version 1, as it was then."""
    file.parent.mkdir()
    connection = sqlite3.connect(file)
    connection.executescript(f"PRAGMA journal_mode = WAL; {VERSION_1}")
    connection.close()
    return file


def test_a_file_of_version_1_is_read_and_written(old, writer, store):
    assert store.runs() == [OLD_RUN]
    assert list(store.spans(OLD_RUN.trace, failed=True)) == [OLD_SPAN]
    writer.export(Batch(ended=(kit.span(2, "b" * 32),), runs=(kit.run("b" * 32),)))
    assert {each.trace for each in store.runs()} == {"a" * 32, "b" * 32}
    assert list(store.spans(OLD_RUN.trace)) == [OLD_SPAN]


def test_a_new_file_has_the_tables_of_an_old_one(old, tmp_path):
    new = LocalWriter(str(tmp_path / "new.db"))
    new.export(Batch())
    new.close()
    tables = []
    for path in (old, tmp_path / "new.db"):
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables.append([(kind, name, " ".join((sql or "").split())) for kind, name, sql in found])
        tables[-1].append(connection.execute("PRAGMA user_version").fetchone())
        connection.close()
    assert tables[0] == tables[1]


def test_a_new_file_can_be_made_smaller_without_being_written_anew(writer, file):
    writer.export(Batch())
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_migrations_are_done_in_order_and_all_or_none(old):
    def second(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE runs ADD COLUMN colour TEXT")

    def third(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE runs SET colour = 'red'")
        if broken:
            raise OSError("now")

    connection = sqlite3.connect(old, isolation_level=None)
    steps = [*MIGRATIONS[:1], second, third]
    broken = True
    with pytest.raises(OSError, match="now"):
        prepare(connection, str(old), steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "colour" not in str(connection.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone())
    broken = False
    for _ in range(2):
        prepare(connection, str(old), steps)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT colour FROM runs").fetchall() == [("red",)]
    connection.close()
