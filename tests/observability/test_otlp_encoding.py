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
from hush.observability._otel._encode import Body
from hush.observability._otel._exporter import resource_of
from hush.observability._otel._langfuse_form import LangfuseForm
from hush.observability._otel._links import LinkedSpan
from kit.span_records import ALL, LLM, RUN, TRACE, run_record
from kit.spans import spans

FORMS = [conventional, LangfuseForm("staging", "1")]


def agree(form, spans):
    converter = Converter(form, resource_of("shop"))
    converter.hear([run_record()])
    found = [converter.convert(one) for one in spans]
    body = Body(converter.resource, converter.scope)
    for one in found:
        body.add(one)
    assert ExportTraceServiceRequest.FromString(body.data()) == encode_spans(found)
    assert body.count == len(found)


@pytest.mark.parametrize("form", FORMS, ids=["otel", "langfuse"])
def test_every_kind_of_span(form):
    agree(form, ALL)


def test_the_totals_of_a_run_are_told_with_its_own_span_and_not_kept():
    """Of 4,096 runs that had ended they were: 100 MB of a graph of 50 nodes."""
    converter = Converter(conventional, resource_of("shop"))
    converter.hear([run_record()])
    for _ in range(2):  # as where a request is too large
        told = {span.parent: converter.convert(span).attributes for span in (RUN, LLM)}
        assert "hush.run.totals" in told[None]
    converter.hear([])
    assert [run.totals for run in converter._ended.values()] == [()]
    assert converter.convert(LLM).attributes == told[LLM.parent]


@pytest.mark.parametrize("remote", [True, False])
def test_a_span_that_is_linked(remote):
    linked = LinkedSpan._make(ALL[-1])
    linked.link = SpanContext(2**127 + 1, 2**63 + 1, is_remote=remote)
    agree(conventional, [linked])


def test_of_a_span_that_does_not_fit_nothing_is_left():
    converter = Converter(conventional, resource_of("shop"))
    good = [converter.convert(one) for one in ALL]
    bad = converter.convert(ALL[0]._replace(ended_ns=-1))
    body = Body(converter.resource, converter.scope)
    body.add(good[0])
    with pytest.raises(ValueError, match="range"):
        body.add(bad)
    for one in good[1:]:
        body.add(one)
    assert ExportTraceServiceRequest.FromString(body.data()) == encode_spans(good)


@settings(max_examples=40)
@given(st.sampled_from(FORMS), st.lists(spans(st.just(TRACE)), min_size=1, max_size=3))
def test_any_spans(form, given):
    agree(form, given)
