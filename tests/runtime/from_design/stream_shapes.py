"""Graphs in which one map reads another's column, and how each of them flows: stream, or barrier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hush.core import END, PARENT, START, BranchNode, CodeNode, Each, ForLoopNode, GraphNode, MapNode, WhileLoopNode
from runtime.from_design.streamed import Tap

COUNT = 300
STREAM, BARRIER = "stream", "barrier"


@dataclass(frozen=True)
class Shape:
    """How it is made, and how it flows: for pairs like "ab". Of `hidden` barriers the drawing need not tell."""

    make: Callable[[Maker], None]
    flows: dict[str, str]
    hidden: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.make.__name__

    def graph(self, tap: Tap) -> GraphNode:
        with GraphNode(name="g") as graph:
            self.make(Maker(tap))
        return graph


class Maker:
    """Makes the maps of a shape: two at a time, so 34 pulled and not finished."""

    def __init__(self, tap: Tap) -> None:
        self.tap = tap

    def source(self, name: str, kind: Any = MapNode, **options: Any) -> Any:
        """A map over numbers."""
        return self.map(name, kind=kind, x=Each(range(COUNT)), **options)

    def map(
        self, name: str, kind: Any = MapNode, batch: int | None = None, first: int | None = None, **inputs: Any
    ) -> Any:
        """A map whose body notes the items that it is called with, and gives `y` and `z`."""
        options = {key: value for key, value in (("batch", batch), ("first", first)) if value is not None}
        if kind is MapNode:
            options["max_concurrency"] = 2
        note = self.tap.body(name)
        with kind(name=name, inputs=inputs, **options) as over:
            CodeNode(
                name=f"{name}_n",
                code_fn=lambda **given: {"y": note(1)["y"], "z": 2},
                inputs={key: PARENT[key] for key in inputs},
                outputs={"y": PARENT, "z": PARENT},
            )
        return over

    def code(self, name: str, **inputs: Any) -> Any:
        """A node that gives `v`."""
        return CodeNode(name=name, code_fn=lambda **given: {"v": 1}, inputs=inputs)


def bare(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))


def pulled_inline(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"], pull="inline"))


def in_lists(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), batch=10)


def only_the_first(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), first=10)


def two_columns(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), z=Each(a["z"]))


def errors_as_well(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), e=Each(a["error"]))


def errors_alone(g):
    a = g.source("a")
    g.map("b", e=Each(a["error"]))


def zipped_with_a_list(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), n=Each([*range(COUNT)]))


def beside_a_whole_value(g):
    a = g.source("a")
    k = g.code("k", x=1)
    g.map("b", y=Each(a["y"]), k=k["v"])


def after_a_stranger(g):
    a = g.source("a")
    k = g.code("k", x=1)
    b = g.map("b", y=Each(a["y"]))
    k >> b


def both_from_the_start(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    START >> [a, b] >> END


def reached_by_the_reference_alone(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    START >> a
    b >> END


def a_node_reads_the_column(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))
    g.code("k", ys=a["y"], errors=a["error"])


def parent_takes_the_column(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))
    a["y"] >> PARENT["ys"]
    a["z"] >> PARENT["zs"]


def something_else_after_both(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    k = g.code("k", ys=a["y"])
    [k, b] >> g.code("end")


def a_for_loop_reads_a_map(g):
    a = g.source("a")
    g.map("b", kind=ForLoopNode, y=Each(a["y"]))


def a_map_reads_a_for_loop(g):
    a = g.source("a", kind=ForLoopNode)
    g.map("b", y=Each(a["y"]))


def an_edge(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    a >> b


def edges_in_a_chain(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    START >> a >> b >> END


def edges_through_a_node(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    a >> g.code("k") >> b


def references_through_a_node(g):
    a = g.source("a")
    k = g.code("k", ys=a["y"])
    g.map("b", y=Each(a["y"]), k=k["v"])


def a_reference_and_an_edge_through_a_node(g):
    a = g.source("a")
    k = g.code("k", ys=a["z"])
    b = g.map("b", y=Each(a["y"]))
    k >> b


def two_readers(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))
    g.map("c", y=Each(a["y"]))


def two_readers_of_different_columns(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]))
    g.map("c", e=Each(a["error"]))


def sliced(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"][1:]))


def applied(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"].apply(list)))


def the_other_column_is_not_bare(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), z=Each(a["z"].apply(list)))


def the_whole_column_as_well(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), ys=a["y"])


def its_metrics_as_well(g):
    a = g.source("a")
    g.map("b", y=Each(a["y"]), n=a["iteration_metrics"]["total_iterations"])


def the_body_reads_another_column(g):
    a = g.source("a")
    note = g.tap.body("b")
    with MapNode(name="b", inputs={"y": Each(a["y"])}):
        CodeNode(name="b_n", code_fn=lambda y, zs: note(y), inputs={"y": PARENT["y"], "zs": a["z"]})


def three_in_a_row(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    g.map("c", y=Each(b["y"]))


def five_in_a_row(g):
    last = g.source("a")
    for name in "bcde":
        last = g.map(name, y=Each(last["y"]))


def a_barrier_in_the_middle(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    c = g.map("c", y=Each(b["y"]))
    b >> c
    g.map("d", y=Each(c["y"]))


def the_last_waits_for_the_first_by_an_edge(g):
    """Else the first would wait for the middle one, which would wait for the last."""
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    c = g.map("c", y=Each(b["y"]))
    a >> c


def the_last_waits_for_a_column_of_the_first(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    k = g.code("k", ys=a["z"])
    g.map("c", y=Each(b["y"]), k=k["v"])


def the_last_waits_for_the_one_before(g):
    a = g.source("a")
    b = g.map("b", y=Each(a["y"]))
    c = g.map("c", y=Each(b["y"]))
    k = g.code("k", ys=b["z"])
    g.map("d", y=Each(c["y"]), k=k["v"])


def two_into_one(g):
    a, c = g.source("a"), g.source("c")
    g.map("b", y=Each(a["y"]), z=Each(c["y"]))


def two_into_one_of_which_one_is_read_twice(g):
    a, c = g.source("a"), g.source("c")
    g.map("b", y=Each(a["y"]), z=Each(c["y"]))
    g.map("d", y=Each(c["z"]))


def two_into_one_of_which_one_has_an_edge(g):
    a, c = g.source("a"), g.source("c")
    b = g.map("b", y=Each(a["y"]), z=Each(c["y"]))
    c >> b


def a_diamond(g):
    a = g.source("a")
    b, c = g.map("b", y=Each(a["y"])), g.map("c", y=Each(a["z"]))
    g.map("d", y=Each(b["y"]), z=Each(c["y"]))


def into_a_graph(g):
    a = g.source("a")
    with GraphNode(name="inner", inputs={"ys": a["y"]}):
        g.map("b", y=Each(PARENT["ys"]))


def from_outside_of_a_graph(g):
    a = g.source("a")
    with GraphNode(name="inner"):
        g.map("b", y=Each(a["y"]))


def out_of_a_graph(g):
    with GraphNode(name="inner") as inner:
        a = g.source("a")
        a["y"] >> PARENT["ys"]
    g.map("b", y=Each(inner["ys"]))


def through_parent(g):
    a = g.source("a")
    a["y"] >> PARENT["ys"]
    b = g.map("b", y=Each(PARENT["ys"]))
    a >> b


def both_in_a_graph(g):
    with GraphNode(name="inner"):
        a = g.source("a")
        g.map("b", y=Each(a["y"]))


def both_in_a_graph_whose_failure_is_handled(g):
    with GraphNode(name="inner", on_error="collect"):
        a = g.source("a")
        g.map("b", y=Each(a["y"]))


def both_in_a_map(g):
    with MapNode(name="outer", inputs={"n": Each([1, 2])}, max_concurrency=1):
        a = g.source("a")
        g.map("b", y=Each(a["y"]))


def both_in_a_loop(g):
    with WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2):
        a = g.source("a")
        g.map("b", y=Each(a["y"]))


def on_one_arm(g):
    BranchNode(name="route", cases={"n == 1": "b"}, default=END, inputs={"n": 1})
    a = g.source("a")
    g.map("b", y=Each(a["y"]))


def on_an_arm_that_the_column_chooses(g):
    a = g.source("a")
    k = g.code("k", ys=a["y"])
    BranchNode(name="route", cases={"v == 1": "b"}, default=END, inputs={"v": k["v"]})
    g.map("b", y=Each(a["y"]))


SHAPES = [
    *(
        Shape(make, {"ab": STREAM})
        for make in (
            bare,
            pulled_inline,
            in_lists,
            only_the_first,
            two_columns,
            errors_as_well,
            errors_alone,
            zipped_with_a_list,
            beside_a_whole_value,
            after_a_stranger,
            both_from_the_start,
            reached_by_the_reference_alone,
            a_node_reads_the_column,
            parent_takes_the_column,
            something_else_after_both,
            a_for_loop_reads_a_map,
            a_map_reads_a_for_loop,
            both_in_a_graph,
            both_in_a_graph_whose_failure_is_handled,
            both_in_a_map,
            both_in_a_loop,
            on_one_arm,
        )
    ),
    *(
        Shape(make, {"ab": BARRIER})
        for make in (
            an_edge,
            edges_in_a_chain,
            edges_through_a_node,
            references_through_a_node,
            a_reference_and_an_edge_through_a_node,
            sliced,
            applied,
            the_other_column_is_not_bare,
            the_whole_column_as_well,
            its_metrics_as_well,
            the_body_reads_another_column,
            on_an_arm_that_the_column_chooses,
        )
    ),
    *(
        Shape(make, {"ab": BARRIER}, hidden=("ab",))
        for make in (into_a_graph, from_outside_of_a_graph, out_of_a_graph, through_parent)
    ),
    Shape(two_readers, {"ab": BARRIER, "ac": BARRIER}),
    Shape(two_readers_of_different_columns, {"ab": BARRIER, "ac": BARRIER}),
    Shape(three_in_a_row, {"ab": STREAM, "bc": STREAM}),
    Shape(five_in_a_row, {"ab": STREAM, "bc": STREAM, "cd": STREAM, "de": STREAM}),
    Shape(a_barrier_in_the_middle, {"ab": STREAM, "bc": BARRIER, "cd": STREAM}),
    Shape(the_last_waits_for_the_first_by_an_edge, {"ab": STREAM, "bc": BARRIER}),
    Shape(the_last_waits_for_a_column_of_the_first, {"ab": STREAM, "bc": BARRIER}),
    Shape(the_last_waits_for_the_one_before, {"ab": STREAM, "bc": STREAM, "cd": BARRIER}),
    Shape(two_into_one, {"ab": STREAM, "cb": STREAM}),
    Shape(two_into_one_of_which_one_is_read_twice, {"ab": STREAM, "cb": BARRIER, "cd": BARRIER}),
    Shape(two_into_one_of_which_one_has_an_edge, {"ab": STREAM, "cb": BARRIER}),
    Shape(a_diamond, {"ab": BARRIER, "ac": BARRIER, "bd": STREAM, "cd": STREAM}),
]
