"""Answers in OpenAI's form, from servers that keep to it more or less.

https://platform.openai.com/docs/api-reference/chat/object and .../chat-streaming
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hush.providers._clients._assembly import Assembly, extra_of
from hush.providers._clients._failures import Failures
from hush.providers._clients._lenient import as_count, as_list, as_mapping, as_text, as_word, dumps
from hush.providers._clients._reading import Reader
from hush.providers._clients._thoughts import text_in
from hush.providers._model import DETAILS, OnChunk, Reply

_FINISHED = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",  # Cohere
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "safety": "content_filter",
    "recitation": "content_filter",
    "sensitive": "content_filter",  # Zhipu
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
}
# OpenRouter, vLLM; DeepSeek, Zhipu; Gemini, of a call of a tool that came to nothing, with an empty answer.
_BROKEN_OFF = re.compile(
    r"error|abort(ed)?|cancell?ed|insufficient_system_resource|network_error|(.*\W)?malformed_function_call",
    re.IGNORECASE,
)


class ChatReader(Reader):
    """Reads a chat completion, or the chunks of one."""

    def __init__(self, failures: Failures, on_chunk: OnChunk | None) -> None:
        super().__init__(failures)
        self.assembly = Assembly(on_chunk)
        self._tells_thoughts = False  # other than in details, which say the same

    def event(self, name: str, data: Any) -> None:
        self._chunk(data, is_error=name == "error")
        self.finished = self.assembly.finish_reason is not None
        if self.finished:
            self.assembly.flush()

    def document(self, found: Any) -> None:
        self._chunk(found[0] if isinstance(found, list) and found else found, is_error=False)
        self.assembly.flush()
        if self.assembly.is_empty and self.assembly.finish_reason is None:
            keys = ", ".join(map(str, found)) if isinstance(found, Mapping) else ""
            own = isinstance(found, Mapping) and found.get("type") == "message"
            other = "It answers in Anthropic's form: write type: anthropic." if own else ""
            what = f"gave an answer without choices, text and finish reason: {keys}."
            raise self.failures.bad(what, self.headers, mend=other)
        self.finished = True

    def reply(self) -> Reply:
        """The whole, once all has come."""
        return self.assembly.reply(self.headers)

    def _chunk(self, found: Any, *, is_error: bool) -> None:
        if type(found) is not dict and not isinstance(found, Mapping):
            raise self.failures.bad(f"gave an answer that is no object: {found!r}", self.headers)
        if is_error or found.get("error") or found.get("object") == "error":
            raise self.failures.of_object(found, self.headers)
        if "choices" not in found and "done" in found and not {"message", "response"}.isdisjoint(found):
            what = (
                "answers in Ollama's own form. Set base_url to its address with /v1, such as http://localhost:11434/v1."
            )
            raise self.failures.bad(what, self.headers)
        assembly = self.assembly
        assembly.named(found)
        usage = found.get("usage") or as_mapping(found.get("x_groq")).get("usage")
        if usage:
            assembly.add_usage(usage_of(usage))
        for choice in as_list(found.get("choices")):
            if isinstance(choice, Mapping) and not as_count(choice.get("index")):
                self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        if choice.get("error"):
            raise self.failures.of_object(choice, self.headers)
        assembly = self.assembly
        names = ("delta", "message") if self.streamed else ("message", "delta")
        message = next((choice[name] for name in names if isinstance(choice.get(name), Mapping)), None)
        if message is not None:
            self._message(message)
        else:
            assembly.add("content", as_text(choice.get("text")))
        assembly.add_logprobs(choice.get("logprobs"))
        reason = as_word(choice.get("finish_reason"))
        if reason and _BROKEN_OFF.fullmatch(reason):
            raise self.failures.bad(f"broke its answer off: finish reason {reason!r}.", self.headers)
        if reason:
            assembly.finish_reason = _FINISHED.get(reason.partition(":")[0].lower(), reason)
        usage = choice.get("usage")  # Moonshot
        if usage:
            assembly.add_usage(usage_of(usage))

    def _message(self, message: Mapping[str, Any]) -> None:
        assembly = self.assembly
        assembly.role = as_word(message.get("role")) or assembly.role
        # DeepSeek and llama.cpp; OpenRouter and newer vLLM. Who sends both sends the same text twice.
        thought = next((as_text(message[name]) for name in ("reasoning_content", "reasoning") if message.get(name)), "")
        self._tells_thoughts = self._tells_thoughts or bool(thought)
        details = text_in(message[DETAILS]) if not self._tells_thoughts and message.get(DETAILS) else ""
        assembly.add("thinking", thought or details or _thinking_in(message.get("content")))
        assembly.thoughts.add(message, in_parts=bool(self.streamed))
        assembly.add("content", _text_of(message.get("content")))
        assembly.add("refusal", as_text(message.get("refusal")))
        assembly.media.add_images(message.get("content"))
        assembly.media.add_images(message.get("images"))  # OpenRouter
        if message.get("audio"):
            assembly.media.add_audio(message["audio"])
        for call in as_list(message.get("tool_calls")):
            self._call(as_mapping(call), is_whole=not self.streamed)
        if isinstance(message.get("function_call"), Mapping):  # as it was before there were tools
            self._call({"index": 0, "function": message["function_call"]}, is_whole=not self.streamed)

    def _call(self, call: Mapping[str, Any], *, is_whole: bool) -> None:
        function = as_mapping(call.get("function")) or call
        call_id, name = as_word(call.get("id")), as_word(function.get("name"))
        calls = self.assembly.calls
        given = calls.another(call_id, name) if is_whole else calls.at(as_count(call.get("index")), call_id, name)
        given.add_arguments(function.get("arguments"))
        given.extra.update(extra_of(call))


def _text_of(content: Any) -> str:
    # Where a schema was asked for, some proxies give the data itself.
    if isinstance(content, Mapping) and "type" not in content and not as_text(content):
        return dumps(content) if content else ""
    return as_text(content)


def _thinking_in(content: Any) -> str:
    # Mistral's: parts of the content, with a text or parts of their own.
    parts = [as_mapping(part) for part in as_list(content)]
    return "".join(
        as_text(part.get("thinking") or part.get("text"))
        for part in parts
        if part.get("type") in ("thinking", "reasoning")
    )


def usage_of(found: Any) -> dict[str, int | None]:
    """The counts of ``usage``, under the names of ``Usage``."""
    usage = as_mapping(found)
    into = as_mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    out = as_mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    return {
        "input_tokens": _first(usage.get("prompt_tokens"), usage.get("input_tokens")),
        "output_tokens": _first(usage.get("completion_tokens"), usage.get("output_tokens")),
        # OpenAI's; DeepSeek's; Moonshot's and Together's; Anthropic's through proxies, whose input has them in it.
        "cached_tokens": _first(
            into.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cached_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        "cache_write_tokens": _first(
            into.get("cache_write_tokens"), into.get("cache_creation_tokens"), usage.get("cache_creation_input_tokens")
        ),
        "reasoning_tokens": _first(out.get("reasoning_tokens"), usage.get("reasoning_tokens")),
    }


def _first(*given: Any) -> int | None:
    for value in given:
        count = as_count(value)
        if count is not None:
            return count
    return None
