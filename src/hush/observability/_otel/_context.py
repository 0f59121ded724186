"""Code inside a node is told which span it is in, so that spans it makes itself hang under it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from hush.observability._ids import Ids

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_EMPTY = Context()
(_KEY,) = set_span_in_context(INVALID_SPAN, _EMPTY)  # under which a context has its span


class Here(NonRecordingSpan):
    """The span of a node, of which only the ids are known here: they are made when somebody asks, as few nodes do."""

    def __init__(self, ids: Ids, number: int) -> None:
        self._ids = ids
        self._number = number

    def get_span_context(self) -> SpanContext:
        """The ids."""
        trace, span = int(self._ids.trace, 16), int(self._ids.of(self._number), 16)
        return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)

    def __repr__(self) -> str:
        return f"Here({self.get_span_context()!r})"


def entering(ids: Ids) -> Callable[[int], Callable[[], object]]:
    """Gives what makes the span with a number the current one of a context; what that gives undoes it, there.

    Whatever makes spans through OpenTelemetry's API takes the current one as their parent: instrumentations of HTTP
    clients and databases, a user's own ``tracer.start_as_current_span``. It is recorded, and exported, by Hush.
    """
    variable = _variable()
    return by_api(ids) if variable is None else _by_variable(ids, variable)


def by_api(ids: Ids) -> Callable[[int], Callable[[], object]]:
    """``entering``, wherever OpenTelemetry keeps its context."""

    def enter(number: int) -> Callable[[], object]:
        return partial(detach, attach(set_span_in_context(Here(ids, number))))

    return enter


def _by_variable(ids: Ids, variable: ContextVar[Context]) -> Callable[[int], Callable[[], object]]:
    def enter(number: int) -> Callable[[], object]:
        around = variable.get(_EMPTY)
        context = Context({**around, _KEY: Here(ids, number)} if around else {_KEY: Here(ids, number)})
        return partial(variable.reset, variable.set(context))

    return enter


def _variable() -> ContextVar[Context] | None:
    """The variable in which OpenTelemetry keeps its context, if it does so: past its API it is half the price."""
    mark = Context({"hush": "mark"})
    token = attach(mark)
    try:
        return next((variable for variable, value in copy_context().items() if value is mark), None)
    finally:
        detach(token)
