"""What a trace says of what a model was asked: who, with what, and nothing where values are not to be kept."""

from __future__ import annotations

import json
import sqlite3
from contextlib import nullcontext
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel

from hush.core import END, PARENT, START, Each, GraphNode, Hush, MapNode, NodeAnswered, NodeCalled, ResourceHub
from hush.observability import LangfuseTracer, LocalTracer, OTelTracer, TraceStore
from hush.observability._bounds import PREVIEW
from hush.observability._report import report
from hush.observability._sampling import Sampling
from hush.observability._spans import spans_of
from hush.providers import EmbeddingNode, LLMChainNode, LLMNode, PromptNode
from hush.providers.errors import RefusedByProvider
from hush.testing import Fault, ScriptedLLM
from kit.model_places import SOCKETS, SOON, asking, served
from kit.span_laws import Watch

PLANTED = "Jane Roe of ward nine"


@pytest.fixture
def made(receiver, file):
    host = receiver.url.removesuffix("/v1/traces")
    tracers = []

    def make(**given):
        keys = {"public_key": "pk-lf-1", "secret_key": "sk-lf-none", "host": host}
        tracers.extend(
            [OTelTracer(endpoint=receiver.url, **given), LangfuseTracer(**keys, **given), LocalTracer(file, **given)]
        )
        return tracers

    yield make
    for tracer in tracers:
        tracer._pipeline.close(5.0)


def hub(llm):
    return ResourceHub({"llm:o": {"type": "scripted", "model": "gpt-4o-mini", "llm": llm}})


def ward():
    with GraphNode(name="ward") as graph:
        prompt = {"system": "You are brief.", "user": "What of {patient}?"}
        inputs = {"prompt": prompt, "patient": PARENT["patient"], "temperature": 0.1, "stop": ["END", "STOP"]}
        ask = LLMChainNode(name="ask", resource_key="o", inputs=inputs, outputs=PARENT)
        START >> ask >> END
    return graph


async def run(graph, tracers, llm, **inputs):
    async with Hush(graph, resources=hub(llm)) as engine:
        await engine.run(inputs=inputs, tracer=tracers)
    assert all(tracer.flush() for tracer in tracers)


async def test_what_is_not_to_be_kept_is_kept_nowhere(made, receiver, file):
    await run(ward(), made(keep_values=False), ScriptedLLM("Well."), patient=PLANTED)
    sent = repr([one.attributes for one in receiver.spans])
    with sqlite3.connect(file) as connection:
        sent += "\n".join(connection.iterdump())
    connection.close()
    assert "Jane Roe" not in sent
    assert "temperature" not in sent
    assert "gpt-4o-mini" in sent


async def test_a_chain_shows_the_messages_that_it_has_made_and_no_variable_as_a_parameter(made, receiver):
    await run(ward(), made(), ScriptedLLM("Well."), patient=PLANTED)
    of = {name: one.attributes for one in receiver.spans for name in one.attributes if "model" in name}
    otel = of["gen_ai.request.model"]
    assert json.loads(otel["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "You are brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": f"What of {PLANTED}?"}]},
    ]
    assert otel["gen_ai.request.stop_sequences"] == ["END", "STOP"]
    assert not [name for name in otel if name.startswith("hush.request.")]
    langfuse = of["langfuse.observation.model.name"]
    assert json.loads(langfuse["langfuse.observation.input"]) == [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": f"What of {PLANTED}?"},
    ]
    assert json.loads(langfuse["langfuse.observation.model.parameters"]) == {
        "temperature": 0.1,
        "stop": '["END", "STOP"]',
    }


@pytest.mark.parametrize("on_error", ["raise", "collect"])
async def test_a_model_that_answered_nothing_is_told_under_its_name(made, receiver, on_error):
    with GraphNode(name="g") as graph:
        ask = LLMNode(name="ask", resource_key="o", inputs={"messages": "hi"}, on_error=on_error)
        START >> ask >> END
    llm = ScriptedLLM(faults=[Fault(401)])
    tracers = made()
    async with Hush(graph, resources=hub(llm)) as engine:
        with pytest.raises(RefusedByProvider) if on_error == "raise" else nullcontext():
            await engine.run(inputs={}, tracer=tracers)
    assert all(tracer.flush() for tracer in tracers)
    (asked,) = [one for one in receiver.spans if "gen_ai.request.model" in one.attributes]
    assert asked.name == "chat gpt-4o-mini"
    assert asked.attributes["gen_ai.provider.name"] == "openai"
    assert asked.attributes["error.type"]
    assert asked.status == "ERROR"
    (told,) = [one for one in receiver.spans if "langfuse.observation.model.name" in one.attributes]
    assert told.attributes["langfuse.observation.model.name"] == "gpt-4o-mini"


async def test_what_models_are_asked_in_a_map_of_many_items_is_shown_like_the_first():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"q": Each(PARENT["qs"])}, max_concurrency=50) as each:
            prompt = PromptNode(
                name="prompt", inputs={"prompt": {"system": "Be brief.", "user": "{q}"}, "q": PARENT["q"]}
            )
            ask = LLMNode(name="ask", resource_key="o", inputs={"messages": prompt["messages"]}, outputs=PARENT)
            START >> prompt >> ask >> END
        START >> each >> END
    watch = Watch()
    llm = ScriptedLLM(lambda request: "fine", faults=[Fault(400, contains="bad")])
    async with Hush(graph, resources=hub(llm)) as engine:
        await engine.run(inputs={"qs": [*["ok"] * 1_400, "bad", "ok"]}, tracer=watch)
    spans = spans_of(watch.events, bounds=PREVIEW, sampling=Sampling(random=0.0))
    (failed,) = [one for one in spans if one.kind == "llm" and one.failure is not None]
    assert failed.items == (1_400,)
    assert failed.inputs == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "bad"}]
    }


