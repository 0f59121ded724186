"""Work in processes gives the same as it does here, whatever a body has, reads, sets and prints."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hush.core import END, PARENT, START, BranchNode, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode
from kit.processes import HAVE_PROC, variable
from runtime.in_processes import failed, mapped

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


def everything(executor: str | None, policies: dict[str, Any]) -> Hush:
    """A map whose body has most of what a body can have: it reads, branches, loops, nests, fails and handles."""

    def start(x, offset):
        if x % 7 == 3:
            raise ValueError("seven", x)
        return {"x": x + offset, "kind": "even" if x % 2 == 0 else "odd", "$tags": f"t{x % 3}"}

    def check(x):
        if x % 5 == 4:
            raise KeyError(x)
        return {"z": x}

    with GraphNode(name="g") as graph:
        before = CodeNode("before", code_fn=lambda: {"offset": 100})
        with MapNode(
            "each",
            inputs={"x": Each(PARENT["xs"]), "w": Each(PARENT["ws"]), "k": PARENT["k"]},
            outputs={"*": PARENT, "error": PARENT, "iteration_metrics": PARENT["m"]},
            max_concurrency=2,
            executor=executor,
            **policies,
        ) as every:
            first = CodeNode("first", code_fn=start, inputs={"x": PARENT["x"], "offset": before["offset"]})
            route = BranchNode(
                name="route", cases={"kind == 'even'": "even"}, default="odd", inputs={"kind": first["kind"]}
            )
            even = CodeNode("even", code_fn=lambda x, k: {"v": x * k}, inputs={"x": first["x"], "k": PARENT["k"]})
            odd = CodeNode("odd", code_fn=lambda x: {"v": -x}, inputs={"x": first["x"]})
            with WhileLoopNode(name="loop", inputs={"n": first["x"], "s": 0}, max_iterations=3) as loop:
                step = CodeNode("step", code_fn=lambda n, s: {"s": s + n}, inputs={"n": PARENT["n"], "s": PARENT["s"]})
                step["s"] >> PARENT["s"]
                START >> step >> END
            with MapNode("inner", inputs={"i": Each([1, 2, 3])}) as inner:
                cell = CodeNode("cell", code_fn=lambda i, w: {"c": i + w}, inputs={"i": PARENT["i"], "w": first["x"]})
                cell["c"] >> PARENT["c"]
                START >> cell >> END
            checked = CodeNode("checked", code_fn=check, inputs={"x": first["x"]}, on_error="collect")
            out = CodeNode(
                "out",
                code_fn=lambda even, odd, s, c, w, z: {"out": [even, odd, s, c, w, z]},
                inputs={
                    "even": even["v"],
                    "odd": odd["v"],
                    "s": loop["s"],
                    "c": inner["c"],
                    "w": PARENT["w"],
                    "z": checked["error"].apply(repr),
                },
                outputs={"*": PARENT},
            )
            START >> first >> route
            [even, odd] >> out >> END
        START >> before >> every >> END
    return Hush(graph)


def said(error: BaseException | None) -> Any:
    if error is None:
        return None
    info = error.__dict__["hush"]
    return type(error), error.args, info.path, info.item, info.outer, info.key


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(xs=st.lists(st.integers(0, 40), max_size=30), first=st.none() | st.integers(1, 10), keyed=st.booleans())
def test_a_map_gives_the_same_as_without_processes(xs, first, keyed):
    inputs = {"xs": xs, "ws": [x * 10 for x in xs], "k": 3}
    policies = {"first": first, "key": (lambda x: f"key{x}") if keyed else None}
    here = everything(None, policies).run_sync(inputs)
    there = everything("process", policies).run_sync(inputs)
    assert there["out"] == here["out"]
    assert [said(error) for error in there["error"]] == [said(error) for error in here["error"]]
    assert (there.status, there.tags) == (here.status, here.tags)
    assert sorted(map(repr, map(said, there.errors))) == sorted(map(repr, map(said, here.errors)))
    assert there.errors.total == here.errors.total
    counts = ("total_iterations", "success_count", "error_count")
    assert [there["m"][name] for name in counts] == [here["m"][name] for name in counts]


async def test_lists_as_items_and_what_fails_before():
    with GraphNode(name="g") as graph:
        with MapNode("a", inputs={"x": Each(PARENT["xs"])}) as a:
            one = CodeNode("one", code_fn=lambda x: {"y": 10 // x}, inputs={"x": PARENT["x"]}, outputs={"y": PARENT})
            START >> one >> END
        with MapNode("b", inputs={"y": Each(a["y"])}, outputs={"z": PARENT, "error": PARENT}, executor="process") as b:
            two = CodeNode("two", code_fn=lambda y: {"z": y + 1}, inputs={"y": PARENT["y"]}, outputs={"z": PARENT})
            START >> two >> END
        with MapNode("c", inputs={"ys": Each(a["y"])}, outputs={"s": PARENT}, batch=2, executor="process") as c:
            three = CodeNode(
                "three", code_fn=lambda ys: {"s": sum(ys)}, inputs={"ys": PARENT["ys"]}, outputs={"s": PARENT}
            )
            START >> three >> END
        START >> a >> [b, c] >> END
    result = await Hush(graph).run({"xs": [1, 0, 5, 2]})
    assert result["z"] == [11, None, 3, 6]
    assert list(failed(result)) == [1]
    assert result["s"] == [12, 5]


async def test_sources_of_all_kinds():
    async def numbers():
        for number in range(50):
            yield number

    for source in (iter(range(50)), (number for number in range(50)), numbers()):
        assert (await mapped(lambda x: {"y": -x}, source=source).run())["y"] == [-x for x in range(50)]


async def test_a_map_in_a_map_and_one_in_a_loop_use_their_processes_again():
    def pid(x, y):
        return {"pid": os.getpid(), "sum": x + y}

    with GraphNode(name="g") as graph:
        with MapNode("outer", inputs={"x": Each(PARENT["xs"])}, outputs={"*": PARENT}, max_concurrency=3) as outer:
            with MapNode(
                "inner", inputs={"y": Each([1, 2, 3]), "x": PARENT["x"]}, executor="process", max_concurrency=2
            ) as inner:
                one = CodeNode("one", code_fn=pid, inputs={"x": PARENT["x"], "y": PARENT["y"]}, outputs={"*": PARENT})
                START >> one >> END
            inner["sum"] >> PARENT["sums"]
            inner["pid"] >> PARENT["pids"]
            START >> inner >> END
        START >> outer >> END
    result = await Hush(graph).run({"xs": list(range(20))})
    assert result["sums"] == [[x + 1, x + 2, x + 3] for x in range(20)]
    assert len({pid for pids in result["pids"] for pid in pids}) <= 2


async def test_what_a_body_reads_of_nodes_around_is_sent_along():
    with GraphNode(name="g") as graph:
        far = CodeNode("far", code_fn=lambda: {"k": 1000})
        with GraphNode(name="between", inputs={"xs": PARENT["xs"]}, outputs={"ys": PARENT}) as between:
            near = CodeNode("near", code_fn=lambda: {"k": 100})
            with MapNode("each", inputs={"x": Each(PARENT["xs"])}, executor="process") as every:
                one = CodeNode(
                    "one",
                    code_fn=lambda x, a, b, c=7: {"y": x + a + b + c},
                    inputs={"x": PARENT["x"], "a": near["k"], "b": far["k"]},
                    outputs={"y": PARENT},
                )
                START >> one >> END
            every["y"] >> PARENT["ys"]
            START >> near >> every >> END
        START >> far >> between >> END
    assert (await Hush(graph).run({"xs": [1, 2]}))["ys"] == [1108, 1109]


async def test_what_an_item_sets_in_a_context_variable_the_next_does_not_see():
    async def see(x):
        from kit.processes import variable

        await asyncio.sleep(0)
        seen = variable.get()
        variable.set(x)
        return {"y": seen}

    variable.set(5)  # it stays here
    assert (await mapped(see, max_concurrency=1).run({"xs": [1] * 40}))["y"] == [0] * 40


async def test_what_a_body_prints_is_not_lost(capfd):
    await mapped(lambda x: print("item", x) or {"y": x}).run({"xs": [1]})
    assert capfd.readouterr().out == "item 1\n"
