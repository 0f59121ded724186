"""Spans become the bytes that the SDK's own encoder makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext

from hush.observability._otel._conventions import conventional
from hush.observability._otel._convert import Converter
from hush.observability._otel._encode import encoded
from hush.observability._otel._exporter import resource_of
from hush.observability._otel._langfuse_form import LangfuseForm
from hush.observability._otel._links import LinkedSpan
from kit.span_records import ALL, TRACE, run_record
from kit.spans import spans

FORMS = [conventional, LangfuseForm("staging", "1")]


def agree(form, spans):
    converter = Converter(form, resource_of("shop"))
    converter.hear([run_record()])
    found = [converter.convert(one) for one in spans]
    assert ExportTraceServiceRequest.FromString(encoded(found)) == encode_spans(found)


@pytest.mark.parametrize("form", FORMS, ids=["otel", "langfuse"])
def test_every_kind_of_span(form):
    agree(form, ALL)


@pytest.mark.parametrize("remote", [True, False])
def test_a_span_that_is_linked(remote):
    linked = LinkedSpan._make(ALL[-1])
    linked.link = SpanContext(2**127 + 1, 2**63 + 1, is_remote=remote)
    agree(conventional, [linked])


@settings(max_examples=40)
@given(st.sampled_from(FORMS), st.lists(spans(st.just(TRACE)), min_size=1, max_size=3))
def test_any_spans(form, given):
    agree(form, given)
