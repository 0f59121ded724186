"""The row of refusals: what an ``LLMNode`` makes of a provider that refuses, breaks off or talks nonsense.

Counted is at the server's side: all are answered, with at most half as many requests again, and nobody comes early.
"""

from __future__ import annotations

import asyncio

import pytest

from hush.core import Hush, NodeRetrying, Retry
from hush.providers.errors import BadReply, ProviderTimeout, RefusedByProvider, Unreachable
from hush.testing import Fault, Reply, ScriptedLLM, run_virtual
from kit.model_batches import batch
from kit.model_places import PLACES, SOCKETS, asked, asking, hub_of, served

pytestmark = pytest.mark.usefixtures("silence")

SEEDS = (0, 1, 2)
BREAKS_IN_STREAMS = ("half_stream", "stalled_stream", "reset_in_stream", "error_in_stream")
NO_ANSWERS = ("half_body", "html", "bad_json", "error_in_200", "empty_choices", "reset", "close", "reset_after_headers")


def all_are_answered(llm, faults, questions=200, **given):
    done = batch(llm, questions, **given)
    assert done.answers == [f"echo: question {number}" for number in range(questions)]
    assert sum(llm.stats.faults.values()) > 0
    assert llm.stats.calls <= 1.5 * questions
    assert llm.stats.early == 0
    return done


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"retry_after_s": 5.0},
        {"retry_after_s": 2.3, "retry_after_as": "ms"},
        {"retry_after_s": 2.3, "retry_after_as": "date"},
        {"retry_after_s": 2.3, "retry_after_as": "both"},
    ],
    ids=["says nothing", "seconds", "ms", "date", "both"],
)
def test_five_seconds_of_429(told, seed):
    llm = ScriptedLLM(faults=[Fault("rate_limited", until_s=5, **told)], latency_s=(0.2, 2.0), seed=seed)
    done = all_are_answered(llm, 200, seed=seed)
    assert done.seconds < 60


@pytest.mark.parametrize("kind", ["unavailable", "overloaded", "server_error", "bad_gateway", "reset", "close"])
def test_five_seconds_in_which_nothing_works(kind):
    """A server that is being restarted."""
    llm = ScriptedLLM(faults=[Fault(kind, until_s=5)], latency_s=(0.2, 2.0))
    all_are_answered(llm, 200)


@pytest.mark.parametrize("limits", [None, {"rpm": 600}, {"tpm": 100_000}, {"concurrency": 20}], ids=str)
@pytest.mark.parametrize("kind", ["rate_limited", "reset"])
def test_whatever_the_resource_is_limited_by(kind, limits):
    llm = ScriptedLLM(faults=[Fault(kind, from_s=2, until_s=6)], latency_s=(0.2, 2.0))
    settings = {"type": "scripted", "llm": llm}
    if limits:
        settings["limits"] = limits
    done = batch(hub_of({"llm:m": settings}), 300)
    assert done.answered == 300
    assert llm.stats.calls <= 450


@pytest.mark.parametrize("seed", SEEDS)
def test_one_retry_after_is_heard_by_all(seed):
    """Also by those who were not told themselves, and by another run."""
    llm = ScriptedLLM(faults=[Fault("rate_limited", numbers=[30], retry_after_s=40)], latency_s=(0.2, 2.0), seed=seed)
    all_are_answered(llm, 400, seed=seed)
    told_at = llm.stats.arrivals_s[29]
    closed = [at for at in llm.stats.arrivals_s if told_at + 0.005 < at < told_at + 40]
    assert closed == []


@pytest.mark.parametrize("told", [None, 1.0])
def test_429_for_ever_is_bounded_and_named(told):
    llm = ScriptedLLM(faults=[Fault("rate_limited", retry_after_s=told)])

    async def main():
        with pytest.raises(RefusedByProvider) as caught:
            await asked(hub_of({"llm:m": llm}), retry=None)
        return caught.value, asyncio.get_running_loop().time()

    error, seconds = run_virtual(main)
    assert (error.status_code, error.code, error.resource) == (429, "rate_limit_exceeded", "llm:m")
    assert "429" in str(error)
    assert "llm:m" in str(error)
    assert error.hush.attempt == 8 == llm.stats.calls
    assert error.hush.path == "asking/llm"
    assert any("max_attempts=8" in note for note in error.__notes__)
    assert seconds < 120


