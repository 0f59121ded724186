"""Which graph a node belongs to, and until when a graph can be written."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphError, GraphNode, Hush, MapNode, UsageError
from unit.authoring.running import finished, run


def one(name="n", **given):
    return CodeNode(name=name, code_fn=lambda x=0: {"y": x + 1}, **given)


WIRED = {
    "an edge from it": lambda node, inside: node >> inside,
    "an edge to it": lambda node, inside: inside >> node,
    "START": lambda node, inside: START >> [node, inside],
    "END": lambda node, inside: node >> END,
    "a list": lambda node, inside: inside >> [node],
    "a write": lambda node, inside: node["y"] >> PARENT["z"],
    "a write of all": lambda node, inside: node[...] >> PARENT[...],
    "a computed write": lambda node, inside: (node["y"] + 1) >> PARENT["z"],
    "a write computed with a node": lambda node, inside: (node["y"] + inside["y"]) >> PARENT["z"],
    "a write computed with a node, named last": lambda node, inside: (inside["y"] + node["y"]) >> PARENT["z"],
    "a read": lambda node, inside: one("reader", inputs={"x": node["y"]}),
    "a read of all": lambda node, inside: CodeNode(name="all", code_fn=lambda y: {}, inputs={"*": node}),
    "a read in a list": lambda node, inside: CodeNode(name="l", code_fn=lambda x: {}, inputs={"x": [node["y"]]}),
}


@pytest.mark.parametrize("name", WIRED)
def test_a_node_made_outside_belongs_to_the_graph_in_which_it_is_first_wired(name):
    node = one()
    with GraphNode(name="g") as graph:
        WIRED[name](node, one("inside"))
    assert "g/n" in finished(graph)


def test_a_node_read_by_a_map_is_adopted_by_the_graph_around_it():
    """The map's own inputs belong to where the map is, its body does not."""
    node = CodeNode(name="n", code_fn=lambda: {"rows": [1, 2]})
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"item": Each(node["rows"])}, outputs=PARENT):
        CodeNode(name="body", code_fn=lambda item: {"y": item}, inputs={"item": PARENT["item"]}, outputs=PARENT)
    assert run(graph) == {"y": [1, 2]}
    assert "g/n" in finished(graph)


def test_nodes_that_a_node_made_outside_reads_come_with_it():
    first = one("first")
    second = one("second", inputs={"x": first["y"]})
    third = one("third", inputs={"x": second["y"]}, outputs=PARENT)
    with GraphNode(name="g") as graph:
        START >> first
        third >> END
    assert run(graph) == {"y": 3}


def test_a_node_made_outside_is_adopted_by_the_innermost_block():
    node = one(outputs=PARENT)
    with GraphNode(name="g") as graph, GraphNode(name="inner", outputs=PARENT):
        START >> node >> END
    assert finished(graph) == ["g/inner/n", "g/inner"]


def test_a_whole_graph_made_outside_is_adopted():
    with GraphNode(name="inner", inputs={"x": PARENT["x"]}, outputs=PARENT) as inner:
        one(inputs={"x": PARENT["x"]}, outputs=PARENT)
    with GraphNode(name="g") as graph:
        START >> inner >> END
    assert run(graph, {"x": 4}) == {"y": 5}
    assert finished(graph, {"x": 4}) == ["g/inner/n", "g/inner"]


def wired_twice(node):
    with GraphNode(name="one"):
        START >> node
    with GraphNode(name="two") as two:
        START >> node
    return two


def read_in_a_second_graph(node):
    with GraphNode(name="one"):
        START >> node
    with GraphNode(name="two") as two:
        CodeNode(name="reader", code_fn=lambda x: {}, inputs={"x": node["y"]})
    return two


def written_in_a_second_graph(node):
    with GraphNode(name="one"):
        START >> node
    with GraphNode(name="two") as two:
        one("inside")
        node["y"] >> PARENT["y"]
    return two


def made_in_a_first_graph(_):
    with GraphNode(name="one"):
        node = one()
    with GraphNode(name="two") as two:
        one("inside") >> node
    return two


@pytest.mark.parametrize(
    "build", [wired_twice, read_in_a_second_graph, written_in_a_second_graph, made_in_a_first_graph]
)
def test_a_second_graph_is_an_error_that_says_how(build):
    """Both graphs would run one node and write over each other's wiring; a function makes two."""
    with pytest.raises(GraphError) as caught:
        Hush(build(one()))
    text = str(caught.value)
    assert "n" in text
    assert "one" in text
    assert "function" in text


def test_a_function_makes_the_node_once_for_each_graph():
    def make():
        return one(outputs=PARENT)

    results = []
    for name in ("one", "two"):
        with GraphNode(name=name) as graph:
            START >> make() >> END
        results.append(run(graph))
    assert results == [{"y": 1}, {"y": 1}]


