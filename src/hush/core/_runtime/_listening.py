"""Who listens to a run: what ``tracer=`` was given, and what the engine itself puts beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hush.core.errors import UsageError
from hush.core.protocols import Tracer

if TYPE_CHECKING:
    from hush.core.events import Event


class Listener:
    """A tracer of the engine's own, which may also hold the run back."""

    tracing: Any  # the run's ``Tracing``

    def attach(self, tracing: Any, run: Any) -> None:
        """The run begins."""
        self.tracing = tracing

    def emit(self, event: Event, /) -> None:
        raise AssertionError("each listener takes events in its own way")


def tracers_of(tracer: Any) -> list[Tracer]:
    """The tracers that ``tracer=`` was given, one or a list."""
    if tracer is None:
        return []
    found = list(tracer) if isinstance(tracer, list | tuple) else [tracer]
    for one in found:
        if isinstance(one, type) or not callable(getattr(one, "emit", None)):
            raise UsageError(f"tracer={one!r}: a tracer is an object with a method emit(event).")
    if len({id(one) for one in found}) < len(found):
        raise UsageError("tracer=[...]: one of them is there twice, and would be told everything twice.")
    return found
