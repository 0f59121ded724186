"""Where functions run: in threads, inline, or wherever `executor="auto"` thinks they belong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, code_node
from runtime.observing import outcome, until

MANY = 400  # calls after which a quick function is inline on any machine


def alone(fn, inputs=(), **options):
    """An engine of one node that gives all that its function returns."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={key: PARENT[key] for key in inputs}, outputs=PARENT, **options)
    return Hush(graph)


def each_of(fn, items, **options):
    """An engine of one map with one node as its body."""
    with GraphNode(name="g") as graph:
        with MapNode(
            name="m", inputs={"x": items if isinstance(items, Each) else Each(items)}, max_concurrency=4
        ) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]}, **options)
        each["y"] >> PARENT["y"]
    return Hush(graph)


# ── Overlap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("executor", ["auto", "thread"])
async def test_three_blocking_functions_overlap_on_the_very_first_run_while_the_loop_goes_on(executor):
    """The promise that the guide makes of parallel branches: nobody has to know about threads for it."""
    together, ticked = threading.Event(), threading.Event()
    barrier = threading.Barrier(3, action=together.set)

    def block():
        barrier.wait(10)
        assert ticked.wait(10), "the loop stood still"
        return {"thread": threading.get_ident()}

    with GraphNode(name="g") as graph:
        nodes = [CodeNode(name=name, code_fn=block, inputs={}, executor=executor) for name in "abc"]
        CodeNode(
            name="all",
            code_fn=lambda found: {"threads": set(found)},
            inputs={"found": [node["thread"] for node in nodes]},
            outputs=PARENT,
        )

    async def tick():
        await until(together.is_set)
        for _ in range(10):
            await asyncio.sleep(0)
        ticked.set()

    result, _ = await asyncio.gather(Hush(graph).run(), tick())
    assert len(result["threads"] - {threading.get_ident()}) == 3


async def test_blocking_items_of_a_map_overlap_up_to_its_limit():
    barrier = threading.Barrier(4)

    def block(x):
        barrier.wait(10)
        return {"y": x}

    assert (await each_of(block, range(4)).run())["y"] == [*range(4)]


async def test_a_blocking_function_overlaps_with_a_coroutine():
    go = threading.Event()

    def block():
        assert go.wait(10)
        return {"a": 1}

    async def release():
        await asyncio.sleep(0)
        go.set()
        return {"b": 2}

    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=block, inputs={}, outputs=PARENT)
        CodeNode(name="b", code_fn=release, inputs={}, outputs=PARENT)
    assert await Hush(graph).run() == {"a": 1, "b": 2}


# ── The three executors ──────────────────────────────────────────────────────────────────────────────────────────────


def thread_teller():
    """A quick function that nothing is known of: it closes over something, so it is remembered by itself alone."""
    ident = threading.get_ident

    def tell(x=None):
        return {"y": ident()}

    return tell


async def test_inline_runs_on_the_loops_thread_from_the_first_call_on():
    assert (await each_of(thread_teller(), range(50), executor="inline").run())["y"] == [threading.get_ident()] * 50


async def test_inline_stays_inline_however_slow_it_is():
    def slow(seconds):
        time.sleep(seconds)
        return {"y": threading.get_ident()}

    engine = alone(slow, ["seconds"], executor="inline")
    assert [(await engine.run({"seconds": s}))["y"] for s in (0.006, 0)] == [threading.get_ident()] * 2


async def test_thread_runs_in_threads_however_quick_it_is():
    found = (await each_of(thread_teller(), range(MANY), executor="thread").run())["y"]
    assert threading.get_ident() not in found


async def test_auto_starts_in_threads_and_goes_inline_once_the_function_is_quick():
    found = (await each_of(thread_teller(), range(MANY)).run())["y"]
    assert threading.get_ident() not in found[:3]
    assert threading.get_ident() in found


