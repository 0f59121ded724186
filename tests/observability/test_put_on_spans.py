"""What code in a node puts on the node's own span, through OpenTelemetry's API, is in the trace."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode, get_current_span, set_span_in_context

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry
from hush.observability import LangfuseTracer, OTelTracer, Sampling
from hush.observability._annotations import Annotating, taken
from hush.observability._bounds import PREVIEW
from hush.observability._ids import Ids
from hush.observability._otel._context import ByAPI, InVariable, _variable

PLANTED = "sk-planted-0123456789abcdef0123456789"
SPARING = Sampling(first=0, slowest=0.0, random=0.0)


@pytest.fixture
def kept():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(kept):
    made = OTelTracer(exporter=kept)
    yield made
    made._pipeline.close(5.0)


def one(code, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="code", code_fn=code, outputs=PARENT, **policies)
    return graph


async def span_of(tracer, kept, graph, name="code"):
    try:
        await Hush(graph).run(tracer=tracer)
    except ZeroDivisionError:
        pass
    assert tracer.flush()
    (found,) = [span for span in kept.get_finished_spans() if span.name == name]
    return found


def all_of_it():
    span = get_current_span()
    assert span.is_recording()
    span.set_attribute("order.id", 17)
    span.set_attributes({"order.paid": True, "order.cents": 12.5, "order.tags": ["a", "b"]})
    span.add_event("asked", {"how": "twice"}, 1_000)
    span.add_event("heard")
    try:
        raise LookupError("no such order")
    except LookupError as exc:
        span.record_exception(exc, {"order.id": 17})
    span.add_link(trace.SpanContext(1, 2, is_remote=True), {"why": "it began there"})
    span.set_status(Status(StatusCode.ERROR, "half of it"))
    return {}


def holds_all_of_it(span):
    got = dict(span.attributes)
    assert {name: got[name] for name in got if name.startswith("order.")} == {
        "order.id": 17,
        "order.paid": True,
        "order.cents": 12.5,
        "order.tags": ("a", "b"),
    }
    assert got["hush.status"] == "ok"
    first, second, third = span.events
    assert (first.name, dict(first.attributes), first.timestamp) == ("asked", {"how": "twice"}, 1_000)
    assert second.name == "heard"
    assert span.start_time - 10**9 < second.timestamp <= span.end_time + 10**9
    assert third.name == "exception"
    assert third.attributes["exception.type"] == "LookupError"
    assert third.attributes["exception.message"] == "no such order"
    assert "all_of_it" in third.attributes["exception.stacktrace"]
    assert third.attributes["order.id"] == 17
    (link,) = span.links
    assert (link.context.trace_id, link.context.span_id, dict(link.attributes)) == (1, 2, {"why": "it began there"})
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "half of it")


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_in_a_def(tracer, kept, executor):
    holds_all_of_it(await span_of(tracer, kept, one(all_of_it, executor=executor)))


@pytest.mark.parametrize("suspends", [False, True])
async def test_in_an_async_def(tracer, kept, suspends):
    async def code():
        if suspends:
            await asyncio.sleep(0)
        return all_of_it()

    holds_all_of_it(await span_of(tracer, kept, one(code)))


async def test_of_all_attempts(tracer, kept):
    tried = []

    async def code():
        tried.append(None)
        get_current_span().set_attribute(f"attempt.{len(tried)}", value=True)
        if len(tried) < 3:
            raise ConnectionError
        return {}

    found = await span_of(tracer, kept, one(code, retry=Retry(max_attempts=3, backoff_s=0.0)))
    assert {name for name in found.attributes if name.startswith("attempt.")} == {f"attempt.{n}" for n in (1, 2, 3)}


async def test_of_a_node_that_fails_the_failure_says_how_it_went(tracer, kept):
    def code():
        get_current_span().set_attribute("order.id", 17)
        get_current_span().set_status(StatusCode.OK)
        raise ZeroDivisionError("none left")

    found = await span_of(tracer, kept, one(code))
    assert found.attributes["order.id"] == 17
    assert (found.status.status_code, found.status.description) == (
        StatusCode.ERROR,
        "ZeroDivisionError: none left",
    )


async def test_a_name_of_its_own(tracer, kept):
    def code():
        get_current_span().update_name("order 17")
        return {}

    found = await span_of(tracer, kept, one(code), "order 17")
    assert found.attributes["hush.node"] == "code"


def pages():
    for page in range(3):
        get_current_span().set_attribute("page", page)
        yield page


class AsyncPages:
    async def __aiter__(self):
        for page in pages():
            yield page


@pytest.mark.parametrize("source", [pages, AsyncPages])
async def test_in_the_source_of_a_map(tracer, kept, source):
    with GraphNode(name="g") as graph, MapNode(name="each", inputs={"x": Each(source())}):
        CodeNode(name="code", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert (await span_of(tracer, kept, graph, "each")).attributes["page"] == 2


async def test_every_item_has_its_own(tracer, kept):
    async def code(x):
        get_current_span().set_attribute("x", x)
        await asyncio.sleep(0)
        get_current_span().set_attribute("twice", 2 * x)
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="each", inputs={"x": Each(range(20))}):
        CodeNode(name="code", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
    await Hush(graph).run(tracer=tracer)
    assert tracer.flush()
    found = [span.attributes for span in kept.get_finished_spans() if span.name == "code"]
    assert sorted((of["hush.item"], of["x"], of["twice"]) for of in found) == [(n, n, 2 * n) for n in range(20)]


@pytest.mark.parametrize("suspends", [False, True])
async def test_items_that_are_left_out_leave_nothing_behind(kept, suspends):
    """They are sampled as ever: what is put on a span is no reason to keep it."""
    recorders = []

    class Watched(OTelTracer):
        def for_run(self):
            recorders.append(super().for_run())
            return recorders[-1]

    tracer = Watched(exporter=kept, sampling=SPARING)

    async def code(x):
        get_current_span().set_attribute("x", x)
        if suspends:
            await asyncio.sleep(0)
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="each", inputs={"x": Each(range(2_000))}):
        CodeNode(name="code", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
    await Hush(graph).run(tracer=tracer)
    assert tracer.flush()
    (recorder,) = recorders
    assert recorder.tree.annotated == {}
    counts = tracer.counts
    tracer._pipeline.close(5.0)
    assert counts.left_out > 3_900
    assert counts.produced == counts.exported + counts.left_out == 4_002


async def test_every_tracer_of_the_run_has_it(receiver):
    mine = InMemorySpanExporter()
    tracers = [
        OTelTracer(exporter=mine),
        OTelTracer(endpoint=receiver.url),
        LangfuseTracer(public_key="pk", secret_key="sk", host=receiver.url.removesuffix("/v1/traces")),
    ]
    graph = one(all_of_it)
    for _ in range(2):
        await Hush(graph).run(tracer=tracers)
    for tracer in tracers:
        assert tracer.flush()
        tracer._pipeline.close(5.0)
    found = [span for span in mine.get_finished_spans() if span.name == "code"]
    assert len(found) == 2
    for span in found:
        holds_all_of_it(span)
    got = [span for span in receiver.spans if span.name == "code"]
    assert len(got) == 4
    assert {span.attributes["order.id"] for span in got} == {17}
    assert {span.status for span in got} == {"ERROR"}


async def test_langfuse_has_what_it_stores(receiver):
    def code():
        all_of_it()
        get_current_span().set_attribute("langfuse.observation.output", "what the code says")
        return {"y": 1}

    host = receiver.url.removesuffix("/v1/traces")
    tracer = LangfuseTracer(public_key="pk", secret_key="sk", host=host)
    await Hush(one(code)).run(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    found = receiver.span("code").attributes
    assert found["langfuse.observation.level"] == "ERROR"
    assert found["langfuse.observation.status_message"] == "half of it"
    assert found["langfuse.observation.output"] == "what the code says"
    events = found["langfuse.observation.metadata.events"]
    assert '"name": "asked", "time": "1970-01-01T00:00:00.000001Z", "attributes": {"how": "twice"}' in events
    assert "no such order" in events


async def test_without_values_nothing_is_kept(kept):
    recording = []

    def code():
        recording.append(get_current_span().is_recording())
        get_current_span().set_attribute("order.id", 17)
        return {}

    tracer = OTelTracer(exporter=kept, keep_values=False)
    found = await span_of(tracer, kept, one(code))
    tracer._pipeline.close(5.0)
    assert recording == [False]
    assert "order.id" not in found.attributes


async def test_no_secret_is_kept(tracer, kept, forgetting):
    def code():
        span = get_current_span()
        span.set_attributes({"api_key": "hunter-two", "text": f"Bearer {PLANTED}", PLANTED: 1})
        span.add_event(f"asked {PLANTED}", {"authorization": "hunter-two", "nested": [PLANTED]})
        span.record_exception(LookupError(PLANTED), {"password": "hunter-two"})
        span.update_name(f"code {PLANTED}")
        span.set_status(Status(StatusCode.ERROR, PLANTED))
        span.add_link(trace.SpanContext(1, 2, is_remote=True), {"token": "hunter-two"})
        return {}

    await Hush(one(code)).run(tracer=tracer)
    assert tracer.flush()
    text = "".join(span.to_json() for span in kept.get_finished_spans())
    assert "asked" in text
    assert PLANTED not in text
    assert "hunter-two" not in text


async def test_what_comes_when_the_call_is_over_is_not_kept(tracer, kept):
    spans, tasks = [], []

    async def later(until):
        spans.append(get_current_span())
        await until.wait()
        assert not get_current_span().is_recording()
        get_current_span().set_attribute("late", value=True)

    async def code(until):
        tasks.append(asyncio.create_task(later(until)))
        await asyncio.sleep(0)
        assert spans[0].is_recording()
        return {}

    until = asyncio.Event()
    with GraphNode(name="g") as graph:
        CodeNode(name="code", code_fn=code, inputs={"until": until}, outputs=PARENT)
        CodeNode(name="after", code_fn=until.set, outputs=PARENT)
    found = await span_of(tracer, kept, graph)
    until.set()
    await asyncio.gather(*tasks)
    assert "late" not in found.attributes


@pytest.mark.parametrize("make", [ByAPI, lambda ids, annotating: InVariable(ids, _variable(), annotating)])
def test_a_place_says_that_something_was_put_on_a_span(make):
    """So it is told of by itself: of what is told in sums nobody could say what was put on it."""
    annotating = Annotating(PREVIEW)
    place = make(Ids("0af7651916cd43dd8448eb211c80319c", nodes=True), annotating)
    place.enter(1)
    assert not place.leave()
    place.enter(2)
    get_current_span().set_attribute("x", 1)
    kept = contextvars.copy_context()
    assert place.leave()
    kept.run(lambda: get_current_span().set_attribute("y", 1))
    place.enter(3)
    assert not place.leave()
    assert taken(annotating.open, 2).attributes == {"x": 1}
    assert annotating.open == {}


async def test_there_is_a_bound(tracer, kept):
    def code():
        span = get_current_span()
        for n in range(200):
            span.set_attribute(f"many.{n}", n)
            span.add_event(f"event {n}")
            span.add_link(trace.SpanContext(n + 1, 2, is_remote=True))
        span.set_attribute("many.0", "changed")
        span.set_attribute("many.1", "x" * 10_000)
        return {}

    found = await span_of(tracer, kept, one(code))
    got = dict(found.attributes)
    assert [n for n in range(200) if f"many.{n}" in got] == [*range(128)]
    assert got["many.0"] == "changed"
    assert 2_000 < len(got["many.1"]) < 2_100
    assert (len(found.events), len(found.links)) == (128, 128)
    assert got["hush.annotations.dropped"] == 3 * 72


def test_spans_that_never_end_do_not_pile_up():
    said = []
    annotating = Annotating(PREVIEW, complain=said.append)
    for number in range(1, 40_101):
        annotating.attribute(number, "x", 1)
    assert len(annotating.open) == 40_000
    assert len(said) == 100
    taken(annotating.open, 1)
    annotating.attribute(50_000, "x", 1)
    assert 50_000 in annotating.open


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError

    def __hash__(self):
        raise RuntimeError


async def test_whatever_is_put_on_it_harms_nobody(tracer, kept, caplog):
    def code():
        span, odd = get_current_span(), Hostile()
        span.set_attribute(odd, odd)
        span.set_attribute("odd", odd)
        span.set_attribute("none", None)
        span.set_attribute("bytes", b"\xff")
        span.set_attribute("mixed", [1, "a", None, {"b": [2]}])
        span.set_attribute("half", "\ud800")
        span.set_attribute("large", 2**70)
        span.set_attributes(odd)
        span.add_event(odd, odd, odd)
        span.add_link(odd, odd)
        span.update_name(odd)
        span.set_status(odd, odd)
        span.set_status(StatusCode.ERROR, odd)
        span.record_exception(odd, odd, odd)
        span.end()
        return {"y": 1}

    caplog.set_level(logging.WARNING, "hush")
    result = await Hush(one(code)).run(tracer=tracer)
    assert result["y"] == 1
    assert tracer.flush()
    (found,) = [span for span in kept.get_finished_spans() if span.attributes["hush.kind"] == "code"]
    assert found.attributes["mixed"] == '[1, "a", null, {"b": [2]}]'
    assert found.attributes["large"] == str(2**70)
    assert tracer.counts.dropped == 0
    assert not caplog.records


def test_threads_of_one_node_lose_nothing():
    annotating = Annotating(PREVIEW)
    threads = [
        threading.Thread(target=lambda of: [annotating.event(1, f"{of} {n}", None, 1) for n in range(30)], args=(of,))
        for of in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = taken(annotating.open, 1)
    assert {event.name for event in found.events} == {f"{of} {n}" for of in range(4) for n in range(30)}


names = st.sampled_from(["a", "b.c", "http.route", "d"])
values = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abc", max_size=20),
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.lists(st.text("xyz", max_size=3), min_size=1, max_size=5),
)
steps = st.one_of(
    st.tuples(st.just("set_attribute"), names, values),
    st.tuples(st.just("set_attributes"), st.dictionaries(names, values, max_size=3)),
    st.tuples(st.just("add_event"), names, st.dictionaries(names, values, max_size=3), st.integers(0, 10)),
    st.tuples(st.just("update_name"), names),
    st.tuples(st.just("set_status"), st.sampled_from(list(StatusCode)), st.none()),
    st.tuples(st.just("set_status"), st.just(StatusCode.ERROR), st.text("abc", max_size=5)),
)


def seen(span: ReadableSpan):
    return (
        span.name,
        dict(span.attributes),
        [(event.name, dict(event.attributes), event.timestamp) for event in span.events],
        (span.status.status_code, span.status.description),
    )


@given(st.lists(steps, max_size=12))
def test_it_is_what_a_span_of_the_sdk_would_hold(steps):
    """Whatever is put on it in whatever order, as long as it fits."""
    mine, theirs = InMemorySpanExporter(), TracerProvider().get_tracer("theirs").start_span("code")

    def code():
        for name, *arguments in steps:
            getattr(get_current_span(), name)(*arguments)
        return {}

    tracer = OTelTracer(exporter=mine)
    Hush(one(code, executor="inline")).run_sync(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    token = attach(set_span_in_context(theirs))
    try:
        code()
    finally:
        detach(token)
    (found,) = [span for span in mine.get_finished_spans() if span.attributes["hush.kind"] == "code"]
    name, attributes, events, status = seen(theirs)
    assert found.name == name
    assert {key: value for key, value in found.attributes.items() if key in attributes} == attributes
    assert sorted((e.name, str(dict(e.attributes)), e.timestamp) for e in found.events) == sorted(
        (name, str(of), at) for name, of, at in events
    )
    assert (found.status.status_code, found.status.description) == status
