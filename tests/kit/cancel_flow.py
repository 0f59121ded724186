"""Branches, soft edges and loops to be cancelled at every tick."""

from __future__ import annotations

from typing import Any

from hush.core import (
    END,
    PARENT,
    START,
    Branch,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    MapNode,
    NodeTimeout,
    TooManyIterations,
    WhileLoopNode,
)
from kit.cancel_shapes import Log, Shape
from kit.faults import Boom


def arms_that_meet(log: Log) -> GraphNode:
    """Each arm writes the same key of PARENT, the one not chosen is skipped, and they meet again."""
    with GraphNode(name="g") as graph:
        score = log.node("score", outputs={"y": PARENT["y"]})
        route = BranchNode(name="route", cases={"y > 5": "high", "y > 0": "low"}, default=END, inputs={"y": score["y"]})
        high = log.node("high", score["y"], outputs={"y": PARENT["y"]})
        low = log.node("low", score["y"], cleanup_s=0.2, outputs={"y": PARENT["y"]})
        beside = log.node("beside", seconds=2)
        [high, low] >> log.node("join", PARENT["y"], outputs={"y": PARENT["joined"]})
        route >> beside
    return graph


def arms_of_containers(log: Log) -> GraphNode:
    """The chosen arm is a map, the other one a graph; a branch inside an arm chooses once more."""
    with GraphNode(name="g") as graph:
        kind = log.node("kind")
        with GraphNode(name="graph_arm") as graph_arm:
            log.node("never", outputs={"y": PARENT["y"]})
        with MapNode(name="map_arm", inputs={"x": Each([1, 2, 3])}, max_concurrency=2) as map_arm:
            first = log.node("first", PARENT["x"])
            even = log.node("even", first["y"], cleanup_s=0.1, outputs={"y": PARENT["y"]})
            odd = log.node("odd", first["y"], seconds=2, outputs={"y": PARENT["y"]})
            Branch("which").if_(first["y"] % 2 == 0, even).otherwise(odd)
        Branch("route").if_(kind["y"] > 5, graph_arm).otherwise(map_arm)
        graph_arm["y"] >> PARENT["y"]
        map_arm["y"] >> PARENT["y"]
        [graph_arm, map_arm] >> log.node("join")
    return graph


def branch_that_fails(log: Log) -> GraphNode:
    """No case holds and there is no default, while others are at work."""
    with GraphNode(name="g") as graph:
        score = log.node("score")
        BranchNode(name="route", cases={"y > 5": "high"}, inputs={"y": score["y"]}, on_error="collect")
        log.node("high", score["y"])
        log.node("beside", seconds=2, cleanup_s=0.2)
    return graph


def soft_edges(log: Log) -> GraphNode:
    """`join` starts with the first; one soft predecessor runs on after the end of `join`, another one fails."""
    with GraphNode(name="g") as graph:
        early, late = log.node("early"), log.node("late", seconds=4, cleanup_s=0.3)
        fails = log.node("fails", breaks_s=2, on_error="collect")
        join = log.node("join", outputs={"y": PARENT["y"]})
        for one in (early, late, fails):
            one >> ~join
        log.node("hard", seconds=1.5) >> join
        join >> log.node("after", seconds=0)
    return graph


def soft_edge_fails(log: Log) -> GraphNode:
    """A late soft predecessor fails, an ordinary failure, while what it no longer holds up is at work."""
    with GraphNode(name="g") as graph:
        early, late = log.node("early"), log.node("late", breaks_s=2)
        join = log.node("join", seconds=3, cleanup_s=0.2)
        early >> ~join
        late >> ~join
    return graph


def _rounds(log: Log, count: int, *, seconds: float = 1, **options: Any) -> WhileLoopNode:
    """A loop that counts to ``count``; two nodes of its body sleep, one of them takes its time to clean up."""
    with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition=f"x >= {count}", **options) as loop:
        step = log.node("step", PARENT["x"], seconds=seconds)
        log.node("side", seconds=0.5, cleanup_s=0.1) >> log.node("last", step["y"], seconds=0, outputs=None)
        step["y"] >> PARENT["x"]
    return loop


