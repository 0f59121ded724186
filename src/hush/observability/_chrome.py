"""``write_chrome``: a trace in the Trace Event Format, which Perfetto and Chrome's own viewer open.

What it is made of: complete events (``"ph": "X"``) with microseconds since the run began, and metadata events that name
the lanes. In a lane events must nest, so spans that overlap get lanes of their own: what runs side by side in a map is
drawn side by side. Waits for limits, and between attempts, are events inside the calls that waited.

The format is described in Google's document "Trace Event Format".
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, NamedTuple, TextIO

from hush.observability._span import RunRecord, Span

_PID = 1
_CNAMES = {"failed": "terrible", "crashed": "terrible", "cancelled": "grey", "handled": "bad", "partial": "bad"}
"""Colours of Chrome's viewer, by status; Perfetto takes no notice of them."""


class _Stretch(NamedTuple):
    """What becomes an event: a span, its wait number ``wait``, or the time after ``failed``, an attempt of it."""

    started_ns: int
    ended_ns: int
    depth: int
    span: Span
    wait: int | None
    id: str
    parent: str | None
    failed: Span | None = None


class _Pool:
    """The lanes for what goes on in one node of the graph, besides the lane of whoever is around it."""

    def __init__(self) -> None:
        self.lanes: list[int] = []
        self._busy: list[tuple[int, int]] = []  # until when, which: a heap
        self._free: list[int] = []

    def free(self, started_ns: int) -> int | None:
        """The first lane that is free from then on."""
        while self._busy and self._busy[0][0] <= started_ns:
            heappush(self._free, heappop(self._busy)[1])
        return heappop(self._free) if self._free else None

    def take(self, lane: int, ended_ns: int) -> None:
        """It is busy until then."""
        heappush(self._busy, (ended_ns, lane))


def write_chrome(run: RunRecord, spans: Iterable[Span], file: TextIO, *, until_ns: int | None = None) -> int:
    """Write the trace to ``file``, event by event, and return how many events there are.

    What has not ended ends at ``until_ns``, or with the last thing that the trace tells of.
    """
    head = {
        "trace": run.trace,
        "request_id": run.request_id,
        "name": run.name,
        "status": run.status,
        "started_ns": run.started_ns,
        "spans_left_out": run.left_out,
        "spans_dropped": run.dropped,
    }
    file.write('{"displayTimeUnit":"ms","otherData":' + _json({name: str(one) for name, one in head.items()}))
    file.write(',"traceEvents":[\n')
    count = 0
    for event in chrome_events(run, spans, until_ns=until_ns):
        file.write((",\n" if count else "") + _json(event))
        count += 1
    file.write("\n]}\n")
    return count


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str)


def chrome_events(run: RunRecord, spans: Iterable[Span], *, until_ns: int | None = None) -> Iterator[dict[str, Any]]:
    """The events, those that begin first at the front, each lane named before it is used."""
    spans = list(spans)
    ends = [run.ended_ns or 0, run.started_ns, *(one.ended_ns or one.started_ns for one in spans)]
    last_ns = until_ns if until_ns is not None else max(ends)
    stretches = _stretches(spans, last_ns)
    yield _named("process_name", 0, f"{run.name} {run.request_id}")
    inside: dict[str, tuple[int, int, int]] = {}  # of each stretch: its lane, until when that is taken, its end
    pools: dict[str, _Pool] = {}
    lanes = 0
    for one in stretches:
        around = inside.get(one.parent) if one.parent else None
        if around is not None and around[1] <= one.started_ns and one.ended_ns <= around[2]:
            lane = around[0]
            inside[one.parent or ""] = (lane, one.ended_ns, around[2])
        else:
            pool = pools.setdefault(one.span.path, _Pool())
            free = pool.free(one.started_ns)
            if free is None:
                free = lanes
                lanes += 1
                pool.lanes.append(free)
                yield _named("thread_name", free, one.span.path if around is None else _slot(one, len(pool.lanes)))
                yield {**_named("thread_sort_index", free, ""), "args": {"sort_index": free}}
            pool.take(free, one.ended_ns)
            lane = free
        inside[one.id] = (lane, one.started_ns, one.ended_ns)
        yield _event(one, lane, run.started_ns)


def _slot(one: _Stretch, number: int) -> str:
    return f"{one.span.path} {number}"


