"""The same answer in the forms of OpenAI and Anthropic, whole and as events, and a client for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anthropic  # noqa: F401  # here, so that what they make is there before any test looks for what it has left
import openai  # noqa: F401

from hush.providers._clients._anthropic import AnthropicClient
from hush.providers._clients._openai import OpenAIClient
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatClient
from kit.llm_wire import Seen, Step, answer, event, stream

KEY = "hk-4f9d1b7c2a6e"


@dataclass(frozen=True)
class Said:
    """An answer. The texts are in the parts in which they are streamed."""

    content: Sequence[str] = ()
    thinking: Sequence[str] = ()
    calls: Sequence[tuple[str, str, Sequence[str]]] = ()  # id, name, the JSON in parts
    finish: str = "stop"
    input_tokens: int = 7
    output_tokens: int = 5
    cached_tokens: int = 2


@dataclass(frozen=True)
class Form:
    """How one vendor says it."""

    name: str
    make: Callable[[ClientSettings], ChatClient]
    whole: Callable[[Said], Any]
    events: Callable[[Said], list[bytes]]
    error: Callable[[str, str], Any]

    def client(self, url: str, **settings: Any) -> ChatClient:
        vendor: Any = "anthropic" if self.name == "anthropic" else "openai"
        given: dict[str, Any] = {
            "resource": f"llm:{self.name}",
            "model": "m-1",
            "api_key": KEY,
            "base_url": url if self.name == "anthropic" else f"{url}/v1",
            "timeout_s": 20.0,
        }
        return self.make(ClientSettings(**{"vendor": vendor, **given, **settings}))

    def says(self, said: Said) -> Callable[[Seen], Sequence[Step]]:
        """A script that gives it in the way in which it is asked for."""
        return lambda seen: stream(self.events(said)) if seen.json.get("stream") else answer(self.whole(said))


# --- OpenAI -----------------------------------------------------------------------------------------------------------
def _openai_usage(said: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
    }


def openai_whole(said: Said) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(said.content) or None}
    if said.thinking:
        message["reasoning_content"] = "".join(said.thinking)
    if said.calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": "".join(parts)}}
            for id_, name, parts in said.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": said.finish, "logprobs": None}
    return {"id": "a-1", "model": "m-1-2026", "choices": [choice], "usage": _openai_usage(said)}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """One chunk of a completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return event({"id": "a-1", "model": "m-1-2026", "choices": [choice], "usage": None, **more})


def openai_events(said: Said) -> list[bytes]:
    found = [chunk({"role": "assistant", "content": ""})]
    found += [chunk({"reasoning_content": text}) for text in said.thinking]
    found += [chunk({"content": text}) for text in said.content]
    for number, (id_, name, parts) in enumerate(said.calls):
        function = {"name": name, "arguments": ""}
        found.append(chunk({"tool_calls": [{"index": number, "id": id_, "type": "function", "function": function}]}))
        found += [chunk({"tool_calls": [{"index": number, "function": {"arguments": part}}]}) for part in parts]
    found.append(chunk({}, said.finish))
    last = {"id": "a-1", "model": "m-1-2026", "choices": [], "usage": _openai_usage(said)}
    return [*found, event(last), event("[DONE]")]


def _openai_error(code: str, message: str) -> Any:
    return {"error": {"message": message, "type": "some_error", "code": code, "param": None}}


# --- Anthropic --------------------------------------------------------------------------------------------------------
_STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def _anthropic_usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens - said.cached_tokens,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": said.output_tokens,
    }


def anthropic_whole(said: Said) -> Any:
    blocks: list[dict[str, Any]] = []
    if said.thinking:
        blocks.append({"type": "thinking", "thinking": "".join(said.thinking), "signature": "s"})
    if said.content:
        blocks.append({"type": "text", "text": "".join(said.content)})
    for id_, name, parts in said.calls:
        blocks.append({"type": "tool_use", "id": id_, "name": name, "input": json.loads("".join(parts) or "{}")})
    return {
        "id": "a-1",
        "type": "message",
        "role": "assistant",
        "model": "m-1-2026",
        "content": blocks,
        "stop_reason": _STOPPED[said.finish],
        "usage": _anthropic_usage(said),
    }


def _named(kind: str, **data: Any) -> bytes:
    return event({"type": kind, **data}, kind)


def anthropic_events(said: Said) -> list[bytes]:
    usage = {**_anthropic_usage(said), "output_tokens": 1}
    begun = {**anthropic_whole(said), "content": [], "stop_reason": None, "usage": usage}
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if said.thinking:
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": text} for text in said.thinking]
        deltas.append({"type": "signature_delta", "signature": "s"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if said.content:
        deltas = [{"type": "text_delta", "text": text} for text in said.content]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for id_, name, parts in said.calls:
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *parts)]
        blocks.append(({"type": "tool_use", "id": id_, "name": name, "input": {}}, deltas))
    found = [_named("message_start", message=begun), _named("ping")]
    for index, (block, deltas) in enumerate(blocks):
        found.append(_named("content_block_start", index=index, content_block=block))
        found += [_named("content_block_delta", index=index, delta=delta) for delta in deltas]
        found.append(_named("content_block_stop", index=index))
    ended = {"stop_reason": _STOPPED[said.finish], "stop_sequence": None}
    found.append(_named("message_delta", delta=ended, usage={"output_tokens": said.output_tokens}))
    return [*found, _named("message_stop")]


def _anthropic_error(code: str, message: str) -> Any:
    return {"type": "error", "error": {"type": code, "message": message}, "request_id": "r-1"}


OPENAI = Form("openai", OpenAIClient, openai_whole, openai_events, _openai_error)
ANTHROPIC = Form("anthropic", AnthropicClient, anthropic_whole, anthropic_events, _anthropic_error)
FORMS = (OPENAI, ANTHROPIC)
