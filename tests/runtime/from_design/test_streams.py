"""`engine.stream`: every event as it comes, a map's finished items, and what leaving does."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    MapNode,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.core.errors import RunTimeout
from hush.testing import Recorder, leak_check, run_virtual
from kit.faults import Boom
from runtime.from_design.authored import chain, mapped, slow


def test_a_stream_yields_what_a_tracer_is_told_in_the_same_order():
    async def main():
        recorder, streamed = Recorder(), Recorder()
        result = await mapped(slow).run({"xs": [2, 1]}, tracer=recorder)
        async for event in mapped(slow).stream({"xs": [2, 1]}):
            streamed.emit(event)
        told = [[(type(event), event.path, event.item) for event in one.events] for one in (streamed, recorder)]
        assert told[0] == told[1]
        last = streamed.events[-1]
        assert isinstance(last, RunFinished)
        assert last.result == result
        assert (last.result.status, last.status) == ("ok", "ok")

    run_virtual(main)


def test_a_tracer_beside_a_stream_sees_the_same():
    async def main():
        recorder = Recorder()
        events = [event async for event in chain().stream(tracer=recorder, request_id="r-9")]
        assert events == recorder.events
        assert {event.run for event in events} == {"r-9"}

    run_virtual(main)


def test_the_order_of_events_is_that_of_the_nodes():
    async def main():
        return [(type(event), event.path) async for event in chain().stream()]

    events = run_virtual(main)
    assert events[0] == (RunStarted, "g")
    assert events[-1] == (RunFinished, "g")
    assert events.index((NodeFinished, "g/a")) < events.index((NodeStarted, "g/b"))


def test_events_come_while_the_run_is_under_way():
    async def main():
        loop = asyncio.get_running_loop()
        events = mapped(slow).stream({"xs": [1, 5, 3]})
        return [(event.item, loop.time()) async for event in events if isinstance(event, ItemFinished)]

    assert run_virtual(main) == [(0, 1), (2, 3), (1, 5)]


def test_items_of_a_map_come_as_they_finish_failed_ones_too_and_nothing_else():
    async def body(x):
        await asyncio.sleep(x)
        if x == 2:
            raise Boom("two")
        return {"y": x}

    async def main():
        return [event async for event in mapped(body).stream({"xs": [3, 2, 1]}, items="m")]

    events = run_virtual(main)
    assert [(type(event), event.item) for event in events] == [(ItemFinished, 2), (ItemFailed, 1), (ItemFinished, 0)]
    assert events[0].outputs == {"y": 1}
    assert str(events[1].error) == "two"


@pytest.mark.parametrize("name", ["outer/cells", "g/outer/cells"])
def test_a_nested_map_is_named_by_its_path_with_and_without_the_root(name):
    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"row": Each(PARENT["rows"])}) as outer:
            with MapNode(name="cells", inputs={"x": Each(PARENT["row"])}) as cells:
                CodeNode(name="n", code_fn=lambda x: {"y": -x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            cells["y"] >> PARENT["y"]
        outer["y"] >> PARENT["ys"]

    async def main():
        return [
            (event.outer, event.item, event.outputs["y"])
            async for event in Hush(graph).stream({"rows": [[1, 2], [], [3]]}, items=name)
        ]

    assert sorted(run_virtual(main)) == [((0,), 0, -1), ((0,), 1, -2), ((2,), 0, -3)]


def test_a_map_that_is_the_root_streams_its_items_by_its_own_name():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
        CodeNode(name="n", code_fn=lambda x: {"y": -x}, inputs={"x": PARENT["x"]}, outputs=PARENT)

    async def main():
        return [event.outputs["y"] async for event in Hush(over).stream({"xs": [1, 2]}, items="m")]

    assert run_virtual(main) == [-1, -2]


def test_no_items_stream_nothing_and_end():
    async def main():
        return [event async for event in mapped(slow).stream({"xs": []}, items="m")]

    assert run_virtual(main) == []


def test_a_reader_that_does_not_read_holds_new_items_back():
    begun = []

    async def body(x):
        begun.append(x)
        await asyncio.sleep(0)
        return {"y": x}

    async def main():
        async with mapped(body, max_concurrency=2).stream({"xs": range(5_000)}, items="m", buffer=4) as events:
            await anext(events)
            for _ in range(2_000):
                await asyncio.sleep(0)
            held = len(begun)
            rest = [event.item async for event in events]
        return held, rest

    held, rest = run_virtual(main)
    assert held <= 1 + 4 + 2 + 2
    assert (len(rest), len(begun)) == (4_999, 5_000)


def test_a_slow_reader_of_a_graph_without_maps_gets_every_event():
    async def main():
        seen = []
        async for event in chain().stream(buffer=1):
            await asyncio.sleep(1)
            seen.append(type(event).__name__)
        return seen

    seen = run_virtual(main)
    assert seen.count("NodeFinished") == 2
    assert seen[-1] == "RunFinished"


def test_breaking_out_cancels_the_run_and_awaits_its_cleanup():
    log = []

    async def body(x):
        try:
            await asyncio.sleep(x)
            return {"y": x}
        finally:
            await asyncio.sleep(0.5)
            log.append(x)

    async def main():
        async with leak_check(), mapped(body).stream({"xs": [1, 60, 70]}) as events:
            async for event in events:
                if isinstance(event, ItemFinished):
                    break
        assert sorted(log) == [1, 60, 70]
        assert asyncio.get_running_loop().time() == 2
        assert asyncio.current_task().cancelling() == 0

    run_virtual(main)


def test_breaking_out_without_async_with_cancels_it_too():
    log = []

    async def body(x):
        try:
            await asyncio.sleep(x)
            return {"y": x}
        finally:
            log.append(x)

    async def main():
        async for event in mapped(body).stream({"xs": [1, 60]}):
            if isinstance(event, ItemFinished):
                break
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(log) == [1, 60]
        assert asyncio.get_running_loop().time() == 1

    run_virtual(main)


def test_an_exception_in_the_reader_cancels_the_run_and_is_what_is_raised():
    log = []

    async def body(x):
        try:
            await asyncio.sleep(60)
            return {"y": x}
        finally:
            log.append(x)

    async def main():
        async with leak_check():
            with pytest.raises(Boom, match="reader"):
                async with mapped(body).stream({"xs": [1, 2]}) as events:
                    async for event in events:
                        await asyncio.sleep(event.path == "g/m/n")
                        if event.path == "g/m/n":
                            raise Boom("reader")
        assert sorted(log) == [1, 2]

    run_virtual(main)


def test_a_reader_that_is_cancelled_takes_the_run_with_it():
    log = []

    async def body(x):
        try:
            await asyncio.sleep(60)
            return {"y": x}
        finally:
            log.append(x)

    async def read():
        async with mapped(body).stream({"xs": [1]}) as events:
            async for _ in events:
                pass

    async def main():
        async with leak_check():
            task = asyncio.create_task(read())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert log == [1]

    run_virtual(main)


def test_a_failing_run_ends_its_stream_with_the_last_event_and_then_the_exception():
    async def body(x):
        await asyncio.sleep(x)
        raise Boom(x)

    async def main():
        events = []
        with pytest.raises(Boom):
            async for event in mapped(body, on_error="raise").stream({"xs": [1, 2]}):
                events.append(event)  # noqa: PERF401
        assert isinstance(events[-1], RunFinished)
        assert events[-1].status == "failed"
        assert isinstance(events[-1].error, Boom)

    run_virtual(main)


def test_a_failing_run_raises_from_a_stream_of_items_too():
    async def main():
        seen = []
        with pytest.raises(ZeroDivisionError):
            async for event in mapped(lambda x: {"y": 1 // x}, on_error="raise", max_concurrency=1).stream(
                {"xs": [1, 0, 1]}, items="m"
            ):
                seen.append(event.item)  # noqa: PERF401
        return seen

    assert run_virtual(main)[:1] == [0]


def test_a_time_limit_ends_the_stream():
    async def main():
        with pytest.raises(RunTimeout):
            async for _ in mapped(slow).stream({"xs": [9]}, timeout_s=2):
                pass
        assert asyncio.get_running_loop().time() == 2

    run_virtual(main)


def test_two_streams_of_one_engine_at_once_see_their_own_events():
    async def main():
        engine = mapped(slow)

        async def read(xs, run):
            found = [event async for event in engine.stream({"xs": xs}, request_id=run)]
            assert {event.run for event in found} == {run}
            return found[-1].result["ys"]

        return await asyncio.gather(read([3, 1], "one"), read([2], "two"))

    assert run_virtual(main) == [[30, 10], [20]]
