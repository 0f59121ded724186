"""Whatever code puts on its node's span, and whenever, it harms neither the code nor the trace."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, Status, StatusCode, get_current_span, use_span

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry
from hush.observability import LangfuseTracer, OTelTracer
from hush.observability._annotations import Annotating, taken
from hush.observability._bounds import PREVIEW


class Watched(OTelTracer):
    """One whose recorders can be looked at."""

    def for_run(self):
        self.recorders = [*getattr(self, "recorders", ()), super().for_run()]
        return self.recorders[-1]


def one(code, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="code", code_fn=code, outputs=PARENT, **policies)
    return graph


async def sent(code):
    """The span of a node, as it is exported."""
    kept = InMemorySpanExporter()
    tracer = OTelTracer(exporter=kept)
    await Hush(one(code)).run(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    (found,) = [span for span in kept.get_finished_spans() if span.name == "code"]
    return found


def many(code, items):
    with GraphNode(name="g") as graph, MapNode(name="each", inputs={"x": Each(range(items))}):
        CodeNode(name="code", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
    return graph


# --- objects that answer nothing -----------------------------------------------------------------------------------
def broken(*_):
    raise RuntimeError


class Unbound:
    """A proxy of what is not there, as those of web frameworks are outside of a request."""

    __class__ = property(broken)


class Broken(Mapping):
    __getitem__ = __iter__ = __len__ = __bool__ = broken


class BrokenDict(dict):
    items = keys = __iter__ = __len__ = __bool__ = broken


class BrokenText(str):
    __slots__ = ()
    __str__ = __len__ = __hash__ = __eq__ = __bool__ = broken


class Nameless(type):
    __name__ = property(broken)


class OfNoName(metaclass=Nameless):
    pass


class BrokenStatus(Status):
    description = status_code = property(broken)


class BrokenContext(SpanContext):
    trace_id = span_id = is_remote = is_valid = property(broken)


ODD = {
    "unbound": Unbound(),
    "mapping": Broken(),
    "dict": BrokenDict(a=1),
    "text": BrokenText("text"),
    "nameless": OfNoName(),
    "status": BrokenStatus(StatusCode.ERROR),
    "context": BrokenContext(1, 2, is_remote=True),
    "too_large": SpanContext(2**128, 2**64, is_remote=False),
    "negative": SpanContext(-1, -1, is_remote=False),
    "fraction": SpanContext(1.5, 2.5, is_remote=False),
}
THERE = SpanContext(1, 2, is_remote=True)
PUTS = {
    "set_attribute": [lambda odd: ("odd", odd), lambda odd: (odd, 1)],
    "set_attributes": [lambda odd: (odd,)],
    "add_event": [lambda odd: (odd,), lambda odd: ("odd", odd), lambda odd: ("odd", None, odd)],
    "add_link": [lambda odd: (odd,), lambda odd: (THERE, odd)],
    "update_name": [lambda odd: (odd,)],
    "set_status": [lambda odd: (odd,), lambda odd: (StatusCode.ERROR, odd)],
    "record_exception": [lambda odd: (odd,), lambda odd: (ValueError(), odd), lambda odd: (ValueError(), None, odd)],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("put", PUTS)
async def test_it_costs_nothing_else(receiver, put, odd):
    def code():
        span = get_current_span()
        for given in PUTS[put]:
            getattr(span, put)(*given(ODD[odd]))
        span.set_attribute("after", value=True)
        return {"y": 1}

    tracers = [
        OTelTracer(endpoint=receiver.url),
        LangfuseTracer(public_key="pk", secret_key="sk", host=receiver.url.removesuffix("/v1/traces")),
    ]
    assert await Hush(one(code)).run(tracer=tracers) == {"y": 1}
    for tracer in tracers:
        assert tracer.flush()
        tracer._pipeline.close(5.0)
    assert len([span for span in receiver.spans if span.attributes.get("after")]) == 2


async def test_links_to_nothing_are_none():
    """A collector refuses ids that are all zeros."""

    def code():
        for trace in (0, 1, 2**128 - 1, 2**128):
            for span in (0, 1, 2**64 - 1, 2**64):
                get_current_span().add_link(SpanContext(trace, span, is_remote=False))
        return {}

    found = await sent(code)
    assert [(link.context.trace_id, link.context.span_id) for link in found.links] == [
        (trace, span) for trace in (1, 2**128 - 1) for span in (1, 2**64 - 1)
    ]


# --- what nobody takes ---------------------------------------------------------------------------------------------
async def test_of_two_tracers_with_one_place_the_one_that_is_not_heard_keeps_nothing(receiver, caplog):
    tracers = [Watched(endpoint=receiver.url), Watched(endpoint=receiver.url)]

    def code(x):
        get_current_span().set_attribute("x", x)
        return {"y": x}

    caplog.set_level(logging.WARNING, "hush")
    await Hush(many(code, 50)).run(tracer=tracers)
    for tracer in tracers:
        assert tracer.flush()
        tracer._pipeline.close(5.0)
    assert sorted(span.attributes["x"] for span in receiver.spans if span.name == "code") == [*range(50)]
    assert [recorder.tree.annotated for tracer in tracers for recorder in tracer.recorders] == [{}, {}]


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_what_a_thread_puts_there_when_the_call_has_returned_is_not_kept(executor):
    """Nor kept in memory, for as long as the run takes."""
    kept, recording, go = InMemorySpanExporter(), [], threading.Event()
    threads = []

    def late():
        go.wait()
        span = get_current_span()
        recording.append(span.is_recording())
        span.set_attribute("late", value=True)

    def code():
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(late,)))
        threads[0].start()
        return {"y": 1}

    def after(y):
        go.set()
        threads[0].join()
        return {}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="code", code_fn=code, executor=executor)
        CodeNode(name="after", code_fn=after, inputs={"y": first["y"]})
    tracer = Watched(exporter=kept)
    await Hush(graph).run(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    assert recording == [False]
    assert not any("late" in span.attributes for span in kept.get_finished_spans())
    assert tracer.recorders[0].tree.annotated == {}


async def test_what_a_def_has_begun_and_gives_is_of_its_call():
    """The call is not over when the ``def`` has returned."""
    kept = InMemorySpanExporter()

    async def goes_on():
        await asyncio.sleep(0)
        get_current_span().set_attribute("late", value=True)
        return {"y": 1}

    tracer = OTelTracer(exporter=kept)
    graph = one(lambda: asyncio.ensure_future(goes_on()), executor="inline", retry=Retry(max_attempts=2))
    await Hush(graph).run(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    assert [span.attributes.get("late") for span in kept.get_finished_spans()] == [True, None]


def test_what_was_taken_does_not_change():
    """A thread may be in the middle of putting something there while the node ends."""
    annotating, found = Annotating(PREVIEW), []

    class Ends(Exception):
        def __str__(self):
            found.append(taken(annotating.open, 1))
            return "in the middle"

    annotating.attribute(1, "before", 1)
    annotating.attribute(1, "late", Ends())
    assert [one.attributes for one in found] == [{"before": 1}]
    assert annotating.open == {}


# --- what it must not show, and what it must ------------------------------------------------------------------------
HIDDEN = "hunter-two"
ABOUT = {"user": "ada", "account": {"password": HIDDEN, "seats": [1, 2]}, "key": [{"name": "API_KEY", "value": HIDDEN}]}


async def test_secrets_in_json_are_hidden_by_their_names():
    """Attributes hold no other nested values, so that is how Langfuse's SDK puts down what its user gives it."""

    def code():
        span = get_current_span()
        span.set_attribute("langfuse.observation.input", json.dumps(ABOUT))
        span.set_attribute("long", json.dumps({"text": "x" * 1_970, **ABOUT}))
        span.add_event("asked", {"input": json.dumps([ABOUT])})
        span.add_link(THERE, {"input": json.dumps(ABOUT)})
        span.set_attribute("prompt", "[Ada] what is my password: please tell")
        return {}

    found = await sent(code)
    assert HIDDEN[:5] not in found.to_json()
    given = json.loads(found.attributes["langfuse.observation.input"])
    assert (given["user"], given["account"]["seats"]) == ("ada", [1, 2])
    assert found.attributes["prompt"] == "[Ada] what is my password: please tell"


