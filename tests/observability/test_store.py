"""What was exported to a file of traces is read back equal, whatever the texts in it; and how runs are found."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hush.observability
from hush.core.errors import HushError, UsageError
from hush.observability import TraceError, TraceStore
from hush.observability._exporter import ExportError
from hush.observability._local import _plain_rows
from hush.observability._local._batch import Run, Writing
from hush.observability._local._plain_rows import PlainRows
from hush.observability._local._rows import SPAN_COLUMNS, span_row, storable
from hush.observability._local._schema import MIGRATIONS
from hush.observability._local._writer import LocalWriter
from hush.observability._span import USUAL, Batch, Failure, RunRecord, Span
from kit import records as kit
from kit import spans as drawn
from kit.tiers import every_change

A, B, C = "a" * 32, "b" * 32, "c" * 32


def spans_of(store: TraceStore, trace: str = A, *, failed: bool = False) -> list[Span]:
    return list(store.spans(trace, failed=failed))


# ── Read back ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    """For all examples: making a file waits for the disk."""
    path = tmp_path_factory.mktemp("traces") / "t.db"
    writer = LocalWriter(str(path))
    yield writer, TraceStore(path), count()
    writer.close()


@settings(every_change, max_examples=50)
@given(record=drawn.runs(), spans=st.lists(drawn.spans(), max_size=4, unique_by=lambda span: span.id))
def test_what_is_exported_is_read_back_equal(one_file, record, spans):
    writer, store, numbers = one_file
    trace = f"{next(numbers):032x}"
    record = record._replace(trace=trace)
    spans = [span._replace(trace=trace) for span in spans]
    writer.export(Batch(ended=tuple(spans), runs=(record,)))
    assert store.find(trace) == record
    assert record.request_id in {store.find(record.request_id).request_id, "last", "last failed"}
    found = spans_of(store, trace)
    assert [span.started_ns for span in found] == sorted(span.started_ns for span in spans)
    assert sorted(found, key=_id) == sorted(spans, key=_id)
    wanted = [span for span in spans if span.status in ("failed", "handled")]
    assert sorted(spans_of(store, trace, failed=True), key=_id) == sorted(wanted, key=_id)


def _id(span: Span) -> str:
    return span.id


def test_a_line_of_a_megabyte_is_kept(writer, store):
    long = kit.span(1, outputs={"text": "đ'\"\0" * 250_000})
    writer.export(Batch(ended=(long,), runs=(kit.run(),)))
    assert spans_of(store) == [long]


def test_spans_are_read_in_order_of_their_starts_while_others_write(writer, store):
    writer.export(Batch(ended=tuple(kit.span(n) for n in reversed(range(1_200))), runs=(kit.run(),)))
    reading = store.spans(A)
    first = next(reading)
    writer.export(Batch(ended=(kit.span(5_000),)))  # would wait for ever if the reader held a lock
    assert [first, *reading] == [kit.span(n) for n in range(1_200)]
    assert len(spans_of(store)) == 1_201


def test_what_cannot_be_json_does_not_lose_its_span(writer, store):
    deep: list[object] = []
    deep.append(deep)
    writer.export(Batch(ended=(kit.span(1, inputs={"x": deep}, outputs={"y": 1}),), runs=(kit.run(),)))
    [found] = spans_of(store)
    assert found.inputs == {"…": "not written: RecursionError"}
    assert found.id == kit.span(1).id


# ── Under way ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_span_under_way_has_one_row_and_then_its_end(writer, store):
    begun = kit.span(1, ended_ns=None, status="running")
    left_out = kit.span(2, ended_ns=None, status="running")
    writer.export(Batch(running=(begun, left_out), runs=(kit.run(status="running"),)))
    assert spans_of(store) == [begun, left_out]
    writer.export(Batch(running=(begun._replace(attempts=2),)))
    assert spans_of(store) == [begun._replace(attempts=2), left_out]
    writer.export(Batch(ended=(kit.span(1),), gone=((A, left_out.id),)))
    assert spans_of(store) == [kit.span(1)]
    writer.export(Batch(runs=(kit.run(),)))
    assert store.runs() == [kit.run()]


def test_another_exporter_of_the_process_goes_on_with_a_run(writer, file, store):
    writer.export(Batch(running=(kit.span(1, ended_ns=None, status="running"),), runs=(kit.run(status="running"),)))
    writer.close()
    second = LocalWriter(str(file))
    second.export(Batch(ended=(kit.span(1), kit.span(2))))
    second.export(Batch(ended=(kit.span(3),), runs=(kit.run(),)))
    second.close()
    assert spans_of(store) == [kit.span(1), kit.span(2), kit.span(3)]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_run_that_is_told_of_as_cancelled_before_its_spans_keeps_what_was_under_way(writer, file, store, reopened):
    """Whoever cancels may end the process before the other spans are written."""
    own = kit.span(1, kind="run", path="g", ended_ns=None, status="running")
    each = kit.span(2, kind="map", parent=own.id, ended_ns=None, status="running")
    writer.export(Batch(running=(own, each), runs=(kit.run(status="running"),)))
    items = [kit.span(number, kind="item", parent=each.id) for number in (3, 4)]
    writer.export(Batch(ended=(items[0],), runs=(kit.run(status="cancelled"),), urgent=True, early=True))
    if reopened:
        writer.close()
        writer = LocalWriter(str(file))
    writer.export(Batch(ended=(items[1],), urgent=True))
    assert spans_of(store) == [own, each, *items]
    ends = [one._replace(ended_ns=one.started_ns + 1, status="cancelled") for one in (each, own)]
    writer.export(Batch(ended=(ends[1],), runs=(kit.run(status="cancelled"),)))
    assert spans_of(store) == [ends[1], *items]  # the end of the map was dropped
    writer.close()


@pytest.mark.parametrize("status", ["ok", "cancelled"])
def test_nothing_is_under_way_in_a_run_whose_own_end_was_dropped_too(writer, store, status):
    own = kit.span(1, kind="run", path="g", ended_ns=None, status="running")
    each = kit.span(2, kind="map", parent=own.id, ended_ns=None, status="running")
    writer.export(Batch(running=(own, each), runs=(kit.run(status="running"),)))
    writer.export(Batch(runs=(kit.run(status=status),), urgent=True, early=True))
    assert spans_of(store) == [own, each]
    item = kit.span(3, kind="item", parent=each.id)
    writer.export(Batch(ended=(item,), runs=(kit.run(status=status, dropped=2),)))
    assert spans_of(store) == [item]


def test_nothing_is_remembered_of_runs_that_are_over(writer, store):
    for trace in (A, B, C):
        writer.export(Batch(running=(kit.span(1, trace, ended_ns=None),), runs=(kit.run(trace, status="running"),)))
    assert len(writer._runs) == 3
    for trace in (A, B, C):
        writer.export(Batch(ended=(kit.span(1, trace),), runs=(kit.run(trace),)))
    writer.export(Batch(ended=(kit.span(2),)))  # late
    assert writer._runs == {}
    assert spans_of(store) == [kit.span(1), kit.span(2)]


def test_a_span_whose_run_was_never_told_is_kept(writer, store):
    writer.export(Batch(ended=(kit.span(1),)))
    assert spans_of(store) == [kit.span(1)]
    writer.export(Batch(runs=(kit.run(),)))
    assert store.runs() == [kit.run()]
    assert spans_of(store) == [kit.span(1)]


@pytest.mark.parametrize("before", [(), (kit.span(1),)])
def test_a_run_of_which_its_own_span_alone_was_told_is_what_that_says(writer, store, before):
    failure = Failure("ValueError", "no")
    own = kit.span(3, kind="run", name="etl", path="etl", status="failed", failure=failure, tags=("nightly",))
    if before:
        writer.export(Batch(ended=before))
        assert store.runs()[0].name == ""
    under_way = kit.span(4, ended_ns=None, status="running")
    writer.export(Batch(ended=(kit.span(2), own, kit.span(1, B)), running=(under_way,)))
    found = store.find(A)
    assert found == RunRecord(A, "", "etl", "failed", own.started_ns, own.ended_ns, tags=("nightly",), failure=failure)
    assert store.find(B).status == "running"
    assert spans_of(store) == [*before, kit.span(2), own]  # what had not ended when the run did never will
    writer.export(Batch(runs=(kit.run(),)))
    assert store.find(A) == kit.run()


def test_what_was_told_of_a_run_stands_whatever_its_own_span_says(writer, store):
    record = RunRecord(A, "mine", "", "partial", 1, 9, user_id="u", produced=1)
    writer.export(Batch(ended=(kit.span(1, kind="run", name="etl", parent=None),), runs=(record,)))
    assert store.find(A) == record


def test_a_run_of_which_its_own_span_alone_was_told_is_under_way_until_that_ends(writer, store):
    own = kit.span(0, kind="run", name="etl", path="etl")
    writer.export(Batch(running=(kit.span(1, ended_ns=None), own._replace(status="running", ended_ns=None))))
    assert [(run.name, run.status) for run in store.runs()] == [("etl", "running")]


def test_an_empty_batch_says_that_the_process_is_alive(writer, file):
    writer.export(Batch())
    connection = sqlite3.connect(file, isolation_level=None)
    before = connection.execute("UPDATE processes SET beat_ns = 5").rowcount
    writer._beat_ns = 0
    writer.export(Batch())
    [(beat,)] = connection.execute("SELECT beat_ns FROM processes").fetchall()
    connection.close()
    assert before == 1
    assert beat > 5


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def three(writer):
    """Three runs, the second newest; the first has failed."""
    writer.export(
        Batch(
            ended=(kit.span(1),),
            runs=(
                kit.run(A, "first", "failed", failure=Failure("ValueError", "no"), started_ns=10),
                kit.run("ab" + "0" * 30, "second", "ok", started_ns=30, name="other"),
                kit.run(C, "third", "ok", started_ns=20),
            ),
        )
    )


def test_runs_are_listed_newest_first(three, store):
    assert [run.request_id for run in store.runs()] == ["second", "third", "first"]
    assert [run.request_id for run in store.runs(1)] == ["second"]
    assert [run.request_id for run in store.runs(status="failed")] == ["first"]
    assert [run.request_id for run in store.runs(name="etl")] == ["third", "first"]
    assert store.runs(0) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("first", "first"),
        ("c", "third"),
        ("CCC", "third"),
        ("ab", "second"),
        (A, "first"),
        ("last", "second"),
        ("last failed", "first"),
    ],
)
def test_a_run_is_found(three, store, text, found):
    assert store.find(text).request_id == found


def test_the_newest_of_several_runs_with_one_request_id_is_found(writer, store):
    writer.export(Batch(runs=(kit.run(A, "same", started_ns=2), kit.run(B, "same", started_ns=1))))
    assert store.find("same").trace == A


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "several runs begin with 'a'.*\n.*ab0000.*second.*\n.*aaaa.*first"),
        ("secnd", "no run 'secnd'. Did you mean 'second'"),
        ("zzzzz", "The last one is 'second'"),
        ("", "no run ''"),
        ("' OR 1=1 --", "no run"),
        ("%", "no run"),
        ("\ud800", "no run"),
        ("\0", "no run"),
    ],
)
def test_a_run_that_is_not_there_is_an_error_that_helps(three, store, text, said):
    with pytest.raises(TraceError, match=said):
        store.find(text)
    if text != "a":
        with pytest.raises(TraceError, match="no run"):
            list(store.spans(text))


def test_no_run_at_all(writer, store):
    writer.export(Batch())
    assert store.runs() == []
    for text, said in (("last", "no run yet"), ("last failed", "has failed or crashed"), ("x", "nor any other")):
        with pytest.raises(TraceError, match=said):
            store.find(text)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda store: store.runs(-1), "0 or more"),
        (lambda store: store.runs(True), "0 or more"),
        (lambda store: store.runs(status="failled"), "Did you mean 'failed'"),
        (lambda store: store.prune(), "say what may go"),
        (lambda store: store.prune(keep=-1), "prune\\(keep=-1\\)"),
        (lambda store: store.prune(keep=1.5), "prune\\(keep=1.5\\)"),
        (lambda store: store.prune(older_than_s="7d"), "older_than_s='7d'"),
    ],
)
def test_wrong_arguments_raise_at_the_line(store, call, said):
    with pytest.raises(UsageError, match=said):
        call(store)


# ── The file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_and_its_folder_are_for_their_owner_alone(writer, file):
    writer.export(Batch(runs=(kit.run(),)))
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {
        "traces.db": 0o600,
        "traces.db-wal": 0o600,
        "traces.db-shm": 0o600,
    }


def test_nothing_is_made_before_there_is_something_to_write(writer, file, store):
    with pytest.raises(TraceError, match=r"no traces in .*LocalTracer"):
        store.runs()
    assert not file.parent.exists()


def test_reading_makes_no_file(tmp_path):
    for call in (TraceStore.runs, lambda store: store.find("last"), lambda store: store.prune(keep=1)):
        with pytest.raises(TraceError):
            call(TraceStore(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_not_an_address(tmp_path):
    """SQLite would read what stands behind `?` and `#`."""
    path = tmp_path / "a?mode=memory#b %41.db"
    writer = LocalWriter(str(path))
    writer.export(Batch(runs=(kit.run(),)))
    assert TraceStore(path).runs() == [kit.run()]
    writer.close()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (5, r"TraceStore\(5\)"),
        ("", "path of a file"),
        ("a\0b", "path of a file"),
        (":memory:", "kept in a file"),
        ("file:x?mode=rw", "kept in a file"),
        (".", r"is a folder. Write '.*traces.db'"),
    ],
)
def test_a_path_that_cannot_be_meant_raises_at_the_line(path, said):
    with pytest.raises(UsageError, match=said):
        TraceStore(path)


def test_where_the_file_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUSH_TRACES_DB", raising=False)
    assert TraceStore().path == str(tmp_path / ".hush" / "traces.db")
    monkeypatch.setenv("HUSH_TRACES_DB", "")
    assert TraceStore().path == str(tmp_path / ".hush" / "traces.db")
    monkeypatch.setenv("HUSH_TRACES_DB", "~/here.db")
    assert TraceStore().path == str(tmp_path / "here.db")
    monkeypatch.setenv("HUSH_TRACES_DB", str(tmp_path))
    with pytest.raises(UsageError, match=r"HUSH_TRACES_DB=.*is a folder"):
        TraceStore()


def test_a_stranger_finds_what_failed_and_what_was_slow(writer, file):
    slow = kit.span(2, name="ask", path="etl/ask", started_ns=10**18, ended_ns=10**18 + 3 * 10**9, items=(17,))
    bad = kit.span(3, status="failed", failure=Failure("ValueError", "no such city"), inputs={"city": "X"})
    writer.export(Batch(ended=(kit.span(1), slow, bad), runs=(kit.run(A, "r1"), kit.run(B, "r2"))))
    connection = sqlite3.connect(file)
    ask = connection.execute
    assert ask("SELECT request_id, error FROM calls WHERE status = 'failed'").fetchall() == [
        ("r1", "ValueError: no such city")
    ]
    assert ask("SELECT path, items, seconds FROM calls ORDER BY seconds DESC LIMIT 1").fetchall() == [
        ("etl/ask", "17", 3.0)
    ]
    assert ask("SELECT json_extract(more, '$.inputs.city') FROM spans WHERE error IS NOT NULL").fetchall() == [("X",)]
    assert ask("SELECT count(*) FROM runs JOIN spans ON spans.run = runs.id WHERE request_id = 'r1'").fetchall() == [
        (3,)
    ]
    connection.close()


def test_a_leaf_has_nothing_but_its_columns():
    """The JSON object costs as much as the row; it is made only where there is something to say."""
    row = dict(zip(SPAN_COLUMNS, span_row(5, kit.span(1, items=(3,), ready_ns=4, called_ns=6)), strict=True))
    assert row["more"] is None
    assert row["items"] == "3"


@given(drawn.values, drawn.values)
@settings(every_change, max_examples=150)
def test_what_a_call_read_and_gave_is_written_as_json_writes_it(inputs, outputs):
    row = dict(zip(SPAN_COLUMNS, span_row(5, kit.span(1, inputs=inputs, outputs=outputs)), strict=True))
    both = {"inputs": inputs, "outputs": outputs}
    assert row["more"] == json.dumps(both, ensure_ascii=False, separators=(",", ":"))


@given(st.lists(drawn.spans(), max_size=12), st.sampled_from([1, 3, 256]))
@settings(every_change, max_examples=100)
def test_plain_rows_are_what_other_rows_are(spans, at_once):
    """They are most, and are written in another way, in which nothing is said twice."""
    rows, taken = PlainRows(), []
    numbers = [7 + 3 * place for place in range(len(spans))]
    for place, span in enumerate(spans):
        before_it_began = (span.ready_ns, span.called_ns) == (None, None)
        timely = before_it_began or (span.ready_ns is not None and span.called_ns == span.started_ns)
        found = rows.take(place, span)
        assert found is (span.status == "ok" and timely and span[span._fields.index("outputs") + 1 :] == USUAL)
        if found:
            taken.append(tuple(map(storable, span_row(numbers[place], span))))
    with closing(sqlite3.connect(":memory:")) as connection:
        MIGRATIONS[0](connection)
        for statement, values in rows.statements(at_once, numbers):
            connection.execute(statement, [*map(storable, values)])
        found = connection.execute(f"SELECT {', '.join(SPAN_COLUMNS)} FROM spans ORDER BY id").fetchall()
    assert found == taken


@pytest.mark.parametrize(
    "values",
    [
        {"a": True, "b": None, "c": 1.5, "d": [1]},
        {"a": 10**5_000},
        {"a": object},
        {"a": [object]},
        {1: 2},
        {"%s": "%d", '"': "'"},
        {"x" * 200: 1},
    ],
)
def test_whatever_a_plain_row_holds_is_written_as_in_other_rows(values):
    span = kit.span(1, inputs=values, outputs={"y": 1}, ready_ns=4)
    span = span._replace(called_ns=span.started_ns)
    for _ in range(2):  # names are remembered
        rows = PlainRows()
        assert rows.take(0, span)
        ((_, written),) = rows.statements(256, [1])
        assert written[-1] == span_row(1, span)[-1]


def test_where_few_values_may_be_in_a_statement_there_are_more_statements(tmp_path):
    made = [kit.span(number, ready_ns=number, inputs={}, outputs={}) for number in range(1, 40)]
    spans = tuple(span._replace(called_ns=span.started_ns) for span in made)
    with closing(sqlite3.connect(tmp_path / "t.db", isolation_level=None)) as connection:
        MIGRATIONS[0](connection)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2 * len(SPAN_COLUMNS))
        runs = tuple(kit.run(f"{number:032x}", f"r{number}") for number in range(5))
        Writing(connection, {}, Batch(ended=spans, runs=(kit.run(), *runs)), lambda value: value).write(1)
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (len(spans),)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (6,)


def test_many_runs_are_few_statements_and_each_is_what_was_said_of_it_last(tmp_path):
    """Beside a busy loop each statement may take 5 ms, in which nobody else can write."""
    traces = [f"{number:032x}" for number in range(500)]
    begun = [kit.run(trace, f"r{at}", "running", ended_ns=None) for at, trace in enumerate(traces)]
    ended = [kit.run(trace, f"r{at}", "ok", user_id=f"u{at}") for at, trace in enumerate(traces)]
    batches = [Batch(runs=(*begun[:300], *ended[:100])), Batch(runs=(*begun[300:], *ended[100:]))]
    known: dict[str, Run] = {}
    statements: list[str] = []
    with closing(sqlite3.connect(tmp_path / "t.db", isolation_level=None)) as connection:
        MIGRATIONS[0](connection)
        connection.set_trace_callback(statements.append)
        for batch in batches:
            writing = Writing(connection, known, batch, lambda value: value)
            writing.write(1)
            writing.remember()
        connection.set_trace_callback(None)
        found = connection.execute("SELECT id, trace, status, user_id FROM runs ORDER BY id").fetchall()
    assert len(statements) < 20
    assert found == [(at + 1, trace, "ok", f"u{at}") for at, trace in enumerate(traces)]


def test_few_names_are_remembered_and_no_long_one():
    before = _plain_rows._names.copy()
    try:
        for number in range(2_500):
            span = kit.span(1, inputs={f"name_{number}": 1, "x" * 500: 2}, outputs={}, ready_ns=4)
            assert PlainRows().take(1, span._replace(called_ns=span.started_ns))
        assert 0 < len(_plain_rows._names) <= 1_000
        assert max(map(len, _plain_rows._names)) < 500
    finally:
        _plain_rows._names.clear()
        _plain_rows._names.update(before)


def test_what_cannot_be_written_is_said_and_no_more():
    for values in ({"a": 10**5_000}, {"a": Loop}, [1]):
        for name in ("inputs", "outputs"):
            row = dict(zip(SPAN_COLUMNS, span_row(5, kit.span(1, **{name: values})), strict=True))
            (found,) = json.loads(row["more"]).items()
            assert found[0] == name


class Loop:
    pass


def test_a_batch_is_in_the_file_wholly_or_not_at_all(writer, store):
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(status="running"),)))
    wrong = kit.span(3, path=None)
    with pytest.raises(ExportError) as caught:
        writer.export(Batch(ended=(kit.span(2), wrong), running=(kit.span(9, ended_ns=None),), runs=(kit.run(),)))
    assert not caught.value.again
    assert spans_of(store) == [kit.span(1)]
    assert store.runs()[0].status == "running"
    writer.export(Batch(ended=(kit.span(2), kit.span(9)), runs=(kit.run(),)))
    assert spans_of(store) == [kit.span(1), kit.span(2), kit.span(9)]


def test_the_public_names():
    assert {"LocalTracer", "TraceStore", "TraceError", "Pruned"} <= set(dir(hush.observability))
    assert issubclass(TraceError, HushError)
