"""A request as rules see it, whichever API it came through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.testing._scripted._tokens import text_of, tokens_of, tokens_of_messages

CHAT, EMBEDDINGS, RERANK = "chat", "embeddings", "rerank"
OPENAI, ANTHROPIC = "openai", "anthropic"


class ScriptedRequest:
    """One request. Rules that are functions are given it.

    Attributes:
        body: The decoded JSON as it was sent.
        chat: The same in the words of OpenAI's chat completions; of ``/v1/messages`` it is translated.
        endpoint: ``"chat"``, ``"embeddings"`` or ``"rerank"``.
        dialect: ``"openai"`` or ``"anthropic"``.
        model: The model it is to.
        text: The text of the last message of a user; of embeddings the first input, of rerank the query.
        stream: Whether it asks for a stream.
        number: Which call it is, from 1, refused ones counted.
        at_s: When it came, in seconds since the first.
        prompt_tokens: Its tokens, counted.
    """

    __slots__ = (
        "at_s", "body", "chat", "dialect", "endpoint", "model", "number", "prompt_tokens", "stream", "text",
    )  # fmt: skip

    def __init__(self, body: Mapping[str, Any], chat: Mapping[str, Any], endpoint: str, dialect: str) -> None:
        self.body = body
        self.chat = chat
        self.endpoint = endpoint
        self.dialect = dialect
        model = chat.get("model")
        self.model = model if isinstance(model, str) else ""
        self.stream = endpoint == CHAT and chat.get("stream") is True
        self.number = 0
        self.at_s = 0.0
        self.text, self.prompt_tokens = _read(chat, endpoint)

    @property
    def messages(self) -> list[Any]:
        """The messages, in OpenAI's words."""
        found = self.chat.get("messages")
        return found if isinstance(found, list) else []

    @property
    def tools(self) -> list[Any]:
        """The tools, in OpenAI's words."""
        found = self.chat.get("tools")
        return found if isinstance(found, list) else []

    @property
    def system(self) -> str:
        """The text of the system's messages."""
        return "\n".join(
            text_of(each.get("content"))
            for each in self.messages
            if isinstance(each, Mapping) and each.get("role") in ("system", "developer")
        )

    def __repr__(self) -> str:
        return f"<ScriptedRequest {self.number} {self.endpoint} {self.model!r}>"


def _read(chat: Mapping[str, Any], endpoint: str) -> tuple[str, int]:
    """The text by which rules choose, and the tokens of the prompt."""
    if endpoint == CHAT:
        messages = chat.get("messages")
        if not isinstance(messages, list):
            return "", 0
        users = (each for each in reversed(messages) if isinstance(each, Mapping) and each.get("role") == "user")
        last = next(users, None)
        return ("" if last is None else text_of(last.get("content"))), tokens_of_messages(messages)
    if endpoint == EMBEDDINGS:
        texts = inputs_of(chat)
        return (str(texts[0]) if texts else ""), sum(tokens_of_input(each) for each in texts)
    query = chat.get("query")
    query = query if isinstance(query, str) else ""
    return query, tokens_of(query) + sum(tokens_of(each) for each in documents_of(chat))


def inputs_of(body: Mapping[str, Any]) -> list[Any]:
    """The inputs of an embedding: texts, or lists of tokens."""
    given = body.get("input")
    if isinstance(given, list) and not (given and isinstance(given[0], int)):
        return given
    return [] if given is None else [given]


def tokens_of_input(given: Any) -> int:
    """The tokens of one input of an embedding."""
    return len(given) if isinstance(given, list) else tokens_of(str(given))


def documents_of(body: Mapping[str, Any]) -> list[str]:
    """The texts of the documents to be ranked."""
    given = body.get("documents")
    if not isinstance(given, list):
        return []
    return [str(each.get("text", "")) if isinstance(each, Mapping) else str(each) for each in given]


def wrong_with(request: ScriptedRequest) -> str | None:
    """What a server would find wrong with the request, before anything else."""
    chat = request.chat
    if not isinstance(chat.get("model"), str) or not request.model:
        return "you must provide a model parameter"
    if request.endpoint == CHAT:
        messages = chat.get("messages")
        if not isinstance(messages, list) or not messages:
            return "'messages' must be a list of at least one message"
        for place, message in enumerate(messages):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                return f"'messages[{place}]' must be an object with a role"
        if chat.get("n") not in (None, 1):
            return "the scripted model gives one choice: leave out 'n'"
        if request.dialect == ANTHROPIC and not isinstance(chat.get("max_tokens"), int):
            return "max_tokens: Field required"
    elif request.endpoint == EMBEDDINGS:
        inputs = inputs_of(chat)
        if not inputs or not all(isinstance(each, str | list) and each for each in inputs):
            return "'input' must be a text that is not empty, or a list of such"
    elif not isinstance(chat.get("query"), str) or not isinstance(chat.get("documents"), list):
        return "'query' must be a text and 'documents' a list"
    return None
