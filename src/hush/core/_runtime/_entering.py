"""Calls, and sources, before which tracers prepare the context, so that code in them knows where it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, TypeAlias

from hush.core.events import Event
from hush.core.protocols import Place

Leave: TypeAlias = "Callable[[], object]"
Enter: TypeAlias = "Callable[[Any], Leave]"
"""Sets context variables, and gives what undoes that."""


class Entered:
    """A call before which each tracer prepares the context; it is made in a copy of its own."""

    __slots__ = ("_call", "_enters", "_event")

    def __init__(self, enters: Sequence[Enter], event: Event, call: Any) -> None:
        self._enters = enters
        self._event = event
        self._call: Any = call

    def __call__(self) -> Any:
        leaves = [enter(self._event) for enter in self._enters]
        call, self._call = self._call, None  # a failure that is kept must not keep what it was called with
        goes_on: Any = None
        try:
            out = call()
            if type(out) is not dict and hasattr(out, "__await__"):
                out = goes_on = within(self._enters, self._event, out)
        finally:
            if goes_on is None:  # else what it is in is that of tasks too that the call may have begun
                for leave in reversed(leaves):
                    leave()
        return out


async def within(enters: Sequence[Enter], event: Event, awaitable: Awaitable[Any]) -> Any:
    """Await in this task what tracers prepare its context for; afterwards its variables are as they were."""
    leaves = [enter(event) for enter in enters]
    try:
        return await awaitable
    finally:
        del awaitable
        for leave in reversed(leaves):
            leave()


class Around:
    """The span of a node around code that is its own and no call of it: what goes through the sources of a map."""

    __slots__ = ("_enters", "_event")

    def __init__(self, enters: Sequence[Enter], event: Event) -> None:
        self._enters = enters
        self._event = event

    def context(self) -> Context:
        """A copy of this context that each tracer has prepared."""
        found = copy_context()
        for enter in self._enters:
            found.run(enter, self._event)
        return found

    def within(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        """``awaitable``, awaited in this task in what each tracer has prepared."""
        return within(self._enters, self._event, awaitable)


class ByEvent:
    """The place of calls, for a tracer that has none of its own: each is told to it as an event."""

    __slots__ = ("_enter", "_event", "_leave")

    def __init__(self, enter: Enter, event: Callable[[], Event]) -> None:
        self._enter = enter
        self._event = event
        self._leave: Leave | None = None

    def enter(self, number: int) -> None:
        """The call that the event is of begins."""
        self._leave = self._enter(self._event())

    def leave(self) -> None:
        """It has ended."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class Places:
    """The places of several tracers, entered one after the other, and left in the opposite order."""

    __slots__ = ("_places",)

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    def enter(self, number: int) -> None:
        """A call begins."""
        for place in self._places:
            place.enter(number)

    def leave(self) -> bool:
        """It has ended."""
        seen = False
        for place in reversed(self._places):
            seen = bool(place.leave()) or seen
        return seen


def place_in(tracers: Sequence[Any], event: Callable[[], Event]) -> Place:
    """That of calls, one after the other; to those that have no places of their own each is told as an ``event``."""
    places = [tracer.place() if hasattr(tracer, "place") else ByEvent(tracer.enter, event) for tracer in tracers]
    return places[0] if len(places) == 1 else Places(places)
