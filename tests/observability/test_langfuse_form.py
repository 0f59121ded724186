"""What Langfuse is sent, attribute by attribute against what its own SDK sends for the same run.

``data/langfuse_sdk.json`` was made by ``langfuse_sdk.py``. Three things differ on purpose, and nothing else: metadata
is not JSON within JSON, which the server undoes only for its own SDK; the instant of the first token is not in quotes,
which the server takes both ways; and there is more metadata.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hush.observability._otel._convert import said
from hush.observability._otel._exporter import OTLPExporter, resource_of
from hush.observability._otel._langfuse_form import LangfuseForm, usage_details
from hush.observability._otel._project import Project, endpoint_to
from hush.observability._otel._text import stacktrace
from hush.observability._span import Batch, Generation, Wait
from kit.otlp_receiver import otlp_receiver
from kit.span_records import CAUSE, EMBEDDING, FAILED, FAILURE, HANDLED, LLM, MAP, RUN, SKIPPED, at, run_record, span

THEIRS = json.loads((Path(__file__).parent / "data" / "langfuse_sdk.json").read_text())
JSON = {"input", "output", "model.parameters", "usage_details", "cost_details"}
META = "langfuse.observation.metadata."


@pytest.fixture(scope="module")
def sent():
    """What our exporter sends for the same run, and how."""
    with otlp_receiver() as receiver:
        host = receiver.url.removesuffix("/v1/traces")
        to = endpoint_to(Project("pk-lf-planted", "sk-lf-planted", host))
        form = LangfuseForm("staging", "1.2.3")
        of_all = (("langfuse.environment", "staging"), ("langfuse.release", "1.2.3"))
        exporter = OTLPExporter(to, form, resource_of(None, of_all))
        pay = HANDLED._replace(rerouted=())
        exporter.export(Batch(ended=(LLM, EMBEDDING, FAILED, pay, RUN._replace(status="ok")), runs=(run_record(),)))
        exporter.close()
        yield receiver


def ours(receiver, name):
    (got,) = (one for one in receiver.spans if one.name == name)
    return got


def test_it_goes_where_theirs_goes_with_the_same_headers(sent):
    (asked,) = sent.asked
    assert asked.path == THEIRS["path"]
    for name, value in THEIRS["headers"].items():
        if not name.startswith("x-langfuse-sdk-"):  # we are not their SDK
            assert asked.headers[name] == value
    assert not [name for name in asked.headers if name.startswith("x-langfuse-sdk-")]


def test_the_resource_is_the_same(sent):
    mine = sent.spans[0].resource
    for name, value in THEIRS["resource"].items():
        assert mine[name] == value or name == "service.name"


@pytest.mark.parametrize("name", sorted(THEIRS["spans"]))
def test_each_span_has_the_attributes_that_theirs_has(sent, name):
    theirs, got = THEIRS["spans"][name], ours(sent, name)
    assert (got.kind, got.status, got.message) == (theirs["kind"], theirs["status"], theirs["message"])
    for key, value in theirs["attributes"].items():
        mine = got.attributes[key]
        if ".metadata." in key or key.endswith("completion_start_time"):
            assert mine == json.loads(value), key
        elif key.removeprefix("langfuse.observation.") in JSON:
            assert json.loads(mine) == json.loads(value), key
        else:
            assert mine == value, key


@pytest.mark.parametrize("name", sorted(THEIRS["spans"]))
def test_each_span_has_no_more_than_metadata_besides(sent, name):
    more = ours(sent, name).attributes.keys() - THEIRS["spans"][name]["attributes"].keys()
    assert all(key.startswith(META) for key in more), more


def test_what_is_the_traces_stands_on_every_span(sent):
    assert len(sent.spans) == 5
    for got in sent.spans:
        assert got.attributes["langfuse.trace.name"] == "shop"
        assert got.attributes["user.id"] == "ann"
        assert got.attributes["session.id"] == "s-1"
        assert got.attributes["langfuse.trace.tags"] == ["nightly", "eu"]
        assert got.attributes["langfuse.trace.metadata.request_id"] == "req-1"


def test_of_many_tags_each_span_tells_the_first():
    """Of a map whose items have one each, every span had thousands, and a trace took minutes to send."""
    tags = ("nightly", *map(str, range(5_000)))
    assert described(LLM, run_record(tags=tags))["langfuse.trace.tags"] == tags[:100]


def test_the_failure_is_an_event_too(sent):
    assert ours(sent, "buy").event("exception")["exception.type"] == "shop.errors.Sold"


def described(one, run=None):
    return LangfuseForm()(one, run).attributes


def test_metadata_is_text_and_numbers_and_the_rest_is_json():
    found = {key.removeprefix(META): value for key, value in described(LLM).items() if key.startswith(META)}
    assert found == {
        "kind": "llm",
        "status": "ok",
        "path": "each/ask",
        "node": "ask",
        "item": 7,
        "items": "[7]",
        "ready_s": 0.001,
        "waited_s": 0.0001,
        "attempts": 2,
        "retry_s": 0.5,
        "tags": '["hard"]',
        "resource": "llm:gpt-4",
        "finish_reason": "stop",
        "response_id": "chatcmpl-1",
        "waits": '[{"limits": ["llm:gpt-4"], "attempt": 1, "waited_s": 0.0001, "held_s": 0.0003}]',
    }
    assert described(MAP)[META + "map.failed"] == 1


@pytest.mark.parametrize(
    ("one", "level"),
    [
        (FAILED, "ERROR"),
        (HANDLED, "WARNING"),
        (MAP, "WARNING"),
        (SKIPPED, "DEBUG"),
        (span(9, status="cancelled"), "WARNING"),
    ],
)
def test_levels(one, level):
    assert described(one)["langfuse.observation.level"] == level
    assert described(one)["langfuse.observation.status_message"]


def test_what_went_well_has_no_level():
    assert not [key for key in described(LLM) if "level" in key or "status_message" in key]


def test_the_counts_of_tokens_add_up():
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    cached = {"cached_tokens": 30, "cache_write_tokens": 10, "reasoning_tokens": 5}
    found = usage_details({**usage, **cached, "prompt_tokens": 100, "completion_tokens": 20, "pages": 2})
    assert found.pop("total") == 120
    assert found.pop("pages") == 2
    assert sum(found.values()) == 120
    assert usage_details({"input_tokens": 3, "cached_tokens": 5})["input"] == 0
    assert usage_details({}) == {}


def test_a_rerank_and_a_model_that_was_not_asked():
    asked = Generation("rerank-v3.5", "rerank:main", {"input_tokens": 3})
    assert described(span(9, kind="rerank", generation=asked))["langfuse.observation.type"] == "retriever"
    assert described(span(9, kind="llm", status="skipped"))["langfuse.observation.type"] == "span"


@pytest.mark.parametrize("kind", ["embedding", "llm"])
def test_what_asked_nobody_by_itself_has_no_tokens(kind):
    """The sum of an ``EmbeddingNode``, whose requests are spans of their own, and an answer from the cache."""
    found = described(span(9, kind=kind, generation=Generation("embedding:small", usage={"input_tokens": 3}, cost=0.1)))
    assert found["langfuse.observation.type"] == "span"
    assert not [key for key in found if "usage" in key or "cost" in key]


def test_what_stands_in_events_elsewhere_is_metadata_for_langfuse_stores_none():
    waits = (Wait(("crm",), at(1), at(3), at(7), 1), Wait(("crm",), at(8), None, None, 2))
    one = FAILED._replace(failure=FAILURE, rerouted=(("llm:one", CAUSE),), waits=waits)
    found = {name.removeprefix(META): value for name, value in described(one).items() if name.startswith(META)}
    assert found["stacktrace"] == stacktrace(FAILURE)
    assert all(text in found["stacktrace"] for text in (FAILURE.message, CAUSE.message, *FAILURE.notes))
    assert json.loads(found["rerouted"]) == [{"resource": "llm:one", "error": said(CAUSE)}]
    first, second = json.loads(found["waits"])
    assert first == {"limits": ["crm"], "attempt": 1, "waited_s": 0.002, "held_s": 0.004}
    assert (second["waited_s"], second["held_s"]) == (None, None)
    deep = described(FAILED._replace(failure=FAILURE._replace(path="shop/m/deep")))
    assert deep[f"{META}failed_path"] == "shop/m/deep"
    assert not {"stacktrace", "rerouted", "waits", "failed_path"} & {
        name.removeprefix(META) for name in described(LLM._replace(failure=None, rerouted=(), waits=()))
    }


def test_a_conversation_with_tools_keeps_them():
    inputs = {"messages": [], "tools": [{"type": "function"}]}
    found = described(LLM._replace(inputs=inputs, outputs={"content": "", "tool_calls": [1]}))
    assert json.loads(found["langfuse.observation.input"]) == inputs
    assert json.loads(found["langfuse.observation.output"]) == {"role": "assistant", "content": "", "tool_calls": [1]}