LATE = {
    "an edge": lambda a, b: a >> b,
    "an edge from START": lambda a, b: START >> a,
    "an edge to END": lambda a, b: a >> END,
    "an edge to a new node": lambda a, b: a >> one("late"),
    "a list": lambda a, b: [a, b] >> one("late"),
    "a write": lambda a, b: a["y"] >> PARENT["late"],
    "a write of all": lambda a, b: a[...] >> PARENT[...],
    "a computed write": lambda a, b: (a["y"] + b["y"]) >> PARENT["late"],
}


@pytest.mark.parametrize("name", LATE)
def test_a_graph_is_fixed_when_its_block_closes(name):
    """An engine may have been made of it; what comes later would be half of a graph."""
    with GraphNode(name="g") as graph:
        a, b = one("a", outputs=PARENT), one("b")
    with pytest.raises(GraphError, match="g") as caught:
        LATE[name](a, b)
    assert __file__ in str(caught.value)
    assert run(graph) == {"y": 1}


@pytest.mark.parametrize("name", LATE)
def test_a_nested_graph_is_fixed_too(name):
    """Also while the graph around it is still being written."""
    with pytest.raises(GraphError, match="inner") as caught:
        with GraphNode(name="g") as graph:
            with GraphNode(name="inner"):
                a, b = one("a", outputs=PARENT), one("b")
            LATE[name](a, b)
        Hush(graph)
    assert __file__ in str(caught.value)


def test_a_block_is_opened_once():
    with GraphNode(name="g") as graph:
        one()
    with pytest.raises(GraphError, match="g"), graph:
        pass


def test_an_engine_is_made_after_the_block():
    with GraphNode(name="g") as graph:
        one()
        with pytest.raises(GraphError, match="g"):
            Hush(graph)
        with GraphNode(name="inner"), pytest.raises(GraphError, match="g"):
            Hush(graph)


def test_an_exception_in_the_block_passes_unchanged():
    """It tells more than any complaint about the half of a graph that it left."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, GraphNode(name="g"):
        CodeNode(name="a b", code_fn=5)
        with MapNode(name="m"):
            raise error
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert error.__cause__ is None
    assert error.__context__ is None


def test_after_an_exception_nothing_is_adopted_by_the_broken_graph():
    with pytest.raises(ValueError), GraphNode(name="broken"):
        raise ValueError
    node = one(outputs=PARENT)
    assert node(x=1) == {"y": 2}
    with GraphNode(name="g") as graph:
        START >> node
    assert run(graph) == {"y": 1}


def test_two_threads_write_their_graphs_apart():
    """A block is open for the code inside it, not for the process."""
    both = threading.Barrier(2)
    results = {}

    def write(name):
        with GraphNode(name=name) as graph:
            both.wait(10)
            one(name + "_n", outputs=PARENT)
            both.wait(10)
        results[name] = finished(graph)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("g1", "g2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"g1": ["g1/g1_n"], "g2": ["g2/g2_n"]}


async def test_two_tasks_write_their_graphs_apart():
    both = asyncio.Barrier(2)

    async def write(name):
        with GraphNode(name=name) as graph:
            await both.wait()
            one(name + "_n", outputs=PARENT)
            await both.wait()
        return graph

    graphs = await asyncio.gather(write("g1"), write("g2"))
    assert [finished(graph) for graph in graphs] == [["g1/g1_n"], ["g2/g2_n"]]


def test_an_engine_runs_graphs_only():
    node = one()
    for wrong in (None, "g", node, [node], {"g": node}, GraphNode):
        with pytest.raises(UsageError):
            Hush(wrong)


def test_one_graph_may_have_many_engines():
    with GraphNode(name="g") as graph:
        one(inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert [run(graph, {"x": n}) for n in range(3)] == [{"y": 1}, {"y": 2}, {"y": 3}]


def test_a_graph_runs_by_itself_also_while_it_is_part_of_another():
    """Any graph can be the root."""
    with GraphNode(name="g") as graph, GraphNode(name="inner", inputs={"x": PARENT["k"]}, outputs=PARENT) as inner:
        one(inputs={"x": PARENT["x"]}, outputs=PARENT)
    assert run(graph, {"k": 1}) == {"y": 2}
    assert Hush(inner).name == "inner"


def test_a_graph_that_reads_the_graph_around_it_cannot_run_by_itself():
    """There is nobody to read from; the error says what is missing."""
    with GraphNode(name="g"):
        far = one("far")
        with GraphNode(name="inner") as inner:
            one("n", inputs={"x": far["y"]})
    with pytest.raises(GraphError, match="far") as caught:
        Hush(inner)
    assert __file__ in str(caught.value)
