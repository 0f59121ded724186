"""Spans that users make while a map goes through its sources hang under the map, however it does so."""

from __future__ import annotations

import threading

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import OTelTracer
from hush.observability._sampling import Sampling

SPARING = Sampling(first=0, slowest=0.0, random=0.0)


@pytest.fixture
def tracer(receiver):
    made = OTelTracer(endpoint=receiver.url, sampling=SPARING)
    yield made
    made._pipeline.close(5.0)


def pages(users, threads=None):
    """A source that asks for its items in pages, and lies in a span of its own meanwhile."""
    with users.tracer.start_as_current_span("all"):
        for page in range(3):
            if threads is not None:
                threads.add(threading.current_thread())
            with users.tracer.start_as_current_span(f"page {page}"):
                pass
            yield from range(page * 2, page * 2 + 2)


class AsyncPages:
    """The same, awaited: the items are another's, and so is the span."""

    def __init__(self, users):
        self.users = users

    async def __aiter__(self):
        for page in range(3):
            with self.users.tracer.start_as_current_span(f"page {page}"):
                pass
            yield page


def ids(users):
    return {one.name: format(one.parent.span_id, "016x") if one.parent else None for one in users.get_finished_spans()}


def map_spans(receiver):
    return [one for one in receiver.spans if one.attributes["hush.kind"] == "map"]


def through(source, **given):
    with GraphNode(name="g") as graph:
        with MapNode(name="each", inputs={"x": Each(source, **given)}) as each:
            CodeNode(name="code", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    return graph


@pytest.mark.parametrize("pull", ["auto", "inline"])
async def test_of_a_generator(receiver, tracer, users, pull):
    threads = set()
    graph = through(pages(users, threads), pull=pull)
    assert (await Hush(graph).run(tracer=tracer))["ys"] == list(range(6))
    assert tracer.flush()
    (of_map,) = map_spans(receiver)
    found = ids(users)
    assert found.pop("all") == of_map.id
    (of_all,) = [one for one in users.get_finished_spans() if one.name == "all"]
    assert set(found.values()) == {format(of_all.context.span_id, "016x")}
    assert len(found) == 3
    assert {one.context.trace_id for one in users.get_finished_spans()} == {int(of_map.trace, 16)}
    assert (threading.main_thread() in threads) is (pull == "inline")


async def test_of_an_async_source(receiver, tracer, users):
    with users.tracer.start_as_current_span("around") as around:
        assert (await Hush(through(AsyncPages(users))).run(tracer=tracer))["ys"] == [0, 1, 2]
        users.tracer.start_span("after").end()
    assert tracer.flush()
    (of_map,) = map_spans(receiver)
    found = ids(users)
    assert found == {"around": None, "after": format(around.get_span_context().span_id, "016x")} | {
        f"page {page}": of_map.id for page in range(3)
    }


async def test_of_what_a_node_gave(receiver, tracer, users):
    """It is made in the node, and gone through by the map."""
    with GraphNode(name="g") as graph:
        made = CodeNode(name="made", code_fn=lambda: {"rows": pages(users)})
        with MapNode(name="each", inputs={"x": Each(made["rows"])}) as each:
            CodeNode(name="code", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        each["y"] >> PARENT["ys"]
    assert (await Hush(graph).run(tracer=tracer))["ys"] == list(range(6))
    assert tracer.flush()
    (of_map,) = map_spans(receiver)
    assert ids(users)["all"] == of_map.id


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_of_maps_in_items_none_of_which_is_left_out(receiver, tracer, users, executor):
    def rows(x):
        return {"rows": pages(users) if x % 100 == 7 else [x]}

    with GraphNode(name="g") as graph:
        with MapNode(name="outer", inputs={"x": Each(range(400))}, max_concurrency=4):
            made = CodeNode(name="made", code_fn=rows, inputs={"x": PARENT["x"]}, executor=executor)
            with MapNode(name="each", inputs={"x": Each(made["rows"])}, outputs=PARENT):
                CodeNode(name="code", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    await Hush(graph).run(tracer=tracer)
    assert tracer.flush()
    sent = {one.id: one for one in receiver.spans}
    parents = [sent[format(one.parent.span_id, "016x")] for one in users.get_finished_spans() if one.name == "all"]
    assert [one.attributes["hush.path"] for one in parents] == ["g/outer/each"] * 4
    assert sorted(one.attributes["hush.item"] for one in parents) == [7, 107, 207, 307]
    assert tracer.counts.left_out > 300


async def test_beside_a_tracer_that_prepares_no_contexts_and_with_one_of_ones_own(users):
    heard = []

    class Own:
        def emit(self, event):
            heard.append(event)

        def enter(self, event):
            heard.append(("enter", event.path, event.number))
            return lambda: heard.append(("leave", event.path))

    assert (await Hush(through(AsyncPages(users))).run(tracer=[Own(), type("Deaf", (), {"emit": id})()]))["ys"] == [
        0,
        1,
        2,
    ]
    (number,) = {one.number for one in heard if type(one).__name__ == "NodeStarted" and one.path == "g/each"}
    entered = [one for one in heard if type(one) is tuple and one[1] == "g/each"]
    assert entered[0] == ("enter", "g/each", number)  # of what begins it
    assert (
        entered[1:] == [("enter", "g/each", number), ("leave", "g/each")] * 5
    )  # one of them at its end, one to close it
