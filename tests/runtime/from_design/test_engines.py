"""Engines: graphs that are used again, runs side by side, `run_sync` anywhere, names and drawings."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading

import pytest

from hush.core import (
    PARENT,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    Hush,
    HushError,
    InputError,
    MapNode,
    UsageError,
    WhileLoopNode,
)
from hush.testing import run_virtual
from runtime.from_design.authored import const, result_of

SEEDS = range(6)


def rich():
    """A graph whose nodes finish in different orders and that has every shape."""

    async def work(x, wait):
        await asyncio.sleep(wait)
        return {"y": x + 1}

    with GraphNode(name="rich") as graph:
        parts = [
            CodeNode(name=f"p{number}", code_fn=work, inputs={"x": PARENT["x"], "wait": PARENT["waits"][number]})
            for number in range(3)
        ]
        BranchNode(name="odd", cases={"y % 2 == 1": "one"}, default="two", inputs={"y": parts[0]["y"]})
        const("one", outputs={"v": PARENT["arm"]})
        const("two", outputs={"v": PARENT["arm"]})
        with MapNode(name="m", inputs={"w": Each(PARENT["waits"]), "x": PARENT["x"]}) as over:
            CodeNode(name="n", code_fn=work, inputs={"x": PARENT["x"], "wait": PARENT["w"]}, outputs=PARENT)
        with WhileLoopNode(name="w", inputs={"y": parts[1]["y"]}, stop_condition="y > 20") as loop:
            CodeNode(name="n", code_fn=work, inputs={"x": PARENT["y"], "wait": 0.1}, outputs=PARENT)
        CodeNode(
            name="all",
            code_fn=lambda ys, column, last: {"all": (ys, column, last)},
            inputs={"ys": [part["y"] for part in parts], "column": over["y"], "last": loop["y"]},
            outputs=PARENT,
        )
    return graph


def expected(x):
    return {"arm": "one" if x % 2 == 0 else "two", "all": ([x + 1] * 3, [x + 1] * 3, max(21, x + 1))}


# ── Law 10 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("waits", [(0, 0, 0), (3, 1, 2), (1, 2, 3), (0, 5, 0)])
def test_results_depend_on_inputs_and_not_on_the_order_in_which_things_finish(waits):
    found = [result_of(rich(), {"x": 3, "waits": list(waits)}, seed=seed) for seed in SEEDS]
    assert found == [expected(3)] * len(SEEDS)


mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="unset")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_a_node_sets_in_a_context_variable_no_other_node_of_the_run_sees(kind):
    seen = []

    def set_and_tell(me):
        seen.append(mark.get())
        mark.set(me)
        return {"y": me}

    async def set_and_tell_later(me):
        seen.append(mark.get())
        mark.set(me)
        await asyncio.sleep(1)
        assert mark.get() == me
        return {"y": me}

    fn = set_and_tell if kind == "sync" else set_and_tell_later

    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=fn, inputs={"me": "a"})
        BranchNode(name="r", cases={"y == 'a'": "b"}, default="c", inputs={"y": a["y"]})
        b, c = (CodeNode(name=name, code_fn=fn, inputs={"me": name}) for name in "bc")
        with ForLoopNode(name="f", inputs={"me": Each(["f0", "f1"])}) as each:
            CodeNode(name="n", code_fn=fn, inputs={"me": PARENT["me"]}, outputs=PARENT)
        with MapNode(name="m", inputs={"me": Each(["m0", "m1"])}) as over:
            CodeNode(name="n", code_fn=fn, inputs={"me": PARENT["me"]}, outputs=PARENT)
        with WhileLoopNode(name="w", inputs={"y": "w"}, max_iterations=2) as loop:
            CodeNode(name="n", code_fn=fn, inputs={"me": PARENT["y"]}, outputs=PARENT)
        [b, c] >> each >> over >> loop

    async def main():
        mark.set("caller")
        await Hush(graph).run()
        return mark.get()

    assert run_virtual(main) == "caller"
    assert seen == ["caller"] * 8


@pytest.mark.parametrize("wait", [None, 0, 1])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_nodes_set_the_caller_does_not_see_nor_does_its_next_run(count, wait):
    """From the second node on it had leaked: the caller's own value was gone, and a second run began with a node's."""
    seen = []

    async def set_and_tell(me):
        seen.append(mark.get())
        mark.set(me)
        if wait is not None:
            await asyncio.sleep(wait)

    with GraphNode(name="g") as graph:
        nodes = [CodeNode(name=f"n{number}", code_fn=set_and_tell, inputs={"me": number}) for number in range(count)]
        for one, two in itertools.pairwise(nodes):
            one >> two
    engine = Hush(graph)

    async def main():
        mark.set("caller")
        await engine.run()
        after = mark.get()
        await engine.run()
        return after, mark.get()

    assert run_virtual(main) == ("caller", "caller")
    assert seen == ["caller"] * 2 * count


# ── Used again, and side by side ─────────────────────────────────────────────────────────────────────────────────────


def test_one_graph_in_two_engines_and_many_runs_at_once_each_with_its_own_values():
    graph = rich()
    engines = [Hush(graph), Hush(graph)]

    async def main():
        return await asyncio.gather(*[engines[x % 2].run({"x": x, "waits": [x % 3, 2 - x % 3, 1]}) for x in range(12)])

    assert run_virtual(main) == [expected(x) for x in range(12)]


def test_a_graph_that_is_a_part_of_another_can_be_run_by_itself_too():
    with GraphNode(name="outer") as outer:
        with GraphNode(name="inner", inputs={"x": PARENT["a"]}) as inner:
            CodeNode(name="n", code_fn=lambda x: {"y": x * 2}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        inner["y"] >> PARENT["b"]
    assert result_of(outer, {"a": 4}) == {"b": 8}
    assert result_of(outer, {"a": 5}) == {"b": 10}


def test_a_run_does_not_change_its_inputs():
    given = {"x": 1, "waits": [0, 0, 0]}
    before = {"x": 1, "waits": [0, 0, 0]}
    result_of(rich(), given)
    assert given == before


def test_calling_an_engine_is_running_it():
    engine = Hush(rich())

    async def main():
        inputs = {"x": 2, "waits": [0, 0, 0]}
        called = await engine(inputs, request_id="r")
        assert called.request_id == "r"
        return called == await engine.run(inputs) == await engine.run(inputs=inputs)

    assert run_virtual(main)


@pytest.mark.parametrize("inputs", [[], "x", 3, [("x", 1)]])
def test_inputs_that_are_no_dict_are_refused(inputs):
    with pytest.raises(HushError, match="dict"):
        result_of(rich(), inputs)


def test_missing_and_unknown_inputs_are_told_together_with_the_nearest_name():
    with pytest.raises(InputError) as caught:
        result_of(rich(), {"x": 1, "wait": []})
    for word in ("'waits'", "rich/", "'wait'", "did you mean"):
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)


# ── run_sync ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_run_sync_works_where_a_loop_is_running():
    assert Hush(rich()).run_sync({"x": 4, "waits": [0, 0, 0]}) == expected(4)


def test_run_sync_works_from_several_threads_at_once_and_all_share_one_loop():
    loops, results = set(), {}
    together = threading.Barrier(4, timeout=10)

    async def body(x):
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return {"y": x}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
    engine = Hush(graph)

    def call(x):
        together.wait()
        results[x] = engine.run_sync({"x": x})

    threads = [threading.Thread(target=call, args=(x,)) for x in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {x: {"y": x} for x in range(4)}
    assert len(loops) == 1


def test_run_sync_on_its_own_loop_raises_and_names_await():
    with GraphNode(name="inner") as inner:
        const("a", outputs={"v": PARENT["v"]})

    async def nested():
        return {"got": Hush(inner).run_sync()}

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=nested, outputs=PARENT)
    with pytest.raises(UsageError, match="await"):
        Hush(graph).run_sync()


# ── Names and drawings ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [GraphNode, MapNode, WhileLoopNode])
def test_an_engine_has_the_name_of_its_root(kind):
    options = {
        GraphNode: {},
        MapNode: {"inputs": {"x": Each([1])}},
        WhileLoopNode: {"inputs": {"x": 1}, "max_iterations": 1},
    }[kind]
    with kind(name="đồ-thị", **options) as root:
        CodeNode(name="n", code_fn=lambda: {"y": 1}, inputs={}, outputs=PARENT)
    assert Hush(root).name == "đồ-thị"
    assert "đồ-thị" in repr(Hush(root))


def test_show_prints_every_node(capsys):
    Hush(rich()).show()
    shown = capsys.readouterr().out
    for name in ("rich", "p0", "p1", "p2", "odd", "one", "two", "m", "w", "all"):
        assert name in shown


def test_what_is_no_graph_is_refused_as_root():
    for wrong in (None, "g", lambda: 1, object()):
        with pytest.raises((HushError, TypeError)):
            Hush(wrong)


def test_literals_of_a_loop_at_the_root_are_what_a_run_need_not_bring():
    """As those of a graph are, and as when the loop is run alone."""
    with WhileLoopNode(name="loop", inputs={"n": 0, "limit": 3}, stop_condition="n >= limit") as loop:
        CodeNode(name="step", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
    engine = Hush(loop)
    found = [engine.run_sync(inputs)["n"] for inputs in ({}, {"limit": 5}, {"n": 7, "limit": 5})]
    assert [*found, loop(limit=5)["n"]] == [3, 5, 7, 5]


def test_literals_of_a_map_at_the_root_are_what_a_run_need_not_bring():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"]), "k": 2}) as times:
        CodeNode(name="n", code_fn=lambda x, k: {"y": x * k}, inputs={"*": PARENT}, outputs=PARENT)
    engine = Hush(times)
    assert [engine.run_sync({"xs": [1, 2], **more})["y"] for more in ({}, {"k": 10})] == [[2, 4], [10, 20]]
    with pytest.raises(InputError, match="did you mean 'k'"):
        engine.run_sync({"xs": [1], "kk": 10})
