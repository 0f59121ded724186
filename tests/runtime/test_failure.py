"""A node that raises: its siblings end first, then the run raises what it raised, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import inspect
import traceback

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush, MissingKeyError, OutputError
from kit.faults import Boom, label, members
from runtime.observing import outcome, unknown


def after(seconds, error=None):
    """A coroutine function that sleeps, then raises."""

    async def code():
        await asyncio.sleep(seconds)
        if error is not None:
            raise error
        return {"y": 1}

    return code


def fails(error):
    """A function that raises."""

    def code():
        raise error

    return code


def parallel(*fns, **policies):
    """A graph with these functions side by side."""
    with GraphNode(name="g") as graph:
        for number, fn in enumerate(fns):
            CodeNode(name=f"n{number}", code_fn=fn, inputs={}, **policies)
    return graph


# ── What happens to the others ───────────────────────────────────────────────────────────────────────────────────────


def test_siblings_are_cancelled_and_awaited_before_the_run_raises():
    ended = []

    async def slow():
        try:
            await asyncio.sleep(9)
        finally:
            await asyncio.sleep(0.5)
            ended.append("slow")

    found = outcome(parallel(slow, after(1, Boom("one")), slow))
    assert label(found.error) == "one"
    assert (ended, found.at_s, found.cancelling) == (["slow", "slow"], 1.5, 0)


def test_what_comes_after_a_failure_does_not_start():
    started = []
    with GraphNode(name="g") as graph:
        bad = CodeNode(name="bad", code_fn=after(1, Boom("bad")), inputs={})
        bad >> CodeNode(name="next", code_fn=lambda: started.append("next"), inputs={})
        slow = CodeNode(name="slow", code_fn=after(2), inputs={})
        slow >> CodeNode(name="later", code_fn=lambda: started.append("later"), inputs={})
    outcome(graph)
    assert started == []


def test_a_failure_in_a_nested_graph_ends_what_runs_outside_it():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"), GraphNode(name="innermost"):
            CodeNode(name="bad", code_fn=after(1, Boom("bad")), inputs={})
        CodeNode(name="slow", code_fn=after(9), inputs={})
    found = outcome(graph)
    assert (label(found.error), found.error.hush.path, found.at_s) == ("bad", "g/inner/innermost/bad", 1)


@pytest.mark.parametrize("order", [1, -1])
async def test_a_sync_failure_leaves_no_coroutine_never_awaited(order):
    """A sibling has given its coroutine already, which nobody will await: it must be closed, and say nothing."""

    def lazy():
        return after(9)()

    fns = [lazy, fails(Boom("bad")), after(9), lazy][::order]
    with pytest.raises(Boom):
        await Hush(parallel(*fns, executor="inline")).run()
    gc.collect()


# ── What is raised ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_the_run_raises_the_users_own_exception(executor):
    error = Boom("mine")
    with pytest.raises(Boom) as caught:
        await Hush(parallel(fails(error), executor=executor)).run()
    assert caught.value is error
    assert caught.value.args == ("mine",)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "code"


def test_the_cause_that_the_user_gave_stays():
    def code():
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise Boom("outer") from inner

    assert isinstance(outcome(parallel(code)).error.__cause__, KeyError)


def test_the_exception_knows_where_it_came_from():
    with GraphNode(name="g") as graph, GraphNode(name="inner"):
        line = inspect.currentframe().f_lineno + 1
        CodeNode(name="bad", code_fn=fails(Boom("bad")), inputs={})
    error = outcome(graph, request_id="r-1").error
    info = error.hush
    assert (info.path, info.run, info.file, info.line) == ("g/inner/bad", "r-1", __file__, line)
    assert (info.item, info.outer, info.key, info.attempt, info.columns) == (None, (), None, 1, None)
    assert "g/inner/bad" in "".join(error.__notes__)
    assert "g/inner/bad" in "".join(traceback.format_exception(error))


def test_an_exception_raised_in_two_runs_speaks_of_the_last_one():
    graph = parallel(fails(Boom("always the same object")))
    outcome(graph, request_id="first")
    error = outcome(graph, request_id="second").error
    assert error.hush.run == "second"
    assert len(error.__notes__) == 1


def test_an_exception_that_cannot_be_written_to_is_raised_all_the_same():
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        what: str

    error = outcome(parallel(fails(Frozen("cold")))).error
    assert (type(error), error.what) == (Frozen, "cold")
    assert error.hush.path == "g/n0"


def test_a_reference_that_cannot_be_read_fails_its_reader():
    """What is done to a reference is done when the reader reads it, by the user's own function."""
    error = Boom("apply")
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: {"y": 1}, inputs={})
        bad = lambda value: fails(error)()  # noqa: E731
        CodeNode(name="two", code_fn=lambda x: {"y": x}, inputs={"x": one["y"].apply(bad)})
    found = outcome(graph).error
    assert found is error
    assert found.hush.path == "g/two"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_what_is_no_ordinary_exception_passes_too(kind, executor):
    async def run():
        try:
            await Hush(parallel(fails(kind()), after(9), executor=executor)).run()
        except BaseException as error:
            return error

    assert isinstance(await run(), kind)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_ordinary_exception_passes_from_a_task_of_its_own_too(kind):
    """Out of a task asyncio would throw it right through the loop, past everything that must be cleaned up."""
    ended = []

    async def slow():
        try:
            await asyncio.sleep(9)
        finally:
            await asyncio.sleep(1)
            ended.append("slow")

    found = outcome(parallel(slow, after(1, kind()), slow))
    assert isinstance(found.error, kind)
    assert ended == ["slow", "slow"]


