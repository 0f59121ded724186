"""Random nestings of everything, on real loops with real threads, ended at random instants in every way there is.

Whatever happens: the run ends; nothing of it is alive, open or complained of after that; what it raises was raised by a
node, or is one of Hush's own errors; and what nobody may handle is never handled, and never lost.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from typing import Any

import pytest

from hush.core import Hush, HushError, RunFinished
from hush.core.nodes._graph import Block
from hush.testing import Recorder, leak_check
from kit.blows import may_be_handled
from kit.nestings import SECONDS, Nesting

pytestmark = pytest.mark.nightly


class Fuzz:
    """One run of one nesting, and what is wrong with it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"fuzz {seed}")
        self.way = self.rng.choice(["run", "run", "run", "start", "stream", "left", "slow"])
        self.nesting = Nesting(seed, in_task_of_its_own=self.way != "run")
        self.recorder = Recorder()
        self.result: Any = None
        self.error: BaseException | None = None
        self.complaints: list[Any] = []

    async def held(self, engine: Hush) -> Any:
        """The run, in its way."""
        options: dict[str, Any] = {"timeout_s": self.rng.choice([None, None, None, 0.003])}
        if self.way == "run":
            tracer = self.recorder if self.rng.random() < 0.5 else None
            return await engine.run(tracer=tracer, keep=self.rng.random() < 0.3, **options)
        if self.way == "start":
            handle = engine.start(**options)
            if self.rng.random() < 0.3:
                asyncio.get_running_loop().call_later(self.rng.choice(SECONDS), handle.cancel)
                self.way = "cancelled"
            return await handle
        leave_at = self.rng.randint(1, 20) if self.way == "left" else None
        last, read = None, 0
        async with engine.stream(buffer=self.rng.choice([1, 8, 256]), **options) as events:
            async for event in events:
                last = event
                read += 1
                if read == leave_at:
                    return None
                if self.way == "slow":
                    await asyncio.sleep(self.rng.choice(SECONDS) / 4)
        assert isinstance(last, RunFinished)
        return last.result

    async def main(self, graph: Block) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        engine = Hush(graph, grace_s=9)
        asked = 0

        async def caught() -> None:
            try:
                self.result = await self.held(engine)
            except BaseException as error:
                self.error = error

        task = asyncio.ensure_future(caught())

        def ask() -> None:
            nonlocal asked
            asked += task.cancel()

        if self.rng.random() < 0.5:
            for _ in range(self.rng.choice([1, 1, 2, 3])):
                loop.call_later(self.rng.random() * 0.006, ask)
        await asyncio.wait([task], timeout=20)
        assert task.done(), "it hangs"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not +self.nesting.opened, f"not closed: {+self.nesting.opened}"
        self.examine(asked, task)

    def examine(self, asked: int, task: asyncio.Task[None]) -> None:
        error, raised = self.error, self.nesting.raised
        if task.cancelled():
            assert asked  # before it began
            return
        assert task.cancelling() == asked
        assert error is not None or not asked, "the request got lost"
        told = [] if error is None else [error] if any(error is each for each in raised) else parts(error)
        for each in told:
            mine = any(each is one for one in raised)
            cancelled = isinstance(each, asyncio.CancelledError) and (asked or self.way == "cancelled")
            assert mine or cancelled or isinstance(each, HushError), f"{each!r} comes from nowhere"
            assert not mine or each.hush.path
        lost = [each for each in self.nesting.severe() if not any(each is one for one in told)]
        assert not lost, f"lost: {lost}, told: {told}"
        if self.result is not None:
            assert all(map(may_be_handled, self.result.errors))
            assert (self.result.status == "partial") == bool(self.result.errors)
        if self.recorder.events:
            assert isinstance(self.recorder.events[-1], RunFinished)


def parts(error: BaseException) -> list[BaseException]:
    """What a group of Hush's is made of; groups of nodes' own stay whole."""
    if isinstance(error, BaseExceptionGroup) and "nodes failed" in error.message:
        return list(error.exceptions)
    return [error]


@pytest.fixture(scope="module", autouse=True)
def _a_loop_before():
    """With its first loop uvloop opens two descriptors for the whole process: no leak of a run."""
    with asyncio.Runner() as runner:
        runner.get_loop()


@pytest.mark.parametrize("first", range(0, 6000, 250))
def test_whatever_happens(first, monkeypatch):
    unraisable: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: unraisable.append(f"{each.exc_value!r} in {each.object!r}"))
    with leak_check():
        for seed in range(first, first + 250):
            fuzz = Fuzz(seed)
            try:
                asyncio.run(fuzz.main(fuzz.nesting.graph()))
                if seed % 10 == 0:
                    gc.collect()
                assert not fuzz.complaints
                assert not unraisable
            except BaseException as problem:
                problem.add_note(f"seed {seed}, {fuzz.way}")
                raise
        gc.collect()
    assert not unraisable
