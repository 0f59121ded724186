"""What a run gives: the result and its attributes, `keep=True`, tags, and how a miss is told."""

from __future__ import annotations

import asyncio
import json

import pytest

from hush.core import (
    PARENT,
    BranchNode,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    MissingKeyError,
    RunFinished,
    WhileLoopNode,
    code_node,
)
from hush.testing import Recorder, run_virtual
from kit.faults import Boom
from runtime.from_design.authored import const, error_of, result_of


def shapes(fail=None):
    """A graph with a nested graph, a map, a loop, a branch, and a node that may fail at the end."""

    def last(v):
        if fail:
            raise fail
        return {"end": v}

    with GraphNode(name="root") as graph:
        with GraphNode(name="outer") as outer:
            inner = const("inner", 1)
            inner["v"] >> PARENT["out"]
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as over:
            CodeNode(name="n", code_fn=lambda x: {"y": 10 // x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with WhileLoopNode(name="w", inputs={"k": 0}, max_iterations=3) as loop:
            CodeNode(name="k", code_fn=lambda k: {"k": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        BranchNode(name="b", cases={"v == 1": "yes"}, default="no", inputs={"v": outer["out"]})
        yes, no = const("yes"), const("no")
        end = CodeNode(name="last", code_fn=last, inputs={"v": outer["out"]}, outputs=PARENT)
        [yes, no] >> end
        over >> end
        loop >> end
    return graph


# ── keep=True ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["", "root/"])
def test_all_that_nodes_gave_is_kept_by_path_with_and_without_the_root(prefix):
    nodes = result_of(shapes(), {"xs": [1, 0, 5]}, keep=True).nodes
    assert nodes[prefix + "outer/inner"]["v"] == 1
    assert nodes[prefix + "outer"]["out"] == 1
    assert nodes[prefix + "last"]["end"] == 1
    assert nodes[prefix + "m"]["y"] == [10, None, 2]
    assert isinstance(nodes[prefix + "m"]["error"][1], ZeroDivisionError)
    assert nodes[prefix + "m"]["iteration_metrics"]["error_count"] == 1
    assert nodes[prefix + "w"]["k"] == 3
    assert nodes[prefix + "w"]["iteration_metrics"]["total_iterations"] == 3
    assert nodes[prefix + "b"]["target"] == "yes"
    assert nodes[prefix + "b"]["matched"] == "v == 1"
    assert nodes[prefix + "yes"]["v"] == "yes"


def test_a_node_that_was_skipped_is_not_among_what_was_kept():
    nodes = result_of(shapes(), {"xs": [1]}, keep=True).nodes
    assert "no" not in nodes
    assert "yes" in nodes
    assert "root/yes" in nodes


def test_what_was_kept_is_a_mapping():
    nodes = result_of(shapes(), {"xs": [1]}, keep=True).nodes
    assert len(nodes) == len(list(nodes)) == len(dict(nodes))
    assert all(nodes[path] is nodes[path] for path in nodes)
    assert nodes.get("nowhere") is None


def test_a_path_that_was_not_kept_names_the_nearest_and_so_does_a_key():
    nodes = result_of(shapes(), {"xs": [1]}, keep=True).nodes
    with pytest.raises(MissingKeyError, match="outer/inner"):
        nodes["outer/iner"]
    with pytest.raises(MissingKeyError, match="'end'"):
        nodes["last"]["ende"]
    with pytest.raises(KeyError):
        nodes["nowhere"]


def test_keeping_does_not_handle_failures():
    """`keep=True` does not name `error`: the run fails as without it."""
    error = error_of(shapes(Boom("late")), {"xs": [1]}, keep=True)
    assert str(error) == "late"


def test_if_the_run_fails_the_exception_has_what_had_finished():
    error = error_of(shapes(Boom("late")), {"xs": [1, 2]}, keep=True)
    nodes = error.hush.nodes
    assert nodes["outer/inner"]["v"] == 1
    assert nodes["root/m"]["y"] == [10, 5]
    assert nodes["w"]["k"] == 3
    assert "last" not in nodes


def test_without_keep_nothing_is_kept_and_asking_says_what_to_write():
    result = result_of(shapes(), {"xs": [1]})
    with pytest.raises(AttributeError, match="keep=True"):
        result.nodes
    assert error_of(shapes(Boom("late")), {"xs": [1]}).hush.nodes is None


def test_keeping_changes_neither_the_result_nor_the_status():
    plain, kept = (result_of(shapes(), {"xs": [1, 0]}, keep=keep) for keep in (False, True))
    assert (plain, plain.status, len(plain.errors)) == (kept, kept.status, len(kept.errors))


def test_two_runs_that_keep_have_their_own():
    engine = Hush(shapes())

    async def main():
        return await asyncio.gather(*[engine.run({"xs": [x]}, keep=True) for x in (1, 2, 5)])

    assert [result.nodes["m"]["y"] for result in run_virtual(main)] == [[10], [5], [2]]


# ── The result ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_result_is_a_plain_dict_of_the_outputs_with_attributes_beside_them():
    result = result_of(shapes(), {"xs": [1]}, request_id="r", user_id="u", session_id="s")
    assert isinstance(result, dict)
    assert json.loads(json.dumps(result)) == {"end": 1}
    assert (result.request_id, result.user_id, result.session_id, result.status) == ("r", "u", "s", "ok")
    assert result.seconds >= 0
    assert tuple(result.errors) == ()
    assert {**result} == {"end": 1}


def test_a_request_id_is_made_if_none_is_given_and_differs_from_run_to_run():
    ids = {result_of(shapes(), {"xs": [1]}).request_id for _ in range(5)}
    assert len(ids) == 5
    assert all(isinstance(one, str) and one for one in ids)


def test_ids_that_are_not_given_are_none():
    result = result_of(shapes(), {"xs": [1]})
    assert (result.user_id, result.session_id) == (None, None)


def test_a_missing_key_names_the_nearest_and_state_names_nodes():
    result = result_of(shapes(), {"xs": [1]})
    with pytest.raises(MissingKeyError, match="'end'"):
        result["edn"]
    with pytest.raises(MissingKeyError, match=r"\.nodes"):
        result["$state"]
    with pytest.raises(KeyError):
        result["something else"]
    assert result.get("edn") is None
    assert "edn" not in result


def test_a_graph_that_writes_nothing_gives_an_empty_result():
    with GraphNode(name="g") as graph:
        const("a")
    result = result_of(graph)
    assert (result, result.status) == ({}, "ok")


def test_errors_and_partial_come_with_a_collected_failure():
    def fail():
        raise Boom("collected")

    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=fail, on_error="collect")
        a["v"] >> PARENT["v"]
    result = result_of(graph)
    assert (result, result.status, [str(error) for error in result.errors]) == ({"v": None}, "partial", ["collected"])


# ── Tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tags_of(graph, inputs=None):
    recorder = Recorder()
    result = result_of(graph, inputs, tracer=recorder)
    (finished,) = recorder.of(RunFinished)
    return result, finished.tags


def test_tags_of_nodes_tag_the_run_each_once_and_are_no_output():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=lambda: {"v": 1, "$tags": ["slow", "eu"]}, outputs=PARENT)
        CodeNode(name="b", code_fn=lambda: {"w": 2, "$tags": ["eu", "big"]}, outputs={"*": PARENT})
    result, tags = tags_of(graph)
    assert result == {"v": 1, "w": 2}
    assert sorted(tags) == ["big", "eu", "slow"]
    assert tags == tags_of(graph)[1]


def test_tags_come_from_items_rounds_and_nested_graphs_and_do_not_depend_on_who_was_first():
    async def body(x):
        await asyncio.sleep(10 - x)
        return {"y": x, "$tags": [f"item {x}"]}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}):
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with GraphNode(name="inner"):
            CodeNode(name="n", code_fn=lambda: {"$tags": ["inner"]})
    assert tags_of(graph, {"xs": [1, 2, 3]})[1] == ("inner", "item 1", "item 2", "item 3")


