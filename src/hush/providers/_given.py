"""Messages that come with a run: ``conversation_history``, ``tool_results``, and values within a prompt.

They are data: what they say may have been written by anybody. So they are text, or carry what they show with them, as a
``data:`` URL or base64; a part that names something else to be fetched, by URL, path or id, is refused, and nothing in
them is a template. Only a ``File`` stands for a file, and only code can make one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hush.core.extend import nearest
from hush.providers._files import File
from hush.providers._model import BLOCK_KINDS, BLOCKS, DETAILS, REASONING
from hush.providers._text import as_text
from hush.providers.errors import PromptError

ROLES = ("system", "developer", "user", "assistant", "tool")
_OTHER_WORDS = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "function": "tool"}
_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*:")
_ID_KEYS = ("tool_call_id", "id")
_RESULT_KEYS = ("content", "result")


def is_a(value: Any, kind: Any) -> bool:
    """``isinstance``, without asking ``value`` for its class, which may be any object."""
    return issubclass(type(value), kind)


def nearest_role(role: Any, roles: tuple[str, ...]) -> str | None:
    """The role that was most likely meant."""
    meant = _OTHER_WORDS.get(role.lower()) if is_a(role, str) else None
    return meant if meant in roles else nearest(role, roles)


def history_of(value: Any) -> list[dict[str, Any]]:
    """The messages of a ``conversation_history``."""
    return [message_of(one, f"conversation_history[{at}]") for at, one in _listed(value, "conversation_history")]


def results_of(value: Any) -> list[dict[str, Any]]:
    """The messages that ``tool_results`` are."""
    return [_result(one, f"tool_results[{at}]") for at, one in _listed(value, "tool_results")]


def message_of(value: Any, where: str) -> dict[str, Any]:
    """``value`` as a message: a dict of its own, with its keys as they are and its content looked through."""
    if not is_a(value, Mapping):
        more = " Give message.model_dump()." if hasattr(type(value), "model_dump") else ""
        raise PromptError(
            f"{where} is of type {type(value).__name__}. "
            f'A message is a dict: {{"role": "user", "content": "..."}}.{more}'
        )
    message = dict(value)
    role = message.get("role")
    if role not in ROLES:
        near = nearest_role(role, ROLES)
        hint = f" Did you mean {near!r}?" if near else ""
        raise PromptError(f"{where} has the role {_short(role)}; there are: {', '.join(ROLES)}.{hint}")
    content = message.get("content")
    if content is None:
        if role != "assistant" or not (message.get("tool_calls") or message.get("refusal")):
            raise PromptError(f"{where}, of the role {role!r}, has no content")
    else:
        message["content"] = content_of(content, f"the content of {where}")
    if message.get(BLOCKS) is not None:
        message[BLOCKS] = _blocks(message[BLOCKS], f"the {BLOCKS} of {where}")
    if not is_a(message.get(REASONING, ""), str | None):
        raise PromptError(f"the {REASONING} of {where} is of type {type(message[REASONING]).__name__}; it is text")
    if message.get(DETAILS) is not None:
        message[DETAILS] = _details(message[DETAILS], f"the {DETAILS} of {where}")
    if message.get("images") is not None:
        message["images"] = content_of(message["images"], f"the images of {where}")
    if role == "tool" and not is_a(message.get("tool_call_id"), str):
        raise PromptError(f'{where} answers a tool call, and does not say which: "tool_call_id": call["id"]')
    return message


def content_of(value: Any, where: str) -> Any:
    """``value`` as the content of a message: text, or a list of parts."""
    kind = type(value)
    if kind is str:
        return value
    if kind is File:
        return [value.part()]
    if issubclass(kind, (list, tuple)):
        return [_part(one, f"{where}[{at}]") for at, one in enumerate(value)]
    if issubclass(kind, Mapping):
        raise PromptError(f"{where} is a dict. Content is text or a list of parts; for JSON, make it text before")
    return as_text(value, "", where)


def part_of(value: Any, where: str) -> dict[str, Any]:
    """``value`` as one part of a content."""
    kind = type(value)
    if issubclass(kind, Mapping) or kind is File:
        return _part(value, where)
    return {"type": "text", "text": as_text(value, "", where)}


def _blocks(value: Any, where: str) -> list[dict[str, Any]]:
    """What Anthropic gave of an answer: thoughts, texts and calls, none of which names what would be fetched."""
    if not is_a(value, list | tuple):
        raise PromptError(f"{where} are of type {type(value).__name__}; they are a list")
    for at, one in enumerate(value):
        kind = one.get("type") if is_a(one, Mapping) else None
        if not (is_a(kind, str) and kind in BLOCK_KINDS):
            raise PromptError(f"{where}[{at}] is of the type {_short(kind)}; there are: {', '.join(BLOCK_KINDS)}")
    return [dict(one) for one in value]


def _details(value: Any, where: str) -> list[dict[str, Any]]:
    """What OpenRouter gave of the thinking: texts, and what is hidden. Nothing of it names what would be fetched."""
    if not is_a(value, list | tuple):
        raise PromptError(f"{where} are of type {type(value).__name__}; they are a list")
    for at, one in enumerate(value):
        kind: Any = one.get("type") if is_a(one, Mapping) else None
        if not (is_a(kind, str) and kind.startswith("reasoning.")):
            raise PromptError(f"{where}[{at}] is of the type {_short(kind)}; it is reasoning.text or the like")
    return [dict(one) for one in value]


def _part(value: Any, where: str) -> dict[str, Any]:
    kind = type(value)
    if kind is File:
        return value.part()  # type: ignore[no-any-return]
    if issubclass(kind, str):
        return {"type": "text", "text": str.__str__(value)}
    if not issubclass(kind, Mapping):
        raise PromptError(f'{where} is of type {kind.__name__}. A part is text, a File, or a dict with a "type"')
    part = dict(value)
    refused = _refusal(part)
    if refused is not None:
        raise PromptError(
            f"{where} {refused}. In messages that come with a run, parts are text, or carry their data with them as a "
            "data: URL or base64; a file is named in code, by File(path)"
        )
    return part


def _refusal(part: dict[str, Any]) -> str | None:
    """What is wrong with a part that came with a run; ``None`` if it is text, or its data is in it."""
    kind: Any = part.get("type")
    inner: Any = part.get(kind) if is_a(kind, str) else None
    if kind in ("text", "refusal"):
        return None if is_a(inner, str) else f"has no text under {kind!r}"
    table: dict[Any, Any] = dict(inner) if is_a(inner, Mapping) else {}
    if kind == "image_url":
        url = table.get("url") if table else inner
        return None if _is_data(url) else f"names an image by {_kind_of(url)}, which would have to be fetched"
    if kind == "input_audio":
        data: Any = table.get("data")
        return None if is_a(data, str) and ":" not in data else "has no base64 under 'data'"
    if kind == "file":
        named = [key for key in table if key not in ("file_data", "filename")]
        if named:
            return f"names a file by its {_short(named[0])}"
        return None if _is_data(table.get("file_data")) else "has no data: URL under 'file_data'"
    return f"is of the type {kind!r}; there are: text, image_url, input_audio, file"


def _is_data(url: Any) -> bool:
    return is_a(url, str) and url.startswith("data:")


def _kind_of(url: Any) -> str:
    """What ``url`` is, without itself: a signature or a password may be in it."""
    found = _SCHEME.match(url) if is_a(url, str) else None
    return f"a URL of the kind {found[0].lower()}" if found is not None else "what is no data: URL"


def _short(value: Any) -> str:
    text = repr(value) if is_a(value, str | int | None) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"


def _listed(value: Any, name: str) -> list[tuple[int, Any]]:
    if value is None:
        return []
    if not is_a(value, list | tuple):
        more = " Put it into one." if is_a(value, Mapping) else ""
        raise PromptError(f"{name} is of type {type(value).__name__}; it is a list.{more}")
    return list(enumerate(value))


def _result(value: Any, where: str) -> dict[str, Any]:
    if not is_a(value, Mapping) or "role" in value:
        return message_of(value, where)
    table = dict(value)
    ids = [key for key in _ID_KEYS if key in table]
    results = [key for key in _RESULT_KEYS if key in table]
    if len(results) != 1 or not ids:
        raise PromptError(
            f"{where} has the keys {', '.join(map(repr, table)) or 'none'}. "
            'A result is {"tool_call_id": call["id"], "content": ...}, or with "id" and "result"'
        )
    called, result = table[ids[0]], table[results[0]]
    if not is_a(called, str):
        raise PromptError(f"{where} has the {ids[0]} {_short(called)}; the id of a call is text")
    if result is None:
        content: Any = "null"  # a tool that gives nothing has answered all the same
    elif type(result) is File:
        content = [result.part()]
    else:
        content = as_text(result, "", f"{where}[{results[0]!r}]")
    return {"role": "tool", "tool_call_id": called, "content": content}
