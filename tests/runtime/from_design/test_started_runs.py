"""`engine.start`: a run that is held by its handle."""

from __future__ import annotations

import asyncio
import gc

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, HushError, InputError, MapNode, WhileLoopNode
from hush.core.errors import RunTimeout
from hush.testing import Recorder, leak_check, run_virtual
from kit.faults import Boom
from runtime.from_design.authored import const


def engine(fn, **options):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, **options)
    return Hush(graph)


async def slow(x):
    await asyncio.sleep(x)
    return {"y": x}


async def passes(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_started_run_goes_on_while_others_work_and_gives_its_result_as_often_as_asked():
    async def main():
        handle = engine(slow).start({"x": 5}, request_id="r-1", user_id="u", session_id="s")
        await asyncio.sleep(5)
        loop = asyncio.get_running_loop()
        first, second = await handle, await handle
        assert loop.time() == 5, "it ran while we slept"
        assert first is second
        assert (first, first.request_id, first.user_id, first.session_id) == ({"y": 5}, "r-1", "u", "s")

    run_virtual(main)


def test_several_tasks_may_await_one_handle():
    async def main():
        handle = engine(slow).start({"x": 2})

        async def wait():
            return await handle

        return await asyncio.gather(wait(), wait(), handle)

    assert [dict(result) for result in run_virtual(main)] == [{"y": 2}] * 3


def test_a_failing_run_raises_the_same_exception_each_time_it_is_awaited():
    def fail(x):
        raise Boom(x)

    async def main():
        handle = engine(fail).start({"x": 1})
        raised = []
        for _ in range(2):
            with pytest.raises(Boom) as caught:
                await handle
            raised.append(caught.value)
        assert raised[0] is raised[1]
        assert raised[0].hush.path == "g/n"

    run_virtual(main)


def test_a_failure_that_nobody_awaited_is_not_an_error_of_the_loop_forever_but_is_told_once():
    """Asyncio tells of a task's exception that was never retrieved; a handle must not lose it silently."""
    told = []

    def fail(x):
        raise Boom(x)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        handle = engine(fail).start({"x": 1})
        await passes()
        assert handle.done()
        del handle
        gc.collect()
        await passes()

    run_virtual(main)
    assert len(told) == 1
    assert isinstance(told[0]["exception"], Boom)


def test_cancelling_awaits_the_cleanup_before_the_handle_returns():
    log = []

    async def body(x):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(x)
            log.append("clean")

    async def main():
        handle = engine(body).start({"x": 3})
        await passes()
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handle
        assert (log, asyncio.get_running_loop().time()) == (["clean"], 3)
        assert asyncio.current_task().cancelling() == 0, "it was the run that was cancelled, not its caller"
        assert handle.done()
        handle.cancel()

    run_virtual(main)


def test_cancelling_before_the_first_step_runs_nothing():
    ran = []

    async def main():
        async with leak_check():
            handle = engine(lambda x: ran.append(x)).start({"x": 1})
            handle.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handle

    run_virtual(main)
    assert ran == []


def test_cancelling_after_the_end_changes_nothing():
    async def main():
        handle = engine(slow).start({"x": 1})
        result = await handle
        handle.cancel()
        assert await handle is result

    run_virtual(main)


def test_a_task_that_is_cancelled_while_it_awaits_the_handle_cancels_the_run():
    ended = []

    async def body(x):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(asyncio.get_running_loop().time())

    async def main():
        handle = engine(body).start({"x": 1})

        async def wait():
            await handle

        task = asyncio.create_task(wait())
        await asyncio.sleep(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [2]

    run_virtual(main)


def test_wrong_inputs_and_options_raise_where_it_is_started():
    async def main():
        with pytest.raises(InputError, match="'x'"):
            engine(slow).start({})
        with pytest.raises(TypeError, match="tracr"):
            engine(slow).start({"x": 1}, tracr=[])

    run_virtual(main)


def test_without_a_running_loop_it_raises_and_says_what_to_do():
    with pytest.raises(HushError, match="run_sync"):
        engine(slow).start({"x": 1})


def test_a_time_limit_holds_for_a_started_run_too():
    async def main():
        handle = engine(slow).start({"x": 9}, timeout_s=4)
        with pytest.raises(RunTimeout):
            await handle
        assert asyncio.get_running_loop().time() == 4

    run_virtual(main)


def test_a_loop_that_closes_over_a_run_nobody_awaited_ends_it_cleanly():
    ended = []

    async def body(x):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(x)

    async def main():
        engine(body).start({"x": 1})
        await passes()

    with leak_check():
        asyncio.run(main())
    assert ended == [1]


def test_a_run_whose_handle_was_dropped_goes_on():
    """The loop keeps only weak references to tasks; the engine must keep the run."""
    done = []

    async def body(x):
        await asyncio.sleep(x)
        done.append(x)
        return {"y": x}

    async def main():
        engine(body).start({"x": 3})
        await passes()
        gc.collect()
        await asyncio.sleep(4)

    run_virtual(main)
    assert done == [3]


def test_two_started_runs_of_one_engine_go_on_side_by_side():
    async def main():
        both = engine(slow)
        one, two = both.start({"x": 4}), both.start({"x": 3})
        assert (await two, await one) == ({"y": 3}, {"y": 4})
        assert asyncio.get_running_loop().time() == 4

    run_virtual(main)


# ── why() ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_why_tells_what_is_at_work_for_how_long_and_what_waits_for_it():
    async def main():
        with GraphNode(name="g") as graph:
            a = CodeNode(name="a", code_fn=slow, inputs={"x": 10})
            b = CodeNode(name="b", code_fn=slow, inputs={"x": 20})
            c = CodeNode(name="c", code_fn=lambda p, q: {}, inputs={"p": a["y"], "q": b["y"]})
            a >> c
        handle = Hush(graph).start()
        await asyncio.sleep(5)
        why = handle.why()
        assert {one.path for one in why.running} == {"g/a", "g/b"}
        assert "g/a" in str(why)
        assert all(one.seconds >= 0 for one in why.running)
        assert "g/c" in str(why), str(why)
        await asyncio.sleep(10)
        later = handle.why()
        assert {one.path for one in later.running} == {"g/b"}
        assert {one.path for one in why.running} == {"g/a", "g/b"}, "what was told stays as it was"
        await handle
        assert handle.why().status == "done"
        assert not handle.why().running

    run_virtual(main)


def test_why_looks_into_graphs_maps_and_loops():
    async def main():
        with GraphNode(name="g") as graph:
            with GraphNode(name="inner"):
                CodeNode(name="deep", code_fn=slow, inputs={"x": 10})
            with MapNode(name="m", inputs={"x": Each([30, 10, 10])}, max_concurrency=2):
                CodeNode(name="item", code_fn=slow, inputs={"x": PARENT["x"]}, outputs=PARENT)
            with WhileLoopNode(name="w", inputs={"y": 0}, max_iterations=3):
                CodeNode(name="round", code_fn=lambda: slow(10), inputs={}, outputs=PARENT)
        handle = Hush(graph).start()
        await asyncio.sleep(15)
        why = handle.why()
        assert {(one.path, one.item) for one in why.running} == {
            ("g/m/item", (0,)),
            ("g/m/item", (2,)),
            ("g/w/round", ()),
        }
        (over,) = why.maps
        assert (over.path, over.total, over.done) == ("g/m", 3, 1)
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handle

    run_virtual(main)


def test_why_may_be_asked_at_any_moment_and_changes_nothing():
    async def main():
        recorder = Recorder()
        handle = engine(slow).start({"x": 2}, tracer=recorder)
        told = [str(handle.why())]
        while not handle.done():
            told.append(str(handle.why()))
            await asyncio.sleep(0.5)
        told.append(str(handle.why()))
        assert all(told)
        return recorder.lines()

    asked = run_virtual(main)

    async def plain():
        recorder = Recorder()
        await engine(slow).run({"x": 2}, tracer=recorder)
        return recorder.lines()

    assert asked == run_virtual(plain)


def test_why_after_a_failure_and_after_a_cancellation_says_so():
    def fail(x):
        raise Boom("no luck")

    async def main():
        failed = engine(fail).start({"x": 1})
        with pytest.raises(Boom):
            await failed
        cancelled = engine(slow).start({"x": 9})
        await passes()
        early = engine(slow).start({"x": 9})
        for handle in (cancelled, early):
            handle.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handle
        return [handle.why() for handle in (failed, cancelled, early)]

    told = run_virtual(main)
    assert [str(why) for why in told] == [why.status for why in told] == ["failed", "cancelled", "cancelled"]
    assert not any(why.running for why in told)


def test_a_graph_without_waiting_ends_with_its_first_turn():
    async def main():
        with GraphNode(name="g") as graph:
            const("a", outputs={"v": PARENT["v"]})
        handle = Hush(graph).start()
        assert not handle.done()
        await passes(3)
        assert handle.done()
        return await handle

    assert run_virtual(main) == {"v": "a"}
