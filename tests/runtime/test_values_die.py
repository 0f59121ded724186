"""Values die after their last reader, and what nobody reads is not kept: proved with weak references."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from hush.core import PARENT, CacheError, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeRetrying, Retry
from hush.testing import Recorder, run_virtual
from kit.dying import Watch
from kit.faults import Boom
from runtime.observing import forget_callers

pytestmark = pytest.mark.usefixtures("no_garbage_collector")


@pytest.fixture
def watch():
    return Watch()


def leaf(name, fn, inputs=None, *, kind="inline", **options):
    """A node of the given kind around a `def`."""
    if kind == "inline":
        return CodeNode(name=name, code_fn=fn, inputs=inputs or {}, executor="inline", **options)

    async def later(**given):
        await asyncio.sleep(0)
        return fn(**given)

    keys = list(inputs or {})
    if not keys:

        async def code():
            return await later()
    elif keys == ["p"]:

        async def code(p):
            given = {"p": p}
            del p
            await asyncio.sleep(0)
            return fn(**given)
    else:

        async def code(n):
            return await later(n=n)

    return CodeNode(name=name, code_fn=code, inputs=inputs or {}, **options)


def run(graph, inputs=None, *, threads=False):
    engine = Hush(graph)
    if threads:
        return asyncio.run(engine.run(inputs()))
    return run_virtual(lambda: engine.run(inputs() if inputs else None))


kinds = pytest.mark.parametrize("kind", ["inline", "async"])


# ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@kinds
def test_a_value_dies_after_its_last_reader(watch, kind):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()}, kind=kind)
        read = leaf("read", lambda p: {"n": watch.count()}, {"p": make["p"]}, kind=kind)
        leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, kind=kind, outputs=PARENT)
    assert run(graph) == {"then": 1, "now": 0}


@kinds
def test_a_value_lives_until_the_last_of_several_readers_has_ended(watch, kind):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()}, kind=kind)
        one = leaf("one", lambda p: {"n": 1}, {"p": make["p"]}, kind=kind)
        look = leaf("look", lambda n: {"between": watch.count()}, {"n": one["n"]}, kind=kind, outputs=PARENT)
        two = leaf("two", lambda p: {"n": 2}, {"p": make["p"]}, kind=kind)
        look >> two
        leaf("after", lambda n: {"n": watch.count()}, {"n": two["n"]}, kind=kind, outputs={"n": PARENT["after"]})
    assert run(graph) == {"between": 1, "after": 0}


@kinds
def test_outputs_that_nobody_reads_are_not_kept(watch, kind):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make(), "n": 1}, kind=kind)
        leaf("look", lambda n: {"now": watch.count()}, {"n": make["n"]}, kind=kind, outputs=PARENT)
    assert run(graph) == {"now": 0}


@kinds
def test_a_long_pipeline_holds_two_values_at_a_time(watch, kind):
    """However long: the one it reads and the one it makes."""
    with GraphNode(name="g") as graph:
        node = leaf("first", lambda: {"p": watch.make()}, kind=kind)
        for number in range(20):
            node = leaf(f"n{number}", lambda p: {"p": watch.make()}, {"p": node["p"]}, kind=kind)
        node["p"] >> PARENT["p"]
    result = run(graph)
    assert watch.most <= 2
    assert watch.count() == 1
    del result
    assert watch.count() == 0


@kinds
def test_the_inputs_of_a_run_die_after_their_last_reader(watch, kind):
    with GraphNode(name="g") as graph:
        read = leaf("read", lambda p: {"n": watch.count()}, {"p": PARENT["p"]}, kind=kind)
        leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, kind=kind, outputs=PARENT)
    assert run(graph, lambda: {"p": watch.make()}) == {"then": 1, "now": 0}


@kinds
def test_a_value_that_is_read_through_a_reference_dies_too(watch, kind):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": [watch.make()]}, kind=kind)
        read = leaf("read", lambda p: {"n": watch.count()}, {"p": make["p"][0]}, kind=kind)
        leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, kind=kind, outputs=PARENT)
    assert run(graph) == {"then": 1, "now": 0}


def test_a_value_of_a_node_in_a_thread_dies_too(watch):
    """The worker thread must let go of the call and its result, though it stays for the next."""
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"p": watch.make()}, inputs={}, executor="thread")
        read = CodeNode(name="read", code_fn=lambda p: {"n": 1}, inputs={"p": make["p"]}, executor="thread")
        look = lambda n: {"now": watch.count()}  # noqa: E731
        CodeNode(name="look", code_fn=look, inputs={"n": read["n"]}, executor="thread", outputs=PARENT)
    assert asyncio.run(Hush(graph).run()) == {"now": 0}


def test_what_a_skipped_reader_would_have_read_dies(watch):
    def bad():
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()})
        fails = leaf("fails", bad, on_error="collect")
        skipped = CodeNode(
            name="skipped", code_fn=lambda p, x: {}, inputs={"p": make["p"], "x": fails["x"]}, executor="inline"
        )
        late = leaf("late", lambda: {"now": watch.count()}, outputs=PARENT)
        other = leaf("other", dict)
        skipped >> other
        make >> late
        fails >> late
    run(graph)
    assert watch.count() == 0


def test_nothing_of_a_failed_run_is_kept_but_its_exception(watch):
    def bad(p):
        raise Boom("bad")

    async def waits(p):
        await asyncio.sleep(9)

    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()})
        CodeNode(name="waits", code_fn=waits, inputs={"p": make["p"]})
        CodeNode(name="bad", code_fn=bad, inputs={"p": make["p"]}, executor="inline")
    engine = Hush(graph)
    with pytest.raises(Boom) as caught:
        run_virtual(engine.run)
    error = caught.value.with_traceback(None)
    del caught
    gc.collect()
    assert isinstance(error, Boom)
    assert watch.count() == 0


# ── Containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


@kinds
def test_a_value_given_to_a_nested_graph_dies_after_its_last_reader_there(watch, kind):
    """The last reader is a node: the graph around it only hands the value down."""
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()}, kind=kind)
        with GraphNode(name="inner", inputs={"p": make["p"]}, outputs=PARENT):
            read = leaf("read", lambda p: {"n": watch.count()}, {"p": PARENT["p"]}, kind=kind)
            leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, kind=kind, outputs=PARENT)
    assert run(graph) == {"then": 1, "now": 0}


@kinds
def test_a_value_made_in_a_nested_graph_dies_with_its_last_reader_outside(watch, kind):
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner:
            leaf("make", lambda: {"p": watch.make()}, kind=kind, outputs=PARENT)
        read = leaf("read", lambda p: {"n": watch.count()}, {"p": inner["p"]}, kind=kind)
        leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, kind=kind, outputs=PARENT)
    assert run(graph) == {"then": 1, "now": 0}


def test_what_a_nested_graph_writes_and_nobody_reads_is_not_kept(watch):
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner:
            leaf("make", lambda: {"p": watch.make(), "n": 1}, outputs={"p": PARENT["p"], "n": PARENT["n"]})
        leaf("look", lambda n: {"now": watch.count()}, {"n": inner["n"]}, outputs=PARENT)
    assert run(graph) == {"now": 0}


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def mapped(source, body, *, read=(), limit=4, then=None):
    """A map over the source; `then` looks after it."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"p": Each(source)}, max_concurrency=limit) as each:
            body()
        if then is not None:
            node = leaf("then", then, {"n": each["n"]}, outputs=PARENT)
        for key in read:
            each[key] >> PARENT[key]
        assert then is None or node
    return graph


