"""Several models for one node: fallbacks, ratios, and models that are down and come back."""

from __future__ import annotations

import contextlib

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, NodeChunk, NodeRerouted, ResourceHub, Retry, UsageError
from hush.providers import LLMNode
from hush.providers.errors import RefusedByProvider
from hush.testing import Fault, Recorder, ScriptedLLM, cancel_everywhere, run_virtual
from kit.model_batches import batch, batch_graph
from kit.model_places import SOCKETS, asked, served

pytestmark = pytest.mark.usefixtures("silence")


def two(first, second="b", **given):
    """A model that may fail, and one that stands in for it."""
    a = first if isinstance(first, ScriptedLLM) else ScriptedLLM("a", faults=first, **given)
    b = second if isinstance(second, ScriptedLLM) else ScriptedLLM(second)
    return a, b, ResourceHub({"llm:a": a, "llm:b": b})


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "not_found"])
def test_one_such_refusal_is_enough(kind):
    """A wrong key is a wrong key for all: after the first who are under way nobody asks there again."""
    a, b, hub = two([Fault(kind)])
    done = batch(hub, 100, resource_key="a", fallback="b", max_concurrency=4)
    assert done.answers == ["b"] * 100
    assert a.stats.calls <= 4
    assert b.stats.calls == 100


@pytest.mark.parametrize("kind", ["server_error", "bad_gateway", "close", "rate_limited", "overloaded", "bad_json"])
def test_a_model_that_is_down_is_left_alone_and_probed(kind):
    a, _, hub = two([Fault(kind)], ScriptedLLM("b", latency_s=1.0))
    done = batch(hub, 600, resource_key="a", fallback="b", max_concurrency=4)  # 150 s
    assert done.answers == ["b"] * 600
    assert a.stats.calls <= 40
    assert a.stats.arrivals_s[-1] > 60  # it is probed again and again


def test_it_is_asked_first_again_when_it_has_come_back():
    a, b, hub = two([Fault(503, until_s=30)], ScriptedLLM("b", latency_s=1.0), latency_s=1.0)
    done = batch(hub, 600, resource_key="a", fallback="b", max_concurrency=4)
    assert done.answered == 600
    assert done.answers[-1] == "a"
    first = done.answers.index("a")
    assert done.answers[first + 20 :].count("b") == 0
    assert a.stats.refused <= 40
    assert a.stats.calls + b.stats.calls <= 650


def test_a_retry_after_that_is_too_long_is_passed_over():
    a, _, hub = two([Fault("rate_limited", first=1, retry_after_s=100)], ScriptedLLM("b", latency_s=1.0))
    done = batch(hub, 300, resource_key="a", fallback="b", max_concurrency=1)
    assert done.answers[:90] == ["b"] * 90
    assert done.answers[-1] == "a"
    assert a.stats.early == 0
    assert done.seconds < 130


def test_a_short_one_is_waited_for():
    a, b, hub = two([Fault("rate_limited", first=1, retry_after_s=1)])
    assert run_virtual(lambda: asked(hub, key="a", fallback="b", retry=None))["content"] == "a"
    assert (a.stats.calls, a.stats.early, b.stats.calls) == (2, 0, 0)


def test_a_prompt_that_is_too_long_goes_to_one_that_takes_it():
    """And nobody thinks the first one down because of it."""
    a, _, hub = two([Fault("context_length_exceeded", contains="long")])
    done = batch(hub, ["long", "short", "long", "long", "long", "long", "short"], resource_key="a", fallback=["b"])
    assert done.answers == ["b", "a", "b", "b", "b", "b", "a"]
    assert a.stats.calls == 7


def test_when_all_fail_all_are_told_of():
    a, b, hub = two([Fault("server_error")], ScriptedLLM(faults=[Fault("unauthorized")]))
    recorder = Recorder()

    async def main():
        with GraphNode(name="g") as graph:
            LLMNode(name="llm", resource_key="a", fallback="b", inputs={"messages": "?"}, outputs=PARENT)
        with pytest.raises(RefusedByProvider) as caught:
            await Hush(graph, resources=hub).run(tracer=recorder)
        return caught.value

    error = run_virtual(main)
    assert error.resource == "llm:b"
    assert error.status_code == 401
    told = "\n".join(error.__notes__)
    assert "llm:a" in told
    assert "500" in told
    assert error.hush.attempt == a.stats.calls + b.stats.calls
    (rerouted,) = recorder.of(NodeRerouted)
    assert (rerouted.resource, rerouted.to) == ("llm:a", "llm:b")


def test_model_used_says_who_answered_and_attempts_counts_all():
    a, _, hub = two([Fault("server_error")])
    out = run_virtual(lambda: asked(hub, key="llm:a", fallback=["llm:b"]))
    assert (out["content"], out["model_used"]) == ("b", "llm:b")
    assert out["attempts"] == a.stats.calls + 1


