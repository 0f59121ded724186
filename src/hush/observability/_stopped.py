"""``stopped_of``: when calls waited for limits that hardly anybody held, and why that may have been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from hush.observability._node_use import is_leaf
from hush.observability._span import Span, Wait

Cause: TypeAlias = Literal["closed", "window", "others", "processes", "busy"]
"""``closed``: a refusal or a ``Retry-After`` had closed it; ``window``: the starts or tokens that it allows in a time
were used up; ``others``: other runs had it, or had closed it; ``processes``: worker processes were being started;
``busy``: the loop was too busy to let calls in, or to see that it was open again."""

_PROCESSES = "worker processes"  # what nodes with ``executor="process"`` wait for as for a limit
_UNNAMED = "Limit("  # how a limit without a name is called: by all that it was given
_WINDOWS = ("per_second=", "per_minute=")  # the latter of tokens too
_AT_WORK = 0.1  # the part of the time from which on calls that were under way may have kept the loop busy

Step: TypeAlias = tuple[int, int, int, int]
"""When, how many more wait, which limit by its place, and how many more hold it."""


class Stopped(NamedTuple):
    """For how many ``seconds``, by the clock, calls waited for limits that let hardly anybody in.

    Fewer than half of ``most`` held them then, which is how many calls of the run did at most. ``name`` as of
    ``TimeSpent.limits``. ``causes`` are those that are possible, as far as the trace tells.
    """

    name: str
    seconds: float
    most: int
    causes: tuple[Cause, ...] = ()


def stopped_of(spans: Sequence[Span]) -> tuple[Stopped, ...]:
    """The longest first; of a run that has ended, and all spans of it."""
    with_waits = [span for span in spans if span.waits]
    found: list[Stopped] = []
    for limits in {wait.limits: None for span in with_waits for wait in span.waits}:
        concerned = [
            (span, wait) for span in with_waits for wait in span.waits if not set(limits).isdisjoint(wait.limits)
        ]
        stretches, most = _stretches(limits, concerned)
        if stretches:
            seconds = sum(end_ns - start_ns for start_ns, end_ns in stretches) / 1e9
            causes = tuple(_causes(limits, concerned, stretches, spans))
            found.append(Stopped(", ".join(limits), seconds, most, causes))
    return tuple(sorted(found, key=lambda one: (-one.seconds, one.name)))


def _let_in_ns(wait: Wait) -> int | None:
    """When the limit let a call in, which went on as soon as the loop came to it."""
    return wait.admitted_ns if wait.let_in_ns is None else wait.let_in_ns


def _ended_ns(span: Span) -> int:
    return span.started_ns if span.ended_ns is None else span.ended_ns


def _stretches(limits: tuple[str, ...], concerned: list[tuple[Span, Wait]]) -> tuple[list[tuple[int, int]], int]:
    """When somebody waited for ``limits``, each of which fewer than half of its most held; and the least of these."""
    most: list[int] = []
    steps: list[Step] = []
    for place, limit in enumerate(limits):
        holds = [(wait, _given_back_ns(span, wait)) for span, wait in concerned if limit in wait.limits]
        # From when they went on: a place is given on a moment before it is told that it was given back.
        most.append(
            _most_at_once([(wait.admitted_ns, end_ns) for wait, end_ns in holds if wait.admitted_ns is not None])
        )
        for wait, end_ns in holds:
            let_in_ns = _let_in_ns(wait)
            if let_in_ns is not None:
                steps += ((let_in_ns, 0, place, 1), (max(let_in_ns, end_ns), 0, place, -1))
    for span, wait in concerned:
        let_in_ns = _let_in_ns(wait)
        until_ns = _ended_ns(span) if let_in_ns is None else let_in_ns
        if until_ns > wait.queued_ns and wait.limits == limits:
            steps += ((wait.queued_ns, 1, 0, 0), (until_ns, -1, 0, 0))
    steps.sort()
    found: list[tuple[int, int]] = []
    held = [0] * len(limits)
    full = most.count(0)  # how many of the limits half of their most hold, or more
    waiting = before_ns = 0
    for at_ns, more_wait, place, more in steps:
        if waiting and not full and at_ns > before_ns:
            if found and found[-1][1] == before_ns:
                found[-1] = (found[-1][0], at_ns)
            else:
                found.append((before_ns, at_ns))
        waiting, before_ns = waiting + more_wait, at_ns
        if more:
            was_full = 2 * held[place] >= most[place]
            held[place] += more
            full += (2 * held[place] >= most[place]) - was_full
    return found, min(most)


def _given_back_ns(span: Span, wait: Wait) -> int:
    return _ended_ns(span) if wait.released_ns is None else wait.released_ns


def _most_at_once(stretches: list[tuple[int, int]]) -> int:
    begins = sorted([start_ns for start_ns, end_ns in stretches if end_ns > start_ns])
    ends = sorted([end_ns for start_ns, end_ns in stretches if end_ns > start_ns])
    most = ended = 0
    for begun, at_ns in enumerate(begins, 1):
        while ends[ended] <= at_ns:
            ended += 1
        most = max(most, begun - ended)
    return most


# ── Why ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _causes(
    limits: tuple[str, ...], concerned: list[tuple[Span, Wait]], stretches: list[tuple[int, int]], spans: Sequence[Span]
) -> Iterator[Cause]:
    if limits == (_PROCESSES,):
        yield from ("processes", "busy")  # each run has its own, and when one was free is not told
        return
    opens_by_itself = False
    if any(span.attempts > 1 or span.rerouted or span.status in ("failed", "handled") for span, _ in concerned):
        opens_by_itself = True
        yield "closed"
    if any(not limit.startswith(_UNNAMED) or any(one in limit for one in _WINDOWS) for limit in limits):
        opens_by_itself = True
        yield "window"
    yield "others"
    waits = [wait for _, wait in concerned if wait.limits == limits]
    if any(wait.let_in_ns is None and wait.admitted_ns not in (None, wait.queued_ns) for wait in waits):
        yield "busy"  # the trace is of a version that did not tell when they were let in
    elif opens_by_itself and _overlap_ns(stretches, _at_work(spans)) >= _AT_WORK * sum(e - s for s, e in stretches):
        yield "busy"


def _at_work(spans: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """When calls were under way, by themselves and not waiting for a limit or for their next attempt."""
    for span in spans:
        if span.ended_ns is None:
            continue
        if span.kind == "attempt":
            yield span.started_ns, span.ended_ns
        elif span.called_ns is not None and span.attempts == 1 and is_leaf(span):
            yield span.called_ns, span.ended_ns


def _overlap_ns(stretches: list[tuple[int, int]], others: Iterable[tuple[int, int]]) -> int:
    """For how long of ``stretches``, which are in order and apart, at least one of ``others`` was under way."""
    found = place = 0
    until_ns = 0
    for start_ns, end_ns in sorted(others):
        start_ns = max(start_ns, until_ns)  # what lies before is counted
        until_ns = max(until_ns, end_ns)
        while place < len(stretches) and stretches[place][1] <= start_ns:
            place += 1
        at = place
        while at < len(stretches) and stretches[at][0] < end_ns:
            found += max(0, min(end_ns, stretches[at][1]) - max(start_ns, stretches[at][0]))
            at += 1
    return found