def test_a_batch_that_is_refused_for_ever_ends_in_minutes():
    """However many questions there are: they do not each wait for themselves."""
    llm = ScriptedLLM(faults=[Fault("rate_limited", from_s=5)], latency_s=(0.2, 2.0))
    done = batch(llm, 1500)
    assert 0 < done.answered < 200
    assert done.seconds < 700
    assert llm.stats.calls <= 1.5 * 1500
    error = done.errors[-1]
    assert error.status_code == 429
    assert any("for 600 s all calls were refused" in note for note in error.__notes__)


def test_an_outage_of_minutes_is_sat_out():
    llm = ScriptedLLM(faults=[Fault("rate_limited", from_s=5, until_s=300)], latency_s=(0.2, 2.0))
    all_are_answered(llm, 500, questions=500)


def test_what_was_refused_long_ago_is_forgotten():
    """A run an hour later is as patient as the first one."""
    llm = ScriptedLLM(faults=[Fault("rate_limited", numbers=[1, 2, 3])])

    async def main():
        hub, once = hub_of({"llm:m": llm}), Retry(max_attempts=1)
        with pytest.raises(RefusedByProvider):
            await asked(hub, retry=once)
        await asyncio.sleep(3600)
        return (await asked(hub, retry=None))["attempts"]

    assert run_virtual(main) == 3


def test_a_retry_after_beyond_all_patience_is_not_waited_for():
    """Such as that of a limit for a day."""
    llm = ScriptedLLM(faults=[Fault("rate_limited", retry_after_s=36_000)])

    async def main():
        with pytest.raises(RefusedByProvider) as caught:
            await asked(hub_of({"llm:m": llm}), retry=None)
        return caught.value, asyncio.get_running_loop().time()

    error, seconds = run_virtual(main)
    assert llm.stats.calls == error.hush.attempt == 1
    assert seconds < 1
    assert any("max_total_s" in note for note in error.__notes__)


def test_an_account_with_nothing_left_is_not_asked_again_and_holds_nobody_back():
    llm = ScriptedLLM(faults=[Fault("insufficient_quota")], latency_s=0.5)
    done = batch(llm, 200)
    assert llm.stats.calls == 200
    assert all(error.code == "insufficient_quota" for error in done.errors)
    assert done.seconds < 5


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "not_found", "bad_request", "context_length_exceeded"])
def test_what_will_not_change_is_not_tried_again(kind):
    llm = ScriptedLLM(faults=[Fault(kind)])
    done = batch(llm, 3)
    assert llm.stats.calls == 3
    assert all(isinstance(error, RefusedByProvider) for error in done.errors)
    assert all(error.hush.attempt == 1 for error in done.errors)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_what_is_no_answer_is_asked_for_again(kind, stream):
    llm = ScriptedLLM(faults=[Fault(kind, every=5)], latency_s=(0.2, 2.0))
    all_are_answered(llm, 100, questions=100, stream=stream)


@pytest.mark.parametrize("kind", [*BREAKS_IN_STREAMS, "finish_reason_null"])
def test_half_of_a_stream_is_no_answer(kind):
    llm = ScriptedLLM(faults=[Fault(kind, every=5)], latency_s=(0.2, 2.0))
    all_are_answered(llm, 100, questions=100, stream=True)


def test_an_answer_that_never_comes_is_asked_for_again():
    """With the resource's own timeout, and no other."""
    llm = ScriptedLLM(faults=[Fault("timeout", every=7)], latency_s=(0.2, 2.0))
    all_are_answered(llm, 100, questions=100)