@pytest.mark.parametrize(("ratios", "counts"), [([0.7, 0.3], (70, 30)), (None, (50, 50)), ([1, 3], (25, 75))])
def test_ratios_are_kept(ratios, counts):
    a, b, hub = two([])
    batch(hub, 100, resource_key=["a", "b"], ratios=ratios)
    assert (a.stats.calls, b.stats.calls) == counts


def test_of_several_the_one_that_is_down_is_left_out():
    a, _, hub = two([Fault("server_error")])
    done = batch(hub, 200, resource_key=["a", "b"], fallback="b", max_concurrency=4)
    assert done.answers == ["b"] * 200
    assert a.stats.calls <= 30


def test_engines_of_one_hub_share_what_is_known():
    a, _, hub = two([Fault("unauthorized")])

    async def main():
        for _ in range(10):
            await asked(hub, key="a", fallback="b")

    run_virtual(main)
    assert a.stats.calls == 1


@pytest.mark.parametrize("first", SOCKETS)
@pytest.mark.parametrize("second", SOCKETS)
async def test_from_one_vendor_to_another(first, second):
    a, b = ScriptedLLM(faults=[Fault("overloaded")]), ScriptedLLM("b")
    async with served(first, a=a) as one, served(second, b=b) as other:
        out = await asked(one | other, key="a", fallback="b", retry=Retry(max_attempts=2, backoff_s=0.001))
    assert (out["content"], out["model_used"], out["attempts"]) == ("b", "llm:b", 3)


@pytest.mark.parametrize("streams", [False, True])
def test_cancelled_anywhere_nothing_is_left(streams):
    """A map over a node with a fallback, a limit and a cache, cancelled in each pass of the loop."""
    models = []

    def make():
        a = ScriptedLLM(
            "a", faults=[Fault("half_stream" if streams else 503, every=2)], latency_s=0.1, per_token_s=0.01
        )
        b = ScriptedLLM("bb", latency_s=0.1, per_token_s=0.01)
        models[:] = [a, b]
        limited = {"type": "scripted", "llm": a, "limits": {"concurrency": 2}}
        graph = batch_graph(
            resource_key="a", fallback="b", stream=streams, max_concurrency=3, retry=Retry(max_attempts=2)
        )
        return Hush(graph, resources=ResourceHub({"llm:a": limited, "llm:b": b})).run({"questions": list("xyzuvw")})

    def check():
        assert [llm.stats.at_once for llm in models] == [0, 0]

    assert cancel_everywhere(make, check=check) > 15


def test_a_cancelled_stream_of_events_ends_its_calls():
    llm = ScriptedLLM("abc def ghi", per_token_s=1.0)

    async def main():
        engine = Hush(batch_graph(), resources={"llm:m": llm})
        async with contextlib.aclosing(engine.stream({"questions": ["1", "2"]})) as events:
            async for event in events:
                if isinstance(event, NodeChunk):
                    break
        return llm.stats.at_once

    assert run_virtual(main) == 0
    assert llm.stats.abandoned == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "resource_key="),
        ({"resource_key": []}, "names no model"),
        ({"resource_key": 3}, "it is a key"),
        ({"resource_key": ["a", "b"], "ratios": [1]}, "one number above 0 for each"),
        ({"resource_key": ["a", "b"], "ratios": [1, 0]}, "one number above 0 for each"),
        ({"resource_key": "a", "fallback": 3}, "it is a key"),
        ({"resource_key": "a", "stream": "yes"}, "True, False, or None"),
    ],
)
def test_what_cannot_be_meant_raises_at_its_line(given, words):
    with pytest.raises(UsageError, match="LLMNode") as caught, GraphNode(name="g"):
        LLMNode(name="llm", inputs={"messages": "?"}, **given)
    assert words in str(caught.value)


def test_a_map_in_a_map_shares_too():
    a, b, hub = two([Fault("unauthorized")])
    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"x": Each(PARENT["xs"])}) as outer:
            with MapNode(name="inner", inputs={"y": Each([1, 2, 3]), "x": PARENT["x"]}, max_concurrency=1) as inner:
                LLMNode(name="llm", resource_key="a", fallback="b", inputs={"messages": PARENT["x"]}, outputs=PARENT)
            inner["content"] >> PARENT["inner"]
        outer["inner"] >> PARENT["all"]
    result = run_virtual(lambda: Hush(graph, resources=hub).run({"xs": ["1", "2"]}))
    assert result["all"] == [["b"] * 3] * 2
    assert a.stats.calls <= 2
    assert b.stats.calls == 6
