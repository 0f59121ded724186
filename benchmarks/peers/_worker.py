"""The process of a contestant: ``python -m benchmarks.peers._worker MODULE`` answers one line of JSON with another."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import math
import os
import platform
import sys
from collections.abc import Awaitable
from importlib import import_module, metadata
from time import perf_counter
from types import ModuleType
from typing import Any

from benchmarks.peers import _rows
from benchmarks.peers._job import Job, ways

WARM_RUNS, WARM_S, WARM_AT_MOST_S = 20, 0.2, 1.0
SHORT_S = 0.02  # calls as short as this are preceded by one that is not timed: the others ran meanwhile
Answer = dict[str, Any]


class Ready:
    """A job that has been built, and whether its calls are awaited."""

    def __init__(self, job: Job, runner: asyncio.Runner) -> None:
        self._job = job
        self._runner = runner
        self._awaited = False
        self._fastest = 0.0

    def first(self, expected: Any) -> Answer:
        """Run it for the first time and look at the result."""
        given = () if self._job.before is None else (self._job.before(),)
        begun = perf_counter()
        found = self._job.call(*given)
        self._awaited = inspect.isawaitable(found)
        found = self._settled(found)
        self._fastest = perf_counter() - begun
        wrong = what_is_wrong(self._settled(self._job.result(found)), expected)
        return {"wrong": wrong} if wrong else {"seconds": self._fastest}

    def warm(self, sample_s: float) -> Answer:
        """Run it until it is warm; the calls that make up a sample."""
        begun, runs = perf_counter(), 0
        while (spent := perf_counter() - begun) < WARM_S or (runs < WARM_RUNS and spent < WARM_AT_MOST_S):
            self._fastest = min(self._fastest, self._timed(1))
            runs += 1
        return {"calls": max(1, math.ceil(sample_s / self._fastest))}

    def sample(self, calls: int) -> Answer:
        """Seconds of one call."""
        if self._fastest < SHORT_S:
            self._timed(1)
        gc.collect()
        return {"seconds": self._timed(calls) / calls}

    def _timed(self, calls: int) -> float:
        if self._job.before is not None:
            return sum(self._timed_after(self._job.before()) for _ in range(calls))
        if self._awaited:
            return self._runner.run(self._timed_in_loop(calls))
        call = self._job.call
        begun = perf_counter()
        for _ in range(calls):
            call()
        return perf_counter() - begun

    async def _timed_in_loop(self, calls: int) -> float:
        await asyncio.sleep(0)
        call = self._job.call
        begun = perf_counter()
        for _ in range(calls):
            await call()
        return perf_counter() - begun

    def _timed_after(self, given: Any) -> float:
        gc.collect()
        begun = perf_counter()
        self._job.call(given)
        return perf_counter() - begun

    def _settled(self, given: Any) -> Any:
        return self._runner.run(_awaited(given)) if inspect.isawaitable(given) else given


class Worker:
    """Holds all ways to do one row, and times calls of one when it is told to."""

    def __init__(self, module: ModuleType, runner: asyncio.Runner) -> None:
        self._module = module
        self._runner = runner
        self._row = ""
        self._ready: dict[str, Ready] = {}

    def hello(self, distribution: str | None) -> Answer:
        """What it takes part in, and in which version."""
        return {
            "version": metadata.version(distribution) if distribution else None,
            "python": platform.python_version(),
            "ways": {row: list(ways(given)) for row, given in self._module.JOBS.items()},
            "cannot": self._module.CANNOT,
            "notes": self._module.NOTES,
        }

    def prepare(self, row: str, label: str) -> Answer:
        """Build it, and run it for the first time."""
        if row != self._row:
            self._row = row
            self._ready.clear()
            gc.collect()
        ready = Ready(ways(self._module.JOBS[row])[label](), self._runner)
        answer = ready.first(next(each for each in _rows.ALL if each.name == row).expected())
        self._ready[label] = ready
        return answer

    def warm(self, label: str, sample_s: float) -> Answer:
        return self._ready[label].warm(sample_s)

    def sample(self, label: str, calls: int) -> Answer:
        return self._ready[label].sample(calls)


async def _awaited(given: Awaitable[Any]) -> Any:
    return await given


def what_is_wrong(found: Any, expected: Any) -> str:
    """A few words for the table, or nothing."""
    if found == expected:
        return ""
    if isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return f"**wrong**: {len(found):,} of {len(expected):,} items"
        if all(isinstance(each, int) for each in found) and sorted(found) == sorted(expected):
            return "**wrong**: not in order"
    return "**wrong**"


def why_not(error: Exception) -> str:
    """What an exception becomes in the table."""
    print(f"{type(error).__name__}: {str(error)[:500]}", file=sys.stderr)
    return type(error).__name__


def main() -> None:
    # What the contestants print is no answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with asyncio.Runner() as runner:
        worker = Worker(import_module(f"benchmarks.peers.{sys.argv[1]}"), runner)
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = getattr(worker, request.pop("do"))(**request)
            except Exception as error:
                answer = {"failed": why_not(error)}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
