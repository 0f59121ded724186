"""How a contestant does one row: what is timed, what is done before it, and how its result is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks._work import MANY, NODES


def as_it_is(given: Any) -> Any:
    return given


@dataclass(frozen=True, kw_only=True)
class Job:
    """``call`` is timed, and what is awaitable is awaited; the rest is not timed."""

    call: Callable[..., Any]
    result: Callable[[Any], Any] = as_it_is  # of what ``call`` gave: what must equal the row's own result
    before: Callable[[], Any] | None = None  # makes what ``call`` is then given, anew for each call


Make: TypeAlias = Callable[[], Job]
Ways: TypeAlias = Mapping[str, Make]  # a label for each way; a contestant with a single way calls it ""
Jobs: TypeAlias = Mapping[str, Make | Ways]


def ways(given: Make | Ways) -> Ways:
    """Every way by its label."""
    return {"": given} if callable(given) else given


def long_chains(
    write: Callable[[int], Any],
    run: Callable[[Any], Any],
    *,
    compiled: Callable[[Any], Any] | None = None,
    count: Callable[[Any], int] | None = None,
) -> dict[str, Make]:
    """The rows on long chains.

    Args:
        write: Gives a chain of so many nodes that each add one.
        run: What a compiled chain makes of 0, or an awaitable of it.
        compiled: Makes runnable what was written, where that is a step of its own.
        count: The nodes of a compiled chain, where running the longest takes too long.
    """
    finish = compiled or as_it_is

    def run_many() -> Job:
        chain = finish(write(MANY))
        return Job(call=lambda: run(chain))

    jobs: dict[str, Make] = {
        "write": lambda: Job(call=lambda: finish(write(NODES)), result=run),
        "write-many": lambda: Job(call=lambda: finish(write(MANY)), result=count or run),
        "run-many": run_many,
    }
    if compiled is not None:
        jobs["compile"] = lambda: Job(before=lambda: write(NODES), call=compiled, result=run)
    return jobs
