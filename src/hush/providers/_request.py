"""From the inputs of a node to what is asked: messages looked at, parameters, tools and the schema of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hush.providers._model import BLOCKS, ChatRequest, Message, Reply
from hush.providers._said import said
from hush.providers._structured import Shape, shape_of
from hush.providers._tools import Tool, choice_of, tools_of
from hush.providers.errors import RequestError

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_TOKENS_OF_A_PICTURE = 800
_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMRequest:
    """What one call of a node asks for, with what is needed to read the answer.

    Attributes:
        chat: What is sent.
        shape: What the answer is to be, or ``None`` for text.
        tools: The functions that may be called, by name.
        before: The answers that had to be corrected.
        again: Whether an answer did not fit: then there are messages that were not given.
    """

    chat: ChatRequest
    shape: Shape | None = None
    tools: Mapping[str, Tool]
    before: tuple[Reply, ...] = ()
    again: bool = False

    def key(self) -> dict[str, Any]:
        """What decides on the answer, as plain data."""
        chat = self.chat
        return {
            "messages": [dict(message) for message in chat.messages],
            "tools": [dict(tool) for tool in chat.tools],
            "tool_choice": chat.tool_choice,
            "schema": chat.schema,
            "parameters": dict(chat.parameters),
            "extra": dict(chat.extra),
        }

    def input_tokens(self) -> int:
        """How many tokens are sent, roughly: a token is some four bytes in most scripts."""
        chat = self.chat
        size = sum(_size(message) for message in chat.messages) + sum(_size(tool) for tool in chat.tools)
        return max(1, (size + (0 if chat.schema is None else _size(chat.schema))) // _BYTES_A_TOKEN)

    def corrected(self, reply: Reply, wrong: str) -> LLMRequest:
        """The request that asks to mend ``reply``, in which something is ``wrong``."""
        turns: list[Message] = [said(reply)]
        if reply.tool_calls:
            turns += [{"role": "tool", "tool_call_id": call.id, "content": wrong} for call in reply.tool_calls]
        else:
            turns = [{**turns[0], "content": reply.content or "(nothing)"}]
            turns.append({"role": "user", "content": f"{wrong} Answer again, with the corrected JSON only."})
        chat = replace(self.chat, messages=[*self.chat.messages, *turns])
        return replace(self, chat=chat, before=(*self.before, reply), again=True)

    def after_slip(self) -> LLMRequest:
        """The request again, of which the server has looked at the answer by itself and kept it: it did not fit."""
        what = "the calls of tools" if self.tools else "JSON that fits the schema"
        told = {"role": "user", "content": f"Your last answer could not be read. Give it again, with {what} as asked."}
        return replace(self, chat=replace(self.chat, messages=[*self.chat.messages, told]), again=True)


def request_of(
    messages: Any,
    tools: Any,
    tool_choice: Any,
    response_format: Any,
    parameters: Mapping[str, Any],
    extra: Any,
) -> LLMRequest:
    """The request for the inputs of one call. Raises ``RequestError`` for what nobody could be asked."""
    found = tools_of(tools)
    shape = shape_of(response_format)
    given = {name: value for name, value in parameters.items() if value is not None}
    limit = given.pop("max_completion_tokens", None)
    if limit is not None:
        given.setdefault("max_tokens", limit)
    if extra is not None and not isinstance(extra, Mapping):
        raise RequestError(f"extra_body={extra!r} is no mapping of fields of the request.")
    chat = ChatRequest(
        messages=messages_of(messages),
        tools=[tool.definition for tool in found.values()],
        tool_choice=choice_of(tool_choice, found),
        schema=None if shape is None else shape.schema,
        schema_name="answer" if shape is None else shape.name,
        parameters=given,
        extra={} if extra is None else dict(extra),
    )
    return LLMRequest(chat=chat, shape=shape, tools=found)


def messages_of(given: Any) -> list[Message]:
    """The messages, looked at: text alone is one of the user's."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if isinstance(given, Mapping) or not isinstance(given, Sequence) or isinstance(given, bytes):
        kind = type(given).__name__
        raise RequestError(
            f'messages= is {kind}, not a list of messages: [{{"role": "user", "content": "..."}}]. A PromptNode makes '
            'one: inputs={"messages": prompt["messages"]}.'
        )
    if not given:
        raise RequestError("messages= is an empty list: there is nothing to answer.")
    for number, message in enumerate(given):
        _check(number, message)
    return list(given)


def _check(number: int, message: Any) -> None:
    if not isinstance(message, Mapping):
        raise RequestError(f"messages[{number}] is {type(message).__name__}, not a mapping with role and content.")
    role = message.get("role")
    if role not in _ROLES:
        raise RequestError(f"messages[{number}] has the role {role!r}; there are: {', '.join(sorted(_ROLES))}.")
    content = message.get("content")
    if content is None:
        if not (role == "assistant" and (message.get("tool_calls") or message.get("refusal"))):
            raise RequestError(f"messages[{number}], of the role {role}, has no content.")
    elif not isinstance(content, str | list | tuple):
        raise RequestError(
            f"the content of messages[{number}] is {type(content).__name__}, not text or a list of parts."
        )


def rough_tokens(text: str) -> int:
    """How many tokens ``text`` may be."""
    return max(1, _size(text) // _BYTES_A_TOKEN)


def _size(value: Any) -> int:
    """How many bytes of text there are in ``value``; a picture counts as what it costs."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, Mapping):
        if value.get("type") in ("image_url", "input_audio", "file"):
            return _TOKENS_OF_A_PICTURE * _BYTES_A_TOKEN
        return _BYTES_A_TOKEN + sum(_size(one) for key, one in value.items() if key not in ("role", BLOCKS))
    if isinstance(value, list | tuple):
        return sum(_size(one) for one in value)
    return _BYTES_A_TOKEN
