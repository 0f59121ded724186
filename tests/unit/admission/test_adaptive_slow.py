"""``Limit(concurrency="auto")`` where a server allows a few calls a second: those refusals are not by chance.

There is little to learn from there, and each cut in a row looks as if cutting did not help. The bounds are a little
below what is reached, which is about what was reached before chance was thought of. They are for the mean of ten seeds.
"""

from __future__ import annotations

import math

import pytest

from hush.core._admission._adaptive import Adaptive
from hush.core._admission._chance import STILL_LOW, Chance
from hush.core._admission._suspicion import Suspicion
from kit.adaptive_servers import Latency, SlidingWindow, TokenBucket, drive, steady

SECONDS = 60
SEEDS = range(10)
KINDS = {"window": SlidingWindow, "bucket": TokenBucket}

# Kind, calls a second, the pause that a refusal asks for; what is used of the capacity, at least (a bucket has ten
# calls saved up, and so gives more than the whole), and what share of the calls is refused, at most.
SERVERS = [
    ("bucket", 2, None, 1.00, 0.13),
    ("bucket", 2, 1.0, 1.03, 0.09),
    ("bucket", 2, 5.0, 1.01, 0.07),
    ("bucket", 10, None, 0.98, 0.05),
    ("bucket", 10, 1.0, 0.96, 0.03),
    ("bucket", 10, 5.0, 0.57, 0.025),
    ("window", 2, None, 0.83, 0.12),
    ("window", 2, 1.0, 0.80, 0.11),
    ("window", 2, 5.0, 0.47, 0.13),
    ("window", 10, None, 0.91, 0.03),
    ("window", 10, 1.0, 0.81, 0.03),
    ("window", 10, 5.0, 0.67, 0.02),
]


@pytest.mark.parametrize(("kind", "per_s", "pause_s", "used", "refused"), SERVERS)
def test_a_server_of_a_few_calls_a_second_is_used_and_does_not_refuse_many(kind, per_s, pause_s, used, refused):
    runs = [
        drive(Adaptive(), KINDS[kind](steady(per_s), Latency(0.05)), seconds=SECONDS, seed=seed, retry_after_s=pause_s)
        for seed in SEEDS
    ]
    assert sum(run.served_per_s(0, SECONDS) for run in runs) / len(runs) >= used * per_s
    assert sum(run.refused_share for run in runs) / len(runs) <= refused


@pytest.mark.parametrize("pause_s", [None, 1.0, 5.0])
@pytest.mark.parametrize("per_s", [2, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_never_taken_for_chance(kind, per_s, pause_s):
    for seed in SEEDS:
        adaptive = Adaptive()
        server = KINDS[kind](steady(per_s), Latency(0.05))
        result = drive(
            adaptive,
            server,
            seconds=SECONDS,
            seed=seed,
            retry_after_s=pause_s,
            look=lambda _now_s, adaptive=adaptive: adaptive.chance.share,
        )
        assert not any(share for _, share in result.levels)


@pytest.mark.nightly
@pytest.mark.parametrize("latency_s", [0.05, 1.0])
@pytest.mark.parametrize(("kind", "per_s", "pause_s"), [server[:3] for server in SERVERS])
def test_what_a_server_of_a_few_calls_a_second_allows_is_used_for_long(kind, per_s, pause_s, latency_s):
    """In ten minutes, with answers that come fast or after a second."""
    runs = [
        drive(Adaptive(), KINDS[kind](steady(per_s), Latency(latency_s)), seconds=600, seed=seed, retry_after_s=pause_s)
        for seed in SEEDS
    ]
    least = 0.6 if pause_s == 5.0 and kind == "bucket" else 0.75  # each look for the ceiling costs a pause
    assert sum(run.served_per_s(0, 600) for run in runs) / len(runs) >= least * per_s
    assert sum(run.refused_share for run in runs) / len(runs) <= (0.12 if per_s == 2 else 0.04)


# ── The judge alone ──────────────────────────────────────────────────────────────────────────────────────────────────


def after(*lengths: int, pause_s: float = 0.0, each_s: float = 0.1) -> Suspicion:
    """Stretches of so many served calls and a refused one, each of ``each_s``, and pauses between them."""
    past, now_s = Suspicion(), 0.0
    for length in lengths:
        past.stretch.started += length + 1
        past.stretch.served += length
        past.stretch.refused += 1
        now_s += each_s
        past.next_stretch(now_s, pause_s)
        now_s += pause_s
    return past


def test_cuts_in_a_row_that_did_not_help_make_an_experiment_due():
    assert not after(7, 3).is_due(costly=False)
    assert after(7, 3, 12).is_due(costly=False)
    assert not after(7, 3, 12, 5, pause_s=1.0).is_due(costly=True)
    assert after(7, 3, 12, 5, 9, pause_s=1.0).is_due(costly=True)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_window_that_is_full_each_time_is_no_chance_for_a_while(length):
    assert not after(*[length] * 5).is_due(costly=False)
    assert not after(*[length] * 10, pause_s=1.0).is_due(costly=True)
    assert after(*[length] * 9).is_due(costly=False)  # it may be each third call that is refused
    assert after(*[length] * 11, pause_s=1.0).is_due(costly=True)


@pytest.mark.parametrize("costly", [True, False])
def test_each_seventh_call_that_is_refused_may_be_chance(costly):
    assert after(*[6] * (3 + 2 * costly), pause_s=1.0 * costly).is_due(costly=costly)


def test_where_each_stretch_is_longer_cutting_helps():
    assert not after(2, 3, 3, 4, 9, pause_s=1.0).is_due(costly=True)
    assert after(9, 4, 3, 3, 2, pause_s=1.0).is_due(costly=True)


def test_the_same_few_calls_twice_are_the_capacity():
    assert after(4, 2, 2, pause_s=5.0).filled_per_s() == pytest.approx(2 / 1.1)
    assert after(2, 3, pause_s=5.0).filled_per_s() == math.inf
    assert after(2, pause_s=5.0).filled_per_s() == math.inf
    assert after(8, 8, pause_s=5.0).filled_per_s() == math.inf  # so many may be the same by chance


def test_pauses_are_time_in_which_a_burst_would_have_shown():
    """Ten calls of a bucket at once, then two in half a second: a sixteenth of the burst's rate would be 6 a second."""
    past = Suspicion()
    for length, open_s, pause_s in [(10, 0.1, 0.0), (2, 0.1, 0.5), (3, 0.1, 0.5), (2, 0.1, 0.5)]:
        past.stretch.rested_s = pause_s
        past.stretch.started, past.stretch.served, past.stretch.refused = length + 1, length, 1
        past.next_stretch(past.stretch.began_s + open_s)
    assert past.low(costly=False) < 3


def test_an_experiment_is_over_when_its_rate_has_grown_and_is_refused_after_many_calls():
    chance = Chance()
    chance.past = after(7, 3, 12)
    chance.begin()
    far = 0
    while chance.tries:
        while chance.grown() <= STILL_LOW:
            chance.served(chance.past.stretch)
        chance.refused(chance.past.stretch, 1)
        far += 1
    assert 1 < far <= 4
    assert not chance.share
