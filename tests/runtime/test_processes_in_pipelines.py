"""Process maps among streaming maps: bounded, live whatever the source waits for, and killed without anybody else."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, ItemFinished, MapNode, WorkerDied
from hush.testing import leak_check
from kit.processes import HAVE_PROC, descriptors, workers

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("nothing_is_left"),
]


def pipeline(*stages: tuple[Callable[..., Any], dict[str, Any]], source: Any = PARENT["xs"]) -> Hush:
    """Maps one after the other, each over the column ``y`` of the one before; the last gives ``y`` and ``error``."""
    with GraphNode(name="g") as graph:
        for number, (fn, policies) in enumerate(stages):
            each = source if isinstance(source, Each) else Each(source)
            with MapNode(f"m{number}", inputs={"x": each}, **{"max_concurrency": 2, **policies}) as every:
                CodeNode("one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT})
            source = every["y"]
        every["y"] >> PARENT["y"]
        every["error"] >> PARENT["error"]
    return Hush(graph)


class Counted:
    """Counts the items of a map that have ended, and wakes whoever waits for that."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.done = 0
        self.more = asyncio.Event()

    def emit(self, event: Any) -> None:
        if isinstance(event, ItemFinished) and event.path == self.path:
            self.done += 1
            self.more.set()

    async def wait_for(self, count: int) -> None:
        while self.done < count:
            self.more.clear()
            await self.more.wait()


# --- how many are under way -------------------------------------------------------------------------------------
async def test_items_do_not_wait_for_more_from_a_source_that_waits_for_them():
    """A process takes many small items at once: it must not wait for them for ever."""
    counted = Counted("g/m0")

    async def bursts() -> AsyncIterator[int]:
        number = 0
        for burst in (1, 1, 40, 7, 100, 1, 3):
            for _ in range(burst):
                yield number
                number += 1
            await counted.wait_for(number)

    result = await pipeline((lambda x: {"y": x}, {"executor": "process"}), source=bursts()).run(tracer=counted)
    assert result["y"] == list(range(153))


async def test_a_source_that_raises_cancelled_error_has_not_ended():
    async def three() -> AsyncIterator[int]:
        for number in range(3):
            yield number
        raise asyncio.CancelledError("of the source")

    with pytest.raises(asyncio.CancelledError, match="of the source"):
        await pipeline((lambda x: {"y": x}, {"executor": "process"}), source=three()).run()


@pytest.mark.parametrize(("window", "streamed"), [(1, False), (3, False), (40, False), (2, True), (50, True)])
async def test_a_window_holds_for_process_maps_too(window, streamed):
    counted = Counted("g/m1" if streamed else "g/m0")
    most = pulled = 0

    def numbers() -> Iterator[int]:
        nonlocal most, pulled
        for number in range(200):
            pulled += 1
            most = max(most, pulled - counted.done)
            yield number

    stages = [(lambda x: {"y": x}, {"executor": "process", "window": window})]
    if streamed:
        stages.append((lambda x: {"y": x}, {"max_concurrency": 1}))
    result = await pipeline(*stages, source=Each(numbers(), pull="inline")).run(tracer=counted)
    assert result["y"] == list(range(200))
    assert most <= window + 1 + streamed  # the one that is just being pulled, and the one at work in the next map


# --- at random --------------------------------------------------------------------------------------------------
def body(fails: frozenset[int], kills: dict[int, str], add: int) -> Callable[..., Any]:
    """The body of a stage: it fails on some numbers, and ends its process on others."""

    def one(x):
        if kills.get(x) == "exit":
            os._exit(3)
        if kills.get(x) == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kills.get(x) == "crash":
            ctypes.string_at(1)
        if kills.get(x) == "fork" and os.fork():
            os._exit(4)
        while kills.get(x) == "fork":
            signal.pause()
        if x in fails:
            raise ValueError(x)
        return {"y": x + add}

    return one


async def later(x):
    for _ in range(x % 3):
        await asyncio.sleep(0)
    return {"y": x + 1000}


def quick(x):
    return {"y": x + 1000}


stages = st.fixed_dictionaries({
    "process": st.booleans(),
    "window": st.none() | st.integers(1, 12),
    "max_concurrency": st.integers(1, 2),
    "first": st.none() | st.none() | st.integers(1, 150),
    "item_timeout_s": st.none() | st.just(60.0),
    "key": st.none() | st.just(str),
    "fails": st.frozensets(st.integers(0, 200), max_size=3),
    "kills": st.dictionaries(st.integers(0, 120), st.sampled_from(["exit", "kill", "crash"]), max_size=1),
    "later": st.booleans(),
})  # fmt: skip


