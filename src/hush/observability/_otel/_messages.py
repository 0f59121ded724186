"""What was asked of a language model and answered, in the form of the GenAI conventions.

The form is that of ``gen-ai-input-messages.json`` and ``gen-ai-output-messages.json`` in
https://github.com/open-telemetry/semantic-conventions-genai; our nodes have messages in OpenAI's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hush.observability._span import Span

CUT = "hush.cut"
_FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}
_MEDIA = {"image_url": "image", "input_audio": "audio", "file": "document", "video_url": "video"}


def messages_of(span: Span) -> Any:
    """The messages that a node asked a model with: those that it made, or else those that it read."""
    made = None if span.generation is None else span.generation.messages
    return (span.inputs or {}).get("messages") if made is None else made


def asked(span: Span) -> list[dict[str, Any]] | None:
    """The messages of the request; ``None`` if there are none, or they were cut beyond recognition.

    A list that was cut ends with a text that says so: that is nobody's message, but a part of a kind of its own.
    """
    given = messages_of(span)
    if isinstance(given, str):
        return [{"role": "user", "parts": [_text(given)]}]
    if not isinstance(given, list):
        return None
    found: list[dict[str, Any]] = []
    for one in given:
        if isinstance(one, Mapping):
            found.append(_message(one))
        elif found:
            found[-1]["parts"].append({"type": CUT, "content": str(one)})
    return found or None


def answered(outputs: Mapping[str, Any], finish_reason: str | None) -> list[dict[str, Any]] | None:
    """The message in what a node gave; ``None`` if there is none."""
    content, calls = outputs.get("content"), outputs.get("tool_calls")
    if content is None and not calls:
        return None
    parts: list[dict[str, Any]] = []
    thought = outputs.get("thinking_content")
    if isinstance(thought, str) and thought:
        parts.append({"type": "reasoning", "content": thought})
    parts += _parts(content)
    parts += _calls(calls)
    message = {"role": _role(outputs), "parts": parts}
    if finish_reason is not None:  # the newest version of the form can do without, older ones want it
        message["finish_reason"] = _FINISH_REASONS.get(finish_reason, finish_reason)
    return [message]


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    return role if isinstance(role, str) else "assistant"


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role, content = _role(message), message.get("content")
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [part]}
    found: dict[str, Any] = {"role": role, "parts": [*_parts(content), *_calls(message.get("tool_calls"))]}
    if isinstance(message.get("name"), str):
        found["name"] = message["name"]
    return found


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if not isinstance(content, list):
        return [_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str))]
    return [_part(one) for one in content]


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        return _text(str(part))
    kind = part.get("type")
    if kind == "text":
        return _text(str(part.get("text", "")))
    if kind in _MEDIA:
        return _medium(part, _MEDIA[kind])
    return {**part, "type": str(kind)}


def _medium(part: Mapping[str, Any], modality: str) -> dict[str, Any]:
    held = part.get(part["type"])
    if not isinstance(held, Mapping):
        return {**part}
    url = held.get("url")
    if isinstance(url, str) and not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "uri": url}
    if isinstance(url, str):
        kind, _, content = url.removeprefix("data:").partition(",")
        return {"type": "blob", "modality": modality, "mime_type": kind.partition(";")[0], "content": content}
    if held.get("file_id") is not None:
        return {"type": "file", "modality": modality, "file_id": held["file_id"]}
    return {"type": "blob", "modality": modality, "content": str(held.get("data") or held.get("file_data") or "")}


def _calls(calls: Any) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        return []
    return [_call(one) for one in calls if isinstance(one, Mapping)]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    named: Mapping[str, Any] = function if isinstance(function, Mapping) else call
    arguments = named.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            pass  # cut, or as the model wrote it
    return {"type": "tool_call", "id": call.get("id"), "name": str(named.get("name", "")), "arguments": arguments}
