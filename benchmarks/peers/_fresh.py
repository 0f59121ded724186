"""What needs a process that has done nothing yet: an import, very first runs, and a peak of memory.

The import is timed by the line that starts the process (``FIRST``), before anything of this project is imported.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from importlib import import_module
from time import perf_counter
from typing import Any

from benchmarks._processes import peak_mb
from benchmarks._work import MILLION, WARM_ITEMS
from benchmarks.peers import _rows
from benchmarks.peers._job import Job, ways
from benchmarks.peers._worker import Answer, what_is_wrong, why_not

FIRST = """
import sys, time
begun = time.perf_counter()
{imports}
seconds = time.perf_counter() - begun
from benchmarks.peers._fresh import first
first("{module}", seconds)
"""
MANY_ITEMS = """
from benchmarks.peers._fresh import million
million("{module}", "{label}", {cap_s})
"""


def first(module: str, import_s: float) -> None:
    """Print the import and the first runs."""
    contestant = import_module(f"benchmarks.peers.{module}")
    found: dict[str, Answer] = {_rows.IMPORTED.name: {"seconds": import_s}}
    for row in (_rows.CHAIN_COLD, _rows.BLOCKING):
        if row.name in contestant.JOBS:
            (make,) = ways(contestant.JOBS[row.name]).values()
            found[row.name] = _ran_once(make(), row)
    print(json.dumps(found))


def _ran_once(job: Job, row: _rows.Row) -> Answer:
    try:
        seconds, found = asyncio.run(_timed(job))
        wrong = what_is_wrong(job.result(found), row.expected())
    except Exception as error:
        return {"failed": why_not(error)}
    return {"wrong": wrong} if wrong else {"seconds": seconds}


def million(module: str, label: str, cap_s: float) -> None:
    """Print seconds and memory of the map over a million, if it can be done in ``cap_s``."""
    job = ways(import_module(f"benchmarks.peers.{module}").JOBS[_rows.MILLION_S.name])[label]()
    try:
        answer = asyncio.run(_million(job, cap_s))
    except Exception as error:
        answer = {"failed": why_not(error)}
    print(json.dumps(answer))


async def _million(job: Job, cap_s: float) -> Answer:
    await _timed(job, WARM_ITEMS)
    for items in (WARM_ITEMS, 10_000, 100_000):
        seconds, _ = await _timed(job, items)
        at_least = seconds * MILLION / items  # were it to grow no faster than the number of items
        if at_least > 3 * cap_s:
            return {"over": cap_s, "items": items, "seconds": seconds}
        if at_least < cap_s / 3:
            break
    seconds, found = await _timed(job, MILLION)
    mb = peak_mb()  # before the results are looked at, because looking takes memory too
    found = job.result(found)
    wrong = what_is_wrong([len(found), sum(found), found[::99_991]], _rows.MILLION_S.expected())
    return {"wrong": wrong} if wrong else {"seconds": seconds, "mb": mb}


async def _timed(job: Job, *given: Any) -> tuple[float, Any]:
    begun = perf_counter()
    found = job.call(*given)
    if inspect.isawaitable(found):
        found = await found
    return perf_counter() - begun, found