def test_long_queues_are_no_reason_to_give_up():
    """One refusal, in a queue of ten minutes and more."""
    llm = ScriptedLLM(limits={"rpm": 10}, faults=[Fault("rate_limited", every=9)], latency_s=(0.2, 2.0))
    done = batch(hub_of({"llm:m": {"type": "scripted", "llm": llm, "limits": {"rpm": 10}}}), 200, max_concurrency=110)
    assert done.answered == 200


@pytest.mark.parametrize("probability", [0.1, 0.3])
def test_a_server_that_fails_at_random_costs_what_it_fails(probability):
    llm = ScriptedLLM(faults=[Fault(500, probability=probability)], latency_s=(0.2, 2.0))
    done = batch(llm, 500)
    assert done.answered == 500
    assert llm.stats.calls - 500 == llm.stats.faults["server_error"]  # one more for each failure


@pytest.mark.parametrize("kind", [*NO_ANSWERS, "rate_limited", "overloaded", *BREAKS_IN_STREAMS])
async def test_over_real_sockets_as_well(kind):
    """Once for each vendor, with the least waiting there is."""
    for place in SOCKETS:
        if (place, kind) == ("anthropic", "empty_choices"):
            continue  # it has none
        streams = kind in BREAKS_IN_STREAMS
        llm = ScriptedLLM("Xin chào", faults=[Fault(kind, first=2)])
        async with served(place, m=llm) as settings:
            settings["llm:m"]["silence_timeout_s"] = 0.2
            out = await asked(settings, streams=streams)
        assert (out["content"], out["attempts"], llm.stats.calls) == ("Xin chào", 3, 3), place


@pytest.mark.parametrize("place", SOCKETS)
async def test_a_retry_after_over_real_sockets_is_kept(place):
    llm = ScriptedLLM("a", faults=[Fault("rate_limited", first=1, retry_after_s=0.4, retry_after_as="ms")])
    told = asyncio.Event()

    class Tells:
        def emit(self, event):
            if isinstance(event, NodeRetrying):
                told.set()

    async with served(place, m=llm) as settings, Hush(asking(), resources=hub_of(settings)) as engine:
        first = asyncio.create_task(engine.run({"messages": "?"}, tracer=Tells()))
        await told.wait()
        await asyncio.gather(first, *[engine.run({"messages": "?"}) for _ in range(20)])
    assert llm.stats.early == 0
    assert llm.stats.calls == 22


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("unauthorized"), RefusedByProvider, ["401", "api_key"]),
        (Fault("not_found"), RefusedByProvider, ["404"]),
        (Fault("context_length_exceeded"), RefusedByProvider, ["400"]),
        (Fault("html"), RefusedByProvider, ["502"]),
        (Fault("bad_json"), BadReply, []),
        (Fault("close"), Unreachable, []),
    ],
    ids=lambda it: getattr(it, "kind", None),
)
async def test_errors_say_who_was_asked_and_where(place, fault, error, words):
    async with served(place, m=ScriptedLLM(faults=[fault])) as settings:
        with pytest.raises(error) as caught:
            await asked(settings, retry=Retry(max_attempts=1))
    text = str(caught.value)
    assert "llm:m" in text
    assert all(word in text for word in words)
    assert caught.value.hush.path == "asking/llm"


@pytest.mark.parametrize("place", SOCKETS)
async def test_a_server_that_is_not_there_is_named(place):
    async with served(place, m=ScriptedLLM()) as settings:
        pass
    with pytest.raises(Unreachable) as caught:
        await asked(settings, retry=Retry(max_attempts=2, backoff_s=0.001))
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.hush.attempt == 2


async def test_a_timeout_says_how_long_it_waited():
    async with served("openai", m=ScriptedLLM(Reply("a", latency_s=30))) as settings:
        settings["llm:m"]["timeout_s"] = 0.1
        with pytest.raises(ProviderTimeout, match=r"0\.1 s"):
            await asked(settings, retry=Retry(max_attempts=1))
