"""Limits and caches shared by several loops in several threads, with calls that end late, or long after their run.

Whatever is cancelled or abandoned at whatever instant: no limit is exceeded by what is really inside a function, each
permit comes back exactly once, when its call has really ended, and what comes out was made for it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeTimeout, Retry, RunTimeout
from hush.core._runtime._admitting import _process
from hush.core._runtime._flight import _under_way
from hush.testing import leak_check
from kit.faults import members

SECONDS = [0, 0, 0.0005, 0.002, 0.005]
_salts = count()


class Mine(Exception):
    """What functions raise."""


class Lost(Mine, ConnectionError):
    """What is tried again."""


class Storm:
    """Threads with a loop each, all of whose runs share two limits and their calls."""

    def __init__(self, seed):
        self.seed = seed
        self.rng = random.Random(f"storm {seed}")
        self.lock = threading.Lock()
        self.limits = [Limit(concurrency=self.rng.randint(1, 3)) for _ in range(2)]
        self.inside, self.calls = Counter(), Counter()
        self.salt = f"storm {next(_salts)}"
        self.problems = []

    # --- functions ----------------------------------------------------------------------------------------
    def enter(self, limits):
        with self.lock:
            for limit in limits:
                self.inside[limit] += 1
                if self.inside[limit] > limit.concurrency:
                    self.problems.append(f"{self.inside[limit]} inside {limit}")

    def leave(self, limits):
        with self.lock:
            for limit in limits:
                self.inside[limit] -= 1

    def end(self, name, x, fails):
        with self.lock:
            self.calls[name, x] += 1
            if self.calls[name, x] <= fails:
                raise (Lost if x % 2 else Mine)(name, x)
        return {"y": [name, x]}

    def leaf(self, name, rng, x):
        limits = rng.sample(self.limits, rng.choice([0, 1, 1, 2]))
        fails, seconds = rng.choice([0, 0, 1, 2]), rng.choice(SECONDS)
        kind = rng.choice(["auto", "thread", "thread", "async"])

        def work(x, salt):
            self.enter(limits)
            try:
                time.sleep(seconds)
                return self.end(name, x, fails)
            finally:
                self.leave(limits)

        async def work_async(x, salt):
            self.enter(limits)
            try:
                await asyncio.sleep(seconds)
                return self.end(name, x, fails)
            finally:
                self.leave(limits)

        policies = {} if kind == "async" else {"executor": kind}
        if limits:
            policies |= {"limit": limits, "priority": rng.choice([0, 0, 1])}
        if rng.random() < 0.5:
            policies["retry"] = Retry(max_attempts=3, backoff_s=0.001, budget=None)
        if rng.random() < 0.4:
            policies |= {"cache": True, "version": "1"}
        if rng.random() < 0.4:
            policies["timeout_s"] = 0.001
        if rng.random() < 0.3:
            policies["on_error"] = "collect"
        inputs = {"x": x, "salt": f"{self.salt} {name}"}
        fn = work_async if kind == "async" else work
        CodeNode(name=name, code_fn=fn, inputs=inputs, **policies)["y"] >> PARENT["y"]

    # --- runs ---------------------------------------------------------------------------------------------
    def graph(self, rng):
        """All threads draw the same ones, so that they ask for the same."""
        with GraphNode(name="g") as graph:
            for number in range(rng.randint(1, 2)):
                items = [rng.randrange(4) for _ in range(rng.randint(1, 6))]
                on_error = rng.choice(["collect", "collect", "raise"])
                timed = {"item_timeout_s": 0.004} if rng.random() < 0.2 else {}
                inputs = {"x": Each(items)}
                with MapNode(name=f"m{number}", inputs=inputs, max_concurrency=4, on_error=on_error, **timed) as made:
                    self.leaf(f"n{number}", rng, PARENT["x"])
                made["y"] >> PARENT[f"y{number}"]
                made["error"] >> PARENT[f"e{number}"]
        return graph

    async def one_run(self, engine, rng):
        return await engine.run(timeout_s=rng.choice([None, None, None, 0.003]))

    async def main(self, number):
        rng = random.Random(f"storm {self.seed} {number}")
        loop, complaints = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        engine = Hush(self.graph(random.Random(f"graph {self.seed}")), grace_s=rng.choice([0.0005, 0.002, 1.0]))
        tasks = [asyncio.ensure_future(self.one_run(engine, rng)) for _ in range(rng.randint(1, 3))]
        asked = set()

        def ask(task):
            asked.add(task)
            task.cancel()

        for task in tasks:
            if rng.random() < 0.4:
                loop.call_later(rng.random() * 0.006, ask, task)
        done, pending = await asyncio.wait(tasks, timeout=30)
        assert not pending, "it hangs"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not _under_way.get(loop), "a call is under way"
        assert not complaints, complaints
        for task in done:
            self.look_at(task, asked)

    def look_at(self, task, asked):
        if task.cancelled():
            assert task in asked, "nobody asked for it"
            return
        error = task.exception()
        if error is not None:
            for each in members(error):
                assert isinstance(each, Mine | NodeTimeout | RunTimeout), repr(each)
            return
        result = task.result()
        for key, column in result.items():
            errors = result[f"e{key[1:]}"]
            for value, failed in zip(column, errors, strict=True) if key[0] == "y" else ():
                assert value is None or (failed is None and value[0] == f"n{key[1:]}"), (value, failed)
            for failed in errors:
                for each in [] if failed is None else members(failed):  # late, and with an error at that
                    assert isinstance(each, Mine | NodeTimeout), repr(each)

    def play(self):
        threads = self.rng.randint(1, 3)
        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(asyncio.run, self.main(number)) for number in range(threads)]:
                each.result(timeout=50)
        # Calls that were left behind end by themselves, and with them their permits come back.
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s and (+self.inside or any(_in_use(limit) for limit in self.limits)):
            time.sleep(0.0005)
        for limit in self.limits:
            assert (self.inside[limit], _in_use(limit), _waiting(limit)) == (0, 0, 0), limit
        assert not self.problems, self.problems


def _in_use(limit):
    return _process.state(limit).in_use


def _waiting(limit):
    return _process.state(limit).waiting


# Calls that are left behind, and items that fail, are logged.
pytestmark = pytest.mark.usefixtures("silence")


def storms(seeds):
    asyncio.new_event_loop().close()  # what uvloop opens once for the process is no leak
    with leak_check():
        for seed in seeds:
            try:
                Storm(seed).play()
            except BaseException as problem:
                problem.add_note(f"seed {seed}")
                raise


def test_whatever_happens_the_permits_come_back_once_each():
    storms(range(40))


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("interval_s", [0.005, 0.00001])
def test_whatever_happens_the_permits_come_back_once_each_for_half_a_minute(interval_s):
    """With threads that take turns as usual, and far more often."""
    before, first = sys.getswitchinterval(), random.randrange(1 << 30)
    sys.setswitchinterval(interval_s)
    try:
        end_s = time.monotonic() + 30
        while time.monotonic() < end_s:
            storms(range(first, first + 50))
            first += 50
    finally:
        sys.setswitchinterval(before)
