"""What spans say of themselves to any collector: OpenTelemetry's conventions, those of GenAI, and our own."""

from __future__ import annotations

import json

import pytest

from hush.observability._otel._conventions import conventional, model_of, provider_of
from hush.observability._otel._convert import events, has_failed
from hush.observability._otel._text import stacktrace
from hush.observability._span import Generation
from kit.span_records import (
    ALL,
    CAUSE,
    EMBEDDING,
    FAILED,
    FAILURE,
    HANDLED,
    ITEM,
    LLM,
    MAP,
    MESSAGES,
    RUN,
    SKIPPED,
    at,
    run_record,
    span,
)

OF_RUN = {"hush.request_id": "req-1", "user.id": "ann", "session.id": "s-1"}


def described(one):
    return conventional(one, run_record())


def happened(one):
    return [(event.name, event.timestamp, dict(event.attributes or {})) for event in events(one)]


def test_a_language_model():
    name, found, call = described(LLM)
    assert name == "chat gpt-4o-mini"
    assert call
    messages, answer = json.loads(found.pop("gen_ai.input.messages")), json.loads(found.pop("gen_ai.output.messages"))
    assert json.loads(found.pop("input.value")) == {"messages": MESSAGES, "temperature": 0.2}
    assert json.loads(found.pop("output.value"))["content"] == "A cat."
    assert found == OF_RUN | {
        "hush.kind": "llm",
        "hush.status": "ok",
        "hush.path": "each/ask",
        "hush.node": "ask",
        "hush.item": 7,
        "hush.items": (7,),
        "hush.ready_s": 0.001,
        "hush.waited_s": 0.0001,
        "hush.attempts": 2,
        "hush.retry_s": 0.5,
        "hush.tags": ("hard",),
        "hush.resource": "llm:gpt-4",
        "hush.cost_usd": 0.0012,
        "hush.request.verbosity": "low",
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stream": True,
        "server.address": "api.example.com",
        "server.port": 443,
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.0001,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "input.mime_type": "application/json",
        "output.mime_type": "application/json",
    }
    assert messages == [
        {"role": "system", "parts": [{"type": "text", "content": "Be short."}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is it?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
    ]
    assert answer == [{"role": "assistant", "parts": [{"type": "text", "content": "A cat."}], "finish_reason": "stop"}]
    limits = {"hush.limits": ("llm:gpt-4",), "hush.attempt": 1}
    assert happened(LLM) == [
        ("hush.limit.queued", at(4), limits),
        ("hush.limit.admitted", at(4.1), limits),
        ("hush.called", at(4.2), {}),
        ("hush.first_chunk", at(4.3), {}),
        ("hush.limit.released", at(4.4), limits),
    ]


def test_a_model_of_vectors():
    name, found, call = described(EMBEDDING)
    assert name == "embeddings text-embedding-3-small"
    assert call
    assert found["gen_ai.operation.name"] == "embeddings"
    assert found["gen_ai.usage.input_tokens"] == 4
    assert found["openinference.span.kind"] == "EMBEDDING"
    assert "gen_ai.input.messages" not in found


def test_a_failure_is_an_event_and_the_status():
    name, found, call = described(FAILED)
    assert (name, call) == ("buy", False)
    assert found["error.type"] == "shop.errors.Sold"
    assert found["openinference.span.kind"] == "CHAIN"
    ((event, instant, said),) = happened(FAILED)
    assert (event, instant) == ("exception", FAILED.ended_ns)
    assert said["exception.type"] == "shop.errors.Sold"
    assert said["exception.message"] == "sold out"
    assert said["exception.stacktrace"].splitlines() == [
        "Traceback (most recent call last):",
        '  File "db.py", line 9, in read',
        "OSError: connection reset",
        "",
        "The above led to:",
        "",
        "Traceback (most recent call last):",
        '  File "shop.py", line 3, in buy',
        "shop.errors.Sold: sold out",
        "try later",
    ]


def test_a_handled_failure_is_an_event_without_the_status():
    _, found, _ = described(HANDLED)
    assert "error.type" not in found
    assert found["hush.status"] == "handled"
    assert [name for name, _, _ in happened(HANDLED)] == ["hush.rerouted", "exception"]
    assert happened(HANDLED)[0][2] == {
        "hush.resource": "llm:a",
        "exception.type": CAUSE.type,
        "exception.message": CAUSE.message,
    }


def test_items_maps_and_what_was_skipped():
    assert described(ITEM)[1]["hush.key"] == "sku-7"
    counts = {name: value for name, value in described(MAP)[1].items() if name.startswith("hush.map.")}
    assert counts == {"hush.map.done": 10, "hush.map.failed": 1, "hush.map.left_out": 3, "hush.map.total": 10}
    assert described(SKIPPED)[1]["hush.status"] == "skipped"


def test_the_run_has_the_exact_totals():
    name, found, _ = described(RUN)
    assert name == "shop"
    assert found["hush.tags"] == ("nightly", "eu")
    assert (found["hush.run.left_out"], found["hush.run.dropped"]) == (3, 0)
    assert [(one["path"], one["calls"]) for one in json.loads(found["hush.run.totals"])] == [("ask", 4), ("load", 1)]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_span_of_a_run_that_nothing_is_known_of_is_described_too(one):
    assert not {"user.id", "hush.request_id"} & conventional(one, None).attributes.keys()


def test_an_attempt_says_which_it_is_and_a_model_is_told_of_only_once():
    attempt = span(9, 4, kind="attempt", name="attempt 2", attempt=2, status="failed", failure=FAILURE)
    name, found, call = described(attempt)
    assert (name, found["hush.attempt"], call) == ("attempt 2", 2, False)
    assert not [key for key in found if key.startswith("gen_ai.")]


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


HI, MORE = {"type": "text", "content": "hi"}, {"type": "hush.cut", "content": "… 3 more"}
IMAGE, DATA = "https://x.org/a.png", "data:image/png;base64,AA=="
CUT = {"id": "c", "name": "f", "arguments": "{cut"}


@pytest.mark.parametrize(
    ("messages", "parts"),
    [
        ("hi", [[HI]]),
        ([{"role": "user", "content": "hi"}, "… 3 more"], [[HI, MORE]]),
        (
            user({"type": "image_url", "image_url": {"url": IMAGE}}),
            [[{"type": "uri", "modality": "image", "uri": IMAGE}]],
        ),
        (
            user({"type": "image_url", "image_url": {"url": DATA}}),
            [[{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA=="}]],
        ),
        (
            user({"type": "file", "file": {"file_id": "f"}}),
            [[{"type": "file", "modality": "document", "file_id": "f"}]],
        ),
        (user("hi", {"type": "new", "x": 1}), [[HI, {"type": "new", "x": 1}]]),
        ([{"content": {"odd": 1}}], [[{"type": "text", "content": '{"odd": 1}'}]]),
        ([{"role": "assistant", "tool_calls": [CUT]}], [[{"type": "tool_call", **CUT}]]),
    ],
)
def test_messages_of_every_form(messages, parts):
    found = described(LLM._replace(inputs={"messages": messages})).attributes
    assert [one["parts"] for one in json.loads(found["gen_ai.input.messages"])] == parts


@pytest.mark.parametrize("messages", ["<list>", [], None, 3, {"cut": True}, ["<dict>", "<dict>"]])
def test_what_is_no_list_of_messages_is_shown_as_it_is(messages):
    found = described(LLM._replace(inputs={"messages": messages})).attributes
    assert json.loads(found["input.value"]) == {"messages": messages}
    if not isinstance(messages, str):
        assert "gen_ai.input.messages" not in found


def test_without_values_nothing_of_them_is_sent():
    found = described(LLM._replace(inputs=None, outputs=None)).attributes
    assert not {"input.value", "output.value", "gen_ai.input.messages", "gen_ai.output.messages"} & found.keys()


def test_messages_that_a_node_has_made_go_before_what_it_read():
    made = Generation("m", "llm:m", messages=[{"role": "system", "content": "hi"}])
    found = described(LLM._replace(inputs={"messages": "of its template"}, generation=made)).attributes
    assert json.loads(found["gen_ai.input.messages"]) == [{"role": "system", "parts": [HI]}]


@pytest.mark.parametrize(("reason", "said"), [("tool_calls", "tool_call"), ("length", "length"), (None, None)])
def test_why_an_answer_ended_is_in_the_words_of_the_conventions_and_never_made_up(reason, said):
    found = described(LLM._replace(generation=Generation("m", "llm:m", finish_reason=reason))).attributes
    (message,) = json.loads(found["gen_ai.output.messages"])
    assert message.get("finish_reason") == said
    assert found.get("gen_ai.response.finish_reasons") == (None if reason is None else (reason,))


@pytest.mark.parametrize("status", ["failed", "handled", "crashed"])
def test_a_call_of_a_model_that_failed_is_an_error_though_the_graph_handles_it(status):
    asked = Generation(resource="llm:o", requested="gpt-4o-mini", provider="openai")
    one = LLM._replace(status=status, failure=FAILURE, outputs=None, generation=asked)
    name, found, call = described(one)
    assert (name, call) == ("chat gpt-4o-mini", True)
    assert (found["gen_ai.request.model"], found["gen_ai.provider.name"]) == ("gpt-4o-mini", "openai")
    assert found["error.type"] == FAILURE.type
    assert has_failed(one, call=True)
    assert has_failed(one, call=False) is (status != "handled")


def test_what_no_wire_can_hold_is_replaced_wherever_it_stands():
    broken = Generation("m\ud800", "llm:\ud800", finish_reason="\ud800", requested="\ud800", provider="\ud800")
    broken = broken._replace(server="\ud800", response_id="\ud800")
    for value in described(LLM._replace(generation=broken)).attributes.values():
        assert str(value).isascii() or "\ud800" not in str(value)


@pytest.mark.parametrize(
    ("server", "address", "port"),
    [("[::1]:8080", "::1", 8080), ("far", "far", None), ("far:away", "far:away", None), ("a:123456", "a:123456", None)],
)
def test_who_was_asked(server, address, port):
    found = described(LLM._replace(generation=Generation("m", "llm:m", server=server))).attributes
    assert (found["server.address"], found.get("server.port")) == (address, port)


def test_stops_and_odd_parameters():
    given = {"stop": ["a", "b"], "max_completion_tokens": 5, "seed": 2**70, "top_k": 3, "user": "ann"}
    given |= {"reasoning_effort": "low", "response_format": "json_schema"}
    asked = Generation("m", "llm:m", parameters=given)
    found = described(LLM._replace(generation=asked)).attributes
    assert found["gen_ai.request.stop_sequences"] == ("a", "b")
    assert found["gen_ai.request.max_tokens"] == 5
    assert found["gen_ai.request.seed"] == str(2**70)  # whole numbers have 64 bits on the wire
    assert found["gen_ai.request.top_k"] == 3.0
    assert found["hush.request.user"] == "ann"
    assert found["gen_ai.request.reasoning.level"] == "low"
    assert found["gen_ai.output.type"] == "json"


def test_a_form_of_answers_that_nobody_knows_is_shown_as_it_is():
    asked = Generation("m", "llm:m", parameters={"response_format": {"type": "grammar"}, "reasoning_effort": 3})
    found = described(LLM._replace(generation=asked)).attributes
    assert found["hush.request.response_format"] == '{"type": "grammar"}'
    assert found["hush.request.reasoning_effort"] == 3
    assert "gen_ai.output.type" not in found


def test_a_model_that_is_known_by_its_resource_only():
    assert model_of(Generation(resource="llm:gpt-4")) == "gpt-4"
    assert model_of(Generation(model="llm:gpt-4")) == "gpt-4"
    assert model_of(Generation(model="qwen:7b")) == "qwen:7b"
    assert model_of(Generation()) is None
    assert described(LLM._replace(generation=Generation())).name == "ask"


def test_what_asked_nobody_by_itself_has_no_tokens():
    """The sum of an ``EmbeddingNode``, whose requests are spans of their own, and an answer from the cache."""
    total = span(9, kind="embedding", generation=Generation("embedding:small", usage={"input_tokens": 3}, cost=0.1))
    name, found, call = described(total)
    assert (name, call) == ("n9", False)
    assert not [key for key in found if key.startswith("gen_ai.") or "cost" in key]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("openai/gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("models/gemini-2.5-pro", "gcp.gemini"),
        ("my-own", None),
    ],
)
def test_the_provider_is_told_by_the_name_of_the_model_where_it_tells(model, provider):
    assert provider_of(model) == provider


def test_causes_that_have_causes_end():
    failure = FAILURE
    for _ in range(1_000):
        failure = FAILURE._replace(causes=(failure,))
    assert stacktrace(failure).count("sold out") == 11
