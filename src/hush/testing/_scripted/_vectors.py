"""Embeddings and ranks without a model: unit vectors drawn from a text's hash, and scores by words in common."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import sqrt
from typing import Any

from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._named import check_keys, whole_of
from hush.testing._scripted._request import ScriptedRequest, documents_of, inputs_of, tokens_of_input
from hush.testing._scripted._tokens import tokens_of

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """How the scripted model embeds.

    Attributes:
        dimensions: The length of its vectors, where a request does not say.
        max_inputs: The most inputs of one request.
        max_tokens: The most tokens of all inputs of one request.
        max_tokens_each: The most tokens of one input.
    """

    dimensions: int = 64
    max_inputs: int = 2048
    max_tokens: int = 300_000
    max_tokens_each: int = 8192

    def __post_init__(self) -> None:
        for each in fields(self):
            whole_of(each.name, getattr(self, each.name), least=1)


def as_embedding_limits(given: Any) -> EmbeddingLimits:
    """The limits from an `EmbeddingLimits`, or a mapping with its fields."""
    if given is None or isinstance(given, EmbeddingLimits):
        return given or EmbeddingLimits()
    if not isinstance(given, Mapping):
        raise ScriptError(f"embeddings is a mapping such as {{'dimensions': 64}}, not {given!r}")
    check_keys(given, [each.name for each in fields(EmbeddingLimits)], "embeddings")
    return EmbeddingLimits(**given)


def vector_of(given: Any, dimensions: int) -> array[float]:
    """The vector of one input: of length 1, and the same for the same input in every process."""
    from hashlib import shake_128

    drawn = array("H")
    drawn.frombytes(shake_128(repr(given).encode()).digest(2 * dimensions))
    values = [each - 32767.5 for each in drawn]
    length = sqrt(sum(each * each for each in values))
    return array("f", (each / length for each in values))


def too_much(request: ScriptedRequest, limits: EmbeddingLimits) -> str | None:
    """What is too much about a request for embeddings."""
    inputs = inputs_of(request.chat)
    if len(inputs) > limits.max_inputs:
        return f"'input' has {len(inputs)} items; there may be {limits.max_inputs}"
    sizes = [tokens_of_input(each) for each in inputs]
    if max(sizes) > limits.max_tokens_each:
        return f"an input has {max(sizes)} tokens; there may be {limits.max_tokens_each}"
    if sum(sizes) > limits.max_tokens:
        return f"'input' has {sum(sizes)} tokens; there may be {limits.max_tokens}"
    return None


def embedded(request: ScriptedRequest, limits: EmbeddingLimits, *, empty: bool = False) -> dict[str, Any]:
    """The body of ``/v1/embeddings``: https://platform.openai.com/docs/api-reference/embeddings."""
    body = request.chat
    wanted = body.get("dimensions")
    dimensions = wanted if isinstance(wanted, int) and 0 < wanted <= 1 << 16 else limits.dimensions
    in_base64 = body.get("encoding_format") == "base64"
    data: list[dict[str, Any]] = []
    for place, given in enumerate([] if empty else inputs_of(body)):
        vector = vector_of(given, dimensions)
        value: Any
        if in_base64:
            from base64 import b64encode

            value = b64encode(_little(vector)).decode()
        else:
            value = vector.tolist()
        data.append({"object": "embedding", "index": place, "embedding": value})
    usage = {"prompt_tokens": request.prompt_tokens, "total_tokens": request.prompt_tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _little(vector: array[float]) -> bytes:
    import sys

    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    return vector.tobytes()


def ranked(request: ScriptedRequest, *, empty: bool = False) -> dict[str, Any]:
    """The body of ``/v1/rerank``, with what Cohere and what Jina send.

    https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc.
    """
    body = request.chat
    texts = [] if empty else documents_of(body)
    words = set(_WORD.findall(request.text.lower()))
    results = [(_score(words, text), place) for place, text in enumerate(texts)]
    results.sort(key=lambda each: (-each[0], each[1]))
    top = body.get("top_n")
    if isinstance(top, int):
        results = results[:top]
    found: list[dict[str, Any]] = []
    for score, place in results:
        one: dict[str, Any] = {"index": place, "relevance_score": score}
        if body.get("return_documents"):
            one["document"] = {"text": texts[place]}
        found.append(one)
    tokens = tokens_of(request.text) + sum(tokens_of(text) for text in texts)
    return {
        "id": f"rerank-{request.number:08d}",
        "model": request.model,
        "results": found,
        "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }


def _score(words: set[str], text: str) -> float:
    """The share of the query's words that stand in the text, and a little for how few others do."""
    others = set(_WORD.findall(text.lower()))
    if not words or not others:
        return 0.0
    common = len(words & others)
    return round(0.9 * common / len(words) + 0.1 * common / len(words | others), 6)
