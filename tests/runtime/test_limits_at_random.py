"""Limits in a thousand random nestings of maps, and rates over an hour of virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from hush.core import CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeAdmitted, NodeQueued, NodeReleased
from hush.core._runtime._admitting import limit_state
from hush.testing import run_virtual
from runtime.limiting import mapped

# ── Random nestings ──────────────────────────────────────────────────────────────────────────────────────────────────


class Watch:
    """Sees at every change who is inside which limit, who waits for it, and whether a place stands idle meanwhile."""

    def __init__(self, limits):
        self.limits = limits
        self.inside = Counter()
        self.waiting = set()
        self.used_s = self.could_s = 0.0
        self.at_s = 0.0

    def _go_on(self):
        """A place counts as wanted if a call waits whose every limit has a free one: it could go on."""
        now_s = asyncio.get_running_loop().time()
        length_s, self.at_s = now_s - self.at_s, now_s
        if length_s:
            full = {limit for limit in self.limits if self.inside[limit] >= limit.concurrency}
            idle = set()
            for limits in self.waiting:
                if not full & set(limits[1]):
                    idle |= set(limits[1])
            used = sum(self.inside.values())
            self.used_s += length_s * used
            self.could_s += length_s * (used + len(idle))

    def ask(self, key):
        self._go_on()
        self.waiting.add(key)

    def enter(self, key):
        self._go_on()
        self.waiting.discard(key)
        for limit in key[1]:
            self.inside[limit] += 1
            assert self.inside[limit] <= limit.concurrency, "above a limit"

    def leave(self, key):
        self._go_on()
        for limit in key[1]:
            self.inside[limit] -= 1


class Counting:
    """A tracer that tells the watch: it hears of each call that waits, is admitted and ends."""

    def __init__(self, watch, limits_at):
        self.watch, self.limits_at = watch, limits_at

    def emit(self, event):
        if isinstance(event, NodeQueued | NodeAdmitted | NodeReleased):
            key = (event.path, event.item, event.outer), self.limits_at[event.path]
            {NodeQueued: self.watch.ask, NodeAdmitted: self.watch.enter, NodeReleased: self.watch.leave}[type(event)](
                key
            )


def nest(rng, limits, limits_at, path, depth, at_most):
    """A body of one to three steps: maps in maps with leaves that hold one or more of the limits."""
    for number in range(rng.randint(1, 3)):
        if depth and rng.random() < 0.5:
            name = f"m{number}"
            inputs = {"x": Each(range(rng.randint(1, 3)))}
            with MapNode(name=name, inputs=inputs, max_concurrency=rng.randint(1, 4)):
                nest(rng, limits, limits_at, f"{path}/{name}", depth - 1, at_most)
        else:
            chosen = tuple(rng.sample(limits, min(at_most, rng.choice([1, 1, 1, 2, min(3, len(limits))]))))
            limits_at[f"{path}/n{number}"] = chosen
            seconds = rng.choice([0, 0.1, 0.5, 1])
            CodeNode(
                name=f"n{number}",
                code_fn=asyncio.sleep,
                inputs={"delay": seconds},
                limit=list(chosen),
                priority=rng.choice([0, 0, 0, 1]),
            )


def nesting(seed, at_most=3):
    rng = random.Random(f"limits {seed}")
    limits = [Limit(concurrency=rng.randint(1, 4)) for _ in range(rng.randint(2, 4))]
    limits_at = {}
    with GraphNode(name="g") as graph:
        nest(rng, limits, limits_at, "g", 3, at_most)
    watch = Watch(limits)

    async def main():
        await Hush(graph).run(tracer=Counting(watch, limits_at))
        watch._go_on()
        loop = asyncio.get_running_loop()
        assert not +watch.inside
        assert not watch.waiting
        for limit in limits:
            assert limit_state(limit, loop).in_use == limit_state(limit, loop).waiting == 0

    run_virtual(main, seed=seed)
    return watch.used_s, watch.could_s


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_a_thousand_random_nestings_keep_within_their_limits_and_all_finish(first):
    """At least 95 % of what could be used is: a place stands idle only while it is set aside for one that needs two."""
    used_s = could_s = 0.0
    for seed in range(first, first + 250):
        try:
            used, could = nesting(seed)
        except BaseException as problem:
            problem.add_note(f"seed {seed}")
            raise
        used_s, could_s = used_s + used, could_s + could
    assert used_s >= 0.95 * could_s


@pytest.mark.parametrize("seed", range(100))
def test_where_each_call_needs_one_limit_no_place_ever_stands_idle_while_one_waits(seed):
    used_s, could_s = nesting(seed, at_most=1)
    assert used_s == pytest.approx(could_s)


# ── An hour of virtual time, or a thousand windows ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limit", "longest_s"),
    [
        (Limit(per_second=2), 0.03),
        (Limit(per_second=1), 20),
        (Limit(per_minute=60), 1),
        (Limit(per_minute=40), 200),
        (Limit(per_minute=90, burst=5), 30),
    ],
    ids=str,
)
def test_for_an_hour_no_window_has_more_starts_than_allowed_and_nearly_all_are_used(limit, longest_s):
    rng = random.Random(f"{limit} {longest_s}")
    most, period_s = (limit.per_second, 1) if limit.per_second else (limit.per_minute, 60)
    long_s = min(3600, 1000 * period_s)
    starts = []

    async def code(x):
        starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(rng.random() * longest_s)
        return {"y": x}

    async def main():
        engine = Hush(mapped(code, iter(range(10**6)), limit=limit))
        try:
            await engine.run(timeout_s=long_s)
        except TimeoutError:
            pass

    run_virtual(main, max_passes=10**7)
    for first, last in zip(starts, starts[most:], strict=False):
        assert last - first >= period_s - 1e-6
    assert len(starts) >= 0.95 * long_s / period_s * most
