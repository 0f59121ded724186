"""Identical calls under way at once are one, which goes on as long as somebody waits for it, and no longer."""

from __future__ import annotations

import asyncio
import threading
from itertools import count

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeCached, NodeFailed, NodeTimeout, RunFinished
from hush.testing import Recorder, cancel_everywhere, run_virtual

salts = count()


class Work:
    """What a cached function does, and what became of it."""

    def __init__(self):
        self.begun = self.ended = self.cancelled = 0
        self.seconds = 1.0
        self.error = None

    async def __call__(self):
        self.begun += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0.25)  # cleaning up takes a while
            raise
        finally:
            self.ended += 1
        if self.error is not None:
            raise self.error


work = Work()


@pytest.fixture(autouse=True)
def _fresh():
    work.__init__()


async def ask(x, salt):
    await work()
    return {"y": [x]}


def engine_of(fn=ask, cache="memory", salt=None, **policies):
    with GraphNode(name="g") as graph:
        salt = f"flight {next(salts)}" if salt is None else salt
        CodeNode(name="n", code_fn=fn, inputs={"x": 1, "salt": salt}, outputs=PARENT, cache=cache, **policies)
    return Hush(graph)


@pytest.fixture(params=["memory", "file"])
def cache(request, tmp_path):
    return "memory" if request.param == "memory" else tmp_path / "answers.db"


def started(engine, number, **options):
    return [asyncio.ensure_future(engine.run(**options)) for _ in range(number)]


def test_calls_at_once_are_one_and_each_gets_a_copy(cache):
    recorder = Recorder()

    async def main():
        salt = f"copies {cache}"
        engines = [engine_of(cache=cache, salt=salt) for _ in range(2)]
        tasks = [task for engine in engines for task in started(engine, 5, tracer=recorder)]
        results = await asyncio.gather(*tasks)
        for number, result in enumerate(results):
            assert result["y"] == [1]
            result["y"].append(number)
        assert (await engines[0].run())["y"] == [1]

    run_virtual(main)
    assert (work.begun, work.ended, work.cancelled) == (1, 1, 0)
    assert [event.joined for event in recorder.events if type(event) is NodeCached] == [True] * 9


def test_who_joined_a_call_that_fails_is_told_to_have_joined(cache):
    """So that ten failures of one call are not taken for ten calls."""
    recorder, work.error = Recorder(), ValueError("no")

    async def main():
        tasks = started(engine_of(cache=cache, salt=f"fails {cache}"), 5, tracer=recorder)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(error) for error in found] == ["no"] * 5

    run_virtual(main)
    assert work.begun == 1
    assert [event.joined for event in recorder.events if type(event) is NodeCached] == [True] * 4
    assert len([event for event in recorder.events if type(event) is NodeFailed]) == 5


@pytest.mark.parametrize("who", range(3))
@pytest.mark.parametrize("seed", range(2))
def test_cancelling_one_does_not_cancel_the_others(who, seed, cache):
    """Not even if it is the one that had the call made: the call goes on for the others, and is made once."""
    recorder = Recorder()

    async def main():
        engine = engine_of(cache=cache, salt=f"one {who} {seed}")
        tasks = started(engine, 3, tracer=recorder)
        await asyncio.sleep(0.5)
        tasks[who].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(who), asyncio.CancelledError)
        assert [result["y"] for result in found] == [[1]] * 2
        assert asyncio.get_running_loop().time() == pytest.approx(1)

    run_virtual(main, seed=seed)
    assert (work.begun, work.cancelled) == (1, 0)


def test_a_run_that_was_cancelled_hears_nothing_more(cache):
    recorder = Recorder()

    async def main():
        engine = engine_of(cache=cache, salt="quiet")
        first = asyncio.ensure_future(engine.run(tracer=recorder))
        await asyncio.sleep(0.5)
        other = asyncio.ensure_future(engine.run())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert asyncio.get_running_loop().time() == pytest.approx(0.5)
        await other

    run_virtual(main)
    assert type(recorder.events[-1]) is RunFinished
    assert recorder.events[-1].status == "cancelled"


def test_the_last_to_leave_ends_the_call_and_waits_for_it(cache):
    async def main():
        engine = engine_of(cache=cache, salt="last")
        tasks = started(engine, 3)
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert work.cancelled == 0
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert (work.begun, work.ended, work.cancelled) == (1, 1, 1)
        assert asyncio.get_running_loop().time() == pytest.approx(0.75)
        await engine.run()  # nothing was kept
        assert work.begun == 2

    run_virtual(main)


def test_who_comes_while_a_call_is_being_cancelled_makes_one_anew(cache):
    async def main():
        engine = engine_of(cache=cache, salt="anew")
        first = asyncio.ensure_future(engine.run())
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0.1)
        assert (await engine.run())["y"] == [1]
        assert first.cancelled()

    run_virtual(main)
    assert (work.begun, work.cancelled) == (2, 1)


@pytest.mark.parametrize(("seed", "times"), [(0, 1), (1, 1), (2, 2)])
def test_a_run_that_shares_a_call_is_cancelled_at_every_tick(seed, times, cache):
    runs = count()

    def check():
        assert work.begun == work.ended

    def make():
        number = next(runs)

        async def main():
            engine = engine_of(cache=cache, salt=f"every {seed} {times} {number}")
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(engine.run())

        return main()

    assert cancel_everywhere(make, times=times, check=check, seed=seed) >= 5


@pytest.mark.parametrize("seed", range(3))
def test_a_map_whose_items_share_a_call_is_cancelled_at_every_tick(seed):
    runs = count()

    def make():
        with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 1, 2, 1])}):
            CodeNode(
                name="n",
                code_fn=ask,
                inputs={"x": PARENT["x"], "salt": f"map {seed} {next(runs)}"},
                outputs=PARENT,
                cache=True,
            )
        return Hush(graph).run()

    def check():
        assert work.begun == work.ended

    assert cancel_everywhere(make, check=check, seed=seed) >= 5


