"""``AttemptSums``: attempts of one node that failed, added up by why; and ``attempts_of``, the same of a whole run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from hush.observability._alike import pattern_of
from hush.observability._node_use import of_calls
from hush.observability._span import AskedInVain, FailedAttempts, Failure, RunRecord, Span

MOST_REASONS = 20
"""So many reasons, and resources, are told apart of each node; what comes then is counted together."""

_GAVE_UP = frozenset({"failed", "handled"})


def gave_up(number: int, attempts: int, status: str) -> bool:
    """Whether the attempt ``number`` of a node that was tried so often, and ended so, was the one it failed with."""
    return number >= attempts and status in _GAVE_UP


class _Sum:
    __slots__ = ("again", "began_ns", "count", "first", "name", "took_ns")

    def __init__(self, name: str, first: Failure, began_ns: int) -> None:
        self.name = name
        self.first = first
        self.began_ns = began_ns
        self.count = self.again = self.took_ns = 0


class _Table:
    """Sums by what tells them apart, and one more of what there is no room for."""

    __slots__ = ("_most", "found", "rest")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.found: dict[Hashable, _Sum] = {}
        self.rest: _Sum | None = None

    def of(self, key: Hashable, name: str, failure: Failure, began_ns: int) -> _Sum:
        found = self.found.get(key)
        if found is None:
            if self._most is None or len(self.found) < self._most:
                found = self.found[key] = _Sum(name, failure, began_ns)
            else:
                if self.rest is None:
                    self.rest = _Sum(name, failure, began_ns)
                found = self.rest
        if began_ns < found.began_ns:  # nodes do not end in the order in which they were tried
            found.name, found.first, found.began_ns = name, failure, began_ns
        return found

    def sums(self) -> list[tuple[_Sum, bool]]:
        """Each, the most frequent first, and whether it is of the rest, which comes last."""
        found = sorted(self.found.values(), key=lambda one: (-one.count, one.first.type, one.name))
        return [(one, False) for one in found] + ([] if self.rest is None else [(self.rest, True)])


class AttemptSums:
    """The sums of one node.

    Args:
        most: How many reasons are told apart; ``None`` for all.
    """

    __slots__ = ("_reasons", "_resources")

    def __init__(self, most: int | None = MOST_REASONS) -> None:
        self._reasons = _Table(most)
        self._resources = _Table(most)

    def failed(self, failure: Failure, began_ns: int, ended_ns: int, *, again: bool) -> None:
        """An attempt has failed, and was followed by another or not."""
        sums = self._reasons.of((failure.type, pattern_of(failure.message)), "", failure, began_ns)
        sums.count += 1
        sums.again += again
        sums.took_ns += max(0, ended_ns - began_ns)

    def in_vain(self, resource: str, failure: Failure, began_ns: int) -> None:
        """A call that began then has asked a resource in vain, and then another."""
        self._resources.of(resource, resource, failure, began_ns).count += 1

    @property
    def count(self) -> int:
        """How many attempts have failed, and how often a resource was asked in vain."""
        return sum(one.count for table in (self._reasons, self._resources) for one, _ in table.sums())

    def attempts(self) -> tuple[FailedAttempts, ...]:
        """The sums until now, by reason."""
        return tuple(
            FailedAttempts(one.first, one.count, one.again, one.took_ns / 1e9, others)
            for one, others in self._reasons.sums()
        )

    def resources(self) -> tuple[AskedInVain, ...]:
        """The sums until now, by resource."""
        return tuple(AskedInVain(one.name, one.first, one.count, others) for one, others in self._resources.sums())


# ── Of a run ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Retried(NamedTuple):
    """How often a node was tried again because of like failures; ``first`` is the first.

    Attributes:
        others: Whether it is for all reasons besides those that are told apart.
        exact: Whether all are counted. They are not of a run that was killed, of which the last half a second is not
            known, nor if spans are missing and the trace is of a version that did not count them otherwise.
    """

    path: str
    times: int
    first: Failure
    others: bool = False
    exact: bool = True


class Rerouted(NamedTuple):
    """How often a ``resource`` was asked in vain for a node, so that another one was asked; ``first`` is the reason.

    ``others`` and ``exact`` as of ``Retried``.
    """

    path: str
    resource: str
    times: int
    first: Failure
    others: bool = False
    exact: bool = True


class Attempts(NamedTuple):
    """What a run was tried again for, the most frequent reason first; ``seconds`` is how long what failed took.

    ``exact``: whether all are counted.
    """

    retried: tuple[Retried, ...]
    rerouted: tuple[Rerouted, ...]
    seconds: float
    exact: bool


def attempts_of(run: RunRecord, spans: Iterable[Span], by_id: Mapping[str, Span]) -> Attempts:
    """All of a run: from its spans if each of them was kept, else from the totals where these know more."""
    of_spans = _in_spans(spans, by_id)
    is_whole = not (run.left_out or run.dropped)
    has_ended = run.ended_ns is not None
    totals = {} if is_whole else {one.path: one for one in run.totals if of_calls(one)}
    retried: list[Retried] = []
    rerouted: list[Rerouted] = []
    seconds, all_exact = 0.0, has_ended and (is_whole or bool(totals))
    for path in sorted({*of_spans, *totals}):
        seen, told = of_spans.get(path) or AttemptSums(None), totals.get(path)
        failed, in_vain, exact = seen.attempts(), seen.resources(), is_whole and has_ended
        if told is not None and told.failed_attempts is not None and told.in_vain is not None:
            exact = has_ended
            known = sum(one.times for one in told.failed_attempts) + sum(one.times for one in told.in_vain)
            if known >= seen.count:
                failed, in_vain = told.failed_attempts, told.in_vain
        elif told is not None:  # of an older version: that there were no more can be seen all the same
            exact = has_ended and sum(one.again for one in failed) >= told.attempts - told.calls + told.skipped
        all_exact = all_exact and exact
        retried += [Retried(path, one.again, one.first, one.others, exact) for one in failed if one.again]
        rerouted += [Rerouted(path, one.resource, one.times, one.first, one.others, exact) for one in in_vain]
        seconds += sum(one.seconds for one in failed)
    retried.sort(key=lambda one: (-one.times, one.path, one.first.type))
    rerouted.sort(key=lambda one: (-one.times, one.path, one.resource))
    return Attempts(tuple(retried), tuple(rerouted), seconds, all_exact)


def _in_spans(spans: Iterable[Span], by_id: Mapping[str, Span]) -> dict[str, AttemptSums]:
    """By node: what its spans say."""
    found: dict[str, AttemptSums] = defaultdict(lambda: AttemptSums(None))
    for span in spans:
        if span.kind != "attempt":
            for resource, failure in span.rerouted:
                found[span.path].in_vain(resource, failure, span.started_ns)
        elif span.failure is not None and span.ended_ns is not None:
            node = by_id.get(span.parent or "")
            again = node is not None and not gave_up(span.attempt or 1, node.attempts, node.status)
            began_ns = span.started_ns if span.called_ns is None else span.called_ns
            found[span.path].failed(span.failure, began_ns, span.ended_ns, again=again)
    return found
