"""Code inside a node is told which span it is in, so that spans it makes itself hang under it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token, copy_context
from functools import partial

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import set_span_in_context

from hush.core.protocols import Place
from hush.observability._annotations import Annotating
from hush.observability._ids import NO_IDS, Ids
from hush.observability._otel._here import EMPTY, KEY, Here

_NO_ANNOTATIONS = Annotating(None)


def entering(ids: Ids, annotating: Annotating = _NO_ANNOTATIONS) -> Callable[[], Place]:
    """Makes places in which the span of a node is the current one; what is put on it goes to ``annotating``.

    Whatever makes spans through OpenTelemetry's API takes the current one as their parent: instrumentations of HTTP
    clients and databases, a user's own ``tracer.start_as_current_span``. It is recorded, and exported, by Hush.
    """
    variable = _variable()
    if variable is None:
        return partial(ByAPI, ids, annotating)
    return partial(InVariable, ids, variable, annotating)


class ByAPI:
    """A place, wherever OpenTelemetry keeps its context."""

    def __init__(self, ids: Ids, annotating: Annotating = _NO_ANNOTATIONS) -> None:
        self._ids = ids
        self._annotating = annotating
        self._here = _NOBODY
        self._token: Token[Context] | None = None

    def enter(self, number: int, /) -> None:
        """A call begins."""
        around = get_current()
        self._here = Here(self._ids, number, around, self._annotating)
        self._token = attach(set_span_in_context(self._here, around))

    def leave(self) -> bool:
        """It has ended; whether anybody has asked for its span, or put something on it."""
        token, self._token = self._token, None
        assert token is not None
        detach(token)
        self._here.over = True
        return self._here.number in self._ids.seen or self._here.number in self._annotating.open


class InVariable:
    """A place in the variable that holds OpenTelemetry's context.

    It has one context with one span, for one call after the other, as long as nobody else has kept either of them. Who
    has, such as a task that a call has left behind, must go on to see the span of that call. So whether anybody does is
    known by the counts of references; where there are none that can be relied upon, each call has its own. No other
    thread comes between asking that and going by it: those that have such counts let go at calls only.
    """

    __slots__ = ("_annotated", "_annotating", "_around", "_context", "_here", "_ids", "_token", "_variable")

    def __init__(self, ids: Ids, variable: ContextVar[Context], annotating: Annotating = _NO_ANNOTATIONS) -> None:
        self._ids = ids
        self._annotating = annotating
        self._annotated = annotating.open
        self._variable = variable
        self._around: Context | None = None  # what the context is made of besides; none if there must be a new one
        self._context = EMPTY
        self._here = _NOBODY
        self._token: Token[Context] | None = None

    def enter(self, number: int, /) -> None:
        """A call begins."""
        variable = self._variable
        around = variable.get(EMPTY)
        if around is not self._around:
            self._around = around
            self._here = Here(self._ids, number, around, self._annotating)
            self._context = Context({**around, KEY: self._here})
        self._here.number = number
        self._token = variable.set(self._context)

    def leave(self) -> object:
        """It has ended; whether anybody has asked for its span, or put something on it."""
        token, self._token = self._token, None
        assert token is not None
        self._variable.reset(token)
        here, seen, annotated = self._here, self._ids.seen, self._annotated
        # It is referred to by the context too, and here. What refers to it weakly keeps something under its identity.
        if _references(self._context) != _ALONE or _references(here) != _ALONE + 2 or here.__weakref__ is not None:
            self._around = None
            here.over = True
        return (seen and here.number in seen) or (annotated and here.number in annotated)


_NOBODY = Here(NO_IDS, 0)
_ALONE = 2  # by one attribute, and by the question
_references: Callable[[object], int] = sys.getrefcount


def _counts() -> bool:
    """Whether Python counts references as is relied upon here: that it shows whether somebody has kept a place's."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    place, found = InVariable(NO_IDS, ContextVar("hush")), []
    for keeps in (lambda: None, lambda: place._context, lambda: place._here):
        place.enter(1)
        kept = keeps()
        place.leave()
        found.append(place._around is None)
        del kept
    return found == [False, True, True]


def _unknown(_: object) -> int:
    return 0  # so each call has a context of its own


if not _counts():
    _references = _unknown


def _variable() -> ContextVar[Context] | None:
    """The variable in which OpenTelemetry keeps its context, if it does so: past its API it is half the price."""
    mark = Context({"hush": "mark"})
    token = attach(mark)
    try:
        return next((variable for variable, value in copy_context().items() if value is mark), None)
    finally:
        detach(token)