def numbers(kind: str, count: int) -> Any:
    async def awaited() -> AsyncIterator[int]:
        for number in range(count):
            if number % 16 == 0:
                await asyncio.sleep(0)
            yield number

    if kind == "list":
        return list(range(count))
    return awaited() if kind == "async" else (number for number in range(count))


def expected(made: list[dict[str, Any]], count: int) -> list[int | type[BaseException]]:
    """What becomes of each number: a value, or the type of what it failed with."""
    found: list[Any] = list(range(count))
    for number, stage in enumerate(made):
        found = found[: stage["first"]]
        for index, value in enumerate(found):
            if isinstance(value, int):
                x = value % 1000
                if stage["process"] and x in stage["kills"]:
                    found[index] = WorkerDied
                elif stage["process"] and x in stage["fails"]:
                    found[index] = ValueError
                else:
                    found[index] = x + 1000 * (number + 1)
    return found


def built(made: list[dict[str, Any]], source: Any) -> Hush:
    whole = []
    for number, stage in enumerate(made):
        names = ("window", "max_concurrency", "first", "item_timeout_s", "key")
        policies = {name: stage[name] for name in names if stage[name] is not None}
        base = number * 1000
        if stage["process"]:
            fails = frozenset(x + base for x in stage["fails"])
            kills = {x + base: how for x, how in stage["kills"].items()}
            whole.append((body(fails, kills, 1000), {"executor": "process", **policies}))
        else:
            whole.append((later if stage["later"] else quick, policies))
    return pipeline(*whole, source=source)


async def check(made: list[dict[str, Any]], kind: str, count: int) -> None:
    result = await built(made, numbers(kind, count)).run()
    want = expected(made, count)
    assert result["y"] == [one if isinstance(one, int) else None for one in want]
    assert [type(error) for error in result["error"]] == [type(None) if isinstance(one, int) else one for one in want]
    assert workers() == []


at_random = {
    "made": st.lists(stages, min_size=1, max_size=4),
    "kind": st.sampled_from(["list", "generator", "async"]),
    "count": st.integers(0, 200),
}
HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
"""A failing example is told as it is found: to make it small would take minutes."""


@settings(max_examples=6, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@given(**at_random)
def test_pipelines_give_what_they_should_whoever_is_killed(made, kind, count):
    asyncio.run(asyncio.wait_for(check(made, kind, count), 60))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=300, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@given(**at_random)
def test_many_pipelines_give_what_they_should_whoever_is_killed(made, kind, count):
    asyncio.run(asyncio.wait_for(check(made, kind, count), 60))


async def cancelled_after(made: list[dict[str, Any]], kind: str, count: int, passes: int, then_s: float) -> None:
    gc.collect()
    async with leak_check():
        task = asyncio.ensure_future(built(made, numbers(kind, count)).run())
        for _ in range(passes):
            await asyncio.sleep(0)
        await asyncio.sleep(then_s)
        task.cancel()
        try:
            await asyncio.wait_for(asyncio.shield(task), 30)
        except asyncio.CancelledError:
            assert task.done()
        assert workers() == []


def cancel(made: list[dict[str, Any]], kind: str, count: int, passes: int, then_s: float) -> None:
    asyncio.run(pipeline((lambda x: {"y": x}, {"executor": "process"})).run({"xs": [1]}))  # starts loky's trackers
    gc.collect()
    before = descriptors()
    asyncio.run(cancelled_after(made, kind, count, passes, then_s))
    gc.collect()
    assert descriptors() <= before


moments = {"passes": st.integers(0, 3000), "then_s": st.sampled_from([0.0, 0.0, 0.05, 0.3])}


@settings(max_examples=4, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@given(**at_random, **moments)
def test_pipelines_cancelled_at_any_moment_leave_nothing(made, kind, count, passes, then_s):
    cancel(made, kind, count, passes, then_s)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=300, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@given(**at_random, **moments)
def test_many_pipelines_cancelled_at_any_moment_leave_nothing(made, kind, count, passes, then_s):
    cancel(made, kind, count, passes, then_s)
