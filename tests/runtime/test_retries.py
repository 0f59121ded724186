"""Which failures are tried again, how often, and what is told of them, in virtual time."""

from __future__ import annotations

import asyncio
import weakref

import httpx
import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    MissingKeyError,
    NodeFailed,
    NodeFinished,
    NodeRetrying,
    NodeStarted,
    NodeTimeout,
    OutputError,
    Retry,
    UsageError,
    WhileLoopNode,
)
from hush.testing import Recorder, cancel_everywhere, run_virtual
from kit.flaky import Busy, Flaky, Lost, each, one
from runtime.observing import forget_callers, outcome, unknown

EXACT = Retry(backoff_s=1, jitter=False)


def notes_of(error):
    return [note for note in error.__notes__ if note.startswith("Hush: raised in")]


# --- which ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", range(5))
def test_a_node_is_tried_until_it_succeeds(failures):
    flaky = Flaky(failures)
    found = outcome(one(flaky.coroutine, EXACT))
    assert found.result == {"y": 1}
    assert found.result.status == "ok"
    assert not found.result.errors
    assert flaky.calls[1] == failures + 1


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_last_failure_is_the_nodes_own(attempts):
    flaky = Flaky(99)
    found = outcome(one(flaky.coroutine, Retry(max_attempts=attempts, jitter=False)))
    assert type(found.error) is Lost
    assert found.error.args == (1, attempts)
    assert found.error.hush.attempt == attempts
    [note] = notes_of(found.error)
    assert note.endswith(f", attempt {attempts}, not tried again: max_attempts={attempts}")


def test_without_a_retry_nothing_is_tried_again():
    flaky = Flaky(1)
    found = outcome(one(flaky.coroutine))
    assert (flaky.calls[1], found.error.hush.attempt) == (1, 1)
    assert "attempt" not in notes_of(found.error)[0]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        httpx.UnsupportedProtocol("ftp"),
        MissingKeyError("no such key"),
        UsageError("wrong"),
        OutputError("wrong"),
        ExceptionGroup("", [Lost(), ValueError()]),
    ],
    ids=repr,
)
def test_what_would_fail_again_is_not_tried_again(error):
    flaky = Flaky(1, lambda *_: error)
    found = outcome(one(flaky.coroutine, EXACT))
    assert found.error is error
    assert (flaky.calls[1], error.hush.attempt) == (1, 1)
    assert "attempt" not in notes_of(error)[0]


@pytest.mark.parametrize("error", [Busy(1), TimeoutError(), NodeTimeout("of another"), ExceptionGroup("", [Lost()])])
def test_what_may_be_better_is_tried_again(error):
    assert outcome(one(Flaky(1, lambda *_: error).coroutine, EXACT)).result == {"y": 1}


def test_a_failure_of_another_kind_ends_it():
    flaky = Flaky(9, lambda _, number: Lost() if number < 3 else KeyError("gone"))
    found = outcome(one(flaky.coroutine, EXACT))
    assert type(found.error) is KeyError
    assert found.error.hush.attempt == flaky.calls[1] == 3
    assert notes_of(found.error)[0].endswith(", attempt 3")


@pytest.mark.parametrize(
    ("on", "tried"),
    [
        (KeyError, True),
        ((KeyError, OSError), True),
        (LookupError, True),
        (OSError, False),
        (lambda error: error.args == ("gone",), True),
        (lambda error: [], False),
    ],
)
def test_on_says_which_in_place_of_the_default(on, tried):
    flaky = Flaky(1, lambda *_: KeyError("gone"))
    outcome(one(flaky.coroutine, Retry(on=on)))
    assert flaky.calls[1] == (2 if tried else 1)
    lost = Flaky(1)
    outcome(one(lost.coroutine, Retry(on=KeyError)))
    assert lost.calls[1] == 1


@pytest.mark.parametrize("kind", [MissingKeyError, UsageError, OutputError])
def test_mistakes_are_not_tried_again_whatever_on_says(kind):
    flaky = Flaky(1, lambda *_: kind("wrong"))
    outcome(one(flaky.coroutine, Retry(on=Exception)))
    assert flaky.calls[1] == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_no_exception_is_not_tried_again(kind):
    flaky = Flaky(1, lambda *_: kind())

    async def main():
        with pytest.raises(kind):
            await Hush(one(flaky.coroutine, Retry(on=Exception))).run()

    run_virtual(main)
    assert flaky.calls[1] == 1


def test_a_function_that_judges_and_raises_is_the_failure_and_nothing_is_lost():
    def judge(error):
        raise LookupError("cannot say")

    found = outcome(one(Flaky(1).coroutine, Retry(on=judge)))
    assert type(found.error) is LookupError
    assert type(found.error.__context__) is Lost


