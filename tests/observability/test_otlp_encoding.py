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
from hush.observability._span import Failure, Generation, Wait
from kit.span_records import ALL, run_record, span

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


TEXT = st.text()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT  # NaN is not equal to itself
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)
VALUES = st.none() | st.dictionaries(TEXT, PLAIN, max_size=3)
INSTANTS = st.integers(0, 2**63)
FAILURES = st.builds(Failure, TEXT, TEXT, notes=st.tuples(TEXT), causes=st.tuples(st.builds(Failure, TEXT, TEXT)))
WAITS = st.builds(Wait, st.tuples(TEXT), INSTANTS, st.none() | INSTANTS, st.none() | INSTANTS, st.integers(1, 9))
GENERATIONS = st.builds(
    Generation,
    st.none() | TEXT,
    st.none() | TEXT,
    st.none() | st.dictionaries(TEXT, st.integers(), max_size=2),
    st.none() | st.floats(0, 1),
    st.none() | TEXT,
    st.none() | st.dictionaries(st.sampled_from(["seed", "stop", "top_p", "n", "odd"]), SCALARS),
)
SPANS = st.builds(
    span,
    st.integers(1, 2**64 - 1),
    st.none() | st.integers(1, 2**64 - 1),
    kind=st.sampled_from(["llm", "code", "map", "embedding"]),
    name=TEXT,
    path=TEXT,
    status=st.sampled_from(["ok", "failed", "handled", "crashed", "skipped"]),
    items=st.lists(st.integers(0, 2**40), max_size=2).map(tuple),
    started_ns=INSTANTS,
    ended_ns=INSTANTS,
    first_ns=st.none() | INSTANTS,
    tags=st.lists(TEXT, max_size=2).map(tuple),
    inputs=VALUES,
    outputs=VALUES,
    failure=st.none() | FAILURES,
    waits=st.lists(WAITS, max_size=2).map(tuple),
    generation=st.none() | GENERATIONS,
)


@settings(max_examples=40)
@given(st.sampled_from(FORMS), st.lists(SPANS, min_size=1, max_size=3))
def test_any_spans(form, spans):
    agree(form, spans)
