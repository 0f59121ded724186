"""Requests in OpenAI's form, as servers take them that speak it (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hush.providers._clients._lenient import as_list, as_mapping, dumps
from hush.providers._clients._schema import instructed, narrowed
from hush.providers._clients._settings import SchemaMode
from hush.providers._clients._thoughts import fields_for, without
from hush.providers._model import BLOCKS, ChatRequest, Message

TOKEN_PARAMETERS = ("max_tokens", "max_completion_tokens")


def body_of(
    request: ChatRequest,
    *,
    model: str,
    schema_mode: SchemaMode,
    token_parameter: str,
    thoughts: frozenset[str] | None = None,
) -> dict[str, Any]:
    """The body of a request.

    Args:
        request: What is asked.
        model: As the server calls it.
        schema_mode: What the server can enforce.
        token_parameter: What a ``max_tokens`` that was given is called.
        thoughts: Which fields of earlier answers that tell what was thought are sent; ``None``: those that servers want
            that have them.
    """
    kept = fields_for(request) if thoughts is None else thoughts
    messages: Sequence[Message] = [without(message_of(message), kept) for message in request.messages]
    parameters = dict(request.parameters)
    if "max_tokens" in parameters and "max_completion_tokens" not in parameters:
        parameters[token_parameter] = parameters.pop("max_tokens")
    body: dict[str, Any] = {"model": model}
    if request.tools:
        body["tools"] = list(request.tools)
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
    if request.schema is not None:
        messages, wanted = _answering(messages, request, schema_mode)
        if wanted is not None:
            body["response_format"] = wanted
    return {**body, "messages": messages, **parameters, **request.extra}


def _answering(
    messages: Sequence[Message], request: ChatRequest, mode: SchemaMode
) -> tuple[Sequence[Message], dict[str, Any] | None]:
    """The messages and the ``response_format`` that make the answer fit the schema, as far as the server can."""
    schema = request.schema
    assert schema is not None
    if mode == "json_schema" and schema:
        strict = narrowed(schema)
        wanted: dict[str, Any] = {"name": request.schema_name, "schema": schema if strict is None else strict}
        if strict is not None:
            wanted["strict"] = True
        return messages, {"type": "json_schema", "json_schema": wanted}
    messages = instructed(messages, schema)
    return messages, None if mode == "none" else {"type": "json_object"}


def message_of(message: Message) -> Message:
    """A message without what nodes give beside OpenAI's form, and without lists of calls that are empty."""
    if BLOCKS in message:
        message = {name: value for name, value in message.items() if name != BLOCKS}
    if "tool_calls" not in message:
        return message
    calls = [_call_of(call) for call in as_list(list(message["tool_calls"] or ()))]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**rest, "tool_calls": calls} if calls else rest


def _call_of(call: Any) -> Any:
    if not isinstance(call, Mapping):
        return call
    function = as_mapping(call.get("function"))
    arguments = function.get("arguments", call.get("arguments", ""))
    rest = {name: value for name, value in call.items() if name not in ("name", "arguments")}
    return {
        "type": "function",
        **rest,
        "function": {
            **function,
            "name": function.get("name", call.get("name", "")),
            "arguments": arguments if isinstance(arguments, str) else dumps(arguments),
        },
    }
