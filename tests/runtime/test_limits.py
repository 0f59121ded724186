"""Limits around leaves: shared by all that are given them, kept in virtual time, when cancelled and across threads."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphError,
    GraphNode,
    Hush,
    Limit,
    MapNode,
    NodeAdmitted,
    NodeQueued,
    NodeReleased,
    NodeTimeout,
    Retry,
    RunFinished,
    code_node,
)
from hush.core._runtime._admitting import limit_state
from hush.testing import Recorder, cancel_everywhere, run_virtual
from kit.faults import Boom
from runtime.limiting import Inside, mapped
from runtime.observing import outcome, until


def test_a_limit_bounds_calls_whatever_the_map_allows():
    inside = Inside()
    found = outcome(mapped(inside.work(), range(10), limit=Limit(concurrency=3)))
    assert (found.result["ys"], found.at_s, inside.most) == (list(range(10)), 4, 3)


def test_one_limit_bounds_all_nodes_graphs_and_runs_that_share_it():
    inside, limit = Inside(), Limit(concurrency=2)
    one, other = [Hush(mapped(inside.work(), range(5), limit=limit)) for _ in range(2)]

    async def main():
        await asyncio.gather(one.run(), other.run(), one.run())
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == 8
    assert inside.most == 2


def test_tests_in_virtual_time_never_see_each_other():
    """Each loop of the kit has its own state: what one leaves behind, another does not find."""
    graph = Hush(mapped(Inside().work(0), [1], limit=Limit(per_minute=1)))

    async def main():
        await graph.run()
        return asyncio.get_running_loop().time()

    assert [run_virtual(main) for _ in range(3)] == [0, 0, 0]


def test_the_guides_global_semaphore_is_a_limit():
    """`guide/parallel-execution.vi.md`: a semaphore around the call, in every node and run."""
    inside = Inside()
    api_call = inside.work()
    _limit = Limit(concurrency=10)

    async def rate_limited_call(data):
        return await api_call(data)

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"data": Each(range(35))}, max_concurrency=100) as each:
            CodeNode(
                name="rate_limited",
                code_fn=rate_limited_call,
                inputs={"data": PARENT["data"]},
                outputs=PARENT,
                limit=_limit,
            )
        each["y"] >> PARENT["results"]
    found = outcome(graph)
    assert (found.result["results"], inside.most, found.at_s) == (list(range(35)), 10, 4)


async def test_a_limit_made_at_import_works_on_any_loop_and_in_threads():
    """Where asyncio's own semaphore would be bound to the first loop that has to wait."""
    limit, inside, lock = Limit(concurrency=2), Counter(), threading.Lock()
    turns = Counter()

    async def code(x):
        with lock:
            inside["now"] += 1
            inside["most"] = max(inside["most"], inside["now"])
            turns[threading.get_ident()] += 1
        await asyncio.sleep(0)
        with lock:
            inside["now"] -= 1
        return {"y": x}

    def blocking(x):
        with lock:
            inside["now"] += 1
            inside["most"] = max(inside["most"], inside["now"])
        with lock:
            inside["now"] -= 1
        return {"y": x}

    def loop_of_its_own():
        asyncio.run(Hush(mapped(code, range(40), limit=limit)).run())

    threads = [threading.Thread(target=loop_of_its_own) for _ in range(4)]
    for thread in threads:
        thread.start()
    result = await Hush(mapped(blocking, range(40), limit=limit, executor="thread")).run()
    await until(lambda: not any(thread.is_alive() for thread in threads))
    assert result["ys"] == list(range(40))
    assert inside["now"] == 0
    assert inside["most"] == 2
    assert sum(turns.values()) == 160
    state = limit_state(limit, asyncio.get_running_loop())
    assert (state.in_use, state.waiting) == (0, 0)


async def test_a_rate_holds_on_a_real_loop():
    limit = Limit(per_second=1000, burst=1)
    result = await Hush(mapped(Inside().work(0), range(20), limit=limit)).run()
    assert result["ys"] == list(range(20))


def test_several_limits_and_priorities():
    inside = Inside()
    one, other = Limit(concurrency=1), Limit(per_second=1)
    work = inside.work(0.1)
    with GraphNode(name="g") as graph:
        for number, priority in enumerate([0, 3, 1, 2]):
            CodeNode(name=f"n{number}", code_fn=work, inputs={"x": number}, limit=[one, other], priority=priority)
    outcome(graph)
    assert inside.calls == [0, 1, 3, 2]
    assert inside.starts == pytest.approx([0, 1.1, 2.13, 3.16])  # the first stays by all of its 0.1 s


# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["crm", "limit:crm"])
@pytest.mark.parametrize("defined", ["crm", "limit:crm"])
def test_a_limit_is_found_by_its_name(name, defined):
    inside = Inside()
    engine = Hush(mapped(inside.work(), range(4), limit=name), limits={defined: Limit(concurrency=2)})

    async def main():
        return await engine.run()

    assert run_virtual(main)["ys"] == list(range(4))
    assert inside.most == 2


def test_names_that_nothing_defines_are_told_all_at_once():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=dict, inputs={}, limit="cmr")
        with MapNode(name="m", inputs={"x": Each([1])}):
            CodeNode(name="b", code_fn=lambda x: {}, inputs={"x": PARENT["x"]}, limit=["crm", "db"])
    assert graph.check() == []  # it may be defined where the graph is run
    with pytest.raises(GraphError) as caught:
        Hush(graph, limits={"crm": Limit(concurrency=1)})
    first, second = caught.value.problems
    assert (first.path, second.path) == ("g/a", "g/m/b")
    assert (first.file, second.file) == (__file__, __file__)
    assert "'cmr'" in first.message
    assert "Did you mean 'crm'?" in first.mend
    assert 'Hush(graph, limits={"db": Limit(...)})' in second.mend


def test_what_limits_is_given_is_checked():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=dict, inputs={})
    for wrong in ([Limit(concurrency=1)], {"crm": 3}, {1: Limit(concurrency=1)}):
        with pytest.raises(TypeError, match="limits="):
            Hush(graph, limits=wrong)


def test_a_node_alone_has_nobody_to_share_a_named_limit_with():
    @code_node
    def double(x):
        return {"y": 2 * x}

    assert double(limit="crm")(x=2) == {"y": 4}
    assert double(limit=Limit(concurrency=1))(x=2) == {"y": 4}


# ── Cancelled, failed, late ──────────────────────────────────────────────────────────────────────────────────────────


def limited(limits):
    """Nodes and maps that wait for each other's limits, some of which fail."""

    def body(name, seconds, *, fails=False):
        async def code(x=0):
            await asyncio.sleep(seconds)
            if fails and x == 1:
                raise Boom(name)
            return {"y": x}

        return code

    a, b, rate = limits
    with GraphNode(name="g") as graph:
        for number in range(2):
            with MapNode(name=f"m{number}", inputs={"x": Each([0, 1, 2])}, max_concurrency=3):
                CodeNode(
                    name="n",
                    code_fn=body("n", 0.5, fails=True),
                    inputs={"x": PARENT["x"]},
                    limit=[a, b],
                    priority=number,
                )
                CodeNode(name="r", code_fn=body("r", 0.2), inputs={}, limit=[b, rate])
        CodeNode(name="late", code_fn=body("late", 5), inputs={}, limit=a, timeout_s=0.3, on_error="collect")
    return graph


@pytest.mark.parametrize("times", [1, 2])
def test_a_permit_survives_a_cancellation_at_every_tick(times):
    limits = Limit(concurrency=1), Limit(concurrency=2), Limit(per_second=3)
    engine = Hush(limited(limits))

    async def run_and_look():
        try:
            await engine.run()
        finally:
            loop = asyncio.get_running_loop()
            for limit in limits:
                state = limit_state(limit, loop)
                assert (state.in_use, state.waiting) == (0, 0), str(state)

    assert cancel_everywhere(run_and_look, times=times, window=3, seed=times) > 20


def test_a_waiter_that_is_cancelled_in_the_tick_in_which_it_is_admitted_hands_its_place_on():
    """At every tick of a run that shares the limit with another, which must get what the first gives back."""
    limit = Limit(concurrency=1)
    engine = Hush(mapped(Inside().work(0.5), range(3), limit=limit))

    async def main(at):
        loop = asyncio.get_running_loop()
        one, other = asyncio.ensure_future(engine.run()), asyncio.ensure_future(engine.run())
        loop.at_pass(at, one.cancel)
        assert (await other)["ys"] == [0, 1, 2]
        await asyncio.wait([one])
        state = limit_state(limit, loop)
        assert (state.in_use, state.waiting) == (0, 0)
        return loop.passes

    at = 1
    while at < run_virtual(lambda at=at: main(at), seed=at):
        at += 1
    assert at > 15


