"""How two ways to do the same work are compared: equal results first, then turn by turn, then medians.

A machine drifts: it heats up, and others use it. So the sides take turns sample by sample, A B A B ..., and whatever
slows one down slows the others too. Every sample begins alike, with the garbage collected and a new pass of the loop;
the collector stays on, because a program that runs leaves it on.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

Side: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
WARM_S = 0.2  # of each side, before it is timed
LOOKS = 3  # runs that say how many of them make up a sample
LONG = 10  # one run that takes so many samples' time says enough


@dataclass(frozen=True)
class Effort:
    """How often things are repeated."""

    samples: int  # of each side
    sample_s: float  # shorter work is repeated until a sample takes about this long
    processes: int  # samples of each side, where each needs a process of its own
    heavy: int  # samples of each side, where each takes seconds
    warm_runs: int = 20  # functions show themselves cheap in three calls; a noisy machine can take more


FULL = Effort(samples=31, sample_s=0.02, processes=21, heavy=5)
QUICK = Effort(samples=5, sample_s=0.005, processes=3, heavy=1)


class WrongResultError(Exception):
    """The sides did not do the same work, so that their times say nothing."""


def must_agree(results: Mapping[str, Any]) -> None:
    """Raise unless all sides gave the same result."""
    (first, expected), *others = results.items()
    for label, result in others:
        if result != expected:
            raise WrongResultError(f"{first} gave {_short(expected)}, but {label} gave {_short(result)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text):,} characters)"


async def compare(sides: Mapping[str, Side], effort: Effort, *, warm_runs: int | None = None) -> dict[str, float]:
    """Median seconds of one call of each side, all of them warm."""
    must_agree({label: dict(await side()) for label, side in sides.items()})
    for side in sides.values():
        await _warm(side, effort.warm_runs if warm_runs is None else warm_runs)
    calls = {label: await _calls_for(side, effort.sample_s) for label, side in sides.items()}
    samples: dict[str, list[float]] = {label: [] for label in sides}
    for _ in range(effort.samples):
        for label, side in sides.items():
            samples[label].append(await _sample(side, calls[label]))
    return {label: median(times) for label, times in samples.items()}


async def _warm(side: Side, runs: int) -> None:
    # Functions show themselves cheap in a few calls, but an idle processor needs a while to come up to its speed.
    begun = perf_counter()
    while runs > 0 or perf_counter() - begun < WARM_S:
        await side()
        runs -= 1


async def _calls_for(side: Side, sample_s: float) -> int:
    fastest = math.inf
    for _ in range(LOOKS):
        fastest = min(fastest, await _sample(side, 1))
        if fastest > LONG * sample_s:
            break
    return max(1, math.ceil(sample_s / fastest))


async def _sample(side: Side, calls: int) -> float:
    gc.collect()
    await asyncio.sleep(0)  # what was done on this pass so far, the collection too, is not the engine's
    begun = perf_counter()
    for _ in range(calls):
        await side()
    return (perf_counter() - begun) / calls
