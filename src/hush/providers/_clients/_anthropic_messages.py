"""Messages in OpenAI's form as turns of Anthropic's, in which user and assistant alternate.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hush.providers._clients._anthropic_blocks import input_of, unaltered
from hush.providers._clients._lenient import as_list, as_mapping, as_text, as_word
from hush.providers._model import BLOCKS, Message

Block = dict[str, Any]

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*)(;base64)?,", re.IGNORECASE)


class Untranslatable(Exception):
    """What has no meaning to Anthropic; its text says what, and what to write."""


def conversation(messages: Sequence[Message]) -> tuple[str | list[Block], list[dict[str, Any]]]:
    """What the system says, from wherever it stands, and the turns.

    Results of tools belong to the user's turn that follows the calls. Neighbours of one role are one turn.
    """
    system: list[Block] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(message.get("content"))
        elif role in ("tool", "function"):
            _add(turns, "user", [_result(message)])
        elif role == "assistant":
            content, kept = message.get("content"), message.get(BLOCKS)
            blocks = [*_blocks(content), *_uses(message)]
            _add(turns, "assistant", unaltered(kept, content, blocks) if isinstance(kept, list | tuple) else blocks)
        elif role == "user":
            _add(turns, "user", _blocks(message.get("content")))
        else:
            raise Untranslatable(f"a message has the role {role!r}, which is none of system, user, assistant and tool.")
    for turn in turns:
        blocks = turn["content"]
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            turn["content"] = blocks[0]["text"]
    if all(block.keys() == {"type", "text"} for block in system):
        return "\n\n".join(block["text"] for block in system), turns
    return system, turns


def _add(turns: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks or role == "user":
        turns.append({"role": role, "content": blocks})


def _blocks(content: Any) -> list[Block]:
    """The parts of a content. Texts that are empty are left out, since they are refused."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list | tuple):
        raise Untranslatable(f"a message has a content that is neither text nor a list of parts: {content!r}")
    return [block for part in content if (block := _block(part)) is not None]


def _block(part: Any) -> Block | None:
    if isinstance(part, str):
        return {"type": "text", "text": part} if part else None
    if not isinstance(part, Mapping):
        raise Untranslatable(f"a part of a message is neither text nor a mapping: {part!r}")
    kind = part.get("type")
    kept = {name: part[name] for name in ("cache_control", "citations", "title", "context") if name in part}
    if kind == "text":
        return {"type": "text", "text": part.get("text", ""), **kept} if part.get("text") else None
    if kind == "refusal":
        return {"type": "text", "text": as_text(part.get("refusal"))}
    if kind == "image_url":
        image = part.get("image_url")
        return {
            "type": "image",
            "source": _source(image if isinstance(image, str) else as_mapping(image).get("url")),
            **kept,
        }
    if kind == "file":
        return _document(as_mapping(part.get("file")), kept)
    if kind in ("input_audio", "audio", "video_url"):
        raise Untranslatable(f"a message has a part of type {kind!r}, which Anthropic does not take.")
    return dict(part)  # Anthropic's own: image, document, thinking with its signature, ...


def _source(url: Any) -> Block:
    if not isinstance(url, str) or not url:
        raise Untranslatable("a part of type 'image_url' has no url.")
    head = _DATA.match(url)
    if head is None:
        return {"type": "url", "url": url}
    if head[3] is None:
        raise Untranslatable("a data: URL is not in base64.")
    return {"type": "base64", "media_type": (head[1] or "image/png").lower(), "data": url[head.end() :]}


def _document(file: Mapping[str, Any], kept: Block) -> Block:
    name = as_word(file.get("filename"))
    if name is not None:
        kept.setdefault("title", name)
    file_id, data = as_word(file.get("file_id")), as_word(file.get("file_data"))
    if data is None:
        if file_id is None:
            raise Untranslatable("a part of type 'file' has neither file_data nor file_id.")
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **kept}
    source = _source(data) if data.startswith(("data:", "http:", "https:")) else None
    if source is None:
        source = {"type": "base64", "media_type": "application/pdf", "data": data}
    elif source["type"] == "base64" and source["media_type"].startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _decoded(source["data"])}
    elif source["type"] == "base64" and source["media_type"].startswith("image/"):
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, **kept}


def _decoded(data: str) -> str:
    from base64 import b64decode

    try:
        return b64decode(data).decode()
    except ValueError:
        raise Untranslatable("a file of text is not UTF-8 in base64.") from None


def _result(message: Message) -> Block:
    content = message.get("content")
    blocks = _blocks(content)
    found: Block = {"type": "tool_result", "tool_use_id": message.get("tool_call_id", "")}
    if blocks:
        found["content"] = content if isinstance(content, str) else blocks
    if message.get("is_error"):
        found["is_error"] = True
    return found


def _uses(message: Message) -> list[Block]:
    found: list[Block] = []
    for call in as_list(list(message.get("tool_calls") or ())):
        function = as_mapping(as_mapping(call).get("function")) or as_mapping(call)
        found.append(
            {
                "type": "tool_use",
                "id": as_mapping(call).get("id", ""),
                "name": function.get("name", ""),
                "input": input_of(function.get("arguments")),
            }
        )
    return found