async def test_auto_sends_a_function_back_to_threads_after_one_slow_call():
    ident = threading.get_ident

    def sometimes_slow(seconds):
        if seconds:
            time.sleep(seconds)
        return {"y": ident()}

    engine = alone(sometimes_slow, ["seconds"])
    for _ in range(10):  # a busy machine may make a quick call a slow one: warm it up anew then
        for _ in range(MANY):
            if (await engine.run({"seconds": 0}))["y"] == ident():
                break
        if (await engine.run({"seconds": 0.007}))["y"] == ident():
            break
    else:
        raise AssertionError("it never ran inline")
    assert (await engine.run({"seconds": 0}))["y"] != ident()


async def test_what_is_known_of_a_function_outlives_its_graph():
    """Graphs that are rebuilt for each request stay fast."""

    def rebuilt():
        return alone(lambda: {"y": threading.get_ident()})

    found = [(await rebuilt().run())["y"] for _ in range(MANY)]
    assert threading.get_ident() not in found[:3]
    assert threading.get_ident() in found


async def test_a_timeout_pins_a_function_to_a_thread():
    found = (await each_of(thread_teller(), range(MANY), timeout_s=60).run())["y"]
    assert threading.get_ident() not in found


async def test_a_factory_passes_its_executor_on():
    @code_node
    def tell():
        return {"y": threading.get_ident()}

    with GraphNode(name="g") as graph:
        tell(outputs=PARENT, executor="inline")
    assert (await Hush(graph).run())["y"] == threading.get_ident()


async def test_an_awaitable_from_a_thread_is_awaited_on_the_loop():
    loop = asyncio.get_running_loop()

    async def later(x):
        await asyncio.sleep(0)
        return {"y": asyncio.get_running_loop() is loop}

    assert (await alone(lambda: later(1), executor="thread").run())["y"]


def test_under_the_kits_loop_everything_runs_inline():
    def tell():
        return {"y": threading.get_ident()}

    for executor in ("auto", "thread"):
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=tell, inputs={}, outputs=PARENT, executor=executor)
        assert outcome(graph).result["y"] == threading.get_ident()


# ── No running loop ──────────────────────────────────────────────────────────────────────────────────────────────────


def loop_seeker():
    """Tells whether it runs inline, and whether it sees a running loop."""
    here = threading.get_ident()

    def seek(x=None):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return {"y": (threading.get_ident() == here, False)}
        return {"y": (threading.get_ident() == here, True)}

    return seek


async def test_under_auto_no_function_sees_a_running_loop():
    """Else the same call would work in a thread and fail inline, after three quick calls."""
    found = (await each_of(loop_seeker(), range(MANY)).run())["y"]
    assert {inline for inline, _ in found} == {True, False}
    assert not any(sees for _, sees in found)


async def test_a_coroutine_after_a_function_sees_the_loop_again():
    seek = loop_seeker()

    async def sees():
        return {"y": asyncio.get_running_loop() is not None}

    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=seek, inputs={})
        two = CodeNode(name="two", code_fn=sees, inputs={}, outputs=PARENT)
        CodeNode(name="three", code_fn=seek, inputs={"x": two["y"]})
        one >> two
    engine = Hush(graph)
    for _ in range(MANY):
        assert (await engine.run())["y"]
    assert asyncio.get_running_loop() is not None


async def test_a_function_may_run_a_loop_of_its_own_wherever_it_runs():
    here = threading.get_ident()

    async def answer():
        await asyncio.sleep(0)
        return 42

    def work(own):
        return {"y": asyncio.run(answer()) if own else None, "inline": threading.get_ident() == here}

    engine = alone(work, ["own"])
    first = await engine.run({"own": True})
    assert (first["y"], first["inline"]) == (42, False)
    for _ in range(MANY):
        if (await engine.run({"own": False}))["inline"]:
            break
    second = await engine.run({"own": True})
    assert (second["y"], second["inline"]) == (42, True)
    await asyncio.sleep(0)


async def test_a_function_that_raises_inline_leaves_the_loop_in_sight():
    here = threading.get_ident()

    def work(fail):
        if fail:
            raise LookupError("inline" if threading.get_ident() == here else "thread")
        return {"inline": threading.get_ident() == here}

    engine = alone(work, ["fail"])
    for _ in range(MANY):
        if (await engine.run({"fail": False}))["inline"]:
            break
    with pytest.raises(LookupError, match="inline"):
        await engine.run({"fail": True})
    await asyncio.sleep(0)