def test_the_time_of_a_node_begins_when_it_is_admitted():
    limit = Limit(concurrency=1)
    found = outcome(mapped(Inside().work(1), range(5), limit=limit, timeout_s=1.5))
    assert (found.result["errors"], found.at_s) == ([None] * 5, 5)


def test_a_node_out_of_time_gives_its_place_back():
    found = outcome(mapped(Inside().work(9), range(3), limit=Limit(concurrency=1), timeout_s=1))
    assert all(isinstance(error, NodeTimeout) for error in found.result["errors"])
    assert found.at_s == 3


class TooMany(Exception):
    def __init__(self, retry_after_s):
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


def test_a_failure_that_says_when_to_come_back_holds_back_everybody():
    starts = []

    async def code(x):
        starts.append((x, asyncio.get_running_loop().time()))
        await asyncio.sleep(0.5 if x == 0 else 1)
        if x == 0:
            raise TooMany(10)
        return {"y": x}

    found = outcome(mapped(code, range(5), limit=Limit(concurrency=2)))
    assert found.result["ys"] == [None, 1, 2, 3, 4]
    assert sorted(starts) == [(0, 0), (1, 0), (2, 10.5), (3, 10.5), (4, 11.5)]


class Call:
    """A `def` that blocks until it is let go."""

    def __init__(self):
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self):
        self.started.set()
        assert self.go.wait(20)
        self.ended.set()
        return {"y": 1}


@pytest.fixture
def call():
    made = Call()
    yield made
    made.go.set()


async def test_a_call_that_is_left_behind_keeps_its_place_until_it_returns(call):
    limit, loop = Limit(concurrency=1), asyncio.get_running_loop()
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)
    task = asyncio.ensure_future(Hush(graph, grace_s=0).run())
    await until(call.started.is_set)
    task.cancel()
    await asyncio.wait([task])
    assert limit_state(limit, loop).in_use == 1
    next_one = asyncio.ensure_future(Hush(mapped(Inside().work(0), [7], limit=limit)).run())
    await until(lambda: limit_state(limit, loop).waiting)
    call.go.set()
    assert (await asyncio.wait_for(next_one, 10))["ys"] == [7]
    assert limit_state(limit, loop).in_use == 0


def test_a_call_that_is_left_behind_gives_its_place_back_when_its_loop_is_closed(call):
    limit = Limit(concurrency=1)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)

    async def main():
        task = asyncio.ensure_future(Hush(graph, grace_s=0).run())
        await until(call.started.is_set)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())

    async def after():
        next_one = asyncio.ensure_future(Hush(mapped(Inside().work(0), [7], limit=limit)).run())
        await until(lambda: limit_state(limit, asyncio.get_running_loop()).waiting)
        call.go.set()
        return (await asyncio.wait_for(next_one, 10))["ys"]

    assert asyncio.run(after(), debug=True) == [7]  # in debug mode a loop says when another thread wakes it wrongly


async def test_a_call_that_is_left_behind_while_the_run_goes_on_tells_when_it_gives_its_place_back(call):
    recorder = Recorder()

    async def wait_for_it():
        call.go.set()
        await until(call.ended.is_set)
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    with GraphNode(name="g") as graph:
        late = CodeNode(
            name="n", code_fn=call, inputs={}, limit=Limit(concurrency=1), timeout_s=0.01, on_error="collect"
        )
        late["error"] >> PARENT["error"]
        late >> CodeNode(name="after", code_fn=wait_for_it, inputs={})
    await Hush(graph, grace_s=0).run(tracer=recorder)
    assert [type(event) for event in recorder.events].count(NodeReleased) == 1
    assert isinstance(recorder.events[-1], RunFinished)


async def test_nobody_is_told_of_a_call_that_is_left_behind_after_the_end_of_its_run(call):
    recorder, limit = Recorder(), Limit(concurrency=1)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=call, inputs={}, limit=limit)
    task = asyncio.ensure_future(Hush(graph, grace_s=0).run(tracer=recorder))
    await until(call.started.is_set)
    task.cancel()
    await asyncio.wait([task])
    call.go.set()
    await until(lambda: not limit_state(limit, asyncio.get_running_loop()).in_use)
    await asyncio.sleep(0.01)
    assert isinstance(recorder.events[-1], RunFinished)


