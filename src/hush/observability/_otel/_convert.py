"""``Converter``: our spans as the SDK's ``ReadableSpan``, with our ids and times. No tracer provider is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hush.observability._otel import _attributes as names
from hush.observability._otel._links import LinkedSpan
from hush.observability._otel._packages import hush_version
from hush.observability._otel._span_limits import span_limits
from hush.observability._otel._text import encodable, scalar, stacktrace
from hush.observability._span import Annotations, Failure, Happened, RunRecord, Span, called_off

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_MOST_RUNS = 4_096
_BAD = ("failed", "crashed")


class Described(NamedTuple):
    """What a form makes of a span: its name there, and its attributes. A ``call`` goes to another process."""

    name: str
    attributes: dict[str, Any]
    call: bool = False


Form = Callable[[Span, RunRecord | None], Described]
"""Says how a span of a run is described; the run is ``None`` if nothing was told of it."""


class Converter:
    """Converts spans of any number of runs. From one thread at a time.

    What is known of a run is kept until 4,096 others have ended since, because each of its spans tells of it. Its
    totals, of which its own span tells, come with that, and are not kept: they may be as large as the run.

    Attributes:
        resource: What sends them.
        scope: What has made them.
    """

    def __init__(self, form: Form, resource: Resource) -> None:
        self._form = form
        self.resource = resource
        self._limits = span_limits()
        self.scope = InstrumentationScope("hush", hush_version())
        self._running: dict[str, RunRecord] = {}
        self._ended: dict[str, RunRecord] = {}
        self._told: dict[str, RunRecord] = {}  # those that were heard of last

    def hear(self, runs: Iterable[RunRecord]) -> None:
        """Take what has changed of runs, before their spans are converted."""
        self._told = {run.trace: run for run in runs}
        for run in self._told.values():
            if run.ended_ns is None:
                self._running[run.trace] = run
                continue
            self._running.pop(run.trace, None)
            self._ended.pop(run.trace, None)  # to the end of the order
            self._ended[run.trace] = run._replace(totals=(), failure=None)
            if len(self._ended) > _MOST_RUNS:
                del self._ended[next(iter(self._ended))]

    def convert(self, span: Span) -> ReadableSpan:
        """``span``, which has ended, as the SDK's exporters take it."""
        run = self._told.get(span.trace) or self._running.get(span.trace) or self._ended.get(span.trace)
        described = self._form(span, run)
        trace = int(span.trace, 16)
        annotations = span.annotations
        attributes: Mapping[str, Any] = described.attributes
        links: Sequence[Link] = (Link(span.link),) if isinstance(span, LinkedSpan) else ()
        if annotations is not None:
            attributes = {**attributes, **_put_on(annotations)}
            links = (*links, *[Link(to, _as_attributes(about)) for to, about in annotations.links])
        happened = events(span)
        if self._limits is not None:
            attributes = self._limits.on_span(attributes)
            links, happened = self._limits.links_of(links), self._limits.events_of(happened)
        return ReadableSpan(
            name=encodable(described.name if annotations is None else annotations.name or described.name),
            context=SpanContext(trace, int(span.id, 16), is_remote=False, trace_flags=_SAMPLED),
            parent=_parent(trace, span.parent),
            resource=self.resource,
            attributes=attributes,
            events=happened,
            links=links,
            kind=SpanKind.CLIENT if described.call else SpanKind.INTERNAL,
            status=_status(span, call=described.call),
            start_time=span.started_ns,
            end_time=span.started_ns if span.ended_ns is None else span.ended_ns,
            instrumentation_scope=self.scope,
        )


def _parent(trace: int, parent: str | None) -> SpanContext | None:
    if parent is None:
        return None
    return SpanContext(trace, int(parent, 16), is_remote=False, trace_flags=_SAMPLED)


def has_failed(span: Span, *, call: bool) -> bool:
    """Whether it counts as failed: what the graph handles does not, but a ``call`` of a model failed nevertheless."""
    return span.status in _BAD or (call and span.status == "handled")


def _status(span: Span, *, call: bool) -> Status:
    """Where it has not failed it is unset, or what its code has said; of a handled failure the event tells."""
    if not has_failed(span, call=call):
        if span.annotations is None or span.annotations.status is None:
            return Status(StatusCode.UNSET)
        code, why = span.annotations.status
        return Status(StatusCode[code], None if why is None else encodable(why))
    return Status(StatusCode.ERROR, "it did not end" if span.failure is None else encodable(said(span.failure)))


def said(failure: Failure) -> str:
    """``failure`` in one line: the type without its module, and the message."""
    return f"{failure.type.rpartition('.')[2]}: {failure.message}" if failure.message else failure.type


def events(span: Span) -> Sequence[Event]:
    """What happened in ``span``, in order: admissions, the call, its first answer, reroutes, the failure."""
    found: list[Event] = []
    for wait in span.waits:
        of: dict[str, Any] = {names.LIMITS: tuple(map(encodable, wait.limits)), names.ATTEMPT: wait.attempt}
        if wait.admitted_ns != wait.queued_ns:
            found.append(Event(names.QUEUED, of, wait.queued_ns))
        if wait.admitted_ns is not None:
            found.append(Event(names.ADMITTED, of, wait.admitted_ns))
        if wait.released_ns is not None:
            found.append(Event(names.RELEASED, of, wait.released_ns))
    if span.called_ns is not None and span.waits:  # else it was called as it started
        found.append(Event(names.CALLED, None, span.called_ns))
    if span.first_ns is not None:
        found.append(Event(names.FIRST, None, span.first_ns))
    ended_ns = span.started_ns if span.ended_ns is None else span.ended_ns
    for resource, failure in span.rerouted:
        of_it = {names.RESOURCE: encodable(resource), **_raised(failure)}
        found.append(Event(names.REROUTED, of_it, ended_ns))  # when it was asked is not known any more
    if span.failure is not None and called_off(span) is None:  # of what has not failed backends would count a failure
        of_it = {**_raised(span.failure), names.EXCEPTION_STACKTRACE: stacktrace(span.failure)}
        found.append(Event(names.EXCEPTION, of_it, ended_ns))
    if span.annotations is not None:
        found += [_happened(one) for one in span.annotations.events]
    if len(found) > 1:
        found.sort(key=_at)
    return tuple(found)


def _happened(one: Happened) -> Event:
    found = _as_attributes(one.attributes)
    if one.failure is not None:
        found = {**_raised(one.failure), names.EXCEPTION_STACKTRACE: stacktrace(one.failure), **found}
    return Event(encodable(one.name), found, one.at_ns)


def _put_on(annotations: Annotations) -> dict[str, Any]:
    """The attributes that code has put on a span."""
    found = _as_attributes(annotations.attributes)
    if annotations.dropped:
        found[names.ANNOTATIONS_DROPPED] = annotations.dropped
    return found


def _as_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values``, plain data, as the wire takes attributes: by themselves, or in lists of one kind; else as JSON."""
    return {encodable(name): _as_attribute(value) for name, value in values.items()}


def _as_attribute(value: Any) -> Any:
    if isinstance(value, list) and len({type(one) for one in value}) <= 1:
        return tuple(map(scalar, value))
    return scalar(value)


def _raised(failure: Failure) -> Mapping[str, str]:
    found = {names.EXCEPTION_TYPE: encodable(failure.type), names.EXCEPTION_MESSAGE: encodable(failure.message)}
    return found if failure.path is None else {**found, names.FAILED_PATH: encodable(failure.path)}


def _at(event: Event) -> int:
    return event.timestamp
