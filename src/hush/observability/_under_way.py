"""``UnderWay``: a span whose end has not come yet, and what has been heard of it until now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from hush.core.events import NodeRan
from hush.observability._ids import Ids
from hush.observability._sampling import ItemSampler
from hush.observability._span import Annotations, Failure, Generation, Kind, Span, Status, Wait


class Try(NamedTuple):
    """One attempt of a node: when it began and ended, whom it asked, and what it failed with."""

    number: int
    began_ns: int
    ended_ns: int | None = None
    failure: Failure | None = None
    resource: str | None = None


class QuickItem(NamedTuple):
    """An item that has ended well, in which there were only quick calls: spans are made of it only if it is kept.

    Attributes:
        map: The span of its map.
        number: That of its span's id.
        ran: What ran in it, one or more.
    """

    map: UnderWay
    number: int
    item: int
    key: str | None
    began_ns: int
    at_ns: int
    ran: list[NodeRan]

    def size(self) -> int:
        """How many spans it is."""
        return len(self.ran) + 1


class SpansOfItem(NamedTuple):
    """An item that has ended, and all that happened in it."""

    spans: list[Span]

    def size(self) -> int:
        """How many spans it is."""
        return len(self.spans)


Whole: TypeAlias = QuickItem | SpansOfItem


class UnderWay:
    """A span on its way. Times are the run's monotonic ones.

    Attributes:
        around: The span around it.
        inside: Those in it that are under way, by identity.
        readies: When the nodes in it became ready that have not begun.
        held: Of an item, or a round: the spans in it that have ended, until it is known whether they are kept.
        erred: Of such a one: whether something in it failed.
        pause: When the wait for its next attempt began, and how long it is to be; ``retry_s`` has all of it.
        sampler: Of a map that has begun to pull, or a loop; ``seed`` is that of the lots that its items draw.
        within: Of a map: its items under way, by index; of one in which there were only quick calls, those.
        number: Of a node: that of its start.
        annotations: What its code has put on it, once it has ended.
        seen: Of an item: whether somebody has hung spans of his own under a span in it.
        cut_ns: When a call in it was last cancelled.
        answered: Whether the resource that it asked has answered, once at least.
        sunk: Of a graph, loop or round: what failed in it, unhandled; it ends with that unless its own end is told.
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
    pause: tuple[int, float] | None = None
    cached: str | None = None
    rerouted: tuple[tuple[str, Failure], ...] = ()
    failure: Failure | None = None
    sunk: Failure | None = None
    tags: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    generation: Generation | None = None
    resource: str | None = None
    number = 0
    annotations: Annotations | None = None
    seen = False
    answered = False
    cut_ns: int | None = None
    key: str | None = None
    round: int | None = None
    rounds = 0
    done: int | None = None
    failed: int | None = None
    left_out: int | None = None
    total: int | None = None
    sampler: ItemSampler[Whole] | None = None
    seed = 0
    within: dict[int, list[NodeRan] | UnderWay] | None = None
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
                None if one.let_in_ns is None else one.let_in_ns + wall_ns,
            )
            for one in self.waits
        )

    def paused_s(self, ended_ns: int | None) -> float:
        """How long it waited between attempts: of a wait that was cut short by its end, what there was of it."""
        if self.pause is None or ended_ns is None:
            return self.retry_s
        at_ns, wait_s = self.pause
        return max(0.0, self.retry_s - wait_s + min(wait_s, (ended_ns - at_ns) / 1e9))

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
            self.inputs,
            self.outputs,
            None if self.first_ns is None else self.first_ns + wall_ns,
            self.key,
            self.round,
            None,
            self.attempts,
            self.waits_to(wall_ns),
            self.paused_s(ended_ns),
            self.cached,
            self.rerouted,
            self.failure,
            self.tags,
            self.generation,
            self.done,
            self.failed,
            self.left_out,
            self.total,
            None if self.thread_ns is None else self.thread_ns / 1e9,
            self.annotations,
        )

    def attempted(self, ended_ns: int) -> Iterator[tuple[Try, Failure | None, int]]:
        """Its attempts, if there were several: each with what it failed with, and when it ended."""
        tries = self.tries
        if tries is None or (len(tries) < 2 and tries[0].failure is None):
            return  # a single one that failed was to be followed by another
        last = tries[-1].number
        for one in tries:
            failure = self.failure if one.failure is None and one.number == last else one.failure
            yield one, failure, ended_ns if one.ended_ns is None else one.ended_ns

    def attempt_spans(self, trace: str, ids: Ids, wall_ns: int, status: Status, ended_ns: int) -> list[Span]:
        """Spans of its attempts, if there were several."""
        found = []
        for one, failure, end_ns in self.attempted(ended_ns):
            last = self.tries is not None and one.number == self.tries[-1].number
            became: Status = "failed" if one.failure is not None else status if last else "cancelled"
            found.append(
                Span(
                    trace=trace,
                    id=ids.of(ids.next()),
                    parent=self.id,
                    kind="attempt",
                    name=f"{self.name}, attempt {one.number}",
                    path=self.path,
                    items=self.items,
                    status="failed" if became == "handled" else became,
                    started_ns=one.began_ns + wall_ns,
                    ended_ns=end_ns + wall_ns,
                    attempt=one.number,
                    failure=failure,
                    generation=None if one.resource is None else Generation(resource=one.resource),
                )
            )
        return found


_PASSING = frozenset({"graph", "while", "round"})
_GROUP = "ExceptionGroup"
_MOST_SUNK = 20


def sink(one: UnderWay) -> None:
    """What plainly holds ``one`` fails with it: graphs and rounds that handle nothing are told no end of their own."""
    failure, around = one.failure, one.around
    while failure is not None and around is not None and around.kind in _PASSING:
        before = around.sunk
        if before is None:
            around.sunk = failure
        elif len(before.causes) < _MOST_SUNK or before.type != _GROUP:
            parts = (*(before.causes if before.type == _GROUP else (before,)), failure)
            around.sunk = Failure(_GROUP, f"{len(parts)} nodes failed", causes=parts)
        around = around.around


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
