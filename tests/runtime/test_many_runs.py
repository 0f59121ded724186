"""Many runs at once, on one loop and on several, and the 5 ms that a pass of the loop may spend on inline work."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from hush.core import END, PARENT, Branch, CodeNode, Each, GraphNode, Hush, MapNode
from kit.faults import Boom
from runtime.observing import chain


def work(x):
    """A few microseconds of work."""
    return {"x": x + (sum(range(60)) > 0)}


def more_work(x):
    """Some twenty microseconds of it: then fewer nodes do, which take longer to make than to run."""
    return {"x": x + (sum(range(1_500)) > 0)}


async def async_work(x):
    return work(x)


async def more_async_work(x):
    return more_work(x)


def mixed():
    """Some of everything: its result depends on its input alone."""

    def add(a, b, ys):
        return {"z": a + b + sum(ys)}

    async def later(x):
        await asyncio.sleep(0.001 * (x % 3))
        return {"y": x + 1}

    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=later, inputs={"x": PARENT["x"]})
        b = CodeNode(name="b", code_fn=lambda x: {"y": x * 2}, inputs={"x": PARENT["x"]}, executor="thread")
        with MapNode(name="m", inputs={"n": Each(range(5)), "x": PARENT["x"]}) as each:
            CodeNode(name="n", code_fn=later, inputs={"x": PARENT["n"] + PARENT["x"]}, outputs=PARENT)
        CodeNode(name="c", code_fn=add, inputs={"a": a["y"], "b": b["y"], "ys": each["y"]}, outputs=PARENT)
    return graph


def expected(x):
    return {"z": (x + 1) + x * 2 + sum(n + x + 1 for n in range(5))}


# ── Side by side ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_many_runs_at_once_on_one_engine_do_not_touch_each_other():
    engine = Hush(mixed())
    results = await asyncio.gather(*(engine.run({"x": x}) for x in range(200)))
    assert results == [expected(x) for x in range(200)]
    assert len({result.request_id for result in results}) == 200


async def test_a_run_that_fails_or_is_cancelled_does_not_touch_those_beside_it():
    async def code(x):
        await asyncio.sleep(0.002)
        if x % 3 == 0:
            raise Boom(x)
        await asyncio.sleep(0.002)
        return {"y": x}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)
    tasks = [asyncio.ensure_future(engine.run({"x": x})) for x in range(30)]
    await asyncio.sleep(0)
    for task in tasks[1::3]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for x, result in enumerate(results):
        assert [isinstance(result, Boom), isinstance(result, asyncio.CancelledError), result == {"y": x}][x % 3]


def test_one_engine_on_several_loops_in_threads():
    engine, found, barrier = Hush(mixed()), {}, threading.Barrier(4)

    def serve(number):
        async def main():
            barrier.wait(10)
            found[number] = await asyncio.gather(*(engine.run({"x": x}) for x in range(30)))

        asyncio.run(main())

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {number: [expected(x) for x in range(30)] for number in range(4)}


async def test_a_run_inside_a_node_of_another_run():
    inner = Hush(mixed())

    async def code(x):
        return dict(await inner.run({"x": x}))

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(10))}) as each:
            CodeNode(name="n", code_fn=code, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["z"] >> PARENT["zs"]
    assert (await Hush(graph).run())["zs"] == [expected(x)["z"] for x in range(10)]


async def test_the_failure_of_a_run_inside_a_node_is_the_nodes_failure():
    """One exception, two runs: it tells of the outer one, as it is raised there."""
    error = Boom("inner")

    def bad():
        raise error

    with GraphNode(name="inside") as graph:
        CodeNode(name="bad", code_fn=bad, inputs={}, executor="inline")
    inner = Hush(graph)
    with GraphNode(name="outside") as graph:
        CodeNode(name="n", code_fn=inner.run, inputs={"inputs": None})
    with pytest.raises(Boom) as caught:
        await Hush(graph).run(request_id="outer")
    assert caught.value is error
    assert (error.hush.run, error.hush.path) == ("outer", "outside/n")


def test_a_loop_that_was_closed_is_not_kept():
    """Whoever calls `asyncio.run` for each request must not run out of memory."""
    engine, loops = Hush(mixed()), weakref.WeakSet()

    async def main():
        loops.add(asyncio.get_running_loop())
        await engine.run({"x": 1})

    for _ in range(3):
        asyncio.run(main())
    gc.collect()
    assert not len(loops)


def test_a_run_is_as_good_in_the_debug_mode_of_asyncio():
    result = asyncio.run(Hush(mixed()).run({"x": 1}), debug=True)
    assert result == expected(1)


async def test_calling_an_engine_is_running_it():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)
    result = await engine({"x": 1}, request_id="r")
    assert (result, result.request_id, engine.name) == ({"y": 1}, "r", "g")


# ── The budget of a pass ─────────────────────────────────────────────────────────────────────────────────────────────


async def passes_during(awaitable):
    """How many turns a task that does nothing but yield gets meanwhile."""
    passes = 0
    ended = False

    async def tick():
        nonlocal passes
        while not ended:
            passes += 1
            await asyncio.sleep(0)

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    before = passes
    await awaitable
    during = passes - before
    ended = True
    await ticker
    return during


# Each of these is 50 ms of work on a fast machine: ten passes, of which we ask for four.
def map_of(count, **options):
    fn = options.pop("fn", work)
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(count))}, **options):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, **({"executor": "inline"} if fn is work else {}))
    return graph


def fan_of(count):
    with GraphNode(name="g") as graph:
        for number in range(count):
            CodeNode(name=f"n{number}", code_fn=more_work, inputs={"x": PARENT["x"]}, executor="inline")
    return graph


def nested_maps():
    with (
        GraphNode(name="g") as graph,
        MapNode(name="a", inputs={"x": Each(range(100))}),
        MapNode(name="b", inputs={"y": Each(range(300)), "x": PARENT["x"]}),
    ):
        CodeNode(name="n", code_fn=work, inputs={"x": PARENT["x"]}, executor="inline")
    return graph


def one_batch(items):
    each = Each(items, pull="inline")
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": each}, batch=10_000_000):
        CodeNode(name="n", code_fn=lambda x: {"y": len(x)}, inputs={"x": PARENT["x"]}, executor="inline")
    return graph


def chain_that_is_skipped(count):
    with GraphNode(name="g") as graph:
        before = Branch("way").if_(PARENT["x"] == 1, "n0").otherwise(END)
        for number in range(count):
            node = CodeNode(name=f"n{number}", code_fn=lambda: None, executor="inline")
            before >> node
            before = node
    return graph


HEAVY = {
    "chain of def": lambda: chain(3_000, more_work, executor="inline"),
    "chain of async def": lambda: chain(3_000, more_async_work),
    "fan of def": lambda: fan_of(3_000),
    "map of def": lambda: map_of(100_000),
    "map of async def": lambda: map_of(30_000, fn=async_work),
    "nested maps": nested_maps,
    "one batch of a generator": lambda: one_batch(x for x in range(300_000)),
    "one batch of a list": lambda: one_batch(range(1_500_000)),
    "chain that is skipped": lambda: chain_that_is_skipped(30_000),
}


@pytest.mark.parametrize("shape", HEAVY)
async def test_others_on_the_loop_get_turns_while_a_run_is_busy(shape):
    """A run of any size holds no timer, socket or other run up for longer than 5 ms and one call."""
    engine = Hush(HEAVY[shape]())
    given = {"x": 0} if "chain" in shape or "fan" in shape else None
    assert await passes_during(engine.run(given)) >= 4


async def test_many_small_runs_leave_turns_to_others_too():
    """The budget is the loop's, not each run's."""
    engine = Hush(chain(20, work, executor="inline"))
    tasks = [asyncio.ensure_future(engine.run({"x": 0})) for _ in range(1500)]
    assert await passes_during(asyncio.gather(*tasks)) >= 4


async def test_a_small_run_does_not_wait_for_a_big_one():
    big, small = Hush(map_of(60_000)), Hush(chain(20, work, executor="inline"))
    task = asyncio.ensure_future(big.run())
    await asyncio.sleep(0)
    for _ in range(3):
        await small.run({"x": 0})
        assert not task.done()
    await task


async def test_big_runs_share_the_loop_fairly():
    """When the first of four equal runs is done, the others have nearly come as far."""
    done, count = [0] * 4, 20_000

    def body(x, run):
        done[run] += 1
        return work(x)

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(count)), "run": PARENT["run"]}):
        CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"], "run": PARENT["run"]}, executor="inline")
    engine = Hush(graph)
    tasks = [asyncio.ensure_future(engine.run({"run": run})) for run in range(4)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert min(done) >= count / 2
    await asyncio.gather(*tasks)
    assert done == [count] * 4


async def test_a_busy_run_can_be_cancelled_and_timed_out():
    engine = Hush(map_of(10_000_000))
    task = asyncio.ensure_future(engine.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        await engine.run(timeout_s=0.02)


async def test_branches_of_a_busy_run_share_the_loop_too():
    """A coroutine beside a busy branch is resumed when its time has come, not at the end."""
    seen = []

    async def sleeps():
        for _ in range(5):
            await asyncio.sleep(0.001)
        seen.append(done[0])

    done = [0]

    def body(x):
        done[0] += 1
        return work(x)

    with GraphNode(name="g") as graph:
        CodeNode(name="sleeps", code_fn=sleeps, inputs={})
        with MapNode(name="m", inputs={"x": Each(range(60_000))}):
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, executor="inline")
    await Hush(graph).run()
    assert seen[0] < 60_000
