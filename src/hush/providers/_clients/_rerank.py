"""The client for reranking, in the form that Cohere, Jina, vLLM and llama.cpp share.

https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc#tag/rerank
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hush.providers._clients._failures import Failures
from hush.providers._clients._http import Post, Wire
from hush.providers._clients._lenient import as_count, as_list, as_mapping, as_word, dumps
from hush.providers._clients._limits import hold_s
from hush.providers._clients._openai_reply import usage_of
from hush.providers._clients._reading import Reader
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import Usage

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document by its place in what was given, and how well it fits."""

    index: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """The documents that fit best, best first.

    Attributes:
        hold_s: As in ``Reply``.
    """

    results: Sequence[Ranked]
    usage: Usage
    model: str = ""
    hold_s: float | None = None


class RerankClient:
    """Orders documents by how well they fit a query. Raises what a ``ChatClient`` raises."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings, "httpx2", _poster)

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Reranked:
        """One request for all of ``documents``; at most ``top_n`` come back, or all; ``extra`` is sent as it is."""
        body: dict[str, Any] = {"model": self._settings.model, "query": query, "documents": list(documents)}
        if top_n is not None:
            body["top_n"] = top_n
        reader = _RankReader(self._wire.failures, len(documents))
        await self._wire.ask("/rerank", {**body, **(extra or {})}, reader)
        return reader.reranked(top_n)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()


class _RankReader(Reader):
    """Reads a list of places and scores."""

    def __init__(self, failures: Failures, count: int) -> None:
        super().__init__(failures)
        self._count = count
        self._scores: dict[int, float] = {}
        self._usage: dict[str, int] = {}
        self._model = ""

    def event(self, name: str, data: Any) -> None:
        self.document(data)

    def document(self, found: Any) -> None:
        answer = as_mapping(found)
        if answer.get("error") or answer.get("object") == "error":
            raise self.failures.of_object(found, self.headers)
        results = found if isinstance(found, list) else answer.get("results", answer.get("data"))
        if not isinstance(results, list):
            raise self.failures.bad("gave an answer without results.", self.headers)
        for each in as_list(results):
            one = as_mapping(each)
            index, score = as_count(one.get("index")), one.get("relevance_score", one.get("score"))
            number = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
            if index is None or index >= self._count or index in self._scores or not number:
                raise self.failures.bad(f"gave a result that is none: {each!r}", self.headers)
            self._scores[index] = float(score)
        counts = usage_of(answer.get("usage") or as_mapping(answer.get("meta")).get("tokens"))
        if counts["input_tokens"] is None:
            counts["input_tokens"] = as_count(as_mapping(answer.get("usage")).get("total_tokens"))
        self._usage = {name: count for name, count in counts.items() if count is not None}
        self._model = as_word(answer.get("model")) or ""
        self.finished = True

    def reranked(self, top_n: int | None) -> Reranked:
        """The whole, once all has come."""
        ranked = sorted(
            (Ranked(index, score) for index, score in self._scores.items()), key=lambda each: (-each.score, each.index)
        )
        return Reranked(
            results=ranked[:top_n], usage=Usage(**self._usage), model=self._model, hold_s=hold_s(self.headers)
        )


def _poster(settings: ClientSettings, http: AsyncClient) -> Post:
    headers = {"Content-Type": "application/json", **settings.headers}
    if settings.authorization is not None:
        headers.setdefault("Authorization", settings.authorization)
    base = settings.bare_url.rstrip("/")

    async def post(path: str, body: Mapping[str, Any]) -> Response:
        request = http.build_request("POST", f"{base}{path}", content=dumps(body).encode(), headers=headers)
        return await http.send(request, stream=True)

    return post