def test_who_no_longer_waits_leaves_no_timer_behind():
    """It would keep a loop from being idle, and make the clock of a test jump to it."""
    engine = Hush(mapped(Inside().work(0), range(3), limit=Limit(per_minute=1)))

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(engine.run())
        await asyncio.sleep(1)
        assert [timer.when() for timer in loop._scheduled if not timer.cancelled()] == [60]
        task.cancel()
        await asyncio.wait([task])
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]

    run_virtual(main)


# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_are_estimated_from_the_inputs_and_corrected_by_the_reply():
    asked, starts = [], []

    def estimate(x):
        asked.append(x)
        return 60

    async def code(x, unit):
        starts.append(asyncio.get_running_loop().time())
        return {"y": x, "usage": {"prompt_tokens": 10, "completion_tokens": 10}}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(7))}, max_concurrency=7) as each:
            CodeNode(
                name="n",
                code_fn=code,
                inputs={"x": PARENT["x"], "unit": "kg"},
                outputs={"y": PARENT["y"]},
                limit=Limit(tokens_per_minute=100),
                tokens=estimate,
            )
        each["y"] >> PARENT["ys"]
    assert outcome(graph).result["ys"] == list(range(7))
    assert sorted(asked) == list(range(7))
    assert starts == [0, 0, 0, 60, 60, 60, 120]  # 20 each, and room for 60 is wanted


@pytest.mark.parametrize("wrong", ["many", -1, True, None, {}])
def test_an_estimate_that_is_no_number_fails_the_node_and_says_so(wrong):
    limit = Limit(tokens_per_minute=100)
    found = outcome(mapped(Inside().work(), [1], limit=limit, tokens=lambda x: wrong))
    (error,) = found.result["errors"]
    assert isinstance(error, TypeError)
    assert "tokens= of g/m/n" in str(error)


def test_an_estimate_that_raises_fails_the_node_and_says_where_it_came_from():
    same = Boom("no idea")

    def estimate(x):
        raise same

    limit = Limit(tokens_per_minute=100)
    found = outcome(mapped(Inside().work(), [1], limit=limit, tokens=estimate, retry=Retry(3, on=Boom, backoff_s=0)))
    (error,) = found.result["errors"]
    assert error is same
    assert error.hush.attempt == 3
    assert sum("tokens=" in note for note in error.__notes__) == 1


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tracer_hears_who_waits_and_who_is_admitted():
    recorder = Recorder()
    named, rate = Limit(concurrency=1, name="crm"), Limit(per_second=5)
    outcome(mapped(Inside().work(1), range(2), limit=[named, rate]), tracer=recorder)
    names = ("crm", "Limit(per_second=5)")
    told = [event for event in recorder.events if isinstance(event, NodeQueued | NodeAdmitted | NodeReleased)]
    assert [(type(event).__name__, event.path, event.limits, event.attempt) for event in told] == [
        (kind, "g/m/n", names, 1)
        for kind in ("NodeAdmitted", "NodeQueued", "NodeReleased", "NodeAdmitted", "NodeReleased")
    ]
    first, second = [event for event in told if isinstance(event, NodeAdmitted)]
    assert (first.waited_s, second.waited_s) == (0, 1)
    assert {first.item, second.item} == {0, 1}


def test_a_limit_is_called_in_events_as_it_was_named():
    recorder = Recorder()
    engine = Hush(mapped(Inside().work(1), [1], limit="limit:db"), limits={"db": Limit(concurrency=1)})
    run_virtual(lambda: engine.run(tracer=recorder))
    (event,) = [event for event in recorder.events if isinstance(event, NodeAdmitted)]
    assert event.limits == ("db",)


def test_a_graph_says_how_a_node_is_limited():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=dict, inputs={}, limit="crm", priority=2)
        CodeNode(name="b", code_fn=dict, inputs={}, limit=Limit(concurrency=10, per_second=5))
    drawn = graph.to_text()
    assert "limit crm" in drawn
    assert "priority 2" in drawn
    assert "limit 10 at once, 5 a second" in drawn


def test_a_reply_that_tells_only_a_part_of_its_tokens_counts_for_that_part():
    starts = []

    async def call(n):
        starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        return {"usage": {"input_tokens": 10}}

    with MapNode(name="m", inputs={"n": Each(range(9))}) as graph:
        policies = {"limit": Limit(tokens_per_minute=60), "tokens": lambda: {"input_tokens": 10}}
        CodeNode(name="call", code_fn=call, inputs={"*": PARENT}, **policies)

    run_virtual(lambda: Hush(graph).run())
    assert sum(start_s < 60 for start_s in starts) == 6