@pytest.mark.parametrize("place", SOCKETS)
@pytest.mark.parametrize("streams", [False, True])
async def test_events_say_which_server_was_asked_and_what_it_calls_its_answer(place, streams):
    watch = Watch()
    llm = ScriptedLLM("fine", faults=[Fault(500, first=1)])
    async with served(place, m=llm) as settings, Hush(asking(retry=SOON), resources=ResourceHub(settings)) as engine:
        if streams:
            async for _ in engine.stream({"messages": "?"}, tracer=watch):
                pass
        else:
            await engine.run({"messages": "?"}, tracer=watch)
    (url,) = [one.get("base_url") for one in settings.values()]
    told = [one.about for one in watch.events if type(one) in (NodeCalled, NodeAnswered) and one.about is not None]
    assert [about["server"] for about in told] == [urlsplit(url).netloc] * 3
    assert [bool(about.get("response_id")) for about in told] == [False, False, True]
    (span,) = [one for one in spans_of(watch.events) if one.kind == "llm"]
    assert span.generation.server == urlsplit(url).netloc
    assert span.generation.response_id == told[-1]["response_id"]


async def test_events_say_who_is_asked_and_with_what():
    watch = Watch()
    with GraphNode(name="g") as graph:
        vectors = EmbeddingNode(name="vec", resource_key="small", inputs={"texts": ["a"], "dimensions": 64})
        START >> vectors >> END
    found = ResourceHub({"embedding:small": {"type": "scripted", "model": "text-embedding-3-small"}})
    async with Hush(graph, resources=found) as engine:
        await engine.run(inputs={}, tracer=watch)
    (about,) = [one.about for one in watch.events if type(one) is NodeCalled and one.resource is not None]
    assert about == {"requested": "text-embedding-3-small", "provider": None, "parameters": {"dimensions": 64}} | about


async def test_the_batches_of_an_embedding_lie_in_it_and_it_is_no_call_itself(tmp_path):
    """Else its time counted twice, and one call of a model was said to have left no span."""
    with GraphNode(name="g") as graph:
        vectors = EmbeddingNode(name="vec", resource_key="small", inputs={"texts": ["a", "b", "c"]}, batch_size=2)
        START >> vectors >> END
    found = ResourceHub({"embedding:small": {"type": "scripted", "model": "text-embedding-3-small"}})
    tracer = LocalTracer(tmp_path / "traces.db")
    async with Hush(graph, resources=found) as engine:
        await engine.run(inputs={}, tracer=tracer)
    assert tracer.flush()
    store = TraceStore(tmp_path / "traces.db")
    run = store.find("last")
    kept = store.spans(run.trace)
    spans = {span.path: span for span in kept if span.kind != "item"}
    assert spans["g/vec"].kind == "graph"
    within = {path for path, span in spans.items() if span.parent == spans["g/vec"].id}
    assert within == {"g/vec/split", "g/vec/batches", "g/vec/join"}
    said = report(run, kept)
    assert said.generations == (2, 2)
    assert [part.name for part in said.time.models] == ["g/vec/batches/ask"]


@pytest.mark.parametrize(
    ("form", "said"), [(None, None), ("json", "json_object"), ({"type": "object", "properties": {}}, "json_schema")]
)
async def test_a_trace_says_in_what_form_an_answer_was_asked_for(made, receiver, form, said):
    with GraphNode(name="g") as graph:
        ask = LLMNode(name="ask", resource_key="o", inputs={"messages": "hi", "response_format": form})
        START >> ask >> END
    await run(graph, made(), ScriptedLLM("{}"))
    of = {name: one.attributes for one in receiver.spans for name in one.attributes if "model" in name}
    assert of["gen_ai.request.model"].get("gen_ai.output.type") == (None if said is None else "json")
    parameters = json.loads(of["langfuse.observation.model.name"].get("langfuse.observation.model.parameters", "{}"))
    assert parameters.get("response_format") == said


class Diagnosis(BaseModel):
    """What a model is asked for."""

    code: int


async def test_a_request_to_correct_an_answer_is_told_with_its_messages():
    with GraphNode(name="g") as graph:
        inputs = {"messages": "Which code?", "response_format": Diagnosis}
        START >> LLMNode(name="ask", resource_key="o", inputs=inputs, outputs=PARENT) >> END
    watch = Watch()
    answers = iter(["none", '{"code": 7}'])
    async with Hush(graph, resources=hub(ScriptedLLM(lambda request: next(answers)))) as engine:
        await engine.run(inputs={}, tracer=watch)
    first, second = (one.about for one in watch.events if type(one) is NodeCalled and one.resource is not None)
    assert "messages" not in first
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][1]["content"] == "none"
