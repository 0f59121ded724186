"""What is wrong with a file of traces is said, with the file and the mend, and nothing is half written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hush.observability import TraceError, TraceStore
from hush.observability._exporter import ExportError
from hush.observability._local._problems import problem_of
from hush.observability._local._schema import prepare
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
from kit.trace_file import ENV, assert_whole, change, take_for_dead

A, B = "a" * 32, "b" * 32


def refused(writer: LocalWriter, batch: Batch) -> ExportError:
    with pytest.raises(ExportError) as caught:
        writer.export(batch)
    assert writer.path in str(caught.value)
    return caught.value


def ids(store: TraceStore, trace: str = A) -> list[int]:
    return [int(span.id, 16) for span in store.spans(trace)]


# ── Files that are none ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_file_is_made_one_by_who_writes_and_said_to_be_empty_by_who_reads(writer, file, store):
    file.parent.mkdir()
    file.touch()
    with pytest.raises(TraceError, match=r"is empty: run something with tracer=LocalTracer\(\)"):
        store.runs()
    writer.export(Batch(runs=(kit.run(),)))
    assert store.runs() == [kit.run()]


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\7" * 5_000])
def test_a_file_that_is_no_database(writer, file, store, content):
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(TraceError, match=r"damaged, or no file of traces.*: move it away, or name another"):
        store.runs()
    error = refused(writer, Batch(runs=(kit.run(),)))
    assert not error.again
    assert "move it away" in str(error)
    assert file.read_bytes() == content
    file.unlink()
    writer.export(Batch(runs=(kit.run(),)))
    assert store.runs() == [kit.run()]


def test_a_database_of_something_else_is_left_alone(writer, file, store):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    content = file.read_bytes()
    with pytest.raises(TraceError, match="database of something else: name another file"):
        store.runs()
    assert "something else" in str(refused(writer, Batch(runs=(kit.run(),))))
    assert file.read_bytes() == content


def test_a_newer_file_is_neither_read_nor_written(writer, file, store):
    writer.export(Batch(runs=(kit.run(status="running"),)))
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    # While it is open, too: somebody has updated Hush and begun another process.
    error = refused(writer, Batch(runs=(kit.run(),)))
    assert not error.again
    assert "of a newer Hush (their form is 99, this one knows 1): update hushflow" in str(error)
    with pytest.raises(TraceError, match="newer Hush"):
        store.find("last")
    with pytest.raises(TraceError, match="newer Hush"):
        store.prune(keep=0)
    assert connection.execute("SELECT status FROM runs").fetchall() == [("running",)]
    connection.close()


@pytest.mark.parametrize("folder", ["/proc/hush-traces", "below"])
def test_a_folder_that_cannot_be_made(tmp_path, folder):
    (tmp_path / "below").write_text("a file")
    path = os.path.join(tmp_path, folder, "traces.db")
    error = refused(LocalWriter(path), Batch(runs=(kit.run(),)))
    assert not error.again
    assert "see that its folder" in str(error)
    with pytest.raises(TraceError, match="no traces in"):
        TraceStore(path).runs()


@pytest.mark.parametrize("table", ["runs", "spans"])
@pytest.mark.parametrize(
    "more",
    [
        "{",
        "[]",
        "7",
        '{"tags": 1}',
        '{"failure": {}}',
        '{"failure": "no"}',
        '{"totals": [1], "waits": [1]}',
        "[" * 10**5,
    ],
)
def test_a_record_that_nobody_can_have_written_is_said_to_be_damaged(writer, file, store, table, more):
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(),)))
    change(file, f"UPDATE {table} SET more = '{more}'")
    what = f"the run '{A}'" if table == "runs" else "the span '0000000000000001'"
    with pytest.raises(TraceError, match=rf"traces.db is damaged \(what is written of {what}: .*: move it away"):
        ids(store)


def test_columns_that_nobody_can_have_written_are_damaged_too(writer, file, store):
    writer.export(Batch(ended=(kit.span(1, items=(3,)),), runs=(kit.run(),)))
    change(file, "UPDATE spans SET items = 'x'")
    with pytest.raises(TraceError, match="is damaged"):
        ids(store)
    change(file, "UPDATE runs SET name = x'ff'")
    with pytest.raises(TraceError, match="is damaged"):
        store.runs()


class Ends(sqlite3.Connection):
    """SQLite ends a transaction by itself when it meets some errors (https://sqlite.org/lang_transaction.html)."""

    def execute(self, statement, *values):
        if "application_id" in statement:
            super().execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, *values)


def test_what_is_wrong_with_the_file_is_said_though_the_transaction_has_ended():
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Ends)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        prepare(connection, "traces.db")
    connection.close()


# ── Disks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_is_said_nothing_is_half_written_and_it_goes_on_when_there_is_room(writer, file, store):
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(status="running"),)))
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages + 3}")  # the disk has so much room
    large = tuple(kit.span(n, outputs={"x": "y" * 3_000}) for n in range(2, 50))
    begun = kit.span(90, status="running", ended_ns=None)
    error = refused(writer, Batch(ended=large, running=(begun,), runs=(kit.run(),)))
    assert not error.again
    assert "no room" in str(error)
    assert ids(store) == [1]
    assert store.runs()[0].status == "running"
    writer._connection.execute("PRAGMA max_page_count = 100000")
    writer.export(Batch(ended=(kit.span(90),), runs=(kit.run(),)))
    assert ids(store) == [1, 90]
    assert_whole(file)


