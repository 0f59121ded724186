"""The client for OpenAI and everybody who speaks its form: OpenRouter, vLLM, Ollama, llama.cpp, Gemini, Azure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from hush.providers._clients._http import Post, Wire
from hush.providers._clients._openai_reply import ChatReader
from hush.providers._clients._openai_request import TOKEN_PARAMETERS, body_of
from hush.providers._clients._settings import ClientSettings
from hush.providers._clients._thoughts import Returning
from hush.providers._model import ChatRequest, OnChunk, Reply
from hush.providers.errors import RefusedByProvider

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

_AZURE_VERSION = "2024-10-21"  # the last dated one that is no preview
_MOST_LESSONS = 4


class OpenAIClient:
    """A ``ChatClient``.

    It learns from refusals, once for all later requests: that a server knows no ``stream_options``, which of
    ``max_tokens`` and ``max_completion_tokens`` it wants if ``token_parameter`` does not say so, and what it wants to
    see again of what was thought. A request that taught it something is sent again at once.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings, "openai", openai_poster)
        self._tells_usage = True
        self._returning = Returning(none=settings.vendor == "gemini" or _is_openai_itself(settings))
        self._token_parameter: str = settings.token_parameter or (
            "max_completion_tokens" if _is_openai_itself(settings) else "max_tokens"
        )

    async def chat(self, request: ChatRequest, on_chunk: OnChunk | None = None) -> Reply:
        lessons = 0
        while True:
            body = self._body(request, streamed=on_chunk is not None)
            reader = ChatReader(self._wire.failures, on_chunk)
            try:
                tell = reader.assembly.tell if on_chunk is not None else None
                await self._wire.ask("/chat/completions", body, reader, tell)
            except RefusedByProvider as error:
                lessons += 1
                if lessons > _MOST_LESSONS or not self._learns(error, request, body):
                    raise
            else:
                return reader.reply()

    async def aclose(self) -> None:
        await self._wire.aclose()

    def _body(self, request: ChatRequest, *, streamed: bool) -> dict[str, Any]:
        settings = self._settings
        if request.parameters.get("n", 1) != 1:
            raise self._wire.failures.of_request("n: one answer is given for each request; ask several times.")
        body = body_of(
            request,
            model=settings.model,
            schema_mode=settings.schema_mode,
            token_parameter=self._token_parameter,
            thoughts=self._returning.of(request),
        )
        if streamed:
            body["stream"] = True
            if self._tells_usage:
                body.setdefault("stream_options", {"include_usage": True})
        return body

    def _learns(self, error: RefusedByProvider, request: ChatRequest, body: Mapping[str, Any]) -> bool:
        """Whether another request should be sent in place of the one that was refused."""
        if error.status_code not in (400, 422):
            return False
        text = str(error)
        if "stream_options" in body and "stream_options" in text:
            self._tells_usage = False
            return True
        if self._returning.learns(text, request):
            return True
        if self._settings.token_parameter is not None:
            return False
        sent = next((name for name in TOKEN_PARAMETERS if name in body), None)
        if sent is None or sent not in text:
            return False
        other = TOKEN_PARAMETERS[1 - TOKEN_PARAMETERS.index(sent)]
        # "Unsupported parameter: 'max_tokens' ... Use 'max_completion_tokens' instead", or that it is not known. A
        # value that is too large names the parameter as well.
        unknown = ("unsupported", "not supported", "unknown", "unrecognized", "unexpected", "not permitted", "extra")
        if other not in text.replace(sent, "") and not any(word in text.lower() for word in unknown):
            return False
        if self._token_parameter == sent:
            self._token_parameter = other
        return self._token_parameter != sent


def _is_openai_itself(settings: ClientSettings) -> bool:
    host = settings.host
    return settings.vendor == "azure" or host.endswith((".openai.com", ".openai.azure.com")) or host == "openai.com"


def openai_poster(settings: ClientSettings, http: AsyncClient) -> Post:
    """Requests written by OpenAI's client, which reads nothing from the environment."""
    import openai
    from httpx2 import Response as Answer

    # Set explicitly, these are not taken from the environment: what stands there may be meant for another server.
    headers: dict[str, Any] = {name: openai.Omit() for name in _ambient_headers()}
    if settings.vendor != "azure":
        headers["Authorization"] = settings.authorization or openai.Omit()
    headers.update(settings.headers)
    common: dict[str, Any] = {
        "api_key": settings.api_key or "none",
        "organization": settings.organization,
        "project": settings.project,
        "http_client": http,
        "max_retries": 0,
        "timeout": http.timeout,
    }
    sdk: openai.AsyncOpenAI
    if settings.vendor == "azure" and "/openai/v1" not in settings.url:
        sdk = openai.AsyncAzureOpenAI(
            azure_endpoint=settings.bare_url,
            azure_deployment=settings.deployment or settings.model,
            api_version=settings.api_version or _AZURE_VERSION,
            **common,
        )
    else:
        if settings.vendor == "azure":
            headers["api-key"] = settings.api_key or openai.Omit()
            headers.setdefault("Authorization", openai.Omit())
        sdk = openai.AsyncOpenAI(base_url=settings.bare_url, **common)
    sdk.organization, sdk.project = settings.organization, settings.project

    async def post(path: str, body: Mapping[str, Any]) -> Response:
        answer = await sdk.post(
            path,
            cast_to=Answer,
            body=body,
            options={"headers": headers},
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return cast("Response", answer)  # a response is given as it is, with its body unread

    return post


def _ambient_headers() -> list[str]:
    """The names of the headers that OpenAI's client would take from the environment."""
    import os

    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    return [name.strip() for line in lines if (name := line.partition(":")[0].strip()) and ":" in line]