# ── sqlite ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def notes(error):
    return "\n".join(getattr(error, "__notes__", ()))


async def test_a_connection_used_in_the_wrong_thread_gets_a_note_with_the_way_out():
    with sqlite3.connect(":memory:") as connection:
        engine = alone(lambda: {"y": connection.execute("select 1").fetchall()})
        with pytest.raises(sqlite3.ProgrammingError) as caught:
            await engine.run()
        assert 'executor="inline"' in notes(caught.value)
        engine = alone(lambda: {"y": connection.execute("select 1").fetchall()}, executor="inline")
        assert (await engine.run())["y"] == [(1,)]
    connection.close()


async def test_another_error_of_sqlite_gets_no_such_note():
    def query():
        connection = sqlite3.connect(":memory:")
        try:
            return {"y": connection.execute("select nothing")}
        finally:
            connection.close()

    with pytest.raises(sqlite3.OperationalError) as caught:
        await alone(query).run()
    assert 'executor="inline"' not in notes(caught.value)


async def test_a_cursor_mapped_over_in_the_wrong_thread_gets_a_note_with_the_way_out():
    with sqlite3.connect(":memory:") as connection:
        rows = "select 1 union select 2 union select 3"
        with pytest.raises(sqlite3.ProgrammingError) as caught:
            await each_of(thread_teller(), Each(connection.execute(rows))).run()
        assert 'pull="inline"' in notes(caught.value)
        engine = each_of(lambda x: {"y": x[0]}, Each(connection.execute(rows), pull="inline"))
        assert (await engine.run())["y"] == [1, 2, 3]
    connection.close()


async def test_a_cursor_beside_an_async_source_is_pulled_inline_too():
    async def numbers():
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    with sqlite3.connect(":memory:") as connection:
        cursor = connection.execute("select 1 union select 2 union select 3")
        with GraphNode(name="g") as graph:
            inputs = {"a": Each(cursor, pull="inline"), "b": Each(numbers())}
            with MapNode(name="m", inputs=inputs) as each:
                reads = {"a": PARENT["a"], "b": PARENT["b"]}
                CodeNode(name="n", code_fn=lambda a, b: {"y": (a[0], b)}, inputs=reads, outputs=PARENT)
            each["y"] >> PARENT["y"]
        assert (await Hush(graph).run())["y"] == [(1, 0), (2, 1), (3, 2)]
    connection.close()


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_generator_is_pulled_beside_the_loop():
    """Its `next()` may read a file or a socket."""
    go = threading.Event()

    def rows():
        yield threading.get_ident()
        assert go.wait(10), "the loop stood still"
        yield threading.get_ident()

    async def body(x):
        go.set()
        return {"y": x}

    async def tick():
        for _ in range(10):
            await asyncio.sleep(0.001)
        go.set()

    result, _ = await asyncio.gather(each_of(body, Each(PARENT["rows"])).run({"rows": rows()}), tick())
    assert threading.get_ident() not in result["y"]


async def test_a_generator_is_pulled_inline_where_the_user_says_so():
    def rows():
        for _ in range(3):
            yield threading.get_ident()

    engine = each_of(lambda x: {"y": x}, Each(rows(), pull="inline"))
    assert (await engine.run())["y"] == [threading.get_ident()] * 3


async def test_a_generator_whose_next_is_quick_is_pulled_inline_after_a_while():
    def rows():
        for _ in range(MANY):
            yield threading.get_ident()

    engine = each_of(lambda x: {"y": x}, Each(PARENT["rows"]), executor="inline")
    found = (await engine.run({"rows": rows()}))["y"]
    assert threading.get_ident() not in found[:3]
    assert threading.get_ident() in found


async def test_what_a_quick_iterator_has_shown_is_not_said_of_another_of_its_class():
    """`map(str, rows)` says nothing of `map(download, urls)`."""
    engine = each_of(lambda x: {"y": x}, Each(PARENT["rows"]), executor="inline")
    await engine.run({"rows": map(str, range(MANY))})
    ident = threading.get_ident
    found = await engine.run({"rows": map(lambda _: ident(), range(3))})  # noqa: C417
    assert threading.get_ident() not in found["y"]
