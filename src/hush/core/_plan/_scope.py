"""``Scope``: the slots of one graph while it is compiled, and who reads them."""

from __future__ import annotations

from typing import Any

from hush.core._expr._model import Read, reads
from hush.core._plan._bind import Place, Resolve
from hush.core._plan._model import SKIPPED, Copy, Reader, Slots
from hush.core._spec._arms import arms_of
from hush.core._spec._model import ERROR, GraphSpec, MapSpec, Source
from hush.core._spec._order import order_of
from hush.core._spec._races import Writers
from hush.core._spec._reads import graph_reads, is_optional, parent_reads, strict_sources
from hush.core._spec._streams import streams_of
from hush.core.errors import missing_key


class Scope:
    """Gives numbers to what the steps of a graph read: inputs of the container, outer values, outputs of steps.

    Attributes:
        around: The graphs around this one, from outside in.
        streams: For each map that streams, the maps that it takes items of while they run.
        streamed_by: The other way round: the map that takes the items of a map.
        inputs: The slot of each input of the container that is read.
        imports: The slot of each value read from the graphs around, by the read as it looks one level out.
        captures: For each step, the slot of each of its outputs that is read.
        readers: For each slot, the steps that read it.
        named: The steps whose ``error`` somebody names.
        handled: Which steps the graph goes on without, should they fail.
        goes_on: Whether there is any such step, a branch or a soft edge: without them nothing is ever skipped.
        may_skip: Which steps may be skipped.
        writers: Who writes to ``PARENT``; ``None`` if nobody does.
    """

    def __init__(self, graph: GraphSpec, around: tuple[GraphSpec, ...] = ()) -> None:
        self.graph = graph
        self.around = around
        self.order = order_of(graph)
        self.streams = streams_of(graph)
        self.streamed_by = {before: after for after, befores in self.streams.items() for before in befores}
        self.template: Slots = [None]
        self.inputs: dict[str, int] = {}
        self.imports: dict[tuple[Source, str], int] = {}
        self.captures: list[dict[str, int]] = [{} for _ in graph.steps]
        self.readers: dict[int, dict[int, None]] = {}
        self._hard: set[int] = set()
        self._channels: dict[int, int] = {}
        self.with_defaults = {read.key for step, name, read in parent_reads(graph) if is_optional(step, name)}
        self.named = self._named()
        self.handled = [
            not isinstance(step, MapSpec)
            and (step.on_error == "collect" or (step.on_error is None and step.name in self.named))
            for step in graph.steps
        ]
        self.chosen_by = arms_of(graph).chosen_by
        self.goes_on = any(self.handled) or any(self.chosen_by) or any(self.order.soft)
        self.may_skip = self._may_skip() if self.goes_on else [False] * len(graph.steps)
        self.writers = Writers(graph, self.order) if any(step.writes for step in graph.steps) else None

    # --- slots --------------------------------------------------------------------------------------------
    def resolver(self, step: int, *, optional: bool = False, default: bool = False) -> Resolve:
        """How reads in the inputs of ``step`` find their values.

        ``optional`` ones may be missing; for others a ``default`` may stand in where nobody wrote them.
        """
        return lambda read: self.place(step, read, optional=optional, default=default)

    def place(self, step: int, read: Read, *, optional: bool = False, default: bool = False) -> Place:
        """The slot that ``read`` looks into, noting that ``step`` reads it."""
        up, source = read.source
        if up:
            slot = self._slot(self.imports, (Source(up - 1, source), read.key))
            self._note(slot, step)
            return Place(slot, maybe=True)
        if source is None:
            slot = self._slot(self.inputs, read.key)
            self._note(slot, step)
            if self.writers is not None and self.writers.may_precede(step, read.key):
                owner = "" if default or optional or self._may_be_unwritten(step, read.key) else self.graph.name
                return Place(slot, maybe=True, reader=_written_reader(read.key, slot, owner))
            return Place(slot, maybe=read.key in self.with_defaults)
        number = self.order.index[source]
        slot = self._slot(self.captures[number], read.key)
        self._note(slot, step)
        if not optional:
            self._hard.add(slot)
        return Place(slot, maybe=optional or self.may_skip[number] or number in self.order.soft[step])

    def constant(self, value: Any) -> int:
        """The slot of a literal: it is there from the first, and nobody empties it."""
        self.template.append(value)
        return len(self.template) - 1

    def channel(self, writer: int, *, reader: int | None = None) -> int:
        """The slot of the channel by which the items of a map come to the one that streams from it."""
        slot = self._slot(self._channels, writer)
        if reader is not None:
            self._note(slot, reader)
        return slot

    def before_all(self, read: Read) -> Place:
        """The slot that ``read`` looks into before any step of the graph runs: of an input, or of an outer value."""
        up, source = read.source
        if up:
            return Place(self._slot(self.imports, (Source(up - 1, source), read.key)), maybe=True)
        return Place(self._slot(self.inputs, read.key), maybe=True)

    def copies(self, step: int) -> tuple[tuple[Copy, ...], tuple[Copy, ...]]:
        """The captures of ``step`` that must be there, and those that may be missing."""
        found = self.captures[step]
        if not found:
            return (), ()
        hard: list[Copy] = []
        optional: list[Copy] = []
        for key, slot in found.items():
            (hard if slot in self._hard else optional).append(Copy(key, slot))
        return tuple(hard), tuple(optional)

    def _may_be_unwritten(self, step: int, key: str) -> bool:
        """Whether ``key`` may rightly be unwritten when ``step`` reads it: because its writers were skipped."""
        assert self.writers is not None
        before = [one for one in (*self.writers.by_key.get(key, ()), *self.writers.hidden) if one != step]
        return any(self.may_skip[one] for one in before if self.writers.ordered(step, one))

    def _slot(self, table: dict[Any, int], key: object) -> int:
        slot = table.get(key)
        if slot is None:
            slot = table[key] = len(self.template)
            self.template.append(SKIPPED)
        return slot

    def _note(self, slot: int, step: int) -> None:
        readers = self.readers.get(slot)
        if readers is None:
            self.readers[slot] = {step: None}
        else:
            readers[step] = None

    # --- failing and skipping -----------------------------------------------------------------------------
    def _named(self) -> set[str | None]:
        named: set[str | None] = set()
        for step, step_reads in zip(self.graph.steps, graph_reads(self.graph), strict=True):
            for _, read in step_reads:
                if read.key == ERROR and not read.source.up:
                    named.add(read.source.step)
            for write in step.writes:
                if write.expr is not None and any(read.key == ERROR for read in reads(write.expr)):
                    named.add(step.name)
        return named

    def _may_skip(self) -> list[bool]:
        steps, order = self.graph.steps, self.order
        found = [False] * len(steps)
        starts = {order.index[name] for name in self.graph.starts or ()}
        for number in order.topological:
            edges = (*order.edges[number], *order.soft[number])
            if self.chosen_by[number]:
                found[number] = True
            elif edges or number in starts:
                found[number] = number not in starts and all(found[before] for before in edges)
            else:
                found[number] = any(found[before] for before in self.unforgiven(number))
            if not found[number]:
                found[number] = any(self.handled[before] for before in self.blocking(number))
        return found

    def deciding(self, number: int) -> tuple[int, ...]:
        """The steps whose edges decide whether ``number`` runs, but for its soft ones."""
        return tuple(self.chosen_by[number]) or self.order.edges[number]

    def unforgiven(self, number: int) -> set[int]:
        """The steps that ``number`` refers to and cannot do without."""
        names = strict_sources(self.graph.steps[number], graph_reads(self.graph)[number])
        return {self.order.index[name] for name in names}

    def blocking(self, number: int) -> set[int]:
        """The steps whose other outputs ``number`` reads without naming their ``error``."""
        found: dict[bool, set[int]] = {True: set(), False: set()}
        for _, read in graph_reads(self.graph)[number]:
            if read.source.step is not None and not read.source.up:
                found[read.key == ERROR].add(self.order.index[read.source.step])
        return found[False] - found[True]


def _written_reader(key: str, slot: int, owner: str) -> Reader:
    """Reads what was written under ``key``, else what the container was given; ``owner`` if one of them must be."""

    def read(slots: Slots) -> Any:
        written = slots[0]
        if key in written:
            return written[key]
        value = slots[slot]
        if value is SKIPPED and owner:
            raise missing_key(f"PARENT (the graph {owner!r})", key, written)
        return value

    return read
