"""A run is linked to the span around it, such as that of a web request."""

from __future__ import annotations

import gc
import weakref

import pytest
from opentelemetry import trace

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.observability import LangfuseTracer, OTelTracer
from hush.observability._otel._links import LinkedSpan, linked
from kit.otlp_receiver import Answer
from kit.span_records import LLM, RUN
from observability.fakes import Told, flushed


@pytest.fixture
def tracer(receiver):
    made = OTelTracer(receiver.url)
    yield made
    made._pipeline.close(5.0)


def engine(function=lambda: {"x": 1}):
    with GraphNode(name="shop") as graph:
        CodeNode(name="one", code_fn=function, outputs=PARENT)
    return Hush(graph)


def ids(span):
    context = span.get_span_context()
    return format(context.trace_id, "032x"), format(context.span_id, "016x")


async def by_run(tracer):
    await engine().run(inputs={}, tracer=tracer)


async def by_start(tracer):
    await engine().start(inputs={}, tracer=tracer)


async def by_stream(tracer):
    async for _ in engine().stream(inputs={}, tracer=tracer):
        pass


async def by_run_sync(tracer):
    engine().run_sync(inputs={}, tracer=tracer)


@pytest.mark.parametrize("run", [by_run, by_start, by_stream, by_run_sync])
async def test_a_run_is_linked_to_the_span_around_it_and_to_no_other(receiver, tracer, users, run):
    with users.tracer.start_as_current_span("request") as request:
        await run(tracer)
    await run(tracer)  # nothing is around it
    with users.tracer.start_as_current_span("other") as other:
        await run(tracer)
    flushed(tracer)
    runs = [one for one in receiver.spans if one.name == "shop"]
    assert [one.links for one in runs] == [(ids(request),), (), (ids(other),)]
    assert {one.parent for one in runs} == {None}  # a run's trace is its own
    assert {one.trace for one in runs}.isdisjoint([ids(request)[0], ids(other)[0]])
    assert not any(one.links for one in receiver.spans if one.name != "shop")


async def test_a_run_in_a_node_is_linked_to_that_node(receiver, tracer):
    async def inner():
        await engine().run(inputs={}, tracer=tracer)
        return {}

    with GraphNode(name="outer") as graph:
        CodeNode(name="calls", code_fn=inner)
    await Hush(graph).run(inputs={}, tracer=tracer)
    flushed(tracer)
    node = receiver.span("calls")
    assert receiver.span("shop").links == ((node.trace, node.id),)
    assert receiver.span("outer").links == ()


async def test_of_two_tracers_both_link_it_and_a_batch_that_is_sent_again_does(receiver, tracer, users):
    host = receiver.url.removesuffix("/v1/traces")
    langfuse = LangfuseTracer(public_key="pk", secret_key="sk-planted", host=host)
    receiver.plan.append(Answer(503))
    with users.tracer.start_as_current_span("request") as request:
        await engine().run(inputs={}, tracer=[tracer, langfuse])
    for one in (tracer, langfuse):
        while not one.flush():
            pass
    assert [one.links for one in receiver.spans if one.name == "shop"] == [(ids(request),)] * 2
    langfuse._pipeline.close(5.0)


def test_a_run_that_is_told_by_hand_is_linked_too(receiver, tracer, users):
    with users.tracer.start_as_current_span("request") as request:
        told = Told(tracer)
    told.quick(3).end()
    flushed(tracer)
    assert receiver.span("g").links == (ids(request),)


# --- the way there by itself ------------------------------------------------------------------------------------------
class Kept:
    def __init__(self):
        self.spans, self.said = [], []

    def add(self, recorder):
        pass

    def take(self, spans, run):
        self.spans += spans
        return 7

    def complain(self, message, about=None):
        self.said.append(message)


def test_without_a_span_nothing_stands_in_between():
    to = Kept()
    assert linked(to) is to


def test_nothing_is_kept_of_a_run_whose_span_is_gone(users):
    to = Kept()
    with users.tracer.start_as_current_span("request") as request:
        way = linked(to)
    assert way.take([LLM], "r") == 7
    assert way.take([], "r") == 7
    assert way.take([LLM, RUN], "r") == 7
    assert to.spans[0] is to.spans[1] is LLM
    assert to.spans[2] == RUN  # it is the same span
    assert isinstance(to.spans[2], LinkedSpan)
    context = weakref.ref(request)
    del way, request
    to.spans.clear()
    gc.collect()
    assert context() is None


def test_a_span_that_cannot_be_read_is_said_and_the_run_goes_on():
    class Odd(trace.NonRecordingSpan):
        def get_span_context(self):
            raise RuntimeError("planted")

    to = Kept()
    with trace.use_span(Odd(trace.INVALID_SPAN_CONTEXT)):
        assert linked(to) is to
    assert to.said == ["the span in which a run began could not be read"]
