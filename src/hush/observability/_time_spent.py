"""Where the time of a run went: in calls, in waiting for limits, between attempts, and in the engine.

All seconds but ``wall_s`` and ``idle_s`` are sums over calls. Of calls that ran side by side these are more than the
clock shows: ten calls of one second each that overlap wholly are 10 s here and 1 s by the clock. A share is of the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hush.observability._span import RunRecord, Span, Totals

CONTAINERS = frozenset({"run", "item", "round", "graph", "map", "for", "while"})
MODELS = frozenset({"llm", "chain", "embedding", "rerank"})


def is_leaf(span: Span) -> bool:
    """Whether it is a call, and neither holds nodes nor is one attempt of several.

    An item that ran in a worker process is one: nothing is told of the nodes in it.
    """
    if span.kind == "item":
        return span.called_ns is not None
    return span.kind not in CONTAINERS and span.kind != "attempt"


def of_calls(totals: Totals) -> bool:
    """Whether they are of calls, as of ``is_leaf``."""
    return totals.kind not in CONTAINERS or totals.kind == "item"


class NodeUse(NamedTuple):
    """All calls of one node: numbers and sums as of ``Totals``, calls that have not ended included.

    ``running`` is how many have not. ``joined_s`` went into waiting for identical calls, as far as spans tell.
    ``inside_s`` is what is left of ``seconds``: in the engine, in a cache, or on the way into a worker thread and back.
    ``threaded`` calls were made in worker threads: their functions took ``thread_s`` there, a part of ``called_s``;
    besides they waited ``thread_wait_s`` for a thread, for the interpreter and for the loop, a part of ``inside_s``.
    """

    path: str
    kind: str
    calls: int
    failed: int
    skipped: int
    cached: int
    attempts: int
    running: int
    ready_s: float
    seconds: float
    waited_s: Mapping[str, float]
    retry_s: float
    called_s: float
    joined_s: float
    slowest_s: float
    threaded: int = 0
    thread_s: float = 0.0
    thread_wait_s: float = 0.0

    @property
    def is_model(self) -> bool:
        """Whether it asks a model."""
        return self.kind in MODELS

    @property
    def inside_s(self) -> float:
        """What of ``seconds`` is in none of the other parts."""
        parts_s = sum(self.waited_s.values()) + self.retry_s + self.called_s + self.joined_s
        return max(0.0, self.seconds - parts_s)


class Part(NamedTuple):
    """A part of the time: ``name`` is a limit's or a node's path; ``share`` is of all parts together, from 0 to 1."""

    name: str
    seconds: float
    share: float
    calls: int


class Stopped(NamedTuple):
    """For how many ``seconds``, by the clock, calls waited for limits that let hardly anybody in.

    Fewer than half of ``most`` held them then, which is how many calls of the run did at most. They were closed, as
    after a ``Retry-After``, or their windows were used up, or other runs had them. ``name`` as of ``TimeSpent.limits``.
    """

    name: str
    seconds: float
    most: int


class TimeSpent(NamedTuple):
    """Where the time went.

    Attributes:
        wall_s: How long the run took, by the clock.
        total_s: All parts together.
        limits: Waited for limits, by their names, the longest first.
        models: In calls of models, by node.
        code: In all other calls, by node.
        retries_s: Between attempts.
        again_s: In attempts that failed, as far as spans tell: a part of what is in ``models`` and ``code``.
        joined_s: Waited for identical calls, as far as spans tell.
        ready_s: From when calls could have begun to their beginnings: the engine, a busy loop, or a
            ``max_concurrency``.
        inside_s: In calls that had begun, outside of all other parts: in the engine, in a cache, or on the way into a
            worker thread and back.
        thread_wait_s: Of ``inside_s``: calls in worker threads waited for a thread, for the interpreter, which one
            thread has at a time, and for the loop to take what they gave. Mostly they waited for each other.
        unsized: Maps of which nobody knew how many items they have, by path: an iterator makes these, such as a
            generator or a file. What that takes is in no call, and in no other part.
        idle_s: By the clock: how long no call was under way. ``None`` if nobody knows: if spans are missing, and of
            items in worker processes, of which only the end and how long they took is told.
        at_once: How many calls were under way at once, on the average over the wall's time.
        exact: Whether all calls are counted. They are not if spans are missing and there are no totals, which a run
            that was killed has none of.
        stopped: When limits let hardly anybody in, the longest first; of a run that has ended and has all its spans.
    """

    wall_s: float
    total_s: float
    limits: tuple[Part, ...]
    models: tuple[Part, ...]
    code: tuple[Part, ...]
    retries_s: float
    again_s: float
    joined_s: float
    ready_s: float
    inside_s: float
    idle_s: float | None
    at_once: float
    exact: bool
    stopped: tuple[Stopped, ...] = ()
    thread_wait_s: float = 0.0
    unsized: tuple[str, ...] = ()


class _Sums:
    """What the spans of one node add up to."""

    def __init__(self, span: Span) -> None:
        self.path, self.kind = span.path, span.kind
        self.calls = self.failed = self.skipped = self.cached = self.attempts = self.running = 0
        self.ready_ns = self.took_ns = self.called_ns = self.slowest_ns = self.joined_ns = 0
        self.threaded = self.thread_ns = self.thread_wait_ns = 0
        self.waited_ns: dict[str, int] = defaultdict(int)
        self.retry_s = 0.0

    def add(self, span: Span, until_ns: int) -> None:
        ended_ns = span.ended_ns
        if ended_ns is None:
            self.running += 1
            ended_ns = max(until_ns, span.started_ns)
        self.calls += 1
        if span.status == "skipped":
            self.skipped += 1
            return
        self.failed += span.status in ("failed", "handled")
        self.cached += span.cached is not None
        self.attempts += span.attempts
        took_ns = ended_ns - span.started_ns
        self.took_ns += took_ns
        self.slowest_ns = max(self.slowest_ns, took_ns)
        retry_s = min(span.retry_s, took_ns / 1e9)  # what is under way may have to wait for longer
        self.retry_s += retry_s
        if span.ready_ns is not None:
            self.ready_ns += max(0, span.started_ns - span.ready_ns)
        since_called_ns = 0
        for wait in span.waits:
            waited_ns = max(0, (ended_ns if wait.admitted_ns is None else wait.admitted_ns) - wait.queued_ns)
            self.waited_ns[",".join(wait.limits)] += waited_ns
            if span.called_ns is not None and wait.queued_ns >= span.called_ns:
                since_called_ns += waited_ns
        if span.cached == "joined":
            self.joined_ns += took_ns
        elif span.called_ns is not None:
            called_ns = max(0, ended_ns - span.called_ns - since_called_ns - round(retry_s * 1e9))
            if span.thread_s is not None:
                self.threaded += 1
                thread_ns = round(span.thread_s * 1e9)
                self.thread_ns += thread_ns
                self.thread_wait_ns += max(0, called_ns - thread_ns)
                called_ns = thread_ns
            self.called_ns += called_ns

    def use(self, totals: Totals | None) -> NodeUse:
        """The node's use: the totals of what has ended, where they know more than the spans do, and what has not."""
        if totals is not None and totals.calls >= self.calls - self.running:
            unfinished = self.running
            return _of_totals(totals, joined_s=self.joined_ns / 1e9)._replace(running=unfinished)
        return NodeUse(
            path=self.path,
            kind=self.kind,
            calls=self.calls,
            failed=self.failed,
            skipped=self.skipped,
            cached=self.cached,
            attempts=self.attempts,
            running=self.running,
            ready_s=self.ready_ns / 1e9,
            seconds=self.took_ns / 1e9,
            waited_s={name: ns / 1e9 for name, ns in self.waited_ns.items()},
            retry_s=self.retry_s,
            called_s=self.called_ns / 1e9,
            joined_s=self.joined_ns / 1e9,
            slowest_s=self.slowest_ns / 1e9,
            threaded=self.threaded,
            thread_s=self.thread_ns / 1e9,
            thread_wait_s=self.thread_wait_ns / 1e9,
        )