def _named(what: str, lane: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": _PID, "tid": lane, "args": {"name": name}}


def _stretches(spans: list[Span], last_ns: int) -> list[_Stretch]:
    """All that becomes an event, such that whatever is around something comes before it."""
    by_id = {span.id: span for span in spans}
    depths: dict[str, int] = {}
    attempts = {(span.parent, span.attempt): span.id for span in spans if span.kind == "attempt"}
    tries: dict[str | None, list[Span]] = defaultdict(list)
    for span in spans:
        if span.kind == "attempt":
            tries[span.parent].append(span)
    found: list[_Stretch] = []
    for span in spans:
        depth = _depth(span, by_id, depths)
        ended_ns = max(span.started_ns, last_ns if span.ended_ns is None else span.ended_ns)
        found.append(_Stretch(span.started_ns, ended_ns, depth, span, None, span.id, span.parent))
        for number, wait in enumerate(span.waits):
            until_ns = ended_ns if wait.admitted_ns is None else wait.admitted_ns
            if until_ns > wait.queued_ns:
                attempt = by_id.get(attempts.get((span.id, wait.attempt), ""))
                inner = attempt is not None and attempt.started_ns <= wait.queued_ns
                parent = attempt.id if attempt is not None and inner else span.id
                found.append(_Stretch(wait.queued_ns, until_ns, depth + 2, span, number, f"{span.id}.{number}", parent))
        for earlier, later in pairwise(sorted(tries.get(span.id, ()), key=lambda one: one.attempt or 0)):
            queued = [wait.queued_ns for wait in span.waits if wait.attempt == later.attempt]
            until_ns = min([later.started_ns, *queued])
            if earlier.ended_ns is not None and until_ns > earlier.ended_ns:
                id_ = f"{span.id}-{earlier.attempt}"
                found.append(_Stretch(earlier.ended_ns, until_ns, depth + 1, span, None, id_, span.id, earlier))
    found.sort(key=lambda one: (one.started_ns, one.depth, -one.ended_ns))
    return found


def _depth(span: Span, by_id: dict[str, Span], depths: dict[str, int]) -> int:
    """How many spans are around it."""
    way: list[Span] = []
    around: Span | None = span
    while around is not None and around.id not in depths and len(way) < 10_000:
        way.append(around)
        around = by_id.get(around.parent) if around.parent else None
    depth = -1 if around is None else depths.get(around.id, -1)
    for one in reversed(way):
        depth += 1
        depths[one.id] = depth
    return depths[span.id]


def _event(one: _Stretch, lane: int, zero_ns: int) -> dict[str, Any]:
    span = one.span
    event: dict[str, Any] = {
        "ph": "X",
        "name": span.title,
        "cat": span.kind,
        "pid": _PID,
        "tid": lane,
        "ts": _microseconds(one.started_ns - zero_ns),
        "dur": _microseconds(one.ended_ns - zero_ns) - _microseconds(one.started_ns - zero_ns),
    }
    if one.wait is not None:
        wait = span.waits[one.wait]
        limits = ", ".join(wait.limits)
        event |= {"name": f"wait: {limits}", "cat": "wait"}
        event["args"] = {"path": span.path, "limits": limits, "attempt": wait.attempt}
        return event
    if one.failed is not None:
        event |= {"name": "between attempts", "cat": "retry"}
        event["args"] = {"path": span.path, "attempt": one.failed.attempt}
        if one.failed.failure is not None:
            event["args"]["error"] = f"{one.failed.failure.type}: {one.failed.failure.message}"
        return event
    event["args"] = _arguments(span)
    if span.status in _CNAMES:
        event["cname"] = _CNAMES[span.status]
    return event


def _microseconds(ns: int) -> float:
    """As a multiple of 1/4096, so that sums are exact.

    Viewers add ``ts`` and ``dur``, and what ends a rounding after the next event has begun is taken to be around it.
    """
    return (ns * 4096 + 500) // 1000 / 4096


def _arguments(span: Span) -> dict[str, Any]:
    """What a viewer shows of an event that is clicked; no values, which stay in the store."""
    found: dict[str, Any] = {"path": span.path, "status": span.status, "id": span.id}
    if span.items:
        found["items"] = list(span.items)
    if span.ready_ns is not None:
        found["ready_s"] = max(0, span.started_ns - span.ready_ns) / 1e9
    if span.attempts != 1:
        found["attempts"] = span.attempts
        found["retry_s"] = span.retry_s
    if span.cached is not None:
        found["cached"] = span.cached
    if span.failure is not None:
        found["error"] = f"{span.failure.type}: {span.failure.message}"
    if span.done is not None:
        found |= {"done": span.done, "failed": span.failed, "left_out": span.left_out, "total": span.total}
    if span.generation is not None:
        asked = span.generation
        found |= {"model": asked.model, "resource": asked.resource, "cost": asked.cost}
        found["usage"] = dict(asked.usage or {})
    return found
