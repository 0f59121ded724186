"""The records a frame runs from: what each step calls, where its values go, and who waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from hush.core._expr._record import record
from hush.core._expr._where import Where
from hush.core._spec._model import Source, Tolerate

if TYPE_CHECKING:  # the first only for maps in processes
    from hush.core._spec._portable import PortableBody
    from hush.core._spec._signature import Signature

Slots: TypeAlias = list[Any]
"""One activation's values, by number. Slot 0 is the dict of what has been written to ``PARENT``."""

Reader: TypeAlias = Callable[[Any], Any]


class Skipped(Enum):
    """The value that is not there: its step was skipped, or nobody gave it."""

    SKIPPED = auto()


SKIPPED = Skipped.SKIPPED


WATCHED, AWAITED, IN_THREAD, INLINE, PINNED = range(5)
"""The modes of a gate: how a step is to be called now. Numbers, because the hot loop compares one for each step.

On the loop, which it must not see, with each call timed; awaited, or gone into (what is no ``def``); in a thread; on
the loop, which it must not see; on the loop, in sight of it.
"""


class Gate(Protocol):
    """Says how a step is to be called now, and learns how long calls of a ``def`` took."""

    mode: int

    def ran_inline(self, took_ns: int) -> bool:
        """Learn of a call on the loop: of each if it is ``WATCHED``, else at least of those that took over 5 ms.

        Whether that is to be logged.
        """
        ...


class Ungated:
    """The gate of what is no ``def``."""

    __slots__ = ()
    mode = AWAITED

    def ran_inline(self, took_ns: int) -> bool:
        """Nothing to learn: it has not."""
        return False


UNGATED: Gate = Ungated()


class Copy(NamedTuple):
    """Where a value of a step's output goes: a slot, or a key of ``PARENT``."""

    key: str
    to: Any


@record
class Watch:
    """What a ``"*"`` may not write, because someone unordered writes or reads it; known only at run time.

    Attributes:
        keys: Keys written or read by name elsewhere, with the step that does.
        rivals: Other steps whose ``"*"`` may write the same keys.
    """

    keys: Mapping[str, str]
    rivals: frozenset[str]


@record
class Gives:
    """What is taken of a step's output besides ``captures``.

    Attributes:
        optional: Keys that may be missing, and the slots they go to.
        writes: Keys copied to ``PARENT``.
        computed: Keys of ``PARENT`` with what makes them of the step's output.
        computed_of_error: Those among them that read nothing but its ``error``.
        everything: Whether all keys go to ``PARENT``, ``error`` too.
        stars: Whether all but ``error`` and its like go there, with ``watch`` over them, and ``known_keys`` where they
            are certain.
        arms: Of a branch: its targets, by name and number.
        soft_after: The steps joined by a soft edge from this one, with the countdown of those edges, and whether they
            decide if the step runs: not of the target of a branch.
        plain: Whether there are only ``writes``, or ``stars`` that nobody has to watch: what most steps give.
    """

    optional: tuple[Copy, ...]
    writes: tuple[Copy, ...]
    computed: tuple[tuple[str, Callable[[Mapping[str, Any]], Any]], ...]
    computed_of_error: frozenset[str]
    stars: bool
    everything: bool
    watch: Watch | None
    known_keys: tuple[str, ...]
    arms: tuple[tuple[str, int], ...]
    soft_after: tuple[tuple[int, int, bool], ...]
    plain: bool


@record
class Liveness:
    """Who is told when a step does not run, or fails and the graph goes on; only graphs in which that can be have it.

    Attributes:
        edges: How many edges decide whether this step runs: those of the branches that name it as a target, else all
            into it, its soft ones counted as one; ``from_start`` if START has one too.
        edges_after: Those that wait for this one and have an edge from it that decides.
        strict_after: Those that refer to it and are not forgiven if it was skipped.
        blocked_after: Those that read it and do not name its ``error``.
    """

    edges: int
    from_start: bool
    edges_after: tuple[int, ...]
    strict_after: tuple[int, ...]
    blocked_after: tuple[int, ...]


class Argument(NamedTuple):
    """One bound parameter: a slot that surely holds its value, or a reader."""

    name: str
    slot: int
    reader: Reader | None


