"""Calls before which tracers prepare the context, so that code in them knows where it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from hush.core.events import Event

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
        for enter in self._enters:
            enter(self._event)
        call, self._call = self._call, None  # a failure that is kept must not keep what it was called with
        out = call()
        if type(out) is not dict and hasattr(out, "__await__"):
            return within(self._enters, self._event, out)
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


def all_of(enters: Sequence[Enter]) -> Enter:
    """One that enters them all, and leaves them in the opposite order."""
    if len(enters) == 1:
        return enters[0]

    def enter(what: Any) -> Leave:
        leaves = [each(what) for each in enters]

        def leave() -> None:
            for each in reversed(leaves):
                each()

        return leave

    return enter
