"""What a run tells when it is asked why it stands still: by its handle, by a signal, and by itself once."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import signal
import sqlite3
import threading
from contextlib import closing

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry, why_on_signal
from hush.testing import run_virtual


def node(fn, **inputs):
    return CodeNode(name="f", code_fn=fn, inputs=inputs, outputs=PARENT)


def pipeline(source, slow, *, ordered=True):
    """Two maps, of which the second streams from the first and awaits ``slow`` for each item."""

    async def first(x):
        return {"y": x}

    async def second(y):
        await slow(y)
        return {"z": y}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(source)}, max_concurrency=2, window=4) as a:
            node(first, x=PARENT["x"])
        with MapNode(name="b", inputs={"y": Each(a["y"])}, max_concurrency=2, ordered=ordered) as b:
            node(second, y=PARENT["y"])
        b["z"] >> PARENT["z"]
    return graph


def state_of(why, path):
    return next(state for state in why.maps if state.path == path)


def test_maps_are_told_in_the_order_of_the_graph():
    async def main():
        stuck = asyncio.Event()

        async def wait(x):
            await stuck.wait()
            return {"y": x}

        async def give(x):
            return {"y": x}

        with GraphNode(name="g") as graph:
            with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=2) as z:
                with MapNode(name="z", inputs={"x": Each([1])}) as inner:
                    node(wait, x=PARENT["x"])
                with MapNode(name="a", inputs={"x": Each(inner["y"])}):
                    node(wait, x=PARENT["x"])
                node(give, x=PARENT["x"])
            with MapNode(name="b", inputs={"x": Each(z["y"])}):
                node(wait, x=PARENT["x"])
        handle = Hush(graph).start({"xs": [1, 2]})
        await asyncio.sleep(1)
        why = handle.why()
        stuck.set()
        await handle
        return [(state.path, state.item) for state in why.maps]

    inner = [("g/m/z", (0,)), ("g/m/z", (1,)), ("g/m/a", (0,)), ("g/m/a", (1,))]
    assert run_virtual(main) == [("g/m", ()), *inner, ("g/b", ())]


def test_the_maps_of_a_root_that_is_a_map_are_told():
    async def main():
        stuck = asyncio.Event()

        async def wait(x):
            await stuck.wait()

        with MapNode(name="m", inputs={"x": Each([1])}) as root:
            with MapNode(name="inner", inputs={"x": Each([1])}):
                CodeNode(name="n", code_fn=wait, inputs={"x": PARENT["x"]})
        handle = Hush(root).start({})
        await asyncio.sleep(1)
        told = [state.path for state in handle.why().maps]
        stuck.set()
        await handle
        return told

    assert run_virtual(main) == ["m", "m/inner"]


def test_a_map_that_is_held_back_names_the_map_that_holds_it_back():
    async def main():
        stuck = asyncio.Event()
        handle = Hush(pipeline(range(100), lambda _: stuck.wait())).start({})
        await asyncio.sleep(1)
        why = handle.why()
        stuck.set()
        await handle
        return why

    why = run_virtual(main)
    a, b = state_of(why, "g/a"), state_of(why, "g/b")
    assert a.waits_for == "b, which streams from it"
    assert (b.at_work, b.head, b.waits_for) == (2, 0, "")
    assert "waits for b, which streams from it" in str(why)
    assert [(one.path, one.item) for one in why.running] == [("g/b/f", (0,)), ("g/b/f", (1,))]


def test_a_map_that_waits_for_its_source_says_so_and_its_reader_too():
    async def main():
        more = asyncio.Event()

        async def source():
            yield 0
            await more.wait()

        async def quick(_):
            return None

        handle = Hush(pipeline(source(), quick)).start({})
        await asyncio.sleep(1)
        why = handle.why()
        more.set()
        await handle
        return why

    why = run_virtual(main)
    assert state_of(why, "g/a").waits_for == "its source"
    assert state_of(why, "g/b").waits_for == "items of the map that it streams from"
    assert state_of(why, "g/b").done == 1


def test_the_head_is_the_first_item_that_has_not_ended():
    async def main():
        stuck = asyncio.Event()

        async def slow(y):
            if y == 5:
                await stuck.wait()

        handle = Hush(pipeline(range(20), slow)).start({})
        await asyncio.sleep(1)
        why = handle.why()
        stuck.set()
        await handle
        return why

    b = state_of(run_virtual(main), "g/b")
    assert (b.done, b.at_work, b.head) == (19, 1, 5)


async def until(holds):
    while not holds():  # noqa: ASYNC110  # what it waits for sets no event
        await asyncio.sleep(0)


class Told(logging.Handler):
    """Keeps what is logged, and tells a loop of it."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.loop = asyncio.get_running_loop()
        self.told = asyncio.Event()

    def emit(self, record):
        self.texts.append(record.getMessage())
        self.loop.call_soon_threadsafe(self.told.set)


