"""Leaves that resources serve: who is asked, how often, within which limits, what is opened and closed."""

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest

from hush.core import (
    END,
    PARENT,
    START,
    Each,
    GraphError,
    GraphNode,
    Hush,
    Limit,
    MapNode,
    NodeChunk,
    NodeFailed,
    NodeRerouted,
    NodeRetrying,
    ResourceHub,
    Retry,
)
from hush.core.extend import Again
from hush.testing import Recorder, cancel_everywhere, run_virtual
from kit.fake_resource import FakeNode, FakeResource, Refused


def one_node(**given) -> GraphNode:
    with GraphNode(name="g") as graph:
        node = FakeNode("n", inputs={"text": PARENT["text"]}, outputs=PARENT, **given)
        START >> node >> END
    return graph


def over_many(most: int = 50, **given) -> GraphNode:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=most) as each:
            node = FakeNode("n", inputs={"text": PARENT["x"]}, outputs=PARENT, **given)
            START >> node >> END
        for key in ("answer", "by", "attempts", "error"):
            each[key] >> PARENT[key]
        START >> each >> END
    return graph


def hub(*resources: FakeResource) -> ResourceHub:
    return ResourceHub({one.name: one for one in resources})


@pytest.mark.parametrize("about", [lambda: 1 / 0, lambda: None, lambda: 7, lambda: {"model": "m"}])
def test_what_a_resource_cannot_tell_of_its_answer_harms_no_run(about, caplog):
    async def answers(request, serving):
        serving.answered(about)
        return {"answer": "yes"}

    resource = FakeResource("fake:a", lambda *_: answers)
    recorder = Recorder()
    recorder.sees_calls = True
    engine = Hush(one_node(), resources=hub(resource))
    assert run_virtual(lambda: engine.run({"text": "?"}, tracer=recorder))["answer"] == "yes"
    told = [event.about for event in recorder.events if type(event).__name__ == "NodeAnswered"]
    assert told == ([] if "cannot tell" in caplog.text else [{"model": "m"}])


