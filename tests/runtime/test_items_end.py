"""An item of a map ends when its body has: not when its worker has a turn again, which may be many passes later."""

from __future__ import annotations

from threading import Barrier
from time import perf_counter_ns

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, ItemFinished, MapNode, NodeFinished, NodeStarted
from hush.core._runtime._pass import BUDGET_NS
from hush.testing import Recorder

WORKERS = 4


@pytest.mark.parametrize("keyed", [False, True])
async def test_an_item_ends_before_others_have_their_turns(keyed):
    together = Barrier(WORKERS)

    def spends(i: int) -> dict[str, int]:
        if i < WORKERS:
            together.wait()  # in threads: so there are so many workers when calls come to the loop
        end_ns = perf_counter_ns() + BUDGET_NS // 100
        while perf_counter_ns() < end_ns:
            pass
        return {"y": i}

    recorder = Recorder()
    more = {"key": lambda i: str(i)} if keyed else {}
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"i": Each(PARENT["is"])}, max_concurrency=WORKERS, **more) as m:
            CodeNode(name="n", code_fn=spends, inputs={"i": PARENT["i"]}, outputs=PARENT)
        m["y"] >> PARENT["ys"]
    assert (await Hush(graph).run(inputs={"is": range(2_000)}, tracer=recorder))["ys"] == list(range(2_000))
    late = set()
    unsettled = None
    for event in recorder.events:
        if type(event) is NodeFinished and event.path == "g/m/n":
            unsettled = event.item
        elif type(event) is ItemFinished and event.item == unsettled:
            unsettled = None
        elif type(event) is NodeStarted and event.path == "g/m/n" and unsettled is not None:
            late.add(unsettled)
    assert late == set()
