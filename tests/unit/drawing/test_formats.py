"""Mermaid, HTML, SVG and what a notebook gets: structure, and that no name or condition can break out of its place."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import END, PARENT, START, BranchNode, GraphNode, UsageError
from hush.core._spec._render import Body, Item, Link
from hush.core._spec._render_html import to_html
from hush.core._spec._render_mermaid import escaped, fits, to_mermaid
from hush.core._spec._render_svg import to_svg
from hush.core._spec._render_text import to_text
from unit.drawing.pictures import ALL, Shown, crawl, diamond, fan, step, triage

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<script>alert("x")</script> & #35; `a` **b** [c](d) {e} |f| "g\' ; -->\n end %% 1. x'


# --- Mermaid ----------------------------------------------------------------------------------------------------------
def test_a_diamond_in_mermaid():
    assert (
        Shown(diamond()).to_mermaid()
        == """\
flowchart TB
    accTitle: diamond
    n_start(["START"])
    n_a["a"]
    n_b["b"]
    n_c["c"]
    n_d["d"]
    n_end(["END"])
    n_a --> n_b
    n_a --> n_c
    n_b --> n_d
    n_c --> n_d
    n_start --> n_a
    n_d --> n_end
    classDef light fill:none,stroke:#8886,color:#888
    class n_start,n_end light
"""
    )


def test_maps_and_loops_are_clusters_and_a_stream_is_said():
    lines = [line.strip() for line in Shown(crawl()).to_mermaid().split("\n")]
    assert 'subgraph n_fetch["fetch · map · 20 at a time"]' in lines
    assert 'n_fetch ==>|"stream<br/>rows"| n_clean' in lines
    assert 'n_list_urls -.->|"rows"| n_fetch' in lines
    assert lines.count("end") == 3
    lines = [line.strip() for line in Shown(ALL["refine"]()).to_mermaid().split("\n")]
    assert 'n_test{{"until quality #62;= 0.9<br/>at most 5 rounds, then goes on"}}' in lines
    assert 'n_rate -.->|"next round"| n_test' in lines


def test_arms_have_their_conditions_and_soft_edges_are_dotted():
    text = Shown(triage()).to_mermaid(direction="LR")
    assert text.startswith("flowchart LR\n")
    assert 'n_route -->|"score #62;= 90"| n_high' in text
    assert 'n_route -->|"default"| n_low' in text
    assert 'n_route -->|"score #60; 0"| n_end' in text
    assert 'n_watch -.->|"soft"| n_join' in text
    with pytest.raises(UsageError, match="direction"):
        Shown(triage()).to_mermaid(direction="up")


@pytest.mark.parametrize("name", ["end", "graph", "default", "x", "o", "style", "tải_về", "日本", "_", "1", "n_end"])
def test_names_that_mean_something_to_mermaid_are_names(name):
    with GraphNode(name="g") as graph:
        step(name) >> step(name + "_") >> END
    text = Shown(graph).to_mermaid()
    ids = re.findall(r"^    (n_\w+)[\[({]", text, re.MULTILINE | re.ASCII)
    assert len(set(ids)) == len(ids) == 4
    assert f'["{escaped(name)}"]' in text


def test_ids_of_same_names_in_different_containers_differ():
    with GraphNode(name="g") as graph:
        step("a")
        step("a_2")
        for number in range(3):
            with GraphNode(name=f"inner{number}"):
                step("a")
    ids = re.findall(r'(n_\w+)\["a', Shown(graph).to_mermaid())
    assert len(set(ids)) == 5


def test_a_drawing_too_large_for_mermaid_says_so_and_is_left_out_of_notebooks():
    with GraphNode(name="g") as graph:
        layers = [[step(f"n{layer}_{n}", **{f"x{layer}": n}) for n in range(18)] for layer in range(4)]
        START >> layers[0] >> layers[1] >> layers[2] >> layers[3]
    text = Shown(graph).to_mermaid()
    assert "%% 1008 links: Mermaid draws 500" in text
    assert not fits(text)
    assert set(Shown(graph)._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert fits(Shown(diamond()).to_mermaid())


# --- names and conditions ---------------------------------------------------------------------------------------------
def picture(label: str) -> Item:
    """A drawing with ``label`` wherever a user's text can stand."""
    leaf = Item(label, "code", "g/a", (label,))
    branch = Item(label, "branch", "g/b", (), (label,))
    body = Body((Item(label, "each", "g/m", (), (label,)), replace(leaf, path="g/m/a")), (Link(0, 1, "start"),))
    inner = Body((replace(leaf, path="g/m/a"), body.items[0]), (Link(1, 0, "start"),))
    box = Item(label, "map", "g/m", (label,), (label,), inner)
    links = (Link(0, 1, "reads", (label,)), Link(1, 2, "case", (label, label)), Link(0, 2, "edge", (label,), "barrier"))
    return Item(label, "graph", "g", (label,), (), Body((leaf, branch, box), links))


