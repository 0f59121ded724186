"""Right graphs that a hasty check would complain of: order, references, `PARENT`, maps."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, MapNode, code_node
from unit.checks.corpus import RightGraphs

graphs = RightGraphs()


@pytest.mark.parametrize("right", graphs, ids=str)
def test_a_right_graph_raises_no_alarm_and_runs(right):
    right.must_pass_and_run()


@code_node
def inc(x=0):
    return {"y": x + 1}


@code_node
def pack(x=None, **more):
    return {"x": x, **more}


def boom():
    raise ValueError("boom")


# --- order -------------------------------------------------------------------------------------------------------


@graphs.keep({"y": 2})
def references_without_edges():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        inc(name="b", inputs={"x": a["y"]}, outputs=PARENT)
    return g


@graphs.keep({})
def nodes_without_anything():
    with GraphNode(name="g") as g:
        inc(name="a")
        inc(name="b")
    return g


@graphs.keep({"y": 3})
def start_that_reaches_by_references_only():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        b = inc(name="b", inputs={"x": a["y"]})
        inc(name="c", inputs={"x": b["y"]}, outputs=PARENT)
        START >> a
    return g


@graphs.keep({"y": 2})
def start_that_reaches_a_container_by_a_reference_inside_it():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        with GraphNode(name="inner", outputs=PARENT):
            inc(name="n", inputs={"x": a["y"]}, outputs=PARENT)
        START >> a
    return g


@graphs.keep({"y": [2, 3]})
def start_that_reaches_a_map_by_its_each():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"rows": [1, 2]})
        with MapNode(name="m", inputs={"i": Each(a["rows"])}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        START >> a >> END
    return g


@graphs.keep({"y": 1})
def start_without_end_and_end_without_start():
    with GraphNode(name="g") as g:
        with GraphNode(name="one"):
            START >> inc(name="a")
        with GraphNode(name="two", outputs=PARENT):
            inc(name="a", outputs=PARENT) >> END
    return g


@graphs.keep({"y": 2})
def edges_and_references_that_say_the_same_twice():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        b = inc(name="b", inputs={"x": a["y"]}, outputs=PARENT)
        a >> b
        START >> a >> b >> END
        START >> b
    return g


@graphs.keep({"y": 2})
def a_reference_that_crosses_an_edge_the_same_way():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        between = inc(name="between")
        b = inc(name="b", inputs={"x": a["y"]}, outputs=PARENT)
        a >> between >> b
    return g


# --- writers of PARENT -------------------------------------------------------------------------------------------


@graphs.keep({"y": 3})
def ordered_writers_of_one_key():
    with GraphNode(name="g") as g:
        a = inc(name="a", outputs=PARENT)
        b = inc(name="b", inputs={"x": PARENT["y"]}, outputs=PARENT)
        c = inc(name="c", inputs={"x": PARENT["y"]}, outputs=PARENT)
        a >> b >> c
    return g


@graphs.keep({"y": 2})
def writers_ordered_by_way_of_another_node():
    with GraphNode(name="g") as g:
        a = inc(name="a", outputs=PARENT)
        between = inc(name="between")
        b = inc(name="b", inputs={"x": 1}, outputs=PARENT)
        a >> between >> b
    return g


@graphs.keep({"y": 2, "seen": 1})
def a_reader_between_two_writers():
    with GraphNode(name="g") as g:
        a = inc(name="a", outputs=PARENT)
        reader = pack(name="reader", inputs={"x": PARENT["y"]}, outputs={"x": PARENT["seen"]})
        b = inc(name="b", inputs={"x": 1}, outputs=PARENT)
        a >> reader >> b
    return g


@graphs.keep({"k": 6}, k=5)
def a_reader_before_the_writer_of_the_key_it_was_given():
    with GraphNode(name="g") as g:
        reader = inc(name="reader", inputs={"x": PARENT["k"]})
        CodeNode(name="w", code_fn=lambda y: {"k": y}, inputs={"y": reader["y"]}, outputs=PARENT)
    return g


@graphs.keep({"x": [0, 1, 2]})
def a_node_that_reads_what_it_writes():
    with GraphNode(name="g", inputs={"x": []}) as g:
        nodes = [
            CodeNode(name=f"n{n}", code_fn=lambda x: {"x": [*x, len(x)]}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            for n in range(3)
        ]
        START >> nodes[0] >> nodes[1] >> nodes[2]
    return g


@graphs.keep({"a": 1, "b": 1})
def writers_of_different_keys():
    with GraphNode(name="g") as g:
        inc(name="one", outputs={"y": PARENT["a"]})
        inc(name="two", outputs={"y": PARENT["b"]})
    return g


@graphs.keep({"a": 1, "b": 2})
def stars_whose_known_keys_do_not_meet():
    with GraphNode(name="g") as g:
        CodeNode(name="one", code_fn=lambda: {"a": 1, "error": None}, outputs=PARENT)
        CodeNode(name="two", code_fn=lambda: {"b": 2, "error": None}, outputs=PARENT)
    return g


@graphs.keep({"y": 1, "z": 1, "sum": 2})
def several_writes_of_one_node():
    with GraphNode(name="g") as g:
        n = inc(name="n", outputs={"*": PARENT, "y": PARENT["z"]})
        (n["y"] + n["y"]) >> PARENT["sum"]
    return g


@graphs.keep({"y": 1, "other": 1})
def one_key_in_several_graphs():
    """`PARENT["y"]` of each is another place."""
    with GraphNode(name="g") as g:
        with GraphNode(name="one", outputs=PARENT):
            inc(name="n", outputs=PARENT)
        with GraphNode(name="two", outputs={"y": PARENT["other"]}):
            inc(name="n", outputs=PARENT)
    return g


# --- PARENT and levels -------------------------------------------------------------------------------------------


@graphs.keep({"y": 6}, x=5)
def an_input_of_the_run():
    with GraphNode(name="g") as g:
        inc(name="n", inputs={"x": PARENT["x"]}, outputs=PARENT)
    return g


@graphs.keep({"y": 1})
def an_optional_input_that_is_not_given():
    with GraphNode(name="g") as g:
        inc(name="n", inputs={"x": PARENT["x"]}, outputs=PARENT)
    return g


@graphs.keep({"y": 6})
def an_input_with_a_default_of_the_graph():
    with GraphNode(name="g", inputs={"x": 5}) as g:
        inc(name="n", inputs={"x": PARENT["x"]}, outputs=PARENT)
    return g


@graphs.keep({"y": 1})
def a_default_of_the_graph_that_nobody_reads():
    with GraphNode(name="g", inputs={"x": 5}) as g:
        inc(name="n", outputs=PARENT)
    return g


@graphs.keep({"y": 1})
def an_input_of_a_nested_graph_that_nobody_reads():
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs={"x": 5}, outputs=PARENT):
        inc(name="n", outputs=PARENT)
    return g


@graphs.keep({"y": 1})
def an_optional_key_that_a_star_finds_nowhere():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"other": 1})
        inc(name="n", inputs={"*": a}, outputs=PARENT)
    return g


@graphs.keep({"y": 1})
def an_optional_key_of_a_star_that_a_nested_graph_is_not_given():
    with GraphNode(name="g") as g, GraphNode(name="inner", outputs=PARENT):
        inc(name="n", inputs={"*": PARENT}, outputs=PARENT)
    return g


@graphs.keep({"y": 3}, x=1)
def a_key_that_only_a_hidden_star_can_give():
    hidden = {"k": 2}
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs={"x": PARENT["x"]}, outputs={"y": PARENT}):
        a = CodeNode(name="a", code_fn=lambda x: hidden, inputs={"x": PARENT["x"]}, outputs=PARENT)
        b = inc(name="b", inputs={"x": PARENT["k"]}, outputs=PARENT)
        a >> b
    return g


@graphs.keep({"k": 2})
def a_key_of_a_nested_graph_that_a_hidden_star_writes():
    hidden = {"k": 2}
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            CodeNode(name="a", code_fn=lambda: hidden, outputs=PARENT)
        inner["k"] >> PARENT["k"]
    return g


@graphs.keep({"x": 1, "more": [2, {"k": 3}]})
def references_at_any_depth_of_a_literal():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"one": 1, "two": 2, "three": 3})
        pack(name="n", inputs={"x": a["one"], "more": [a["two"], {"k": a["three"]}]}, outputs=PARENT)
    return g


@graphs.keep({"y": 12})
def a_reference_across_three_levels():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"v": 10})
        with GraphNode(name="one", outputs=PARENT), GraphNode(name="two", outputs=PARENT):
            b = inc(name="b", inputs={"x": a["v"]})
            with GraphNode(name="three", outputs=PARENT):
                inc(name="n", inputs={"x": b["y"]}, outputs=PARENT)
    return g


@graphs.keep({"why": "boom", "y": None})
def a_failure_that_is_named():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=boom, outputs={"y": PARENT})
        CodeNode(name="why", code_fn=lambda e: {"why": str(e)}, inputs={"e": n["error"]}, outputs=PARENT)
    return g


# --- maps --------------------------------------------------------------------------------------------------------


@graphs.keep({"y": [1, 1]})
def a_map_whose_body_does_not_read_its_item():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1, 2]), "k": 5}, outputs={"y": PARENT}):
        inc(name="n", outputs=PARENT)
    return g


@graphs.keep({})
def a_map_that_writes_nothing():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1, 2])}):
        inc(name="n", inputs={"x": PARENT["i"]})
    return g


@graphs.keep({"y": [], "errors": []})
def a_map_over_nothing():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([])}) as m:
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        m["y"] >> PARENT["y"]
        m["error"] >> PARENT["errors"]
    return g


@graphs.keep({"y": [11, 22]})
def a_map_over_two_lists():
    both = {"a": Each((1, 2)), "b": Each(range(10, 30, 10))}
    with GraphNode(name="g") as g, MapNode(name="m", inputs=both, outputs={"y": PARENT}):
        CodeNode(name="n", code_fn=lambda a, b: {"y": a + b}, inputs={"*": PARENT}, outputs=PARENT)
    return g


@graphs.keep({"last": 3, "y": [2, 3]})
def a_column_that_something_is_done_to():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"i": Each([1, 2])}, outputs=PARENT) as m:
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        m["y"][-1] >> PARENT["last"]
    return g


@graphs.keep({"y": [2]})
def a_map_over_what_a_mapping_s_method_gives():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"by_id": {"k": 1}})
        with MapNode(name="m", inputs={"i": Each(a["by_id"].values())}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2, 3, 4]})
def a_map_over_a_list_of_references():
    with GraphNode(name="g") as g:
        a = inc(name="a")
        b = inc(name="b", inputs={"x": a["y"]})
        with MapNode(name="m", inputs={"i": Each([a["y"], b["y"], 3])}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2, 3]})
def a_map_over_something_done_to_references():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=lambda: {"rows": [1]})
        b = CodeNode(name="b", code_fn=lambda: {"rows": [2, 0]})
        with MapNode(name="m", inputs={"i": Each(a["rows"] + b["rows"][:1])}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": []})
def a_map_over_a_default_of_the_graph():
    with GraphNode(name="g", inputs={"items": []}) as g:
        with MapNode(name="m", inputs={"i": Each(PARENT["items"])}, outputs={"y": PARENT}):
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [[2], [3]]})
def a_map_in_a_map():
    with (
        GraphNode(name="g") as g,
        MapNode(name="outer", inputs={"row": Each([[1], [2]])}, outputs={"y": PARENT}),
        MapNode(name="inner", inputs={"cell": Each(PARENT["row"])}, outputs={"y": PARENT}),
    ):
        inc(name="n", inputs={"x": PARENT["cell"]}, outputs=PARENT)
    return g


@graphs.keep({"y": [2, 3], "m": [4, 6]})
def two_maps_that_go_through_one_list():
    with GraphNode(name="g") as g:
        rows = CodeNode(name="rows", code_fn=lambda: {"rows": [1, 2]})
        with MapNode(name="one", inputs={"i": Each(rows["rows"])}, outputs={"y": PARENT}) as one:
            inc(name="n", inputs={"x": PARENT["i"]}, outputs=PARENT)
        with MapNode(name="two", inputs={"i": Each(one["y"])}, outputs={"y": PARENT["m"]}):
            CodeNode(name="n", code_fn=lambda i: {"y": i * 2}, inputs={"i": PARENT["i"]}, outputs=PARENT)
    return g
