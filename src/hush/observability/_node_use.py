"""What one node used: the time of its calls, by what it went into, from the spans of a run and its totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hush.observability._span import HOLDERS, RunRecord, Span, Totals

MODELS = frozenset({"llm", "chain", "embedding", "rerank"})


def is_leaf(span: Span) -> bool:
    """Whether it is a call, and neither holds nodes nor is one attempt of several.

    An item that ran in a worker process is one: nothing is told of the nodes in it.
    """
    if span.kind == "item":
        return span.called_ns is not None
    return span.kind not in HOLDERS and span.kind != "attempt"


def of_calls(totals: Totals) -> bool:
    """Whether they are of calls, as of ``is_leaf``."""
    return totals.kind not in HOLDERS or totals.kind == "item"


class NodeUse(NamedTuple):
    """All calls of one node: numbers and sums as of ``Totals``, calls that have not ended included.

    ``running`` is how many have not. ``joined_s`` went into waiting for identical calls.
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
            self.waited_ns[", ".join(wait.limits)] += waited_ns
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
        joined_s=joined_s if totals.joined_s is None else totals.joined_s,
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
