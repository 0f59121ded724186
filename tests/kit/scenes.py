"""The places in which a node fails: the graph, where the error must say it was raised, and who handles it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hush.core import PARENT, Branch, CodeNode, Each, GraphNode, MapNode, WhileLoopNode
from hush.core.nodes._graph import Block
from kit.blows import WAYS, Stage


@dataclass(frozen=True)
class Scene:
    """One place.

    Attributes:
        build: Makes the graph.
        path: Of the node that raises; ``item``, ``outer`` and ``round`` as in ``exc.hush``.
        handled: Who goes on with a failure: nobody; ``"collect"``; ``"named"``, under the output ``"error"``;
            ``"items"`` of a map, which gives its outputs as ``outputs``.
        excess: Whether a failure that may be collected ends a map with ``TooManyFailures``.
        outputs: What the run gives if the failure is handled; ``...`` stands for the error.
        ways: In which ways nodes can raise there.
        beside: How many bystanders are surely at work by then if the node suspends before.
    """

    build: Callable[[Stage], Block]
    path: str
    item: int | None = None
    outer: tuple[int, ...] = ()
    round: int | None = None
    handled: str | None = None
    excess: bool = False
    outputs: Any = None
    ways: tuple[str, ...] = WAYS
    beside: int = 1


scenes: dict[str, Scene] = {}


def scene(path: str, **more: Any) -> Callable[[Callable[[Stage], Block]], Callable[[Stage], Block]]:
    """Note the function below as the scene of its name; under ``name`` if one function makes several."""

    def note(build: Callable[[Stage], Block]) -> Callable[[Stage], Block]:
        name = more.pop("name", build.__name__)
        assert name not in scenes
        scenes[name] = Scene(build, path, **more)
        return build

    return note


CALLED_BY_HUSH = ("suspending", "inline")
"""The ways where it is no node's function that raises; what comes before suspends, or does not."""


