"""Spans of other code hang under the node's span: the seam by itself, and with the SDK's own tracer."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import get_current, set_value
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import OTelTracer, Sampling
from hush.observability._ids import Ids
from hush.observability._otel._context import ByAPI, Here, entering

TRACE = "0af7651916cd43dd8448eb211c80319c"
IDS = Ids(TRACE, nodes=True)
NODE, OTHER = IDS.of(1), IDS.of(2)


def entered(trace, span):
    place = entering(Ids(trace, nodes=True))()
    place.enter({NODE: 1, OTHER: 2}[span])
    return place.leave


def parents(users):
    def of(one):
        return format(one.context.trace_id, "032x"), one.parent and format(one.parent.span_id, "016x")

    return {one.name: of(one) for one in users.get_finished_spans()}


def test_a_span_inside_hangs_under_the_node_and_one_after_it_does_not(users):
    leave = entered(TRACE, NODE)
    with users.tracer.start_as_current_span("outer"):
        with users.tracer.start_as_current_span("inner"):
            pass
    leave()
    with users.tracer.start_as_current_span("after"):
        pass
    found = parents(users)
    assert found["outer"] == (TRACE, NODE)
    assert found["inner"][0] == TRACE
    assert found["after"][1] is None
    assert found["after"][0] != TRACE


def test_nodes_nest(users):
    leave_outer = entered(TRACE, NODE)
    leave_inner = entered(TRACE, OTHER)
    users.tracer.start_span("inner").end()
    leave_inner()
    users.tracer.start_span("outer").end()
    leave_outer()
    assert parents(users) == {"inner": (TRACE, OTHER), "outer": (TRACE, NODE)}
    assert not trace.get_current_span().get_span_context().is_valid


def test_in_a_thread_with_a_copy_of_the_context(users):
    def call():
        leave = entered(TRACE, NODE)
        users.tracer.start_span("in a thread").end()
        leave()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(call,))
    thread.start()
    thread.join()
    assert parents(users) == {"in a thread": (TRACE, NODE)}


async def test_tasks_side_by_side_do_not_see_each_other(users):
    met = asyncio.Barrier(2)

    async def node(span, name):
        leave = entered(TRACE, span)
        await met.wait()
        with users.tracer.start_as_current_span(name):
            await met.wait()
        leave()

    async with asyncio.TaskGroup() as group:
        group.create_task(node(NODE, "a"))
        group.create_task(node(OTHER, "b"))
    assert parents(users) == {"a": (TRACE, NODE), "b": (TRACE, OTHER)}


def test_no_tracer_provider_is_set():
    entered(TRACE, NODE)()
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_a_sampler_that_follows_the_parent_keeps_the_span(users):
    leave = entered(TRACE, NODE)
    assert trace.get_current_span().get_span_context().trace_flags.sampled
    leave()


def test_a_span_that_asks_later_asks_for_the_node_in_which_it_was_made(users):
    """Its context is its own: the next call of the same worker does not change it."""
    place = entering(IDS)()
    place.enter(1)
    background = contextvars.copy_context()
    place.leave()
    place.enter(2)
    background.run(lambda: users.tracer.start_span("left behind").end())
    place.leave()
    assert parents(users) == {"left behind": (TRACE, NODE)}


def number_of(context):
    found = trace.get_current_span(context).get_span_context().span_id
    return next(number for number in range(100) if int(IDS.of(number), 16) == found)


KEEPS = {
    "the context": get_current,
    "one made of it": lambda: set_value("a", 1),
    "its span": lambda: trace.set_span_in_context(trace.get_current_span()),
    "the variables": lambda: contextvars.copy_context().run(lambda: contextvars.copy_context()),
    "nothing": lambda: None,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(KEEPS)), st.integers(0, 2)), max_size=12))
def test_whoever_keeps_something_of_a_call_goes_on_to_see_that_call(calls):
    make, free = entering(IDS), []
    kept, under_way = {}, deque()
    for number, (keeps, leaves) in enumerate(calls):
        here = contextvars.copy_context()  # as the context of a task: calls overlap
        place = free.pop() if free else make()
        here.run(place.enter, number)
        kept[number] = here.run(KEEPS[keeps])
        under_way.append((here, place))
        for _ in range(min(leaves, len(under_way))):
            there, place = under_way.popleft()
            there.run(place.leave)
            free.append(place)
        del here
        for earlier, what in kept.items():
            if isinstance(what, contextvars.Context):
                assert what.run(number_of, None) == earlier
            elif what is not None:
                assert number_of(what) == earlier


def test_of_calls_that_leave_nothing_behind_one_after_the_other_has_the_same_context():
    place = entering(IDS)()
    seen = []
    for number in range(50):
        place.enter(number)
        assert number_of(None) == number
        seen.append(id(get_current()))
        place.leave()
    assert len(set(seen)) == 1


def test_what_is_known_of_a_span_while_it_lives_is_not_known_of_the_next_one():
    """Instrumentations keep what belongs to a span in a ``WeakKeyDictionary``."""
    place = entering(IDS)()
    known = weakref.WeakKeyDictionary()
    for number in range(3):
        place.enter(number)
        assert trace.get_current_span() not in known
        known[trace.get_current_span()] = number
        place.leave()
    del place
    assert len(known) == 0


def test_in_a_span_that_goes_on_the_context_is_used_again_and_in_another_it_is_not(users):
    """As in a web request: what is around a run is around all its calls."""
    place = entering(IDS)()
    seen = []
    for name in ("a", "b"):
        with users.tracer.start_as_current_span(name):
            for number in (1, 2, 3):
                around = get_current()
                place.enter(number)
                assert number_of(None) == number
                seen.append(id(get_current()))
                place.leave()
                assert get_current() is around
    assert [seen.count(one) for one in dict.fromkeys(seen)] == [3, 3]


def test_what_the_context_holds_besides_is_still_there(users):
    from opentelemetry import baggage, context

    token = context.attach(baggage.set_baggage("user", "u1"))
    leave = entered(TRACE, NODE)
    assert baggage.get_baggage("user") == "u1"
    leave()
    assert baggage.get_baggage("user") == "u1"
    context.detach(token)


def test_a_context_that_is_kept_elsewhere_than_in_a_variable(users):
    place = ByAPI(IDS)
    place.enter(1)
    users.tracer.start_span("inside").end()
    place.leave()
    assert parents(users) == {"inside": (TRACE, NODE)}
    assert not trace.get_current_span().get_span_context().is_valid


def test_it_says_what_it_is():
    assert NODE in repr(Here(IDS, 1)).replace("0x", "")


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_of_several_tracers_all_keep_the_items_in_which_spans_were_made(users, executor):
    """Nobody knows where these are sent: the first tracer left out what they hung under."""

    def work(x):
        if x % 50 == 7:
            users.tracer.start_span("inner").end()
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([*range(200)])}):
        CodeNode(name="n", code_fn=work, inputs={"x": PARENT["x"]}, outputs=PARENT, executor=executor)
    kept = [InMemorySpanExporter() for _ in range(3)]
    rule = Sampling(first=0, slowest=0.0, random=0.0)
    tracers = [OTelTracer(exporter=each, sampling=rule) for each in kept]
    Hush(graph).run_sync(tracer=tracers)
    around = {made.parent.span_id for made in users.get_finished_spans()}
    assert len(around) == 4
    for tracer, each in zip(tracers, kept, strict=True):
        assert tracer.flush(60)
        assert around <= {span.context.span_id for span in each.get_finished_spans()}
        assert tracer.counts.left_out == 392
