"""``Recorder``: a tracer that keeps events, and shows them without what differs from run to run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hush.core.events import Event, MapProgressed
from hush.testing._loop import VirtualLoop

# Fields that say where and when: they stand at their own place in a line, or in no line.
_PLACE = frozenset({"run", "path", "item", "outer", "at_ns", "wall_ns", "seconds", "rate_per_s", "result"})


class Recorder:
    """A tracer that keeps every event: ``engine.run(tracer=recorder)``. One may listen to many runs.

    ``events`` has them as they came. ``masked()`` and ``lines()`` show them without what differs from run to run, so
    that two runs can be compared, or one with what a test expects. Where several things happen at once the order of
    events is that of the run: in virtual time the seed decides it, elsewhere compare ``sorted(recorder.lines())``.

    Attributes:
        events: Every event, in the order it was told.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._at_ns: list[int] = []
        self._loops: dict[str, VirtualLoop] = {}

    def emit(self, event: Event, /) -> None:
        """Take one event; the engine calls this."""
        self.events.append(event)
        self._at_ns.append(self._virtual_ns(event))

    def clear(self) -> None:
        """Forget what was recorded."""
        self.events.clear()
        self._at_ns.clear()
        self._loops.clear()

    def of(self, *kinds: type) -> list[Any]:
        """The events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    def masked(self, *kinds: type) -> list[Any]:
        """The events of these kinds, or all, as they would be in every equal run.

        Times are those of a virtual loop, and 0 elsewhere; runs are called ``"run-1"``, ``"run-2"``, … in order of
        their first event; an exception, also in a result, is the text ``"ValueError: no such city"``, and what a map
        measured (``latency_…`` in its ``iteration_metrics``) is 0. How often a map tells how far it is depends on the
        clock, so ``MapProgressed`` is there in virtual time only; so are rates, which are 0 elsewhere. Events stay the
        tuples they are.
        """
        names: dict[str, str] = {}
        found: list[Any] = []
        for event, at_ns in zip(self.events, self._at_ns, strict=True):
            run = names.setdefault(event.run, f"run-{len(names) + 1}")
            virtual = event.run in self._loops
            if (not kinds or isinstance(event, kinds)) and (virtual or not isinstance(event, MapProgressed)):
                found.append(_masked_event(event, run, at_ns, virtual=virtual))
        return found

    def lines(self, *kinds: type) -> list[str]:
        """``masked(*kinds)`` as text, a line for each event, to be read and compared.

        A line has the kind, the path with the item's index, and what else the event tells:
        ``"NodeFailed shop/each/fetch[3] error=ValueError: no such city"``. In virtual time it begins with the second
        at which it came. Runs are named where there are several.
        """
        several = len({event.run for event in self.events}) > 1
        return [_line(event, several, virtual=bool(self._loops)) for event in self.masked(*kinds)]

    def _virtual_ns(self, event: Event) -> int:
        loop = self._loops.get(event.run)
        if loop is None:
            try:
                running = asyncio.get_running_loop()
            except RuntimeError:
                return 0
            if not isinstance(running, VirtualLoop):
                return 0
            loop = self._loops[event.run] = running
        return round(loop.time() * 1e9)


def _masked_event(event: Any, run: str, at_ns: int, *, virtual: bool) -> Any:
    changed: dict[str, Any] = {}
    for field, value in zip(event._fields, event, strict=True):
        if field == "run":
            changed[field] = run
        elif field == "at_ns":
            changed[field] = at_ns
        elif field.endswith("_ns") and value is not None:
            changed[field] = 0
        elif field == "seconds" or (field == "rate_per_s" and not virtual):
            changed[field] = 0.0
        else:
            changed[field] = _masked(value)
    return event._replace(**changed)


def _masked(value: Any) -> Any:
    if isinstance(value, BaseExceptionGroup):
        return f"{type(value).__name__}: {[_masked(each) for each in value.exceptions]}"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, Mapping):
        return {key: 0 if str(key).startswith("latency_") else _masked(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_masked(each) for each in value)
    return value


def _line(event: Any, several: bool, *, virtual: bool) -> str:
    at = f"{event.at_ns / 1e9:g} s " if virtual else ""
    run = f" {event.run}" if several else ""
    items = "".join(f"[{index}]" for index in (*event.outer, event.item) if index is not None)
    more = [
        f" {field}={value}"
        for field, value in zip(event._fields, event, strict=True)
        if field not in _PLACE and value is not None and value is not False and value != ()
    ]
    words = "".join(more).replace("\n", " ")
    return f"{at}{type(event).__name__}{run} {event.path}{items}{words}"
