"""Where the time of a run went: in calls, in waiting for limits, between attempts, and in the engine.

All seconds but ``wall_s`` and ``idle_s`` are sums over calls. Of calls that ran side by side these are more than the
clock shows: ten calls of one second each that overlap wholly are 10 s here and 1 s by the clock. A share is of the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from hush.observability._attempts import Attempts
from hush.observability._node_use import NodeUse, is_leaf, of_calls
from hush.observability._span import HOLDERS, RunRecord, Span
from hush.observability._stopped import Stopped, stopped_of


class Part(NamedTuple):
    """A part of the time: ``name`` is a limit's or a node's path; ``share`` is of all parts together, from 0 to 1."""

    name: str
    seconds: float
    share: float
    calls: int


class TimeSpent(NamedTuple):
    """Where the time went.

    Attributes:
        wall_s: How long the run took, by the clock.
        total_s: All parts together.
        limits: Waited for limits, by their names, the longest first.
        models: In calls of models, by node.
        code: In all other calls, by node.
        retries_s: Between attempts.
        again_s: In attempts that failed: a part of what is in ``models`` and ``code``.
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
        at_once: How many calls were under way at once, on the average: ``calls_s`` over ``wall_s``.
        exact: Whether all calls are counted. They are not of a run that was killed, of which the last half a second is
            not known, nor if spans are missing and there are no totals.
        calls_s: From the beginnings of all calls to their ends: all parts but ``ready_s``, in which none had begun.
        again_exact: Whether ``again_s`` is of all attempts; else it is of some.
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
    again_exact: bool = True
    calls_s: float = 0.0


def time_spent(
    run: RunRecord, spans: Iterable[Span], nodes: Iterable[NodeUse], attempts: Attempts, until_ns: int
) -> TimeSpent:
    """The parts, from what ``nodes_of`` and ``attempts_of`` found and from all spans."""
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
        if one.kind in HOLDERS and one.ready_ns is not None and one.path not in in_totals
    )
    retries_s = sum(node.retry_s for node in nodes)
    joined_s = sum(node.joined_s for node in nodes)
    inside_s = sum(node.inside_s for node in nodes)
    called_s = sum(node.called_s for node in nodes)
    calls_s = sum(one[0] for one in limits.values()) + called_s + retries_s + joined_s + inside_s
    total_s = calls_s + ready_s

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
        again_s=attempts.seconds,
        joined_s=joined_s,
        ready_s=ready_s,
        inside_s=inside_s,
        idle_s=_idle_s(run, spans, until_ns) if is_whole and not any(one.kind == "item" for one in nodes) else None,
        at_once=calls_s / wall_s if wall_s > 0 else 0.0,
        exact=run.ended_ns is not None and (bool(run.totals) or is_whole),
        stopped=stopped_of(spans) if is_whole and run.ended_ns is not None else (),
        thread_wait_s=sum(min(node.thread_wait_s, node.inside_s) for node in nodes),
        unsized=tuple(sorted({one.path for one in spans if one.done is not None and one.total is None})),
        again_exact=attempts.exact,
        calls_s=calls_s,
    )


def _longest(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda one: (-one.seconds, one.name)))


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
