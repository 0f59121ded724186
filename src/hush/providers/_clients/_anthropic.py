"""The client for Anthropic's models, and for servers with its route (llama.cpp). It needs the extra ``anthropic``.

A schema is enforced by ``output_config`` (https://platform.claude.com/docs/en/build-with-claude/structured-outputs);
for models that do not have it, ``schema_mode`` of the resource says so, and the schema then stands in the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from hush.providers._clients._anthropic_messages import Untranslatable
from hush.providers._clients._anthropic_reply import MessageReader
from hush.providers._clients._anthropic_request import body_of
from hush.providers._clients._http import Post, Wire, imported
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatRequest, OnChunk, Reply

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response


class AnthropicClient:
    """A ``ChatClient``. A parameter that Anthropic does not know is refused, never left out."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings, "anthropic", _poster)

    async def chat(self, request: ChatRequest, on_chunk: OnChunk | None = None) -> Reply:
        body = self._body(request)
        if on_chunk is not None:
            body["stream"] = True
        reader = MessageReader(self._wire.failures, on_chunk)
        await self._wire.ask("/v1/messages", body, reader, reader.assembly.tell if on_chunk is not None else None)
        return reader.reply()

    async def aclose(self) -> None:
        await self._wire.aclose()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        try:
            return body_of(request, self._settings, _enforced)
        except Untranslatable as error:
            what = str(error)
        raise self._wire.failures.of_request(what)


async def api_version(http: AsyncClient) -> str:
    """What Anthropic's client sends as ``anthropic-version``; ``http`` is not used for anything."""
    await imported("anthropic")
    import anthropic

    sdk = anthropic.AsyncAnthropic(api_key="none", base_url="http://127.0.0.1", http_client=http)
    return str(sdk.default_headers["anthropic-version"])


def _enforced(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    from anthropic import transform_schema

    return transform_schema(dict(schema))


def _poster(settings: ClientSettings, http: AsyncClient) -> Post:
    """Requests written by Anthropic's client, which takes no credentials and no address from the environment."""
    import os

    import anthropic
    from httpx2 import Response as Answer

    lines = os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
    headers: dict[str, Any] = {line.partition(":")[0].strip(): anthropic.Omit() for line in lines if ":" in line}
    headers["Authorization"] = settings.authorization or anthropic.Omit()
    if settings.api_key:
        headers["X-Api-Key"] = settings.api_key  # which servers know that the client's own way is new to
    headers.update(settings.headers)
    sdk = anthropic.AsyncAnthropic(
        api_key=settings.api_key or "none",
        base_url=settings.bare_url.rstrip("/").removesuffix("/v1"),
        default_headers=headers,  # those of a single request would stand in its log
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )

    async def post(path: str, body: Mapping[str, Any]) -> Response:
        answer = await sdk.post(
            path,
            cast_to=Answer,
            body=body,
            options={"timeout": http.timeout},
            stream=True,
            stream_cls=anthropic.AsyncStream[Any],
        )
        return cast("Response", answer)  # a response is given as it is, with its body unread

    return post
