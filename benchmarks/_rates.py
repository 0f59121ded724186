"""Calls that start at a rate: how many there are, how one writes it by hand, and what share of the rate was used.

Nothing here imports Hush, as in ``_work``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter

from benchmarks._work import Outputs

RATES = (100, 1_000)  # a second
RATE_S = 3  # so long a run takes at its best, whether starts are even or come in bursts once a second
RATED = {rate: range(rate * RATE_S + 1) for rate in RATES}
LATE_S = 0.2  # a start is noted after the admission: by so much at most, even on a machine that stops for a while


class Starts:
    """Notes when its calls start."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    async def double(self, x: int) -> Outputs:
        self.at_s.append(perf_counter())
        return {"y": x * 2}


def share(at_s: Sequence[float]) -> float:
    """What part of the rate was used, from the first start to the last."""
    return RATE_S / (at_s[-1] - at_s[0])


def exceeds(at_s: Sequence[float], rate: int) -> bool:
    """Whether in some second there were more starts than ``rate``, beyond what noting them late explains."""
    return any(later - earlier < 1 - LATE_S for earlier, later in zip(at_s, at_s[rate:], strict=False))


async def by_timers(starts: Starts, xs: Iterable[int], rate: int) -> Outputs:
    """A task for each call, which sleeps until it is its turn."""

    async def one(x: int) -> int:
        await asyncio.sleep(x / rate)
        return (await starts.double(x))["y"]

    return {"y": await asyncio.gather(*[one(x) for x in xs])}
