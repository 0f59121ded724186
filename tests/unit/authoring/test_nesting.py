"""Graphs in graphs: references across levels, and what `PARENT` is where (laws 3 and 4)."""

from __future__ import annotations

import contextlib

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, MapNode, MissingKeyError
from unit.authoring.running import finished, run


def add(name, amount=1, **given):
    return CodeNode(name=name, code_fn=lambda x: {"y": x + amount}, **given)


def boom():
    raise ValueError("boom")


def test_a_nested_graph_is_a_node_like_any():
    with GraphNode(name="g") as graph:
        first = add("first", inputs={"x": PARENT["x"]})
        with GraphNode(name="inner", inputs={"x": first["y"]}) as inner:
            n = add("n", 10, inputs={"x": PARENT["x"]})
            n["y"] >> PARENT["z"]
            START >> n >> END
        add("last", 100, inputs={"x": inner["z"]}, outputs=PARENT)
        START >> first >> inner
    assert run(graph, {"x": 1}) == {"y": 112}


def test_what_a_nested_graph_writes_goes_no_further_by_itself():
    with GraphNode(name="g") as graph, GraphNode(name="inner"):
        CodeNode(name="n", code_fn=lambda: {"y": 1}, outputs=PARENT)
    assert run(graph) == {}


def test_parent_is_the_container_of_the_node_that_holds_the_reference():
    """The graph's own inputs read around it, its nodes read it, and the root reads the run."""
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", inputs={"x": PARENT["x"] * 10}, outputs={"y": PARENT["inner"]}):
            add("n", inputs={"x": PARENT["x"]}, outputs=PARENT)
        add("n", inputs={"x": PARENT["x"]}, outputs={"y": PARENT["outer"]})
    assert run(graph, {"x": 1}) == {"inner": 11, "outer": 2}


def test_a_maps_inputs_read_around_it_and_its_body_reads_the_map():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["x"]), "k": PARENT["k"]}) as over:
            CodeNode(
                name="n",
                code_fn=lambda x, k: {"y": x * k},
                inputs={"x": PARENT["x"], "k": PARENT["k"]},
                outputs=PARENT,
            )
        over["y"] >> PARENT["ys"]
    assert run(graph, {"x": [1, 2], "k": 10}) == {"ys": [10, 20]}


def test_a_reference_reaches_a_node_of_any_enclosing_graph():
    with GraphNode(name="g") as graph:
        far = CodeNode(name="far", code_fn=lambda: {"y": 1})
        with GraphNode(name="one", outputs=PARENT):
            near = CodeNode(name="near", code_fn=lambda: {"y": 20})
            with GraphNode(name="two", outputs=PARENT), GraphNode(name="three", outputs=PARENT):
                CodeNode(
                    name="n",
                    code_fn=lambda far, near: {"z": far + near},
                    inputs={"far": far["y"], "near": near["y"]},
                    outputs=PARENT,
                )
    assert run(graph) == {"z": 21}


