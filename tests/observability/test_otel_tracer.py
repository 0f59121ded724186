"""``OTelTracer`` and ``LangfuseTracer`` with the engine, against a real receiver."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from types import ModuleType

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import hush.observability
from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, ResourceHub, Retry
from hush.core.errors import UsageError
from hush.observability import LangfuseTracer, OTELTracer, OTelTracer
from hush.observability._otel._packages import needed
from hush.observability._sampling import Sampling
from hush.observability._tracer import SpanTracer
from hush.providers import EmbeddingNode, LLMNode
from hush.testing import ScriptedLLM
from kit.otlp_receiver import SILENT, Answer


@pytest.fixture
def made(receiver):
    """Makes tracers, and ends their threads."""
    tracers = []

    def make(kind=OTelTracer, **given):
        given = {"endpoint": receiver.url, **given} if kind is OTelTracer and "exporter" not in given else given
        tracers.append(kind(**given))
        return tracers[-1]

    yield make
    for tracer in tracers:
        tracer._pipeline.close(5.0)


def adds_up(tracer):
    counts = tracer.counts
    return counts.produced == counts.exported + counts.left_out + counts.dropped + counts.pending


def shop():
    tries = []

    def load(n):
        return {"rows": list(range(n))}

    def check(row):
        if row == 2:
            raise ValueError(f"row {row} is bad")
        return {"good": row}

    def flaky():
        tries.append(1)
        if len(tries) < 2:
            raise ConnectionError("reset")
        return {"sent": True}

    with GraphNode(name="shop") as graph:
        loaded = CodeNode(name="load", code_fn=load, inputs={"n": PARENT["n"]})
        with MapNode(name="each", inputs={"row": Each(loaded["rows"])}) as each:
            checked = CodeNode(name="check", code_fn=check, inputs={"row": PARENT["row"]}, outputs={"*": PARENT})
            START >> checked >> END
        send = CodeNode(name="send", code_fn=flaky, retry=Retry(max_attempts=3, backoff_s=0.0))
        each["good"] >> PARENT["good"]
        START >> loaded >> each >> send >> END
    return graph


async def test_a_run_arrives_whole_and_its_counts_add_up(receiver, made):
    tracer = made(tags=["nightly"], service_name="shop-service")
    result = await Hush(shop()).run(inputs={"n": 4}, tracer=tracer, request_id="r-1", user_id="ann", session_id="s-1")
    assert result["good"] == [0, 1, None, 3]
    assert tracer.flush()
    run = receiver.span("shop")
    assert run.parent is None
    assert {one.name for one in receiver.children(run)} == {"load", "each", "send"}
    (each,) = (one for one in receiver.children(run) if one.name == "each")
    assert len(receiver.children(each)) == 4
    assert len({one.trace for one in receiver.spans}) == 1
    assert {one.resource["service.name"] for one in receiver.spans} == {"shop-service"}
    for one in receiver.spans:
        assert (one.attributes["user.id"], one.attributes["session.id"]) == ("ann", "s-1")
        assert one.attributes["hush.request_id"] == "r-1"
    (bad,) = (
        one for one in receiver.spans if one.attributes["hush.path"] == "shop/each/check" and one.status == "ERROR"
    )
    assert bad.event("exception")["exception.message"] == "row 2 is bad"
    assert "in shop.<locals>.check" in bad.event("exception")["exception.stacktrace"]
    assert receiver.span("send").attributes["hush.attempts"] == 2
    assert "nightly" in run.attributes["hush.tags"]
    assert tracer.counts.exported == len(receiver.spans) == tracer.counts.produced
    assert adds_up(tracer)


async def test_spans_that_are_sent_before_the_run_ends_say_whose_they_are(receiver, made):
    tracer = made()
    go = asyncio.Event()

    async def wait():
        await go.wait()

    with GraphNode(name="long") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"x": 1})
        last = CodeNode(name="last", code_fn=wait)
        START >> first >> last >> END
    handle = Hush(graph).start(inputs={}, tracer=tracer, user_id="ann")
    while not [one for one in receiver.spans if one.name == "first"]:
        await asyncio.to_thread(tracer.flush)
    go.set()
    await handle
    assert tracer.flush()
    assert [one.attributes["user.id"] for one in receiver.spans] == ["ann"] * 3


async def test_the_first_of_several_batches_says_whose_all_are():
    over, batches = threading.Event(), []

    class Kept:
        live, most = False, 2

        def __init__(self):
            over.wait()  # so that the run has ended before anything of it is exported

        def export(self, batch):
            batches.append(batch)

        def close(self):
            pass

    tracer = SpanTracer(Kept)
    await Hush(shop()).run(inputs={"n": 3}, tracer=tracer, user_id="ann")
    over.set()
    assert tracer.flush()
    assert len(batches) > 2
    assert [run.user_id for run in batches[0].runs] == ["ann"]
    tracer._pipeline.close(5.0)


async def test_many_spans_of_one_run_all_say_whose_they_are(receiver, made):
    tracer = made(sampling=Sampling(first=10_000))
    with MapNode(name="big", inputs={"x": Each(PARENT["xs"])}) as graph:
        CodeNode(name="one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})
    await Hush(graph).run(inputs={"xs": range(1_000)}, tracer=tracer, user_id="ann", session_id="s")
    assert tracer.flush(20.0)
    assert len(receiver.spans) > 2_000
    assert {one.attributes.get("user.id") for one in receiver.spans} == {"ann"}
    assert receiver.connected == 1
    assert len({one.id for one in receiver.spans}) == len(receiver.spans)


def _same(x):
    return {"y": x}


def _item_of(users, one):
    """A map of 400 items, each hundredth of which makes a span of its own in its call."""

    def blocking(x):
        if x % 100 == 99:
            users.tracer.start_span(f"query {x}").end()
        return {"y": x}

    async def request(x):
        await asyncio.sleep(0)
        return blocking(x)

    inputs = {"x": PARENT["x"]}
    if one == "awaited":
        CodeNode(name="one", code_fn=request, inputs=inputs, outputs={"*": PARENT})
    elif one == "two nodes":
        first = CodeNode(name="first", code_fn=blocking, inputs=inputs, executor="inline")
        CodeNode(name="one", code_fn=request, inputs={"x": first["y"]}, outputs={"*": PARENT})
    elif one == "beside a cached one":
        CodeNode(name="first", code_fn=blocking, inputs=inputs, executor="inline")
        CodeNode(name="one", code_fn=_same, inputs={"x": 1}, outputs={"*": PARENT}, cache="memory")
    elif one == "nested":
        with MapNode(name="inner", inputs={"x": Each([0, 1]), "at": PARENT["x"]}) as inner:
            CodeNode(name="one", code_fn=blocking, inputs={"x": PARENT["at"]}, outputs={"*": PARENT}, executor="inline")
        inner["y"] >> PARENT["ys"]
    elif one == "retried":
        CodeNode(name="one", code_fn=request, inputs=inputs, outputs={"*": PARENT}, retry=Retry())
    else:
        CodeNode(name="one", code_fn=blocking, inputs=inputs, outputs={"*": PARENT}, executor=one)


WHERE = ["inline", "thread", "awaited", "two nodes", "beside a cached one", "nested", "retried"]


@pytest.mark.parametrize("one", WHERE)
async def test_what_spans_of_user_code_hang_under_is_never_left_out(receiver, made, users, one):
    with MapNode(name="each", inputs={"x": Each(range(400))}, max_concurrency=8) as graph:
        _item_of(users, one)
    tracer = made(sampling=Sampling(first=0, slowest=0.0, random=0.0))
    await Hush(graph).run(inputs={}, tracer=tracer)
    assert tracer.flush()
    sent = {one.id: one for one in receiver.spans}
    found = users.get_finished_spans()
    assert {one.name for one in found} == {f"query {x}" for x in (99, 199, 299, 399)}
    assert not [one.name for one in found if format(one.parent.span_id, "016x") not in sent]
    for span in receiver.spans:  # nor is anything else an orphan
        assert span.parent in sent or span.attributes["hush.kind"] in ("run", "map"), span
    items = {one.attributes["hush.item"] for one in receiver.spans if one.attributes["hush.kind"] == "item"}
    assert items >= {99, 199, 299, 399}
    assert tracer.counts.left_out > 300
    assert adds_up(tracer)
    assert not tracer._pipeline._recorders


@pytest.mark.parametrize("executor", ["inline", "thread", "auto"])
async def test_spans_of_user_code_hang_under_their_node(receiver, made, users, executor):
    threads = set()

    def blocking(x):
        threads.add(threading.current_thread())
        with users.tracer.start_as_current_span(f"query {x}"):
            users.tracer.start_span(f"inner {x}").end()
        return {"y": x}

    async def request(x):
        with users.tracer.start_as_current_span(f"request {x}"):
            await asyncio.sleep(0)
        users.tracer.start_span(f"after {x}").end()
        return {"z": x}

    with MapNode(name="each", inputs={"x": Each([1, 2, 3])}, max_concurrency=3) as graph:
        query = CodeNode(name="query", code_fn=blocking, inputs={"x": PARENT["x"]}, executor=executor)
        ask = CodeNode(name="ask", code_fn=request, inputs={"x": query["y"]}, outputs={"*": PARENT})
        START >> query >> ask >> END
    tracer = made()
    await Hush(graph).run(inputs={}, tracer=tracer)
    assert tracer.flush()
    if executor == "thread":
        assert threading.main_thread() not in threads
    nodes = {
        (one.attributes["hush.path"], one.attributes["hush.item"]): one
        for one in receiver.spans
        if one.attributes["hush.kind"] == "code"
    }
    found = {one.name: one for one in users.get_finished_spans()}
    for index, x in enumerate([1, 2, 3]):
        for name, path in ((f"query {x}", "each/query"), (f"request {x}", "each/ask"), (f"after {x}", "each/ask")):
            node = nodes[path, index]
            assert format(found[name].parent.span_id, "016x") == node.id
            assert format(found[name].context.trace_id, "032x") == node.trace
        assert found[f"inner {x}"].parent.span_id == found[f"query {x}"].context.span_id


async def test_a_model_is_a_generation_in_langfuse(receiver, made):
    host = receiver.url.removesuffix("/v1/traces")
    tracer = made(LangfuseTracer, public_key="pk-lf-1", secret_key="sk-lf-planted-9", host=host, tags=["eu"])
    hub = ResourceHub({"llm:gpt-4": {"type": "scripted", "model": "gpt-4o-mini", "llm": ScriptedLLM("A cat.")}})
    with GraphNode(name="chat") as graph:
        ask = LLMNode(
            name="ask", resource_key="gpt-4", inputs={"messages": PARENT["q"], "temperature": 0.1}, stream=True
        )
        ask["content"] >> PARENT["answer"]
        START >> ask >> END
    async with Hush(graph, resources=hub) as engine:
        await engine.run(inputs={"q": "What is it?"}, tracer=tracer, user_id="ann", session_id="s-1", request_id="r-1")
    assert tracer.flush()
    (asked,) = (one for one in receiver.spans if one.attributes["langfuse.observation.type"] == "generation")
    of = asked.attributes
    assert asked.name == "ask"
    assert json.loads(of["langfuse.observation.input"]) == "What is it?"
    assert json.loads(of["langfuse.observation.output"]) == {"role": "assistant", "content": "A cat."}
    assert json.loads(of["langfuse.observation.model.parameters"]) == {"temperature": 0.1}
    assert json.loads(of["langfuse.observation.usage_details"])["input"] > 0
    assert of["langfuse.observation.completion_start_time"].endswith("Z")
    assert of["langfuse.observation.model.name"]
    for one in receiver.spans:
        assert one.attributes["langfuse.trace.name"] == "chat"
        assert one.attributes["langfuse.trace.metadata.request_id"] == "r-1"
        assert one.attributes["langfuse.trace.tags"] == ["eu"]
    assert "planted" not in repr([one.attributes for one in receiver.spans])


async def test_tokens_of_vectors_are_counted_once(receiver, made):
    tracer = made()
    hub = ResourceHub({"embedding:small": {"type": "scripted", "model": "text-embedding-3-small"}})
    with GraphNode(name="chat") as graph:
        vectors = EmbeddingNode(name="vec", resource_key="small", inputs={"texts": ["a", "b", "c"]}, batch_size=2)
        START >> vectors >> END
    async with Hush(graph, resources=hub) as engine:
        await engine.run(inputs={}, tracer=tracer)
    assert tracer.flush()
    counted = [one.attributes.get("gen_ai.usage.input_tokens", 0) for one in receiver.spans]
    assert sum(counted) == 3
    assert sorted(counted)[-2:] == [1, 2]


# --- a server that is not as it should be -----------------------------------------------------------------------------
@pytest.mark.parametrize("items", [2_500, pytest.param(25_000, marks=pytest.mark.nightly)])
async def test_a_black_hole_is_left_and_all_is_counted(receiver, made, items):
    receiver.always = Answer(sent=SILENT)
    tracer = made(timeout_s=30.0, max_pending=1_000, sampling=Sampling(first=100_000))
    with MapNode(name="big", inputs={"x": Each(PARENT["xs"])}) as graph:
        CodeNode(name="one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, executor="inline")
    await Hush(graph).run(inputs={"xs": range(items)}, tracer=tracer)
    assert not tracer.flush(0.2)
    receiver.hanging.acquire()  # it hangs in its first request
    assert len(tracer._pipeline._pending) <= 2_000
    receiver.closing.set()  # the connection breaks
    tracer._pipeline.close(5.0)
    counts = tracer.counts
    assert counts.produced == 2 * items + 2
    assert counts.produced == counts.exported + counts.left_out + counts.dropped
    assert counts.exported == 0


ENDS = """
import sys, time
from hush.core import CodeNode, GraphNode, Hush
from hush.observability import OTelTracer
with GraphNode(name="g") as graph:
    CodeNode(name="one", code_fn=lambda: {"x": 1})
