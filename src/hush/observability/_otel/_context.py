"""Code inside a node is told which span it is in, so that spans it makes itself hang under it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def entered(trace: str, span: str) -> Callable[[], None]:
    """Make ``span`` the current one of this context; what is given back undoes that, in the same context.

    Whatever makes spans through OpenTelemetry's API takes the current one as their parent: instrumentations of HTTP
    clients and databases, a user's own ``tracer.start_as_current_span``. Only the parent's ids are known there; it is
    recorded, and exported, by Hush.
    """
    context = SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=_SAMPLED)
    return partial(detach, attach(set_span_in_context(NonRecordingSpan(context))))
