"""``UnderWay``: a span whose end has not come yet, and what has been heard of it until now."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from hush.observability._sampling import ItemSampler
from hush.observability._span import Failure, Generation, Kind, Span, Status, Wait


def trace_id(run: str, path: str, wall_ns: int, at_ns: int) -> str:
    """The id of a run's trace: made of what no two runs have in common, however they are called."""
    return blake2b(f"{run}\0{path}\0{wall_ns}\0{at_ns}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


_STEP = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: steps of it are spread evenly, and come back after 2**64


class Ids:
    """Ids of the spans of one trace, in order: whoever counts the same starts of nodes gets the same ids for them.

    Args:
        trace: The trace's id.
        nodes: Whether they are for calls of nodes, which are told from all other spans.
    """

    __slots__ = ("_last",)

    def __init__(self, trace: str, *, nodes: bool) -> None:
        self._last = int(trace[:16] if nodes else trace[16:], 16)

    def next(self) -> str:
        """The next id: 16 hexadecimal digits, not all of them 0."""
        last = self._last = (self._last + _STEP) & 0xFFFFFFFFFFFFFFFF
        return f"{last or 1:016x}"

    def following(self) -> str:
        """What ``next`` will give."""
        return f"{((self._last + _STEP) & 0xFFFFFFFFFFFFFFFF) or 1:016x}"


NO_IDS = Ids("0" * 32, nodes=True)


class Try(NamedTuple):
    """One attempt of a node: when it began and ended, whom it asked, and what it failed with."""

    number: int
    began_ns: int
    ended_ns: int | None = None
    failure: Failure | None = None
    resource: str | None = None


class UnderWay:
    """A span on its way. Times are the run's monotonic ones.

    Attributes:
        around: The span around it.
        inside: Those in it that are under way, by identity.
        readies: When the nodes in it became ready that have not begun.
        held: Of an item: the spans in it that have ended, until it is known whether they are kept.
        erred: Of an item: whether something in it failed; of a round: whether it failed itself.
        sampler: Of a map.
        told: Whether a live exporter has been told that it is under way.
        changed: Whether something of it has changed since then.
    """

    # Most spans need few of them, so they are set when they are: making one of a million is a matter of these.
    inside: dict[int, UnderWay] | None = None
    readies: dict[str, int] | None = None
    ready_ns: int | None = None
    called_ns: int | None = None
    first_ns: int | None = None
    thread_ns: int | None = None
    attempts = 1
    waits: list[Wait] | None = None
    tries: list[Try] | None = None
    retry_s = 0.0
    cached: str | None = None
    rerouted: tuple[tuple[str, Failure], ...] = ()
    failure: Failure | None = None
    tags: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    generation: Generation | None = None
    resource: str | None = None
    key: str | None = None
    round: int | None = None
    rounds = 0
    done: int | None = None
    failed: int | None = None
    left_out: int | None = None
    total: int | None = None
    sampler: ItemSampler | None = None
    held: list[Span] | None = None
    erred = False
    told = False
    changed = False

    def __init__(
        self, id_: str, around: UnderWay | None, kind: Kind, path: str, items: tuple[int, ...], started_ns: int
    ) -> None:
        self.around = around
        self.kind = kind
        self.path = path
        self.items = items
        self.started_ns = started_ns
        self.id = id_
        self.name = path.rpartition("/")[2]
        if around is not None:
            if around.inside is None:
                around.inside = {}
            around.inside[id(self)] = self

    def waits_to(self, wall_ns: int) -> tuple[Wait, ...]:
        """Its admissions, in time since the epoch."""
        if self.waits is None:
            return ()
        return tuple(
            Wait(
                one.limits,
                one.queued_ns + wall_ns,
                None if one.admitted_ns is None else one.admitted_ns + wall_ns,
                None if one.released_ns is None else one.released_ns + wall_ns,
                one.attempt,
            )
            for one in self.waits
        )

    def span(self, trace: str, wall_ns: int, status: Status, ended_ns: int | None) -> Span:
        """The record of it; ``wall_ns`` is what makes the run's time one since the epoch."""
        return Span(
            trace,
            self.id,
            None if self.around is None else self.around.id,
            self.kind,
            self.name,
            self.path,
            self.items,
            status,
            self.started_ns + wall_ns,
            None if ended_ns is None else ended_ns + wall_ns,
            None if self.ready_ns is None else self.ready_ns + wall_ns,
            None if self.called_ns is None else self.called_ns + wall_ns,
            None if self.first_ns is None else self.first_ns + wall_ns,
            self.key,
            self.round,
            None,
            self.attempts,
            self.waits_to(wall_ns),
            self.retry_s,
            self.cached,
            self.rerouted,
            self.failure,
            self.tags,
            self.inputs,
            self.outputs,
            self.generation,
            self.done,
            self.failed,
            self.left_out,
            self.total,
            None if self.thread_ns is None else self.thread_ns / 1e9,
        )

    def attempt_spans(self, trace: str, ids: Ids, wall_ns: int, status: Status, ended_ns: int) -> list[Span]:
        """Spans of its attempts, if there were several."""
        tries = self.tries
        if tries is None or len(tries) < 2:
            return []
        found = []
        for one in tries:
            last = one.number == tries[-1].number
            end_ns = one.ended_ns if one.ended_ns is not None else ended_ns
            became: Status = "failed" if one.failure is not None else status if last else "cancelled"
            found.append(
                Span(
                    trace=trace,
                    id=ids.next(),
                    parent=self.id,
                    kind="attempt",
                    name=f"{self.name}, attempt {one.number}",
                    path=self.path,
                    items=self.items,
                    status="failed" if became == "handled" else became,
                    started_ns=one.began_ns + wall_ns,
                    ended_ns=end_ns + wall_ns,
                    attempt=one.number,
                    failure=one.failure if one.failure is not None or not last else self.failure,
                    generation=None if one.resource is None else Generation(resource=one.resource),
                )
            )
        return found


def inside_out(one: UnderWay) -> list[UnderWay]:
    """All that is under way in ``one``, each before what it lies in; however deep that is."""
    found: list[UnderWay] = []
    todo = list((one.inside or {}).values())
    while todo:
        inner = todo.pop()
        found.append(inner)
        if inner.inside:
            todo += inner.inside.values()
    found.reverse()
    return found
