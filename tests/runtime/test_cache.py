"""`cache=`: what a node gave for equal inputs is given again, in memory and from a file, and nothing else is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from hush.core import (
    PARENT,
    CacheError,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    NodeCached,
    NodeFinished,
    NodeStarted,
    OutputError,
)
from hush.testing import Recorder, leak_check, run_virtual


@dataclass
class Row:
    id: int
    name: str


@pytest.fixture(params=["memory", "file"])
def cache(request, tmp_path):
    return "memory" if request.param == "memory" else tmp_path / "kept" / "answers.db"


class Counter:
    """Counts calls. Closed over by nobody: a node's function reads it as a global name that is no constant."""

    def __init__(self):
        self.calls = []


counter = Counter()
uses = iter(range(10**9))


@pytest.fixture(autouse=True)
def _fresh():
    counter.calls.clear()


@pytest.fixture
def salt():
    """An input that no other test has: the cache in memory is the process's."""
    return f"salt {next(uses)}"


def double(x, salt):
    counter.calls.append(x)
    return {"y": x * 2, "rows": [x]}


async def double_async(x, salt):
    counter.calls.append(x)
    await asyncio.sleep(0.01)
    return {"y": x * 2, "rows": [x]}


def graph_of(fn, cache, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"*": PARENT}, outputs=PARENT, cache=cache, **policies)
    return graph


@pytest.mark.parametrize("fn", [double, double_async])
@pytest.mark.parametrize("executor", ["auto", "inline", "thread"])
async def test_equal_inputs_are_computed_once_across_runs_and_engines(fn, executor, cache, salt):
    for x, calls in ((1, 1), (1, 1), (2, 2), (1, 2), (1.0, 3)):
        result = await Hush(graph_of(fn, cache, executor=executor)).run({"x": x, "salt": salt})
        assert result == {"y": x * 2, "rows": [x]}
        assert type(result["y"]) is type(x)
        assert len(counter.calls) == calls


async def test_events_say_where_outputs_came_from(cache, salt):
    engine = Hush(graph_of(double_async, cache))
    recorder = Recorder()
    for x in (1, 1):
        await engine.run({"x": x, "salt": salt}, tracer=recorder)
    kinds = [type(event) for event in recorder.events if event.path == "g/n"]
    assert kinds.count(NodeStarted) == kinds.count(NodeFinished) == 2
    assert kinds[-3:] == [NodeStarted, NodeCached, NodeFinished]
    (event,) = [event for event in recorder.events if type(event) is NodeCached]
    assert (event.path, event.item, event.joined, event.outer) == ("g/n", None, False, ())


async def test_what_is_kept_cannot_be_changed_in_place(cache, salt):
    engine = Hush(graph_of(double, cache))
    for _ in range(3):
        result = await engine.run({"x": 1, "salt": salt})
        assert result["rows"] == [1]
        result["rows"].append(9)
    assert counter.calls == [1]


async def test_failures_are_not_kept(cache, salt):
    def breaks(x, salt):
        counter.calls.append(x)
        if len(counter.calls) < 3:
            raise ValueError(f"call {len(counter.calls)}")
        return {"y": x}

    engine = Hush(graph_of(breaks, cache))
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"call {number}") as caught:
            await engine.run({"x": 1, "salt": salt})
        assert caught.value.hush.path == "g/n"
        assert len([note for note in caught.value.__notes__ if "raised in" in note]) == 1
    for _ in range(2):
        assert await engine.run({"x": 1, "salt": salt}) == {"y": 1}
    assert len(counter.calls) == 3


async def test_none_and_a_data_class_are_kept_as_the_outputs_that_they_are(cache, salt):
    def nothing(salt):
        counter.calls.append(0)

    def row(salt):
        counter.calls.append(1)
        return Row(1, "a")

    for _ in range(2):
        assert await Hush(graph_of(nothing, cache)).run({"salt": salt}) == {}
        assert await Hush(graph_of(row, cache)).run({"salt": salt}) == {"id": 1, "name": "a"}
    assert counter.calls == [0, 1]


async def test_declared_types_come_back_as_they_were(cache, salt):
    def rows(salt) -> dict[str, list[Row]]:
        counter.calls.append(0)
        return {"rows": [Row(1, "a"), Row(2, "b")]}

    for _ in range(2):
        result = await Hush(graph_of(rows, cache)).run({"salt": salt})
        assert result["rows"] == [Row(1, "a"), Row(2, "b")]
    assert len(counter.calls) == 1


async def test_tags_are_told_again(cache, salt):
    def tagged(salt):
        counter.calls.append(0)
        return {"y": 1, "$tags": ["slow", "b"]}

    for _ in range(2):
        result = await Hush(graph_of(tagged, cache)).run({"salt": salt})
        assert (result, result.tags) == ({"y": 1}, ("b", "slow"))
    assert len(counter.calls) == 1


