"""`run_sync`: one loop for the process, in a thread of its own, for code that is not async."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import signal
import threading

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush, UsageError

# As in the guide: made at import, where no loop runs. One permit, so that calls really wait for each other.
_semaphore = asyncio.Semaphore(1)
_lock = asyncio.Lock()
_var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="default")


def engine_of(*fns, **given):
    with GraphNode(name="g") as graph:
        for place, fn in enumerate(fns):
            CodeNode(name=f"n{place}", code_fn=fn, outputs={"y": PARENT[f"y{place}"]}, **given)
    return Hush(graph)


async def limited():
    async with _semaphore:
        await asyncio.sleep(0)
        async with _lock:
            await asyncio.sleep(0)
            return {"y": 1}


async def loop_and_thread():
    return {"y": (id(asyncio.get_running_loop()), threading.current_thread())}


def test_asyncio_objects_made_at_import_work_in_every_call():
    """They belong to the first loop on which somebody waits for them: so all calls share one."""
    engine = engine_of(limited, limited, limited)
    for _ in range(3):
        assert dict(engine.run_sync()) == {"y0": 1, "y1": 1, "y2": 1}
    assert dict(engine_of(limited, limited).run_sync()) == {"y0": 1, "y1": 1}


def test_all_calls_run_on_one_loop_in_a_daemon_thread():
    """A daemon, so that it holds up nobody's exit."""
    first = engine_of(loop_and_thread).run_sync()["y0"]
    second = engine_of(loop_and_thread).run_sync()["y0"]
    assert first == second
    assert first[1] is not threading.current_thread()
    assert first[1].daemon


async def test_it_works_where_a_loop_is_running():
    """In notebooks: the loop that runs here is not the one that works."""
    found, _ = engine_of(loop_and_thread).run_sync()["y0"]
    assert found != id(asyncio.get_running_loop())


def test_many_threads_may_call_at_once():
    engine = engine_of(limited, limited)
    results = []
    threads = [threading.Thread(target=lambda: results.append(dict(engine.run_sync()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"y0": 1, "y1": 1}] * 8


def test_calls_from_two_threads_are_at_work_at_the_same_time():
    """One loop is no queue: a run that waits holds up no other."""
    meet = asyncio.Barrier(2)

    async def both():
        await asyncio.wait_for(meet.wait(), 10)
        return {"y": 1}

    results = []
    threads = [threading.Thread(target=lambda: results.append(engine_of(both).run_sync()["y0"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1, 1]


@pytest.mark.parametrize("executor", ["auto", "inline", "thread"])
def test_functions_see_the_callers_context_variables(executor):
    """Request ids and the like are set before the call, in whatever framework."""
    token = _var.set("caller")
    try:
        engine = engine_of(lambda: {"y": _var.get()}, executor=executor)
        assert engine.run_sync()["y0"] == "caller"
    finally:
        _var.reset(token)


def test_an_async_function_sees_the_callers_context_variables():
    async def read():
        await asyncio.sleep(0)
        return {"y": _var.get()}

    context = contextvars.copy_context()
    context.run(_var.set, "caller")
    assert context.run(engine_of(read).run_sync)["y0"] == "caller"


def test_what_a_run_sets_the_caller_does_not_see():
    async def change():
        _var.set("changed")
        return {"y": 1}

    def change_too():
        _var.set("changed")
        return {"y": 1}

    engine_of(change, change_too).run_sync()
    assert _var.get() == "default"


@pytest.mark.parametrize("executor", ["auto", "inline"])
def test_on_the_loops_own_thread_it_raises_and_names_await(executor):
    """There it would wait for itself."""
    inner = engine_of(lambda: {"y": 1})

    async def nested():
        return {"y": inner.run_sync()}

    with pytest.raises(UsageError, match="await"):
        engine_of(nested, executor=executor).run_sync()


def test_inline_it_raises_and_names_await():
    inner = engine_of(lambda: {"y": 1})
    with pytest.raises(UsageError, match="await"):
        engine_of(lambda: {"y": inner.run_sync()}, executor="inline").run_sync()


def test_in_a_worker_thread_it_works():
    """A `def` in a thread waits, the loop works on."""
    inner = engine_of(lambda: {"y": 1})
    outer = engine_of(lambda: {"y": dict(inner.run_sync())}, executor="thread")
    assert outer.run_sync()["y0"] == {"y0": 1}


async def test_an_engine_may_be_awaited_inside_a_node_of_another():
    inner = engine_of(lambda: {"y": 1})

    async def nested():
        return {"y": dict(await inner())}

    assert dict(await engine_of(nested).run()) == {"y0": {"y0": 1}}


def test_it_gives_the_same_result_as_run():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)
    ids = {"request_id": "r", "user_id": "u", "session_id": "s"}
    for result in (engine.run_sync({"x": 1}, **ids), asyncio.run(engine.run({"x": 1}, **ids))):
        assert dict(result) == {"y": 2}
        assert (result.request_id, result.user_id, result.session_id, result.status) == ("r", "u", "s", "ok")


async def test_calling_an_engine_is_run():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x + 1}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)
    assert dict(await engine({"x": 1})) == dict(await engine.run(inputs={"x": 1})) == {"y": 2}
    assert engine.name == "g"


@pytest.mark.parametrize("error", [ValueError("mine"), KeyError("k"), asyncio.CancelledError("mine")])
def test_an_exception_comes_through_as_it_is(error):
    def boom():
        raise error

    with pytest.raises(type(error)) as caught:
        engine_of(boom).run_sync()
    assert caught.value is error


def test_a_timeout_of_the_run_is_raised_here():
    async def wait():
        await asyncio.Event().wait()
        return {"y": 1}

    with pytest.raises(TimeoutError):
        engine_of(wait).run_sync(timeout_s=0.01)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")
def test_an_interrupt_cancels_the_run_and_waits_for_it():
    """Ctrl-C in the middle of a load must not leave it at work behind the prompt."""
    ended = []

    async def work():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("work")
        return {"y": 1}

    with pytest.raises(KeyboardInterrupt):
        engine_of(work).run_sync()
    assert ended == ["work"]
    assert dict(engine_of(limited).run_sync()) == {"y0": 1}


def test_wrong_arguments_raise_at_the_line():
    engine = engine_of(lambda: {"y": 1})
    for given in ({"inputs": [1]}, {"inputs": "x"}, {"timeout_s": "1"}, {"timeout_s": True}, {"tracer": 5}):
        with pytest.raises(TypeError):
            engine.run_sync(**given)
    for given in ({"kept": True}, {"limit": 1}):
        with pytest.raises(TypeError):
            engine.run_sync(**given)
    for seconds in (0, -1, float("nan")):
        with pytest.raises((TypeError, ValueError)):
            engine.run_sync(timeout_s=seconds)


@pytest.mark.parametrize("grace_s", [-1, "1", None, float("nan"), True])
def test_the_grace_is_a_number_of_seconds(grace_s):
    with GraphNode(name="g") as graph:
        CodeNode(code_fn=functools.partial(dict, y=1))
    with pytest.raises((TypeError, ValueError)):
        Hush(graph, grace_s=grace_s)
