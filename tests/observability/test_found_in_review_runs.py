"""What a trace says of whole runs that once said something else: nested graphs, worker processes, waits cut short."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, NodeRetrying, Retry, WhileLoopNode, code_node
from hush.core.extend import remember_secrets
from hush.observability import LocalTracer, TraceStore
from hush.observability._report import report
from hush.providers import PromptNode


@code_node
def fail(text="x"):
    raise ValueError(text)


@code_node
async def fail_when_cancelled(began):
    began.set()
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        raise RuntimeError("in cleanup") from None


@code_node
async def fail_late(began):
    await began.wait()
    raise ValueError("late")


async def traced(graph, path, inputs=None, **given):
    """The run's record and spans, and what it ended with."""
    tracer, ended = LocalTracer(path), None
    try:
        await Hush(graph).run(inputs or {}, tracer=tracer, request_id="it", **given)
    except Exception as exc:
        ended = exc
    assert await asyncio.to_thread(tracer.flush)
    store = TraceStore(path)
    record = store.find("it")
    return record, list(store.spans(record.trace)), ended


async def test_of_a_run_whose_items_have_a_tag_each_a_thousand_are_kept(tmp_path):
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"i": Each([*range(1_200)])}):
        code_node(lambda i: {"$tags": f"{i:04}"})(name="n", inputs={"i": PARENT["i"]})
    record, _, _ = await traced(graph, tmp_path / "traces.db")
    assert record.tags == tuple(f"{i:04}" for i in range(1_000))


@pytest.mark.parametrize("depth", [1, 2, 40])
async def test_graphs_in_a_graph_fail_with_what_is_in_them(tmp_path, depth):
    def nest(left):
        with GraphNode(name=f"l{left}"):
            if left:
                nest(left - 1)
            else:
                fail(name="step")

    with GraphNode(name="g") as graph:
        nest(depth - 1)
    record, spans, _ = await traced(graph, tmp_path / "traces.db")
    assert {span.status for span in spans} == {"failed"}
    seen = report(record, spans)
    assert [(group.path.rpartition("/")[2], group.outcome, group.number) for group in seen.failures] == [
        ("step", "raised", 1)
    ]


async def test_a_loop_fails_with_the_graph_in_its_round(tmp_path):
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"i": 0}, stop_condition="i > 3"):
            with GraphNode(name="inner", inputs={"i": PARENT["i"]}, outputs=PARENT):
                code_node(lambda i: {"i": 3 // (2 - i) and i + 1})(name="b", inputs={"i": PARENT["i"]}, outputs=PARENT)
    record, spans, _ = await traced(graph, tmp_path / "traces.db")
    status = {(span.kind, span.round, span.path): span.status for span in spans}
    assert status["round", 0, "g/w"] == "ok"
    assert status["round", 2, "g/w"] == status["while", None, "g/w"] == "failed"
    assert [group.path for group in report(record, spans).failures] == ["g/w/inner/b"]


async def test_a_graph_in_which_two_fail_has_both(tmp_path):
    with GraphNode(name="g") as graph:
        with GraphNode(name="h", inputs={"began": PARENT["began"]}):
            fail_late(name="late", inputs={"began": PARENT["began"]})
            with GraphNode(name="h2", inputs={"began": PARENT["began"]}):
                fail_when_cancelled(name="cleanup", inputs={"began": PARENT["began"]})
    record, spans, ended = await traced(graph, tmp_path / "traces.db", {"began": asyncio.Event()})
    assert isinstance(ended, ExceptionGroup)
    h = next(span for span in spans if span.path == "g/h")
    assert {cause.message for cause in h.failure.causes} == {"late", "in cleanup"}
    assert {(group.path, group.outcome) for group in report(record, spans).failures} == {
        ("g/h/late", "raised"),
        ("g/h/h2/cleanup", "raised"),
    }


async def test_a_graph_that_goes_on_has_not_failed(tmp_path):
    with GraphNode(name="g") as graph:
        with GraphNode(name="h", on_error="collect"):
            with GraphNode(name="inner"):
                fail(name="step")
    record, spans, _ = await traced(graph, tmp_path / "traces.db")
    assert {span.path: span.status for span in spans} == {
        "g": "partial",
        "g/h": "handled",
        "g/h/inner": "failed",
        "g/h/inner/step": "failed",
    }
    assert [group.outcome for group in report(record, spans).failures] == ["handled"]


def work(i):
    if i == 2:
        raise ValueError(f"no {i}")
    return {"y": i}


@pytest.mark.parametrize("first", [100, 0])
async def test_items_in_worker_processes_are_calls(tmp_path, first):
    """Nothing is told of the nodes in them: without this the time of the whole map is nowhere."""
    from hush.observability import Sampling

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"i": Each(PARENT["xs"])}, executor="process", max_concurrency=1) as each:
            code_node(work)(name="w", inputs={"i": PARENT["i"]}, outputs=PARENT)
        each["y"] >> PARENT["y"]
    tracer = LocalTracer(tmp_path / "traces.db", sampling=Sampling(first=first, slowest=0.0, random=0.0))
    await Hush(graph).run({"xs": range(5)}, tracer=tracer, request_id="it")
    assert await asyncio.to_thread(tracer.flush)
    store = TraceStore(tmp_path / "traces.db")
    record = store.find("it")
    seen = report(record, list(store.spans(record.trace)))
    assert [(node.path, node.calls, node.failed) for node in seen.nodes] == [("g/m", 5, 1)]
    assert [part.name for part in seen.time.code] == ["g/m"]
    assert seen.time.code[0].seconds == pytest.approx(seen.nodes[0].called_s) == pytest.approx(seen.nodes[0].seconds)