@kinds
def test_items_die_when_they_are_finished(watch, kind):
    def rows():
        for _ in range(300):
            yield watch.make()

    def body():
        leaf("n", lambda p: {"n": 1}, {"p": PARENT["p"]}, kind=kind, outputs=PARENT)

    result = run(mapped(PARENT["rows"], body, read=["n"]), lambda: {"rows": rows()})
    assert result["n"] == [1] * 300
    assert watch.most <= 4 + 32
    assert watch.count() == 0


async def test_items_pulled_in_a_thread_die_when_they_are_finished(watch):
    def rows():
        for _ in range(300):
            yield watch.make()

    def body():
        leaf("n", lambda p: {"n": 1}, {"p": PARENT["p"]}, kind="async", outputs=PARENT)

    await Hush(mapped(PARENT["rows"], body, read=["n"])).run({"rows": rows()})
    assert watch.most <= 4 + 32 + 1
    assert watch.count() == 0


@kinds
def test_results_of_items_that_nobody_reads_are_not_kept(watch, kind):
    """Ten million items with big results must fit, if only one small column is wanted."""

    def body():
        leaf("n", lambda p: {"p": watch.make(), "n": 1}, {"p": PARENT["p"]}, kind=kind, outputs=["p", "n"] and PARENT)

    result = run(mapped(range(300), body, read=["n"]))
    assert len(result["n"]) == 300
    assert watch.most <= 4 + 1
    assert watch.count() == 0


