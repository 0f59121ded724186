"""Which path of the server answers what: the routes of OpenAI, Azure, Anthropic, Cohere and Jina, and its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qs, unquote

from hush.testing._scripted import _anthropic_wire, _openai_wire
from hush.testing._scripted._core import ScriptedCore
from hush.testing._scripted._exchange import Refusal
from hush.testing._scripted._http_bytes import answer, whole
from hush.testing._scripted._http_server import HttpAnswer, HttpRequest
from hush.testing._scripted._request import ANTHROPIC, CHAT, EMBEDDINGS, OPENAI, RERANK, ScriptedRequest

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)")
# Whatever stands before: base URLs end in /v1, /api/v1, /openai/v1, /v1beta/openai or in nothing.
_ENDPOINTS = {"chat/completions": CHAT, "embeddings": EMBEDDINGS, "rerank": RERANK}
_MESSAGES, _COUNT = "/messages", "/messages/count_tokens"
_NOT_AZURE = "Resource not found: the query names no api-version."


class Routes:
    """Answers the requests of one server."""

    def __init__(self, core: ScriptedCore) -> None:
        self.core = core

    def received(self, count: int) -> None:
        """So many bytes of bodies came."""
        self.core.stats.bytes_in += count

    def sent(self, count: int) -> None:
        """So many bytes went."""
        self.core.stats.bytes_out += count

    def answer(self, request: HttpRequest, source: object) -> HttpAnswer:
        """What one request gets."""
        path, _, query = request.target.partition("?")
        if request.method == "POST":
            endpoint, dialect, model = _endpoint_of(path)
            if endpoint is not None:
                if model is not None and "api-version" not in parse_qs(query):
                    return _error(404, _NOT_AZURE, dialect)
                return self._call(request, source, endpoint, dialect, model)
            if path.endswith(_COUNT):
                return self._counted(request)
            if path == "/reset":
                self.core.reset()
                return HttpAnswer(whole(200, {"ok": True}))
        elif request.method == "GET":
            if path == "/stats":
                return HttpAnswer(whole(200, self.core.stats.as_dict()))
            if path in ("/", "/health"):
                return HttpAnswer(whole(200, {"status": "ok"}))
            if (found := self._models(path, request)) is not None:
                return found
        message = f"Unknown request URL: {request.method} {path}."
        return _error(404, message, ANTHROPIC if _MESSAGES in path else OPENAI)

    def _call(self, request: HttpRequest, source: object, endpoint: str, dialect: str, model: str | None) -> HttpAnswer:
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _error(400, "We could not parse the JSON body of your request: it is no object.", dialect)
        if model is not None:
            body["model"] = model  # Azure's deployments are what it calls models
        chat: Mapping[str, Any] = _anthropic_wire.as_chat(body) if dialect == ANTHROPIC else body
        asked = ScriptedRequest(body, chat, endpoint, dialect)
        try:
            exchange = self.core.begin(asked, monotonic(), source, known=self._known(request))
        except Exception as error:  # of a function in a rule: whoever calls must learn of it
            return _error(500, f"A function of the script raised {type(error).__name__}: {error}", dialect)
        steps = answer(exchange, time(), framed=request.version == "HTTP/1.1")
        return HttpAnswer(steps, partial(self._ended, exchange))

    def _ended(self, exchange: Any, gone: bool) -> None:
        self.core.end(exchange, monotonic(), abandoned=gone)

    def _known(self, request: HttpRequest) -> bool:
        headers = request.headers
        bearer = headers.get("authorization", "")
        key = bearer[7:].strip() if bearer[:7].lower() == "bearer " else None
        return self.core.allows(key, headers.get("x-api-key"), headers.get("api-key"))

    def _counted(self, request: HttpRequest) -> HttpAnswer:
        try:
            asked = ScriptedRequest({}, _anthropic_wire.as_chat(json.loads(request.body)), CHAT, ANTHROPIC)
        except (ValueError, AttributeError, TypeError):
            return _error(400, "The body is no JSON object.", ANTHROPIC)
        return HttpAnswer(whole(200, {"input_tokens": asked.prompt_tokens}))

    def _models(self, path: str, request: HttpRequest) -> HttpAnswer | None:
        before, found, wanted = path.partition("/models")
        if not found or (wanted and not wanted.startswith("/")) or "/chat" in before:
            return None
        if not self._known(request):
            return _error(401, "The API key is not the one that the script names.", OPENAI)
        names = ("scripted",) if self.core.models is None else self.core.models
        if wanted.strip("/"):
            name = unquote(wanted.strip("/"))
            if self.core.models is not None and name not in names:
                return _error(404, f"The model {name!r} does not exist.", OPENAI)
            return HttpAnswer(whole(200, _model(name)))
        listed = [_model(name) for name in names]
        return HttpAnswer(whole(200, {"object": "list", "data": listed, "has_more": False}))


def _endpoint_of(path: str) -> tuple[str | None, str, str | None]:
    """Which endpoint a path is, in which dialect, and the model that it names."""
    azure = _DEPLOYMENT.fullmatch(path)
    if azure is not None:
        return _ENDPOINTS[azure[2]], OPENAI, unquote(azure[1])
    if path.endswith(_MESSAGES) and not path.endswith("/chat/messages"):
        return CHAT, ANTHROPIC, None
    for ending, endpoint in _ENDPOINTS.items():
        if path.endswith(f"/{ending}"):
            return endpoint, OPENAI, None
    return None, OPENAI, None


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name, "object": "model", "created": 0, "owned_by": "script",
        "type": "model", "display_name": name, "created_at": "2024-01-01T00:00:00Z",
    }  # fmt: skip


def _error(status: int, message: str, dialect: str) -> HttpAnswer:
    refusal = Refusal("wrong", status, "server_error" if status >= 500 else "invalid_request_error", None, message)
    wire = _anthropic_wire if dialect == ANTHROPIC else _openai_wire
    return HttpAnswer(whole(status, wire.error_body(refusal)))