def _of_totals(totals: Totals, *, joined_s: float = 0.0) -> NodeUse:
    return NodeUse(
        path=totals.path,
        kind=totals.kind,
        calls=totals.calls,
        failed=totals.failed,
        skipped=totals.skipped,
        cached=totals.cached,
        attempts=totals.attempts,
        running=0,
        ready_s=totals.ready_s,
        seconds=totals.seconds,
        waited_s=totals.waited_s,
        retry_s=totals.retry_s,
        called_s=totals.called_s,
        joined_s=joined_s,
        slowest_s=totals.slowest_s,
        threaded=totals.threaded,
        thread_s=totals.thread_s,
        thread_wait_s=totals.thread_wait_s,
    )


def _plus(one: NodeUse, other: NodeUse) -> NodeUse:
    waited_s = dict(one.waited_s)
    for name, seconds in other.waited_s.items():
        waited_s[name] = waited_s.get(name, 0.0) + seconds
    return one._replace(
        calls=one.calls + other.calls,
        attempts=one.attempts + other.attempts,
        running=one.running + other.running,
        ready_s=one.ready_s + other.ready_s,
        seconds=one.seconds + other.seconds,
        waited_s=waited_s,
        retry_s=one.retry_s + other.retry_s,
        called_s=one.called_s + other.called_s,
        joined_s=one.joined_s + other.joined_s,
        slowest_s=max(one.slowest_s, other.slowest_s),
        threaded=one.threaded + other.threaded,
        thread_s=one.thread_s + other.thread_s,
        thread_wait_s=one.thread_wait_s + other.thread_wait_s,
    )