@kinds
def test_values_between_the_nodes_of_a_body_die(watch, kind):
    def body():
        one = leaf("one", lambda p: {"p": watch.make()}, {"p": PARENT["p"]}, kind=kind)
        two = leaf("two", lambda p: {"n": 1}, {"p": one["p"]}, kind=kind)
        leaf("three", lambda n: {"n": watch.count()}, {"n": two["n"]}, kind=kind, outputs=PARENT)

    result = run(mapped(range(50), body, read=["n"], limit=1))
    assert set(result["n"]) == {0}


def test_a_column_dies_after_its_last_reader(watch):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(10))}) as each:
            CodeNode(
                name="n",
                code_fn=lambda x: {"p": watch.make()},
                inputs={"x": PARENT["x"]},
                outputs={"p": PARENT["p"]},
                executor="inline",
            )
        read = leaf("read", lambda p: {"n": watch.count()}, {"p": each["p"]})
        leaf("look", lambda n: {"then": n, "now": watch.count()}, {"n": read["n"]}, outputs=PARENT)
    assert run(graph) == {"then": 10, "now": 0}


def test_a_value_handed_whole_to_every_item_dies_after_the_map(watch):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()})
        with MapNode(name="m", inputs={"x": Each(range(10)), "p": make["p"]}) as each:
            leaf("n", lambda p: {"n": watch.count()}, {"p": PARENT["p"]}, outputs={"n": PARENT["n"]})
        leaf("look", lambda n: {"then": set(n), "now": watch.count()}, {"n": each["n"]}, outputs=PARENT)
    assert run(graph) == {"then": {1}, "now": 0}


def test_a_result_holds_its_outputs_and_nothing_else(watch):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()})
        leaf("more", lambda p: {"q": watch.make()}, {"p": make["p"]}, outputs=PARENT)
    result = run(graph)
    assert list(result) == ["q"]
    assert watch.count() == 1


def test_an_engine_keeps_nothing_of_its_runs(watch):
    with GraphNode(name="g") as graph:
        make = leaf("make", lambda p: {"p": watch.make()}, {"p": PARENT["p"]})
        with MapNode(name="m", inputs={"x": Each(range(3)), "p": make["p"]}) as each:
            leaf("n", lambda p: {"q": watch.make()}, {"p": PARENT["p"]}, outputs={"q": PARENT["q"]})
        each["q"] >> PARENT["q"]
    engine = Hush(graph)
    for _ in range(3):
        run_virtual(lambda: engine.run({"p": watch.make()}))
    gc.collect()
    assert watch.count() == 0


def test_a_graph_that_is_dropped_is_collected():
    """Graphs may be made for each request: nothing global may hold them, their engines or their functions."""

    def request():
        def fn(x):
            return {"x": x}

        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
        engine = Hush(graph)
        asyncio.run(engine.run({"x": 1}))
        return weakref.ref(graph), weakref.ref(fn)

    refs = request()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


# ── Failures that are kept ───────────────────────────────────────────────────────────────────────────────────────────


def raises(p):
    raise Boom("bad")


def one_def():
    leaf("bad", raises, {"p": PARENT["p"]}, outputs=PARENT)


def deep_inside_a_def():
    leaf("bad", lambda p: raises(p), {"p": PARENT["p"]}, outputs=PARENT)


def a_def_behind_an_async_def():
    first = leaf("first", lambda p: {"p": p}, {"p": PARENT["p"]}, kind="async")
    leaf("bad", raises, {"p": first["p"]}, outputs=PARENT)


def a_def_in_a_graph():
    with GraphNode(name="inner", inputs={"p": PARENT["p"]}):
        first = leaf("first", lambda p: {"p": p}, {"p": PARENT["p"]})
        leaf("bad", raises, {"p": first["p"]})


def a_def_with_many_arguments():
    names = ["p", "q", "r", "s"]
    CodeNode(name="bad", code_fn=lambda p, q, r, s: raises(p), inputs=dict.fromkeys(names, PARENT["p"]))


def an_async_def():
    leaf("bad", raises, {"p": PARENT["p"]}, kind="async", outputs=PARENT)