BOUNDED = """
import resource, signal, sys
from hush.observability._exporter import ExportError
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = LocalWriter(sys.argv[1])
writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(),)))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
batch = Batch(ended=tuple(kit.span(n, outputs={"x": "y" * 3_000}) for n in range(2, 100)))
for _ in range(2):
    try:
        writer.export(batch)
    except ExportError as exc:
        print(exc.again, exc)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.export(Batch(ended=(kit.span(100),)))
writer.close()
"""


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=ENV,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_that_may_not_grow(file, store):
    said = python(BOUNDED, str(file)).splitlines()
    assert len(said) == 2
    for line in said:
        assert line.startswith("False ")
        assert str(file) in line
        assert "full" in line
    assert ids(store) == [1, 100]
    assert_whole(file)


READ_ONLY = """
import os, sys, urllib.parse  # that user may not be able to read what is imported later
from hush.observability import TraceStore
from hush.observability._exporter import ExportError
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
if os.getuid() == 0:  # permissions do not bind the superuser
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
store = TraceStore(sys.argv[1])
print([run.status for run in store.runs()], [run.request_id for run in store.runs(status="crashed")])
print([span.status for span in store.spans(store.find("last").trace)])
print([span.status for span in store.spans(store.find("last").trace, failed=True)])
try:
    LocalWriter(sys.argv[1]).export(Batch(runs=(kit.run(),)))
except ExportError as exc:
    print(exc.again, exc)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_place_that_is_read_only_is_read_and_what_crashed_is_seen(what):
    folder = Path(tempfile.mkdtemp())  # not pytest's, into which only its owner can look
    try:
        path = folder / "traces.db"
        writer = LocalWriter(str(path))
        begun = kit.span(1, status="running", ended_ns=None)
        writer.export(Batch(ended=(kit.span(2),), running=(begun,), runs=(kit.run(status="running"),)))
        take_for_dead(path)
        writer.close()
        path.chmod(0o444)
        folder.chmod(0o555 if what == "folder" else 0o777)
        said = python(READ_ONLY, str(path)).splitlines()
        assert said[:3] == ["['crashed'] ['request']", "['crashed', 'ok']", "['crashed']"]
        assert said[3].startswith("False ")
        assert "allow this user to write the file and its folder" in said[3]
        assert str(path) in said[3]
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


# ── Others ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_locked_may_be_tried_again(writer, file, store):
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(),)))
    writer._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert refused(writer, Batch(ended=(kit.span(2),))).again
    assert store.runs() == [kit.run()]  # readers never wait
    other.execute("ROLLBACK")
    writer.export(Batch(ended=(kit.span(2),)))
    assert ids(store) == [1, 2]
    other.close()


@pytest.mark.parametrize("how", ["deleted", "with its log", "replaced", "folder"])
def test_a_file_that_went_is_begun_anew_with_what_is_under_way(writer, file, store, how):
    begun = kit.span(2, status="running", ended_ns=None)
    running = kit.run(status="running")
    writer.export(Batch(ended=(kit.span(1), kit.span(1, B)), running=(begun,), runs=(running, kit.run(B))))
    if how == "folder":
        shutil.rmtree(file.parent)
    else:
        file.unlink()
        if how != "deleted":
            for rest in ("-wal", "-shm"):
                file.with_name(file.name + rest).unlink()
    if how == "replaced":
        other = LocalWriter(str(file))
        other.export(Batch(ended=(kit.span(7, B),), runs=(kit.run(B),)))
        other.close()
    writer.export(Batch(ended=(kit.span(3),)))
    assert list(store.spans(A)) == [begun, kit.span(3)]
    assert store.find(A) == running._replace(produced=2)
    writer.export(Batch(ended=(kit.span(2),), runs=(kit.run(),)))
    assert list(store.spans(A)) == [kit.span(2), kit.span(3)]
    assert store.find(A) == kit.run()
    if how == "replaced":
        assert ids(store, B) == [7]
    assert_whole(file)


def test_a_run_that_somebody_took_for_dead_and_pruned_goes_on(writer, store):
    begun = kit.span(2, status="running", ended_ns=None)
    writer.export(Batch(ended=(kit.span(1),), running=(begun,), runs=(kit.run(status="running"),)))
    change(store.path, "DELETE FROM runs")
    change(store.path, "DELETE FROM spans")
    writer.export(Batch(ended=(kit.span(3),)))
    writer.export(Batch(ended=(kit.span(2),), runs=(kit.run(),)))
    assert ids(store) == [2, 3]
    assert store.runs() == [kit.run()]


def test_whose_file_it_is_not_is_told_so_and_nothing_of_its_folder(tmp_path, monkeypatch):
    (tmp_path / "t.db").touch()
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorname = "SQLITE_CANTOPEN"
    assert "see that its folder" in problem_of(error, str(tmp_path / "t.db")).message
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # whoever runs the tests may be root
    text = problem_of(error, str(tmp_path / "t.db")).message
    assert "t.db is not one that this user can read" in text
    assert "see that its folder" not in text
    assert "see that its folder" in problem_of(error, str(tmp_path / "none.db")).message
