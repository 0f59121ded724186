"""The words of Anthropic's Messages API: requests read, and bodies, events, errors and headers written.

https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/messages-streaming and
https://docs.anthropic.com/en/api/rate-limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hush.testing._scripted._exchange import Exchange, Refusal
from hush.testing._scripted._limits import Standing
from hush.testing._scripted._reply import ToolCall
from hush.testing._scripted._steps import CHUNK, CLOSING, OPENING, Event
from hush.testing._scripted._tokens import tokens_of

_STOPPED = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SIGNATURE = "c2lnbmVkIG9uIG9yZGVy"
_CUT = 16  # characters of arguments and thinking in an event


# --- requests ---------------------------------------------------------------------------------------------------------
def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request in the words of OpenAI's chat completions, for rules and for counting."""
    chat = dict(body)
    messages: list[Any] = []
    if body.get("system") is not None:
        messages.append({"role": "system", "content": body["system"]})
    given = body.get("messages")
    for message in given if isinstance(given, list) else ():
        messages += _messages_of(message)
    chat["messages"] = messages if messages or given is None else given
    tools = body.get("tools")
    if isinstance(tools, list):
        chat["tools"] = [_tool(each) for each in tools if isinstance(each, Mapping)]
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        named = {"type": "function", "function": {"name": choice.get("name")}}
        chat["tool_choice"] = {"any": "required", "tool": named, "none": "none"}.get(str(choice.get("type")), "auto")
    config = body.get("output_config")
    format_ = config.get("format") if isinstance(config, Mapping) else body.get("output_format")
    if isinstance(format_, Mapping) and format_.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": {"schema": format_.get("schema")}}
    return chat