async def test_a_status_says_what_an_exception_may_say():
    """``use_span`` puts the text of an exception there, which has no secrets where the exception is told of."""

    def code():
        try:
            with use_span(get_current_span()):
                raise LookupError({"password": HIDDEN, "user": "ada"})
        except LookupError:
            return {}

    found = await sent(code)
    assert found.status.description.startswith("LookupError: ")
    assert "ada" in found.status.description
    assert HIDDEN not in found.to_json()


async def test_langfuse_is_told_what_an_event_is_called_whatever_its_attributes_are(receiver):
    names = {"name": "a", "time": "b", "stacktrace": "c", "attributes": "d"}

    def code():
        get_current_span().add_event("asked", names, 1_000)
        get_current_span().record_exception(LookupError("no such order"), names)
        return {}

    tracer = LangfuseTracer(public_key="pk", secret_key="sk", host=receiver.url.removesuffix("/v1/traces"))
    await Hush(one(code)).run(tracer=tracer)
    assert tracer.flush()
    tracer._pipeline.close(5.0)
    asked, raised = json.loads(receiver.span("code").attributes["langfuse.observation.metadata.events"])
    assert asked == {"name": "asked", "time": "1970-01-01T00:00:00.000001Z", "attributes": names}
    assert (raised["name"], raised["attributes"]) == ("exception", names)
    assert "no such order" in raised["stacktrace"]