@pytest.fixture
async def told():
    handler = Told()
    logger = logging.getLogger("hush.run")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_run_that_stands_still_is_logged_once_with_what_it_is_at(told):
    stuck = asyncio.Event()
    handle = Hush(pipeline(range(100), lambda _: stuck.wait()), stall_s=0.2).start({})
    await told.told.wait()
    told.told.clear()
    with pytest.raises(TimeoutError):  # three more looks
        async with asyncio.timeout(1.5):
            await told.told.wait()
    stuck.set()
    await handle
    (text,) = told.texts
    assert text.startswith("g has stood still for ")
    # How many the second map had taken when it stopped depends on how busy the machine was.
    assert re.search(r"map g/a: [4-6] of 100 items done, waits for b, which streams from it", text)
    assert "at work: g/b/f, item 0 (" in text
    assert "test_why.py:" in text


async def test_a_run_that_moves_is_not_logged(told):
    async def moves(_):
        for _ in range(5):
            await asyncio.sleep(0.01)

    await Hush(pipeline(range(60), moves), stall_s=0.2).run({})
    assert told.texts == []


async def test_a_signal_prints_what_all_runs_are_at():
    stuck, printed = asyncio.Event(), io.StringIO()
    before = signal.getsignal(signal.SIGUSR1)
    try:
        why_on_signal(file=printed)
        handles = [Hush(pipeline(range(100), lambda _: stuck.wait())).start({}, request_id=f"run {n}") for n in "12"]
        await until(lambda: all(len(handle.why().running) == 2 for handle in handles))
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: printed.getvalue().count("at work: g/b/f, item 1") == 2)
        assert "hush: g (run run 1)" in printed.getvalue()
        assert "hush: g (run run 2)" in printed.getvalue()
        stuck.set()
        for handle in handles:
            await handle
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: "no run is under way" in printed.getvalue())
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_map_that_waits_for_room_is_not_said_to_wait_for_its_source():
    """It is woken when half of its window is free, so there may be room while it waits."""

    async def main():
        stuck = asyncio.Event()

        async def slow(y):
            if y == 4:
                await stuck.wait()

        with GraphNode(name="g") as graph:
            with MapNode(name="a", inputs={"x": Each(range(100))}) as a:
                node(lambda x: {"y": x}, x=PARENT["x"])
            with MapNode(name="b", inputs={"y": Each(a["y"])}, max_concurrency=1):
                CodeNode(name="f", code_fn=slow, inputs={"y": PARENT["y"]})
        handle = Hush(graph).start({})
        await asyncio.sleep(1)
        why = handle.why()
        stuck.set()
        await handle
        return why

    assert state_of(run_virtual(main), "g/a").waits_for == "b, which streams from it"


