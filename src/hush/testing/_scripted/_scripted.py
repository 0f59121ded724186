"""``ScriptedLLM``: a language model that answers by rule or by script and fails on order, without a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from hush.testing._scripted._core import ScriptedCore
from hush.testing._scripted._request import CHAT, EMBEDDINGS, OPENAI, RERANK, ScriptedRequest

if TYPE_CHECKING:
    from os import PathLike

    from hush.testing._scripted._in_process import ScriptedStream


class ScriptedLLM(ScriptedCore):
    """A language model on order: chat, embeddings and rerank, to rehearse and to test with.

    It is called in process (`respond`, `embed`, `rerank`), where it lives in the loop's time, virtual time too; or it
    is served over HTTP, as OpenAI, Azure and Anthropic do (`llm_server`, ``python -m hush.testing.llm_server``). Both
    give the same answers: one core decides what happens from the order in which calls arrive, the time, and ``seed``.

    What a call gets: if it is over a limit, 429; else what ``faults`` order; else the answer of the first rule that
    fits; else the next of the script; else one that is made up: an echo of the last user message, a value that fits the
    ``response_format``, or a call of the tool that ``tool_choice`` demands.

    It has one state for all that call it, is not thread-safe, and belongs to one loop at a time.

    Args:
        answers: A list of what is answered in order (text, `Reply`, mappings with its fields, `Fault`, functions of the
            `ScriptedRequest`) and of `Rule` s, which stand anywhere in it and go first; a mapping of contained text →
            answer; or one answer for every call.
        faults: What goes wrong, and with which calls: `Fault` s. Of several that fall on one call the first refusal or
            break is taken, and all bends.
        limits: What is allowed to all calls together: `ServerLimits`, or ``{"rpm": 60, "tpm": 90_000, "rps": 5,
            "concurrency": 8}``.
        model_limits: Model → what is allowed to its calls, besides.
        seed: Decides where streams are cut, what is drawn by ``probability``, and latencies.
        latency_s: Seconds until an answer, or the first token of a stream: a number, a pair to draw from, or a
            function of the request.
        per_token_s: Seconds for each token of the answer.
        then: What comes after the script's last answer: ``"error"`` (400), ``"default"`` (made up), ``"repeat"`` (from
            its beginning), ``"last"`` (the last one again).
        models: The models there are; others get 404. If not given, every name is one.
        embeddings: `EmbeddingLimits`, or a mapping with its fields.
        api_key: The key that calls over HTTP must bring; 401 else.

    Raises:
        ScriptError: A setting or an answer is wrong; the message says which.

    Attributes:
        stats: What was counted: `Stats`.
    """

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Self:
        """The model that a file of YAML describes.

        Raises:
            ScriptError: With the file and the line.
            OSError: The file cannot be read.
        """
        from hush.testing._scripted._yaml import settings_of

        answers, settings, located = settings_of(path)
        with located:
            return cls(answers(), **settings)

    @overload
    async def respond(self, body: Mapping[str, Any], *, stream: Literal[False]) -> dict[str, Any]: ...
    @overload
    async def respond(self, body: Mapping[str, Any], *, stream: Literal[True]) -> ScriptedStream: ...
    @overload
    async def respond(self, body: Mapping[str, Any], *, stream: None = None) -> dict[str, Any] | ScriptedStream: ...
    async def respond(self, body: Mapping[str, Any], *, stream: bool | None = None) -> dict[str, Any] | ScriptedStream:
        """Answer one request in process, in the running loop's time.

        Args:
            body: What would be sent to ``/v1/chat/completions``, as decoded JSON. It is kept as long as the call
                lasts, and not changed.
            stream: Whether chunks are wanted; if not given, ``body["stream"]`` says so.

        Returns:
            The body of the answer; or, after the first byte would have come, the chunks, to be read with ``async for``.
            What a server sends with the status 200 is returned even if it is an error.

        Raises:
            ScriptedFault: The server answers with an error, or with something that is no JSON.
            ScriptedDisconnect: The connection is lost. It is a ``ConnectionError``, too.

        A ``"timeout"`` never returns: have a timeout of your own. A cancelled call counts as abandoned.
        """
        from hush.testing._scripted._in_process import body_in_process, stream_in_process

        chat = body if stream is None else {**body, "stream": stream}
        request = ScriptedRequest(chat, chat, CHAT, OPENAI)
        if request.stream:
            return await stream_in_process(self, request)
        return await body_in_process(self, request)

    async def embed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what would be sent to ``/v1/embeddings``: unit vectors, the same for the same text everywhere.

        Raises as `respond`.
        """
        from hush.testing._scripted._in_process import body_in_process

        return await body_in_process(self, ScriptedRequest(body, body, EMBEDDINGS, OPENAI))

    async def rerank(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what would be sent to ``/v1/rerank``: documents by how many words they share with the query.

        Raises as `respond`.
        """
        from hush.testing._scripted._in_process import body_in_process

        return await body_in_process(self, ScriptedRequest(body, body, RERANK, OPENAI))

    def as_resource(self, key: str) -> Any:
        """What it is in a hub: ``ResourceHub({"llm:gpt-4": ScriptedLLM(...)})``, or ``embedding:``, or ``rerank:``."""
        from hush.testing._scripted._client import resource_of

        return resource_of(key, self)

    def __repr__(self) -> str:
        return f"<ScriptedLLM seed={self.seed} calls={self.stats.calls}>"
