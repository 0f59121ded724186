"""A barrier between two maps is drawn with its reason, one for each way to make one."""

from __future__ import annotations

import pytest

from hush.core import PARENT, START, CodeNode, Each, GraphNode, MapNode
from unit.drawing.pictures import drawing, step


def mapped(name, **inputs):
    with MapNode(name=name, inputs=inputs) as each:
        step("one", x=PARENT["x"])["x"] >> PARENT["x"]
    return each


def an_edge(a):
    b = mapped("b", x=Each(a["x"]))
    START >> a >> b


def a_soft_edge(a):
    a >> ~mapped("b", x=Each(a["x"]))


def two_maps(a):
    mapped("b", x=Each(a["x"]))
    mapped("c", x=a["x"], y=Each([1]))


def work_on_the_column(a):
    mapped("b", x=Each(a["x"][1:]))


def the_whole_column_too(a):
    mapped("b", x=Each(a["x"]), all=a["x"])


def the_metrics(a):
    mapped("b", x=Each(a["x"]), all=a["iteration_metrics"])


def something_that_waits(a):
    count = CodeNode(name="count", code_fn=lambda xs: {"n": len(xs)}, inputs={"xs": a["x"]})
    mapped("b", x=Each(a["x"]), n=count["n"])


def an_edge_from_something_that_waits(a):
    a >> step("mid") >> mapped("b", x=Each(a["x"]))


def a_key_of_the_parent(a):
    a["x"] >> PARENT["xs"]
    mapped("b", x=Each(a["x"]), xs=PARENT["xs"])


REASONS = {
    an_edge: "an edge joins them",
    a_soft_edge: "a soft edge joins them",
    two_maps: "2 maps read columns of a",
    work_on_the_column: "the column is worked on first",
    the_whole_column_too: 'b also reads a["x"]',
    the_metrics: 'b also reads a["iteration_metrics"]',
    something_that_waits: "b also waits for the end of count",
    an_edge_from_something_that_waits: "b also waits for the end of mid",
    a_key_of_the_parent: "b reads what a writes to PARENT",
}


def built(way):
    with GraphNode(name="g") as graph:
        way(mapped("a", x=Each([1])))
    return graph


@pytest.mark.parametrize("way", REASONS)
def test_a_barrier_says_why(way):
    graph = built(way)
    reason = REASONS[way]
    assert f"barrier: waits for all of a ({reason})" in graph.to_text()
    assert [link.why for link in drawing(graph).body.links if link.flow] == [reason]


def test_the_other_drawings_say_it_too():
    graph = built(an_edge)
    assert "barrier#58; an edge joins them<br/>x" in graph.to_mermaid()
    assert "<title>barrier: an edge joins them</title>" in graph.to_svg()
    assert "(an edge joins them)" in graph._repr_mimebundle_()["text/html"]


def test_a_stream_needs_no_reason():
    with GraphNode(name="g") as graph:
        mapped("b", x=Each(mapped("a", x=Each([1]))["x"]))
    assert [(link.flow, link.why) for link in drawing(graph).body.links if link.flow] == [("stream", "")]


def test_two_pipelines_that_would_wait_for_each_other():
    with GraphNode(name="g") as graph:
        a, c = mapped("a", x=Each([1])), mapped("c", x=Each([1]))
        mapped("b", x=Each(a["x"]), n=c["iteration_metrics"])
        mapped("d", x=Each(c["x"]), n=a["iteration_metrics"])
    whys = {link.why for link in drawing(graph).body.links if link.flow == "barrier"}
    assert whys == {"b also waits for the end of c"}
