"""Runs a case on the engine under one seed and compares what happened with what the reference says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import prod
from typing import Any

from kit.build import Play
from kit.faults import Boom, differences, label, members
from kit.loop import run_virtual
from kit.reference import Expected
from kit.shapes import Case, Graph, Leaf, Map


@dataclass(frozen=True)
class Outcome:
    """What a run gave, or raised."""

    result: Any
    error: BaseException | None


def run_case(case: Case, engine: Any, seed: object) -> Outcome:
    """One run on a loop of its own. Nothing may be alive after it; `kit.loop.LeftOver` says what is."""

    async def main() -> Outcome:
        try:
            return Outcome(await engine.run(inputs=dict(case.given)), None)
        except BaseException as error:
            # Ctrl-C and exit are no outcomes, and neither the user nor the kit cancels this task.
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0, "a failed run leaves its caller's task with a request to cancel"
            return Outcome(None, error)

    outcome: Outcome = run_virtual(main, seed=seed)
    return outcome


def complaints(case: Case, expected: Expected, outcome: Outcome, play: Play) -> list[str]:
    """Every way in which the run differs from what the reference allows."""
    found = list(play.wrong)
    found += _about_calls(case, expected, play)
    if expected.failure is not None:
        return found + _about_failure(expected.failure.labels, outcome)
    if outcome.error is not None:
        return [*found, f"it raised {outcome.error!r}"]
    return found + list(differences(dict(outcome.result), expected.outputs)) + _about_report(expected, outcome.result)


def _about_calls(case: Case, expected: Expected, play: Play) -> list[str]:
    """Every leaf is called once for each activation that is sure to happen, never more, never too many at a time."""
    least, most = expected.tally.least, expected.tally.most
    found = [
        f"{name} was called {play.calls[name]} times, not {least[name]} to {most[name]}"
        for name in {*play.calls, *least}
        if not least[name] <= play.calls[name] <= most[name]
    ]
    for name, limits in _limits(case.graph).items():
        if play.most_active[name] > prod(limits):
            found.append(f"{play.most_active[name]} calls of {name} at a time, within maps of {limits}")
    if any(play.active.values()):
        found.append(f"still suspended: {+play.active}")
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