def a_reference():
    leaf("bad", lambda p: {}, {"p": PARENT["p"].apply(raises)}, outputs=PARENT)


def a_def_in_a_thread():
    CodeNode(name="bad", code_fn=raises, inputs={"p": PARENT["p"]}, executor="thread")


def an_async_def_that_is_guarded():
    policies = {"retry": Retry(max_attempts=2, on=Boom), "limit": Limit(concurrency=2), "timeout_s": 9}
    leaf("bad", raises, {"p": PARENT["p"]}, kind="async", **policies)


def an_async_def_that_awaits_another():
    async def inner(p):
        await asyncio.sleep(0)
        raises(p)

    CodeNode(name="bad", code_fn=lambda p: inner(p), inputs={"p": PARENT["p"]})


def what_has_no_form_for_a_cache():
    leaf("bad", raises, {"p": PARENT["p"]}, kind="async", cache="memory", version="1")


BODIES = [
    one_def,
    deep_inside_a_def,
    a_def_behind_an_async_def,
    a_def_in_a_graph,
    a_def_with_many_arguments,
    an_async_def,
    a_reference,
    a_def_in_a_thread,
    an_async_def_that_is_guarded,
    an_async_def_that_awaits_another,
    what_has_no_form_for_a_cache,
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("body", BODIES)
def test_what_failed_items_have_read_dies_though_their_errors_are_kept(watch, body, batch, zipped):
    """An exception holds the frame that it was raised in, that one who called it, and so on: up to the map's own."""
    inputs = {"p": Each(PARENT["rows"]), **({"other": Each(PARENT["rows"])} if zipped else {})}
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs=inputs, batch=batch) as each:
            body()
        each["error"] >> PARENT["errors"]
    errors = run(graph, lambda: {"rows": [watch.make() for _ in range(6)]}, threads=body is a_def_in_a_thread)["errors"]
    gc.collect()
    wanted = CacheError if body is what_has_no_form_for_a_cache else Boom
    assert [type(error) for error in errors] == [wanted] * (6 if batch is None else 3)
    assert watch.count() == 0


@pytest.mark.parametrize("body", BODIES)
def test_what_a_handled_failure_has_read_dies_though_it_is_kept(watch, body):
    with GraphNode(name="g") as graph, GraphNode(name="part", inputs={"p": PARENT["p"]}, on_error="collect"):
        body()
    result = run(graph, lambda: {"p": watch.make()}, threads=body is a_def_in_a_thread)
    gc.collect()
    wanted = CacheError if body is what_has_no_form_for_a_cache else Boom
    assert [type(error) for error in result.errors] == [wanted]
    assert watch.count() == 0


@kinds
@pytest.mark.parametrize("guards", [{}, {"limit": Limit(concurrency=2)}])
def test_failures_that_were_tried_again_keep_no_value_of_their_run(watch, kind, guards):
    """A tracer may keep them for as long as it likes."""
    calls = []

    def second_time(p):
        calls.append(p)
        del p
        if len(calls) == 1:
            raise Boom("bad")
        return {"made": watch.make()}

    with GraphNode(name="g") as graph:
        make = leaf("make", lambda: {"p": watch.make()})
        retry = Retry(max_attempts=2, on=Boom)
        leaf("try", second_time, {"p": make["p"]}, kind=kind, retry=retry, outputs=PARENT, **guards)
    kept = []

    async def main():
        recorder = Recorder()
        await Hush(graph).run(tracer=recorder)
        kept.extend(event.error for event in recorder.events if isinstance(event, NodeRetrying))

    run_virtual(main)
    calls.clear()
    assert [str(error) for error in kept] == ["bad"]
    forget_callers(kept[0])  # which hold the recorder
    assert watch.count() == 0


@pytest.mark.parametrize("batch", [None, 2])
def test_a_map_that_has_ended_keeps_nothing_alive(watch, batch):
    """Nor does what it gave live until the garbage collector comes by, whatever it goes through."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"p": Each(PARENT["rows"]), "q": Each(PARENT["rows"])}, batch=batch) as each:
            leaf("n", lambda p: {"made": watch.make()}, {"p": PARENT["p"]}, outputs=PARENT)
        each["made"] >> PARENT["made"]
    made = run(graph, lambda: {"rows": [watch.make() for _ in range(6)]})["made"]
    assert watch.count() == len(made)
    del made
    assert watch.count() == 0
