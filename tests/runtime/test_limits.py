"""Limits around leaves: shared by all that are given them, found by name, and told of in events and drawings."""

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
    code_node,
)
from hush.core._runtime._admitting import limit_state
from hush.testing import Recorder, run_virtual
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
