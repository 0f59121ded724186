"""Calls in worker threads: what the function took is told apart from the way into the thread and back."""

from __future__ import annotations

from time import perf_counter_ns

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, NodeFailed, NodeFinished, Retry
from hush.observability import LocalTracer
from hush.observability._report import report
from hush.observability._spans import spans_of
from hush.testing import Recorder


class Seeing(Recorder):
    sees_calls = True


def timed(took_ns: list[int], fails: int = 0):
    def work():
        began_ns = perf_counter_ns()
        try:
            if len(took_ns) < fails:
                raise ValueError("not yet")
            return {"y": sum(range(1_000))}
        finally:
            took_ns.append(perf_counter_ns() - began_ns)

    return work


async def told(took_ns: list[int], executor: str, tracer: Recorder, *, fails: int = 0, **more):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=timed(took_ns, fails), outputs=PARENT, executor=executor, on_error="collect", **more)
    await Hush(graph).run(inputs={}, tracer=tracer)
    return next(event for event in tracer.events if type(event) in (NodeFinished, NodeFailed))


@pytest.mark.parametrize("fails", [0, 1], ids=["ends well", "fails"])
async def test_the_end_of_a_call_in_a_thread_says_how_long_it_was_there(fails):
    took_ns, tracer = [], Seeing()
    ended = await told(took_ns, "thread", tracer, fails=fails)
    called = next(event for event in tracer.events if type(event).__name__ == "NodeCalled")
    assert type(ended) is (NodeFailed if fails else NodeFinished)
    assert took_ns[0] <= ended.thread_ns <= ended.at_ns - called.at_ns
    span = next(span for span in spans_of(tracer.events) if span.path == "g/n")
    assert span.thread_s == ended.thread_ns / 1e9 <= span.seconds


async def test_attempts_are_added_up():
    took_ns, tracer = [], Seeing()
    ended = await told(took_ns, "thread", tracer, fails=2, retry=Retry(3, on=ValueError, backoff_s=0))
    assert len(took_ns) == 3
    assert ended.thread_ns >= sum(took_ns)


async def test_a_call_on_the_loop_is_in_no_thread():
    assert (await told([], "inline", Seeing())).thread_ns is None


async def test_nobody_is_told_who_does_not_see_calls():
    assert (await told([], "thread", Recorder())).thread_ns is None


async def test_what_a_thread_gives_to_be_awaited_is_the_functions_time():
    async def later():
        return {"y": 1}

    tracer = Seeing()
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: later(), outputs=PARENT, executor="thread")
    assert await Hush(graph).run(inputs={}, tracer=tracer) == {"y": 1}
    assert next(event for event in tracer.events if type(event) is NodeFinished).thread_ns is None


async def test_the_report_has_the_functions_time_and_the_way_apart(file, store):
    took_ns: list[int] = []
    work = timed(took_ns)
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"i": Each(PARENT["is"])}, max_concurrency=4):
        CodeNode(name="n", code_fn=lambda i: work(), inputs={"i": PARENT["i"]}, executor="thread")
    tracer = LocalTracer(file)
    await Hush(graph).run(inputs={"is": range(50)}, tracer=tracer)
    assert tracer.flush()
    run = store.find("last")
    spans = list(store.spans(run.trace))
    in_threads_s = sum(span.thread_s for span in spans if span.path == "g/m/n")
    assert in_threads_s >= sum(took_ns) / 1e9
    for record in (run, run._replace(totals=())):  # of the totals, and of the spans
        [node] = report(record, spans).nodes
        assert node.called_s == pytest.approx(in_threads_s)
        assert node.inside_s == pytest.approx(node.seconds - in_threads_s)
        assert (node.threaded, node.thread_s) == (50, pytest.approx(in_threads_s))
        since_called_s = sum(span.ended_ns - span.called_ns for span in spans if span.path == "g/m/n") / 1e9
        assert node.thread_wait_s == pytest.approx(since_called_s - in_threads_s)
