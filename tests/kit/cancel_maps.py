"""Maps of every kind, and maps and loops as roots, to be cancelled at every tick."""

from __future__ import annotations

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    MapNode,
    NodeTimeout,
    SourceError,
    Tolerate,
    TooManyFailures,
    WhileLoopNode,
)
from kit.cancel_shapes import Log, Shape
from kit.faults import Boom


def _picky(y: int) -> dict[str, int]:
    if y % 2:
        raise Boom("odd")
    return {"y": y}


def map_in_batches(log: Log) -> GraphNode:
    """Batches of what a map gave, without the item that failed, and batches of a source that must be closed."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 3, 2, 5, 7])}, max_concurrency=3) as over:
            a = log.node("a", PARENT["x"], seconds=0.5)
            CodeNode(name="b", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
        with MapNode(name="pairs", inputs={"ys": Each(over["y"])}, batch=2, max_concurrency=2) as pairs:
            log.node("c", PARENT["ys"][0], cleanup_s=0.1, outputs={"y": PARENT["y"]})
        make = CodeNode(name="make", code_fn=lambda: {"rows": log.rows(5)}, inputs={})
        with MapNode(name="triples", inputs={"xs": Each(make["rows"])}, batch=3):
            log.node("d", PARENT["xs"][0])
        pairs["y"] >> PARENT["ys"]
    return graph


def map_of_the_first(log: Log) -> GraphNode:
    """Sources that have more to give when the first two were taken are closed all the same."""
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": log.rows(9), "lines": log.lines(9)}, inputs={})
        for name in ("rows", "lines"):
            with MapNode(name=name, inputs={"x": Each(make[name])}, first=2, max_concurrency=2, key=str):
                log.node(f"of_{name}", PARENT["x"], cleanup_s=0.1)
    return graph


def map_zipped(log: Log) -> GraphNode:
    """Two sources, of which one ends early: the map fails, and both are closed."""
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": log.rows(3), "lines": log.lines(2)}, inputs={})
        inputs = {"x": Each(make["rows"]), "z": Each(make["lines"])}
        with MapNode(name="m", inputs=inputs, max_concurrency=2) as over:
            log.node("a", PARENT["x"], cleanup_s=0.1)
            log.node("b", PARENT["z"], seconds=2)
        over["error"] >> PARENT["errors"]
        log.node("beside", seconds=3)
    return graph


def map_that_tolerates(log: Log) -> GraphNode:
    """One failure is tolerated, the second ends the map; another map tolerates all it has."""
    with GraphNode(name="g") as graph:
        for name, tolerate in (("enough", Tolerate(fraction=0.9)), ("strict", Tolerate(count=1))):
            with MapNode(name=name, inputs={"x": Each([1, 2, 3, 4])}, max_concurrency=3, on_error=tolerate):
                a = log.node(f"of_{name}", PARENT["x"], cleanup_s=0.1)
                CodeNode(name="b", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
        log.node("beside", seconds=5)
    return graph


def map_with_late_items(log: Log) -> GraphNode:
    """Items that take too long are cancelled, each alone; those of the other map end it."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2, item_timeout_s=1.5) as over:
            a = log.node("a", PARENT["x"])
            log.node("b", a["y"], cleanup_s=0.3)
            log.node("quick", PARENT["x"], seconds=0, outputs={"y": PARENT["y"]})
        with MapNode(name="strict", inputs={"x": Each([1, 2])}, item_timeout_s=4, on_error="raise"):
            log.node("c", seconds=9, cleanup_s=0.2)
        over["error"] >> PARENT["errors"]
    return graph


def maps_three_deep(log: Log) -> GraphNode:
    """Maps in maps in a map; the innermost fails fast, which the one around it collects."""
    sources = Each([[[1], [2, 2]], [[4, 4]]])
    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"rows": sources}, max_concurrency=2) as outer:
        with MapNode(name="middle", inputs={"xs": Each(PARENT["rows"])}, max_concurrency=2) as middle:
            with MapNode(name="inner", inputs={"x": Each(PARENT["xs"])}, on_error="raise", max_concurrency=2) as inner:
                a = log.node("a", PARENT["x"], cleanup_s=0.1)
                CodeNode(name="b", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
            inner["y"] >> PARENT["ys"]
        middle["ys"] >> PARENT["yss"]
        outer["yss"] >> PARENT["ysss"]
    return graph


def map_of_handled_graphs(log: Log) -> GraphNode:
    """In each item a graph fails and is handled, beside one that runs out of time, which fails the item."""
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2):
        with GraphNode(name="inner", on_error="collect"):
            log.node("breaks", breaks_s=0.5)
            log.node("sleeps", seconds=3, cleanup_s=0.2)
        with GraphNode(name="late", inputs={"x": PARENT["x"]}, timeout_s=1):
            log.node("a", PARENT["x"], seconds=0.5) >> log.node("b", cleanup_s=0.2)
    return graph


def map_as_root(log: Log) -> MapNode:
    with MapNode(name="m", inputs={"x": Each([1, 2, 3])}, max_concurrency=2) as root:
        a = log.node("a", PARENT["x"], cleanup_s=0.1)
        CodeNode(name="b", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
    return root


def for_loop_as_root(log: Log) -> ForLoopNode:
    with ForLoopNode(name="f", inputs={"x": Each([1, 3, 2])}) as root:
        a = log.node("a", PARENT["x"], cleanup_s=0.1)
        CodeNode(name="b", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
    return root


def while_loop_as_root(log: Log) -> WhileLoopNode:
    with WhileLoopNode(name="w", inputs={"x": 0}, stop_condition="x >= 3") as root:
        step = log.node("step", PARENT["x"], cleanup_s=0.1, outputs={"y": PARENT["x"]})
        log.node("side", seconds=0.5)
        step >> log.node("last", seconds=0)
    return root


def while_loop_as_root_late(log: Log) -> WhileLoopNode:
    with WhileLoopNode(name="w", inputs={"x": 0}, stop_condition="x >= 3", timeout_s=1.5) as root:
        log.node("step", PARENT["x"], cleanup_s=0.1, outputs={"y": PARENT["x"]})
        log.node("side", seconds=0.5)
    return root


SHAPES = [
    Shape(map_in_batches, twice=True),
    Shape(map_of_the_first, twice=True),
    Shape(map_zipped, (SourceError,), twice=True),
    Shape(map_that_tolerates, (TooManyFailures,), twice=True),
    Shape(map_with_late_items, (NodeTimeout,), twice=True),
    Shape(maps_three_deep),
    Shape(map_of_handled_graphs),
    Shape(map_as_root, twice=True),
    Shape(for_loop_as_root, (Boom,)),
    Shape(while_loop_as_root, twice=True),
    Shape(while_loop_as_root_late, (NodeTimeout,), twice=True),
]
