"""As fast as allowed, and not faster: requests and tokens a minute, counted by the server that enforces them.

While work is queued at least 95 % of the allowance is used, and at most 0.5 % of the calls are refused.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from hush.core import PARENT, Hush, ResourceHub
from hush.testing import Rule, ScriptedLLM, run_virtual
from kit.model_batches import batch, batch_graph
from kit.model_places import asking
from kit.tiers import by_day

pytestmark = pytest.mark.usefixtures("silence")

SPAN_S = 600.0


class Server:
    """A model that enforces tokens a minute and notes when it took how many."""

    def __init__(self, seed, limits, *, latency_s=(0.5, 4.0), answers=(10, 500)):
        draws = random.Random(seed)
        self.tpm = limits.get("tpm")
        self.took = []

        def answer(request):
            tokens = draws.randint(*answers)
            self.took.append((request.at_s, request.prompt_tokens + tokens))
            return "abcd" * tokens

        self.llm = ScriptedLLM([Rule(answer=answer)], limits=limits, latency_s=latency_s, seed=seed)

    def used(self, until_s):
        """The share of the allowance that was taken from the first call on."""
        return sum(tokens for at_s, tokens in self.took if at_s < until_s) / (self.tpm * until_s / 60)

    def pace(self):
        """The share of the allowance at which calls come in the long run, the first minute's burst aside.

        From when half of the first minute's tokens were taken to when half of the last one's were.
        """
        taken, times = 0, []
        for at_s, tokens in sorted(self.took):
            taken += tokens
            if taken >= (len(times) + 0.5) * self.tpm:
                times.append(at_s)
        return 60 * (len(times) - 1) / (times[-1] - times[0])

    @property
    def queued_until_s(self):
        return max(at_s for at_s, _ in self.took)


def mixed(seed, count, letter="w"):
    """Questions of 50 to 5,000 tokens of four characters."""
    draws = random.Random(seed)
    sizes = [
        draws.choice((50, 200, 1000, 5000)) if draws.random() < 0.5 else draws.randint(50, 5000) for _ in range(count)
    ]
    return [f"{number} ".ljust(size * 4, letter) for number, size in enumerate(sizes)]


def check_tokens(seed, *, bound, tpm=200_000, count=1000, letter="w", **given):
    server = Server(seed, {"tpm": tpm}, **given)
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": server.llm, "limits": {"tpm": tpm}}})
    inputs, more = None, None
    if bound is not None:
        inputs, more = {"max_tokens": PARENT["more"]}, [bound] * count
    done = batch(hub, mixed(seed, count, letter), seed=seed, inputs=inputs, more=more)
    stats = server.llm.stats
    assert done.answered == count
    assert stats.violations <= 0.005 * count
    assert stats.early == 0
    assert server.queued_until_s > SPAN_S
    assert server.used(SPAN_S) >= 0.95
    assert server.pace() >= 0.95


@pytest.mark.parametrize("bound", [None, 500], ids=["", "max_tokens"])
@pytest.mark.parametrize("seed", by_day([1, 2], 0))
def test_tokens_a_minute(seed, bound):
    check_tokens(seed, bound=bound)


def test_tokens_a_minute_in_a_script_that_counts_otherwise():
    """Three bytes a letter, of which the server counts four to a token: what is expected is learnt from replies."""
    check_tokens(3, bound=None, letter="ế")


@pytest.mark.nightly
@pytest.mark.parametrize("bound", [None, 500], ids=["", "max_tokens"])
@pytest.mark.parametrize("tpm", [100_000, 400_000, 2_000_000])
@pytest.mark.parametrize("seed", range(4))
def test_tokens_a_minute_at_length(seed, tpm, bound):
    check_tokens(seed, bound=bound, tpm=tpm, count=tpm // 165)


@pytest.mark.parametrize("seed", by_day([1, 2], 0))
@pytest.mark.parametrize("rpm", [60, 240])
def test_requests_a_minute(rpm, seed):
    limits = {"rpm": rpm}
    llm = ScriptedLLM(limits=limits, latency_s=(0.2, 3.0), seed=seed)
    count = rpm * 11
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": llm, "limits": limits}})
    done = batch(hub, count, seed=seed, max_concurrency=128)
    stats = llm.stats
    assert done.answered == len(done.answers)
    assert stats.violations <= 0.005 * stats.calls
    assert stats.most_in_any(60) <= rpm
    last_s = stats.arrivals_s[-1]
    minutes = int(last_s // 60)  # whole ones, while work is queued
    assert sum(at < minutes * 60 for at in stats.arrivals_s) >= 0.95 * rpm * minutes


def test_requests_and_tokens_together():
    limits = {"rpm": 100, "tpm": 100_000}
    server = Server(5, limits)
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": server.llm, "limits": limits}})
    done = batch(hub, mixed(5, 500), seed=5)
    assert done.answered == 500
    assert server.llm.stats.violations <= 2
    assert server.llm.stats.most_in_any(60) <= 100


@pytest.mark.parametrize(("at_once", "seed"), [(4, 0), (16, 1), (60, 2)])
def test_without_any_limit_the_level_is_found(at_once, seed):
    """A server that takes so many at once, and says only 429 to others."""
    llm = ScriptedLLM(limits={"concurrency": at_once, "retry_after": "none"}, latency_s=(0.5, 2.0), seed=seed)
    done = batch(llm, 40 * at_once, seed=seed, max_concurrency=200)
    assert done.answered == 40 * at_once
    assert llm.stats.calls <= 1.15 * done.answered
    best_s = 1.25 * 40  # the mean latency, as if all places were taken all the time
    assert done.seconds <= 2 * best_s


def test_one_resource_is_one_limit_for_all_nodes_maps_and_runs():
    """Three runs of one graph at once, and one of another, on one hub."""
    llm = ScriptedLLM(limits={"rpm": 60}, latency_s=0.5)
    hub = ResourceHub({"llm:m": {"type": "scripted", "llm": llm, "limits": {"rpm": 60}}})
    many, one = Hush(batch_graph(), resources=hub), Hush(asking("llm:m"), resources=hub)

    async def main():
        runs = [many.run({"questions": [f"{n} {run}" for n in range(60)]}) for run in range(3)]
        return await asyncio.gather(*runs, one.run({"messages": "?"}))

    results = run_virtual(main, max_passes=10_000_000)
    assert all(len(result["answers"]) == 60 for result in results[:3])
    assert llm.stats.calls == 181
    assert llm.stats.violations == 0
