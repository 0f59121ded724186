"""What tracers want of a map's items: known from its events, for several together, and nothing wanted is left out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, events
from hush.core._runtime._tracing import Tracing
from hush.core.protocols import NONE_SLOW, Wanted, lot
from hush.observability._bounds import PREVIEW
from hush.observability._condense import Condenser
from hush.observability._recorder import LONG_NS, RunRecorder
from hush.observability._sampling import Sampling, wanted
from hush.observability._tally import TAKES, RunTally
from hush.testing import run_virtual
from kit.sinks import Sink
from kit.summing import Fixed, chosen, map_of, quick, told_of

pytestmark = pytest.mark.usefixtures("silence")


class Asked(RunRecorder):
    """Compares what it wants with what its tree knows of the map."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(Sink(), PREVIEW, sampling, (), None)
        self.places: list[Any] = []

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:
        found = super().wants(path, items)
        while self.fold(1_000):
            pass
        node = self.tree._nodes[path, items]
        assert found == wanted(self._sampling, node.total, node.seed, LONG_NS)
        self.places.append((items, node.total))
        return found


def test_a_recorder_wants_what_its_tree_will_draw_and_hold():
    with GraphNode(name="g") as graph, MapNode(name="o", inputs={"x": Each([3, 700, 40])}, max_concurrency=1):
        many = CodeNode(name="many", code_fn=lambda x: {"xs": list(range(x))}, inputs={"x": PARENT["x"]})
        with MapNode(name="m", inputs={"y": Each(many["xs"])}):
            CodeNode(name="n", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs=PARENT, executor="inline")
    recorder = Asked(Sampling(first=1, slowest=0.1, random=0.1))
    run_virtual(lambda: Hush(graph).run({}, tracer=recorder))
    assert recorder.places == [((0,), 3), ((1,), 700), ((2,), 40)]


def merged(wishes: list[Wanted]) -> Wanted:
    """What the engine makes of the wishes of several tracers."""
    tracing = object.__new__(Tracing)
    tracing._wants = [lambda path, around, each=each: each for each in wishes]  # type: ignore[misc]
    return tracing.wanted("g/m", ())


WISHES = st.builds(
    Wanted,
    st.sampled_from([-1, 4, 15, NONE_SLOW]),
    st.just(5),
    st.sampled_from([0, 2**30, 2**31]),
    st.integers(0, 9),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.2, 0.5]),
)


@example([Wanted(NONE_SLOW, 5, slowest=5), Wanted(NONE_SLOW, 5, slowest=1)], [9, 8, 7, 6, 5, 4])
@given(st.lists(WISHES, min_size=1, max_size=3), st.lists(st.integers(0, 20), max_size=40))
def test_what_one_of_several_tracers_wants_is_told_of(wishes, took):
    every = {*chosen(took, merged(wishes))}
    for wish in wishes:
        assert every >= {*chosen(took[: wish.first], wish)}
        assert {index for index in range(len(took)) if lot(5, index) < wish.share} <= every
        assert {index for index, took_ns in enumerate(took) if took_ns > wish.slow_ns} <= every or wish.slow_ns < 0
        others = [index for index in range(len(took)) if lot(5, index) >= wish.share]
        for at, index in enumerate(others):  # whoever is among the slowest when it ends
            no_faster = sum(took[each] >= took[index] for each in others[: at + 1])
            assert no_faster > wish.slowest or index in every
        assert merged([wish, wish]) == wish


def test_an_item_that_was_shown_as_under_way_ends_well():
    sink = Sink()
    recorder = RunRecorder(sink, PREVIEW, Sampling(first=0, slowest=0, random=1), (), None)
    shown: list[Any] = []

    def fold() -> None:
        while recorder.fold(1_000):
            pass

    async def fn(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        fold()
        shown.extend(recorder.tree.called(recorder._calls(2**63, 10)))
        await asyncio.sleep(1)
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([0])}):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
    run_virtual(lambda: Hush(graph).run({}, tracer=recorder))
    fold()
    assert [span.path for span in shown] == ["g/m/n"]
    assert [(span.kind, span.status) for span in sink.spans] == [
        (kind, "ok") for kind in ("code", "item", "map", "run")
    ]
    record = recorder.tree.record()
    assert (record.items, record.produced, record.left_out) == (1, 4, 0)


def test_a_call_that_is_told_of_is_not_under_way_any_more():
    """Or a pipeline that looks just then would show it, and its item, for ever: no end of it comes again."""
    recorder = RunRecorder(Sink(), PREVIEW, Sampling(), (), None)
    late: list[Any] = []

    class Other(Fixed):
        def emit(self, event: Any, /) -> None:
            super().emit(event)
            if type(event) is events.NodeRan:
                late.extend(each for each in recorder._calls(2**63, 10) if each.number == event.number)

    _, kinds = told_of(map_of(quick), 10, Other(), recorder)
    assert kinds["NodeRan"] == 10
    assert late == []


def test_items_told_of_with_their_calls_are_counted_for_the_length_of_previews():
    condense = Condenser(PREVIEW)
    ran = events.NodeRan("r", "g/m/n", 0, 2, (), 1, 1, {"x": "a" * 1_000}, {"y": "b" * 1_000}, 1, True)
    first = condense(ran._replace(item=0))
    for index in range(1, 1_500):
        last = condense(ran._replace(item=index))
    assert first is not None
    assert last is not None
    assert len(str(last.outputs)) < len(str(first.outputs))


def test_items_told_of_with_their_calls_are_counted_for_the_progress_that_is_shown():
    class Counts(Fixed):
        answer = Wanted(NONE_SLOW, 5, 2**31)
        tally: Any = None

        def emit(self, event: Any, /) -> None:
            super().emit(event)
            if type(event) is events.RunStarted:
                self.tally = RunTally(event)
            take = TAKES.get(type(event))
            if take is not None:
                take(self.tally, event)

    watch = Counts()
    _, kinds = told_of(map_of(quick), 200, watch)
    assert 0 < kinds["NodeRan"] < 200
    assert watch.tally.maps["g/m"].done == 200
