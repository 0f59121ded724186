"""``Limit(concurrency="auto")`` where each refusal asks for a pause (``Retry-After``): what has changed is found."""

from __future__ import annotations

import random

import pytest

from hush.core._admission._adaptive import Adaptive
from kit.adaptive_servers import (
    Capacity,
    Drive,
    Latency,
    SlidingWindow,
    TokenBucket,
    drive,
    reached_in_s,
    steady,
    steps,
)
from kit.tiers import by_day

FOUND_S = 10.0
KINDS = {"window": SlidingWindow, "bucket": TokenBucket}

per_kind = pytest.mark.parametrize("kind", KINDS)
per_latency = pytest.mark.parametrize("latency_s", by_day([0.005, 0.05, 0.5], 1, 2))
per_pause = pytest.mark.parametrize("pause_s", [1.0, 2.0])
per_seeds = pytest.mark.parametrize(
    "seeds", [range(2), pytest.param(range(2, 44), marks=pytest.mark.nightly)], ids=["few", "many"]
)


def run(kind: str, capacity: Capacity, latency_s: float, seconds: float, seed: int, pause_s: float) -> Drive:
    server = KINDS[kind](capacity, Latency(latency_s))
    return drive(Adaptive(), server, seconds=seconds, seed=seed, retry_after_s=pause_s)


def changes(rates: tuple[float, ...], seed: int, longest_s: float) -> list[tuple[float, float]]:
    """Each rate for 15 s and up to ``longest_s``, so that a change comes at any point of the controller's own cycle."""
    chance = random.Random(seed)
    until_s = 0.0
    return [(until_s := until_s + chance.uniform(15, longest_s), rate) for rate in rates]


@per_seeds
@per_pause
@per_latency
@per_kind
@pytest.mark.parametrize(("rates", "wasted"), [((100, 30, 100), 0.01), ((30, 100), 0.01), ((10, 50), 0.02)])
def test_a_rate_that_comes_back_is_found_in_ten_seconds(rates, wasted, kind, latency_s, pause_s, seeds):
    """A look for more costs a call at least: at 10 a second, where it comes each 8 s, that is 1.2 % of them."""
    for seed in seeds:
        *parts, (_, last) = changes(rates, seed, longest_s=40)
        back_s = parts[-1][0]
        result = run(kind, steps(*parts, (back_s + 20, last)), latency_s, back_s + 20, seed, pause_s)
        assert reached_in_s(result.let_in_s, last, back_s) <= FOUND_S
        assert result.refused_share < wasted


@per_seeds
@per_latency
@per_kind
def test_a_rate_that_has_dropped_is_found_in_ten_seconds_and_most_of_it_is_used(kind, latency_s, seeds):
    for seed in seeds:
        (drop_s, _), _ = parts = changes((100, 30), seed, longest_s=40)
        result = run(kind, steps(*parts), latency_s, drop_s + 30, seed, 1.0)
        let_in = sum(drop_s + 10 <= at_s < drop_s + 30 for at_s in result.let_in_s)
        assert let_in >= 0.65 * 30 * 20  # each look costs a second; a bucket's ceiling takes two or three
        refused = sum(drop_s + 10 <= at_s < drop_s + 30 for at_s in result.refused_s)
        assert refused <= 8


@per_kind
@pytest.mark.parametrize("pause_s", [0.25, 1.0, 2.0, 5.0])
def test_a_pause_is_risked_more_rarely_the_longer_the_ceiling_has_stood(kind, pause_s):
    """Each pause is at most a quarter of the time in the first minute, and an eighth of it later."""
    result = run(kind, steady(100), 0.05, 400, 0, pause_s)
    looks = [at_s for n, at_s in enumerate(result.refused_s) if not n or at_s - result.refused_s[n - 1] >= pause_s]
    assert sum(200 <= at_s < 400 for at_s in looks) * pause_s <= 200 / 8
    assert sum(100 <= at_s < 200 for at_s in looks) >= 1
