"""The drawing that all formats are made from: what it holds, and what it costs."""

from __future__ import annotations

import random
import sys
from itertools import pairwise

import pytest

from hush.core import END, PARENT, START, BranchNode, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._spec._render import PSEUDO, draw
from hush.core._spec._render_blocks import arrange, folded
from hush.core._spec._render_html import to_html
from hush.core._spec._render_mermaid import to_mermaid
from hush.core._spec._render_text import to_text
from unit.drawing.pictures import crawl, drawing, refine, step, triage, woven


def links(body, *, ties=None):
    """The links as (from, to, tie, labels, flow), of these ties."""
    found = [(body.items[a].name, body.items[b].name, tie, labels, flow) for a, b, tie, labels, flow, _ in body.links]
    return [link for link in found if ties is None or link[2] in ties]


def test_every_kind_of_link_of_a_branch_is_told():
    body = drawing(triage()).body
    assert links(body) == [
        ("score", "route", "edge", ("x",), ""),
        ("score", "watch", "edge", (), ""),
        ("high", "high_more", "edge", (), ""),
        ("high_more", "join", "edge", (), ""),
        ("middle", "join", "edge", (), ""),
        ("low", "join", "edge", (), ""),
        ("watch", "join", "soft", (), ""),
        ("route", "high", "case", ("score >= 90",), ""),
        ("route", "middle", "case", ("score >= 50 and 'x' in text",), ""),
        ("route", "low", "case", ("default",), ""),
        ("START", "score", "start", (), ""),
        ("route", "END", "end", ("score < 0",), ""),
        ("join", "END", "end", (), ""),
    ]


def test_several_cases_to_one_target_are_one_link():
    with GraphNode(name="g") as graph:
        BranchNode(name="b", cases={"x > 1": "c", "x < 0": "c"}, default=END, inputs={"x": PARENT["x"]})
        step("c")
    body = drawing(graph).body
    assert links(body, ties={"case"}) == [("b", "c", "case", ("x > 1", "x < 0"), "")]
    assert ("b", "END", "end", ("default",), "") in links(body)


def test_a_link_from_a_map_to_an_each_is_a_stream_or_with_an_edge_a_barrier():
    for waits, flow in ((False, "stream"), (True, "barrier")):
        flows = {(a, b): flow for a, b, _, _, flow in links(drawing(crawl(waits=waits)).body) if flow}
        assert flows == {("fetch", "clean"): flow}


def test_only_the_each_of_a_map_makes_a_flow():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1])}) as a:
            step("inside")["x"] >> PARENT["x"]
        with MapNode(name="b", inputs={"x": Each([1]), "all": a["x"]}):
            step("inside", x=PARENT["all"])
        step("c", x=a["x"])
    assert {link[4] for link in links(drawing(graph).body)} == {""}


def test_containers_hold_bodies_with_what_begins_them():
    root = drawing(refine())
    improve = root.body.items[1]
    assert (improve.kind, improve.path) == ("while", "refine/improve")
    assert links(improve.body) == [
        ("edit", "rate", "edge", ("x",), ""),
        ("until quality >= 0.9", "edit", "start", (), ""),
        ("rate", "until quality >= 0.9", "again", (), ""),
    ]
    fetch = drawing(crawl()).body.items[1]
    assert links(fetch.body, ties={"start"}) == [('each url ← list_urls["rows"]', "get", "start", (), "")]
    assert [item.path for item in fetch.body.items][:2] == ["crawl/fetch/get", "crawl/fetch/parts"]


def test_what_is_read_from_inside_a_container_leads_to_the_container():
    with GraphNode(name="g") as graph:
        a = step("a")
        with GraphNode(name="inner"):
            step("b", x=a["x"])
    assert links(drawing(graph).body, ties={"reads"}) == [("a", "inner", "reads", ("x",), "")]


def test_start_is_drawn_inside_a_container_only_where_it_says_something():
    with GraphNode(name="g") as graph:
        with GraphNode(name="plain"):
            START >> step("a") >> step("b")
        with GraphNode(name="telling"):
            a, b = step("a"), step("b")
            START >> [a, b]
            a >> b
    plain, telling = (item.body for item in drawing(graph).body.items[:2])
    assert links(plain, ties={"start"}) == []
    assert links(telling, ties={"start"}) == [("START", "b", "start", (), "")]


def test_names_that_lead_nowhere_draw_nothing():
    with GraphNode(name="g") as graph:
        BranchNode(name="b", cases={"x > 1": "nowhere"}, inputs={"x": PARENT["x"]})
    assert graph.check()
    assert links(drawing(graph).body, ties={"case"}) == []


def test_the_root_made_around_a_node_is_not_drawn():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as root:
        step("a", x=PARENT["x"])
    from hush.core._spec._root import around

    assert draw(around(root._describe())).name == "m"


def shape(body):
    def said(block):
        return body.items[block.step].name if block.shape == "step" else (block.shape, *map(said, block.parts))

    return said(arrange(body).block)


