"""The client for embeddings in OpenAI's form (https://platform.openai.com/docs/api-reference/embeddings)."""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hush.providers._clients._failures import Failures
from hush.providers._clients._http import Wire
from hush.providers._clients._lenient import as_count, as_list, as_mapping, as_word
from hush.providers._clients._limits import hold_s
from hush.providers._clients._openai import openai_poster
from hush.providers._clients._openai_reply import usage_of
from hush.providers._clients._reading import Reader
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """One vector for each text, in their order.

    Attributes:
        hold_s: As in ``Reply``.
    """

    vectors: Sequence[Sequence[float]]
    usage: Usage
    model: str = ""
    hold_s: float | None = None


class EmbeddingClient:
    """Turns texts into vectors. Raises what a ``ChatClient`` raises."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings, "openai", openai_poster)

    async def embed(
        self, texts: Sequence[str], *, dimensions: int | None = None, extra: Mapping[str, Any] | None = None
    ) -> Embedded:
        """One request for all of ``texts``, which are at least one; ``extra`` is sent as it is."""
        body: dict[str, Any] = {"model": self._settings.model, "input": list(texts)}
        if dimensions is not None:
            body["dimensions"] = dimensions
        if self._settings.host.endswith((".openai.com", ".openai.azure.com")):
            body["encoding_format"] = "base64"  # a third of the bytes; others may not know it
        reader = _VectorReader(self._wire.failures, len(texts))
        await self._wire.ask("/embeddings", {**body, **(extra or {})}, reader)
        return reader.embedded()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()


class _VectorReader(Reader):
    """Reads a list of embeddings."""

    def __init__(self, failures: Failures, count: int) -> None:
        super().__init__(failures)
        self._vectors: list[Sequence[float] | None] = [None] * count
        self._usage: dict[str, int] = {}
        self._model = ""

    def event(self, name: str, data: Any) -> None:
        self.document(data)

    def document(self, found: Any) -> None:
        answer = as_mapping(found)
        if answer.get("error") or answer.get("object") == "error":
            raise self.failures.of_object(found, self.headers)
        for place, each in enumerate(as_list(answer.get("data") or answer.get("embeddings"))):
            index = as_count(as_mapping(each).get("index"))
            index = place if index is None else index
            vector = _vector(each.get("embedding") if isinstance(each, Mapping) else each)
            if vector is None or index >= len(self._vectors):
                raise self.failures.bad(f"gave an embedding that is none, at place {index}.", self.headers)
            self._vectors[index] = vector
        if len({len(vector) for vector in self._vectors if vector is not None}) > 1:
            raise self.failures.bad("gave embeddings of different lengths.", self.headers)
        missing = self._vectors.count(None)
        if missing:
            text = f"gave {len(self._vectors) - missing} embeddings for {len(self._vectors)} texts."
            raise self.failures.bad(text, self.headers)
        self._usage = {name: count for name, count in usage_of(answer.get("usage")).items() if count is not None}
        self._model = as_word(answer.get("model")) or ""
        self.finished = True

    def embedded(self) -> Embedded:
        """The whole, once all has come."""
        vectors = [vector for vector in self._vectors if vector is not None]
        return Embedded(vectors=vectors, usage=Usage(**self._usage), model=self._model, hold_s=hold_s(self.headers))


def _vector(found: Any) -> Sequence[float] | None:
    if isinstance(found, str):
        try:
            numbers = array("f")
            numbers.frombytes(b64decode(found, validate=True))
        except ValueError:
            return None
        if sys.byteorder == "big":
            numbers.byteswap()
        return _finite(numbers.tolist())
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]  # llama.cpp, of pooled ones
    if not isinstance(found, list):
        return None
    if not all(isinstance(number, float | int) and not isinstance(number, bool) for number in found):
        return None
    return _finite([float(number) for number in found])


def _finite(numbers: list[float]) -> list[float] | None:
    """Those that a vector may have; the sum of others is no number either."""
    return numbers if numbers and math.isfinite(sum(numbers)) else None
