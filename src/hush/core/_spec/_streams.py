"""Which maps stream: take the items of the map before them as they come, instead of waiting for its end.

Without an edge between them, ``b`` streams from ``a`` if an ``Each`` of ``b`` names a bare column of ``a``, no other
map takes columns of ``a``, both lie in the same graph, nothing else leads from ``a`` to ``b``, and ``b`` can begin
before ``a`` has ended, or any map that ``a`` streams from. For a map that is streamed from cannot end before its reader
takes its items: a reader that waited for such an end would wait for ever.

What needs what is a graph of instants, for each step its start, its flow (somebody takes what it gives) and its end:

    start needs   the end of each step before it; of one that it streams from only the start
    flow needs    the own start, and the flow of the reader, if one streams from it
    end needs     the own flow, and the end of what it streams from

A stream from ``a`` to ``b`` cannot be if the start of ``b`` needs the end of ``a`` or of what ``a`` streams from. Such
a pair becomes a barrier, and all others are looked at again: the end of ``a`` is then one more thing that ``b`` needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hush.core._expr._model import Read
from hush.core._expr._model import reads as expr_reads
from hush.core._spec._model import METRICS, STAR, GraphSpec, MapSpec
from hush.core._spec._order import order_of
from hush.core._spec._races import writers_by_key
from hush.core._spec._reads import graph_reads

Instant = tuple[str, int]


def streams_of(graph: GraphSpec) -> dict[int, tuple[int, ...]]:
    """For each map of ``graph`` that streams, by number, the maps that it streams from."""
    found: dict[int, tuple[int, ...]] | None = graph.memo.get("streams")
    if found is None:
        found = graph.memo["streams"] = _found(graph)
    return found


def columns_taken(step: MapSpec, source: str) -> tuple[str, ...]:
    """The bare columns of the map ``source`` that the ``Each`` inputs of ``step`` name."""
    bare = [one.source for one in step.each if isinstance(one.source, Read)]
    return tuple([read.key for read in bare if read.source == (0, source) and read.key != METRICS])


def why_barrier(graph: GraphSpec, before: int, after: int) -> str:
    """Why the map ``after``, an ``Each`` of which reads the map ``before``, waits for its end, in a few words."""
    order, reads = order_of(graph), graph_reads(graph)
    writer, reader = graph.steps[before], graph.steps[after]
    if before in order.edges[after] or before in order.soft[after]:
        return "an edge joins them" if before in order.edges[after] else "a soft edge joins them"
    takers = _takers(graph).get(writer.name, set())
    if len(takers) > 1:
        return f"{len(takers)} maps read columns of {writer.name}"
    streams_of(graph)
    via: int | None = graph.memo.get("barriers", {}).get((before, after))
    if via is not None and via == before:
        return f"{reader.name} reads what {writer.name} writes to PARENT"
    if via is not None:
        return f"{reader.name} also waits for the end of {graph.steps[via].name}"
    assert isinstance(reader, MapSpec)
    each = {one.name: one.source for one in reader.each}
    for name, read in reads[after]:
        if read.source == (0, writer.name) and (name not in each or read.key == METRICS):
            return f'{reader.name} also reads {writer.name}["{read.key}"]'
    for source in each.values():
        if not isinstance(source, Read) and any(read.source == (0, writer.name) for read in expr_reads(source)):
            return "the column is worked on first"
    return ""


def _found(graph: GraphSpec) -> dict[int, tuple[int, ...]]:
    if sum(isinstance(step, MapSpec) for step in graph.steps) < 2:
        return {}
    order = order_of(graph)
    if len(order.topological) < len(graph.steps):
        return {}  # a circle: told elsewhere, and never run
    pairs = dict.fromkeys(_candidates(graph))
    if not pairs:
        return {}
    needs = _Needs(graph, pairs)
    place = {step: at for at, step in enumerate(order.topological)}
    changed = True
    while changed:
        changed = False
        for pair in sorted(pairs, key=lambda pair: (place[pair[1]], place[pair[0]])):
            via = needs.forbid(pair)
            if via is not None:
                del pairs[pair]
                graph.memo.setdefault("barriers", {})[pair] = via
                changed = True
                break
    streams: dict[int, tuple[int, ...]] = {}
    for before, after in pairs:
        streams[after] = (*streams.get(after, ()), before)
    return streams


def _candidates(graph: GraphSpec) -> Iterator[tuple[int, int]]:
    """The pairs of maps of which the second takes bare columns of the first, and nothing else joins them directly."""
    order, reads = order_of(graph), graph_reads(graph)
    for name, who in _takers(graph).items():
        number = order.index[name]
        if len(who) != 1 or not isinstance(graph.steps[number], MapSpec):
            continue
        (taker,) = who
        step = graph.steps[taker]
        if number in order.edges[taker] or number in order.soft[taker] or not isinstance(step, MapSpec):
            continue
        every = [read for _, read in reads[taker] if read.source == (0, name)]
        if len(every) == len(columns_taken(step, name)):  # and so none of them is read otherwise
            yield number, taker


def _takers(graph: GraphSpec) -> dict[str, set[int]]:
    """The maps that read outputs of each step, whole or by item."""
    found: dict[str, set[int]] = {}
    for number, step in enumerate(graph.steps):
        if isinstance(step, MapSpec):
            for _, read in graph_reads(graph)[number]:
                if not read.source.up and read.source.step is not None and read.key != METRICS:
                    found.setdefault(read.source.step, set()).add(number)
    return found


class _Needs:
    """The graph of instants, as far as the pairs that still stream say."""

    def __init__(self, graph: GraphSpec, pairs: dict[tuple[int, int], None]) -> None:
        order = order_of(graph)
        self._before = order.before
        self._soft = order.soft
        self._pairs = pairs
        self._written = _written_before(graph, pairs)

    def forbid(self, pair: tuple[int, int]) -> int | None:
        """The step for whose end the reader of ``pair`` would wait for ever if this were a stream, if there is one."""
        writer, reader = pair
        ends = {("end", one) for one in (writer, *_upstream(writer, self._pairs))}
        seen: set[Instant] = set()
        for first in self._of(("start", reader)):
            todo: list[Instant] = [first]
            while todo:
                instant = todo.pop()
                if instant in ends:
                    return first[1]
                if instant not in seen:
                    seen.add(instant)
                    todo += self._of(instant)
        return None

    def _of(self, instant: Instant) -> Iterator[Instant]:
        kind, step = instant
        if kind == "start":
            for before in (*self._before[step], *self._soft[step]):
                yield ("start" if (before, step) in self._pairs else "end"), before
            for before in self._written.get(step, ()):
                yield "end", before
        elif kind == "flow":
            yield "start", step
            for before, after in self._pairs:
                if before == step:
                    yield "flow", after
        else:
            yield "flow", step
            for before, after in self._pairs:
                if after == step:
                    yield "end", before


def _written_before(graph: GraphSpec, pairs: Collection[tuple[int, int]]) -> dict[int, set[int]]:
    """For each map that may stream, the maps upstream of it that may write a key of ``PARENT`` that it reads."""
    found: dict[int, set[int]] = {}
    reads, by_key = graph_reads(graph), writers_by_key(graph)
    stars = {number for number, step in enumerate(graph.steps) if any(write.key == STAR for write in step.writes)}
    for _, reader in pairs:
        keys = {read.key for _, read in reads[reader] if not read.source.up and read.source.step is None}
        writers = stars.union(*(by_key.get(key, ()) for key in keys)) if keys else set[int]()
        if writing := writers & _upstream(reader, pairs):
            found[reader] = writing
    return found


def _upstream(reader: int, pairs: Collection[tuple[int, int]]) -> set[int]:
    """The maps that ``reader`` streams from, and those that they stream from, and so on."""
    found: set[int] = set()
    todo = [reader]
    while todo:
        at = todo.pop()
        for before, after in pairs:
            if after == at and before not in found:
                found.add(before)
                todo.append(before)
    return found
