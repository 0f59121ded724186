"""JSON schemas as servers can enforce them, or as models can read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hush.providers._clients._lenient import as_text, dumps
from hush.providers._model import Message

# What OpenAI's strict mode takes (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).
_ANNOTATIONS = frozenset(("title", "description", "default", "examples"))
_PLAIN = frozenset((
    "type", "enum", "const", "pattern", "format", "multipleOf", "maximum", "exclusiveMaximum", "minimum",
    "exclusiveMinimum", "minItems", "maxItems", "$ref", "required", "additionalProperties",
))  # fmt: skip
_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))
_DEEPEST = 64


def narrowed(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """``schema`` as strict mode wants it: no keys but those it names, and all of them. ``None`` if it cannot be.

    What fits the narrowed schema fits the one that was given.
    """
    if not _is_object(schema) and "$ref" not in schema:
        return None  # the root has to be an object
    try:
        return _narrowed(schema, 0)
    except _TooWideError:
        return None


class _TooWideError(Exception):
    """Something that strict mode does not know."""


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _narrowed(schema: Any, depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        raise _TooWideError
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in ("properties", "$defs", "definitions"):
            if not isinstance(value, Mapping):
                raise _TooWideError
            found[name] = {key: _narrowed(each, depth + 1) for key, each in value.items()}
        elif name == "anyOf" and isinstance(value, Sequence):
            found[name] = [_narrowed(each, depth + 1) for each in value]
        elif name == "items":
            found[name] = _narrowed(value, depth + 1)
        elif name in _PLAIN and (name != "format" or value in _FORMATS):
            found[name] = value
        elif name == "default":
            continue  # all keys have to be there
        elif name in _ANNOTATIONS:
            found[name] = value
        else:
            raise _TooWideError
    if not found.keys() - _ANNOTATIONS:
        raise _TooWideError  # any value at all
    if "$ref" in found:
        # Beside a reference nothing else may stand but definitions.
        return {key: value for key, value in found.items() if key in ("$ref", "$defs", "definitions")}
    if _is_object(found):
        if found.get("additionalProperties", False) is not False or "properties" not in found:
            raise _TooWideError  # a mapping with any keys
        found["additionalProperties"] = False
        found["required"] = list(found["properties"])
    return found


def instructed(messages: Sequence[Message], schema: Mapping[str, Any]) -> Sequence[Message]:
    """The messages with the schema in words, for servers that cannot enforce it: at the end of the user's last one.

    Not as one of the system: many templates of chats refuse it after others, and some refuse it altogether.
    """
    if schema:
        text = f"Answer with one JSON value that fits this JSON schema, and with nothing else:\n{dumps(schema)}"
    elif any("json" in as_text(message.get("content")).lower() for message in messages):
        return messages  # servers want the word to be there, and it is
    else:
        text = "Answer with one JSON object, and with nothing else."
    for number in reversed(range(len(messages))):
        message = messages[number]
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                extended: Any = f"{content}\n\n{text}"
            else:
                extended = [*(content or ()), {"type": "text", "text": text}]
            return [*messages[:number], {**message, "content": extended}, *messages[number + 1 :]]
    return [*messages, {"role": "user", "content": text}]