STATEMENT = re.compile(
    r"""flowchart\ TB | accTitle:\ [\w -]* | end | direction\ TB
    | subgraph\ n_\w+\["[^"]*"\]
    | n_\w+(\["[^"]*"\] | \(\["[^"]*"\]\) | \{"[^"]*"\} | \{\{"[^"]*"\}\} | \[/"[^"]*"/\])
    | n_\w+\ (-->|-\.->|==>)(\|"[^"]*"\|)?\ n_\w+
    | classDef\ \w+\ [^"]* | class\ [\w,]+\ \w+""",
    re.VERBOSE,
)


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_whatever_text_stands_in_it_each_line_of_mermaid_is_a_statement(label):
    for line in to_mermaid(picture(label)).splitlines():
        assert STATEMENT.fullmatch(line.strip()), line
    for label_line in re.findall(r'"([^"]*)"', to_mermaid(picture(label))):
        bare = re.sub(r"#\d+;|<br/>", "", label_line)
        assert not set(bare) & set('<>&#;`*[]{}()|\\"$@%!~^:')


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open = 0
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open += 1

    def handle_endtag(self, tag):
        self.open -= 1

    def handle_data(self, data):
        self.text.append(data)


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_whatever_text_stands_in_it_the_html_is_boxes_and_words(label):
    page = Tags()
    page.feed(to_html(picture(label)))
    assert page.tags <= {"div", "span", "b"}
    assert page.attributes <= {"style"}
    assert page.open == 0


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_whatever_text_stands_in_it_the_svg_can_be_read(label):
    root = ET.fromstring(to_svg(picture(label)))
    allowed = {"svg", "title", "defs", "marker", "path", "rect", "text", "g"}
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= allowed


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_whatever_text_stands_in_it_the_text_has_a_line_for_each_line(label):
    lines = to_text(picture(label), None).split("\n")
    assert len(lines) == len(to_text(picture("x"), None).split("\n"))
    assert all(line.isprintable() for line in lines)


def test_nasty_text_is_kept_readable():
    page = Tags()
    page.feed(to_html(picture(NASTY)))
    assert "".join(page.text).count(" ".join(NASTY.split())) >= 5
    texts = [one.text or "" for one in ET.fromstring(to_svg(picture(NASTY))).iter(f"{SVG}text")]
    assert any(text.startswith('<script>alert("x")</script> & #35;') for text in texts)


def test_conditions_of_users_are_escaped_everywhere():
    with GraphNode(name="g") as graph:
        BranchNode(name="b", cases={'x == "<b>|]"': "c"}, default=END, inputs={"x": PARENT["x"]})
        step("c")
    assert "#60;b#62;#124;#93;" in Shown(graph).to_mermaid()
    assert "&lt;b&gt;|]" in Shown(graph)._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;|]" in Shown(graph).to_svg()
    assert 'if x == "<b>|]" → c' in Shown(graph).to_text()


# --- notebooks --------------------------------------------------------------------------------------------------------
def test_a_notebook_gets_mermaid_html_and_text():
    shown = Shown(crawl())
    bundle = shown._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"] == shown.to_mermaid()
    assert bundle["text/plain"] == shown.to_text()
    assert "stream: starts with the first of fetch" in bundle["text/html"]
    for loading in ("http", "src=", "url(", "<style", "<script"):
        assert loading not in bundle["text/html"]


def test_a_notebook_may_ask_for_some_of_it():
    shown = Shown(diamond())
    assert set(shown._repr_mimebundle_(include=["text/html", "image/png"])) == {"text/html"}
    assert set(shown._repr_mimebundle_(exclude=["text/html"])) == {"text/plain", "text/vnd.mermaid"}
    assert len(shown._repr_mimebundle_(include=None, exclude=None)) == 3


@pytest.mark.parametrize("name", ALL)
def test_the_same_graph_gives_the_same_drawing(name):
    first, second = Shown(ALL[name]()), Shown(ALL[name]())
    assert first._repr_mimebundle_() == second._repr_mimebundle_()
    assert first.to_svg() == second.to_svg()


# --- SVG --------------------------------------------------------------------------------------------------------------
def box_of(element):
    return float(element.get("width")), float(element.get("height"))


@pytest.mark.parametrize("name", ALL)
def test_everything_in_the_svg_lies_inside_it(name):
    root = ET.fromstring(Shown(ALL[name]()).to_svg())
    wide, high = box_of(root)

    def look(element, x, y):
        moved = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        if moved:
            x, y = x + float(moved[1]), y + float(moved[2])
        if element.tag == f"{SVG}rect" and element.get("x") is None:
            assert x >= 0
            assert y >= 0
            assert x + box_of(element)[0] <= wide
            assert y + box_of(element)[1] <= high
        for inside in element:
            look(inside, x, y)

    look(root, 0.0, 0.0)


def test_the_svg_has_a_box_for_each_step_and_a_line_for_each_link():
    root = ET.fromstring(Shown(triage()).to_svg())
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"triage", "route", "high_more", "START", "END", "score >= 90", "default", "soft"} <= set(texts)
    assert len([one for one in root.iter(f"{SVG}path") if one.get("marker-end")]) == 13


def test_a_large_graph_is_drawn_in_bounded_work():
    """Each long link costs Graphviz a place in each row that it passes; those over the bound are drawn straight."""
    with GraphNode(name="g") as graph:
        nodes = [step(f"n{number}") for number in range(200)]
        for before, after in pairwise(nodes):
            before >> after
        for number in range(0, 150, 2):
            nodes[number] >> nodes[199]
    root = ET.fromstring(Shown(graph).to_svg())
    assert len([one for one in root.iter(f"{SVG}path") if one.get("marker-end")]) == 199 + 75 + 2


def test_svgs_can_be_drawn_in_several_threads():
    wanted = Shown(fan(8)).to_svg()
    drawn = []
    threads = [threading.Thread(target=lambda: drawn.append(Shown(fan(8)).to_svg())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [wanted] * 8


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(ImportError, match=re.escape('pip install "hushflow[svg]"')):
        Shown(diamond()).to_svg()


def test_nothing_of_it_is_loaded_before_something_is_drawn():
    code = "import sys, hush.core; print([m for m in sys.modules if '_render' in m or 'pygraphviz' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
