"""Variables switch the tracers that send off: nothing is sent, nothing is made, and it is said once."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hush.core import PARENT, CodeNode, GraphNode, Hush, ResourceHub
from hush.core.errors import UsageError
from hush.observability import LangfuseTracer, LocalTracer, OTelTracer, TraceStore
from hush.observability._otel import _sending

SDK, LANGFUSE = "OTEL_SDK_DISABLED", "LANGFUSE_TRACING_ENABLED"


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.delenv(SDK, raising=False)
    monkeypatch.delenv(LANGFUSE, raising=False)
    _sending.say_once.cache_clear()
    yield
    _sending.say_once.cache_clear()


def otel(receiver, **given):
    return OTelTracer(receiver.url, **given)


def langfuse(receiver, **given):
    host = receiver.url.removesuffix("/v1/traces")
    return LangfuseTracer(public_key="pk-lf-1", secret_key="sk-lf-planted-8", host=host, **given)


def engine(seen):
    def one(n):
        seen.append(trace.get_current_span().get_span_context().is_valid)
        return {"x": n}

    with GraphNode(name="shop") as graph:
        CodeNode(name="one", code_fn=one, inputs={"n": PARENT["n"]}, outputs=PARENT, executor="inline")
    return Hush(graph)


def sent(receiver, tracer):
    """Whether a run is sent, after a look at all that must agree with that."""
    seen = []
    engine(seen).run_sync({"n": 1}, tracer=tracer)
    assert tracer.flush()
    counts = tracer.counts
    tracer._pipeline.close(5.0)
    on = bool(receiver.spans)
    assert counts == ((2, 2, 0, 0, 0) if on else (0, 0, 0, 0, 0))
    assert seen == [on]  # nothing hangs under a span that nobody sends
    return on


@pytest.mark.parametrize("make", [otel, langfuse])
@pytest.mark.parametrize(
    ("value", "on"), [("true", False), ("TRUE", False), ("True ", False), ("false", True), ("", True), ("1", True)]
)
def test_the_sdk_is_disabled_by_true_alone(monkeypatch, receiver, make, value, on):
    monkeypatch.setenv(SDK, value)
    assert sent(receiver, make(receiver)) is on


@pytest.mark.parametrize(("value", "on"), [("false", False), ("False", False), ("true", True), ("", True), ("0", True)])
def test_langfuse_is_disabled_by_false_and_nothing_else_is(monkeypatch, receiver, value, on):
    monkeypatch.setenv(LANGFUSE, value)
    assert sent(receiver, langfuse(receiver)) is on
    receiver.spans.clear()
    assert sent(receiver, otel(receiver))


def test_an_exporter_of_the_sdk_gets_nothing_either(monkeypatch):
    monkeypatch.setenv(SDK, "true")
    theirs = InMemorySpanExporter()
    tracer = OTelTracer(exporter=theirs)
    engine([]).run_sync({"n": 1}, tracer=tracer)
    assert tracer.flush()
    assert not theirs.get_finished_spans()


def test_one_that_sends_nothing_has_no_thread(monkeypatch, receiver):
    monkeypatch.setenv(SDK, "true")
    tracer = otel(receiver)
    engine([]).run_sync({"n": 1}, tracer=tracer)
    assert tracer._pipeline._thread is None
    assert not receiver.asked


def test_it_needs_no_keys_and_no_resource_but_wrong_arguments_are_errors(monkeypatch):
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(LANGFUSE, "false")
    LangfuseTracer(resources=ResourceHub())
    with pytest.raises(UsageError, match="list of strings"):
        LangfuseTracer(tags="one")
    with pytest.raises(UsageError, match="public_key and secret_key are missing"):
        monkeypatch.delenv(LANGFUSE)
        LangfuseTracer(resources=ResourceHub())


@pytest.mark.parametrize(
    ("make", "name", "value", "said"),
    [
        (otel, SDK, "True", "OTelTracer sends nothing: OTEL_SDK_DISABLED is true"),
        (langfuse, SDK, "true", "LangfuseTracer sends nothing: OTEL_SDK_DISABLED is true"),
        (langfuse, LANGFUSE, "FALSE", "LangfuseTracer sends nothing: LANGFUSE_TRACING_ENABLED is false"),
    ],
)
def test_it_is_said_once(monkeypatch, receiver, caplog, make, name, value, said):
    monkeypatch.setenv(name, value)
    with caplog.at_level(logging.INFO, "hush.tracing"):
        for _ in range(3):
            make(receiver)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("INFO", said)]


def test_a_value_that_is_neither_is_said_once(monkeypatch, receiver, caplog):
    monkeypatch.setenv(SDK, "planted")
    with caplog.at_level(logging.INFO, "hush.tracing"):
        for _ in range(3):
            otel(receiver)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "OTEL_SDK_DISABLED is neither true nor false, and is not heeded"


def test_another_tracer_beside_it_misses_nothing_and_is_told_no_more(monkeypatch, receiver, tmp_path):
    monkeypatch.setenv(SDK, "true")
    kinds = []

    class Mine:
        sees_calls = terse = True

        def attach(self, at_work):
            pass

        def emit(self, event):
            kinds.append(type(event).__name__)

    local = LocalTracer(tmp_path / "traces.db")
    engine([]).run_sync({"n": 1}, tracer=[otel(receiver), local, Mine()])
    assert local.flush()
    store = TraceStore(tmp_path / "traces.db")
    assert [span.kind for span in store.spans(store.find("last").trace)] == ["run", "code"]
    beside = kinds[:]
    kinds.clear()
    engine([]).run_sync({"n": 1}, tracer=[local, Mine()])
    assert beside == kinds == ["RunStarted", "NodeRan", "RunFinished"]


def test_events_that_are_passed_on_are_heeded_no_more_than_those_of_a_run(monkeypatch, receiver):
    monkeypatch.setenv(SDK, "true")
    tracer = otel(receiver)

    class Passes:
        def emit(self, event):
            tracer.emit(event)

    engine([]).run_sync({"n": 1}, tracer=Passes())
    assert tracer.flush()
    assert tracer.counts.produced == 0
    assert not [one for one in threading.enumerate() if one is tracer._pipeline._thread]