def test_a_reference_reaches_out_of_maps_for_every_item():
    with GraphNode(name="g") as graph:
        far = CodeNode(name="far", code_fn=lambda: {"rows": [1, 2], "k": 100})
        with MapNode(name="outer", inputs={"row": Each(far["rows"])}) as outer:
            with MapNode(name="inner", inputs={"cell": Each([10, 20]), "row": PARENT["row"]}) as inner:
                CodeNode(
                    name="n",
                    code_fn=lambda cell, row, k: {"y": cell + row + k},
                    inputs={"cell": PARENT["cell"], "row": PARENT["row"], "k": far["k"]},
                    outputs=PARENT,
                )
            inner["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["ys"]
    assert run(graph) == {"ys": [[111, 121], [112, 122]]}


def test_a_star_may_read_a_node_of_an_enclosing_graph():
    with GraphNode(name="g") as graph:
        far = CodeNode(name="far", code_fn=lambda: {"a": 1, "b": 2})
        with GraphNode(name="inner", outputs=PARENT):
            CodeNode(name="n", code_fn=lambda a, b: {"y": (a, b)}, inputs={"*": far}, outputs=PARENT)
    assert run(graph) == {"y": (1, 2)}


def test_a_container_starts_when_all_that_is_passed_down_is_there():
    """As if the reference were listed in its inputs: read once, when it starts, by whichever node inside."""
    ran = []
    with GraphNode(name="g") as graph:
        slow = CodeNode(name="slow", code_fn=lambda: {"y": ran.append("slow")})
        with GraphNode(name="inner"):
            CodeNode(name="first", code_fn=lambda: ran.append("first"))
            CodeNode(name="reader", code_fn=lambda x: {}, inputs={"x": slow["y"]})
    run(graph)
    assert ran == ["slow", "first"]


def test_edges_between_outer_nodes_may_be_written_inside_an_inner_block():
    """An edge belongs to the graph that holds its nodes."""
    with GraphNode(name="g") as graph:
        a = add("a", inputs={"x": 1}, outputs={"y": PARENT["k"]})
        b = add("b", inputs={"x": PARENT["k"]}, outputs=PARENT)
        with GraphNode(name="inner"):
            add("n", inputs={"x": 1})
            a >> b
    assert run(graph) == {"k": 2, "y": 3}


def test_ordered_writers_follow_each_other_and_readers_get_the_nearest_earlier_one():
    with GraphNode(name="g") as graph:
        seen = [
            CodeNode(
                code_fn=lambda x: {"x": x}, name=f"r{n}", inputs={"x": PARENT["k"]}, outputs={"x": PARENT[f"r{n}"]}
            )
            for n in range(3)
        ]
        one = CodeNode(name="one", code_fn=lambda: {"k": "one"}, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda: {"k": "two"}, outputs=PARENT)
        START >> seen[0] >> one >> seen[1] >> two >> seen[2] >> END
    assert run(graph, {"k": "run"}) == {"r0": "run", "r1": "one", "r2": "two", "k": "two"}


def test_a_node_may_read_the_key_that_it_writes():
    """What it reads is what stood there before it."""
    with GraphNode(name="g") as graph:
        nodes = [
            CodeNode(name=f"n{n}", code_fn=lambda x: {"x": [*x, "more"]}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            for n in range(3)
        ]
        START >> nodes[0] >> nodes[1] >> nodes[2]
    assert run(graph, {"x": []}) == {"x": ["more"] * 3}


def test_writers_may_be_ordered_by_references_alone():
    """Law 2: a reference is an order."""
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: {"k": 1}, outputs=PARENT)
        between = add("between", inputs={"x": one["k"]})
        CodeNode(name="two", code_fn=lambda x: {"k": x}, inputs={"x": between["y"]}, outputs=PARENT)
    assert run(graph) == {"k": 2}


def test_containers_write_like_any_node():
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: {"k": 1}, outputs=PARENT)
        with GraphNode(name="inner", inputs={"k": PARENT["k"]}, outputs=PARENT) as inner:
            CodeNode(name="n", code_fn=lambda k: {"k": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        with MapNode(name="m", inputs={"i": Each([1, 2]), "k": PARENT["k"]}, outputs={"k": PARENT}) as over:
            CodeNode(name="n", code_fn=lambda i, k: {"k": i + k}, inputs={"*": PARENT}, outputs=PARENT)
        one >> inner >> over
    assert run(graph) == {"k": [3, 4]}


def test_a_key_written_inside_need_not_be_given_to_the_container():
    with GraphNode(name="g") as graph, GraphNode(name="inner", outputs=PARENT):
        one = CodeNode(name="one", code_fn=lambda: {"k": 1}, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda k: {"z": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        one >> two
    assert run(graph) == {"k": 1, "z": 2}


def test_a_key_written_first_need_not_be_given_to_the_run():
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: {"k": 1}, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda k: {"z": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        one >> two
    assert run(graph) == {"k": 1, "z": 2}


def test_a_key_hidden_by_a_star_is_read_after_its_writer():
    """The keys of `one` are not known before it ran; that it comes first is."""
    hidden = {"k": 1}
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: hidden, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda k: {"z": k + 1}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        one >> two
    assert run(graph) == {"k": 1, "z": 2}


@pytest.mark.parametrize("nested", [False, True])
def test_a_key_that_a_hidden_star_did_not_write_is_missing(nested):
    """Law 8: a missing key is never `None`. Only `one` could have given it, and it ran."""
    hidden = {"other": 1}
    with GraphNode(name="g") as graph, GraphNode(name="inner") if nested else contextlib.nullcontext():
        one = CodeNode(name="one", code_fn=lambda: hidden, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda k: {"z": k}, inputs={"k": PARENT["k"]})
        one >> two
    with pytest.raises(MissingKeyError, match="'k'"):
        run(graph)


def test_a_default_stands_in_for_a_key_that_a_hidden_star_did_not_write():
    hidden = {}
    with GraphNode(name="g") as graph:
        one = CodeNode(name="one", code_fn=lambda: hidden, outputs=PARENT)
        two = CodeNode(name="two", code_fn=lambda k=10: {"z": k}, inputs={"k": PARENT["k"]}, outputs=PARENT)
        one >> two
    assert run(graph) == {"z": 10}


def skipped_writer(**first):
    """A graph in which the writer `two` is skipped, because it reads what a handled failure did not give."""
    with GraphNode(name="g") as graph:
        failed = CodeNode(name="failed", code_fn=boom, on_error="collect")
        two = CodeNode(name="two", code_fn=lambda x: {"k": "two"}, inputs={"x": failed["x"]}, outputs={"k": PARENT})
        if first:
            one = CodeNode(name="one", code_fn=lambda: {"k": "one"}, outputs={"k": PARENT})
            reader = CodeNode(name="r", code_fn=lambda k: {"seen": k}, inputs={"k": PARENT["k"]}, outputs=PARENT)
            one >> [two, reader]
            two >> reader
    return graph


def test_a_writer_that_was_skipped_is_no_writer():
    """`PARENT["k"]` is what the nearest earlier writer *that ran* wrote."""
    assert run(skipped_writer(first=True)) == {"k": "one", "seen": "one"}


def test_an_output_whose_writers_were_all_skipped_is_present_as_none():
    """A reader of the result need not know which way the run went."""
    assert run(skipped_writer()) == {"k": None}


def test_a_skipped_writer_leaves_the_input_of_the_container():
    with GraphNode(name="g") as graph:
        failed = CodeNode(name="failed", code_fn=boom, on_error="collect")
        first = CodeNode(name="first", code_fn=lambda: None)
        two = CodeNode(name="two", code_fn=lambda x: {"k": "two"}, inputs={"x": failed["x"]}, outputs={"k": PARENT})
        reader = CodeNode(name="r", code_fn=lambda k: {"seen": k}, inputs={"k": PARENT["k"]}, outputs={"seen": PARENT})
        first >> [two, reader]
        two >> reader
    assert run(graph, {"k": "run"})["seen"] == "run"


def test_paths_of_nested_nodes_name_the_graphs_around_them():
    with GraphNode(name="g") as graph, GraphNode(name="a"), GraphNode(name="b"):
        CodeNode(name="boom", code_fn=boom)
    with pytest.raises(ValueError, match="boom") as caught:
        run(graph)
    assert caught.value.hush.path == "g/a/b/boom"
    assert caught.value.hush.file == __file__


def test_ten_levels_are_as_good_as_one():
    with GraphNode(name="g", inputs={"x": PARENT["x"]}) as graph:
        add("n", inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
    for level in range(10):
        with GraphNode(name=f"g{level}", inputs={"x": PARENT["x"]}) as around:
            START >> graph
            (graph["x"] * 2) >> PARENT["x"]
        graph = around
    assert run(graph, {"x": 1}) == {"x": 2048}
    assert len(finished(graph, {"x": 1})) == 11


def test_every_level_has_its_own_start():
    with GraphNode(name="g") as graph:
        with GraphNode(name="with_start", outputs=PARENT) as one:
            a = CodeNode(name="a", code_fn=lambda: {"a": 1}, outputs=PARENT)
            START >> a >> END
        with GraphNode(name="without", outputs=PARENT) as two:
            CodeNode(name="b", code_fn=lambda: {"b": 2}, outputs=PARENT)
        START >> one >> two >> END
    assert run(graph) == {"a": 1, "b": 2}