def _tool(given: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": given.get("name"), "description": given.get("description")}
    return {"type": "function", "function": {**function, "parameters": given.get("input_schema")}}


def _messages_of(message: Any) -> list[Any]:
    """One message; results of tools become messages of their own, as OpenAI has them."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return [message]
    made: list[Any] = []
    parts: list[Any] = []
    calls: list[Any] = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "tool_result":
            made.append({"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": part.get("content")})
        elif kind == "tool_use":
            arguments = json.dumps(part.get("input"), ensure_ascii=False)
            function = {"name": part.get("name"), "arguments": arguments}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        else:
            parts.append(part)
    if parts or calls:
        made.append({**message, "content": parts or None, **({"tool_calls": calls} if calls else {})})
    return made


# --- answers ----------------------------------------------------------------------------------------------------------
def message_of(exchange: Exchange) -> dict[str, Any]:
    """The body of an answer."""
    reply = exchange.reply
    assert reply is not None
    content: list[dict[str, Any]] = []
    if "empty_choices" not in exchange.bends:
        if reply.thinking is not None:
            content.append({"type": "thinking", "thinking": reply.thinking, "signature": _SIGNATURE})
        text = reply.text() if reply.refusal is None else (reply.text() or "") + reply.refusal
        if text:
            content.append({"type": "text", "text": text})
        for place, call in enumerate(reply.tool_calls):
            content.append(_tool_use(exchange, place, call, _input_of(call)))
    return {**_envelope(exchange), "content": content, "stop_reason": _stopped(exchange), **_usage(exchange)}


def events_of(exchange: Exchange) -> list[Event]:
    """The events of a whole stream."""
    reply, usage = exchange.reply, exchange.usage
    assert reply is not None
    assert usage is not None
    start = {**_envelope(exchange), "content": [], "stop_reason": None, **_usage(exchange, output=1)}
    events = [_event(OPENING, "message_start", message=start), _event(OPENING, "ping")]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if "empty_choices" not in exchange.bends:
        if reply.thinking is not None:
            thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(reply.thinking)]
            signed = {"type": "signature_delta", "signature": _SIGNATURE}
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]))
        pieces = [*exchange.pieces, *([reply.refusal] if reply.refusal else [])]
        if pieces:
            texts = [{"type": "text_delta", "text": piece} for piece in pieces]
            blocks.append(({"type": "text", "text": ""}, texts))
        for place, call in enumerate(reply.tool_calls):
            parts = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_cut(call.text())]]
            blocks.append((_tool_use(exchange, place, call, {}), parts))
    for index, (block, deltas) in enumerate(blocks):
        events.append(_event(CHUNK if index else OPENING, "content_block_start", index=index, content_block=block))
        for delta in deltas:
            brought = tokens_of(str(delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""))
            events.append(_event(CHUNK, "content_block_delta", brought, index=index, delta=delta))
        events.append(_event(CHUNK if index < len(blocks) - 1 else CLOSING, "content_block_stop", index=index))
    ended = {"stop_reason": _stopped(exchange), "stop_sequence": None}
    counted: dict[str, Any] = {"usage": {"output_tokens": usage.completion_tokens}}
    if "no_usage" in exchange.bends:
        counted = {}
    events.append(_event(CLOSING, "message_delta", delta=ended, **counted))
    if "no_done" not in exchange.bends:
        events.append(_event(CLOSING, "message_stop"))
    return events


def error_event(exchange: Exchange) -> Event:
    """An error in the middle of a stream."""
    return Event(CHUNK, "error", error_in_200(exchange))


def error_in_200(exchange: Exchange) -> Any:
    """A body that is an error although the status is 200."""
    error = exchange.error()
    return error_body(error, exchange) if error.body is None else error.body


def error_body(refusal: Refusal, exchange: Exchange | None = None) -> Any:
    """The body of an error."""
    if refusal.body is not None:
        return refusal.body
    type_ = _TYPES.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    body: dict[str, Any] = {"type": "error", "error": {"type": type_, "message": refusal.message}}
    if exchange is not None:
        body["request_id"] = f"req_{exchange.name}"
    return body


def limit_headers(standing: Standing, wall_s: float) -> dict[str, str]:
    """What is left of the limits; a reset is told as a time."""
    headers: dict[str, str] = {}
    for what, each in (("requests", standing.requests), ("tokens", standing.tokens)):
        if each is not None:
            limit, left, reset_s = each
            then = datetime.fromtimestamp(wall_s + reset_s + 0.999, UTC)
            headers[f"anthropic-ratelimit-{what}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{what}-remaining"] = str(left)
            headers[f"anthropic-ratelimit-{what}-reset"] = then.strftime("%Y-%m-%dT%H:%M:%SZ")
    return headers


def _envelope(exchange: Exchange) -> dict[str, Any]:
    reply = exchange.reply
    model = reply.model if reply is not None and reply.model else exchange.request.model
    return {"id": f"msg_{exchange.name}", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}


def _usage(exchange: Exchange, output: int | None = None) -> dict[str, Any]:
    usage = exchange.usage
    if usage is None or "no_usage" in exchange.bends:
        return {}
    told: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens if output is None else output,
    }
    if usage.reasoning_tokens and output is None:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return {"usage": told}


def _stopped(exchange: Exchange) -> str | None:
    reason = exchange.finish_reason
    if exchange.reply is not None and exchange.reply.refusal is not None and reason == "stop":
        return "refusal"
    return None if reason is None else _STOPPED.get(reason, reason)


def _tool_use(exchange: Exchange, place: int, call: ToolCall, given: Any) -> dict[str, Any]:
    name = call.id if call.id is not None else f"toolu_{exchange.name}_{place}"
    return {"type": "tool_use", "id": name, "name": call.name, "input": given}


def _input_of(call: ToolCall) -> Any:
    """Anthropic sends arguments as JSON, not as text: text that is none stands under a key of its own."""
    if not isinstance(call.arguments, str):
        return call.arguments
    try:
        return json.loads(call.arguments)
    except ValueError:
        return {"INVALID_JSON": call.arguments}


def _event(part: str, kind: str, tokens: int = 0, **data: Any) -> Event:
    return Event(part, kind, {"type": kind, **data}, tokens)


def _cut(text: str) -> list[str]:
    return [text[at : at + _CUT] for at in range(0, len(text), _CUT)]
