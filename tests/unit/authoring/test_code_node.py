"""`@code_node`, and one node run alone."""

from __future__ import annotations

import asyncio
import functools

import pytest

from hush.core import END, PARENT, START, CodeNode, GraphError, GraphNode, InputError, UsageError, code_node
from unit.authoring.running import run


@code_node
def double(x, times=2):
    """Twice."""
    return {"y": x * times}


@code_node
async def later(x):
    await asyncio.sleep(0)
    return {"y": x}


# --- the factory -------------------------------------------------------------------------------------------------


def test_a_factory_makes_nodes_of_its_function():
    with GraphNode(name="g") as graph:
        one = double(name="one", inputs={"x": PARENT["x"]})
        two = double("two", inputs={"x": one["y"], "times": 10}, outputs=PARENT)
        START >> one >> two >> END
    assert run(graph, {"x": 1}) == {"y": 20}


def test_a_factory_gives_a_new_node_each_time_and_names_it_after_the_function():
    with GraphNode(name="g") as graph:
        nodes = [double(inputs={"x": 1}) for _ in range(2)]
    assert [node.name for node in nodes] == ["double", "double_2"]
    assert all(isinstance(node, CodeNode) for node in nodes)
    assert graph.check() == []


def test_a_factory_keeps_the_plain_function():
    """So that it can be tested, and called by other functions."""
    assert double.fn(3) == {"y": 6}
    assert asyncio.run(later.fn(3)) == {"y": 3}
    assert double.__name__ == "double"
    assert double.__doc__ == "Twice."


def test_a_factory_takes_every_policy_of_a_node():
    def boom():
        raise ValueError

    with GraphNode(name="g") as graph:
        node = code_node(boom)(executor="thread", timeout_s=5, on_error="collect")
        node["error"].apply(type) >> PARENT["kind"]
    assert run(graph) == {"kind": ValueError}


def test_a_factory_takes_no_other_argument():
    for given in ({"return_key": "y"}, {"x": 1}, {"retry": 3}, {"code_fn": len}):
        with pytest.raises(TypeError):
            double(**given)


@pytest.mark.parametrize(("args", "given"), [((3,), {}), ((), {"x": 3}), ((), {"x": 3, "times": 2})])
def test_a_factory_that_is_called_as_the_function_says_what_to_write(args, given):
    """The first thing that everybody writes."""
    with pytest.raises(
        UsageError, match=r"double\(\.\.\.\) makes a node.*Write double\(inputs=.*double\.fn\("
    ) as raised:
        double(*args, **given)
    assert all(repr(key) in str(raised.value) for key in given)


def test_an_argument_that_is_nearly_one_names_it():
    with pytest.raises(UsageError, match=r"takes no argument 'timeout'. Did you mean 'timeout_s'?"):
        CodeNode(name="n", code_fn=len, timeout=3)


@pytest.mark.parametrize("wrong", [None, 5, "double"])
def test_a_factory_is_made_of_a_function(wrong):
    with pytest.raises(TypeError, match="function"):
        code_node(wrong)


def test_a_factory_may_be_made_of_any_callable():
    scale = code_node(functools.partial(double.fn, times=5))
    assert scale()(x=2) == {"y": 10}


def test_a_factory_in_place_of_a_function_is_its_function_or_an_error_at_build():
    """Called in a run it would make a node, which is nobody's output."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=double, inputs={"x": 2}, outputs=PARENT)
    if not graph.check():
        assert run(graph) == {"y": 4}


# --- one node alone ----------------------------------------------------------------------------------------------


def test_a_node_runs_alone():
    assert double()(x=2) == {"y": 4}


def test_alone_an_async_function_runs_too():
    assert later()(x=2) == {"y": 2}


async def test_alone_it_runs_where_a_loop_is_running():
    """In notebooks, and in async tests."""
    assert double()(x=2) == {"y": 4}
    assert later()(x=2) == {"y": 2}


def test_alone_its_literals_stay_and_keywords_replace_its_inputs():
    with GraphNode(name="g"):
        source = CodeNode(name="source", code_fn=lambda: {"x": 1})
        node = double(name="n", inputs={"x": source["x"], "times": 5}, outputs={"y": PARENT["z"]})
    assert node(x=2) == {"y": 10}
    assert node(x=2, times=3) == {"y": 6}


def test_alone_the_keywords_are_the_parameters_whatever_the_star_reads():
    with GraphNode(name="g"):
        node = double(name="n", inputs={"*": PARENT})
    assert node(x=2) == {"y": 4}
    assert node(x=2, times=3) == {"y": 6}


def test_alone_it_gives_all_its_outputs():
    """`error` too: the guide's functions return one, and `"*"` is not what was asked for."""
    node = CodeNode(name="n", code_fn=lambda: {"results": [], "error": "bad", "stopped_early": True})
    assert node() == {"results": [], "error": "bad", "stopped_early": True}


