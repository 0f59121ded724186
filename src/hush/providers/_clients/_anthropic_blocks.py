"""The blocks of an answer of Anthropic's, kept so that they can be sent back as they came.

What a model thought is signed; while it calls tools, a request that does not give the thinking back unaltered, in its
place, is refused (https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hush.providers._clients._assembly import Call
from hush.providers._clients._lenient import Joined, as_text, dumps, loads
from hush.providers._model import BLOCK_KINDS, THOUGHTS

_TEXTS = ("text", "thinking", "signature")


class Blocks:
    """Those of one answer, in order."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._texts: list[dict[str, Joined]] = []
        self._calls: dict[int, Call] = {}
        self._at: dict[int, int] = {}  # by the server's index

    def begin(self, index: int, block: Mapping[str, Any], call: Call | None = None) -> None:
        """A block begins, or is here whole."""
        self._at.pop(index, None)
        if block.get("type") not in BLOCK_KINDS:
            return
        at = self._at[index] = len(self._blocks)
        self._blocks.append(dict(block))
        self._texts.append({})
        if call is not None:
            self._calls[at] = call
        for name in _TEXTS:
            self.add(index, name, block.get(name))

    def add(self, index: int, name: str, text: Any) -> None:
        """Take a part of a text of a block."""
        if index in self._at and isinstance(text, str):
            self._texts[self._at[index]].setdefault(name, Joined()).add(text)

    def whole(self) -> list[dict[str, Any]]:
        """What is to be sent back; nothing if the model did not think: the text and the calls then say it all."""
        found: list[dict[str, Any]] = []
        for at, (block, texts) in enumerate(zip(self._blocks, self._texts, strict=True)):
            for text in texts.values():
                text.end()
            whole = {**block, **{name: str(text) for name, text in texts.items()}}
            if at in self._calls:
                call = self._calls[at]
                whole |= {"id": call.id, "name": call.name, "input": input_of(str(call.arguments))}
            if whole["type"] == "text":
                if not whole.get("text"):
                    continue  # it would be refused
                whole = {"type": "text", "text": whole["text"]}
            found.append(whole)
        return found if any(block["type"] in THOUGHTS for block in found) else []


def unaltered(kept: Sequence[Any], content: Any, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks to be sent for a message of the assistant with this content, which translated is ``blocks``.

    They are those that were ``kept`` if the message still says the same; else what was thought goes first.
    """
    found = [dict(block) for block in kept if isinstance(block, Mapping)]
    if (content is None or isinstance(content, str)) and _outline(found) == _outline(blocks):
        return found
    return [*(block for block in found if block.get("type") in THOUGHTS), *blocks]


def _outline(blocks: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    calls = [
        [block.get(name) for name in ("id", "name", "input")] for block in blocks if block.get("type") == "tool_use"
    ]
    return "".join(as_text(block.get("text")) for block in blocks if block.get("type") == "text"), calls


def input_of(arguments: Any) -> dict[str, Any]:
    """The arguments of a call as an object, which alone can be sent."""
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except ValueError:
            pass
    if isinstance(arguments, Mapping):
        return dict(arguments)
    # The model's own mistake, which it is to see.
    return {"arguments": arguments if isinstance(arguments, str) else dumps(arguments)} if arguments else {}