def nodes_of(run: RunRecord, leaves: Iterable[Span], until_ns: int) -> tuple[NodeUse, ...]:
    """Each node that calls something, those with the most time first."""
    ended: dict[str, _Sums] = {}
    unfinished: dict[str, _Sums] = {}
    for span in leaves:
        sums = ended if span.ended_ns is not None else unfinished
        of_node = sums.get(span.path)
        if of_node is None:
            of_node = sums[span.path] = _Sums(span)
        of_node.add(span, until_ns)
    totals = {one.path: one for one in run.totals if of_calls(one)}
    found = {path: _of_totals(one) for path, one in totals.items() if path not in ended}
    for path, of_node in ended.items():
        use = of_node.use(totals.get(path))
        # Failures are written at once, and the totals of a run under way from time to time.
        found[path] = use if run.ended_ns is not None else use._replace(failed=max(use.failed, of_node.failed))
    for path, of_node in unfinished.items():
        use = of_node.use(None)
        found[path] = _plus(found[path], use) if path in found else use
    return tuple(sorted(found.values(), key=lambda node: (-node.seconds, node.path)))


def time_spent(run: RunRecord, spans: Iterable[Span], nodes: Iterable[NodeUse], until_ns: int) -> TimeSpent:
    """The parts, from what ``nodes_of`` found and from all spans."""
    spans = list(spans)
    nodes = tuple(nodes)
    is_whole = not (run.left_out or run.dropped)
    wall_s = (until_ns - run.started_ns) / 1e9
    limits: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for node in nodes:
        for name, seconds in node.waited_s.items():
            limits[name][0] += seconds
            limits[name][1] += node.calls - node.skipped
    ready_s = sum(node.ready_s for node in nodes)
    in_totals = {one.path for one in run.totals}
    ready_s += sum(one.ready_s for one in run.totals if not of_calls(one))
    ready_s += sum(
        max(0, one.started_ns - one.ready_ns) / 1e9
        for one in spans
        if one.kind in CONTAINERS and one.ready_ns is not None and one.path not in in_totals
    )
    retries_s = sum(node.retry_s for node in nodes)
    joined_s = sum(node.joined_s for node in nodes)
    inside_s = sum(node.inside_s for node in nodes)
    called_s = sum(node.called_s for node in nodes)
    total_s = sum(one[0] for one in limits.values()) + called_s + retries_s + joined_s + ready_s + inside_s

    def part(name: str, seconds: float, calls: int) -> Part:
        return Part(name, seconds, seconds / total_s if total_s > 0 else 0.0, calls)

    def calls(*, models: bool) -> tuple[Part, ...]:
        found = [part(one.path, one.called_s, one.calls - one.skipped) for one in nodes if one.is_model is models]
        return _longest(one for one in found if one.calls)

    return TimeSpent(
        wall_s=wall_s,
        total_s=total_s,
        limits=_longest(part(name, seconds, int(count)) for name, (seconds, count) in limits.items()),
        models=calls(models=True),
        code=calls(models=False),
        retries_s=retries_s,
        again_s=_again_s(spans),
        joined_s=joined_s,
        ready_s=ready_s,
        inside_s=inside_s,
        idle_s=_idle_s(run, spans, until_ns) if is_whole and not any(one.kind == "item" for one in nodes) else None,
        at_once=sum(node.seconds for node in nodes) / wall_s if wall_s > 0 else 0.0,
        exact=bool(run.totals) or is_whole,
        stopped=_stopped(spans, until_ns) if is_whole and run.ended_ns is not None else (),
        thread_wait_s=sum(min(node.thread_wait_s, node.inside_s) for node in nodes),
        unsized=tuple(sorted({one.path for one in spans if one.done is not None and one.total is None})),
    )


