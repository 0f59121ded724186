"""``hub.check()`` asks a model for as little as shows that its address, certificate, key and name are right.

That is the list of models, which costs nothing. A model that is not on it is asked for one token, since not all lists
are whole. Azure lists no deployments, but refuses an empty request in other words than one to a deployment that it does
not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hush.core.extend import nearest
from hush.providers._clients._anthropic import api_version
from hush.providers._clients._connections import connections, tls_context
from hush.providers._clients._failures import Failures, lowered
from hush.providers._model import ChatRequest
from hush.providers.errors import ProviderError

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from hush.providers._clients._settings import ClientSettings

_MOST_BYTES = 8_000_000
_NO_LIST = (404, 405, 501)
_AZURE_VERSION = "2024-10-21"

Least = Callable[[], Awaitable[object]]


async def probed_chat(settings: ClientSettings, client: Callable[[ClientSettings], Any]) -> str:
    """Of a language model: what was found. Raises a ``ProviderError``."""
    nameless = replace(settings, resource="")  # whoever reads the error is told of whom it is

    async def least() -> None:
        asked = ChatRequest(messages=[{"role": "user", "content": "1"}], parameters={"max_tokens": 1})
        await _with(client(nameless), lambda one: one.chat(asked))

    return await _probed(nameless, "chat/completions", {"messages": []}, least)


async def probed_embedding(settings: ClientSettings, client: Callable[[ClientSettings], Any]) -> str:
    """Of an embedding model."""
    nameless = replace(settings, resource="")  # whoever reads the error is told of whom it is

    async def least() -> None:
        await _with(client(nameless), lambda one: one.embed(["1"]))

    return await _probed(nameless, "embeddings", {"input": []}, least)


async def probed_rerank(settings: ClientSettings, client: Callable[[ClientSettings], Any]) -> str:
    """Of a reranking model."""
    nameless = replace(settings, resource="")  # whoever reads the error is told of whom it is

    async def least() -> None:
        await _with(client(nameless), lambda one: one.rerank("1", ["1"]))

    return await _probed(nameless, "rerank", {}, least)


async def _with(client: Any, ask: Callable[[Any], Awaitable[object]]) -> None:
    try:
        await ask(client)
    finally:
        await client.aclose()


async def _probed(settings: ClientSettings, path: str, nothing: Mapping[str, Any], least: Least) -> str:
    failures = Failures(settings)
    failure: ProviderError | None = None
    try:
        context = await tls_context(settings)
        async with connections(settings, context) as http:
            if settings.vendor == "azure":
                return await _deployment(settings, http, failures, path, nothing)
            asked = await _list(settings, http, failures)
    except ProviderError as error:
        failure = error
    except Exception as error:
        failure, _ = failures.of_exception(error)
    else:
        if asked is None:
            return f"{settings.host} was reached; it has no list to verify the model {settings.model}"
        if settings.model in asked:
            return f"{settings.model} at {settings.host}"
        try:
            await least()
        except ProviderError as error:
            near = nearest(settings.model, asked)
            hint = f" Did you mean {near}?" if near is not None and error.status_code in (400, 404, 422) else ""
            failure = error if not hint else ProviderError(f"{error}{hint}")
        else:
            return f"{settings.model} at {settings.host}, which does not list it"
    # Raised here, where no error of a client is being handled, which would hold the request with its key.
    raise failure


async def _list(settings: ClientSettings, http: AsyncClient, failures: Failures) -> set[str] | None:
    """The names of the models that the server lists; ``None`` if it has no list, nothing if it shows none of it."""
    base = settings.bare_url.rstrip("/")
    if settings.vendor == "anthropic":
        base = f"{base.removesuffix('/v1')}/v1"
    url = f"{base}/models" + ("?limit=1000" if settings.vendor == "anthropic" else "")
    status, headers, body = await _asked(http, "GET", url, settings)
    if status in _NO_LIST:
        return None
    if status == 403:
        return set()  # the key may be for other things than lists
    if not 200 <= status < 300:
        raise failures.of_answer(status, headers, body)
    try:
        found = set(_names(loads(body)))
    except (ValueError, RecursionError):
        raise failures.bad("gave a list of models that is no JSON: look at base_url.") from None
    return found or None


def _names(found: Any) -> Iterator[str]:
    """The names in a list of models: OpenAI's and Anthropic's ``data``, or Ollama's and Gemini's ``models``."""
    listed = found if isinstance(found, list) else []
    if isinstance(found, Mapping):
        listed = next((found[key] for key in ("data", "models") if isinstance(found.get(key), list)), [])
    for one in listed:
        for key in ("id", "name", "model"):
            name = one.get(key) if isinstance(one, Mapping) else one
            if isinstance(name, str):
                yield name
                yield name.removeprefix("models/")
                yield name.removesuffix(":latest")


async def _deployment(
    settings: ClientSettings, http: AsyncClient, failures: Failures, path: str, nothing: Mapping[str, Any]
) -> str:
    base, name = settings.bare_url.rstrip("/"), settings.deployment or settings.model
    if "/openai/v1" in base:
        url = f"{base}/{path}"
    else:
        version = quote(settings.api_version or _AZURE_VERSION)
        url = f"{base}/openai/deployments/{quote(name)}/{path}?api-version={version}"
    status, headers, body = await _asked(http, "POST", url, settings, {"model": name, **nothing})
    if 200 <= status < 300 or status in (400, 422):
        return f"{name} at {settings.host}"
    raise failures.of_answer(status, headers, body)


async def _asked(
    http: AsyncClient, method: str, url: str, settings: ClientSettings, body: Mapping[str, Any] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """What a request was answered, of its body no more than ``_MOST_BYTES``."""
    key = settings.api_key
    headers: dict[str, str] = {"Accept": "application/json"}
    if settings.authorization and settings.vendor != "azure":
        headers["Authorization"] = settings.authorization
    if key and settings.vendor == "azure":
        headers["api-key"] = key
    if settings.vendor == "anthropic":
        headers["anthropic-version"] = await api_version(http)
        if key:
            headers["X-Api-Key"] = key
    headers |= settings.headers
    async with http.stream(method, url, headers=headers, json=body) as response:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES:
                break
        return response.status_code, lowered(response.headers), b"".join(parts)
