"""What is asked of a language model and what it answers, in one form for all vendors.

Messages, tools and the calls of tools are in the form of OpenAI's chat completions, which most servers speak; who
speaks another one translates (https://platform.openai.com/docs/api-reference/chat/create).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

BLOCKS = "anthropic_blocks"
"""The key of a message of the assistant under which Anthropic's answer stands in blocks that go back unaltered. Other
vendors are not sent it."""

REASONING, DETAILS, PLAIN = "reasoning_content", "reasoning_details", "reasoning"
"""The keys under which other vendors want to see again what was thought: DeepSeek's, OpenRouter's and vLLM's."""

THOUGHTS = ("thinking", "redacted_thinking")
BLOCK_KINDS = ("text", "tool_use", *THOUGHTS)
"""The blocks that may stand there. None names anything that would be fetched."""

Message: TypeAlias = "Mapping[str, Any]"
"""``{"role": "user", "content": "..."}``; the content is text or a list of parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request.

    Attributes:
        messages: At least one.
        tools: ``{"type": "function", "function": {"name", "description", "parameters"}}`` each.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or ``{"type": "function", "function": {"name": ...}}``.
        schema: The JSON schema that the answer is to fit, ``{}`` for any JSON object; ``None`` for plain text.
        schema_name: How the schema is called.
        parameters: What else was given, in OpenAI's spelling: ``temperature``, ``max_tokens``, ``top_p``, ``stop``,
            ``seed``, ``presence_penalty``, ``frequency_penalty``, ``parallel_tool_calls``, ``reasoning_effort``,
            ``user``, ``logprobs``, ...; those that were not given, or are ``None``, are absent.
        extra: Fields of the body that are sent as they are.
    """

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model asks for.

    Attributes:
        id: The server's, or ``"call_0"`` and so on, by place, where it gives none.
        arguments: JSON as it came, which may be none.
        extra: What else stands in the server's call and is to be sent back with it: Gemini's ``extra_content``, which
            holds the signature of a thought, is refused if it is left out.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens that one request took; ``None`` where the server does not say.

    Attributes:
        input_tokens: All that was sent, those read from a cache included.
        output_tokens: All that was answered, reasoning included.
        cached_tokens: Of the input, those read from the provider's cache.
        cache_write_tokens: Of the input, those written into it.
        reasoning_tokens: Of the output.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, whole.

    Attributes:
        content: The text; empty if there is none.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"``, or whatever else the server
            says; ``None`` only where a server leaves it out of an answer that came in one piece.
        model: The model as the server calls it.
        thinking: What the model thought aloud.
        refusal: Why it refuses, in its words.
        logprobs: As the server gave them.
        hold_s: Seconds for which nobody should ask again, if the headers say that the allowance is used up.
        id: The server's id of the answer.
        blocks: The answer as Anthropic gave it, if it thought: text, thinking with its signature, calls. Empty if not.
        thoughts: What else of the message of the assistant goes back with it: ``reasoning_content`` and
            ``reasoning_details``, as the server gave them, or if it gave neither, ``reasoning``.
        images: Pictures, as parts that may stand in a message: ``{"type": "image_url", "image_url": {"url": ...}}``.
        audio: What was spoken, in OpenAI's form: ``id``, ``data`` in base64, ``transcript``, ``expires_at``.
    """

    content: str = ""
    role: str = "assistant"
    finish_reason: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage = Usage()
    model: str = ""
    thinking: str | None = None
    refusal: str | None = None
    logprobs: Any = None
    hold_s: float | None = None
    id: str | None = None
    blocks: Sequence[Mapping[str, Any]] = ()
    thoughts: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[Mapping[str, Any]] = ()
    audio: Mapping[str, Any] | None = None


Kind: TypeAlias = Literal["content", "thinking", "refusal"]
OnChunk: TypeAlias = Callable[[str, Kind], None]
"""Called with each part of an answer as it comes, in order."""


class ChatResource(Protocol):
    """A model that may be asked: what ``llm:name`` is.

    Attributes:
        name: Its key.
    """

    name: str

    def cost(self, usage: Usage, model: str) -> float | None:
        """What a request cost, in US dollars; ``None`` if no price is known."""
        ...

    def expected_tokens(self, input_tokens: int, max_tokens: int | None) -> Mapping[str, int]:
        """How many tokens a request is expected to take, of which ``input_tokens`` were counted roughly."""
        ...

    def learn(self, input_tokens: int, usage: Usage) -> None:
        """What a request took that was counted at ``input_tokens``."""
        ...


class ChatClient(Protocol):
    """An opened connection to one model."""

    async def chat(self, request: ChatRequest, on_chunk: OnChunk | None = None) -> Reply:
        """Ask. With ``on_chunk`` the answer is streamed; what is returned is the same.

        Raises a ``ProviderError`` and nothing else, unless it is cancelled: the connection is then closed or drained.
        A stream that ends without a finish reason is an ``UnfinishedReply``.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