def test_what_is_made_of_the_output_is_not_tried_again():
    flaky = Flaky(0)
    with GraphNode(name="g") as graph:
        node = CodeNode(
            name="n", code_fn=lambda x: unknown(**flaky.plain(x)), inputs={"x": 1}, retry=Retry(on=Exception)
        )
        node["z"] >> PARENT["z"]
    assert isinstance(outcome(graph).error, MissingKeyError)
    assert flaky.calls[1] == 1

    calls = []
    assert isinstance(outcome(one(lambda x: calls.append(x) or 5, Retry(on=Exception))).error, OutputError)
    assert calls == [1]


# --- where ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["auto", "inline", "thread"])
def test_a_def_is_tried_again_wherever_it_runs(executor):
    flaky = Flaky(2)
    found = outcome(one(flaky.plain, EXACT, executor=executor))
    assert (found.result, found.at_s, flaky.calls[1]) == ({"y": 1}, 3, 3)


def test_a_coroutine_that_a_def_returns_is_tried_again():
    flaky = Flaky(2)
    assert outcome(one(lambda x: flaky.coroutine(x), EXACT)).result == {"y": 1}


def test_a_node_is_tried_again_when_it_runs_alone():
    flaky = Flaky(2)
    with GraphNode(name="g"):
        node = CodeNode(name="n", code_fn=flaky.coroutine, inputs={"x": 1}, retry=Retry(backoff_s=0))
    assert node() == {"y": 1}


def test_every_attempt_gets_the_same_inputs():
    seen = []

    async def code(a, b):
        seen.append((a, b))
        if len(seen) < 3:
            raise Lost
        return {"y": a}

    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"a": object(), "b": [1]}, inputs={})
        CodeNode(name="n", code_fn=code, inputs={"*": first}, outputs=PARENT, retry=EXACT)
    outcome(graph)
    assert len(seen) == 3
    assert len({(id(a), id(b)) for a, b in seen}) == 1


def test_an_item_that_waits_holds_up_no_other():
    flaky = Flaky(2)

    async def code(x):
        return await flaky.coroutine(x) if x == 0 else {"y": x}

    recorder = Recorder()
    found = outcome(each(code, 5, EXACT, width=2), tracer=recorder)
    assert found.result["y"] == [0, 1, 2, 3, 4]
    assert [event.item for event in recorder.events if type(event).__name__ == "ItemFinished"] == [1, 2, 3, 4, 0]


def test_an_item_that_waits_keeps_its_worker():
    flaky = Flaky(1)
    outcome(each(flaky.coroutine, 4, EXACT, width=2))
    assert [round(at_s) for at_s in flaky.at_s] == [0, 0, 1, 1, 1, 1, 2, 2]


def test_every_round_of_a_loop_is_tried_anew():
    flaky = Flaky(2)
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x >= 3") as loop:
            node = CodeNode(
                name="n", code_fn=flaky.coroutine, inputs={"x": PARENT["x"]}, retry=Retry(max_attempts=3, jitter=False)
            )
            (node["y"] + 1) >> PARENT["x"]
        loop["x"] >> PARENT["x"]
    assert outcome(graph).result == {"x": 3}
    assert flaky.calls == {0: 3, 1: 3, 2: 3}


def test_the_error_of_an_item_says_which_attempt_it_was():
    found = outcome(each(Flaky(9).coroutine, 3, Retry(max_attempts=3, backoff_s=0)))
    assert found.result["y"] == [None] * 3
    assert [(e.hush.item, e.hush.attempt, e.args) for e in found.result["errors"]] == [(n, 3, (n, 3)) for n in range(3)]
    assert found.result.errors.total == 3


@pytest.mark.parametrize("handled", ["named", "collected"])
def test_a_failure_is_handled_after_the_last_attempt(handled):
    flaky = Flaky(9)
    with GraphNode(name="g") as graph:
        on_error = "collect" if handled == "collected" else None
        node = CodeNode(name="n", code_fn=flaky.coroutine, inputs={}, retry=EXACT, on_error=on_error)
        if handled == "named":
            node["error"] >> PARENT["error"]
    found = outcome(graph)
    assert found.at_s == 15
    assert [error.hush.attempt for error in found.result.errors] == [5]


def test_a_sibling_that_fails_ends_the_wait():
    async def fails():
        await asyncio.sleep(2)
        raise KeyError("sibling")

    flaky = Flaky(9)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=flaky.coroutine, inputs={}, retry=EXACT)
        CodeNode(name="other", code_fn=fails, inputs={})
    found = outcome(graph)
    assert (type(found.error), found.at_s, flaky.calls[1]) == (KeyError, 2, 2)


def test_a_failure_while_it_is_cancelled_is_not_tried_again():
    calls = []

    async def code():
        calls.append(1)
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            raise Lost("while cleaning up") from None

    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", timeout_s=2, on_error="collect"):
            CodeNode(name="n", code_fn=code, inputs={}, retry=EXACT)
        CodeNode(name="after", code_fn=lambda: {"y": 1}, inputs={}, outputs=PARENT)
    found = outcome(graph)
    assert (found.at_s, calls) == (2, [1])


# --- what is told -----------------------------------------------------------------------------------------------------


