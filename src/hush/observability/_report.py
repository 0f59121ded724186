"""``report``: what a person needs to see of a run, from its record and spans: what failed, why, and where time went.

Pure: no clock, no file and no store is read. Where spans were left out of a trace, numbers of calls, failures, attempts
and seconds come from the run's totals, which are exact; what only spans tell says of how many calls it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from typing import NamedTuple

from hush.observability._attempts import Rerouted, Retried, attempts_of
from hush.observability._causes import FailureGroup, Unseen, causes
from hush.observability._chain import Link, chain
from hush.observability._model_use import models_of
from hush.observability._node_use import NodeUse, is_leaf, nodes_of
from hush.observability._span import ModelUse, RunRecord, Span
from hush.observability._time_spent import TimeSpent, time_spent

MOST_CALLS = 10
"""How many of the slowest calls a report names."""


_UNFINISHED = frozenset({"running", "crashed", "cancelled"})


class Call(NamedTuple):
    """One call of a node.

    Attributes:
        key: The nearest item's around it.
        waiting_for: The limits that it waits for now.
        lately_s: For how long it has been at what it is at: waiting for these, or being called.
        begun: Of a map of which no call was seen at work: how many of its items had begun at least, and not ended. The
            calls in them were under way for too short a time to be in the trace.
    """

    id: str
    path: str
    kind: str
    items: tuple[int, ...]
    key: str | None
    status: str
    started_ns: int
    seconds: float
    waited_s: float
    waiting_for: tuple[str, ...]
    attempts: int = 1
    lately_s: float = 0.0
    begun: int = 0


class Report(NamedTuple):
    """What there is to see of a run.

    Attributes:
        run: Its record.
        until_ns: Its end; of one that has not ended, the last instant that its trace tells of, or ``now_ns``.
        seconds: From its start until then, by the clock.
        kept: How many spans there are in the trace.
        failures: By cause, those that ended the run at the front, then the most frequent.
        unseen: Failures that the totals count and of which no span was kept, by node.
        time: Where the time went.
        nodes: Each node that calls something, those with the most time first.
        slowest: The longest calls.
        under_way: Calls that have not ended, or were cancelled, those that began first at the front.
        models: What models used, the dearest first: exactly, unless the run was killed or its totals are not known.
        generations: Of how many calls of models that is known, and how many were made.
        rerouted: Resources that were asked in vain.
        retried: Why nodes were tried again, the most frequent reason at the front.
        cached: How many calls were answered from a cache, or with an identical call.
        waited_for: The chain of nodes that the end waited for, the first at the front.
        items: How many items of all maps ended, and how many of these failed.
    """

    run: RunRecord
    until_ns: int
    seconds: float
    kept: int
    failures: tuple[FailureGroup, ...]
    unseen: tuple[Unseen, ...]
    time: TimeSpent
    nodes: tuple[NodeUse, ...]
    slowest: tuple[Call, ...]
    under_way: tuple[Call, ...]
    models: tuple[ModelUse, ...]
    generations: tuple[int, int]
    rerouted: tuple[Rerouted, ...]
    retried: tuple[Retried, ...]
    cached: int
    waited_for: tuple[Link, ...]
    items: tuple[int, int]


def report(run: RunRecord, spans: Iterable[Span], *, now_ns: int | None = None) -> Report:
    """What there is to see of ``run``, in time that grows with ``spans`` as sorting them does.

    Spans may come in any order, and some may be missing. ``now_ns`` is the instant until which what is under way is
    counted, of a run that still runs.
    """
    spans = list(spans)
    by_id = {span.id: span for span in spans}
    until_ns = _until(run, spans, now_ns)
    leaves = [span for span in spans if is_leaf(span)]
    nodes = nodes_of(run, leaves, until_ns)
    failures, unseen = causes(run, spans, by_id)
    models = models_of(run, leaves)
    attempts = attempts_of(run, spans, by_id)
    return Report(
        run=run,
        until_ns=until_ns,
        seconds=(until_ns - run.started_ns) / 1e9,
        kept=len(spans),
        failures=failures,
        unseen=unseen,
        time=time_spent(run, spans, nodes, attempts, until_ns),
        nodes=nodes,
        slowest=_slowest(leaves, by_id, until_ns),
        under_way=(*_under_way(leaves, by_id, until_ns), *_maps_alone(spans, nodes, by_id, until_ns)),
        models=models.uses(),
        generations=(
            models.calls,
            sum(node.calls - node.skipped - node.cached for node in nodes if node.is_model),
        ),
        rerouted=attempts.rerouted,
        retried=attempts.retried,
        cached=sum(node.cached for node in nodes),
        waited_for=chain(spans),
        items=_items(run, spans),
    )


def _items(run: RunRecord, spans: list[Span]) -> tuple[int, int]:
    """What the run counts, unless its maps' spans know more, as those do that are newer than its record."""
    maps = [span for span in spans if span.done is not None]
    done, failed = sum(one.done or 0 for one in maps), sum(one.failed or 0 for one in maps)
    if run.items >= done:
        done, failed = run.items, run.items_failed
    if run.ended_ns is not None:
        return done, failed
    ended = [one for one in spans if one.kind == "item" and one.ended_ns is not None and one.status != "cancelled"]
    return max(done, len(ended)), max(failed, sum(one.status == "failed" for one in ended))


