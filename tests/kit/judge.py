"""Runs a case on the engine under one seed and compares what happened with what the reference says."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

from kit.build import Play
from kit.faults import Boom, differences, label, members
from kit.loop import VirtualLoop, play
from kit.reference import Expected
from kit.shapes import Case, Graph, Leaf, Map


@dataclass(frozen=True)
class Outcome:
    """What a run gave or raised, how often it was cancelled from outside, and how many requests its task still sees."""

    result: Any
    error: BaseException | None
    requests: int
    cancelling: int


def run_case(case: Case, engine: Any, seed: object, cancel_at: int | None = None, *, threads: bool = False) -> Outcome:
    """One run on a loop of its own, cancelled when the given pass begins; with threads where the engine wants some.

    Raises:
        LeftOver: Something of it is alive.
        Deadlock: It hangs.
    """
    loop = VirtualLoop(seed, inline=not threads)
    main = loop.create_task(engine.run(inputs=dict(case.given)), name="main")
    requests: list[bool] = []
    if cancel_at is not None:
        loop.at_pass(cancel_at, lambda: requests.append(main.cancel()))
    ended = play(loop, main)
    ended.demand_tidiness()
    return Outcome(ended.value, ended.error, sum(requests), ended.cancelling)


def complaints(case: Case, expected: Expected, outcome: Outcome, record: Play) -> list[str]:
    """Every way in which the run differs from what the reference allows."""
    found = list(record.wrong)
    if outcome.cancelling != outcome.requests:
        found.append(f"cancelled {outcome.requests} times, but its task sees {outcome.cancelling} requests")
    if outcome.requests:
        return found + _about_calls(case, expected, record, cut_short=True) + _about_cancellation(expected, outcome)
    found += _about_calls(case, expected, record)
    if expected.failure is not None:
        return found + _about_failure(expected.failure.labels, outcome)
    if outcome.error is not None:
        return [*found, f"it raised {outcome.error!r}"]
    return found + list(differences(dict(outcome.result), expected.outputs)) + _about_report(expected, outcome.result)


def _about_cancellation(expected: Expected, outcome: Outcome) -> list[str]:
    """A cancelled run raises the request, or the failure that came before it; what is handled is dropped."""
    error = outcome.error
    if error is None:
        return [f"the cancellation got lost: it returned {outcome.result!r}"]
    if isinstance(error, asyncio.CancelledError):
        return []  # one that a node raises at this moment passes for the answer to the request
    possible = expected.failure.labels if expected.failure else frozenset()
    return _about_failure(possible, outcome)


def _about_calls(case: Case, expected: Expected, record: Play, *, cut_short: bool = False) -> list[str]:
    """Every leaf is called once for each activation that is sure to happen, never more, never too many at a time."""
    least, most = Counter() if cut_short else expected.tally.least, expected.tally.most
    found = [
        f"{name} was called {record.calls[name]} times, not {least[name]} to {most[name]}"
        for name in {*record.calls, *least}
        if not least[name] <= record.calls[name] <= most[name]
    ]
    for name, limits in _limits(case.graph).items():
        if record.most_active[name] > prod(limits):
            found.append(f"{record.most_active[name]} calls of {name} at a time, within maps of {limits}")
    if any(record.active.values()):
        found.append(f"still suspended: {+record.active}")
    return found


def _limits(graph: Graph, outer: tuple[int, ...] = ()) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        if isinstance(node, Leaf):
            found[node.name] = outer
        else:
            found |= _limits(node.body, (*outer, node.max_concurrency) if isinstance(node, Map) else outer)
    return found


def _about_failure(possible: frozenset[str], outcome: Outcome) -> list[str]:
    if outcome.error is None:
        return [f"it returned {outcome.result!r} where it must raise one of {sorted(possible)}"]
    raised = members(outcome.error)
    found = [
        f"it raised {each!r}, which is none of {sorted(possible)}" for each in raised if label(each) not in possible
    ]
    if isinstance(outcome.error, BaseExceptionGroup) and len(raised) < 2:
        found.append(f"a group of {len(raised)}: {outcome.error!r}")
    if len({id(each) for each in raised}) < len(raised):
        found.append(f"the same failure twice in {outcome.error!r}")
    for each in raised:
        told = getattr(each, "hush", None)
        if told is None:
            found.append(f"{each!r} has no .hush")
        elif isinstance(each, Boom) and str(told.path).rpartition("/")[2] != label(each):
            found.append(f"{each!r} says that it comes from {told.path}")
    return found


def _about_report(expected: Expected, result: Any) -> list[str]:
    tally = expected.tally
    kept = [member for error in result.errors for member in members(error)]
    found = [f".errors has {each!r}, of {sorted(tally.handled)}" for each in kept if label(each) not in tally.handled]
    if tally.surely_handled and not len(result.errors):
        found.append(f".errors is empty, but {sorted(tally.handled)} was handled")
    allowed = {"partial"} if tally.surely_partial else {"ok", "partial"} if tally.maybe_partial else {"ok"}
    if result.status not in allowed:
        found.append(f".status is {result.status!r}, not {sorted(allowed)}")
    return found
