"""``Here``: the span of a node, as OpenTelemetry's API shows it to the code in it; Hush records and exports it.

Source: https://opentelemetry.io/docs/specs/otel/trace/api/#span.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from hush.observability._annotations import Annotating
from hush.observability._ids import Ids
from hush.observability._kinds import issubclass_of

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
EMPTY = Context()
(KEY,) = set_span_in_context(INVALID_SPAN, EMPTY)
"""Under which a context has its span."""


class Here(Span):
    """The span of a node, of which only the ids are known here: they are made when somebody asks, as few nodes do.

    What is put on it is kept until the node has ended, and goes with its span then; what comes later is not.

    Args:
        around: The context around it: where several tracers hear a run, each has a span for the same node in it.

    Attributes:
        over: Whether the call that it is for has ended.
    """

    __slots__ = ("_annotating", "_ids", "_same", "number", "over")
    __weakref__: object  # which every span has

    def __init__(self, ids: Ids, number: int, around: Context = EMPTY, annotating: Annotating | None = None) -> None:
        self._ids = ids
        self.number = number
        self.over = False
        self._annotating = annotating if annotating is not None and annotating.bounds is not None else None
        other = around.get(KEY)
        same = type(other) is Here and (other._ids.trace, other.number) == (ids.trace, number)
        self._same: Here | None = other if same else None  # type: ignore[assignment]

    def get_span_context(self) -> SpanContext:
        """The ids. Whoever asks hangs something under the span, so that must not be left out of the trace.

        Nor out of that of another tracer: nobody knows where what hangs under it is sent.
        """
        self._ids.seen.add(self.number)
        if self._same is not None:
            self._same.get_span_context()
        trace, span = int(self._ids.trace, 16), int(self._ids.of(self.number), 16)
        return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)

    def is_recording(self) -> bool:
        """Whether what is put on it is kept, by any of the tracers."""
        mine = self._annotating is not None and not self.over
        return mine or (self._same is not None and self._same.is_recording())

    def end(self, end_time: int | None = None) -> None:
        """It ends with its node, whoever says so before."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Put several on it."""
        self._put(Annotating.attributes, attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Put one on it; the last value counts."""
        self._put(Annotating.attribute, key, value)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Something has happened, now or at ``timestamp``, in nanoseconds since the epoch."""
        self._put(Annotating.event, name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """It has to do with another span."""
        self._put(_link, context, attributes)

    def update_name(self, name: str) -> None:
        """What it is to be called there; the node keeps its own name."""
        self._put(Annotating.rename, name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """How it went. Of a node that fails, its failure says so."""
        self._put(_judge, status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """The code has met an exception, with which the node need not fail."""
        self._put(Annotating.raised, exception, attributes, timestamp)

    def _put(self, what: Callable[..., object], *given: Any) -> None:
        if self._same is not None:
            self._same._put(what, *given)
        if self._annotating is not None and not self.over:
            self._annotating.put(what, self.number, *given)

    def __repr__(self) -> str:
        return f"Here({self._ids.trace}, {self._ids.of(self.number)})"


def _link(annotating: Annotating, number: int, to: Any, attributes: Any) -> None:
    """Of another span its ids are kept, if they are such: what is none would cost the node's span, where it is sent."""
    if not issubclass_of(type(to), SpanContext):
        return
    trace, span, remote = tuple.__getitem__(to, slice(3))
    if type(trace) is int and type(span) is int:
        plain = SpanContext(trace, span, is_remote=remote is True)
        if plain.is_valid:
            annotating.link(number, plain, attributes)


def _judge(annotating: Annotating, number: int, status: Any, description: Any) -> None:
    if issubclass_of(type(status), Status):
        status, description = status.status_code, status.description
    if type(status) is StatusCode:
        annotating.judge(number, status.name, description)