def test_a_cursor_of_another_thread_that_is_pulled_inline_is_told_how_to_be_pulled():
    opened, ready, done = [], threading.Event(), threading.Event()

    def own():
        with closing(sqlite3.connect(":memory:")) as connection:
            opened.append(connection)
            ready.set()
            done.wait()

    thread = threading.Thread(target=own)
    thread.start()
    ready.wait()

    def rows():
        yield from opened[0].execute("select 1")

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}):
            CodeNode(name="f", code_fn=lambda x: None, inputs={"x": PARENT["x"]})

    async def main():
        with pytest.raises(sqlite3.ProgrammingError) as caught:
            await Hush(graph).run({"rows": rows()})
        return "\n".join(caught.value.__notes__)

    notes = run_virtual(main)
    done.set()
    thread.join()
    assert 'pull="inline"' in notes
    assert "executor=" not in notes


def told_of(limit, **policies):
    """What a run tells after a second in which each of 10 calls takes 5 s."""

    async def call(x):
        await asyncio.sleep(5)
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(10))}, max_concurrency=10):
            CodeNode(name="f", code_fn=call, inputs={"x": PARENT["x"]}, limit=limit, **policies)

    async def main():
        handle = Hush(graph).start({})
        await asyncio.sleep(1)
        why = handle.why()
        await handle
        return why

    return run_virtual(main)


def test_who_waits_for_a_limit_is_told_with_how_the_limit_stands():
    why = told_of(Limit(concurrency=3, name="crm"))
    assert [one.item for one in why.running] == [(0,), (1,), (2,)]
    assert sorted(one.item for one in why.queued) == [(n,) for n in range(3, 10)]
    (state,) = why.limits
    assert (state.name, state.waiting, state.in_use, state.most, state.next_s) == ("crm", 7, 3, 3, None)
    assert "limit crm: 7 waiting, 3 of 3 in use, the next when a call ends" in str(why)


def test_when_a_rate_lets_the_next_one_go_is_told():
    (state,) = told_of(Limit(per_minute=2)).limits
    assert (state.waiting, state.in_use) == (8, 2)
    assert 59 <= state.next_s <= 60.8  # the window, and 3 % for the clock of a server


def test_a_limit_for_which_nobody_waits_is_not_told():
    assert told_of(Limit(concurrency=10)).limits == ()


def test_who_waits_for_the_next_attempt_is_not_said_to_be_at_work():
    async def call(x):
        if x == 1:
            raise ConnectionError
        await asyncio.sleep(5)

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(2))}):
            retry = Retry(max_attempts=2, backoff_s=3, jitter=False)
            CodeNode(name="f", code_fn=call, inputs={"x": PARENT["x"]}, retry=retry)

    async def main():
        handle = Hush(graph).start({})
        await asyncio.sleep(1)
        why = handle.why()
        await handle
        return why

    why = run_virtual(main)
    assert [one.item for one in why.running] == [(0,)]
    assert [one.item for one in why.retrying] == [(1,)]
    assert "waiting for the next attempt:" in str(why)


def test_what_was_cancelled_inside_an_item_is_forgotten():
    async def call(x):
        await asyncio.sleep(5)

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(3))}, item_timeout_s=1, max_concurrency=1):
            CodeNode(name="f", code_fn=call, inputs={"x": PARENT["x"]})

    async def main():
        handle = Hush(graph).start({})
        await asyncio.sleep(2.5)
        why = handle.why()
        await handle
        return why

    assert [one.item for one in run_virtual(main).running] == [(2,)]


async def test_items_in_worker_processes_are_at_work_too(tmp_path):
    """They are let go by a file, since a process of their own hears of nothing else."""
    go = tmp_path / "go"

    def wait(x):
        import time
        from pathlib import Path

        while not Path(go).exists():
            time.sleep(0.01)
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2])}, executor="process", max_concurrency=1):
            CodeNode(name="f", code_fn=wait, inputs={"x": PARENT["x"]})
    handle = Hush(graph).start({})
    await until(lambda: any(state.at_work for state in handle.why().maps))
    (state,) = handle.why().maps
    assert state.head == 0
    go.touch()
    await handle