class NoAllowance(Exception):
    """As many clients have them: what it is made of is not what it passes on."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.status_code = code
        self.retry_after_s = 86_400.0


def test_a_refusal_until_tomorrow_that_cannot_be_copied_is_told_to_all():
    resource = FakeResource("fake:a", failing(NoAllowance("come back tomorrow", code=429)), limit=Limit(concurrency=2))
    engine = Hush(over_many(), resources=hub(resource))
    result = run_virtual(lambda: engine.run({"xs": [f"{number}" for number in range(20)]}))
    assert {(type(error), str(error), error.status_code) for error in result["error"]} == {
        (NoAllowance, "come back tomorrow", 429)
    }
    assert len(resource.asked) <= 4
    assert "not asked for" in result["error"][-1].__notes__[0]


def failing(error: Exception, times: int = 10**9):
    def answer(text: str, number: int) -> str:
        if number <= times:
            raise error
        return f"late: {text}"

    return answer


def virtual(engine: Hush, inputs, **options):
    return run_virtual(lambda: engine.run(inputs, **options))


XS = [str(number) for number in range(100)]


# ── Who is asked ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ratios_are_kept_exactly():
    a, b, c = FakeResource("fake:a"), FakeResource("fake:b"), FakeResource("fake:c")
    graph = over_many(key=["a", "b", "fake:c"], ratios=[5, 3, 2])
    out = virtual(Hush(graph, resources=hub(a, b, c)), {"xs": XS})
    assert [len(one.asked) for one in (a, b, c)] == [50, 30, 20]
    assert set(out["attempts"]) == {1}


def test_without_ratios_several_are_asked_in_turn():
    a, b = FakeResource("fake:a"), FakeResource("fake:b")
    virtual(Hush(over_many(key=["a", "b"]), resources=hub(a, b)), {"xs": XS})
    assert (len(a.asked), len(b.asked)) == (50, 50)


def test_when_one_fails_the_next_is_asked_and_the_first_is_left_alone_until_it_is_probed():
    a, b = FakeResource("fake:a", failing(Refused(500), times=8)), FakeResource("fake:b")
    recorder = Recorder()
    graph = over_many(most=1, fallback=("b",), retry=Retry(max_attempts=2, backoff_s=0.01))
    out = virtual(Hush(graph, resources=hub(a, b)), {"xs": XS}, tracer=recorder)
    assert out.status == "ok"
    reroutes = [event for event in recorder.events if isinstance(event, NodeRerouted)]
    assert (reroutes[0].resource, reroutes[0].to, reroutes[0].attempt) == ("fake:a", "fake:b", 2)
    # Three calls of two attempts each open its circuit; every further failure is a probe.
    times = [at for at, _ in a.asked]
    assert len([at for at in times if at < times[0] + 1]) == 6
    assert times[6] >= times[5] + 1
    assert out["by"][:3] == ["fake:b"] * 3
    assert out["by"][-1] == "fake:a"  # it came back
    assert out["attempts"][0] == 3


def test_each_may_stand_in_for_the_other():
    a, b = FakeResource("fake:a", failing(Refused(401))), FakeResource("fake:b")
    graph = over_many(most=1, key=["a", "b"], fallback=("a", "b"))
    out = virtual(Hush(graph, resources=hub(a, b)), {"xs": XS[:10]})
    assert (len(a.asked), set(out["by"])) == (1, {"fake:b"})


def test_a_model_that_refuses_everybody_is_asked_once():
    a, b = FakeResource("fake:a", failing(Refused(401))), FakeResource("fake:b")
    out = virtual(Hush(over_many(most=1, fallback=("b",)), resources=hub(a, b)), {"xs": XS})
    assert len(a.asked) == 1
    assert set(out["by"]) == {"fake:b"}


def test_what_no_other_could_answer_either_does_not_count_against_the_resource():
    a, b = FakeResource("fake:a", failing(Refused(400))), FakeResource("fake:b")
    virtual(Hush(over_many(most=1, fallback=("b",)), resources=hub(a, b)), {"xs": XS[:20]})
    assert len(a.asked) == 20


def test_while_there_is_another_nobody_waits_long_for_the_first():
    a, b = FakeResource("fake:a", failing(Refused(429, retry_after=30))), FakeResource("fake:b")

    async def run():
        out = await Hush(one_node(fallback=("b",)), resources=hub(a, b)).run({"text": "x"})
        return out, asyncio.get_running_loop().time()

    out, took_s = run_virtual(run)
    assert out["by"] == "fake:b"
    assert took_s < 1
    assert len(a.asked) == 1


def test_when_all_fail_the_last_failure_is_told_with_the_others():
    a, b = FakeResource("fake:a", failing(Refused(400))), FakeResource("fake:b", failing(Refused(403)))
    with pytest.raises(Refused, match="403") as caught:
        virtual(Hush(one_node(fallback=("b",)), resources=hub(a, b)), {"text": "x"})
    assert any("fake:a was asked, and failed: Refused: refused with 400" in note for note in caught.value.__notes__)
    assert caught.value.hush.path == "g/n"
    assert caught.value.hush.attempt == 2


def test_when_all_are_known_to_be_down_they_are_asked_all_the_same():
    a, b = FakeResource("fake:a", failing(Refused(401))), FakeResource("fake:b", failing(Refused(401)))
    out = virtual(Hush(over_many(most=1, fallback=("b",)), resources=hub(a, b)), {"xs": XS[:5]})
    assert [type(one) for one in out["error"]] == [Refused] * 5


# ── Tries ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_resources_limit_bounds_all_that_it_serves_and_attempts_are_counted():
    a = FakeResource("fake:a", failing(Refused(503), times=2), limit=Limit(concurrency=3))
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=50) as each:
            nodes = [FakeNode(f"n{number}", inputs={"text": PARENT["x"]}) for number in range(3)]
            START >> nodes >> END
            for number, node in enumerate(nodes):
                node["attempts"] >> PARENT[f"attempts{number}"]
        each[...] >> PARENT[...]
        START >> each >> END
    out = virtual(Hush(graph, resources=hub(a)), {"xs": XS})
    assert a.most_at_once == 3
    assert len(a.asked) == 302
    assert sum(sum(out[f"attempts{number}"]) for number in range(3)) == 302


def test_a_request_that_asks_for_another_is_admitted_anew_and_not_counted_as_a_failure():
    async def correct(request, serving):
        if serving.corrections == 0:
            return Again({"text": request["text"] + " please"})
        return {"answer": request["text"], "by": serving.resource.name, "attempts": serving.attempts}

    a = FakeResource("fake:a", lambda text, number: correct, limit=Limit(per_second=1))
    recorder = Recorder()
    out = virtual(Hush(one_node(), resources=hub(a)), {"text": "x"}, tracer=recorder)
    assert out == {"answer": "x please", "by": "fake:a", "attempts": 2}
    (first_s, _), (second_s, _) = a.asked
    assert second_s - first_s >= 1
    assert not [event for event in recorder.events if isinstance(event, NodeRetrying | NodeFailed)]


def test_an_answer_may_say_that_nobody_should_come_back_for_a_while():
    async def tired(request, serving):
        serving.hold_s(5)
        return {"answer": "a", "by": "a", "attempts": serving.attempts}

    a = FakeResource("fake:a", lambda text, number: tired, limit=Limit(concurrency=1))
    virtual(Hush(over_many(), resources=hub(a)), {"xs": XS[:4]})
    times = [at for at, _ in a.asked]
    assert all(later - at >= 5 for at, later in pairwise(times))


def test_tokens_are_those_of_the_request():
    a = FakeResource("fake:a", limit=Limit(tokens_per_minute=1000), takes_s=0.001)
    graph = over_many(tokens=lambda request, resource: 500)
    virtual(Hush(graph, resources=hub(a)), {"xs": XS[:6]})
    times = [at for at, _ in a.asked]
    assert all(later - at >= 60 for at, later in zip(times, times[2:], strict=False))


def test_chunks_are_told_where_a_stream_is_read_and_only_there():
    a = FakeResource("fake:a", lambda text, number: f"so it is {text}")
    engine = Hush(over_many(), resources=hub(a))

    async def streamed():
        return [event async for event in engine.stream({"xs": XS[:3]}) if isinstance(event, NodeChunk)]

    parts = run_virtual(streamed)
    for item in range(3):
        assert [event.text for event in parts if event.item == item] == ["so", "it", "is", str(item)]
    recorder = Recorder()
    virtual(engine, {"xs": XS[:3]}, tracer=recorder)
    assert not [event for event in recorder.events if isinstance(event, NodeChunk)]


# ── Caches ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_cache_knows_by_whom_and_what_was_asked_and_not_how_it_is_finished():
    a, b = FakeResource("fake:a"), FakeResource("fake:b")
    finished = []

    def finish(request, out):
        finished.append(out["answer"])
        return {**out, "parsed": object()}

    async def run():
        for key in ("a", "b", "a"):
            async with Hush(one_node(key=key, cache=True, finish=finish), resources=hub(a, b)) as engine:
                await engine.run({"text": "x"})
                await engine.run({"text": "x"})

    run_virtual(run)
    assert (len(a.asked), len(b.asked)) == (1, 1)
    assert len(finished) == 6


def test_identical_calls_at_once_are_one():
    a = FakeResource("fake:a")
    out = virtual(Hush(over_many(cache=True), resources=hub(a)), {"xs": ["x", "y"] * 20})
    assert len(a.asked) == 2
    assert out["answer"] == ["fake:a: x", "fake:a: y"] * 20


# ── Open and closed ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_opens_once_for_an_engine_and_a_loop_and_closes_with_the_engine():
    a = FakeResource("fake:a", takes_s=0)

    async def run():
        async with Hush(over_many(), resources=hub(a)) as engine:
            await engine.run({"xs": XS})
            await asyncio.to_thread(engine.run_sync, {"xs": XS})
            assert [one.closed for one in a.opened] == [False, False]
        assert [one.closed for one in a.opened] == [True, True]
        await engine.run({"xs": XS[:1]})
        assert [one.closed for one in a.opened] == [True, True, False]
        await engine.aclose()

    asyncio.run(run())
    assert [one.closed for one in a.opened] == [True, True, True]


def test_it_closes_with_its_loop():
    a = FakeResource("fake:a", takes_s=0)
    engine = Hush(one_node(), resources=hub(a))
    asyncio.run(engine.run({"text": "x"}))
    asyncio.run(engine.run({"text": "x"}))
    assert [one.closed for one in a.opened] == [True, True]


def test_it_closes_when_nobody_has_the_engine_any_more():
    a = FakeResource("fake:a", takes_s=0)

    async def run():
        engine = Hush(one_node(), resources=hub(a))
        await engine.run({"text": "x"})
        gone = weakref.ref(engine)
        del engine
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0)
        assert gone() is None
        assert a.opened[0].closed

    asyncio.run(run())


async def test_cancelled_at_any_tick_nothing_stays_behind():
    def make():
        a = FakeResource("fake:a", failing(Refused(503), times=2), limit=Limit(concurrency=2))
        b = FakeResource("fake:b")
        engine = Hush(over_many(most=3, fallback=("b",), cache=True, retry=Retry(max_attempts=2)), resources=hub(a, b))

        async def run():
            async with engine:
                return await engine.run({"xs": XS[:4]})

        return run()

    await asyncio.to_thread(cancel_everywhere, make)


# ── Checked before anything runs ─────────────────────────────────────────────────────────────────────────────────────


def test_a_name_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(GraphError) as caught:
        Hush(
            one_node(key="crn", fallback=("b",)), resources={"fake:crm": {"type": "plain"}, "fake:b": {"type": "plain"}}
        )
    (problem,) = caught.value.problems
    assert problem.path == "g/n"
    assert "'crm'" in problem.mend


def test_settings_and_kinds_of_third_parties_are_read_and_checked():
    settings = {
        "fake:a": {"type": "plain", "says": "oh"},
        "fake:b": {"_class": "OtherConfig", "speaks": "ah"},
        "fake:c": {"type": "othr"},
        "fake:d": {},
        "fake:e": {"type": "plain", "sais": "oh"},
        "fke:f": {"type": "plain"},
    }
    made = ResourceHub(settings)
    problems = {one.path: f"{one.message} {one.mend}" for one in made.check()}
    assert problems.keys() == {"fake:c", "fake:d", "fake:e", "fke:f"}
    assert "Did you mean other?" in problems["fake:c"]
    assert "type is missing" in problems["fake:d"]
    assert "Did you mean says?" in problems["fake:e"]
    assert "Did you mean fake?" in problems["fke:f"]
    out = virtual(Hush(one_node(key="b"), resources=made), {"text": "x"})
    assert out["answer"] == "ah x"


def test_it_cannot_go_to_another_process():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, executor="process") as each:
            node = FakeNode("n", inputs={"text": PARENT["x"]}, outputs=PARENT)
            START >> node >> END
        each["answer"] >> PARENT["answer"]
        START >> each >> END
    with pytest.raises(GraphError, match="cannot share their connections"):
        Hush(graph, resources=hub(FakeResource("fake:a")))