def test_alone_a_failure_is_raised_as_it_is():
    error = ValueError("mine")

    def boom():
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        CodeNode(name="n", code_fn=boom)()
    assert caught.value is error


def test_alone_a_failure_that_is_collected_is_an_output():
    def boom():
        raise ValueError("mine")

    assert repr(CodeNode(name="n", code_fn=boom, on_error="collect")()["error"]) == "ValueError('mine')"


def test_alone_a_missing_parameter_is_named():
    with pytest.raises((InputError, GraphError), match="'x'"):
        double()()


def test_alone_an_unknown_parameter_is_named_with_the_nearest():
    with pytest.raises((InputError, GraphError), match="tims") as caught:
        double()(x=1, tims=3)
    assert "times" in str(caught.value)


def test_alone_it_takes_keywords_only():
    with pytest.raises(TypeError):
        double()(2)


def test_alone_a_function_that_takes_any_keyword_gets_them():
    node = CodeNode(name="n", code_fn=lambda **given: {"given": given})
    assert node(a=1, b=2) == {"given": {"a": 1, "b": 2}}


def test_alone_a_callable_without_a_signature_takes_what_is_given():
    assert CodeNode(name="n", code_fn=dict)(a=1) == {"a": 1}


def test_alone_none_is_no_output():
    assert CodeNode(name="n", code_fn=lambda: None)() == {}


def test_alone_none_is_a_value():
    """`None` given is not "not given"."""
    assert CodeNode(name="n", code_fn=lambda x=1: {"y": x})(x=None) == {"y": None}


def test_alone_a_graph_runs_too():
    with GraphNode(name="g") as graph:
        double(inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert graph(x=4) == {"y": 8}


def test_alone_a_nested_graph_takes_its_inputs():
    with GraphNode(name="g"):
        source = CodeNode(name="source", code_fn=lambda: {"x": 1})
        with GraphNode(name="inner", inputs={"x": source["x"], "times": 3}) as inner:
            double(inputs={"x": PARENT["x"], "times": PARENT["times"]}, outputs=PARENT)
    assert inner(x=4) == {"y": 12}


def test_alone_a_graph_takes_its_own_inputs_wherever_they_come_from():
    """The keywords replace them, so where they would be read from does not matter."""
    with GraphNode(name="g"):
        source = CodeNode(name="source", code_fn=lambda: {"total": 1})
        given = {"x": source["total"] + 1, "times": PARENT["factor"]}
        with GraphNode(name="inner", inputs=given) as inner:
            double(inputs={"*": PARENT}, outputs=PARENT)
    assert inner(x=4, times=3) == {"y": 12}
    assert inner(x=4) == {"y": 8}


def test_alone_parameters_may_be_called_like_the_engines_words():
    def words(self, name, inputs, graph, key, fn, args):
        return {"all": [self, name, inputs, graph, key, fn, args]}

    node = CodeNode(code_fn=words)
    assert node(self=0, name=1, inputs=2, graph=3, key=4, fn=5, args=6) == {"all": [0, 1, 2, 3, 4, 5, 6]}


def test_alone_running_it_changes_nothing_in_its_graph():
    with GraphNode(name="g") as graph:
        node = double(name="n", inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert node(x=1) == {"y": 2}
    assert run(graph, {"x": 5}) == {"y": 10}


def test_inside_an_open_block_it_is_an_error():
    """`node(x=…)` there is nearly always meant to wire, and would run before the graph exists."""
    outside = double()
    with GraphNode(name="g"):
        inside = double()
        for node in (inside, outside):
            with pytest.raises(UsageError, match="inputs=") as caught:
                node(x=1)
            assert __file__ in str(caught.value)


def test_inside_a_function_of_a_run_it_is_no_open_block():
    """The block that was open when the node was written is closed when it runs."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: double()(x=3), executor="thread", outputs=PARENT)
    assert run(graph) == {"y": 6}


def test_on_the_loops_own_thread_it_raises_and_names_await():
    async def nested():
        return double()(x=1)

    with pytest.raises(GraphError, match="await"):
        CodeNode(code_fn=nested)()
