"""What Hush logs: each record says of which run, node and item it is, and holds no secret."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hush
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._resources import _secrets
from hush.core.events import NodeRan
from hush.core.extend import logger, remember_secrets
from hush.observability import LocalTracer
from hush.observability._exporter import ExportError
from hush.observability._span import Batch, RunRecord, Span
from hush.observability._tracer import SpanTracer
from observability.fakes import Fake, Told, flushed

SECRET = "a-remembered-credential"
FIELDS = ("run", "node", "item")


@pytest.fixture(autouse=True)
def forgetting() -> Iterator[None]:
    known = _secrets._remembered.copy()
    remember_secrets([SECRET])
    yield
    _secrets._remembered = known


def test_hush_has_no_logger_of_another_kind():
    """Every module gets its logger from the one function that makes records fit."""
    for file in Path(hush.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "getLogger":
                assert file.name == "_logs.py", file
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "logger":
                (name,) = node.args
                assert isinstance(name, ast.Constant)
                assert str(name.value).startswith("hush."), file


class Raising:
    """A tracer that raises what holds a secret."""

    def emit(self, event: Any, /) -> None:
        raise ValueError(f"tracer with {SECRET}") from OSError(f"because of {SECRET}")


def test_each_record_has_the_fields_and_none_a_secret(caplog):
    caplog.set_level(1, "hush")

    def work(x: int) -> dict[str, int]:
        raise ValueError(f"no way with {SECRET}")

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2])}):
        CodeNode(name="n", code_fn=work, inputs={"x": PARENT["x"]})
    asyncio.run(Hush(graph).run(tracer=Raising(), request_id="the-run"))
    records = [record for record in caplog.records if record.name.startswith("hush.")]
    assert records
    for record in records:
        assert all(hasattr(record, name) for name in FIELDS)
        text = logging.Formatter().format(record)
        assert SECRET not in f"{text} {vars(record)}"
    assert "the-run" in {record.run for record in records}  # type: ignore[attr-defined]


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, log = Kept(), logging.getLogger("hush.of_a_test")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_messages_arguments_and_tracebacks_are_cleaned(kept):
    log = logger("hush.of_a_test")
    log.warning("plain %s", 3)
    log.warning("in the text %s and Bearer abcdefgh", SECRET)
    log.warning(f"in the format {SECRET}")  # noqa: G004
    try:
        try:
            raise OSError(f"first {SECRET}")
        except OSError as cause:
            error = ValueError(f"second {SECRET}")
            error.add_note(f"noted {SECRET}")
            raise error from cause
    except ValueError:
        log.exception("it failed", extra={"run": "r", "node": "g/n", "item": 3})
    texts = [logging.Formatter().format(record) for record in kept.records]
    assert texts[:2] == ["plain 3", "in the text [secret] and Bearer [secret]"]
    assert "first [secret]" in texts[3]
    assert "noted [secret]" in texts[3]
    assert not any(SECRET in f"{text} {vars(record)}" for text, record in zip(texts, kept.records, strict=True))
    assert [getattr(kept.records[0], name) for name in FIELDS] == [None, None, None]
    assert [getattr(kept.records[3], name) for name in FIELDS] == ["r", "g/n", 3]


def test_a_message_that_cannot_be_written_does_not_let_its_traceback_through(kept):
    class Mute:
        def __str__(self) -> str:
            raise OSError(SECRET)

    log = logger("hush.of_a_test")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("%s", Mute())
    (record,) = kept.records
    text = logging.Formatter().format(record)
    assert text.startswith("<a message that cannot be written: OSError>\nTraceback")
    assert SECRET not in f"{text} {vars(record)}"


class _Broken(logging.Handler):
    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("a handler of the user's")


def test_a_handler_that_raises_ends_no_run_and_no_thread(capsys):
    class Full:
        live = False
        most = 10
        refused = 0

        def export(self, batch, /):
            if not self.refused:
                self.refused = 1
                raise OSError("no space")

        def close(self):
            pass

    broken = _Broken()
    logging.getLogger("hush").addHandler(broken)
    try:
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"*": PARENT}, outputs=PARENT)
        tracer = SpanTracer(Full)
        for _ in range(3):
            assert asyncio.run(Hush(graph).run({"x": 1}, tracer=[tracer, Raising()])) == {"y": 1}
        assert tracer.flush(30)
    finally:
        logging.getLogger("hush").removeHandler(broken)
    assert "a handler of the user's" in capsys.readouterr().err
    assert tracer.counts.pending == 0
    assert tracer.counts.exported > 0


@pytest.fixture
def factory() -> Iterator[Any]:
    before = logging.getLogRecordFactory()
    yield lambda made: logging.setLogRecordFactory(lambda *args, **given: made(before(*args, **given)))
    logging.setLogRecordFactory(before)


def _on_a_host(record: logging.LogRecord) -> logging.LogRecord:
    record.__dict__.update(node="host-7", run="job", item="none", host="host-7")
    return record


def test_fields_that_a_users_records_have_too_end_no_run(caplog, factory):
    """Logging refuses what would overwrite a field: by an error, in the middle of whoever logs."""
    with MapNode(name="each", inputs={"x": Each([1, 0])}) as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": 1 / x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    factory(_on_a_host)
    result = asyncio.run(Hush(graph).run({}, tracer=Raising(), request_id="r-1"))
    assert result.status == "partial"
    (failed,) = [one for one in caplog.records if one.name == "hush.run"]
    assert (failed.run, failed.node, failed.item, failed.host) == ("r-1", "each/n", 1, "host-7")
    assert {one.run for one in caplog.records if one.name.startswith("hush.")} == {"r-1"}


def test_a_factory_of_records_that_raises_ends_no_run(caplog, factory):
    def refuse(record: logging.LogRecord) -> logging.LogRecord:
        raise RuntimeError("a factory of the user's")

    factory(refuse)
    logger("hush.tracing").warning("it is said all the same by %s", "one", extra={"run": "r-1"})
    (record,) = caplog.records
    assert (record.getMessage(), record.run, record.node) == ("it is said all the same by one", "r-1", None)


def test_an_id_that_holds_a_secret_is_in_no_field(caplog):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"y": 1}, outputs=PARENT)
    asyncio.run(Hush(graph).run(tracer=Raising(), request_id=f"for {SECRET}"))
    (record,) = caplog.records
    assert record.run == "for [secret]"
    assert SECRET not in repr(vars(record))


def of_records(caplog: pytest.LogCaptureFixture, words: str) -> list[tuple[Any, Any, Any]]:
    found: list[Any] = [record for record in caplog.records if words in record.getMessage()]
    return [(record.run, record.node, record.item) for record in found]


def one_node() -> Hush:
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"*": PARENT}, outputs=PARENT)
    return Hush(graph)


def test_of_two_tracers_in_one_place_the_run_is_named(tmp_path, caplog):
    tracers = [LocalTracer(tmp_path / "traces.db") for _ in range(2)]
    asyncio.run(one_node().run({"x": 1}, tracer=tracers, request_id="the-run"))
    flushed(tracers[0])
    assert of_records(caplog, "two tracers of one run") == [("the-run", None, None)]


@pytest.mark.parametrize("again", [True, False])
def test_of_spans_that_cannot_be_exported_the_run_is_named(again, caplog):
    tracer = SpanTracer(Fake(lambda _: ExportError("full", again=again), live=False))
    Told(tracer, "the-run").quick(2).end()
    tracer.flush(0.1)
    assert of_records(caplog, "cannot be exported") == [("the-run", None, None)]


def test_a_batch_knows_its_run_if_it_is_one():
    one, other = (RunRecord(trace, f"run {trace}", "g", "ok", 1) for trace in "ab")
    span = Span("a", "1", None, "run", "g", "g", (), "ok", 1)
    assert Batch((span,), runs=(one,)).run == "run a"
    assert Batch(runs=(one,)).run == "run a"
    assert Batch((span,), runs=(one, other)).run is None
    assert Batch((span,), runs=(other,)).run is None
    assert Batch((span,)).run is None


def test_of_events_that_nobody_understands_all_is_named(caplog):
    tracer = SpanTracer(Fake())
    told = Told(tracer, "the-run")
    no_times: Any = {}
    told.emit(NodeRan("the-run", "g/n", 3, no_times, (), no_times, no_times, {}, {}))
    told.end()
    flushed(tracer)
    assert of_records(caplog, "an event was not understood") == [("the-run", "g/n", 3)]


def test_of_spans_that_are_dropped_the_run_is_named(caplog):
    tracer = SpanTracer(Fake(), max_pending=1)
    Told(tracer, "the-run").slow(100).end()
    flushed(tracer)
    assert of_records(caplog, "spans are dropped") == [("the-run", None, None)]
