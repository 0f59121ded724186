"""Which maps stream and which wait: as it is drawn, and as it runs."""

from __future__ import annotations

import pytest

from hush.core import GraphNode
from kit.flows import flows
from runtime.from_design.stream_shapes import COUNT, SHAPES, STREAM, Maker
from runtime.from_design.stream_weaves import WOVEN
from runtime.from_design.streamed import Tap
from runtime.observing import outcome

shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


@shapes
def test_the_drawing_shows_which_maps_stream(shape):
    graph = shape.graph(Tap())
    assert graph.check() == []
    drawn = flows(graph)
    for pair in shape.hidden:
        assert drawn.pop(tuple(pair), "barrier") == "barrier"
    assert drawn == {tuple(pair): flow for pair, flow in shape.flows.items() if pair not in shape.hidden}


@shapes
@pytest.mark.parametrize("seed", range(2))
def test_a_map_runs_as_it_is_drawn(shape, seed):
    """One that streams is called before the other has gone through half of its items; else after all of them."""
    tap = Tap()
    outcome_ = outcome(shape.graph(tap), seed=seed)
    assert outcome_.error is None
    for before, after in shape.flows:
        ended = tap.at_first[after].get(before, 0)
        if shape.flows[before + after] == STREAM:
            assert ended < COUNT / 2, f"{after} began after {ended} items of {before}"
        else:
            assert ended == COUNT, f"{after} began after {ended} items of {before}"


@shapes
def test_every_item_is_gone_through_once_in_every_shape(shape):
    tap = Tap()
    outcome(shape.graph(tap))
    names = {name for pair in shape.flows for name in pair}
    expected = dict.fromkeys(names, COUNT)
    match str(shape):
        case "in_lists":
            expected["b"] = COUNT // 10
        case "only_the_first":
            expected["b"] = 10
        case "sliced":
            expected["b"] = COUNT - 1
        case "both_in_a_map" | "both_in_a_loop":
            expected = dict.fromkeys(names, 2 * COUNT)
    assert dict(tap.ended) == expected


@pytest.mark.parametrize("make", WOVEN)
@pytest.mark.parametrize("seed", range(3))
def test_maps_that_wait_for_one_anothers_ends_do_not_hang(make, seed):
    tap = Tap()
    with GraphNode(name="g") as graph:
        make(Maker(tap))
    assert outcome(graph, seed=seed).error is None
    few = {"c": 2} if "whole_column" in make.__name__ else {"d": 1} if "stranger" in make.__name__ else {}
    assert dict(tap.ended) == {name: few.get(name, COUNT) for name in tap.begun}
