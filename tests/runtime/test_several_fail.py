"""Two that fail, at the same tick, or one while it is cancelled because of the other: none is lost, wherever they are.

What is expected follows from what was raised: what the nodes of one failure domain raised is told together, as it is if
that is one error, else as a group of all of them. If all may be handled, whoever handles the domain gets that.

A ``CancelledError`` that a node raises while it is being cancelled is its cancellation, and no error of its own.
Several that were raised before (in threads) are told as one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, WhileLoopNode
from hush.core.nodes._graph import Block
from hush.testing import end_of, leak_check
from kit.blows import BLOWS, WAYS, Stage, may_be_handled

Pair = Callable[..., None]

# ── The two ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def twins(on: Stage, x: Any = None, at: Any = None) -> None:
    """Both at the same tick."""
    on.bad("one", x, at=at)
    on.bad("two", x, at=at)


def broken_cleanup(on: Stage, x: Any = None, at: Any = None) -> None:
    """An ordinary error while it is cancelled because of one of any kind."""
    on.bad("one", x, at=at)
    on.bystander("two", x, at=None if at is None else {at}, doomed=True, breaks="Exception")


def severe_cleanup(on: Stage, x: Any = None, at: Any = None) -> None:
    """One of any kind while it is cancelled because of an ordinary error."""
    on.bad("one", x, at=at, blow="Exception")
    on.bystander("two", x, at=None if at is None else {at}, doomed=True, breaks=on.blow)


# ── Where they lie ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """A graph with the two, the path they have there, their item, round and key; whether their failure is handled."""

    build: Callable[[Stage, Pair], Block]
    path: str
    handled: bool = False
    item: int | None = None
    round: int | None = None
    key: str | None = None


def _in_graph(**options: Any) -> Callable[[Stage, Pair], Block]:
    def build(on: Stage, pair: Pair) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("outside")
            with GraphNode(name="inner", **options) as inner:
                pair(on)
            on.after(inner)
        return graph

    return build


def _at_root(on: Stage, pair: Pair) -> Block:
    with GraphNode(name="g") as graph:
        on.bystander("beside")
        pair(on)
    return graph


def _in_two_graphs(on: Stage, pair: Pair) -> Block:
    """A domain in a domain: what the inner one gives is taken apart, the group is flat."""
    with GraphNode(name="g") as graph:
        on.bystander("outside")
        with GraphNode(name="outer", on_error="collect") as outer, GraphNode(name="inner", timeout_s=100):
            pair(on)
        on.after(outer)
    return graph


def _in_round(**options: Any) -> Callable[[Stage, Pair], Block]:
    def build(on: Stage, pair: Pair) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("outside")
            with WhileLoopNode(name="loop", inputs={"x": 0}, max_iterations=3, **options) as loop:
                turn = on.step("turn", PARENT["x"])
                turn["y"].apply(lambda y: y + 1) >> PARENT["x"]
                pair(on, turn["y"], 1)
            on.after(loop)
        return graph

    return build


def _in_item(**options: Any) -> Callable[[Stage, Pair], Block]:
    def build(on: Stage, pair: Pair) -> Block:
        with GraphNode(name="g") as graph:
            on.bystander("outside")
            with MapNode(name="m", inputs={"x": Each([0, 1, 2])}, **options) as over:
                on.bystander("others", PARENT["x"], at={0, 2})
                pair(on, PARENT["x"], 1)
            on.after(over)
        return graph

    return build


PLACES = {
    "graph": Place(_at_root, "g"),
    "nested graph": Place(_in_graph(), "g/inner"),
    "graph with a deadline": Place(_in_graph(timeout_s=100), "g/inner"),
    "handled graph": Place(_in_graph(on_error="collect"), "g/inner", handled=True),
    "graph in handled graph": Place(_in_two_graphs, "g/outer/inner", handled=True),
    "round": Place(_in_round(), "g/loop", round=1),
    "round of a handled loop": Place(_in_round(on_error="collect"), "g/loop", handled=True, round=1),
    "item": Place(_in_item(), "g/m", handled=True, item=1),
    "item with a key": Place(_in_item(key=str), "g/m", handled=True, item=1, key="1"),
    "item that fails fast": Place(_in_item(on_error="raise"), "g/m", item=1),
}


# ── The rule ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def told_of(stage: Stage) -> list[BaseException]:
    """The errors that must be told, of all that were raised."""
    return [
        error
        for name, error in stage.raised
        if not (isinstance(error, asyncio.CancelledError) and stage.cancelled[name])
    ]


def is_told(error: BaseException, told: list[BaseException]) -> bool:
    """Whether this is the one error, or a flat group of all."""
    if len(told) == 1 or all(isinstance(each, asyncio.CancelledError) for each in told):
        return any(error is each for each in told)
    assert isinstance(error, ExceptionGroup) == all(isinstance(each, Exception) for each in told)
    return {id(each) for each in error.exceptions} == {id(each) for each in told}


def check(place: Place, pair: Pair, way: str, blow: str, seed: int) -> None:
    kinds = ["Exception", blow] if pair is severe_cleanup else [blow]
    handled = place.handled and all(may_be_handled(BLOWS[kind]()) for kind in kinds)
    stage = Stage(blow, way, fatal=not handled)
    engine = Hush(place.build(stage, pair))

    async def main() -> tuple[Any, BaseException | None]:
        stage.loop = asyncio.get_running_loop()
        try:
            return await engine.run(), None
        except BaseException as raised:
            return None, raised
        finally:
            assert asyncio.current_task().cancelling() == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    if way == "thread":
        with asyncio.Runner() as runner:
            result, error = runner.run(main())
    else:
        result, error = end_of(main, seed).result()

    told = told_of(stage)
    if pair is not twins:
        assert len(stage.raised) == 2
    if handled:
        assert error is None
        assert result.status == "partial"
        (error,) = result.errors
    assert is_told(error, told)
    for name, each in stage.raised:
        if error is each or (error not in told and each in told):
            info = each.hush
            assert (info.path, info.item) == (f"{place.path}/{name}", place.item)
            assert (info.round, info.key) == (place.round, place.key)
    assert stage.begun == stage.ended
    assert not stage.cancelled.keys() ^ {each for each in stage.begun if not handled or each in stage.doomed}
    assert stage.went_on == (stage.afters if handled else [])


@pytest.fixture(scope="module", autouse=True)
def _a_loop_before():
    """With its first loop uvloop opens two descriptors for the whole process: no leak of a run."""
    with asyncio.Runner() as runner:
        runner.get_loop()


PAIRS = [*((twins, way) for way in WAYS), (broken_cleanup, "suspending"), (severe_cleanup, "suspending")]


@pytest.mark.parametrize("place", PLACES)
def test_none_is_lost(place):
    with leak_check():
        for (pair, way), blow in product(PAIRS, BLOWS):
            for seed in range(3) if way == "suspending" else (0,):
                try:
                    check(PLACES[place], pair, way, blow, seed)
                except BaseException as problem:
                    problem.add_note(f"{place}, {pair.__name__}, {way}, {blow}, seed {seed}")
                    raise
