"""``Span``: one stretch of a run as all exporters get it, and what a run is besides its spans: plain data.

Times are nanoseconds since the epoch, made of a run's monotonic clock and the instant it began, so that they never go
backwards within a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["run", "item", "round", "attempt"] | str
"""``run``, ``item``, ``round`` and ``attempt``; else what kind of node it is: ``code``, ``graph``, ``map``, ``for``,
``while``, ``branch``, ``prompt``, ``llm``, ``embedding``, ``rerank``, or what an author of nodes calls his."""
CONTAINERS = frozenset({"graph", "map", "for", "while"})
"""The nodes that hold others."""
_CANCELLED = "asyncio.exceptions.CancelledError"
HOLDERS = CONTAINERS | {"run", "item", "round"}
"""All that holds others, and is no call."""

Status: TypeAlias = Literal["running", "ok", "partial", "failed", "handled", "skipped", "cancelled", "crashed"]
"""``partial``: of a run or map that went on without something; ``handled``: it failed and the graph goes on."""


class Frame(NamedTuple):
    """A line of a traceback, without its text, which is read where it is shown."""

    file: str
    line: int
    function: str


class Failure(NamedTuple):
    """An error without the objects in it: ``type`` is its qualified name, ``frames`` run from the node to the raise.

    ``causes`` are those it was raised from, the nearest first, and the parts of a group. ``path`` is the node's in
    which it was raised, if it says so: of an item in a worker process that is one of which there is no span.
    """

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    causes: tuple[Failure, ...] = ()
    path: str | None = None


class Wait(NamedTuple):
    """One admission under limits: when it was asked for, given and given back; the latter ``None`` while it was not.

    A call that did not have to wait has the same instant twice. Of one that did, ``let_in_ns`` is when its limits let
    it in: it went on at ``admitted_ns``, when the loop came to it. ``None`` where that is not known.
    """

    limits: tuple[str, ...]
    queued_ns: int
    admitted_ns: int | None
    released_ns: int | None
    attempt: int = 1
    let_in_ns: int | None = None


class Generation(NamedTuple):
    """What a model, or another resource, was asked and answered: ``usage`` as the provider counts it.

    ``model`` is what the server calls it, ``requested`` what it was asked for by, ``provider`` whose form it speaks,
    ``server`` the host and port that were asked; ``usage`` and ``cost`` are those of all answers of the call,
    ``finish_reason`` and ``response_id`` those of the last one; ``parameters`` are as the request had them, and
    ``messages`` its messages, where the node has made them itself. A node whose outputs came from a cache has none.
    """

    model: str | None = None
    resource: str | None = None
    usage: Mapping[str, int] | None = None
    cost: float | None = None
    finish_reason: str | None = None
    parameters: Mapping[str, Any] | None = None
    requested: str | None = None
    provider: str | None = None
    messages: Sequence[Any] | None = None
    server: str | None = None
    response_id: str | None = None


class Happened(NamedTuple):
    """What code in a node says has happened, at an instant since the epoch; ``failure`` is an exception it has met."""

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = {}
    failure: Failure | None = None


class Annotations(NamedTuple):
    """What code in a node has put on the node's span, as plain data that JSON can hold, cut and without secrets.

    Attributes:
        links: Other spans, as whoever linked them knows them, each with attributes.
        name: What the span is to be called.
        status: ``"OK"`` or ``"ERROR"``, and why.
        dropped: How many attributes, events and links were too many.
    """

    attributes: Mapping[str, Any] = {}
    events: tuple[Happened, ...] = ()
    links: tuple[tuple[Any, Mapping[str, Any]], ...] = ()
    name: str | None = None
    status: tuple[str, str | None] | None = None
    dropped: int = 0


class Span(NamedTuple):
    """One stretch of a run.

    Attributes:
        trace: The run's, 32 hexadecimal digits.
        id: 16 hexadecimal digits; the same whenever the same run's events are read.
        parent: The ``id`` of the span around it; ``None`` of a run.
        path: The node's, as in events; of a run its graph's name.
        items: The indexes of the maps around it, outermost first; an item's own is the last.
        key: Of an item: what the map's ``key=`` calls it.
        round: Of a round: its number, from 0.
        attempt: Of an attempt: its number, from 1. A node has spans for its attempts only if there were several.
        ready_ns: When all that it waits for had arrived; ``None`` where there is no such instant.
        started_ns: When it began: a node that waits for limits has begun.
        called_ns: When its function was first called, after its limits had let it.
        first_ns: When the first part of an answer came, where it is streamed.
        ended_ns: ``None`` while it is under way.
        attempts: How often it was tried.
        waits: Its admissions, in order.
        retry_s: How long it waited between attempts.
        cached: ``"hit"``, or ``"joined"`` if an identical call was under way.
        rerouted: The resources that were asked in vain, each with its failure.
        inputs: By name, as plain data that JSON can hold, cut to a bound and without secrets; ``None`` if not known.
        outputs: The same of what it gave.
        done: Of a map: how many items have ended, ``failed`` of them badly, ``left_out`` of them not as spans.
            Of a loop ``left_out`` counts rounds; of an item or a round that failed, of a graph and of the run it counts
            spans in it that ended well, for which there was no room.
        total: Of a map: how many there are, if that is known.
        thread_s: How long its function took where it was called in worker threads, measured there, all attempts
            together. The rest of the time since ``called_ns`` went into getting a thread, the interpreter and the loop.
        annotations: What its code has put on it, where a tracer lets it.
    """

    trace: str
    id: str
    parent: str | None
    kind: Kind
    name: str
    path: str
    items: tuple[int, ...]
    status: Status
    started_ns: int
    ended_ns: int | None = None
    ready_ns: int | None = None
    called_ns: int | None = None
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    first_ns: int | None = None
    key: str | None = None
    round: int | None = None
    attempt: int | None = None
    attempts: int = 1
    waits: tuple[Wait, ...] = ()
    retry_s: float = 0.0
    cached: str | None = None
    rerouted: tuple[tuple[str, Failure], ...] = ()
    failure: Failure | None = None
    tags: tuple[str, ...] = ()
    generation: Generation | None = None
    done: int | None = None
    failed: int | None = None
    left_out: int | None = None
    total: int | None = None
    thread_s: float | None = None
    annotations: Annotations | None = None

    @property
    def title(self) -> str:
        """What it is among those beside it: ``[12] key`` of an item, ``round 3``, ``attempt 2``, else its name."""
        if self.kind == "item":
            index = f"[{self.items[-1]}]" if self.items else "[]"
            return index if self.key is None else f"{index} {self.key}"
        if self.kind == "round":
            return f"round {self.round}"
        return f"attempt {self.attempt}" if self.kind == "attempt" else self.name

    @property
    def seconds(self) -> float | None:
        """How long it took; ``None`` while it is under way."""
        return None if self.ended_ns is None else (self.ended_ns - self.started_ns) / 1e9


USUAL = tuple(Span._field_defaults[name] for name in Span._fields[Span._fields.index("outputs") + 1 :])
"""What stands behind the ``outputs`` of most leaves."""


class ModelUse(NamedTuple):
    """What calls of one model used.

    Attributes:
        name: The model's name, or else what it was asked for by, as of a call that failed, or the resource's key.
        calls: How many there were, ``failed`` of them badly; those that a cache answered are not among them.
        usage: Sums, by the names the provider uses, such as ``input_tokens``.
        cost: The sum of what is known; ``None`` if it is known of no call.
        priced: Of how many calls the cost is known.
    """

    name: str
    calls: int = 0
    failed: int = 0
    usage: Mapping[str, int] = {}
    cost: float | None = None
    priced: int = 0


class FailedAttempts(NamedTuple):
    """Attempts of one node that failed alike. A node that was tried once has none: its failure is its own.

    Attributes:
        first: What the first of them failed with, by when it began.
        times: How many there were.
        again: After how many of them the node was tried again; after the others it gave up.
        seconds: How long they took together.
        others: Whether these are for all reasons besides those that are told apart, of which there are too many.
    """

    first: Failure
    times: int = 0
    again: int = 0
    seconds: float = 0.0
    others: bool = False


class AskedInVain(NamedTuple):
    """How often a ``resource`` was asked in vain for a node, so that another one was asked; ``first`` is the reason.

    ``others``: of all resources besides those that are told apart; ``resource`` is the first of them.
    """

    resource: str
    first: Failure
    times: int = 0
    others: bool = False


class Totals(NamedTuple):
    """All calls of one node in a run, those that were left out of the trace included. Seconds are sums over calls.

    Attributes:
        calls: How many have ended, ``failed`` of them badly, ``skipped`` of them without having run.
        ready_s: From when all they wait for had arrived to their starts: what the engine, a busy loop, or a map's
            ``max_concurrency`` took.
        seconds: From their starts to their ends.
        waited_s: Of these for limits, by the names of the limits, joined by a comma where there are several.
        retry_s: Of these between attempts.
        called_s: Of these in the function, or in the model; of calls in worker threads only while they were there.
        slowest_s: The longest call.
        models: What these calls used of models, the dearest first.
        threaded: How many calls were made in worker threads.
        thread_s: How long their functions took there, a part of ``called_s``.
        thread_wait_s: How long these calls took besides since they were called, a part of ``seconds``: they waited for
            a thread, for the interpreter, and for the loop.
        joined_s: Of ``seconds``, waiting for identical calls that were under way; ``None`` in traces of versions that
            did not count it.
        failed_attempts: Attempts that failed, by why; ``None`` in traces of versions that did not count them.
        in_vain: Resources that were asked in vain; ``None`` likewise.
    """

    path: str
    kind: Kind
    calls: int = 0
    failed: int = 0
    skipped: int = 0
    cached: int = 0
    attempts: int = 0
    ready_s: float = 0.0
    seconds: float = 0.0
    waited_s: Mapping[str, float] = {}
    retry_s: float = 0.0
    called_s: float = 0.0
    slowest_s: float = 0.0
    models: tuple[ModelUse, ...] = ()
    threaded: int = 0
    thread_s: float = 0.0
    thread_wait_s: float = 0.0
    joined_s: float | None = None
    failed_attempts: tuple[FailedAttempts, ...] | None = None
    in_vain: tuple[AskedInVain, ...] | None = None

    def as_data(self) -> dict[str, Any]:
        """The numbers as JSON can hold them; ``models`` only if there are any. Failures are not among them."""
        found = self._asdict()
        for name in ("models", "failed_attempts", "in_vain"):
            del found[name]
        return found | {"models": [one._asdict() for one in self.models]} if self.models else found


class RunRecord(NamedTuple):
    """What is known of a run besides its spans.

    Attributes:
        trace: As of its spans.
        request_id: As it was given to ``run``, or made there: whatever text a caller chose.
        name: The graph's.
        status: As of its own span, ``running`` until it ends.
        produced: How many spans there were, so far. Of a run that is under way, or crashed, it may have been more, but
            never fewer than are in the trace.
        left_out: Those that sampling left out.
        dropped: Those that no exporter could take.
        items: How many items of maps have ended, of all maps together, ``items_failed`` of them badly.
        totals: For each node that was called more than once, or asked a model, by path; of the others their one span
            says it. Of all nodes if spans were dropped or left out.
        seen_ns: Of a run that crashed: when its process last gave a sign of life.
    """

    trace: str
    request_id: str
    name: str
    status: Status
    started_ns: int
    ended_ns: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    failure: Failure | None = None
    produced: int = 0
    left_out: int = 0
    dropped: int = 0
    items: int = 0
    items_failed: int = 0
    totals: tuple[Totals, ...] = ()
    seen_ns: int | None = None


class Batch(NamedTuple):
    """What an exporter is handed at once.

    Attributes:
        ended: Spans that have ended, each once, children before their parents.
        running: Those under way that nobody was told of, or that have changed since; only for exporters that are live.
        gone: Ids of spans that were told as running and are left out after all.
        runs: What has changed of runs.
        urgent: Whether somebody waits for it; else whoever takes it may let others have the interpreter meanwhile.
        early: Whether ``runs`` that have ended are told of before their spans; else no more of these will come.
    """

    ended: tuple[Span, ...] = ()
    running: tuple[Span, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    runs: tuple[RunRecord, ...] = ()
    urgent: bool = False
    early: bool = False

    @property
    def run(self) -> str | None:
        """The request id of the run that all of it is about; ``None`` if there are several, or it is not told here."""
        traces = {one.trace for one in self.runs}
        traces.update(span.trace for spans in (self.ended, self.running) for span in spans)
        return self.runs[0].request_id if len(traces) == 1 and self.runs else None


def called_off(run: RunRecord | Span) -> str | None:
    """By whom, or why, a run was cancelled, if it is said: that is no failure of anything in it."""
    failure = run.failure
    if run.status != "cancelled" or failure is None or failure.type != _CANCELLED:
        return None
    return failure.message