def test_a_body_is_taken_apart_into_series_and_parallel_blocks():
    assert shape(drawing(triage()).body) == (
        "series",
        "score",
        ("parallel", ("series", "route", ("parallel", ("series", "high", "high_more"), "middle", "low")), "watch"),
        "join",
    )
    assert shape(drawing(woven()).body) == ("series", ("weave", "a", "b", "c", "d", "e"), "f")


def test_all_to_all_is_a_series_of_side_by_side():
    with GraphNode(name="g") as graph:
        a, b, c, d, e = map(step, "abcde")
        START >> [a, b] >> [c, d] >> e
    assert shape(drawing(graph).body) == ("series", ("parallel", "a", "b"), ("parallel", "c", "d"), "e")


def related(body):
    """For each pair of steps, which comes first."""
    steps = body.steps()
    after = {n: set() for n in steps}
    for a, b, *_ in body.links:
        if a in after and b in after:
            after[a].add(b)
    for n in reversed(steps):  # links lead to later steps here
        after[n] = after[n].union(*(after[m] for m in after[n]))
    return after


def told(block, body):
    """The pairs that the blocks put one after the other, and those they put side by side."""
    series, apart, members = set(), set(), []
    if block.shape == "step":
        return series, apart, [block.step]
    for part in block.parts:
        inner_series, inner_apart, inside = told(part, body)
        series |= inner_series
        apart |= inner_apart
        if block.shape != "weave":
            (series if block.shape == "series" else apart).update((a, b) for a in members for b in inside)
        members += inside
    return series, apart, members


@pytest.mark.parametrize("seed", range(150))
def test_blocks_say_nothing_that_is_not_so(seed):
    """Steps in series come after one another, steps side by side do not, whatever the graph."""
    rng = random.Random(seed)
    count = rng.randint(2, 14)
    with GraphNode(name="g") as graph:
        nodes = [step(f"n{number}") for number in range(count)]
        for after in range(1, count):
            for before in range(after):
                if rng.random() < rng.choice([0.1, 0.3, 0.6]):
                    nodes[before] >> nodes[after]
    body = drawing(graph).body
    series, apart, members = told(arrange(body).block, body)
    after = related(body)
    assert sorted(members) == list(range(count))
    assert all(b in after[a] for a, b in series)
    assert all(b not in after[a] and a not in after[b] for a, b in apart)


def test_folding_keeps_every_link_that_is_left():
    with GraphNode(name="g") as graph:
        first, last = step("first"), step("last")
        first >> [step(f"w{number}") for number in range(30)] >> last
    body = folded(drawing(graph), 5).body
    assert [item.name for item in body.items if item.kind not in PSEUDO] == ["first", "last", "w0 … w29"]
    assert body.items[2].folded == tuple(f"w{number}" for number in range(30))
    assert [link[:2] for link in links(body, ties={"edge"})] == [("first", "w0 … w29"), ("w0 … w29", "last")]


def test_folding_goes_into_containers():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner"):
            for number in range(30):
                step(f"w{number}")
    assert len(folded(drawing(graph), 5).body.items[0].body.items) == 1


# --- cost -------------------------------------------------------------------------------------------------------------
def large(kind, count):
    with GraphNode(name="g") as graph:
        nodes = [CodeNode(name=f"n{number}", code_fn=dict) for number in range(count)]
        if kind == "chain":
            for before, after in pairwise(nodes):
                before >> after
        elif kind == "fan":
            nodes[0] >> nodes[1:-1] >> nodes[-1]
        elif kind == "woven":
            for number in range(2, count):
                nodes[number - 1] >> nodes[number]
                nodes[number // 2] >> nodes[number]
        elif kind == "ladder":
            for number in range(0, count - 3, 2):
                nodes[number] >> [nodes[number + 1], nodes[number + 2]]
    return graph._describe()


def calls(work):
    """How many calls ``work`` makes, generators' steps and builtins counted."""
    made = 0

    def count(frame, event, arg):
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made


def make_all(spec):
    root = draw(spec)
    for one in (root, folded(root)):
        to_text(one)
        to_mermaid(one)
        to_html(one)


@pytest.mark.parametrize("kind", ["chain", "fan", "woven", "ladder", "loose"])
def test_the_work_grows_with_the_graph_and_no_faster(kind):
    small, big = large(kind, 200), large(kind, 800)
    assert calls(lambda: make_all(big)) < 4.6 * calls(lambda: make_all(small))


@pytest.mark.parametrize("kind", ["chain", "fan", "woven", "ladder", "loose"])
def test_a_thousand_nodes_are_at_most_a_line_each(kind):
    text = to_text(folded(draw(large(kind, 1000))))
    assert text.count("\n") <= 1000
    assert max(map(len, text.split("\n"))) <= 100
    if kind in ("fan", "loose"):
        assert text.count("\n") < 5


def test_drawing_runs_nothing():
    graph = crawl()
    make_all(graph._describe())
    assert Hush(graph).name == "crawl"