Hush(graph).run_sync(inputs={}, tracer=OTelTracer(sys.argv[1]))
print(time.time())
"""


def test_a_script_that_ends_at_once_has_sent_its_spans(receiver):
    done = subprocess.run([sys.executable, "-c", ENDS, receiver.url], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert receiver.tree() == {"g": {"one": {}}}


@pytest.mark.nightly
def test_a_process_ends_in_time_though_the_server_never_answers(receiver):
    receiver.always = Answer(sent=SILENT)
    done = subprocess.run([sys.executable, "-c", ENDS, receiver.url], capture_output=True, text=True, check=True)
    assert time.time() - float(done.stdout) < 5.5  # what it waits for, and the end of the interpreter
    assert "2 spans were not exported before the process ended" in done.stderr


async def test_a_server_that_refuses_for_good_is_counted_and_named_once_without_a_secret(receiver, made, caplog):
    receiver.always = Answer(401, body=b"who is Bearer planted-77-x?", kind="text/plain")
    tracer = made(headers={"authorization": "Bearer planted-77-x"})
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            await Hush(shop()).run(inputs={"n": 1}, tracer=tracer)
            tracer.flush()
    counts = tracer.counts
    assert counts.dropped == counts.produced > 0
    said = [record for record in caplog.records if record.name == "hush.tracing"]
    assert len(said) == 1
    assert "answered 401" in said[0].getMessage()
    assert "planted" not in caplog.text


async def test_a_server_that_is_busy_gets_everything_later(receiver, made):
    receiver.plan.extend([Answer(503), Answer(429, {"retry-after": "0"})])
    tracer = made()
    await Hush(shop()).run(inputs={"n": 2}, tracer=tracer)
    while not tracer.flush():
        pass
    assert tracer.counts.exported == tracer.counts.produced == len(receiver.spans)


# --- as it is made ----------------------------------------------------------------------------------------------------
def test_both_spellings_are_one():
    assert OTELTracer is OTelTracer
    assert {"OTELTracer", "OTelTracer", "LangfuseTracer"} <= set(dir(hush.observability))


def test_an_exporter_of_the_sdk_takes_a_run(made):
    theirs = InMemorySpanExporter()
    tracer = made(exporter=theirs)
    Hush(shop()).run_sync(inputs={"n": 1}, tracer=tracer)
    assert tracer.flush()
    assert {"shop", "load", "each"} <= {one.name for one in theirs.get_finished_spans()}


def test_tracers_to_one_place_share_its_connection_and_others_do_not(made, receiver):
    one, two, other = made(), made(tags=["x"]), made(headers={"x-tenant": "other-tenant"})
    assert one._pipeline is two._pipeline
    assert one._pipeline is not other._pipeline


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "localhost:4317"}, "no address"),
        ({"exporter": object()}, "SpanExporter"),
        ({"exporter": InMemorySpanExporter(), "headers": {"a": "b"}}, "leave out the rest"),
        ({"tags": "one"}, "list of strings"),
        ({"sampling": 3}, "Sampling"),
    ],
)
def test_what_is_wrong_is_an_error_at_the_line(given, said):
    with pytest.raises(UsageError, match=said):
        OTelTracer(**given)


def test_keys_that_are_missing_are_an_error_at_the_line(monkeypatch):
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    monkeypatch.delenv("LANGFUSE_SECRET_KEY", raising=False)
    with pytest.raises(UsageError, match="langfuse:default"):
        LangfuseTracer(resources=ResourceHub())


@pytest.mark.parametrize("name", ["Prod", "langfuse-x", "", "a" * 41, "a b", 3])
def test_an_environment_that_langfuse_would_not_take_is_an_error_at_the_line(name):
    with pytest.raises(UsageError, match="environment="):
        LangfuseTracer(public_key="pk", secret_key="sk-planted", environment=name)


MISSING = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(sys.argv[1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from hush.observability import LangfuseTracer, OTelTracer
for make in (OTelTracer, lambda: LangfuseTracer(public_key="pk", secret_key="sk-1234")):
    try:
        make()
    except ImportError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("module", "package"),
    [("opentelemetry", "opentelemetry-sdk"), ("opentelemetry.proto", "opentelemetry-exporter-otlp-proto-http")],
)
def test_a_package_that_is_missing_is_named_with_its_extra(module, package):
    done = subprocess.run([sys.executable, "-c", MISSING, module], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"{who} needs the package {package}: pip install 'hushflow[otel]'" for who in ("OTelTracer", "LangfuseTracer")
    ]


def test_packages_that_tests_have_made_by_hand_are_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", ModuleType("requests"))
    needed("OTelTracer")
