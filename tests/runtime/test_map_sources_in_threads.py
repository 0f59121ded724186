"""Sources that are pulled in a thread while the loop goes on: no item is held back, and none is lost at the end."""

from __future__ import annotations

import threading
import time

from hush.core import Hush
from runtime.feeding import mapped, zipped
from runtime.observing import until


def test_a_source_in_a_thread_that_waits_for_the_items_it_gave():
    """It gives two at once, then nothing until they have ended: none is held back until a chunk is full."""
    ended = threading.Semaphore(0)

    def bursts():
        for number in range(8):
            yield number
            if number % 2:
                for _ in range(2):
                    assert ended.acquire(timeout=20)

    def end(x):
        ended.release()
        return {"y": x}

    assert Hush(mapped(fn=end, max_concurrency=2)).run_sync({"rows": bursts()})["ys"] == list(range(8))


def test_a_source_that_has_ended_in_its_thread_is_gone_through_first():
    """The loop learns late what a thread has pulled; who looks meanwhile must not take the source to have ended."""
    second, over = threading.Event(), threading.Event()

    class Ends:
        """Slow at first, so that the second chunk is pulled while the first item is at work."""

        def __init__(self):
            self.number = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.number += 1
            if self.number == 1:
                until_ns = time.perf_counter_ns() + 6_000_000
                while time.perf_counter_ns() < until_ns:
                    pass
            if self.number == 2:
                second.set()
            if self.number == 4:
                over.set()
                raise StopIteration
            return self.number

    async def body(a, b):
        if a == 1:
            await until(second.is_set)
            assert await_thread(over)
        return {"y": (a, b)}

    def await_thread(event):
        """On the loop: it hears of nothing meanwhile."""
        there = event.wait(20)
        until_ns = time.perf_counter_ns() + 20_000_000
        while time.perf_counter_ns() < until_ns:
            time.sleep(0)  # lets the thread go on
        return there

    result = Hush(zipped(body, max_concurrency=2)).run_sync({"a": Ends(), "b": [1, 2, 3]})
    assert result["ys"] == [(1, 1), (2, 2), (3, 3)]
