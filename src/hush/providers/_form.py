"""``Form``: a prompt as it was written, read once: its messages with their templates, files and places for values."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from hush.providers._files import File
from hush.providers._given import content_of, history_of, message_of, part_of, results_of
from hush.providers._template import Template

Messages: TypeAlias = "list[dict[str, Any]]"


@dataclass(frozen=True, slots=True)
class Slot:
    """A reference within a prompt: what it gives is a value, and no template. ``where`` says where it stands."""

    number: int
    where: str


class TextPart(NamedTuple):
    """A part of a content that is text; ``more`` is what stands beside the text, such as ``cache_control``."""

    template: Template
    more: Mapping[str, Any]


class PlainPart(NamedTuple):
    """A part of another type, which is sent as code wrote it."""

    part: Mapping[str, Any]


Part: TypeAlias = TextPart | PlainPart | File | Slot
Content: TypeAlias = Template | Slot | tuple[Part, ...] | None


class MessageForm(NamedTuple):
    """One message; ``more`` is what stands beside role and content, such as ``tool_calls``."""

    role: str
    content: Content
    more: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """A prompt that was read.

    Attributes:
        messages: In order; a ``Slot`` is a message that a reference gives.
        names: Those of all its templates, each once.
        shown: How it was written.
    """

    messages: tuple[MessageForm | Slot, ...] = field(repr=False)  # previews of traces hold what is shown
    names: tuple[str, ...] = field(repr=False)
    shown: str

    def reads_files(self) -> bool:
        """Whether it names a file, or has a place for a value that may be one."""
        return any(
            isinstance(one, Slot)
            or isinstance(one.content, Slot)
            or (isinstance(one.content, tuple) and any(isinstance(part, File | Slot) for part in one.content))
            for one in self.messages
        )

    def fill(self, values: Mapping[str, Any], given: list[Any], history: Any, results: Any) -> Messages:
        """The messages, new ones each time.

        ``history``, and behind it the ``results`` of tools, stand before the last message of the user, or at the end if
        there is none. Raises ``PromptError``.
        """
        messages: Messages = []
        for one in self.messages:
            if isinstance(one, Slot):
                messages.append(message_of(given[one.number], one.where))
                continue
            content = one.content
            if isinstance(content, Template):
                made: Any = content.fill(values)
            elif isinstance(content, Slot):
                made = content_of(given[content.number], content.where)
            elif content is not None:
                made = [_part(part, values, given) for part in content]
            else:
                made = None
            message = {"role": one.role, "content": made}
            if one.more:
                message |= deepcopy(dict(one.more))
            messages.append(message)
        if history is not None or results is not None:
            users = [at for at, message in enumerate(messages) if message["role"] == "user"]
            at = users[-1] if users else len(messages)
            messages[at:at] = history_of(history) + results_of(results)
        return messages

    def __repr__(self) -> str:
        return self.shown


def _part(part: Part, values: Mapping[str, Any], given: list[Any]) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.template.fill(values), **deepcopy(dict(part.more))}
    if isinstance(part, PlainPart):
        return deepcopy(dict(part.part))  # whoever gets the messages may change them
    if isinstance(part, File):
        return part.part()
    return part_of(given[part.number], part.where)
