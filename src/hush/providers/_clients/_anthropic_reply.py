"""Answers in Anthropic's form, whole and streamed (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.providers._clients._anthropic_blocks import Blocks
from hush.providers._clients._assembly import Assembly, Call
from hush.providers._clients._failures import Failures
from hush.providers._clients._lenient import Joined, as_count, as_list, as_mapping, as_text, as_word, dumps, loads
from hush.providers._clients._reading import Reader
from hush.providers._model import OnChunk, Reply

_FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class MessageReader(Reader):
    """Reads a message, or the events of one."""

    def __init__(self, failures: Failures, on_chunk: OnChunk | None) -> None:
        super().__init__(failures)
        self.assembly = Assembly(on_chunk)
        self._calls: dict[int, tuple[Call, Any]] = {}  # by the index of their block, with the input it began with
        self._blocks = Blocks()
        self._input: dict[str, int] = {}

    def event(self, name: str, data: Any) -> None:
        found = as_mapping(data)
        kind = as_word(found.get("type")) or name
        if kind == "error" or found.get("error"):
            raise self.failures.of_object(data, self.headers)
        if kind == "message_start":
            self._message(as_mapping(found.get("message")))
        elif kind == "content_block_start":
            self._begin(as_count(found.get("index")) or 0, as_mapping(found.get("content_block")))
        elif kind == "content_block_delta":
            self._delta(as_count(found.get("index")) or 0, as_mapping(found.get("delta")))
        elif kind == "message_delta":
            self._message({**as_mapping(found.get("delta")), "usage": found.get("usage")})
        elif kind == "message_stop":
            self.done = True
        self.finished = self.assembly.finish_reason is not None
        if self.finished:
            self._flush()

    def document(self, found: Any) -> None:
        message = as_mapping(found)
        if message.get("type") == "error" or message.get("error"):
            raise self.failures.of_object(found, self.headers)
        self._message(message)
        self._flush()
        if self.assembly.is_empty and self.assembly.finish_reason is None:
            other = "It answers in OpenAI's form: write type: openai." if "choices" in message else ""
            raise self.failures.bad("gave an answer without content and stop reason.", self.headers, mend=other)
        self.finished = True

    def reply(self) -> Reply:
        """The whole, once all has come."""
        self.assembly.blocks = self._blocks.whole()
        return self.assembly.reply(self.headers)

    # --- parts ------------------------------------------------------------------------------------------------
    def _message(self, message: Mapping[str, Any]) -> None:
        assembly = self.assembly
        assembly.named(message)
        assembly.role = as_word(message.get("role")) or assembly.role
        for index, block in enumerate(as_list(message.get("content"))):
            self._begin(index, as_mapping(block))
        self._usage(as_mapping(message.get("usage")))
        explained = as_mapping(message.get("stop_details")).get("explanation")
        assembly.add("refusal", as_text(explained))
        reason = as_word(message.get("stop_reason"))
        if reason:
            assembly.finish_reason = _FINISHED.get(reason, reason)

    def _begin(self, index: int, block: Mapping[str, Any]) -> None:
        kind, call = block.get("type"), None
        if kind == "text":
            self.assembly.add("content", as_text(block.get("text")))
        elif kind == "thinking":
            self.assembly.add("thinking", as_text(block.get("thinking")))
        elif kind == "tool_use":
            call_id = as_word(block.get("id")) or f"call_{index}"
            call = self.assembly.calls.another(call_id, as_word(block.get("name")))
            self._calls[index] = (call, block.get("input"))
        elif kind == "image":
            self.assembly.media.add_images([block])
        self._blocks.begin(index, block, call)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self.assembly.add("content", as_text(delta.get("text")))
            self._blocks.add(index, "text", delta.get("text"))
        elif kind == "thinking_delta":
            self.assembly.add("thinking", as_text(delta.get("thinking")))
            self._blocks.add(index, "thinking", delta.get("thinking"))
        elif kind == "signature_delta":
            self._blocks.add(index, "signature", delta.get("signature"))
        elif kind == "input_json_delta" and index in self._calls:
            self._calls[index][0].add_arguments(as_text(delta.get("partial_json")))

    def _flush(self) -> None:
        self.assembly.flush()
        for call, given in self._calls.values():
            call.arguments.end()
            text = str(call.arguments)
            try:
                # In a message in one piece the input is JSON, not text: written here as it is written there.
                value = loads(text or given) if text or isinstance(given, str) else as_mapping(given)
            except ValueError:
                continue
            call.arguments = Joined()
            call.arguments.add(dumps(value))
        self._calls.clear()

    def _usage(self, usage: Mapping[str, Any]) -> None:
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        self._input.update({name: count for name in names if (count := as_count(usage.get(name))) is not None})
        read, written = self._input.get(names[1]), self._input.get(names[2])
        self.assembly.add_usage(
            {
                # Anthropic counts what the cache has served or taken apart from the rest.
                "input_tokens": sum(self._input.values()) if names[0] in self._input else None,
                "output_tokens": as_count(usage.get("output_tokens")),
                "cached_tokens": read,
                "cache_write_tokens": written,
                "reasoning_tokens": as_count(as_mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
            }
        )
