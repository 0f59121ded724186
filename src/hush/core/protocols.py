"""The seams: what Hush expects of objects that others bring, and the one slot that joins nodes to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from hush.core.events import Event

__all__ = ("Tracer", "run_alone")


@runtime_checkable
class Tracer(Protocol):
    """Whatever is told of a run.

    ``emit`` is called in the order of events, on the loop's thread, and must not block. A tracer that raises is
    dropped for the rest of the run and logged once; the run goes on.
    """

    def emit(self, event: Event, /) -> None:
        """Take one event."""
        ...


class _RunAlone:
    """The slot that the engine fills, so that ``node(x=1)`` can run without nodes knowing the engine."""

    __slots__ = ("call",)

    def __init__(self) -> None:
        self.call: Callable[[Any, Mapping[str, Any]], dict[str, Any]] | None = None

    def __call__(self, node: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.call is None:
            from importlib import import_module

            import_module("hush.core._engine")  # fills the slot
        assert self.call is not None
        return self.call(node, inputs)


run_alone = _RunAlone()


kept_open: set[str] = set()
"""The files that Hush keeps open between runs, as a cache does: they, and those beside them, are no leaks."""

guard_codes: set[Any] = set()
"""The code of the async generators that stand guard over what is open on a loop, and end with it: no leaks either."""
