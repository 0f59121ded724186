"""Why a model with a rate also finds out how many calls at once are good: simulated servers, in virtual time."""

from __future__ import annotations

import pytest

from hush.core import Limit, ResourceHub
from hush.core._admission._limiter import NOT_KNOWN, End, Limiter
from kit.adaptive_servers import Latency, SlidingWindow, Slots, drive, steady


class Held:
    """A limit as the controller of a simulated server."""

    def __init__(self, limit: Limit) -> None:
        self.limiter = Limiter(limit)

    def admit_at_s(self, now_s, in_flight):
        return self.limiter.until_s(NOT_KNOWN, now_s)

    def started(self, now_s):
        return self.limiter.take(NOT_KNOWN, now_s), now_s

    def ended(self, token, now_s, *, overloaded, retry_after_s):
        taken, started_s = token
        self.limiter.in_use -= 1
        end = End(failed=overloaded, overloaded=overloaded, retry_after_s=retry_after_s)
        self.limiter.give(taken, NOT_KNOWN, now_s, end)
        self.limiter.judge(started_s, now_s, end, begun=True)


def limit_of(**limits):
    hub = ResourceHub({"llm:x": {"type": "openai", "api_key": "k", "model": "m", "limits": limits}})
    return hub._make("llm:x")[0].limit


@pytest.mark.parametrize(
    "server",
    [
        lambda: SlidingWindow(steady(10), Latency(0.5, 0.3), window_s=1),
        lambda: Slots(steady(16), Latency(0.5, 0.3)),
    ],
    ids=["by the second", "at once"],
)
def test_a_rate_that_the_server_enforces_more_finely_is_hardly_refused(server):
    found = drive(Held(limit_of(rpm=600)), server(), seconds=400, work=1200, seed=1)
    assert len(found.served_s) == 1200
    assert found.refused_share <= 0.05
    plain = drive(Held(Limit(per_minute=600)), server(), seconds=400, work=1200, seed=1)
    assert plain.refused_share > 0.9  # which is why


@pytest.mark.parametrize("latency_s", [0.5, 3.0])
def test_where_the_rate_is_right_it_costs_a_few_answers_time_once(latency_s):
    def ends_s(limit):
        server = SlidingWindow(steady(10), Latency(latency_s, 0.3), window_s=60)
        found = drive(Held(limit), server, seconds=900, work=3000, seed=1)
        assert found.refused_s == []
        return found.end_s

    assert ends_s(limit_of(rpm=600)) <= ends_s(Limit(per_minute=600)) + 9 * latency_s