def _until(run: RunRecord, spans: list[Span], now_ns: int | None) -> int:
    if run.ended_ns is not None:
        return run.ended_ns
    if now_ns is not None and run.status == "running":
        return max(now_ns, run.started_ns)
    latest = max(run.started_ns, run.seen_ns or 0)
    for span in spans:
        latest = max(latest, span.ended_ns or span.started_ns)
        for wait in span.waits:
            latest = max(latest, wait.admitted_ns or wait.queued_ns)
    return latest


def _took_ns(span: Span, until_ns: int) -> int:
    ended_ns = until_ns if span.ended_ns is None else span.ended_ns
    return max(0, ended_ns - span.started_ns)


def key_of(span: Span, by_id: Mapping[str, Span]) -> str | None:
    """The key of the nearest item around a span, or its own."""
    found: Span | None = span
    for _ in range(1000):  # a trace that is damaged may have a ring
        if found is None:
            return None
        if found.kind == "item":
            return found.key
        found = by_id.get(found.parent) if found.parent else None
    return None


def _call(span: Span, by_id: Mapping[str, Span], until_ns: int) -> Call:
    waited_ns = sum((wait.admitted_ns or until_ns) - wait.queued_ns for wait in span.waits)
    return Call(
        id=span.id,
        path=span.path,
        kind=span.kind,
        items=span.items,
        key=key_of(span, by_id),
        status=span.status,
        started_ns=span.started_ns,
        seconds=_took_ns(span, until_ns) / 1e9,
        waited_s=waited_ns / 1e9,
        waiting_for=span.waits[-1].limits if span.waits and span.waits[-1].admitted_ns is None else (),
        attempts=span.attempts,
        lately_s=max(0, (until_ns if span.ended_ns is None else span.ended_ns) - _lately_ns(span)) / 1e9,
    )


def _lately_ns(span: Span) -> int:
    """When that began which it was at last."""
    if span.waits:
        last = span.waits[-1]
        return last.queued_ns if last.admitted_ns is None else last.admitted_ns
    return span.started_ns if span.called_ns is None else span.called_ns


def _slowest(leaves: list[Span], by_id: Mapping[str, Span], until_ns: int) -> tuple[Call, ...]:
    longest = nlargest(MOST_CALLS, leaves, key=lambda span: _took_ns(span, until_ns))
    return tuple(_call(span, by_id, until_ns) for span in longest)


def _maps_alone(
    spans: list[Span], nodes: Iterable[NodeUse], by_id: Mapping[str, Span], until_ns: int
) -> Iterator[Call]:
    """Maps at work with nothing in them that is seen to be.

    They wait for their source or for items in worker processes, or what is at work in them began a moment ago.
    """
    unfinished = [span for span in spans if span.status in _UNFINISHED]
    around = {span.parent for span in unfinished}
    alone = [span for span in unfinished if span.kind in ("map", "for") and span.id not in around]
    for span in sorted(alone, key=lambda one: (one.started_ns, one.path, one.items)):
        begun = 0
        if not span.items:  # else there may be others of this path
            begun = max((one.calls for one in nodes if one.path.rpartition("/")[0] == span.path), default=0)
        yield _call(span, by_id, until_ns)._replace(begun=max(0, begun - (span.done or 0)))


def _under_way(leaves: list[Span], by_id: Mapping[str, Span], until_ns: int) -> tuple[Call, ...]:
    unfinished = [span for span in leaves if span.status in _UNFINISHED]
    unfinished.sort(key=lambda span: (span.started_ns, span.path, span.items))
    return tuple(_call(span, by_id, until_ns) for span in unfinished)
