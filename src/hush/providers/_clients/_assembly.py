"""An answer that is put together from its parts, the same whether there are many or one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.providers._clients._lenient import NO_JSON, Joined, as_mapping, as_word, dumps, parsed
from hush.providers._clients._limits import hold_s
from hush.providers._clients._media import Media
from hush.providers._clients._thoughts import Thoughts
from hush.providers._model import Kind, OnChunk, Reply, ToolCall, Usage


class Call:
    """A call of a tool that comes in fragments."""

    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = Joined()
        self.extra: dict[str, Any] = {}

    def add_arguments(self, given: Any) -> None:
        """Take a fragment of the JSON; some servers give the value itself."""
        if isinstance(given, str):
            self.arguments.add(given)
        elif given is not None:
            self.arguments.add(dumps(given))

    def is_whole(self) -> bool:
        """Whether its arguments are JSON as they are."""
        return parsed(str(self.arguments)) is not NO_JSON


class Calls:
    """The calls of one answer, in order."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._by_index: dict[int, Call] = {}

    def at(self, index: int | None, call_id: str | None, name: str | None) -> Call:
        """The call that a fragment belongs to.

        By its index, or else by its id. But there are servers that give each call the index 0, and those that give none
        at all: a fragment with a name begins a new call if its id is another one, or if there are no ids and the call
        before it is whole.
        """
        if index is not None:
            call = self._by_index.get(index)
        elif call_id is not None and name is None:
            call = next((each for each in self._calls if each.id == call_id), self._calls[-1] if self._calls else None)
        else:
            call = self._calls[-1] if self._calls else None
        is_other = call is not None and name is not None and call_id is not None and call.id not in ("", call_id)
        if call is not None and call_id is None and name is not None and call.name:
            is_other = index is None or (not call.id and call.is_whole())
        if call is None or is_other:
            call = self.another(None, None)
            if index is not None:
                self._by_index[index] = call
        call.id = call.id or call_id or ""
        call.name = call.name or name or ""
        return call

    def another(self, call_id: str | None, name: str | None) -> Call:
        """A new one, whatever the others are."""
        call = Call()
        call.id, call.name = call_id or "", name or ""
        self._calls.append(call)
        return call

    def __bool__(self) -> bool:
        return bool(self._calls)

    def whole(self) -> tuple[ToolCall, ...]:
        """All of them. Where the server gave no id, their place is it."""
        found: list[ToolCall] = []
        for number, call in enumerate(self._calls):
            call.arguments.end()
            found.append(
                ToolCall(
                    id=call.id or f"call_{number}", name=call.name, arguments=str(call.arguments), extra=call.extra
                )
            )
        return tuple(found)


class Assembly:
    """The parts of a reply. Texts are told as they come if somebody listens.

    Attributes:
        on_chunk: Who listens.
        blocks: The answer as it is to be sent back, for who wants that.
        media: What is no text.
        thoughts: What was thought, as it is to be sent back.
    """

    def __init__(self, on_chunk: OnChunk | None) -> None:
        self.on_chunk = on_chunk
        self.calls = Calls()
        self.finish_reason: str | None = None
        self.role = "assistant"
        self.model = ""
        self.id: str | None = None
        self.logprobs: Any = None
        self.usage: dict[str, int] = {}
        self.blocks: list[dict[str, Any]] = []
        self.media = Media()
        self.thoughts = Thoughts()
        self._texts: dict[Kind, Joined] = {}
        self._untold: list[tuple[str, Kind]] = []

    def add(self, kind: Kind, text: str) -> None:
        """Take a part of a text."""
        if text:
            self._tell(self._texts.setdefault(kind, Joined()).add(text), kind)

    def _tell(self, text: str, kind: Kind) -> None:
        if text and self.on_chunk is not None:
            self._untold.append((text, kind))

    def tell(self) -> None:
        """Tell of what has come since the last time."""
        untold, self._untold = self._untold, []
        if self.on_chunk is not None:
            for text, kind in untold:
                self.on_chunk(text, kind)

    def flush(self) -> None:
        """No more text comes."""
        for kind, text in self._texts.items():
            self._tell(text.end(), kind)

    def named(self, found: Mapping[str, Any]) -> None:
        """Take the id and the model of an answer, where it says them first."""
        self.id = self.id or as_word(found.get("id"))
        self.model = self.model or as_word(found.get("model")) or ""

    def add_usage(self, counts: Mapping[str, int | None]) -> None:
        """Take counts of tokens; a later one replaces an earlier one."""
        self.usage.update({name: count for name, count in counts.items() if count is not None})

    def add_logprobs(self, found: Any) -> None:
        """Take log probabilities: lists, by what they are of, are joined."""
        if not isinstance(found, Mapping) or not isinstance(self.logprobs, dict):
            self.logprobs = (
                (dict(found) if isinstance(found, Mapping) else found) if found is not None else self.logprobs
            )
            return
        for name, value in found.items():
            before = self.logprobs.get(name)
            self.logprobs[name] = (
                [*before, *value] if isinstance(before, list) and isinstance(value, list) else value or before
            )

    def text(self, kind: Kind) -> str:
        """What has come of one kind."""
        return str(self._texts.get(kind, ""))

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come that could be an answer."""
        return not (self._texts or self.calls or self.media)

    def reply(self, headers: Mapping[str, str]) -> Reply:
        """The whole."""
        return Reply(
            content=self.text("content"),
            role=self.role,
            finish_reason=self.finish_reason,
            tool_calls=self.calls.whole(),
            usage=Usage(**self.usage),
            model=self.model,
            thinking=self.text("thinking") or None,
            refusal=self.text("refusal") or None,
            logprobs=self.logprobs,
            hold_s=hold_s(headers),
            id=self.id,
            blocks=self.blocks,
            thoughts=self.thoughts.whole(),
            images=self.media.images,
            audio=self.media.audio(),
        )


def extra_of(call: Any) -> dict[str, Any]:
    """What a call holds that OpenAI's form does not know."""
    known = ("index", "id", "type", "function", "name", "arguments", "input")
    return {name: value for name, value in as_mapping(call).items() if name not in known and value is not None}