async def test_a_wait_between_attempts_that_is_cut_short_counts_as_long_as_it_was(tmp_path):
    with GraphNode(name="g") as graph:
        fail(name="step", retry=Retry(max_attempts=3, on=ValueError, backoff_s=100, jitter=False, max_backoff_s=100))
    tracer, retrying = LocalTracer(tmp_path / "traces.db"), asyncio.Event()

    class Listens:
        def emit(self, event):
            if isinstance(event, NodeRetrying):
                retrying.set()

    handle = Hush(graph).start({}, tracer=[tracer, Listens()], request_id="it")
    await retrying.wait()
    handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handle
    assert await asyncio.to_thread(tracer.flush)
    store = TraceStore(tmp_path / "traces.db")
    record = store.find("it")
    spans = list(store.spans(record.trace))
    step = next(span for span in spans if span.kind == "code")
    assert step.attempts == 1
    assert 0 < step.retry_s <= step.seconds
    # ... and why it waited is there.
    assert [(span.attempt, span.failure.type) for span in spans if span.kind == "attempt"] == [(1, "ValueError")]
    assert [(one.path, one.times, one.first.type) for one in report(record, spans).retried] == [
        ("g/step", 1, "ValueError")
    ]


async def test_why_calls_were_tried_again_is_told(tmp_path):
    tries = []

    @code_node
    def third_time():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"no route to host {len(tries)}")
        return {"y": 1}

    with GraphNode(name="g") as graph:
        third_time(name="step", outputs=PARENT, retry=Retry(max_attempts=3, backoff_s=0))
    record, spans, _ = await traced(graph, tmp_path / "traces.db")
    assert [(one.path, one.times) for one in report(record, spans).retried] == [("g/step", 2)]


async def test_secrets_in_texts_that_a_run_made_and_was_given(tmp_path):
    remember_secrets(["planted-credential"])

    @code_node
    def sign_in(settings):
        raise ValueError(f"bad settings {settings}")

    with GraphNode(name="g") as graph:
        sign_in(name="step", inputs={"settings": PARENT["settings"]})
    tracer = LocalTracer(tmp_path / "traces.db", tags=["planted-credential"])
    with pytest.raises(ValueError):
        await Hush(graph).run(
            {"settings": {"password": "planted-value"}}, tracer=tracer, request_id="for planted-credential"
        )
    assert await asyncio.to_thread(tracer.flush)
    written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"bad settings" in written
    assert b"planted" not in written
    assert TraceStore(tmp_path / "traces.db").find("for planted-credential").status == "failed"


async def test_a_prompt_is_shown_as_it_was_written(tmp_path):
    prompt = {"system": "Be brief.", "user": "{text}"}
    with GraphNode(name="g") as graph:
        PromptNode(name="prompt", inputs={"prompt": prompt, "text": PARENT["text"]}, outputs=PARENT)
    _, spans, _ = await traced(graph, tmp_path / "traces.db", {"text": "hello"})
    [span] = [one for one in spans if one.kind == "prompt"]
    assert span.inputs == {"prompt": {"shown": str(prompt)}, "text": "hello"}
