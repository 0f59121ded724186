"""Streaming maps of every kind, to be cancelled at every tick."""

from __future__ import annotations

import asyncio
from typing import Any

from hush.core import (
    END,
    PARENT,
    BranchNode,
    CodeNode,
    Each,
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

TWO: dict[str, Any] = {"max_concurrency": 2, "window": 2}
ONE: dict[str, Any] = {"max_concurrency": 1, "window": 1}


def _sources(log: Log, rows: int = 4, lines: int = 4) -> Any:
    return CodeNode(name="make", code_fn=lambda: {"rows": log.rows(rows), "lines": log.lines(lines)}, inputs={})


def _through(log: Log, name: str, source: Any, options: dict[str, Any] | None = None, **more: Any) -> Any:
    with MapNode(name=name, inputs={"x": Each(source)}, **(TWO if options is None else options)) as over:
        log.node(f"of_{name}", PARENT["x"], outputs={"y": PARENT["y"]}, **more)
    return over


def _picky(y: int) -> dict[str, int]:
    if y % 2:
        raise Boom("odd")
    return {"y": y}


def _picks(log: Log, name: str, source: Any, options: dict[str, Any]) -> Any:
    with MapNode(name=name, inputs={"x": Each(source)}, **options) as over:
        a = log.node(f"of_{name}", PARENT["x"], seconds=0.4, cleanup_s=0.1)
        CodeNode(name="picky", code_fn=_picky, inputs={"y": a["y"]}, outputs=PARENT)
    return over


def stream_of_three(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = _through(log, "a", _sources(log)["rows"], seconds=0.2)
        b = _through(log, "b", a["y"], seconds=0.5, cleanup_s=0.1)
        c = _through(log, "c", b["y"], ONE, seconds=0.3)
        c["y"] >> PARENT["ys"]
        b["error"] >> PARENT["errors"]
    return graph


def stream_of_inline_bodies(log: Log) -> GraphNode:
    """Nothing but the source suspends."""
    with GraphNode(name="g") as graph:
        column = _sources(log)["rows"]
        for name in "abc":
            with MapNode(name=name, inputs={"x": Each(column)}, **TWO) as over:
                CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
            column = over["y"]
        over["y"] >> PARENT["ys"]
    return graph


def stream_with_a_slow_head(log: Log) -> GraphNode:
    async def body(x: int) -> dict[str, int]:
        log.opened.append("body")
        try:
            await asyncio.sleep(0.2 if x else 2)
        finally:
            log.closed.append("body")
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(_sources(log)["lines"])}, max_concurrency=2, window=3) as a:
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
        _through(log, "b", a["y"], seconds=0.3)
    return graph


def stream_out_of_order(log: Log) -> GraphNode:
    async def body(x: int) -> dict[str, int]:
        await asyncio.sleep(0.4 * (4 - x))
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each(_sources(log)["lines"])}, max_concurrency=3) as a:
            CodeNode(name="n", code_fn=body, inputs={"x": PARENT["x"]}, outputs=PARENT)
        b = _through(log, "b", a["y"], {**TWO, "ordered": False}, seconds=0.3, cleanup_s=0.1)
        b["y"] >> PARENT["ys"]
    return graph


def stream_zipped(log: Log) -> GraphNode:
    """Two maps and a source into one; a node reads a column beside."""
    with GraphNode(name="g") as graph:
        make = _sources(log, 3, 3)
        a = _through(log, "a", make["rows"], seconds=0.2)
        c = _through(log, "c", range(3), seconds=0.6)
        inputs = {"x": Each(a["y"]), "e": Each(a["error"]), "z": Each(c["y"]), "n": Each(make["lines"])}
        with MapNode(name="b", inputs=inputs, **TWO) as b:
            log.node("of_b", PARENT["x"], cleanup_s=0.1, outputs={"y": PARENT["y"]})
        CodeNode(name="k", code_fn=lambda ys: {"v": sum(ys)}, inputs={"ys": a["y"]})["v"] >> PARENT["v"]
        b["y"] >> PARENT["ys"]
    return graph


