"""Code inside a node is told which span it is in, so that spans it makes itself hang under it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token, copy_context
from functools import partial

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from hush.observability._ids import Ids

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_EMPTY = Context()
(_KEY,) = set_span_in_context(INVALID_SPAN, _EMPTY)  # under which a context has its span


class Here(NonRecordingSpan):
    """The span of a node, of which only the ids are known here: they are made when somebody asks, as few nodes do."""

    __slots__ = ("_ids", "number")
    __weakref__: object  # which every span has

    def __init__(self, ids: Ids, number: int) -> None:
        self._ids = ids
        self.number = number

    def get_span_context(self) -> SpanContext:
        """The ids."""
        trace, span = int(self._ids.trace, 16), int(self._ids.of(self.number), 16)
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


class Place:
    """A context with its span, used for one call after the other, as long as nobody else has kept either of them.

    Who has, such as a task that a call has left behind, must go on to see the span of that call. So whether anybody
    does is known by the counts of references; where there are none that can be relied upon, each call has its own.
    No other thread comes between asking ``free`` and taking from it: those that have such counts let go at calls only.
    """

    __slots__ = ("_free", "_variable", "context", "here", "token")

    def __init__(self, ids: Ids, variable: ContextVar[Context], free: list[Place]) -> None:
        self._variable = variable
        self._free = free
        self.here = Here(ids, 0)
        self.context = Context({_KEY: self.here})
        self.token: Token[Context] | None = None

    def leave(self) -> None:
        """The call has ended."""
        token, self.token = self.token, None
        assert token is not None
        self._variable.reset(token)
        here = self.here
        # It is referred to by the context too, and here. What refers to it weakly keeps something under its identity.
        if _references(self.context) == _ALONE and _references(here) == _ALONE + 2 and here.__weakref__ is None:
            self._free.append(self)


def _by_variable(ids: Ids, variable: ContextVar[Context]) -> Callable[[int], Callable[[], object]]:
    free: list[Place] = []

    def enter(number: int) -> Callable[[], object]:
        around = variable.get(_EMPTY)
        if around:
            here = Context({**around, _KEY: Here(ids, number)})
            return partial(variable.reset, variable.set(here))
        place = free.pop() if free else Place(ids, variable, free)
        place.here.number = number
        place.token = variable.set(place.context)
        return place.leave

    return enter


def _references_of() -> Callable[[object], int]:
    """How often an object is referred to, the question included; always 0 where Python does not count exactly."""
    counts = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
    return sys.getrefcount if counts else lambda _: 0


_references = _references_of()
_ALONE = 2  # by one attribute, and by the question


def _variable() -> ContextVar[Context] | None:
    """The variable in which OpenTelemetry keeps its context, if it does so: past its API it is half the price."""
    mark = Context({"hush": "mark"})
    token = attach(mark)
    try:
        return next((variable for variable, value in copy_context().items() if value is mark), None)
    finally:
        detach(token)