def test_one_tag_may_be_written_without_a_list():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=lambda: {"$tags": "one"})
    assert tags_of(graph)[1] == ("one",)


@pytest.mark.parametrize("tags", [5, None, {"a": 1}, b"one"])
def test_tags_that_are_no_list_of_texts_fail_the_node(tags):
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=lambda: {"v": 1, "$tags": tags}, outputs=PARENT)
    error = error_of(graph)
    assert "$tags" in str(error)
    assert error.hush.path == "g/a"


# ── Factories ────────────────────────────────────────────────────────────────────────────────────────────────────────


@code_node
def add(a, b=10):
    """Adds."""
    return {"sum": a + b}


@code_node
async def later(x):
    await asyncio.sleep(1)
    return {"y": x}


def test_a_factory_makes_as_many_nodes_as_asked_for():
    with GraphNode(name="g") as graph:
        one = add(inputs={"a": PARENT["a"]})
        two = add(inputs={"a": one["sum"], "b": 1}, outputs=PARENT)
        three = later(name="third", inputs={"x": two["sum"]}, outputs={"y": PARENT["y"]})
    assert (one.name, two.name, three.name) == ("add", "add_2", "third")
    assert result_of(graph, {"a": 5}) == {"sum": 16, "y": 16}


def test_a_factory_keeps_the_plain_function_its_name_and_its_docstring():
    assert add.fn(1, b=2) == {"sum": 3}
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert asyncio.iscoroutinefunction(later.fn)