# ── Graphs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("g/bad", beside=2)
def plain(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("above")
        on.after(on.bad())
        on.bystander("below")
    return graph


@scene("g/bad")
def leaf_with_deadline(on: Stage) -> Block:
    timed = {"executor": "thread"} if on.way == "inline" else {}
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        on.after(on.bad(timeout_s=100, **timed))
    return graph


@scene("g/bad", handled="collect", outputs={})
def leaf_handled(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        on.after(on.bad(on_error="collect"))
    return graph


@scene("g/bad", handled="named", outputs={"error": ..., "y": None})
def leaf_named(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        bad = on.bad(outputs={"error": PARENT["error"], "y": PARENT["y"]})
        on.after(bad)
    return graph


@scene("g/bad")
def leaf_that_must_raise(on: Stage) -> Block:
    """An explicit "raise" wins over the one who names the error."""
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        on.after(on.bad(on_error="raise", outputs={"error": PARENT["error"]}))
    return graph


def _inner(on: Stage, *, doomed: bool, **options: Any) -> Block:
    with GraphNode(name="inner", **options) as inner:
        on.bystander("inside", doomed=doomed)
        on.bad(outputs={"y": PARENT["y"]})
    on.bystander("outside")
    on.after(inner)
    return inner


@scene("g/inner/bad", beside=2)
def nested(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        _inner(on, doomed=False)
    return graph


@scene("g/inner/bad", beside=2, handled="collect", outputs={})
def handled_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        _inner(on, doomed=True, on_error="collect")
    return graph


@scene("g/inner/bad", beside=2, handled="named", outputs={"error": ..., "y": None})
def named_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        inner = _inner(on, doomed=True)
        inner["error"] >> PARENT["error"]
        inner["y"] >> PARENT["y"]
    return graph


@scene("g/inner/bad", beside=2)
def graph_with_deadline(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        _inner(on, doomed=False, timeout_s=100)
    return graph


@scene("g/inner/bad", beside=2, handled="collect", outputs={})
def handled_graph_with_deadline(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        _inner(on, doomed=True, timeout_s=100, on_error="collect")
    return graph


@scene("g/outer/inner/bad", beside=3, handled="collect", outputs={})
def deadline_in_handled_graph(on: Stage) -> Block:
    """The inner graph is a domain of its own, too, and hands the failure on to the one that handles it."""
    with GraphNode(name="g") as graph:
        on.bystander("outermost")
        with GraphNode(name="outer", on_error="collect") as outer:
            on.bystander("between", doomed=True)
            with GraphNode(name="inner", timeout_s=100):
                on.bystander("inside", doomed=True)
                on.bad()
        on.after(outer)
    return graph


@scene("root/inner/bad")
def root_with_deadline(on: Stage) -> Block:
    with GraphNode(name="root", timeout_s=100) as graph, GraphNode(name="inner"):
        on.bystander("beside")
        on.bad()
    return graph


# ── Branches and soft edges ──────────────────────────────────────────────────────────────────────────────────────────


@scene("g/bad")
def arm(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        one, bad, other = on.step("one"), on.bad(), on.step("other")
        on.bystander("beside")
        Branch("route").if_(one["y"] == 0, bad).otherwise(other)
        [bad, other] >> on.step("join")
        on.after(bad)
    return graph


@scene("g/bad", handled="collect", outputs={"y": 0, "other": None})
def arm_handled(on: Stage) -> Block:
    """The arm counts as run, so the join runs; the other arm does not."""
    with GraphNode(name="g") as graph:
        one, bad, other = on.step("one"), on.bad(on_error="collect"), on.step("other", outputs={"y": PARENT["other"]})
        on.bystander("beside")
        Branch("route").if_(one["y"] == 0, bad).otherwise(other)
        join = on.step("join", outputs={"y": PARENT["y"]})
        [bad, other] >> join
        on.after(bad)
    return graph


@scene("g/route", ways=CALLED_BY_HUSH)
def condition(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        one, high, low = on.step("one"), on.step("high"), on.step("low")
        on.bystander("beside")
        on.after(Branch("route").if_(one["y"].apply(on.raiser()), high).otherwise(low))
    return graph


@scene("g/route", ways=CALLED_BY_HUSH, handled="collect", outputs={"y": None})
def condition_handled(on: Stage) -> Block:
    """Nothing is chosen then."""
    with GraphNode(name="g") as graph:
        one, high, low = on.step("one"), on.step("high", outputs={"y": PARENT["y"]}), on.step("low")
        on.bystander("beside")
        on.after(Branch("route", on_error="collect").if_(one["y"].apply(on.raiser()), high).otherwise(low))
    return graph


def _soft(on: Stage, **policies: Any) -> Block:
    with GraphNode(name="g") as graph:
        bad, early, late = on.bad(**policies), on.step("early"), on.bystander("late")
        join = on.step("join", outputs={"y": PARENT["y"]})
        for one in (bad, early, late):
            one >> ~join
        on.after(bad)
    return graph


@scene("g/bad")
def soft_predecessor(on: Stage) -> Block:
    return _soft(on)


@scene("g/bad", handled="collect", outputs={"y": 0})
def soft_predecessor_handled(on: Stage) -> Block:
    return _soft(on, on_error="collect")


# ── Inputs: what is done to a reference is done by the reader ────────────────────────────────────────────────────────


@scene("g/reader", ways=CALLED_BY_HUSH)
def input_of_a_leaf(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        on.after(on.step("reader", on.step("one")["y"].apply(on.raiser())))
    return graph


@scene("g/inner", ways=CALLED_BY_HUSH)
def input_of_a_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        with GraphNode(name="inner", inputs={"x": on.step("one")["y"].apply(on.raiser())}) as inner:
            on.step("reader", PARENT["x"])
        on.after(inner)
    return graph


@scene("g/inner", ways=CALLED_BY_HUSH, handled="collect", outputs={})
def input_of_a_handled_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        one = on.step("one")
        with GraphNode(name="inner", inputs={"x": one["y"].apply(on.raiser())}, on_error="collect") as inner:
            on.step("reader", PARENT["x"])
        on.after(inner)
    return graph


@scene("g/loop", ways=CALLED_BY_HUSH)
def input_of_a_loop(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        with WhileLoopNode(name="loop", inputs={"x": on.step("one")["y"].apply(on.raiser())}, max_iterations=2) as loop:
            on.step("reader", PARENT["x"])
        on.after(loop)
    return graph


def _map_over(on: Stage, **inputs: Any) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        with MapNode(name="m", inputs=inputs, timeout_s=100) as over:
            on.step("reader", PARENT["x"])
        over["error"] >> PARENT["errors"]
        on.after(over)
    return graph


@scene("g/m", ways=CALLED_BY_HUSH)
def source_of_a_map(on: Stage) -> Block:
    """It fails the map under any `on_error`, and naming the column handles nothing."""
    rows = CodeNode(name="rows", code_fn=lambda: {"rows": [0, 1]}, inputs={}, executor="inline")
    return _map_over(on, x=Each(rows["rows"].apply(on.raiser())))


@scene("g/m", ways=CALLED_BY_HUSH)
def shared_input_of_a_map(on: Stage) -> Block:
    rows = CodeNode(name="rows", code_fn=lambda: {"rows": [0, 1]}, inputs={}, executor="inline")
    return _map_over(on, x=rows["rows"].apply(on.raiser()), z=Each([0, 1]))


def _failing_rows(on: Stage) -> Any:
    check = on.raiser(1)
    return (check(number) for number in range(3))


@scene("g/m", ways=CALLED_BY_HUSH)
def iterator_of_a_map(on: Stage) -> Block:
    return _map_over(on, x=Each(_failing_rows(on), pull="inline"))