def _longest(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda one: (-one.seconds, one.name)))


def _again_s(spans: Iterable[Span]) -> float:
    """How long attempts took that failed and were not the only ones."""
    took_ns = 0
    for one in spans:
        if one.kind == "attempt" and one.failure is not None and one.ended_ns is not None:
            took_ns += one.ended_ns - (one.started_ns if one.called_ns is None else one.called_ns)
    return took_ns / 1e9


def _idle_s(run: RunRecord, spans: Iterable[Span], until_ns: int) -> float:
    """How long no call was under way."""
    stretches = [
        (one.started_ns, until_ns if one.ended_ns is None else min(one.ended_ns, until_ns))
        for one in spans
        if is_leaf(one) and one.status != "skipped"
    ]
    stretches.sort()
    idle_ns, at_ns = 0, run.started_ns
    for started_ns, ended_ns in stretches:
        if started_ns > at_ns:
            idle_ns += started_ns - at_ns
        at_ns = max(at_ns, ended_ns)
    return (idle_ns + max(0, until_ns - at_ns)) / 1e9


def _stopped(spans: Iterable[Span], until_ns: int) -> tuple[Stopped, ...]:
    """When calls waited for limits that fewer than half as many held as at other times."""
    steps: dict[tuple[str, ...], list[tuple[int, int, int]]] = defaultdict(list)  # when, how many more wait, and hold
    held: dict[tuple[str, ...], list[tuple[int, int, int]]] = defaultdict(list)
    for span in spans:
        ended_ns = until_ns if span.ended_ns is None else span.ended_ns
        for wait in span.waits:
            admitted_ns = ended_ns if wait.admitted_ns is None else wait.admitted_ns
            if admitted_ns > wait.queued_ns:
                steps[wait.limits] += [(wait.queued_ns, 1, 0), (admitted_ns, -1, 0)]
            if wait.admitted_ns is not None:
                released_ns = max(admitted_ns, ended_ns if wait.released_ns is None else wait.released_ns)
                held[wait.limits] += [(admitted_ns, 0, 1), (released_ns, 0, -1)]
    found: list[Stopped] = []
    for limits, waiting in steps.items():
        in_them = [step for others, holds in held.items() if not set(limits).isdisjoint(others) for step in holds]
        stopped_ns, most = _stopped_ns(waiting + in_them)
        if stopped_ns > 0:
            found.append(Stopped(",".join(limits), stopped_ns / 1e9, most))
    return tuple(sorted(found, key=lambda one: (-one.seconds, one.name)))


def _stopped_ns(steps: list[tuple[int, int, int]]) -> tuple[int, int]:
    """How long somebody waited while fewer than half of the most held, and how many these are."""
    steps.sort()
    while_held: dict[int, int] = defaultdict(int)  # how long somebody waited, by how many held
    waiting = holding = most = before_ns = 0
    for at_ns, more_wait, more_hold in steps:
        if waiting:
            while_held[holding] += at_ns - before_ns
        waiting, holding, before_ns = waiting + more_wait, holding + more_hold, at_ns
        most = max(most, holding)
    return sum(ns for number, ns in while_held.items() if 2 * number < most), most