def test_a_group_that_one_node_raises_is_its_own():
    mine = ExceptionGroup("mine", [Boom("one"), Boom("two")])
    assert outcome(parallel(fails(mine), after(9))).error is mine


# ── Several failures ─────────────────────────────────────────────────────────────────────────────────────────────────


def breaks_down(error):
    """Sleeps, and fails while it is cancelled."""

    async def code():
        try:
            await asyncio.sleep(9)
        finally:
            raise error

    return code


def test_a_group_is_raised_if_several_nodes_failed_on_their_own():
    one, two, three = Boom("one"), LookupError("two"), Boom("three")
    error = outcome(parallel(after(1, one), breaks_down(two), after(9), breaks_down(three))).error
    assert isinstance(error, ExceptionGroup)
    assert {id(each) for each in error.exceptions} == {id(one), id(two), id(three)}
    assert sorted(each.hush.path for each in error.exceptions) == ["g/n0", "g/n1", "g/n3"]


@pytest.mark.parametrize("others", [[], [breaks_down(Boom("two"))]], ids=["one", "several"])
def test_except_star_catches_one_and_many(others):
    """How many of several failing siblings got to fail is a matter of chance: this must not matter to the caller."""
    caught = []
    try:
        raise outcome(parallel(after(1, Boom("one")), *others)).error
    except* Boom as group:
        caught += map(label, group.exceptions)
    assert sorted(caught) == ["one", "two"][: 1 + len(others)]


def test_several_failures_in_nested_graphs_are_one_flat_group():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            CodeNode(name="a", code_fn=after(1, Boom("a")), inputs={})
            CodeNode(name="b", code_fn=breaks_down(Boom("b")), inputs={})
        CodeNode(name="c", code_fn=breaks_down(Boom("c")), inputs={})
    error = outcome(graph).error
    assert sorted(map(label, error.exceptions)) == ["a", "b", "c"]


def test_a_group_of_the_users_stays_whole_beside_another_failure():
    mine = ExceptionGroup("mine", [Boom("one"), Boom("two")])
    error = outcome(parallel(after(1, Boom("three")), breaks_down(mine))).error
    assert any(each is mine for each in error.exceptions)
    assert len(error.exceptions) == 2


def test_failures_that_are_equal_are_two_failures():
    """None is lost: it is the objects that count, whatever their `==` says."""

    @dataclasses.dataclass
    class NotFound(Exception):
        what: str

    one, two = NotFound("x"), NotFound("x")
    error = outcome(parallel(after(1, one), breaks_down(two))).error
    assert {id(each) for each in members(error)} == {id(one), id(two)}


def test_one_object_raised_by_two_nodes_is_raised():
    same = Boom("same")
    error = outcome(parallel(after(1, same), breaks_down(same))).error
    assert all(each is same for each in members(error))


def test_an_interrupt_beside_a_failure_loses_neither():
    error = outcome(parallel(after(1, Boom("one")), breaks_down(KeyboardInterrupt()))).error
    assert isinstance(error, BaseExceptionGroup)
    assert sorted(map(label, error.exceptions)) == ["KeyboardInterrupt", "one"]


@pytest.mark.parametrize("count", [2, 5, 50])
def test_of_many_that_fail_in_one_tick_none_is_lost(count):
    raised = []

    async def code():
        await asyncio.sleep(1)
        raised.append(Boom("one of many"))
        raise raised[-1]

    error = outcome(parallel(*[code] * count)).error
    assert {id(each) for each in members(error)} == {id(each) for each in raised}


# ── Failures that the engine finds ───────────────────────────────────────────────────────────────────────────────────


def test_a_missing_key_is_an_error_that_names_everything():
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: unknown(total=1, count=2), inputs={})
        CodeNode(name="two", code_fn=lambda x: {}, inputs={"x": one["totl"]})
    error = outcome(graph).error
    assert isinstance(error, MissingKeyError)
    assert isinstance(error, KeyError)
    for said in ("one", "'totl'", "'total'", "'count'"):
        assert said in str(error)


@pytest.mark.parametrize("value", [5, "text", [1], (1, 2), {1}, object()], ids=lambda value: type(value).__name__)
def test_what_has_no_keys_is_an_error_that_says_how_to_return_it(value):
    error = outcome(parallel(lambda: value)).error
    assert isinstance(error, OutputError)
    assert "g/n0" in str(error)
    assert "return {" in str(error)


async def test_an_engine_is_as_good_as_new_after_a_failure():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": 1 / x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await engine.run({"x": 0})
        assert (await engine.run({"x": 2}))["y"] == 0.5
