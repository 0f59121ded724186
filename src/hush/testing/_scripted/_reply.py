"""What a model answers: a reply with its calls of tools and its usage, however it was written down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._faults import as_fault
from hush.testing._scripted._named import check_keys, number_of, whole_of
from hush.testing._scripted._tokens import tokens_of


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call.

    Attributes:
        prompt_tokens: Those of the prompt, the cached ones among them.
        completion_tokens: Those of the answer, reasoning among them.
        cached_tokens: Those of the prompt that the server had read before.
        reasoning_tokens: Those of the answer that nobody sees.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the model asks for.

    Attributes:
        arguments: A mapping, or the text itself: models send text that is no JSON, too.
        id: Made up if not given.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str | None = None

    def text(self) -> str:
        """The arguments as the text that is sent."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer of a chat model.

    Attributes:
        content: Its text. A mapping or a list is sent as JSON.
        tool_calls: The calls it asks for.
        finish_reason: OpenAI's word; if not given, ``"tool_calls"`` where there are some, else ``"stop"``.
        thinking: What it says of how it came to the answer.
        refusal: Why it refuses, as OpenAI sends it.
        images: Pictures: the URL of each, such as a ``data:`` URL, or the part ``{"type": "image_url", ...}`` itself.
            They are sent as OpenRouter does; Anthropic's form has none, and they are left out there.
        audio: What it speaks, as OpenAI sends it: ``data`` in base64, ``transcript``, ``id`` (made up if not given),
            ``expires_at``. Left out as ``images`` are.
        usage: Its tokens; counted by `tokens_of` if not given. A mapping may give a part of them.
        model: The model that it says it is; if not given, the one that was asked for.
        chunks: How a stream cuts ``content``; if not given, at places that the seed decides.
        latency_s: How long this one takes, in place of the model's ``latency_s``.
        faults: What goes wrong with this one: a `Fault`, its name, or a mapping with its fields.
    """

    content: Any = None
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str | None = None
    thinking: str | None = None
    refusal: str | None = None
    images: Sequence[str | Mapping[str, Any]] = ()
    audio: Mapping[str, Any] | None = None
    usage: Usage | Mapping[str, int] | None = None
    model: str | None = None
    chunks: Sequence[str] | None = None
    latency_s: float | None = None
    faults: Sequence[Any] = ()

    def text(self) -> str | None:
        """``content`` as the text that is sent."""
        if self.content is None or isinstance(self.content, str):
            return self.content
        return json.dumps(self.content, ensure_ascii=False)

    def reason(self) -> str:
        """Why it ends."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    def counted(self, prompt_tokens: int) -> Usage:
        """Its usage; what is not given is counted."""
        if isinstance(self.usage, Usage):
            return self.usage
        reasoning = tokens_of(self.thinking or "")
        written = tokens_of((self.text() or "") + (self.refusal or "") + str((self.audio or {}).get("transcript", "")))
        written += sum(tokens_of(call.name + call.text()) for call in self.tool_calls)
        made: dict[str, int] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": written + reasoning,
            "reasoning_tokens": reasoning,
            **(self.usage or {}),
        }
        return Usage(**made)


_REPLY = tuple(each.name for each in fields(Reply))
_CALL = tuple(each.name for each in fields(ToolCall))
_AUDIO = ("id", "data", "transcript", "expires_at")
_USAGE = tuple(each.name for each in fields(Usage))


def as_reply(given: Any) -> Reply:
    """A reply from text, a `Reply`, or a mapping with the fields of one.

    Raises:
        ScriptError: It is none of these, or a field is wrong.
    """
    if isinstance(given, str):
        return Reply(given)
    if not isinstance(given, Reply):
        if not isinstance(given, Mapping):
            raise ScriptError(f"an answer is text, a Reply, a mapping, a Fault or a function, not {given!r}")
        check_keys(given, _REPLY, "an answer")
        given = Reply(**given)
    for name in ("finish_reason", "thinking", "refusal", "model"):
        if not isinstance(getattr(given, name), str | None):
            raise ScriptError(f"{name} is text, not {getattr(given, name)!r}", (name,))
    return _checked(given)


def _checked(given: Reply) -> Reply:
    if given.latency_s is not None:
        number_of("latency_s", given.latency_s)
    usage = given.usage
    if usage is not None and not isinstance(usage, Usage):
        if not isinstance(usage, Mapping):
            raise ScriptError(f"usage is a mapping of {', '.join(_USAGE)}, not {usage!r}", ("usage",))
        check_keys(usage, _USAGE, "a usage", ("usage",))
        for name, value in usage.items():
            whole_of(name, value, ("usage",))
    if given.chunks is not None:
        if isinstance(given.chunks, str) or not all(isinstance(each, str) for each in given.chunks):
            raise ScriptError("chunks is a list of texts", ("chunks",))
        joined = "".join(given.chunks)
        if given.content is None:
            given = _with(given, content=joined)
        elif given.text() != joined:
            raise ScriptError("chunks, put together, are not the content", ("chunks",))
    given = _with(given, images=_images_of(given.images))
    if given.audio is not None:
        if not isinstance(given.audio, Mapping):
            raise ScriptError(f"audio is a mapping of {', '.join(_AUDIO)}, not {given.audio!r}", ("audio",))
        check_keys(given.audio, _AUDIO, "an audio", ("audio",))
        for name in ("id", "data", "transcript"):
            if not isinstance(given.audio.get(name, ""), str):
                raise ScriptError(f"{name} is text, not {given.audio[name]!r}", ("audio", name))
    if isinstance(given.tool_calls, str | Mapping) or not isinstance(given.tool_calls, Sequence):
        raise ScriptError("tool_calls is a list of {name: , arguments: }", ("tool_calls",))
    if isinstance(given.faults, str | Mapping) or not isinstance(given.faults, Sequence):
        raise ScriptError("faults is a list of faults", ("faults",))
    faults = tuple(as_fault(each, ("faults", place), here=True) for place, each in enumerate(given.faults))
    calls = tuple(_as_call(each, place) for place, each in enumerate(given.tool_calls))
    return _with(given, tool_calls=calls, faults=faults)


def _images_of(given: Any) -> tuple[dict[str, Any], ...]:
    """The parts that they are sent as."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise ScriptError('images is a list of URLs, such as "data:image/png;base64,..."', ("images",))
    found: list[dict[str, Any]] = []
    for place, each in enumerate(given):
        part = {"type": "image_url", "image_url": {"url": each}} if isinstance(each, str) else each
        if not isinstance(part, Mapping) or part.get("type") != "image_url":
            raise ScriptError(f"an image is a URL, or a part of the type image_url, not {each!r}", ("images", place))
        found.append(dict(part))
    return tuple(found)


def _as_call(given: Any, place: int) -> ToolCall:
    at = ("tool_calls", place)
    if isinstance(given, ToolCall):
        return given
    if not isinstance(given, Mapping):
        raise ScriptError(f"a call of a tool is a mapping with its name and its arguments, not {given!r}", at)
    check_keys(given, _CALL, "a call of a tool", at)
    if not isinstance(given.get("name"), str):
        raise ScriptError("a call of a tool has a name", at)
    if not isinstance(given.get("arguments", {}), Mapping | str):
        raise ScriptError("arguments is a mapping, or text", (*at, "arguments"))
    return ToolCall(**given)


def _with(given: Reply, **changed: Any) -> Reply:
    from dataclasses import replace

    return replace(given, **changed)
