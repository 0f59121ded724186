"""A scripted model as a resource: asked in process as a provider is asked over HTTP, and failing as one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from hush.providers.errors import ProviderError, ProviderTimeout, Unreachable
from hush.providers.extend import (
    ChatReader,
    ChatRequest,
    ClientSettings,
    Embedded,
    EmbeddingModel,
    Failures,
    LanguageModel,
    OnChunk,
    Ranked,
    Reached,
    Reply,
    Reranked,
    RerankModel,
    Usage,
    body_of,
    with_limits,
)
from hush.testing._scripted._errors import ScriptedDisconnect, ScriptedFault

if TYPE_CHECKING:
    from pydantic import BaseModel

_MODELS = {"llm": LanguageModel, "embedding": EmbeddingModel, "rerank": RerankModel}


class ScriptedSettings(Reached):
    """Settings of a scripted model.

    Attributes:
        script: The path of a script in YAML; without it, it echoes.
        llm: In code, the ``ScriptedLLM`` itself.
        model: What it is asked as; the name of the resource if not given.
    """

    script: str | None = None
    llm: Any = None
    model: str | None = None


class Speaks(Protocol):
    """A ``ScriptedLLM``."""

    def respond(self, body: Mapping[str, Any], *, stream: Any = None) -> Any: ...
    def embed(self, body: Mapping[str, Any]) -> Any: ...
    def rerank(self, body: Mapping[str, Any]) -> Any: ...


@cache
def scripted_settings() -> type[BaseModel]:
    """The model of the settings."""
    return with_limits(ScriptedSettings)


def resource_of(key: str, llm: Speaks, given: Any = None) -> Any:
    """The resource ``key`` that ``llm`` serves."""
    given = given if given is not None else scripted_settings()()
    category, _, name = key.partition(":")
    settings = ClientSettings(
        vendor="openai",
        model=given.model or name,
        resource=key,
        base_url="scripted://here",
        timeout_s=given.timeout_s,
        silence_s=given.silence_timeout_s,
    )
    return _MODELS[category](key, given, settings, lambda made: ScriptedClient(llm, made))


class ScriptedClient:
    """Asks a ``ScriptedLLM`` in process, and raises what a client over HTTP would."""

    def __init__(self, llm: Speaks, settings: ClientSettings) -> None:
        self._llm = llm
        self._settings = settings
        self._failures = Failures(settings)
        self._closed = False

    async def chat(self, request: ChatRequest, on_chunk: OnChunk | None = None) -> Reply:
        """As ``ChatClient.chat``."""
        self._check_open()
        body = body_of(request, model=self._settings.model, schema_mode="json_schema", token_parameter="max_tokens")
        reader = ChatReader(self._failures, on_chunk)
        if on_chunk is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
            reader.streamed = True
        failure: ProviderError | None = None
        now, silence_s = asyncio.get_running_loop().time, self._settings.silence_s
        until = now() + self._settings.timeout_s
        try:
            async with asyncio.timeout_at(until) as clock:
                if on_chunk is None:
                    reader.document(await self._llm.respond(body, stream=False))
                else:
                    async for chunk in self._chunks(body):
                        reader.event("", chunk)
                        reader.assembly.tell()
                        clock.reschedule(min(until, now() + silence_s))
        except TimeoutError:
            failure = self._late() if now() >= until else self._failures.too_slow(silence_s, "more of its stream")
        except ScriptedFault as fault:
            failure = None if reader.finished else self._failure(fault)
        if failure is None and not reader.finished:
            failure = reader.unfinished()
        if failure is not None:
            raise failure
        if on_chunk is not None:
            reader.assembly.tell()
        return reader.reply()

    async def _chunks(self, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        async with await self._llm.respond(body, stream=True) as stream:
            async for chunk in stream:
                yield chunk

    async def embed(self, texts: list[str], *, dimensions: int | None = None) -> Embedded:
        """As ``EmbeddingClient.embed``."""
        self._check_open()
        body = {"model": self._settings.model, "input": list(texts)}
        found = await self._asked(self._llm.embed({**body, "dimensions": dimensions} if dimensions else body))
        rows = sorted(found["data"], key=lambda row: row["index"])
        return Embedded(vectors=[row["embedding"] for row in rows], usage=_usage(found), model=found.get("model", ""))

    async def rerank(self, query: str, documents: list[str], *, top_n: int | None = None) -> Reranked:
        """As ``RerankClient.rerank``."""
        self._check_open()
        body = {"model": self._settings.model, "query": query, "documents": list(documents)}
        found = await self._asked(self._llm.rerank({**body, "top_n": top_n} if top_n else body))
        results = [Ranked(row["index"], row["relevance_score"]) for row in found["results"]]
        return Reranked(results=results, usage=_usage(found), model=found.get("model", ""))

    async def _asked(self, answer: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                found: dict[str, Any] = await answer
        except TimeoutError:
            found = {}
            failure: ProviderError = self._late()
        except ScriptedFault as fault:
            found = {}
            failure = self._failure(fault)
        else:
            if "error" not in found:
                return found
            failure = self._failures.of_object(found, {})
        raise failure

    def _late(self) -> ProviderTimeout:
        return self._failures.too_slow(self._settings.timeout_s, "answer")

    def _failure(self, fault: ScriptedFault) -> ProviderError:
        if isinstance(fault, ScriptedDisconnect):
            return Unreachable(f"{self._settings.who}: {fault.message}", resource=self._settings.resource)
        if fault.status == 200:
            return self._failures.bad(f"gave an answer that is none: {fault.message}", fault.headers)
        body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        return self._failures.of_answer(fault.status or 502, fault.headers, body.encode())

    async def aclose(self) -> None:
        """Nothing is asked any more."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ProviderError(f"{self._settings.who}: its client is closed.", resource=self._settings.resource)


def _usage(found: Mapping[str, Any]) -> Usage:
    told = found.get("usage") or {}
    sent = told.get("prompt_tokens", told.get("total_tokens"))
    return Usage(input_tokens=sent, output_tokens=0 if sent is not None else None)
