"""A graph as text, Mermaid, SVG and HTML: what is drawn, and that names cannot break it."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from hush.core import END, PARENT, START, BranchNode, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode


def everything() -> GraphNode:
    with GraphNode(name="all") as graph:
        route = BranchNode(
            name="route", cases={"score >= 90": "high"}, default="low", inputs={"score": PARENT["score"]}
        )
        high = CodeNode(name="high", code_fn=lambda: {"v": [1]}, outputs=PARENT)
        low = CodeNode(name="low", code_fn=lambda: {"v": [2]}, outputs=PARENT)
        with MapNode(name="first", inputs={"x": Each(PARENT["v"])}, max_concurrency=5) as first:
            CodeNode(name="body", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        with MapNode(name="second", inputs={"y": Each(first["y"])}) as second:
            CodeNode(name="body", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs=PARENT)
        with WhileLoopNode(name="again", inputs={"n": 0}, stop_condition="n > 3") as again:
            CodeNode(name="count", code_fn=lambda n: {"n": n + 1}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        START >> route
        [high, low] >> first
        high >> ~again
        low >> ~again
        [second, again] >> END
    return graph


def test_the_text_says_what_runs_when():
    text = everything().to_text()
    for part in ("score >= 90", "high", "low", "map", "5 at a time", "stream", "first", "while", "n > 3", "~high"):
        assert part in text, part
    assert max(map(len, text.splitlines())) <= 100


def test_the_same_graph_gives_the_same_drawing():
    assert everything().to_text() == everything().to_text()
    assert everything().to_mermaid() == everything().to_mermaid()
    assert everything().to_svg() == everything().to_svg()


def test_mermaid_has_every_node_and_what_streams():
    text = everything().to_mermaid()
    assert text.startswith("flowchart")
    for name in ("route", "high", "low", "first", "second", "again", "count"):
        assert name in text
    assert "stream" in text
    assert text.count("subgraph") == text.count("\n    end") == 3


def test_an_engine_draws_its_graph_and_show_prints_it(capsys):
    engine = Hush(everything())
    assert engine.to_text() == everything().to_text()
    engine.show()
    assert capsys.readouterr().out.rstrip() == everything().to_text().rstrip()


def test_a_notebook_gets_mermaid_html_and_text():
    bundle = everything()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "text/vnd.mermaid"}
    assert set(everything()._repr_mimebundle_(include={"text/html"})) == {"text/html"}
    assert "src=" not in bundle["text/html"]  # it needs no network


@pytest.mark.parametrize("name", ["end", "subgraph", "naïve", "số-1", "click", "x__y"])
def test_names_that_mermaid_might_read_as_its_own_are_only_labels(name):
    with GraphNode(name="g") as graph:
        CodeNode(name=name, code_fn=lambda: None)
    for line in graph.to_mermaid().splitlines():
        assert not line.strip().startswith((f"{name}[", f"{name} -"))
    assert name in graph.to_text()


def test_conditions_cannot_break_the_markup():
    with GraphNode(name="g") as graph:
        BranchNode(name="b", cases={"x == '<script>\"]'": "t"}, default=END, inputs={"x": PARENT["x"]})
        CodeNode(name="t", code_fn=lambda: None)
    assert "<script>" not in graph.to_mermaid()
    html = graph._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    HTMLParser().feed(html)
    ElementTree.fromstring(graph.to_svg())


def test_a_faulty_graph_can_be_drawn():
    with GraphNode(name="g") as graph:
        a, b = CodeNode(name="a", code_fn=lambda: None), CodeNode(name="b", code_fn=lambda: None)
        a >> b
        b >> a
    assert "a" in graph.to_text()
    assert graph.to_mermaid().startswith("flowchart")


def test_a_wide_graph_is_folded():
    with GraphNode(name="g") as graph:
        START >> [CodeNode(name=f"n{number}", code_fn=lambda: None) for number in range(1000)]
    assert len(graph.to_text().splitlines()) < 60
    assert len(graph.to_text(fold=None).splitlines()) >= 1000
