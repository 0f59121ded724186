"""``EmbeddingNode``: a small graph that asks for the vectors of any number of texts, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Limit, MapNode, Retry, UsageError
from hush.core.extend import Leaf, Serving, Uses
from hush.providers._asked import PATIENT, about, asked, refuse_unknown, usage_given
from hush.providers._model import Usage
from hush.providers._request import rough_tokens
from hush.providers.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from hush.providers._clients._embedding import EmbeddingClient

Value = Any
_ARGUMENTS = (
    "name",
    "resource_key",
    "inputs",
    "outputs",
    "batch_size",
    "batch_tokens",
    "max_concurrency",
    "timeout_s",
    "on_error",
    "retry",
    "limit",
    "cache",
    "priority",
)


class EmbeddingNode(GraphNode):
    """Gives a vector for each text, in their order: ``embeddings``.

    Its ``inputs`` are ``texts``, a list of strings, or ``text``, a single one, whose vector is then ``embedding`` too;
    and, where wanted, ``dimensions``. Texts are sent in batches, several at once, within the limits of the resource,
    and each batch is tried again by itself. If one cannot be had, the node fails, and the others are cancelled. No
    texts give no embeddings, and nobody is asked.

    Outputs: ``embeddings`` (a list of lists of floats), ``embedding``, ``usage`` (``input_tokens``, ``total_tokens``),
    ``cost`` in US dollars or ``None``, ``model_used``, ``attempts``. Of vectors, cosine similarity is what most models
    are made for.

    Args:
        name: As of every node; ``embedding`` without it.
        resource_key: ``"small"`` or ``"embedding:small"``: a key of ``resources.yaml``. Vectors of different models do
            not fit together, so there is one.
        inputs: See above.
        outputs: As of every node.
        batch_size: How many texts are sent at once at most: OpenAI takes 2048, other servers fewer.
        batch_tokens: How many tokens they may have together, counted roughly. A longer text goes alone.
        max_concurrency: How many batches are under way at once at most.
        timeout_s: Seconds that the node may take as a whole.
        on_error: As of every node.
        retry: ``Retry(...)`` in place of 8 attempts for each batch.
        limit: A limit of the node's own, besides the resource's.
        cache: As of ``CodeNode``, batch by batch.
        priority: Of batches that wait for a limit, who has a higher one goes first.
    """

    kind = "embedding"

    def __init__(
        self,
        name: str | None = None,
        *,
        resource_key: str | None = None,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        batch_size: int = 256,
        batch_tokens: int = 100_000,
        max_concurrency: int = 8,
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limit | str | list[Limit | str] | None = None,
        cache: str | Path | bool | None = None,
        priority: int = 0,
        **unknown: Value,
    ) -> None:
        refuse_unknown("EmbeddingNode", unknown, _ARGUMENTS, ("texts", "text", "dimensions"))
        if resource_key is None:
            raise UsageError(
                'EmbeddingNode(...) misses resource_key=: the model that it asks, such as resource_key="small".'
            )
        if not isinstance(resource_key, str) or not resource_key:
            raise UsageError(
                f"EmbeddingNode(resource_key={resource_key!r}) is one key: vectors of two models do not fit together."
            )
        names = (resource_key,)
        for what, value in (("batch_size", batch_size), ("batch_tokens", batch_tokens)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"EmbeddingNode({what}={value!r}): it is a whole number, 1 or more.")
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=timeout_s, on_error=on_error)
        given = inputs if isinstance(inputs, Mapping) else {}
        with self:
            split = CodeNode(
                "split",
                code_fn=_splitter(batch_size, batch_tokens),
                inputs={"texts": PARENT["text" if "text" in given else "texts"]},
                executor="inline",
            )
            over: dict[str, Value] = {"texts": Each(split["batches"])}
            asked: dict[str, Value] = {"texts": PARENT["texts"]}
            if "dimensions" in given:
                over["dimensions"] = asked["dimensions"] = PARENT["dimensions"]
            with MapNode("batches", inputs=over, max_concurrency=max_concurrency, on_error="raise") as batches:
                ask = _EmbeddingLeaf(
                    names, inputs=asked, outputs=PARENT, retry=retry, limit=limit, cache=cache, priority=priority
                )
                START >> ask >> END
            join = CodeNode(
                "join",
                code_fn=_join,
                inputs={
                    "embeddings": batches["embeddings"],
                    "usages": batches["usage"],
                    "costs": batches["cost"],
                    "attempts": batches["attempts"],
                    "resource": names[0] if names[0].startswith("embedding:") else f"embedding:{names[0]}",
                },
                outputs=PARENT,
                executor="inline",
            )
            START >> split >> batches >> join >> END


def _splitter(batch_size: int, batch_tokens: int) -> Callable[[Any], dict[str, Any]]:
    def split(texts: Any) -> dict[str, Any]:
        """Batches of at most so many texts and tokens, in order."""
        return {"batches": list(_batches(_checked(texts), batch_size, batch_tokens))}

    return split


def _checked(given: Any) -> Sequence[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple):
        raise RequestError(f"texts= is {type(given).__name__}, not a list of strings.")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise RequestError(f"texts[{number}] is {type(text).__name__}, not a string.")
        if not text:
            raise RequestError(f"texts[{number}] is empty, and has no meaning to be embedded.")
    return texts


def _batches(texts: Sequence[str], most: int, most_tokens: int) -> Iterator[list[str]]:
    batch: list[str] = []
    tokens = 0
    for text in texts:
        size = rough_tokens(text)
        if batch and (len(batch) == most or tokens + size > most_tokens):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += size
    if batch:
        yield batch


def _join(embeddings: Any, usages: Any, costs: Any, attempts: Any, resource: str) -> dict[str, Any]:
    vectors = [vector for batch in embeddings for vector in batch]
    return {
        "embeddings": vectors,
        "embedding": vectors[0] if len(vectors) == 1 else None,
        "usage": {name: _sum([usage[name] for usage in usages]) for name in ("input_tokens", "total_tokens")},
        "cost": _sum(costs) if None not in costs else None,
        "model_used": resource,
        "attempts": sum(attempts),
    }


def _sum(values: Sequence[Any]) -> Any:
    told = [value for value in values if value is not None]
    return sum(told) if told or not values else None


# --- one batch --------------------------------------------------------------------------------------------------------
class _EmbeddingLeaf(Leaf):
    """Asks for the vectors of one batch."""

    kind = "embedding"

    def __init__(self, names: tuple[str, ...], **given: Value) -> None:
        uses = Uses(
            category="embedding",
            names=names,
            ratios=None,
            fallback=(),
            serve=_serve,
            key=lambda request: request,
            tokens=lambda request, resource: {"input_tokens": sum(map(rough_tokens, request["texts"]))},
            outputs=frozenset({"embeddings", "usage", "cost", "attempts"}),
            asked=lambda request, resource: asked(resource, {"dimensions": _dimensions(request, resource)}),
            retry=PATIENT,
        )
        super().__init__("ask", fn=_request, uses=uses, **given)


def _request(texts: list[str], dimensions: int | None = None) -> dict[str, Any]:
    return {"texts": list(texts), "dimensions": dimensions}


def _dimensions(request: Mapping[str, Any], resource: Any) -> int | None:
    own: int | None = request["dimensions"]
    return getattr(resource, "dimensions", None) if own is None else own


async def _serve(request: Mapping[str, Any], client: EmbeddingClient, serving: Serving) -> Mapping[str, Any]:
    found = await client.embed(request["texts"], dimensions=_dimensions(request, serving.resource))
    if found.hold_s is not None:
        serving.hold_s(found.hold_s)
    usage: Usage = found.usage
    serving.answered(lambda: about(serving.resource, usage, found.model))
    return {
        "embeddings": [list(vector) for vector in found.vectors],
        "usage": usage_given([usage]),
        "cost": serving.resource.cost(usage, found.model),
        "attempts": serving.attempts,
    }