def test_a_factory_in_two_graphs_makes_nodes_of_their_own():
    def make():
        with GraphNode(name="g") as graph:
            add(inputs={"*": PARENT}, outputs=PARENT)
        return graph

    assert [result_of(make(), {"a": 1})["sum"], result_of(make(), {"a": 1, "b": 1})["sum"]] == [11, 2]


def test_nodes_of_a_factory_can_be_called_alone():
    assert add(inputs={"b": 3})(a=1) == {"sum": 4}
    assert later()(x=2) == {"y": 2}


@pytest.mark.parametrize("hides", [False, True])
def test_outputs_stand_in_the_order_of_their_writers_whoever_was_first(hides):
    """Results depend on inputs only, and so does the order in which one sees them."""

    def after(seconds, key):
        async def wait():
            await asyncio.sleep(seconds)
            return {key: seconds}

        return wait

    with GraphNode(name="g") as graph:
        for seconds, key in ((3, "a"), (1, "b"), (2, "c")):
            outputs = PARENT if hides else {key: PARENT[key]}
            CodeNode(name=key, code_fn=after(seconds, key), inputs={}, outputs=outputs)
    assert [*result_of(graph)] == ["a", "b", "c"]


@pytest.mark.parametrize("suspends", [False, True])
def test_each_round_of_a_loop_is_told_with_its_path_number_and_item(suspends):
    async def later(n):
        await asyncio.sleep(1)
        return {"n": n + 1}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([2, 3])}, max_concurrency=1):
        with WhileLoopNode(name="loop", inputs={"n": 0, "most": PARENT["x"]}, stop_condition="n >= most"):
            step = later if suspends else lambda n: {"n": n + 1}
            CodeNode(name="step", code_fn=step, inputs={"n": PARENT["n"]}, outputs={"n": PARENT["n"]})
    recorder = Recorder()
    result_of(graph, tracer=recorder)
    rounds = [event for event in recorder.events if type(event).__name__ == "RoundFinished"]
    assert {event.path for event in rounds} == {"g/m/loop"}
    assert [(event.item, event.round) for event in rounds] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_tags_of_a_node_run_alone_are_no_output():
    node = CodeNode(name="n", code_fn=lambda: {"y": 1, "$tags": ["a"]}, inputs={})
    assert node() == {"y": 1}
