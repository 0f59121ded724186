"""The row of refusals over real sockets and by the machine's clock: for each client, as short as it can be."""

from __future__ import annotations

import pytest

from hush.core import Hush
from hush.testing import Fault, ScriptedLLM
from kit.model_batches import batch_graph
from kit.model_places import SOCKETS, hub_of, served

pytestmark = pytest.mark.usefixtures("silence")


async def all_are_answered(place, faults, questions=120, **given):
    """With the node's own patience: nothing says how often, or how long."""
    llm = ScriptedLLM(faults=faults, latency_s=(0.01, 0.05), **given)
    async with served(place, m=llm) as settings:
        settings["llm:m"]["silence_timeout_s"] = 0.3
        stream = any("stream" in str(fault.kind) for fault in faults)
        async with Hush(batch_graph(stream=stream), resources=hub_of(settings)) as engine:
            asked = [f"question {number}" for number in range(questions)]
            result = await engine.run({"questions": asked})
    assert result["answers"] == [f"echo: {question}" for question in asked]
    assert llm.stats.calls <= 1.5 * questions
    assert llm.stats.at_once == 0
    return llm.stats


@pytest.mark.parametrize("place", SOCKETS)
async def test_a_second_of_429(place):
    await all_are_answered(place, [Fault("rate_limited", until_s=0.7)])


async def test_a_server_that_is_started_again():
    await all_are_answered("openai", [Fault("reset", from_s=0.05, until_s=0.7)])


async def test_retry_after_for_all():
    await all_are_answered("openai", [Fault("rate_limited", numbers=[30], retry_after_s=0.7, retry_after_as="ms")])


@pytest.mark.parametrize("kind", ["half_stream", "stalled_stream", "reset_in_stream", "error_in_stream"])
async def test_streams_that_stay_half(kind):
    await all_are_answered("openai", [Fault(kind, every=6)], questions=60)


async def test_what_the_headers_of_answers_say_is_heard():
    """A server that allows so many a second, and says with each answer how many are left: no other limit is known."""
    stats = await all_are_answered("openai", [], questions=60, limits={"rps": 30})
    assert stats.violations <= 15  # on a machine that is busy with other things


@pytest.mark.nightly
@pytest.mark.parametrize("place", SOCKETS)
@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "unavailable", "bad_gateway", "reset", "close"])
@pytest.mark.parametrize("from_s", [0.0, 1.0])
async def test_five_seconds_of_it(place, kind, from_s):
    await all_are_answered(place, [Fault(kind, from_s=from_s, until_s=from_s + 5)], questions=600)
