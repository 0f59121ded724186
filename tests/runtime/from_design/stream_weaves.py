"""Graphs in which maps wait for one another's ends in ways that could hang: how they flow is left open."""

from __future__ import annotations

from hush.core import PARENT, CodeNode, Each, GraphNode


def each_waits_for_the_others_source(g):
    """Were both streams, each source would wait for a reader that waits for the other source."""
    v, w = g.source("v"), g.source("w")
    for_b, for_e = g.code("for_b", zs=w["z"]), g.code("for_e", zs=v["z"])
    g.map("b", y=Each(v["y"]), k=for_b["v"])
    g.map("e", y=Each(w["y"]), k=for_e["v"])


def three_wait_in_a_ring(g):
    sources = [g.source(name) for name in "uvw"]
    waits = [g.code(f"for_{name}", zs=each["z"]) for name, each in zip("uvw", sources, strict=True)]
    for number, name in enumerate("bcd"):
        g.map(name, y=Each(sources[number]["y"]), k=waits[(number + 1) % 3]["v"])


def one_of_two_into_one_waits_for_the_others_source(g):
    w, v = g.source("w"), g.source("v")
    e = g.map("e", y=Each(w["y"]))
    k = g.code("k", zs=w["z"])
    b = g.map("b", y=Each(v["y"]), k=k["v"])
    g.map("c", y=Each(b["y"]), z=Each(e["y"]))


def a_row_in_which_two_wait_for_those_before(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    k, k2 = g.code("k", ys=a["z"]), g.code("k2", ys=b["z"])
    c = g.map("c", y=Each(b["y"]), k=k["v"])
    g.map("d", y=Each(c["y"]), k=k2["v"])


def a_third_takes_the_whole_column(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))
    g.map("c", x=Each([1, 2]), ys=a["y"])


def the_reader_waits_for_one_that_takes_the_whole_column(g):
    a = g.source("a")
    c = g.map("c", x=Each([1, 2]), ys=a["y"])
    b = g.map("b", y=Each(a["y"]))
    c >> b


def a_graph_between_waits_for_the_first(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    with GraphNode(name="inner", inputs={"ys": a["y"]}) as inner:
        CodeNode(name="k", code_fn=lambda ys: {"v": 1}, inputs={"ys": PARENT["ys"]}, outputs=PARENT)
    g.map("c", y=Each(b["y"]), k=inner["v"])


def an_edge_from_a_stranger_that_waits_for_the_first(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    c = g.map("c", y=Each(b["y"]))
    d = g.map("d", x=Each([1]), n=a["iteration_metrics"])
    d >> c


def a_zip_with_what_comes_from_the_same(g):
    """The node between makes a list of the whole column."""
    a = g.source("a")
    k = CodeNode(name="k", code_fn=lambda ys: {"rows": ys}, inputs={"ys": a["y"]})
    c = g.map("c", x=Each(k["rows"]))
    g.map("b", y=Each(a["y"]), z=Each(c["y"]))


WOVEN = [
    each_waits_for_the_others_source,
    three_wait_in_a_ring,
    one_of_two_into_one_waits_for_the_others_source,
    a_row_in_which_two_wait_for_those_before,
    a_third_takes_the_whole_column,
    the_reader_waits_for_one_that_takes_the_whole_column,
    a_graph_between_waits_for_the_first,
    an_edge_from_a_stranger_that_waits_for_the_first,
    a_zip_with_what_comes_from_the_same,
]
