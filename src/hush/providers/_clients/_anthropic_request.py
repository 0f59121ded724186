"""Requests in OpenAI's form, put into Anthropic's (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hush.providers._clients._anthropic_messages import Untranslatable, conversation
from hush.providers._clients._lenient import as_mapping
from hush.providers._clients._schema import instructed
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatRequest

# What both know under one name, and what Anthropic alone knows.
_SAME = frozenset(("temperature", "top_p", "top_k", "metadata", "service_tier", "thinking", "container"))


def body_of(
    request: ChatRequest, settings: ClientSettings, enforced: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    """The body of a request. ``enforced`` makes a schema one that the server can enforce.

    Raises:
        Untranslatable: If something of it has no meaning there.
    """
    messages = request.messages
    output: dict[str, Any] = {}
    if request.schema is not None:
        if request.schema and settings.schema_mode == "json_schema":
            output["format"] = {"type": "json_schema", "schema": dict(enforced(request.schema))}
        else:
            messages = instructed(messages, request.schema)
    system, turns = conversation(messages)
    body: dict[str, Any] = {"model": settings.model, "max_tokens": settings.max_tokens, "messages": turns}
    if system:
        body["system"] = system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    choice = _choice(request)
    if choice is not None:
        body["tool_choice"] = choice
    _parameters(request.parameters, body, output)
    if output:
        body["output_config"] = output
    return {**body, **request.extra}


def _parameters(given: Mapping[str, Any], body: dict[str, Any], output: dict[str, Any]) -> None:
    unknown: list[str] = []
    for name, value in given.items():
        if name in _SAME:
            body[name] = value
        elif name in ("max_tokens", "max_completion_tokens"):
            body["max_tokens"] = value
        elif name == "stop":
            body["stop_sequences"] = [value] if isinstance(value, str) else list(value)
        elif name == "user":
            body["metadata"] = {"user_id": value, **as_mapping(body.get("metadata"))}
        elif name == "reasoning_effort":
            output["effort"] = value
        elif name == "parallel_tool_calls" or (name == "n" and value == 1):
            continue
        else:
            unknown.append(name)
    if unknown:
        raise Untranslatable(
            f"Anthropic knows no {', '.join(sorted(unknown))}. Leave it out; what Anthropic has of its own goes into "
            "the fields that are sent as they are."
        )


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool  # one of Anthropic's own, such as its search
    found: dict[str, Any] = {
        "name": function.get("name", ""),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    for name in ("description", "strict"):
        if function.get(name):
            found[name] = function[name]
    if "cache_control" in tool:
        found["cache_control"] = tool["cache_control"]
    return found


def _choice(request: ChatRequest) -> dict[str, Any] | None:
    choice = request.tool_choice
    found: dict[str, Any] | None
    if choice is None or not request.tools:
        found = None
    elif isinstance(choice, Mapping):
        function = choice.get("function")
        found = {"type": "tool", "name": function.get("name")} if isinstance(function, Mapping) else dict(choice)
    elif choice in ("auto", "none"):
        found = {"type": choice}
    elif choice in ("required", "any"):
        found = {"type": "any"}
    else:
        raise Untranslatable(f"tool_choice={choice!r} is none of auto, none, required and a function.")
    if request.tools and request.parameters.get("parallel_tool_calls") is False:
        found = found or {"type": "auto"}
        if found["type"] != "none":
            found["disable_parallel_tool_use"] = True
    return found
