"""Context variables: every node sees the run's, and what a node sets nobody else sees."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

var = contextvars.ContextVar("var", default="nothing")


def on_loop(mark):
    seen = var.get()
    var.set(mark[0] if isinstance(mark, list) else mark)
    return {"seen": seen, "thread": threading.get_ident()}


async def at_once(mark):
    return on_loop(mark)


async def after_a_while(mark):
    found = on_loop(mark)
    await asyncio.sleep(0)
    assert var.get() is (mark[0] if isinstance(mark, list) else mark), "a node must see what it has set itself"
    return found


def returns_a_coroutine(mark):
    return after_a_while(mark)


# What to call, and where: each of these looks at the variable, then sets it to its mark.
KINDS = {
    "inline": (on_loop, {"executor": "inline"}),
    "thread": (on_loop, {"executor": "thread"}),
    "auto": (on_loop, {}),
    "async": (at_once, {}),
    "suspending": (after_a_while, {}),
    "timed": (after_a_while, {"timeout_s": 60}),
    "awaitable": (returns_a_coroutine, {"executor": "inline"}),
}

every_kind = pytest.mark.parametrize("kind", KINDS)


def node(name, kind, mark=None, **options):
    fn, policies = KINDS[kind]
    return CodeNode(name=name, code_fn=fn, inputs={"mark": mark or name}, **policies, **options)


async def run_of(graph, inputs=None):
    var.set("the run's")
    return await Hush(graph).run(inputs)


@every_kind
async def test_a_node_sees_the_variables_of_the_run(kind):
    with GraphNode(name="g") as graph:
        node("n", kind, outputs=PARENT)
    found = await run_of(graph)
    assert found["seen"] == "the run's"
    assert (found["thread"] != threading.get_ident()) == (kind == "thread") or kind == "auto"


@every_kind
@pytest.mark.parametrize("setter", KINDS)
async def test_what_a_node_sets_the_next_one_does_not_see(setter, kind):
    with GraphNode(name="g") as graph:
        node("first", setter) >> node("second", kind, outputs={"seen": PARENT["seen"]})
    assert (await run_of(graph))["seen"] == "the run's"


@every_kind
@pytest.mark.parametrize("setter", KINDS)
async def test_what_a_node_sets_nodes_beside_it_do_not_see(setter, kind):
    with GraphNode(name="g") as graph:
        start = node("start", setter)
        found = []
        for number in range(3):
            found += [node(f"a{number}", setter), node(f"b{number}", kind)]
        start >> found
        CodeNode(
            name="all",
            code_fn=lambda seen: {"seen": set(seen)},
            inputs={"seen": [each["seen"] for each in found]},
            outputs=PARENT,
        )
    assert (await run_of(graph))["seen"] == {"the run's"}


@every_kind
@pytest.mark.parametrize("limit", [1, 3])
async def test_what_an_item_sets_no_other_item_sees(kind, limit):
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(12))}, max_concurrency=limit) as each:
            first = node("first", kind, outputs={"seen": PARENT["one"]})
            first >> node("second", kind, outputs={"seen": PARENT["two"]})
        each["one"] >> PARENT["one"]
        each["two"] >> PARENT["two"]
        after = node("after", kind, outputs={"seen": PARENT["seen"]})
        each >> after
    found = await run_of(graph)
    assert set(found["one"]) | set(found["two"]) | {found["seen"]} == {"the run's"}


@every_kind
@pytest.mark.parametrize("policies", [{}, {"timeout_s": 60}, {"on_error": "collect"}], ids=str)
async def test_what_is_set_inside_a_nested_graph_nobody_outside_sees(kind, policies):
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", **policies) as inner:
            node("first", kind)
            node("second", kind)
        inner >> node("after", kind, outputs={"seen": PARENT["seen"]})
    assert (await run_of(graph))["seen"] == "the run's"


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_what_a_failing_node_has_set_nobody_sees(executor):
    def fails():
        var.set("mine")
        raise LookupError

    async def fails_later():
        var.set("mine")
        await asyncio.sleep(0)
        raise LookupError

    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=fails, inputs={}, executor=executor, on_error="collect")
        two = CodeNode(name="two", code_fn=fails_later, inputs={}, on_error="collect")
        one >> two >> node("after", "async", outputs={"seen": PARENT["seen"]})
    assert (await run_of(graph))["seen"] == "the run's"


class Ambiguous:
    """A value that cannot be compared, as an array cannot."""

    __hash__ = None

    def __eq__(self, other):
        raise ValueError("ambiguous")


class Equal:
    """A value that is equal to everything, as a mock is."""

    __hash__ = None

    def __eq__(self, other):
        return True


@every_kind
@pytest.mark.parametrize("value", [Ambiguous, Equal])
async def test_it_is_the_object_that_counts_and_not_what_its_comparison_says(kind, value):
    with GraphNode(name="g") as graph:
        first = node("first", kind, [value()])
        first >> node("second", kind, outputs={"seen": PARENT["seen"]})
        with MapNode(name="m", inputs={"x": Each(range(2))}, max_concurrency=1) as each:
            node("third", kind, [value()], outputs={"seen": PARENT["seen"]})
        each["seen"] >> PARENT["all"]
    var.set(runs_own := value())
    found = await Hush(graph).run()
    assert found["seen"] is runs_own
    assert all(seen is runs_own for seen in found["all"])


async def test_a_node_may_take_back_what_it_has_set():
    """A token is good only in the context it was made in: a node must keep its context while it waits."""

    async def code():
        token = var.set("mine")
        await asyncio.sleep(0)
        assert var.get() == "mine"
        var.reset(token)
        return {"seen": var.get()}

    with GraphNode(name="g") as graph:
        for number in range(3):
            CodeNode(name=f"n{number}", code_fn=code, inputs={}, outputs={"seen": PARENT[f"s{number}"]})
    assert set((await run_of(graph)).values()) == {"the run's"}


async def test_runs_side_by_side_see_their_own_variables():
    with GraphNode(name="g") as graph:
        first = node("first", "suspending", outputs={"seen": PARENT["one"]})
        first >> node("second", "thread", outputs={"seen": PARENT["two"]})
    engine = Hush(graph)

    async def one(mark):
        var.set(mark)
        return (await engine.run()).values()

    for mark, found in zip("abcd", await asyncio.gather(*map(one, "abcd")), strict=True):
        assert set(found) == {mark}


async def test_a_task_that_a_node_starts_sees_what_the_node_has_set():
    async def code():
        var.set("mine")
        return {"seen": await asyncio.create_task(look())}

    async def look():
        return var.get()

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=code, inputs={}, outputs=PARENT)
    assert (await run_of(graph))["seen"] == "mine"


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_generator_that_a_map_goes_through_sees_the_variables_of_the_run(kind):
    def rows():
        yield var.get()

    async def async_rows():
        yield var.get()

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["rows"])}) as each:
            CodeNode(name="n", code_fn=lambda x: {"seen": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["seen"] >> PARENT["seen"]
    assert (await run_of(graph, {"rows": rows() if kind == "def" else async_rows()}))["seen"] == ["the run's"]
