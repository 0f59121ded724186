"""What an answer in OpenAI's form says of its thinking that has to go back with it, and to whom it goes.

``reasoning_content`` is DeepSeek's, Kimi's and others': once tools are called, or may be, a request in which it is
missing is refused; before there were tools, DeepSeek refused one that has it, and now ignores it there
(https://api-docs.deepseek.com/guides/thinking_mode). ``reasoning_details`` is OpenRouter's, which has the signatures
and the hidden thoughts of those behind it, and wants it back as it was
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens#preserving-reasoning). ``reasoning`` is vLLM's, which
wants it where ``reasoning_content`` is wanted (https://docs.vllm.ai/en/latest/features/interleaved_thinking/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hush.providers._clients._lenient import Joined, as_list, as_mapping, as_text
from hush.providers._model import DETAILS, PLAIN, REASONING, ChatRequest, Message

FIELDS = (REASONING, DETAILS, PLAIN)
_TEXTS = ("text", "summary")
_ONCE = ("id", "index")
_DEMANDED = re.compile(
    r"missing|is required|must be (passed|provided|included|present|kept)|passed back", re.IGNORECASE
)


class Thoughts:
    """Takes the fields as they come."""

    def __init__(self) -> None:
        self._reasoning: Joined | None = None
        self._plain = Joined()
        self._details: list[dict[str, Any]] = []
        self._texts: list[tuple[str, Joined] | None] = []

    def add(self, message: Mapping[str, Any], *, in_parts: bool) -> None:
        """Take a message, or with ``in_parts`` what one chunk brings of it."""
        reasoning = message.get(REASONING)
        if isinstance(reasoning, str):  # an empty one too: it is asked for again
            self._reasoning = self._reasoning or Joined()
            self._reasoning.add(reasoning)
        plain = message.get(PLAIN)
        if isinstance(plain, str):
            self._plain.add(plain)
        for detail in as_list(message.get(DETAILS)):
            if not isinstance(detail, Mapping):
                continue
            if not (in_parts and self._goes_on(detail)):
                self._details.append(dict(detail))
                text = next((name for name in _TEXTS if isinstance(detail.get(name), str)), None)
                self._texts.append((text, Joined()) if in_parts and text is not None else None)
            last = self._texts[-1]
            if last is not None:
                last[1].add(as_text(detail.get(last[0])))

    def _goes_on(self, detail: Mapping[str, Any]) -> bool:
        """Whether it is more of the last one, which then has it.

        What is alike belongs together: the index is the same for all, whichever they belong to, with some models
        (https://github.com/OpenRouterTeam/ai-sdk-provider/issues/519). A signature ends the text that it is over.
        """
        last = self._details[-1] if self._details else {}
        kept = self._texts[-1] if self._texts else None
        if kept is None or detail.get("type") != last.get("type"):
            return False
        if any(name in detail and last.get(name) not in (None, detail[name]) for name in _ONCE if detail.get(name)):
            return False
        if last.get("signature") and detail.get(kept[0]):
            return False
        last.update({name: value for name, value in detail.items() if value is not None and name != kept[0]})
        return True

    def whole(self) -> dict[str, Any]:
        """The fields, as they stand in the message that goes back."""
        found: dict[str, Any] = {}
        if self._reasoning is not None:
            self._reasoning.end()
            found[REASONING] = str(self._reasoning)
        for detail, kept in zip(self._details, self._texts, strict=True):
            if kept is not None:
                kept[1].end()
                detail[kept[0]] = str(kept[1])
        if self._details:
            found[DETAILS] = self._details
        self._plain.end()
        plain = str(self._plain)
        if plain and not found:  # else it says the same
            found[PLAIN] = plain
        return found


def text_in(details: Any) -> str:
    """What can be read in ``reasoning_details``."""
    return "".join(as_text(as_mapping(each).get(name)) for each in as_list(details) for name in _TEXTS)


class Returning:
    """Which of the fields one server is sent. It learns from refusals, once for all later requests.

    Args:
        none: Whether the server knows none of them.
    """

    def __init__(self, *, none: bool = False) -> None:
        self._never: set[str] = set(FIELDS) if none else set()
        self._always = False  # reasoning_content, where nothing is said of tools, too

    def of(self, request: ChatRequest) -> frozenset[str]:
        """Those that go with a request."""
        found = set(fields_for(request))
        if self._always:
            found.add(REASONING)
        return frozenset(found - self._never)

    def learns(self, refusal: str, request: ChatRequest) -> bool:
        """Whether a request that was refused should be sent again, with more or less of it."""
        sent = self.of(request)
        for field in FIELDS:
            if not re.search(rf"\b{field}\b", refusal) or not any(field in message for message in request.messages):
                continue
            if _DEMANDED.search(refusal):
                if field == REASONING and field not in sent | self._never:
                    self._always = True
                    return True
            elif field in sent:
                self._never.add(field)
                return True
        return False


def fields_for(request: ChatRequest) -> frozenset[str]:
    """Those that a server takes of which nothing else is known."""
    calls = bool(request.tools) or any(message.get("tool_calls") for message in request.messages)
    return frozenset(FIELDS) if calls else frozenset((DETAILS,))


def without(message: Message, fields: frozenset[str]) -> Message:
    """A message with no more than ``fields`` of what was thought."""
    left_out = [field for field in FIELDS if field in message and field not in fields]
    if PLAIN in message and not isinstance(message[PLAIN], str):
        left_out.append(PLAIN)  # null, or what somebody else calls so
    return {name: value for name, value in message.items() if name not in left_out} if left_out else message
