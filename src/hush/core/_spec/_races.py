"""Races for a container's keys: two writers, or a reader and a writer, of which neither comes first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hush.core._expr._where import Where
from hush.core._spec._arms import arms_of
from hush.core._spec._keys import known_keys
from hush.core._spec._model import EVERYTHING, NEVER_STARRED, STAR, Fault, GraphSpec
from hush.core._spec._order import Order, ancestor_masks, order_of
from hush.core._spec._reads import parent_reads


def writers_by_key(graph: GraphSpec) -> dict[str, dict[int, Where]]:
    """For each key, the steps that are known to write it."""
    found: dict[str, dict[int, Where]] = {}
    for number, step in enumerate(graph.steps):
        for write in step.writes:
            if write.key == EVERYTHING:
                continue  # of a node alone, which meets nobody
            keys = (write.key,) if write.key != STAR else (known_keys(step) or frozenset()) - NEVER_STARRED
            for key in sorted(keys):
                found.setdefault(key, {}).setdefault(number, write.where)
    return found


def readers_by_key(graph: GraphSpec, order: Order) -> dict[str, dict[int, Where]]:
    """For each key of ``PARENT``, the steps that read it."""
    found: dict[str, dict[int, Where]] = {}
    for step, _, read in parent_reads(graph):
        found.setdefault(read.key, {}).setdefault(order.index[step.name], read.where)
    return found


def races(graph: GraphSpec, order: Order) -> Iterator[tuple[int, Fault]]:
    """Each race: the later step, and what is wrong.

    Mostly the writers of one key stand in a line, each after the one before it in topological order; a reader then
    has a place in that line if it comes after the writer before it and before the writer behind it. Where they do
    not, because some lie on different arms of a branch, each pair is looked at.
    """
    writers = writers_by_key(graph)
    readers = readers_by_key(graph, order) if writers else {}
    contested = {key: steps for key, steps in writers.items() if len(steps) > 1 or key in readers}
    if not contested:
        return
    apart = arms_of(graph).apart
    members = {step for key in contested for step in (*writers[key], *readers.get(key, ()))}
    bits, masks = ancestor_masks(order, sorted(members), apart)
    place = {step: at for at, step in enumerate(order.topological)}

    def ordered(first: int, then: int) -> bool:
        return bool(masks[then] & bits[first])

    def races_with(one: int, other: int) -> bool:
        return not (ordered(one, other) or ordered(other, one) or apart(one, other))

    for key, found in contested.items():
        line = sorted((step for step in found if step in place), key=place.__getitem__)
        straight = all(ordered(first, then) for first, then in pairwise(line))
        if not straight:
            for at, then in enumerate(line):
                rival = next((first for first in reversed(line[:at]) if races_with(first, then)), None)
                if rival is not None:
                    yield then, _fault(graph, order, key, rival, then, "both write", found[then])
        for reader, where in readers.get(key, {}).items():
            if reader not in place or reader in found:
                continue
            near = line
            if straight:
                near = [step for step in line if place[step] < place[reader]][-1:]
                near += [step for step in line if place[step] > place[reader]][:1]
            rival = next((writer for writer in near if races_with(writer, reader)), None)
            if rival is not None:
                yield reader, _fault(graph, order, key, rival, reader, "write and read", where)


def _fault(graph: GraphSpec, order: Order, key: str, first: int, then: int, what: str, where: Where) -> Fault:
    one, two = graph.steps[first].name, graph.steps[then].name
    # A soft edge is no order, but the hard one must not go against it: that would be a circle.
    mend = f"{two} >> {one}" if first in order.reached_from([then]) else f"{one} >> {two}"
    return Fault(
        f'{one} and {two} {what} PARENT["{key}"], and neither comes first',
        f"Put them in order: {mend}; or use two keys.",
        where,
    )


class Writers:
    """Who writes the keys of a graph, and who of them comes before a step.

    Attributes:
        hidden: The steps whose ``"*"`` writes keys that are not known.
    """

    __slots__ = ("_apart", "_bits", "_masks", "by_key", "hidden")

    def __init__(self, graph: GraphSpec, order: Order) -> None:
        self.by_key = writers_by_key(graph)
        self.hidden = [
            number
            for number, step in enumerate(graph.steps)
            if any(write.key == STAR for write in step.writes) and known_keys(step) is None
        ]
        members = {*self.hidden, *(step for steps in self.by_key.values() for step in steps)}
        if self.hidden:
            # Which keys it writes shows at run time; it must know then which readers came before.
            members.update(order.index[step.name] for step, _, _ in parent_reads(graph))
        self._apart = arms_of(graph).apart
        self._bits, self._masks = ancestor_masks(order, sorted(members), self._apart)

    def may_precede(self, step: int, key: str) -> bool:
        """Whether some step before ``step`` may write ``key``."""
        mask = self._masks[step]
        return any(mask & self._bits[writer] for writer in (*self.by_key.get(key, ()), *self.hidden))

    def ordered(self, step: int, writer: int) -> bool:
        """Whether ``step`` and ``writer`` come one after the other, whichever is first."""
        after = self._masks[step] & self._bits[writer]
        return bool(after) or (step in self._bits and bool(self._masks[writer] & self._bits[step]))

    def never_meet(self, step: int, writer: int) -> bool:
        """Whether ``step`` and ``writer`` cannot run at the same time: in order, or on different arms of a branch."""
        return self.ordered(step, writer) or self._apart(step, writer)


def needed_keys(graph: GraphSpec) -> list[str]:
    """The keys of ``PARENT`` that ``graph`` wants from outside: some step reads them before any could have written."""
    read = parent_reads(graph)
    if not any(step.writes for step in graph.steps):
        return list(dict.fromkeys(one.key for _, _, one in read))
    order = order_of(graph)
    writers = Writers(graph, order)
    return list(
        dict.fromkeys(one.key for step, _, one in read if not writers.may_precede(order.index[step.name], one.key))
    )
