"""Runs are sent to a real Arize Phoenix and read back through its interfaces."""

from __future__ import annotations

import pytest

from hush.core import PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, ResourceHub
from hush.observability import OTelTracer
from hush.observability._otel._conventions import conventional
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._exporter import OTLPExporter, resource_of
from hush.providers import LLMNode
from hush.testing import ScriptedLLM
from kit.phoenix_server import Phoenix, phoenix
from kit.span_records import ALL, LLM, TRACE, batch

TOKENS = "{ projects { edges { node { name traceCount tokenCountPrompt tokenCountCompletion } } } }"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_runs_are_read_back(tmp_path):
    """Of records of every kind, and of a run of the engine: one server for both, since it starts slowly."""
    with phoenix(tmp_path) as server:
        records_are_read_back(server)
        a_run_is_read_back(server)


def records_are_read_back(server: Phoenix):
    exporter = OTLPExporter(Endpoint(server.endpoint), conventional, resource_of("shop"))
    exporter.export(batch())
    exporter.close()
    found = {one["context"]["span_id"]: one for one in server.spans(len(ALL))}
    assert found.keys() == {one.id for one in ALL}
    for sent in ALL:
        got = found[sent.id]
        assert got["context"]["trace_id"] == TRACE
        assert got["parent_id"] == sent.parent
        assert got["status_code"] == ("ERROR" if sent.status == "failed" else "UNSET")
        assert got["attributes"]["user.id"] == "ann"
    asked = found[LLM.id]
    assert (asked["name"], asked["span_kind"]) == ("chat gpt-4o-mini", "LLM")
    # It reads the GenAI conventions: these are its own names.
    assert asked["attributes"]["llm.token_count.prompt"] == 100
    assert asked["attributes"]["llm.token_count.completion"] == 20
    assert asked["attributes"]["llm.model_name"] == "gpt-4o-mini"
    projects = {one["node"]["name"]: one["node"] for one in server.graphql(TOKENS)["projects"]["edges"]}
    tokens = {"tokenCountPrompt": 100.0, "tokenCountCompletion": 20.0}
    assert projects["default"] == {"name": "default", "traceCount": 1, **tokens}


def a_run_is_read_back(server: Phoenix):
    def shout(text):
        if text == "bad":
            raise ValueError("not this one")
        return {"loud": text.upper()}

    with (
        MapNode(name="words", inputs={"text": Each(["good", "bad"])}) as graph,
        GraphNode(name="one", inputs={"text": PARENT["text"]}, outputs={"*": PARENT}),
    ):
        loud = CodeNode(name="shout", code_fn=shout, inputs={"text": PARENT["text"]})
        ask = LLMNode(name="ask", resource_key="small", inputs={"messages": loud["loud"]})
        START >> loud >> ask
        ask["content"] >> PARENT["answer"]
    hub = ResourceHub({"llm:small": {"type": "scripted", "model": "small", "llm": ScriptedLLM("Yes.")}})
    tracer = OTelTracer(server.endpoint)
    Hush(graph, resources=hub).run_sync(inputs={}, tracer=tracer, session_id="s-2")
    assert tracer.flush(30.0)
    exported = tracer.counts.exported
    assert exported == tracer.counts.produced
    found = [one for one in server.spans(len(ALL) + exported) if one["attributes"]["session.id"] == "s-2"]
    assert len(found) == exported
    by_id = {one["context"]["span_id"]: one for one in found}
    (asked,) = (one for one in found if one["span_kind"] == "LLM")
    path = [asked["name"]]
    while asked["parent_id"] is not None:
        asked = by_id[asked["parent_id"]]
        path.append(asked["name"])
    assert path[0] == "chat small"
    assert path[-1] == "words"
    (failed,) = (one for one in found if one["name"] == "shout" and one["status_code"] == "ERROR")
    assert failed["status_message"] == "ValueError: not this one"
    tracer._pipeline.close(5.0)