@pytest.mark.parametrize("leaves", range(3))
def test_whoever_leaves_at_whatever_tick_the_others_get_their_answer(leaves, cache):
    """One of three is cancelled in each pass in turn; the other two must not notice."""
    most = 12 if cache == "memory" else 8
    for passes in range(most):

        async def main(passes=passes):
            engine = engine_of(cache=cache, salt=f"tick {leaves} {passes}")
            tasks = started(engine, 3)
            for _ in range(passes):
                await asyncio.sleep(0)
            tasks[leaves].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            del found[leaves]
            assert [result["y"] for result in found] == [[1], [1]]

        run_virtual(main, seed=passes)
    assert work.begun == most
    assert work.cancelled == 0


# ── Failure ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Odd(Exception):
    """An error that cannot be made again from its args."""

    def __init__(self, code, *, text):
        super().__init__(f"{code}: {text}")
        self.code = code


@pytest.mark.parametrize(
    "error", [ValueError("no"), Odd(3, text="t"), OSError(2, "gone"), asyncio.CancelledError("own")], ids=repr
)
def test_all_who_wait_fail_with_it_each_in_its_own_place(error):
    work.error = error

    async def main():
        with GraphNode(name="g") as graph:
            with MapNode(name="m", inputs={"x": Each([1, 1, 1])}) as each:
                inputs = {"x": PARENT["x"], "salt": repr(error)}
                CodeNode(name="n", code_fn=ask, inputs=inputs, outputs=PARENT, cache=True)
            each["error"] >> PARENT["errors"]
        errors = (await Hush(graph).run())["errors"]
        assert len({id(one) for one in errors}) == 3
        for item, one in enumerate(errors):
            assert type(one) is type(error)
            assert (one.args, str(one)) == (error.args, str(error))
            assert one.hush.item == item
            assert [note for note in one.__notes__ if "raised in" in note] == [one.__notes__[0]]
            assert f"item {item}" in one.__notes__[0]
        assert getattr(errors[2], "code", 3) == 3

    run_virtual(main)
    assert work.begun == 1


def test_a_call_that_is_late_is_late_for_all(cache):
    async def main():
        engine = engine_of(cache=cache, salt="late", timeout_s=0.5)
        found = await asyncio.gather(*started(engine, 3), return_exceptions=True)
        assert [type(one) for one in found] == [NodeTimeout] * 3
        assert asyncio.get_running_loop().time() == pytest.approx(0.75)

    run_virtual(main)
    assert (work.begun, work.cancelled) == (1, 1)


def test_an_error_that_comes_while_it_is_cancelled_is_not_lost():
    async def stubborn(salt):
        try:
            await asyncio.sleep(1)
        finally:
            raise ValueError("on the way out")

    async def main():
        task = asyncio.ensure_future(engine_of_one(stubborn, "stubborn").run())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(ValueError, match="on the way out"):
            await task
        assert task.cancelling() == 1

    run_virtual(main)


def engine_of_one(fn, salt, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"salt": salt}, outputs=PARENT, cache=True, **policies)
    return Hush(graph, grace_s=0.05)


# ── Threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Gate:
    """Blocks calls in threads until the test opens it."""

    def __init__(self):
        self.event = threading.Event()
        self.calls = []


gate = Gate()


def blocked(salt):
    gate.calls.append(salt)
    assert gate.event.wait(30)
    return {"y": salt}


@pytest.fixture
def shut():
    gate.__init__()
    yield gate
    gate.event.set()


async def reached(condition):
    while not condition():  # noqa: ASYNC110  # a thread has no loop to tell
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("who", [0, 1])
async def test_a_call_in_a_thread_is_shared_and_goes_on_for_the_others(shut, who):
    engine = engine_of_one(blocked, f"thread {who}", executor="thread")
    tasks = [asyncio.ensure_future(engine.run()) for _ in range(3)]
    await reached(lambda: gate.calls)
    tasks[who].cancel()
    await asyncio.wait([tasks[who]])
    gate.event.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found.pop(who), asyncio.CancelledError)
    assert [one["y"] for one in found] == [f"thread {who}"] * 2
    assert len(gate.calls) == 1


async def test_a_call_in_a_thread_that_is_late_fails_all_and_is_left_behind(shut, caplog):
    engine = engine_of_one(blocked, "left", executor="thread", timeout_s=0.02)
    found = await asyncio.gather(*(engine.run() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [NodeTimeout] * 3
    assert len({id(one) for one in found}) == 3
    assert len(gate.calls) == 1
    assert "left behind" in caplog.text


async def test_a_call_in_a_thread_that_is_late_fails_its_run_at_once_and_not_when_its_grace_is_over(shut, caplog):
    with GraphNode(name="g") as graph:
        inputs = {"salt": "early"}
        CodeNode(name="n", code_fn=blocked, inputs=inputs, cache=True, executor="thread", timeout_s=0.02)
        CodeNode(name="beside", code_fn=opens_when_cancelled, inputs={})
    engine = Hush(graph, grace_s=5)
    found = await asyncio.gather(*(engine.run() for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in found] == [NodeTimeout] * 2
    assert "left behind" not in caplog.text


async def opens_when_cancelled():
    try:
        await asyncio.sleep(30)
    finally:
        gate.event.set()


async def test_a_call_in_a_thread_that_all_have_left_is_left_behind(shut, caplog):
    engine = engine_of_one(blocked, "gone", executor="thread")
    tasks = [asyncio.ensure_future(engine.run()) for _ in range(2)]
    await reached(lambda: gate.calls)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert "left behind" in caplog.text
