"""`engine.start`, `engine.stream` and `keep=True`: what users hold while a run is under way, and after it."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    InputError,
    ItemFinished,
    MapNode,
    MissingKeyError,
    RunFinished,
    RunStarted,
    UsageError,
)
from hush.testing import leak_check


def mapped(fn, **options) -> Hush:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, **options) as over:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        over["y"] >> PARENT["ys"]
    return Hush(graph)


def double(x):
    return {"y": x * 2}


async def test_a_handle_gives_the_result_more_than_once():
    handle = mapped(double).start({"xs": [1, 2]})
    assert (await handle)["ys"] == (await handle)["ys"] == [2, 4]
    assert handle.done()


async def test_wrong_inputs_raise_at_the_start():
    with pytest.raises(InputError):
        mapped(double).start({"x": [1]})
    with pytest.raises(InputError):
        mapped(double).stream({"x": [1]})


async def test_why_names_what_is_at_work_and_what_waits():
    gate = asyncio.Event()

    async def wait(x):
        await gate.wait()
        return {"y": x}

    handle = mapped(wait, max_concurrency=2).start({"xs": range(5)})
    for _ in range(5):
        await asyncio.sleep(0)
    why = handle.why()
    assert {(one.path, one.item) for one in why.running} == {("g/m/n", (0,)), ("g/m/n", (1,))}
    assert why.maps[0].total == 5
    assert "g/m/n, item 0" in str(why)
    gate.set()
    assert (await handle)["ys"] == [0, 1, 2, 3, 4]
    assert handle.why().status == "done"


async def test_cancelling_a_handle_leaves_nothing_running():
    async with leak_check():
        handle = mapped(lambda x: asyncio.Event().wait()).start({"xs": range(5)})
        await asyncio.sleep(0)
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handle


async def test_a_stream_gives_every_event_and_the_result_last():
    events = [event async for event in mapped(double).stream({"xs": [1, 2, 3]})]
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result["ys"] == [2, 4, 6]
    assert sum(isinstance(event, ItemFinished) for event in events) == 3


async def test_a_stream_of_a_failing_run_raises_after_its_last_event():
    last = None
    with pytest.raises(ZeroDivisionError):
        async for event in mapped(lambda x: {"y": 1 / x}, on_error="raise").stream({"xs": [1, 0]}):
            last = event
    assert isinstance(last, RunFinished)
    assert last.status == "failed"


async def test_items_of_a_map_come_with_what_they_gave():
    got = [event async for event in mapped(double).stream({"xs": [1, 2]}, items="m")]
    assert [(event.item, event.outputs) for event in got] == [(0, {"y": 2}), (1, {"y": 4})]
    with pytest.raises(UsageError, match="Did you mean"):
        mapped(double).stream({"xs": [1]}, items="mm")


async def test_a_slow_reader_holds_the_source_back():
    pulled = []

    def numbers():
        for number in range(10_000):
            pulled.append(number)
            yield number

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(numbers(), pull="inline")}, max_concurrency=4) as over:
            CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs=PARENT, executor="inline")
        over["y"] >> PARENT["ys"]
    async with Hush(graph).stream(items="m", buffer=8) as events:
        async for event in events:
            assert len(pulled) <= event.item + 8 + 4 + 32
            if event.item == 100:
                break
    assert len(pulled) < 200


async def test_leaving_a_stream_leaves_nothing_running():
    async with leak_check(), mapped(lambda x: asyncio.sleep(0, {"y": x})).stream({"xs": range(1000)}) as events:
        async for event in events:
            if isinstance(event, ItemFinished):
                break


async def test_what_nodes_gave_is_kept_if_asked_for():
    result = await mapped(double).run({"xs": [1, 2]}, keep=True)
    assert result.nodes["m"]["y"] == result.nodes["g/m"]["y"] == [2, 4]
    assert result.nodes["m"]["iteration_metrics"]["success_count"] == 2
    with pytest.raises(MissingKeyError, match="Did you mean 'm'"):
        result.nodes["mm"]
    with pytest.raises(MissingKeyError, match="nodes"):
        result["$state"]
    with pytest.raises(AttributeError, match="keep=True"):
        (await mapped(double).run({"xs": []})).nodes
