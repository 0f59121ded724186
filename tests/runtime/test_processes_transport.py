"""What goes over the pipe between a process map and its workers, counted by the system: few messages, few bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, ItemFinished, MapNode, TransportError

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads and writes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


def mapped(fn: Callable[..., Any], *, keys: tuple[str, ...] = ("y",), **more: Any) -> Hush:
    """A map in processes over the input ``xs``, of whose body's outputs these ``keys`` are read."""
    with GraphNode(name="g") as graph:
        with MapNode(
            "each", inputs={"x": Each(PARENT["xs"])}, outputs=dict.fromkeys(keys, PARENT), executor="process", **more
        ) as every:
            one = CodeNode("one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
            START >> one >> END
        START >> every >> END
    return Hush(graph)


def transferred() -> dict[str, int]:
    """What this process has read and written so far, in bytes and in calls."""
    with open("/proc/self/io") as file:
        return {key: int(number) for key, number in (line.split(":") for line in file)}


def counting(fn: Callable[[int], dict[str, Any]], last: int) -> Callable[..., Any]:
    """``fn``, but that the first and the ``last`` item give what its process has transferred, and when."""

    def body(x):
        if x in (0, last):
            return {**fn(x), "y": (transferred(), perf_counter())}
        return fn(x)

    return body


async def between(engine: Hush, count: int) -> tuple[dict[str, int], float]:
    """What went over the pipe from the first item to the last, and how long that took."""
    ys = (await engine.run({"xs": list(range(count))}))["y"]
    assert ys[1:-1] == list(range(1, count - 1))
    (before, began_s), (after, ended_s) = ys[0], ys[-1]
    return {key: after[key] - before[key] for key in after}, ended_s - began_s


async def test_quick_items_take_few_messages_and_few_bytes():
    count = 20_000
    engine = mapped(counting(lambda x: {"y": x}, count - 1), max_concurrency=1)
    moved, took_s = await between(engine, count)
    chunks = 24  # growing, then shrinking
    # To each chunk belong "begun" and what it gave; a long one is told of as it goes on.
    assert moved["syscw"] <= 3 * chunks + 2 * took_s / 0.02
    assert moved["wchar"] <= 8 * count + 400 * moved["syscw"]
    assert moved["rchar"] <= 8 * count + 4_000 * chunks


async def test_what_nobody_reads_stays_in_the_worker():
    count = 300
    engine = mapped(counting(lambda x: {"y": x, "large": bytes(100_000)}, count - 1), max_concurrency=1)
    moved, _ = await between(engine, count)
    assert moved["wchar"] < 100_000
    kept = await engine.run({"xs": [0, 1, 2]}, keep=True)  # now it is read
    assert [len(large) for large in kept.nodes["each"]["large"]] == [100_000] * 3


async def test_what_nobody_reads_need_not_be_such_that_it_can_be_sent():
    def call(x):
        return {"y": (x,), "lock": threading.Lock()}

    result = await mapped(call).run({"xs": [1, 2, 3]})
    assert result["y"] == [(1,), (2,), (3,)]
    read = await mapped(call, keys=("y", "lock", "error")).run({"xs": [1]})
    assert isinstance(read["error"][0], TransportError)


async def test_who_listens_to_the_items_gets_all_that_they_give():
    async with mapped(lambda x: {"y": x, "z": -x}).stream({"xs": [1, 2, 3]}, items="each") as events:
        found = [event.outputs async for event in events if isinstance(event, ItemFinished)]
    assert sorted(out["z"] for out in found) == [-3, -2, -1]


async def test_items_of_all_kinds_come_back_as_they_are():
    """Columns of plain values and of others, keys that some lack, errors between."""

    class Number(int):
        pass

    def call(x):
        if x % 7 == 3:
            raise ValueError(x)
        kinds: list[Any] = [x, float(x), str(x), b"x" * x, None, x > 9, (x, [x]), Number(x), {x: x}, 1j * x]
        return {"y": kinds[x % 10], "z": x}

    xs = list(range(100))
    there = await mapped(call, keys=("y", "z", "error")).run({"xs": xs})
    again = await mapped(lambda x: {"y": 1, "z": str(x)}, keys=("y", "z")).run({"xs": xs})
    assert again == {"y": [1] * 100, "z": [str(x) for x in xs]}
    for x in xs:
        if x % 7 == 3:
            assert (type(there["error"][x]), str(there["error"][x])) == (ValueError, str(x))
            continue
        y = call(x)["y"]
        assert (there["z"][x], there["error"][x]) == (x, None)
        assert (there["y"][x], type(there["y"][x]).__name__) == (y, type(y).__name__)


async def test_errors_that_a_body_writes_itself():
    """Beside plain columns, which would be taken whole otherwise."""
    with GraphNode(name="g") as graph:
        outputs = {"y": PARENT, "error": PARENT}
        with MapNode("each", inputs={"x": Each(PARENT["xs"])}, outputs=outputs, executor="process") as every:
            one = CodeNode(
                "one",
                code_fn=lambda x: {"y": x, "error": f"no {x}" if x % 5 == 2 else None},
                inputs={"x": PARENT["x"]},
                outputs=outputs,
            )
            START >> one >> END
        START >> every >> END
    result = await Hush(graph).run({"xs": list(range(40))})
    assert result["y"] == list(range(40))
    assert result["error"] == [f"no {x}" if x % 5 == 2 else None for x in range(40)]
    assert len(result.errors) == 8


async def test_a_key_that_some_items_lack_is_missed_where_it_is_read_only():
    def call(x):
        return {"y": x} if x % 2 else {"y": x, "z": x}

    assert (await mapped(call).run({"xs": [0, 1, 2]}))["y"] == [0, 1, 2]
    result = await mapped(call, keys=("y", "z", "error")).run({"xs": [0, 1, 2]})
    assert (result["z"], [type(error).__name__ for error in result["error"]]) == (
        [0, None, 2],
        ["NoneType", "MissingKeyError", "NoneType"],
    )


async def test_a_chunk_whose_items_turn_out_slow_is_shared_out():
    """It was made for quick ones: one process would have had all of the slow ones, 1.2 s of work."""

    def call(x):
        end_s = process_time() + 0.06
        while x >= 30 and process_time() < end_s:
            pass
        return {"y": (x, os.getpid())}

    def source():
        yield from range(50)

    result = await mapped(call, max_concurrency=2).run({"xs": source()})
    assert [x for x, _ in result["y"]] == list(range(50))
    assert len({pid for x, pid in result["y"] if x >= 30}) == 2
