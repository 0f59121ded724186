"""The clients for embeddings and for reranking."""

from __future__ import annotations

import array
import base64
import sys

import pytest

from hush.core._runtime._signals import signal_of
from hush.providers._clients._embedding import EmbeddingClient
from hush.providers._clients._rerank import RerankClient
from hush.providers._clients._settings import ClientSettings
from hush.providers.errors import BadReply, ProviderError, RefusedByProvider
from kit.llm_forms import KEY
from kit.llm_wire import CLOSE, answer, serving


async def ask(kind, call, *steps, **settings):
    async with serving() as server:
        server.answers(*steps)
        given = {"base_url": f"{server.url}/v1", **settings}
        if "base_url" in settings:
            given["proxy"] = server.url
        client = kind(ClientSettings(vendor="openai", model="m", resource="embedding:x", api_key=KEY, **given))
        try:
            found = await call(client)
        finally:
            await client.aclose()
            await server.until(lambda: not server.open)
        return found, server.seen[0]


def embed(*steps, texts=("a", "b"), **settings):
    return ask(EmbeddingClient, lambda client: client.embed(list(texts)), *steps, **settings)


def packed(*numbers):
    found = array.array("f", numbers)
    if sys.byteorder == "big":
        found.byteswap()
    return base64.b64encode(found.tobytes()).decode()


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 1, "embedding": [0, 2.5]}, {"index": 0, "embedding": [0.5, 1]}],
        [{"index": 0, "embedding": packed(0.5, 1)}, {"index": 1, "embedding": packed(0, 2.5)}],
        [{"embedding": [0.5, 1]}, {"embedding": [[0, 2.5]]}],
        [[0.5, 1], [0, 2.5]],
    ],
)
async def test_vectors_are_in_the_order_of_the_texts(data):
    found, seen = await embed(*answer({"data": data, "model": "m-2", "usage": {"prompt_tokens": 3, "total_tokens": 3}}))
    assert [list(vector) for vector in found.vectors] == [[0.5, 1.0], [0.0, 2.5]]
    assert (found.usage.input_tokens, found.model) == (3, "m-2")
    assert seen.path == "/v1/embeddings"
    assert seen.json == {"model": "m", "input": ["a", "b"]}
    assert seen.headers["authorization"] == f"Bearer {KEY}"


async def test_openai_itself_sends_them_packed():
    data = [{"index": 0, "embedding": packed(1)}, {"index": 1, "embedding": packed(2)}]
    _, seen = await embed(*answer({"data": data}), base_url="http://api.openai.com/v1")
    assert seen.json["encoding_format"] == "base64"


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"index": 0, "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": ["x"]}]},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": "?"}]},
        {"data": None},
        [],
        b"<html>",
    ],
)
async def test_what_is_no_vector_for_each_text_is_an_error(body):
    with pytest.raises(BadReply) as caught:
        await embed(*answer(body))
    assert type(caught.value) is BadReply


async def test_dimensions_and_more_are_sent():
    data = answer({"data": [{"embedding": [1]}]})
    _, seen = await ask(
        EmbeddingClient, lambda client: client.embed(["a"], dimensions=1, extra={"input_type": "query"}), *data
    )
    assert seen.json == {"model": "m", "input": ["a"], "dimensions": 1, "input_type": "query"}


def rerank(*steps, top_n=None, **settings):
    return ask(RerankClient, lambda client: client.rerank("q", ["a", "b", "c"], top_n=top_n), *steps, **settings)


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]},
        {
            "results": [
                {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
                {"index": 2, "relevance_score": 0.9},
            ]
        },
        {"data": [{"index": 0, "relevance_score": 0.1}, {"index": 2, "relevance_score": 0.9}]},
        [{"index": 2, "score": 0.9}, {"index": 0, "score": 0.1}],
        {"results": [{"index": 2, "score": 0.9}, {"index": 0, "score": 0.1}, {"index": 1, "score": -8}]},
    ],
)
async def test_the_best_come_first(body):
    found, seen = await rerank(*answer(body), top_n=2)
    assert [(each.index, each.score) for each in found.results] == [(2, 0.9), (0, 0.1)]
    assert seen.path == "/v1/rerank"
    assert seen.json == {"model": "m", "query": "q", "documents": ["a", "b", "c"], "top_n": 2}
    assert seen.headers["authorization"] == f"Bearer {KEY}"


async def test_tokens_of_reranking_are_counted():
    found, _ = await rerank(*answer({"results": [], "usage": {"total_tokens": 12}}))
    assert found.usage.input_tokens == 12
    found, _ = await rerank(*answer({"results": [], "meta": {"tokens": {"input_tokens": 4, "output_tokens": 0}}}))
    assert found.usage.input_tokens == 4


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"index": 3, "score": 1}]},
        {"results": [{"index": 0, "score": 1}, {"index": 0, "score": 1}]},
        {"results": [{"index": 0, "score": "high"}]},
        {"results": [{"index": 0, "score": float("nan")}]},
        {"results": [{}]},
        {"results": None},
        {},
    ],
)
async def test_what_is_no_ranking_is_an_error(body):
    with pytest.raises(BadReply):
        await rerank(*answer(body))


@pytest.mark.parametrize("kind", [embed, rerank])
async def test_refusals_are_those_of_all_clients(kind):
    with pytest.raises(RefusedByProvider) as caught:
        await kind(*answer({"detail": f"bad key {KEY}"}, 401, {"x-request-id": "r"}))
    assert KEY not in str(caught.value)
    assert "api_key of embedding:x" in str(caught.value)
    assert caught.value.request_id == "r"
    with pytest.raises(RefusedByProvider) as caught:
        await kind(*answer({"error": {"code": 503, "message": "x"}}))
    assert signal_of(caught.value).retryable
    with pytest.raises(ProviderError) as caught:
        await kind(CLOSE)
    assert signal_of(caught.value).retryable
    assert caught.value.__context__ is None
