"""Records of the log say of which run, node and item they are, wherever that is known."""

from __future__ import annotations

import ast
import asyncio
import logging
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

import hush
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeCalled, ResourceHub
from hush.core._runtime._gate import SLOW_NS, gate_of, gate_of_code
from hush.core._runtime._pass import BUDGET_NS, pass_of
from hush.core._runtime._watchdog import HELD_UP_NS, Watchdog
from hush.core.protocols import Wanted
from hush.testing import Recorder, run_virtual
from kit.fake_resource import FakeNode, FakeResource
from runtime.blocking import SHORT_S, Call, soon
from runtime.observing import until

RUN = "the-run"


def of_records(caplog: pytest.LogCaptureFixture, words: str) -> list[tuple[Any, Any, Any]]:
    """The fields of the records that say this."""
    found: list[Any] = [record for record in caplog.records if words in record.getMessage()]
    assert all(record.name.startswith("hush.") for record in found)
    return [(record.run, record.node, record.item) for record in found]


def mapped(fn, source=None, **policies) -> GraphNode:
    """``fn`` for each of three items, or of two in each of two others."""
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([0, 1, 2]) if source is None else source}):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, **policies)
    return graph


def quick(fn):
    """``fn``, which has shown that it is, so that it is called on the loop."""
    for _ in range(3):
        gate_of(fn).ran_in_thread(0)
    return fn


def spin() -> None:
    """Take a little longer than a quick function may."""
    until_ns = perf_counter_ns() + SLOW_NS + 1_000_000
    while perf_counter_ns() < until_ns:
        pass


ALONE, LIMITED = {}, {"limit": Limit(concurrency=4)}
"""Most calls are made in the hot loop; those with policies elsewhere."""


@pytest.mark.parametrize("tracer", [None, Recorder])
@pytest.mark.parametrize("policies", [ALONE, LIMITED])
async def test_a_call_that_goes_back_to_threads(caplog, policies, tracer):
    caplog.set_level(logging.INFO, "hush")

    def work(x):
        if x == 1:
            spin()
        return {}

    def made():
        return lambda x: work(x)  # closes over something: its gate is its own

    await Hush(mapped(quick(made()), **policies)).run(tracer=tracer and tracer(), request_id=RUN)
    assert (RUN, "g/m/n", 1) in of_records(caplog, "g/m/n held up the event loop")


async def test_of_runs_that_share_a_function_the_slow_one_is_named(caplog):
    caplog.set_level(logging.INFO, "hush")
    slow: list[str] = []

    def work(x):
        if x in slow:
            spin()
        return {}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=quick(work), inputs={"x": PARENT["x"]})
    engine = Hush(graph)
    await engine.run({"x": "one"}, request_id="one")
    slow.append("two")
    await asyncio.gather(*(engine.run({"x": name}, request_id=name) for name in ("one", "two", "three")))
    assert ("two", "g/n", None) in of_records(caplog, "held up the event loop")


async def test_a_source_that_goes_back_to_threads(caplog):
    caplog.set_level(logging.INFO, "hush")

    def rows():
        yield 0
        spin()
        yield 1

    for _ in range(3):
        gate_of_code(rows.__code__).ran_in_thread(0)
    await Hush(mapped(lambda x: {}, Each(rows()))).run(request_id=RUN)
    assert of_records(caplog, "the source of g/m held up the event loop") == [(RUN, "g/m", None)]


@pytest.mark.parametrize("executor", ["inline", "auto"])
@pytest.mark.parametrize("policies", [ALONE, LIMITED])
async def test_a_call_that_holds_up_the_loop(caplog, policies, executor):
    """The watchdog looks while it runs, in its own thread; here at once, and as if a second had passed."""
    budget = pass_of(asyncio.get_running_loop())

    def made():
        def work(x):
            before_ns, budget.deadline_ns = budget.deadline_ns, perf_counter_ns() - HELD_UP_NS - 1 + BUDGET_NS
            if budget.at is not None:
                Watchdog()._look_at(budget, {})
            budget.deadline_ns = before_ns
            return {}

        return quick(work)

    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"y": Each([0, 1])}):
        with MapNode(name="m", inputs={"x": Each([0, 1, 2])}, max_concurrency=2):
            CodeNode(name="n", code_fn=made(), inputs={"x": PARENT["x"]}, executor=executor, **policies)
        CodeNode(name="last", code_fn=made(), inputs={"x": PARENT["y"]}, executor="inline")
    await Hush(graph).run(request_id=RUN)
    found = of_records(caplog, "has held up the event loop")
    expected = [(RUN, "g/outer/m/n", x) for x in (0, 1, 2)] * 2 + [(RUN, "g/outer/last", y) for y in (0, 1)]
    if executor == "inline":
        assert sorted(found) == sorted(expected)
    assert found  # on a busy machine one may have gone back to threads
    assert set(found) <= set(expected)
    assert (budget.at, budget.frame, budget.run) == (None, None, None)  # nothing is kept alive by it