async def test_items_of_a_map_share_and_are_in_order(cache, salt):
    recorder = Recorder()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([3, 1, 3, 2, 1]), "salt": salt}):
        CodeNode(name="n", code_fn=double_async, inputs={"*": PARENT}, outputs=PARENT, cache=cache)
    for times in range(2):
        engine = Hush(graph)
        result = await engine.run(tracer=recorder, keep=True)
        assert result.nodes["m"]["y"] == [6, 2, 6, 4, 2]
        assert sorted(counter.calls) == [1, 2, 3]
        cached = [event for event in recorder.events if type(event) is NodeCached]
        assert len(cached) == 2 + 5 * times
    assert {event.item for event in cached if event.joined} == {2, 4}


async def test_an_output_that_cannot_be_kept_fails_the_node(cache, salt):
    def opened(salt):
        return {"client": [object()]}

    with pytest.raises(CacheError) as caught:
        await Hush(graph_of(opened, cache)).run({"salt": salt})
    assert "g/n returned what a cache cannot keep: ['client'][0] is of type object" in str(caught.value)
    assert caught.value.hush.path == "g/n"


async def test_an_input_without_a_certain_form_fails_the_node(cache):
    with pytest.raises(CacheError, match=r"its input x\['a'\] is of type object.*no certain form"):
        await Hush(graph_of(double, cache)).run({"x": {"a": object()}, "salt": 1})
    assert counter.calls == []


async def test_what_is_no_output_at_all_fails_as_ever(cache, salt):
    with pytest.raises(OutputError):
        await Hush(graph_of(lambda salt: 5, cache)).run({"salt": salt})


async def test_a_function_that_changes_what_it_closes_over_is_told_so(cache, salt):
    """Its results could never be found again: a cache that does nothing must not look like one."""
    seen = []

    def notes(salt):
        seen.append(salt)
        return {"y": 1}

    with pytest.raises(CacheError, match=r'closes over or names \(seen\) has changed.*version="1"'):
        await Hush(graph_of(notes, cache)).run({"salt": salt})
    for _ in range(2):
        await Hush(graph_of(notes, cache, version="1")).run({"salt": salt})
    assert len(seen) == 2


async def test_a_handled_failure_of_the_cache_is_handled(salt):
    def opened(salt):
        return {"y": object()}

    result = await Hush(graph_of(opened, "memory", on_error="collect")).run({"salt": salt})
    assert result.status == "partial"
    assert isinstance(result.errors[0], CacheError)


def test_a_node_runs_alone_with_its_cache(cache, salt):
    with GraphNode(name="g"):
        node = CodeNode(name="n", code_fn=double, inputs={"x": 1, "salt": salt}, cache=cache)
    assert [node()["y"], node()["y"], node(x=2)["y"]] == [2, 2, 4]
    assert counter.calls == [1, 2]


def test_in_virtual_time_a_cache_works_and_leaves_nothing_open(cache, salt):
    async def main():
        first = await Hush(graph_of(double_async, cache)).run({"x": 1, "salt": salt})
        second = await Hush(graph_of(double, cache)).run({"x": 1, "salt": salt})
        assert first == second == await Hush(graph_of(double, cache)).run({"x": 1, "salt": salt})

    with leak_check():
        run_virtual(main)
    assert counter.calls == [1, 1]


async def test_a_file_that_stays_open_for_the_next_run_is_no_leak(cache, salt):
    engine = Hush(graph_of(double, cache))
    async with leak_check():
        for x in (1, 1):
            await engine.run({"x": x, "salt": salt})


async def test_a_cached_node_sees_the_context_of_its_run_and_sets_nothing_in_it(salt):
    from contextvars import ContextVar

    variable = ContextVar("variable", default="none")
    globals()["VARIABLE"] = variable

    async def reads(salt):
        found = VARIABLE.get()  # noqa: F821
        VARIABLE.set("changed")  # noqa: F821
        return {"y": found}

    variable.set("mine")
    assert await Hush(graph_of(reads, "memory")).run({"salt": salt}) == {"y": "mine"}
    assert variable.get() == "mine"


def test_each_virtual_loop_has_a_memory_of_its_own():
    """So that the same seed gives the same run."""

    async def slow(n):
        await asyncio.sleep(1)
        return {"y": n}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=slow, inputs={"n": 1}, outputs=PARENT, cache="memory")

    async def twice():
        for _ in range(2):
            assert await Hush(graph).run() == {"y": 1}
        return asyncio.get_running_loop().time()

    assert [run_virtual(twice, seed=1) for _ in range(2)] == [1.0, 1.0]
