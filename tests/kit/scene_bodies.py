"""The places in which a node fails where bodies are run many times: rounds of loops, items of maps, both, and roots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hush.core import PARENT, CodeNode, Each, ForLoopNode, GraphNode, MapNode, Tolerate, WhileLoopNode
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node
from kit.blows import Stage
from kit.scenes import CALLED_BY_HUSH, scene

# ── Rounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _loop(on: Stage, at: int, *, doomed: bool = False, **options: Any) -> Block:
    """A loop that makes three rounds, in one of which its body fails."""
    with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x >= 3", **options) as loop:
        turn = on.step("turn", PARENT["x"])
        on.bystander("side", turn["y"], at={at}, doomed=doomed)
        on.bad(x=turn["y"], at=at, outputs={"y": PARENT["x"]})
    return loop


def _looping(at: int, **options: Any) -> Callable[[Stage], Block]:
    def build(on: Stage) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("beside")
            on.after(_loop(on, at, **options))
        return graph

    return build


for _at in (0, 1):
    scene("g/loop/bad", round=_at, beside=2, name=f"round_{_at}")(_looping(_at))
    scene("g/loop/bad", round=_at, beside=2, name=f"round_{_at}_with_deadline")(_looping(_at, timeout_s=100))
    scene("g/loop/bad", round=_at, beside=2, handled="collect", outputs={}, name=f"round_{_at}_handled")(
        _looping(_at, doomed=True, on_error="collect")
    )


@scene("g/inner/loop/bad", round=1, beside=3, handled="collect", outputs={})
def loop_in_handled_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with GraphNode(name="inner", on_error="collect") as inner:
            on.bystander("inside", doomed=True)
            _loop(on, 1, doomed=True)
        on.after(inner)
    return graph


@scene("root/bad", round=1)
def loop_as_root(on: Stage) -> Block:
    with WhileLoopNode(name="root", inputs={"x": 0}, stop_condition="x >= 3") as loop:
        turn = on.step("turn", PARENT["x"])
        on.bystander("side", turn["y"], at={1})
        on.bad(x=turn["y"], at=1, outputs={"y": PARENT["x"]})
    return loop


def _next(x: Any) -> Node:
    """What counts the rounds of a loop whose body fails elsewhere."""
    fn = lambda x: {"y": x + 1}  # noqa: E731
    return CodeNode(name="next", code_fn=fn, inputs={"x": x}, outputs={"y": PARENT["x"]}, executor="inline")


def _graph_in_round(on: Stage, *, doomed: bool, **options: Any) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x >= 3"):
            turn = on.step("turn", PARENT["x"])
            with GraphNode(name="inner", inputs={"x": turn["y"]}, **options) as inner:
                on.bystander("inside", PARENT["x"], at={1}, doomed=doomed)
                on.bad(x=PARENT["x"], at=1)
            inner >> _next(turn["y"])
    return graph


@scene("g/loop/inner/bad", round=1, beside=2)
def graph_in_round(on: Stage) -> Block:
    return _graph_in_round(on, doomed=False)


@scene("g/loop/inner/bad", round=1, beside=2)
def graph_with_deadline_in_round(on: Stage) -> Block:
    return _graph_in_round(on, doomed=False, timeout_s=100)


@scene("g/loop/inner/bad", round=1, beside=2, handled="collect", outputs={})
def handled_graph_in_round(on: Stage) -> Block:
    return _graph_in_round(on, doomed=True, on_error="collect")


def _handled_leaf_in_round(on: Stage, **options: Any) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x >= 3"):
            turn = on.step("turn", PARENT["x"])
            with GraphNode(name="inner", inputs={"x": turn["y"]}, **options) as inner:
                on.bystander("inside", PARENT["x"], at={1})
                on.bad(x=PARENT["x"], at=1, on_error="collect")
            inner >> _next(turn["y"])
    return graph


@scene("g/loop/inner/bad", round=1, beside=2, handled="collect", outputs={})
def handled_leaf_in_round(on: Stage) -> Block:
    return _handled_leaf_in_round(on)


@scene("g/loop/inner/bad", round=1, beside=2, handled="collect", outputs={})
def handled_leaf_in_a_graph_with_deadline_in_round(on: Stage) -> Block:
    return _handled_leaf_in_round(on, timeout_s=100)


@scene("g/outer/loop/bad", round=1, beside=2)
def loop_in_round(on: Stage) -> Block:
    """The round is that of the innermost loop, which is its second; of the outer one it is the first."""
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        with WhileLoopNode(name="outer", inputs={"z": 0}, max_iterations=2):
            _loop(on, 1)
    return graph


def _stopping(on: Stage, at: int, **options: Any) -> Block:
    """The condition of a loop raises before a round: it is the loop that fails, not a round of it."""
    check = on.raiser(at)
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        with WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition=lambda x: check(x) > 3, **options) as loop:
            _next(on.step("turn", PARENT["x"])["y"])
        on.after(loop)
    return graph


for _at in (0, 2):
    for _more in ({}, {"timeout_s": 100}):
        _name = f"stop_condition_{_at}{'_with_deadline' * bool(_more)}"
        scene("g/loop", ways=CALLED_BY_HUSH, beside=_at // 2, name=_name)(
            lambda on, at=_at, more=_more: _stopping(on, at, **more)
        )
    _name = f"stop_condition_{_at}_handled"
    scene("g/loop", ways=CALLED_BY_HUSH, beside=_at // 2, handled="collect", outputs={}, name=_name)(
        lambda on, at=_at: _stopping(on, at, on_error="collect")
    )

# ── Items ────────────────────────────────────────────────────────────────────────────────────────────────────────────

ITEMS: dict[str, Any] = {"outputs": {"ys": [1, None, 3], "errors": [None, ..., None]}}
"""What a map over 0, 1 and 2 gives whose second item failed."""


def _items(on: Stage, *, doomed: bool = False, others: bool = True) -> None:
    """The body of a map over ``x``: it fails for 1, while others are at work there, and for 0 and 2 if ``others``."""
    on.bystander("same", PARENT["x"], at={1}, doomed=doomed)
    if others:
        on.bystander("others", PARENT["x"], at={0, 2})
    on.bad(x=PARENT["x"], at=1, outputs={"y": PARENT["y"]})


def _mapping(**options: Any) -> Callable[[Stage], Block]:
    of_items = {key: options.pop(key) for key in ("doomed", "others") if key in options}

    def build(on: Stage) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("outside")
            with MapNode(name="m", inputs={"x": Each([0, 1, 2])}, **options) as over:
                _items(on, **of_items)
            over["y"] >> PARENT["ys"]
            over["error"] >> PARENT["errors"]
            on.after(over)
        return graph

    return build


_item = {"path": "g/m/bad", "item": 1}
scene(**_item, beside=4, handled="items", **ITEMS, name="item")(_mapping(doomed=True))
scene(**_item, beside=4, handled="items", **ITEMS, name="item_with_deadline")(_mapping(doomed=True, item_timeout_s=99))
scene(**_item, beside=4, name="item_that_fails_fast")(_mapping(on_error="raise"))
scene(**_item, beside=2, name="item_that_fails_fast_alone")(_mapping(on_error="raise", max_concurrency=1, others=False))
scene(**_item, beside=4, handled="items", **ITEMS, name="item_that_is_tolerated")(
    _mapping(doomed=True, on_error=Tolerate(count=1))
)
scene(**_item, beside=4, excess=True, name="item_too_many")(_mapping(on_error=Tolerate(count=0)))
scene(**_item, beside=4, excess=True, name="item_too_large_a_share")(_mapping(on_error=Tolerate(fraction=0.3)))


@scene("g/f/bad", item=1, beside=2)
def item_of_a_for_loop(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with ForLoopNode(name="f", inputs={"x": Each([0, 1, 2])}) as over:
            on.bystander("same", PARENT["x"], at={1})
            on.bad(x=PARENT["x"], at=1)
        over["error"] >> PARENT["errors"]
        on.after(over)
    return graph


@scene("m/bad", item=1, beside=3, handled="items", outputs={"y": [1, None, 3], "error": [None, ..., None]})
def map_as_root(on: Stage) -> Block:
    with MapNode(name="m", inputs={"x": Each([0, 1, 2])}) as over:
        _items(on, doomed=True)
    return over


@scene("f/bad", item=1)
def for_loop_as_root(on: Stage) -> Block:
    with ForLoopNode(name="f", inputs={"x": Each([0, 1, 2])}) as over:
        on.bystander("same", PARENT["x"], at={1})
        on.bad(x=PARENT["x"], at=1)
    return over


@scene("g/inner/m/bad", item=1, beside=4, handled="collect", outputs={})
def failing_map_in_handled_graph(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with GraphNode(name="inner", on_error="collect") as inner:
            with MapNode(name="m", inputs={"x": Each([0, 1, 2])}, on_error="raise"):
                on.bystander("inside", PARENT["x"], at={0, 1, 2}, doomed=True)
                on.bad(x=PARENT["x"], at=1)
        on.after(inner)
    return graph


def _nesting(*, inner: str, outer: str) -> Callable[[Stage], Block]:
    fast = inner == "raise"

    def build(on: Stage) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("outside")
            with MapNode(name="outer", inputs={"xs": Each([[5], [0, 1, 2]])}, on_error=outer) as around:
                with MapNode(name="inner", inputs={"x": Each(PARENT["xs"])}, on_error=inner) as over:
                    on.bystander("same", PARENT["x"], at={1}, doomed=True)
                    on.bystander("others", PARENT["x"], at={0, 2}, doomed=fast)
                    on.bystander("elsewhere", PARENT["x"], at={5})
                    on.bad(x=PARENT["x"], at=1, outputs={"y": PARENT["y"]})
                over["y"] >> PARENT["ys"]
                over["error"] >> PARENT["errors"]
            for key in ("ys", "errors"):
                around[key] >> PARENT[key]
            on.after(around)
        return graph

    return build


_item = {"path": "g/outer/inner/bad", "item": 1, "outer": (1,), "beside": 5}
scene(
    **_item, handled="items", outputs={"ys": [[6], [1, None, 3]], "errors": [[None], [None, ..., None]]}, name="item_of"
)(_nesting(inner="collect", outer="raise"))
scene(**_item, handled="items", outputs={"ys": [[6], None], "errors": [[None], None]}, name="item_of_failing")(
    _nesting(inner="raise", outer="collect")
)
scene(**_item, name="item_of_failing_in_failing")(_nesting(inner="raise", outer="raise"))


@scene("g/m/loop/bad", item=1, round=1, beside=3, handled="items", outputs={"ys": [3, None], "errors": [None, ...]})
def loop_in_item(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with MapNode(name="m", inputs={"x": Each([0, 10])}) as over:
            on.bystander("beside", PARENT["x"], at={10}, doomed=True)
            with WhileLoopNode(name="loop", inputs={"x": PARENT["x"]}, max_iterations=3) as loop:
                turn = on.step("turn", PARENT["x"])
                on.bystander("side", turn["y"], at={11}, doomed=True)
                on.bad(x=turn["y"], at=11, outputs={"y": PARENT["x"]})
            loop["x"] >> PARENT["y"]
        over["y"] >> PARENT["ys"]
        over["error"] >> PARENT["errors"]
        on.after(over)
    return graph


def _map_in_round(on: Stage, *, doomed: bool = False, **options: Any) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=2):
            turn = on.step("turn", PARENT["x"])
            with MapNode(name="m", inputs={"z": Each([0, 10]), "x": turn["y"]}, **options) as over:
                on.bystander("same", PARENT["z"] + PARENT["x"], at={11}, doomed=doomed)
                on.bystander("others", PARENT["z"] + PARENT["x"], at={1})
                on.bad(x=PARENT["z"] + PARENT["x"], at=11)
            over >> _next(turn["y"])
    return graph


@scene("g/loop/m/bad", item=1, round=1, beside=3, handled="items", outputs={})
def map_in_round(on: Stage) -> Block:
    return _map_in_round(on, doomed=True)


@scene("g/loop/m/bad", item=1, round=1, beside=2, handled="collect", outputs={})
def handled_leaf_in_item_in_round(on: Stage) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=2):
            turn = on.step("turn", PARENT["x"])
            with MapNode(name="m", inputs={"z": Each([0, 10]), "x": turn["y"]}) as over:
                on.bystander("same", PARENT["z"] + PARENT["x"], at={11})
                on.bad(x=PARENT["z"] + PARENT["x"], at=11, on_error="collect")
            over >> _next(turn["y"])
    return graph


@scene("g/loop/m/bad", item=1, round=1, beside=3)
def failing_map_in_round(on: Stage) -> Block:
    return _map_in_round(on, on_error="raise")
