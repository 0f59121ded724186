"""The schema of an answer: enforced by the server as far as it can, else asked for in words."""

from __future__ import annotations

import pytest

from hush.providers._clients._schema import narrowed
from hush.providers._model import ChatRequest
from kit.llm_forms import ANTHROPIC, OPENAI
from providers.sending import POINT, USER, body


@pytest.mark.parametrize("mode", ["json_schema", "json_object", "none"])
async def test_a_schema_is_enforced_as_far_as_the_server_can(mode):
    request = ChatRequest(messages=[USER, {"role": "assistant", "content": "{"}], schema=POINT, schema_name="point")
    found = await body(OPENAI, request, schema_mode=mode)
    if mode == "json_schema":
        assert found["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "point", "strict": True, "schema": narrowed(POINT)},
        }
        assert found["messages"] == list(request.messages)
    else:
        assert found.get("response_format") == ({"type": "json_object"} if mode == "json_object" else None)
        assert '"integer"' in found["messages"][0]["content"]
        assert found["messages"][0]["content"].startswith("?")
    assert USER == {"role": "user", "content": "?"}


async def test_any_object_is_asked_for_in_words_too():
    found = await body(OPENAI, ChatRequest(messages=[USER], schema={}))
    assert found["response_format"] == {"type": "json_object"}
    assert "JSON" in found["messages"][0]["content"]
    asked = {"role": "user", "content": [{"type": "text", "text": "Give me json."}]}
    assert (await body(OPENAI, ChatRequest(messages=[asked], schema={})))["messages"] == [asked]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
    ],
)
async def test_a_schema_that_is_too_wide_for_strict_mode_is_sent_as_it_is(schema):
    assert narrowed(schema) is None
    found = await body(OPENAI, ChatRequest(messages=[USER], schema=schema))
    assert found["response_format"]["json_schema"] == {"name": "answer", "schema": schema}


def test_strict_schemas_name_all_their_keys():
    nested = {
        "$defs": {"P": {**POINT}},
        "type": "object",
        "properties": {"ps": {"type": "array", "items": {"$ref": "#/$defs/P", "description": "d"}}},
    }
    point = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["x", "y"],
        "title": "Point",
        "additionalProperties": False,
    }
    assert narrowed(nested) == {
        "$defs": {"P": point},
        "type": "object",
        "properties": {"ps": {"type": "array", "items": {"$ref": "#/$defs/P"}}},
        "required": ["ps"],
        "additionalProperties": False,
    }


async def test_a_schema_is_enforced_by_anthropic_or_stands_in_the_messages():
    request = ChatRequest(messages=[USER], schema=POINT)
    found = (await body(ANTHROPIC, request))["output_config"]["format"]
    assert found["type"] == "json_schema"
    assert found["schema"]["additionalProperties"] is False
    plain = await body(ANTHROPIC, request, schema_mode="none")
    assert "output_config" not in plain
    assert '"integer"' in plain["messages"][0]["content"]
    assert "JSON object" in (await body(ANTHROPIC, ChatRequest(messages=[USER], schema={})))["messages"][0]["content"]
