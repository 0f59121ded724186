"""Runs a case on the engine under one seed and compares what happened with what the reference says."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

from hush.testing import VirtualLoop
from hush.testing._run import play
from kit.build import Play
from kit.faults import Boom, Failure, differences, label, members
from kit.reference import Expected
from kit.shapes import Branch, Case, Graph, Leaf, Loop, Map


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
    return run_engine(engine, dict(case.given), seed, cancel_at, threads=threads)


def run_engine(
    engine: Any, inputs: dict[str, Any], seed: object, cancel_at: int | None = None, *, threads: bool = False
) -> Outcome:
    """The same, of an engine and what it is given."""
    loop = VirtualLoop(seed, inline=not threads)
    main = loop.create_task(engine.run(inputs=inputs), name="main")
    requests: list[bool] = []
    if cancel_at is not None:
        loop.at_pass(cancel_at, lambda: requests.append(main.cancel()))
    ended = play(loop, main)
    ended.demand_tidiness()
    return Outcome(ended.value, ended.error, sum(requests), ended.cancelling)


def show(engine: Any, inputs: dict[str, Any], seed: object, cancel_at: int | None = None) -> None:
    """What a printed case does when it is run as a program: what it gives, or the traceback of what it raises."""
    outcome = run_engine(engine, inputs, seed, cancel_at)
    if outcome.error is not None:
        traceback.print_exception(outcome.error)
    else:
        print(outcome.result, outcome.result.status, [*outcome.result.errors], sep="\n")


def complaints(case: Case, expected: Expected, outcome: Outcome, record: Play) -> list[str]:
    """Every way in which the run differs from what the reference allows."""
    found = list(record.wrong)
    if outcome.cancelling != outcome.requests:
        found.append(f"cancelled {outcome.requests} times, but its task sees {outcome.cancelling} requests")
    if outcome.requests:
        return (
            found + _about_calls(case, expected, record, cut_short=True) + _about_cancellation(case, expected, outcome)
        )
    found += _about_calls(case, expected, record)
    if expected.failure is not None:
        return found + _about_failure(case, expected.failure.labels, expected, outcome)
    if outcome.error is not None:
        return [*found, f"it raised {outcome.error!r}"]
    return found + list(differences(dict(outcome.result), expected.outputs)) + _about_report(expected, outcome.result)


def _about_cancellation(case: Case, expected: Expected, outcome: Outcome) -> list[str]:
    """A cancelled run raises the request, or the failure that came before it; what is handled is dropped."""
    error = outcome.error
    if error is None:
        return [f"the cancellation got lost: it returned {outcome.result!r}"]
    if isinstance(error, asyncio.CancelledError):
        return []  # one that a node raises at this moment passes for the answer to the request
    possible = expected.failure.labels if expected.failure else frozenset()
    return _about_failure(case, possible, expected, outcome)


def _about_calls(case: Case, expected: Expected, record: Play, *, cut_short: bool = False) -> list[str]:
    """Every leaf is called once for each activation that is sure to happen, never more, never too many at a time."""
    least, most = Counter() if cut_short else expected.tally.least, expected.tally.most
    found = [
        f"{name} was called {record.calls[name]} times, not {least[name]} to {most[name]}: "
        f"too {'often' if record.calls[name] > most[name] else 'seldom'}"
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
        elif not isinstance(node, Branch):
            found |= _limits(node.body, (*outer, node.max_concurrency) if isinstance(node, Map) else outer)
    return found


def _looping(graph: Graph, limit: int | None = None) -> dict[str, int | None]:
    """For each leaf, how many rounds the innermost loop around it may make."""
    found: dict[str, int | None] = {}
    for node in graph.nodes:
        if isinstance(node, Leaf):
            found[node.name] = limit
        elif not isinstance(node, Branch):
            found |= _looping(node.body, node.limit if isinstance(node, Loop) else limit)
    return found


def _about_failure(case: Case, possible: frozenset[str], expected: Expected, outcome: Outcome) -> list[str]:
    if outcome.error is None:
        return [f"it returned {outcome.result!r} where it must raise one of {sorted(possible)}"]
    raised = members(outcome.error)
    found = [
        f"it raised {each!r} ({label(each)}), which is none of {sorted(possible)}"
        for each in raised
        if label(each) not in possible
    ]
    if isinstance(outcome.error, BaseExceptionGroup) and len(raised) < 2:
        found.append(f"a group of {len(raised)}: {outcome.error!r}")
    if len({id(each) for each in raised}) < len(raised):
        found.append(f"the same failure twice in {outcome.error!r}")
    rounds = _looping(case.graph)
    for each in raised:
        told = getattr(each, "hush", None)
        if told is None:
            found.append(f"{each!r} has no .hush")
        elif isinstance(each, Boom):
            found += _about_place(each, told, rounds.get(label(each)))
        if type(each).__name__ == "TooManyFailures":
            found += _about_excess(each, expected.tally.excess.get(label(each).split()[1], frozenset()))
    return found


def _about_place(error: Boom, told: Any, limit: int | None) -> list[str]:
    found = []
    if str(told.path).rpartition("/")[2] != label(error):
        found.append(f"{error!r} says that it comes from {told.path}")
    if not (told.round is None if limit is None else told.round in range(limit)):
        found.append(f"{error!r} says that it comes from round {told.round!r} of {limit}")
    return found


def _about_excess(error: Any, possible: frozenset[str]) -> list[str]:
    """A map that tolerates some failures tells of those that were too many."""
    found = []
    if not (
        isinstance(error.failed, int) and error.failed > 0 and (error.total is None or error.failed <= error.total)
    ):
        found.append(f"{error!r}: {error.failed!r} failed of {error.total!r}")
    if not error.errors or error.__cause__ is not error.errors[0]:
        found.append(f"{error!r} has the cause {error.__cause__!r}, its errors are {error.errors!r}")
    for place, each in enumerate(error.errors):
        found += differences(each, Failure(possible), f".errors[{place}]")
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