def test_events():
    recorder = Recorder()
    outcome(one(Flaky(2).coroutine, EXACT), tracer=recorder, request_id="r")
    about = [event for event in recorder.events if event.path == "g/n"]
    assert [type(event) for event in about][1:] == [NodeStarted, NodeRetrying, NodeRetrying, NodeFinished]
    retries = [event for event in about if isinstance(event, NodeRetrying)]
    assert [(event.attempt, event.wait_s, event.error.args, event.run) for event in retries] == [
        (1, 1, (1, 1), "r"),
        (2, 2, (1, 2), "r"),
    ]


def test_events_of_items_and_of_a_failure():
    recorder = Recorder()
    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"a": Each([0, 1])}):
        with MapNode(name="m", inputs={"x": Each([5, 6, 7])}):
            CodeNode(
                name="n",
                code_fn=Flaky(9).coroutine,
                inputs={"x": PARENT["x"]},
                retry=Retry(max_attempts=2, backoff_s=0),
            )
    outcome(graph, tracer=recorder)
    told = {(e.outer, e.item, e.attempt) for e in recorder.events if isinstance(e, NodeRetrying)}
    assert told == {((a,), x, 1) for a in range(2) for x in range(3)}
    assert sum(isinstance(event, NodeFailed) for event in recorder.events) == 6


def test_a_stream_that_is_full_holds_the_next_attempt_back():
    """Else the buffer would grow by an event for each attempt of each item under way, whoever reads or not."""
    flaky = Flaky(8)

    async def main():
        engine = Hush(each(flaky.coroutine, 400, Retry(backoff_s=0, max_attempts=9, budget=None), width=400))
        async with engine.stream(buffer=100) as stream:
            events = aiter(stream)
            first = await anext(events)
            await asyncio.sleep(100)
            calls, begun = flaky.calls.total(), len(flaky.calls)
            return calls, begun, [first] + [event async for event in events]

    calls, begun, seen = run_virtual(main)
    assert begun > 10
    assert calls < 8 * begun
    assert sum(isinstance(event, NodeRetrying) for event in seen) == 8 * 400
    assert seen[-1].result["y"] == list(range(400))


class Big:
    pass


def test_failures_that_were_tried_again_keep_nothing():
    bigs, errors = [], []

    async def code():
        big = Big()
        bigs.append(weakref.ref(big))
        error = Lost(len(bigs))
        errors.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    engine = Hush(one(lambda x: code(), Retry(max_attempts=4, backoff_s=1)))
    told = []

    async def main():
        recorder = Recorder()
        try:
            await engine.run(tracer=recorder)
        except Lost as error:
            told.extend(event.error for event in recorder.events if isinstance(event, NodeRetrying))
            return error.with_traceback(None)  # this frame, which holds the recorder

    last = run_virtual(main)
    assert last.__context__ is last.__cause__ is None
    assert last.args == (4,)
    assert [error.args for error in told] == [(1,), (2,), (3,)]
    assert all(error.__traceback__.tb_frame.f_code.co_name == "code" for error in told)
    assert [big() for big in bigs[:3]] == [None] * 3
    while told:
        forget_callers(told.pop())  # which hold the recorder too
    assert [error() for error in errors[:3]] == [None] * 3  # without a collection: they lie in no circle


def test_while_a_node_waits_its_failure_is_gone():
    seen = []

    async def code():
        error = Lost()
        seen.append(weakref.ref(error))
        asyncio.get_running_loop().call_later(0.5, lambda: alive.append(seen[-1]() is not None))
        try:
            raise error
        finally:
            del error

    alive = []
    outcome(one(lambda x: code(), Retry(max_attempts=4, backoff_s=1, jitter=False)))
    assert alive == [False, False, False]


def test_an_exception_that_is_raised_again_and_again_does_not_grow():
    error = Lost()
    found = outcome(one(Flaky(9, lambda *_: error).coroutine, Retry(backoff_s=0)))
    assert found.error is error
    assert error.hush.attempt == 5
    assert len(notes_of(error)) == 1
    outcome(one(Flaky(9, lambda *_: error).coroutine, Retry(max_attempts=2, backoff_s=0)))
    assert error.hush.attempt == 2
    assert len(notes_of(error)) == 1


# --- cancelled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_s", [0, 0.5])
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_is_cancelled_at_every_tick(takes_s, times):
    made = []

    async def run():
        flaky = Flaky(2, takes_s=takes_s)
        made.append(flaky)
        await Hush(each(flaky.coroutine, 5, Retry(backoff_s=0.5), width=2)).run()

    def check():
        assert all(flaky.alive == 0 for flaky in made)
        made.clear()

    assert cancel_everywhere(run, times=times, check=check) > 10


def test_the_wait_of_a_run_that_is_cancelled_ends_at_once():
    flaky = Flaky(9, lambda *_: Busy(100))

    async def main():
        task = asyncio.ensure_future(Hush(one(flaky.coroutine, EXACT)).run())
        asyncio.get_running_loop().call_later(7, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == 7
    assert flaky.calls[1] == 1