def while_loop(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        loop = _rounds(log, 3)
        loop["x"] >> PARENT["x"]
        START >> log.node("before") >> loop >> log.node("after", loop["x"]) >> END
        START >> log.node("beside", seconds=3, cleanup_s=0.2)
    return graph


def while_loop_late(log: Log) -> GraphNode:
    """The loop runs out of time in its second round."""
    with GraphNode(name="g") as graph:
        _rounds(log, 3, timeout_s=1.5)
        log.node("beside", seconds=2, cleanup_s=0.2)
    return graph


def while_loop_handled(log: Log) -> GraphNode:
    """Three loops whose failure is handled: one is done, one reaches its limit, one fails in its second round."""

    def second(y: int) -> dict[str, int]:
        if y == 2:
            raise Boom("second")
        return {"x": y}

    with GraphNode(name="g") as graph:
        _rounds(log, 2, on_error="collect")
        with WhileLoopNode(name="endless", inputs={"x": 0}, stop_condition="x < 0", max_iterations=2) as endless:
            log.node("turn", PARENT["x"], outputs={"y": PARENT["x"]})
        endless["error"] >> PARENT["endless"]
        with WhileLoopNode(name="failing", inputs={"x": 0}, max_iterations=3, on_error="collect") as failing:
            turn = log.node("turn", PARENT["x"], cleanup_s=0.2)
            log.node("side", seconds=4)
            CodeNode(name="second", code_fn=second, inputs={"y": turn["y"]}, outputs={"x": PARENT["x"]})
        failing >> log.node("after")
    return graph


def while_loop_fails(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x < 0", max_iterations=2):
            log.node("turn", PARENT["x"], outputs={"y": PARENT["x"]})
        log.node("beside", seconds=3, cleanup_s=0.2)
    return graph


def for_loop(log: Log) -> GraphNode:
    """One item after the other; the third fails, and with it the loop."""
    with GraphNode(name="g") as graph:
        with ForLoopNode(name="each", inputs={"x": Each([3, 2, 0, 1])}) as each:
            a = log.node("a", PARENT["x"], cleanup_s=0.2)
            CodeNode(name="b", code_fn=lambda y: {"z": 6 // (y - 1)}, inputs={"y": a["y"]}, outputs=PARENT)
        log.node("beside", seconds=5)
        each["error"] >> PARENT["errors"]
    return graph


def loop_in_map(log: Log) -> GraphNode:
    """Items of a map whose bodies are loops, with different numbers of rounds."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([2, 0, 1])}, max_concurrency=2) as over:
            with WhileLoopNode(name="loop", inputs={"x": PARENT["x"]}, stop_condition=lambda x: x >= 2) as loop:
                log.node("turn", PARENT["x"], cleanup_s=0.1, outputs={"y": PARENT["x"]})
            loop["x"] >> PARENT["y"]
        over["y"] >> PARENT["ys"]
    return graph


def map_in_loop(log: Log) -> GraphNode:
    """Each round of a loop runs a map, an item of which fails and is collected."""
    with GraphNode(name="g") as graph, WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=2):
        with MapNode(name="m", inputs={"z": Each([1, 2, 3])}, max_concurrency=2) as over:
            a = log.node("a", PARENT["z"], cleanup_s=0.1)
            CodeNode(name="b", code_fn=lambda y: {"y": 6 // (y - 3)}, inputs={"y": a["y"]}, outputs=PARENT)
        next_x = log.node("next", PARENT["x"], seconds=0, outputs={"y": PARENT["x"]})
        over >> next_x
    return graph


def loops_in_loops(log: Log) -> GraphNode:
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="outer", inputs={"x": 0}, stop_condition="x >= 2") as outer:
            with WhileLoopNode(name="inner", inputs={"z": PARENT["x"]}, max_iterations=2) as inner:
                log.node("turn", PARENT["z"], seconds=0.5, outputs={"y": PARENT["z"]})
            with GraphNode(name="handled", on_error="collect"):
                log.node("breaks", breaks_s=0.7)
                log.node("sleeps", cleanup_s=0.1)
            inner >> log.node("next", PARENT["x"], seconds=0, outputs={"y": PARENT["x"]})
        outer["x"] >> PARENT["x"]
    return graph


SHAPES = [
    Shape(arms_that_meet, twice=True),
    Shape(arms_of_containers),
    Shape(branch_that_fails),
    Shape(soft_edges, twice=True),
    Shape(soft_edge_fails, (Boom,), twice=True),
    Shape(while_loop, twice=True),
    Shape(while_loop_late, (NodeTimeout,), twice=True),
    Shape(while_loop_handled, twice=True),
    Shape(while_loop_fails, (TooManyIterations,)),
    Shape(for_loop, (ZeroDivisionError,), twice=True),
    Shape(loop_in_map),
    Shape(map_in_loop),
    Shape(loops_in_loops),
]