@record
class StepPlan:
    """One step of a plan.

    Attributes:
        call: Of a leaf: binds its inputs and calls its function, a ``def`` in a fresh copy of the context. Of a graph
            or map: gives the first slots of its body.
        bind: Of a leaf: binds its inputs and gives the call to make, for another thread.
        signature: Of a leaf: that of its function.
        arguments: Of a leaf: how each of its arguments is read.
        reading: How those who show what it reads do it; worked out by them when they first do.
        gate: Where it runs: ``UNGATED`` if it is no ``def``.
        begin: How to start what is awaited, where ``call`` alone does not say: threads, deadlines.
        awaited: Whether it is always awaited by whoever reached it: it is no ``def``, and no graph to be gone into.
        handled: Whether the graph goes on when the step fails; ``named`` if somebody reads its ``error``.
        captures: Keys that must be there, and the slots they go to.
        gives: What else is taken of its output.
        frees: Slots that only this step reads, emptied when it settles.
        shares: Slots it reads with others, (countdown, slot): the last of them empties them.
        on_entry: Of a container, which reads when it starts: its ``frees`` and ``shares``, for then.
        after: The steps that wait for its end, the last first.
        reader: Of a map: the one that streams from it, and waits only until it begins.
        then: The one step that waits for it, if that one waits for nothing else.
        measured: Whether somebody reads the ``iteration_metrics`` of this map or loop.
    """

    index: int
    name: str
    path: str
    where: Where
    call: Callable[[Slots], Any]
    bind: Callable[[Slots], Callable[[], Any]] | None
    signature: Signature | None
    arguments: Sequence[Argument]
    gate: Gate
    begin: Callable[..., Awaitable[Any]] | None
    awaited: bool
    handled: bool
    named: bool
    captures: tuple[Copy, ...]
    gives: Gives | None
    frees: tuple[int, ...]
    shares: tuple[tuple[int, int], ...]
    on_entry: tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None
    after: tuple[int, ...]
    reader: int | None
    then: int | None
    liveness: Liveness | None
    body: Plan | None
    map: MapPlan | None
    loop: LoopPlan | None
    measured: bool
    timeout_s: float | None
    reading: Any = None


@record
class Plan:
    """A graph, ready to be run any number of times.

    Attributes:
        template: The first values of the slots.
        countdowns: How many each step waits for, then how many readers each shared slot has.
        first: The steps that wait for nothing, last first.
        ends: How many steps nothing waits for.
        output_keys: The keys known to be written, in the order of their writers: each is in the outputs, ``None`` if
            its writers were skipped.
        several_writers: Whether the order of writing may differ from that.
        inputs: The slots of the container's inputs.
        imports: The slots of what is read from the graphs around, by source and key.
    """

    path: str
    name: str
    steps: tuple[StepPlan, ...]
    template: Slots
    countdowns: list[int]
    first: tuple[StepPlan, ...]
    ends: int
    output_keys: tuple[str, ...]
    several_writers: bool
    inputs: Mapping[str, int]
    imports: Mapping[tuple[Source, str], int]


class EachPlan(NamedTuple):
    """One ``Each`` of a map: where its source is read, and the slot of the body that its items go to.

    ``column`` is the key that is taken of each item, if the source is the channel of a map that is streamed from.
    """

    name: str
    source: Reader
    slot: int | None
    pull: str
    where: Where
    spent: list[Any] | None
    column: str | None = None


class StreamPlan(NamedTuple):
    """How the items of a map go to the one that streams from it: by a channel in a slot of their graph."""

    slot: int
    keys: tuple[str, ...]
    ordered: bool


@record
class MapPlan:
    """What a map has besides its body.

    Attributes:
        upstream: What failed there fails here, and of several the first: readers of the ``error`` columns of the maps
            it goes through, or of the channels, in the order of its inputs; without those whose errors it takes.
        named: Whether the body writes its keys by name.
        tolerate: How many items may fail, and so on: as in the spec.
        stream: Where its items go, if a map streams from it.
        streams_from: The slots of the channels that it takes items from.
        apart: The body to be sent to worker processes, if it runs there.
    """

    each: tuple[EachPlan, ...]
    upstream: tuple[Reader, ...]
    named: bool
    max_concurrency: int
    fail_fast: bool
    tolerate: Tolerate | None
    batch: int | None
    first: int | None
    key: Callable[[Any], Any] | None
    item_timeout_s: float | None
    batch_wait_s: float | None
    window: int | None
    stream: StreamPlan | None
    streams_from: tuple[int, ...]
    apart: PortableBody | None


@record
class LoopPlan:
    """What a loop has besides its body.

    Attributes:
        variables: The loop's inputs by name, with their readers in the graph around it.
        stop: Reads the condition from the slots of a round that is about to begin; ``None`` for a number of rounds.
        stop_keys: The variables that the condition reads.
    """

    variables: tuple[tuple[str, Reader], ...]
    stop: Reader | None
    stop_text: str
    stop_keys: frozenset[Any]
    max_iterations: int
    stops_at_limit: bool


class RootInput(NamedTuple):
    """An input of a run: who wants it, and its value where none is given (``SKIPPED``: the readers' own)."""

    key: str
    required: bool
    wanted_by: str


@record
class RootPlan:
    """A plan with what a run must bring.

    Attributes:
        inputs: The run's inputs by name; a run must bring the ``required`` ones.
        bind: Gives the first slots for the inputs of a run.
        timeout_s: As the root graph was given.
    """

    plan: Plan
    where: Where
    timeout_s: float | None
    inputs: Mapping[str, RootInput]
    required: frozenset[str]
    bind: Callable[[Mapping[str, Any]], Slots]
