"""OpenTelemetry's variables that bound a span are heeded, and what is left out is counted where it says so."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext

from hush.observability._otel import _sending
from hush.observability._otel._conventions import conventional
from hush.observability._otel._convert import Converter
from hush.observability._otel._encode import Body
from hush.observability._otel._exporter import resource_of
from hush.observability._otel._links import LinkedSpan
from hush.observability._otel._span_limits import SpanLimits, span_limits
from hush.observability._span import Annotations, Happened
from kit.span_records import ALL, LLM, run_record

HERE = SpanContext(1, 2, is_remote=True)
ANNOTATED = LLM._replace(
    annotations=Annotations(
        {"order.note": "x" * 100, "order.tags": ["y" * 100, "z"]},
        tuple(Happened(f"event {n}", n, {"a": "b" * 100, "c": 1}) for n in range(6)),
        tuple((HERE, {"a": "b" * 100, "c": n}) for n in range(6)),
    )
)
SPANS = [*ALL, ANNOTATED]


def converted(span):
    converter = Converter(conventional, resource_of("shop"))
    converter.hear([run_record()])
    found = converter.convert(span)
    body = Body(converter.resource, converter.scope)
    body.add(found)
    sent = ExportTraceServiceRequest.FromString(body.data())
    assert sent == encode_spans([found])
    return found, sent.resource_spans[0].scope_spans[0].spans[0]


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_without_the_variables_there_is_no_limit(span):
    assert span_limits() is None
    found, sent = converted(span)
    assert (sent.dropped_attributes_count, sent.dropped_events_count, sent.dropped_links_count) == (0, 0, 0)
    assert len(found.attributes) > 5


@pytest.mark.parametrize("name", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_texts_are_cut(monkeypatch, name, span):
    whole, _ = converted(span)
    monkeypatch.setenv(name, "7")
    found, _ = converted(span)
    assert dict(found.attributes) == {key: cut(value) for key, value in whole.attributes.items()}
    assert [dict(event.attributes) for event in found.events] == [
        {key: cut(value) for key, value in (event.attributes or {}).items()} for event in whole.events
    ]
    assert [dict(link.attributes) for link in found.links] == [
        {key: cut(value) for key, value in link.attributes.items()} for link in whole.links
    ]


def cut(value):
    if isinstance(value, str):
        return value[:7]
    return tuple(map(cut, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", ["OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
def test_of_attributes_the_first_are_kept(monkeypatch, name):
    whole, _ = converted(ANNOTATED)
    monkeypatch.setenv(name, "3")
    found, sent = converted(ANNOTATED)
    assert list(found.attributes.items()) == list(whole.attributes.items())[:3]
    assert sent.dropped_attributes_count == len(whole.attributes) - 3


def test_of_events_the_last_are_kept_and_of_links_the_first(monkeypatch):
    whole, _ = converted(ANNOTATED)
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "2")
    linked = LinkedSpan._make(ANNOTATED)
    linked.link = SpanContext(3, 4, is_remote=False)
    found, sent = converted(linked)
    assert [event.name for event in found.events] == [event.name for event in whole.events][-2:]
    assert sent.dropped_events_count == len(whole.events) - 2
    assert [link.context.trace_id for link in found.links] == [3, 1]
    assert sent.dropped_links_count == 5


def test_of_events_and_links_the_attributes(monkeypatch):
    monkeypatch.setenv("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "0")
    found, sent = converted(ANNOTATED)
    mine = [event for event in found.events if event.name.startswith("event ")]
    assert [list(event.attributes) for event in mine] == [["a"]] * 6
    assert {event.dropped_attributes_count for event in sent.events if event.name.startswith("event ")} == {1}
    assert [dict(link.attributes) for link in found.links] == [{}] * 6
    assert {link.dropped_attributes_count for link in sent.links} == {2}


def test_the_closer_variable_goes_first(monkeypatch):
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "9")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8")
    assert span_limits() == SpanLimits(attributes=8, of_event=9, of_link=9)
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "")
    assert span_limits().attributes == 9


def test_what_is_no_number_is_said_once_and_not_heeded(monkeypatch, caplog):
    _sending.say_once.cache_clear()
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1")
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "None")
    assert span_limits() is None
    assert span_limits() is None
    assert [record.getMessage() for record in caplog.records] == [
        "OTEL_SPAN_EVENT_COUNT_LIMIT is no whole number, and is not heeded"
    ]
