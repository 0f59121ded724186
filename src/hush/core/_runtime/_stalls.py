"""Runs that stand still: seen from their tasks and maps, told once each, and told of whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from hush.core._logs import logger
from hush.core._runtime._glimpse import Glimpse, MapState, glimpses, map_state, task_count
from hush.core._runtime._pass import Pass
from hush.core._runtime._run import Run

if TYPE_CHECKING:
    from hush.core._admission._state import LimitState

log = logger("hush.run")

_COMPARED = 200  # tasks of a run that are compared with what they were at
_TOLD = 10


class Seen(NamedTuple):
    """What a run was at when it was last looked at.

    Attributes:
        since_ns: When it was first seen like that.
        at_ns: When it was last looked at.
        told: Whether that it stands still has been told.
    """

    tasks: int
    maps: frozenset[MapState]
    at: frozenset[Glimpse]
    since_ns: int
    at_ns: int
    told: bool


def look(budget: Pass) -> None:
    """Look at the runs of a loop, on its thread, and log once of each that has not moved for its ``stall_s``."""
    now_ns = perf_counter_ns()
    for run in tuple(budget.runs):
        if run.stall_s is not None and (run.seen is None or now_ns - run.seen.at_ns >= run.stall_s * 1e9 / 4):
            _look_at(run, now_ns)


def _look_at(run: Run, now_ns: int) -> None:
    domain, before = run.domain, run.seen
    if domain is None:
        return
    tasks, maps = task_count(domain), frozenset(map_state(one) for one in tuple(run.maps))
    at = frozenset(glimpses(domain, _COMPARED))
    still = before is not None and (tasks, maps, at) == before[:3]
    since_ns, told = (before.since_ns, before.told) if still and before is not None else (now_ns, False)
    if before is not None and before.told:
        told = True  # once a run is enough
    assert run.stall_s is not None
    if still and not told and now_ns - since_ns >= run.stall_s * 1e9:
        told = True
        log.warning(
            "%s has stood still for %.0f s: nothing in it has begun or ended.\n%s",
            run.name,
            (now_ns - since_ns) / 1e9,
            "\n".join(standing(run)),
            extra={"run": run.id},
        )
    run.seen = Seen(tasks, maps, at, since_ns, now_ns, told)


def limit_states(run: Run) -> list[LimitState]:
    """How the limits stand for which anybody waits, or which are closed, of those of the run's nodes."""
    if not run.limits:
        return []
    from hush.core._runtime._admitting import limit_state

    states = [limit_state(limit, run.loop, name) for name, limit in run.limits]
    return [state for state in states if state.waiting or state.closed_s is not None]


def standing(run: Run) -> Iterator[str]:
    """What a run is at, a line for each map and limit, and for each of the first steps that are at work."""
    if run.domain is None:
        yield "  it has not begun, or has ended"
        return
    maps = sorted(map_state(one) for one in tuple(run.maps))
    for state in maps[:_TOLD]:
        yield f"  map {state}"
    if len(maps) > _TOLD:
        yield f"  … and {len(maps) - _TOLD} more maps"
    for limit in limit_states(run):
        yield f"  {limit}"
    at = glimpses(run.domain, _TOLD)
    for one in at:
        yield f"  at work: {one}"
    if (more := task_count(run.domain) - len(at)) > 0 and len(at) == _TOLD:
        yield f"  … and up to {more} more"