def stream_of_unequal_lengths(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        make = _sources(log, 4, 2)
        a = _through(log, "a", make["rows"], seconds=0.2, cleanup_s=0.1)
        with MapNode(name="b", inputs={"x": Each(a["y"]), "n": Each(make["lines"])}, **TWO):
            log.node("of_b", PARENT["x"], cleanup_s=0.1)
        log.node("beside", seconds=5)
    return graph


def stream_of_lists(log: Log) -> GraphNode:
    """Handed over before they are full."""
    with GraphNode(name="g") as graph:
        a = _picks(log, "a", _sources(log, 5)["rows"], TWO)
        with MapNode(name="b", inputs={"xs": Each(a["y"])}, batch=9, batch_wait_s=0.5, **ONE) as b:
            log.node("of_b", PARENT["xs"][0], seconds=0.3, cleanup_s=0.1, outputs={"y": PARENT["y"]})
        _through(log, "c", b["y"], seconds=0.2)
    return graph


def stream_whose_reader_fails_fast(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        make = _sources(log)
        a = _through(log, "a", make["rows"], seconds=0.1, cleanup_s=0.2)
        b = _picks(log, "b", a["y"], {**TWO, "on_error": "raise"})
        _through(log, "c", b["y"], seconds=0.2)
        a["y"] >> PARENT["a"]
    return graph


def stream_that_fails_and_is_handled(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        make = _sources(log)
        with GraphNode(name="inner", inputs={"rows": make["rows"]}, on_error="collect") as inner:
            a = _through(log, "a", PARENT["rows"], seconds=0.1, cleanup_s=0.2)
            _picks(log, "b", a["y"], {**TWO, "on_error": Tolerate(count=0)})
        inner >> log.node("after", seconds=0.3)
    return graph


def stream_that_tolerates_too_few(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = _picks(log, "a", _sources(log, 5)["rows"], TWO)
        b = _through(log, "b", a["y"], {**TWO, "on_error": Tolerate(count=1)}, cleanup_s=0.1)
        _through(log, "c", b["y"])
    return graph


def stream_behind_a_branch(log: Log) -> GraphNode:
    """One reader is skipped after a while, another is chosen."""
    with GraphNode(name="g") as graph:
        make = _sources(log)
        late = log.node("late", seconds=0.7)
        BranchNode(name="route", cases={"y == 1": "yes"}, default="no", inputs={"y": late["y"]})
        a = _through(log, "a", make["rows"], seconds=0.1, cleanup_s=0.1)
        b = _through(log, "b", make["lines"], seconds=0.1, cleanup_s=0.1)
        _through(log, "yes", a["y"], seconds=0.2)
        _through(log, "no", b["y"], seconds=0.2)
    return graph


def stream_of_the_first(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = _through(log, "a", _sources(log, 5)["rows"], seconds=0.1, cleanup_s=0.1)
        b = _through(log, "b", a["y"], {**TWO, "first": 2}, seconds=0.2, cleanup_s=0.1)
        _through(log, "c", b["y"], seconds=0.2)
    return graph


def stream_out_of_time(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = _through(log, "a", _sources(log)["rows"], {**TWO, "item_timeout_s": 0.5}, seconds=0.2, cleanup_s=0.1)
        _through(log, "b", a["y"], {**TWO, "timeout_s": 1.2}, seconds=0.4, cleanup_s=0.2)
    return graph


def streams_in_a_map(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph, MapNode(name="outer", inputs={"n": Each([2, 3])}, max_concurrency=2) as outer:
        rows = CodeNode(name="rows", code_fn=lambda n: {"rows": log.rows(n)}, inputs={"n": PARENT["n"]})
        a = _picks(log, "a", rows["rows"], TWO)
        b = _through(log, "b", a["y"], seconds=0.2, cleanup_s=0.1)
        b["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["ys"]
    return graph


def streams_in_a_loop(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph, WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2):
        a = _through(log, "a", _sources(log, 2)["rows"], seconds=0.1)
        _through(log, "b", a["y"], seconds=0.2, cleanup_s=0.1)
    return graph


def streams_that_wait_for_one_another(log: Log) -> GraphNode:
    """Each reader waits for the end of the other's source."""
    with GraphNode(name="g") as graph:
        make = _sources(log)
        v, w = _through(log, "v", make["rows"], seconds=0.1), _through(log, "w", make["lines"], seconds=0.1)
        for name, source, other in (("b", v, w), ("e", w, v)):
            k = CodeNode(name=f"for_{name}", code_fn=lambda ys: {"v": 1}, inputs={"ys": other["error"]})
            with MapNode(name=name, inputs={"x": Each(source["y"]), "k": k["v"]}, **TWO):
                log.node(f"of_{name}", PARENT["x"], seconds=0.2)
    return graph


def stream_beside_a_failing_node(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        a = _through(log, "a", _sources(log)["rows"], seconds=0.2, cleanup_s=0.2)
        _through(log, "b", a["y"], ONE, seconds=0.4, cleanup_s=0.3)
        log.node("breaks", breaks_s=0.9)
        BranchNode(name="route", cases={"x": END}, default=END, inputs={"x": 1})
    return graph


SHAPES = [
    Shape(stream_of_three, twice=True),
    Shape(stream_of_inline_bodies, twice=True),
    Shape(stream_with_a_slow_head),
    Shape(stream_out_of_order),
    Shape(stream_zipped, twice=True),
    Shape(stream_of_unequal_lengths, (SourceError,), twice=True),
    Shape(stream_of_lists, twice=True),
    Shape(stream_whose_reader_fails_fast, (Boom,), twice=True),
    Shape(stream_that_fails_and_is_handled, twice=True),
    Shape(stream_that_tolerates_too_few, (TooManyFailures,)),
    Shape(stream_behind_a_branch, twice=True),
    Shape(stream_of_the_first),
    Shape(stream_out_of_time, (NodeTimeout,), twice=True),
    Shape(streams_in_a_map, twice=True),
    Shape(streams_in_a_loop),
    Shape(streams_that_wait_for_one_another),
    Shape(stream_beside_a_failing_node, (Boom,)),
]
