"""How many tokens a text is, where nothing says it: four characters a token, as OpenAI's rule of thumb has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_CHARACTERS = 4
_OF_A_MESSAGE = 4  # role and separators
_OF_AN_IMAGE = 256


def tokens_of(text: str) -> int:
    """The tokens of a text: its characters by four, rounded up."""
    return -(-len(text) // _CHARACTERS)


def tokens_of_messages(messages: Iterable[Any]) -> int:
    """The tokens of a prompt: those of its texts, four more a message, and 256 for each part that is no text."""
    count = 0
    for message in messages:
        count += _OF_A_MESSAGE
        if not isinstance(message, Mapping):
            continue
        content = message.get("content")
        if isinstance(content, str):
            count += tokens_of(content)
        elif isinstance(content, list):
            for part in content:
                text = part.get("text") if isinstance(part, Mapping) else part
                count += tokens_of(text) if isinstance(text, str) else _OF_AN_IMAGE
        for call in message.get("tool_calls") or ():
            if isinstance(call, Mapping):
                count += tokens_of(str(call.get("function")))
    return count


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts of which the texts count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))
