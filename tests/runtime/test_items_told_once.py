"""Each item of a map is told of once, or corrected: tracers count as many as there are, however the map ends."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFailed,
    ItemFinished,
    ItemsRan,
    MapFinished,
    MapNode,
    MapProgressed,
    MissingKeyError,
    NodeRan,
    Tolerate,
)
from hush.core.protocols import NONE_SLOW, Wanted
from hush.testing import Recorder, run_virtual
from kit.faults import Boom
from kit.span_laws import spelt_out
from kit.summing import Fixed

pytestmark = pytest.mark.usefixtures("silence")

BOOM = "boom"
ITEMS = st.lists(st.sampled_from(["", "y", "z", "yz", BOOM]), max_size=6)
"""What each item does: it gives these keys, or raises."""

READS = ["y", "y and *", "*", "all"]
"""What is read of the map: a key by name, whatever there is, or both; or it is the root, and gives everything."""


def graph_of(items: list[str], reads: str, ended: list[int], *, waits: bool, named: bool, **options: Any) -> Any:
    """A map, or a graph of one. The functions note in ``ended`` which items they ended well for."""

    def gives(x: int) -> Any:
        if items[x] == BOOM:
            raise Boom(x)
        ended.append(x)
        return dict.fromkeys(items[x], x)  # so that nobody knows the keys before

    async def gives_late(x: int) -> Any:
        await asyncio.sleep(1 + (7 * x) % 4)
        return gives(x)

    if named:
        options["key"] = lambda x: f"k{x}"
    with nullcontext() if reads == "all" else GraphNode(name="g") as graph:
        if "*" in reads:
            options["outputs"] = {"*": PARENT}
        with MapNode(name="m", inputs={"x": Each(range(len(items)))}, **options) as each:
            CodeNode(
                name="n",
                code_fn=gives_late if waits else gives,
                inputs={"x": PARENT["x"]},
                outputs={"*": PARENT},
                **({} if waits else {"executor": "inline"}),
            )
        if "y" in reads:
            each["y"] >> PARENT["ys"]
    return each if graph is None else graph


def told_of(graph: Any, *, tracer: Any = None, seed: int = 0, timeout_s: float | None = None) -> Any:
    """What a run gives, or raises."""

    async def main() -> Any:
        try:
            return await Hush(graph).run(tracer=tracer, timeout_s=timeout_s)
        except Exception as error:
            return error

    return run_virtual(main, seed=seed)


def counted(events: list[Any], *, sums: bool) -> tuple[int, int]:
    """How many items have ended by what tracers were told, and how many of them badly; each once, or corrected.

    ``MapProgressed`` may be ahead of ``sums``.
    """
    ended_well: set[int] = set()
    failed: set[int] = set()
    summed = corrected = 0
    for event in spelt_out(events):
        if isinstance(event, ItemFinished):
            assert event.item not in ended_well | failed
            ended_well.add(event.item)
        elif isinstance(event, ItemFailed):
            assert event.item not in failed
            failed.add(event.item)
            if event.corrects:
                assert isinstance(event.error, MissingKeyError)
                corrected += event.item not in ended_well
                ended_well.discard(event.item)
            else:
                assert event.item not in ended_well
        elif isinstance(event, ItemsRan):
            summed += event.items
        elif isinstance(event, MapProgressed | MapFinished):
            ended = len(ended_well) + len(failed) + summed - corrected
            assert event.failed == len(failed)
            assert event.done == ended or (sums and isinstance(event, MapProgressed) and event.done > ended)
    assert summed >= corrected, "an item was corrected of which nobody had been told"
    return len(ended_well) + len(failed) + summed - corrected, len(failed)


class InSums(Fixed):
    """Wants no item by itself, or about half of them: call and item are told of at once then."""

    def __init__(self, share: float = 0) -> None:
        super().__init__()
        self.answer = Wanted(NONE_SLOW, 3, int(share * 2**32))


options = {
    "items": ITEMS,
    "reads": st.sampled_from(READS),
    "on_error": st.sampled_from(["collect", "raise", Tolerate(count=1), Tolerate(fraction=0.5)]),
    "waits": st.booleans(),
    "named": st.booleans(),
    "most": st.integers(1, 3),
    "sums": st.sampled_from([None, 0.0, 0.5]),
    "timeout_s": st.sampled_from([None, None, 4.5]),
    "seed": st.integers(0, 2),
}
EXAMPLE = {"waits": False, "named": False, "most": 1, "sums": None, "timeout_s": None, "seed": 0}


@given(**options)
@example(items=["z", "z", "yz"], reads="all", on_error="collect", **EXAMPLE)  # told of, and corrected
@example(items=["z", "z", "yz"], reads="all", on_error="collect", **{**EXAMPLE, "sums": 0.0})
@example(items=["z", "z", "yz"], reads="all", on_error="collect", **{**EXAMPLE, "sums": 0.5})
@example(items=["z", "z", "yz"], reads="all", on_error="collect", **{**EXAMPLE, "named": True})
@example(items=["z", "z", "yz"], reads="all", on_error="raise", **EXAMPLE)
@example(items=["z", "z", "yz"], reads="y", on_error="raise", **EXAMPLE)  # undecided until all have ended
@example(items=["z", "z", "yz"], reads="y", on_error="raise", **{**EXAMPLE, "sums": 0.0})
@example(items=["z", "z", "yz"], reads="y", on_error=Tolerate(count=1), **EXAMPLE)
@example(items=["z", "y", BOOM, "y"], reads="y", on_error="raise", **EXAMPLE)  # and it does not come to that
@example(items=["z", BOOM, BOOM, "y"], reads="y", on_error=Tolerate(count=1), **EXAMPLE)
@example(items=["z", "z"], reads="y", on_error="collect", **EXAMPLE)  # nobody gives it
@example(items=["z"] * 9, reads="y", on_error="collect", **{**EXAMPLE, "waits": True, "timeout_s": 4.5})
def test_each_item_is_told_of_once_or_corrected(items, reads, on_error, waits, named, most, sums, timeout_s, seed):
    how: Any = {"waits": waits, "named": named, "on_error": on_error, "max_concurrency": most}
    ended: list[int] = []
    tracer: Any = Recorder() if sums is None else InSums(sums)
    found = told_of(graph_of(items, reads, ended, **how), tracer=tracer, seed=seed, timeout_s=timeout_s)
    done, failed = counted(tracer.events, sums=sums is not None)
    failing = {event.item: event for event in tracer.events if isinstance(event, ItemFailed)}
    if named:
        told = [event for event in tracer.events if isinstance(event, ItemFailed | ItemFinished)]
        assert all(event.key == f"k{event.item}" for event in told)
    if timeout_s is None and most == 1:
        # What has ended is told of, whatever the map makes of it.
        assert done == len({*ended, *(index for index in failing if items[index] == BOOM)})
    columns = found.hush.columns if isinstance(found, BaseException) else found
    if columns is not None and "error" in columns:
        assert [index for index, error in enumerate(columns["error"]) if error is not None] == sorted(failing)
    if not isinstance(found, BaseException):
        assert done == len(items)
        if reads == "all":
            metrics = found["iteration_metrics"]
            assert (metrics["total_iterations"], metrics["error_count"]) == (done, failed)
    # Nothing of this depends on who is told.
    alone = told_of(graph_of(items, reads, [], **how), seed=seed, timeout_s=timeout_s)
    assert (type(alone), plainly(alone)) == (type(found), plainly(found))


@pytest.mark.parametrize("options", [{}, {"item_timeout_s": 60}, {"max_concurrency": 1}, {"on_error": "raise"}])
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("at", range(4))
def test_an_item_that_was_told_of_has_ended_though_its_tracer_cancels_the_run(options, waits, at):
    class Cancels(InSums):
        def emit(self, event: Any, /) -> None:
            super().emit(event)
            if type(event) is NodeRan and event.item == at:
                assert event.ends_item
                task.cancel()

    async def main() -> None:
        nonlocal task
        task = asyncio.current_task()
        await Hush(graph).run(tracer=tracer)

    task: Any = None
    graph, tracer = graph_of(["yz"] * 8, "*", [], waits=waits, named=False, **options), Cancels(1)
    with pytest.raises(asyncio.CancelledError):
        run_virtual(main)
    done, _ = counted(tracer.events, sums=True)
    assert [event.done for event in tracer.events if type(event) is MapFinished] == [done]
    assert done > 0


def plainly(found: Any) -> Any:
    """What can be compared of what a run gave or raised."""
    if isinstance(found, BaseException):
        return str(found)
    return {key: [*map(str, found[key])] for key in found if key != "iteration_metrics"}


@pytest.mark.parametrize("ordered", [True, False])
def test_a_map_that_streams_takes_an_item_once_that_is_found_lacking_afterwards(ordered):
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([0, 1, 2])}, outputs={"*": PARENT}) as a:
            CodeNode(
                name="n",
                code_fn=lambda x: dict.fromkeys("yz" if x == 2 else "y", x),
                inputs={"x": PARENT["x"]},
                outputs={"*": PARENT},
            )
        with MapNode(name="b", inputs={"y": Each(a["y"])}, ordered=ordered) as b:
            CodeNode(name="o", code_fn=lambda y: {"w": y}, inputs={"y": PARENT["y"]}, outputs=PARENT)
        b["w"] >> PARENT["ws"]
    tracer = Recorder()
    found = told_of(graph, tracer=tracer)
    assert found["ws"] == [0, 1, 2]
    assert [event.done for event in tracer.of(MapFinished)] == [3, 3]
    assert [(event.item, event.corrects) for event in tracer.of(ItemFailed)] == [(0, True), (1, True)]


@pytest.mark.parametrize("reads", READS)
def test_all_items_that_lack_a_key_fail_in_a_map_that_fails_fast_and_the_first_is_raised(reads):
    tracer = Recorder()
    graph = graph_of(["z", "yz", "z"], reads, [], waits=False, named=False, on_error="raise")
    found = told_of(graph, tracer=tracer)
    assert [event.item for event in tracer.of(ItemFailed)] == [0, 2]
    assert found is tracer.of(ItemFailed)[0].error


def test_a_stream_of_items_tells_what_those_gave_that_lack_a_key_which_none_has():
    graph = graph_of(["z", "z"], "y", [], waits=False, named=False)

    async def main() -> list[Any]:
        told: list[Any] = []
        with pytest.raises(MissingKeyError, match="g/m has no key 'y'"):
            async for event in Hush(graph).stream({}, items="m"):
                assert isinstance(event, ItemFinished)
                told += (event.item, event.outputs)
        return told

    assert run_virtual(main) == [0, {"z": 0}, 1, {"z": 1}]


def test_what_an_item_gave_that_nobody_is_told_of_yet_dies_with_it():
    class Value:
        pass

    class Deaf:
        def emit(self, event: Any, /) -> None:
            pass

    made: list[weakref.ref[Value]] = []
    alive: list[int] = []

    def one(x: int) -> dict[str, Any]:
        alive.append(sum(each() is not None for each in made))
        value = Value()
        made.append(weakref.ref(value))
        return dict(z=value)  # noqa: C408  # whose keys nobody knows before

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(9))}) as each:
            CodeNode(name="n", code_fn=one, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, executor="inline")
        each["y"] >> PARENT["ys"]
    assert isinstance(told_of(graph, tracer=Deaf()), MissingKeyError)
    assert max(alive) <= 1