async def test_a_call_that_is_left_behind(caplog):
    call = Call()
    engine = Hush(mapped(lambda x: call() if x == 1 else {}, executor="thread"), grace_s=SHORT_S)
    task = asyncio.ensure_future(engine.run(request_id=RUN))
    try:
        await soon(until(call.started.is_set))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
    finally:
        call.go.set()
    assert of_records(caplog, "left behind in its thread") == [(RUN, "g/m/n", 1)]


async def test_a_source_that_is_left_behind(caplog):
    call = Call()

    def rows(y):
        yield 1
        if y == 1:
            call()
        yield 2

    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"y": Each([0, 1])}):
        made = CodeNode(name="rows", code_fn=lambda y: {"rows": rows(y)}, inputs={"y": PARENT["y"]})
        with MapNode(name="m", inputs={"x": Each(made["rows"])}):
            CodeNode(name="n", code_fn=lambda x: {}, inputs={"x": PARENT["x"]})
    task = asyncio.ensure_future(Hush(graph, grace_s=SHORT_S).run(request_id=RUN))
    try:
        await soon(until(call.started.is_set))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
    finally:
        call.go.set()
    assert of_records(caplog, "a source of g/outer/m did not return") == [(RUN, "g/outer/m", 1)]


def hear_of_calls(answer, **given) -> Recorder:
    """What is told of two calls of a resource that answers so."""
    recorder = Recorder()
    recorder.sees_calls = True
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}):
        FakeNode("n", inputs={"text": PARENT["x"]}, **given)
    engine = Hush(graph, resources=ResourceHub({"fake:a": FakeResource("fake:a", answer)}))
    result = run_virtual(lambda: engine.run({"xs": ["a", "b"]}, tracer=recorder, request_id=RUN))
    assert result.status == "ok"
    return recorder


def test_an_answer_of_which_a_resource_cannot_tell(caplog):
    async def answers(request, serving):
        serving.answered(lambda: 1 / 0)
        return {"answer": "yes"}

    hear_of_calls(lambda *_: answers)
    assert of_records(caplog, "cannot tell what it has answered") == [(RUN, "g/m/n", 0), (RUN, "g/m/n", 1)]


def test_a_request_of_which_a_resource_cannot_tell(caplog):
    recorder = hear_of_calls(None, asked=lambda request, resource: 1 / 0)
    assert of_records(caplog, "cannot tell what it is asked") == [(RUN, "g/m/n", 0), (RUN, "g/m/n", 1)]
    asked = [event for event in recorder.events if isinstance(event, NodeCalled) and event.resource]
    assert [(event.resource, event.about) for event in asked] == [("fake:a", None)] * 2


def test_a_tracer_that_cannot_say_what_it_wants(caplog):
    class Picky:
        terse = sees_calls = True

        def emit(self, event, /):
            pass

        def attach(self, under_way, /):
            pass

        def wants(self, path, items, /) -> Wanted | None:
            raise ValueError(path)

    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"y": Each([0, 1])}, max_concurrency=1):
        with MapNode(name="m", inputs={"x": Each([1, 2])}):
            CodeNode(name="n", code_fn=lambda x: {}, inputs={"x": PARENT["x"]})
    asyncio.run(Hush(graph).run(tracer=Picky(), request_id=RUN))
    assert of_records(caplog, "from now on each item is told of") == [(RUN, "g/outer/m", 0)]


OF_NO_RUN = {
    "_listed.py": 1,  # the prices that a package brings
    "_reached.py": 1,  # what a resource opens, for whoever comes
    "_opened.py": 1,
    "_registry.py": 1,
    "_sending.py": 1,  # variables
    "_complaints.py": 1,  # spans of several runs that were lost
    "_painter.py": 1,  # the bars of all runs
    "_pipeline.py": 1,  # the spans of all runs
}
LEVELS = {"debug", "info", "warning", "error", "exception", "log", "critical"}


def test_each_record_says_what_it_is_about_unless_it_is_of_no_run():
    silent: dict[str, int] = {}
    for file in Path(hush.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in LEVELS
                and not any(given.arg == "extra" and says_which(given.value) for given in node.keywords)
            ):
                silent[file.name] = silent.get(file.name, 0) + 1
    assert silent == OF_NO_RUN


def says_which(fields: ast.expr) -> bool:
    """Whether the fields are of a run, or made elsewhere."""
    if isinstance(fields, ast.Dict) and None not in fields.keys:
        return "run" in [key.value for key in fields.keys if isinstance(key, ast.Constant)]
    return True
