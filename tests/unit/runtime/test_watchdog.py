"""The watchdog: what it says of a call that holds up a loop, without waiting a second for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from time import perf_counter_ns
from types import SimpleNamespace

import pytest

from hush.core import CodeNode, GraphNode, Hush
from hush.core._runtime._pass import BUDGET_NS, Pass, busy_passes, pass_of
from hush.core._runtime._watchdog import HELD_UP_NS, Watchdog


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


def held(loop, since_ns, step):
    """The budget of a loop on which `step` has been running for `since_ns`."""
    budget = Pass(loop)
    budget.deadline_ns = perf_counter_ns() - since_ns + BUDGET_NS
    budget.at = step
    return budget


def test_a_call_past_a_second_is_named_once(loop, caplog):
    slow = SimpleNamespace(path="g/slow", where="graph.py:7")
    budget = held(loop, HELD_UP_NS + 10_000_000, slow)
    named = {}
    with caplog.at_level(logging.WARNING, "hush.executor"):
        Watchdog()._look_at(budget, named)
        Watchdog()._look_at(budget, named)
    (record,) = caplog.records
    assert "g/slow has held up the event loop for 1.0 s (graph.py:7)" in record.getMessage()
    assert 'executor="thread"' in record.getMessage()


def test_a_call_within_a_second_or_a_loop_at_rest_is_not(loop, caplog):
    short = held(loop, HELD_UP_NS // 2, SimpleNamespace(path="g/short", where="graph.py:9"))
    rest = held(loop, HELD_UP_NS * 3, None)
    with caplog.at_level(logging.WARNING, "hush.executor"):
        Watchdog()._look_at(short, {})
        Watchdog()._look_at(rest, {})
    assert not caplog.records


async def test_it_looks_at_a_loop_while_something_runs_there_and_not_else():
    budget, seen = pass_of(asyncio.get_running_loop()), []

    async def look():
        await asyncio.sleep(0)
        seen.append(budget in busy_passes())

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=look, inputs={})
    await asyncio.gather(Hush(graph).run(), Hush(graph).run())
    assert (seen, budget in busy_passes()) == ([True, True], False)


def test_a_run_does_without_where_no_thread_can_be_had_and_the_next_one_tries_again(monkeypatch):
    """As while the interpreter ends, on Python 3.12."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    watchdog = Watchdog()
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        watchdog.wake()
    started = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    watchdog.wake()
    watchdog.wake()
    assert [thread.name for thread in started] == ["hush-watchdog"]
