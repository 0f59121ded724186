"""``RerankNode``: a node that orders documents by how well they answer a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hush.core import Limit, Retry, UsageError
from hush.core.extend import Leaf, Serving, Uses
from hush.providers._asked import PATIENT, about, asked, keys_of, refuse_unknown, usage_given
from hush.providers._request import rough_tokens
from hush.providers.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from hush.providers._clients._rerank import RerankClient

Value = Any
_ARGUMENTS = (
    "name",
    "resource_key",
    "fallback",
    "inputs",
    "outputs",
    "timeout_s",
    "on_error",
    "retry",
    "limit",
    "cache",
    "version",
    "priority",
)
_OUTPUTS = frozenset({"results", "documents", "scores", "indexes", "usage", "cost", "model_used", "attempts"})


def _request(query: str, documents: list[Any], top_n: int | None = None) -> dict[str, Any]:
    if not isinstance(query, str) or not query:
        raise RequestError(f"query= is {query!r}, not a question as text.")
    if not isinstance(documents, list | tuple):
        raise RequestError(f"documents= is {type(documents).__name__}, not a list of strings.")
    for number, one in enumerate(documents):
        if not isinstance(one, str):
            raise RequestError(f"documents[{number}] is {type(one).__name__}, not a string.")
    if top_n is not None and (isinstance(top_n, bool) or not isinstance(top_n, int) or top_n < 1):
        raise RequestError(f"top_n={top_n!r}: it is a number of documents, 1 or more.")
    return {"query": query, "documents": list(documents), "top_n": top_n}


class RerankNode(Leaf):
    """Orders ``documents`` by how well they answer ``query``, best first.

    Its ``inputs`` are ``query``, ``documents`` (a list of strings) and, where wanted, ``top_n``. Outputs: ``results``,
    a list of ``{"index", "score", "document"}``, and the same as columns, ``documents``, ``scores``, ``indexes``
    (places in what was given); ``usage``, ``cost``, ``model_used``, ``attempts``. No documents give no results, and
    nobody is asked. What scores mean is the model's affair: they compare within one answer.

    Args:
        name: As of every node; ``rerank`` without it.
        resource_key: ``"best"`` or ``"rerank:best"``: a key of ``resources.yaml``, or several, asked in turn.
        fallback: Keys of those to ask when it fails, in order.
        inputs: See above.
        outputs: As of every node.
        timeout_s: As of ``LLMNode``; so are ``retry``, ``limit``, ``cache``, ``version`` and ``priority``.
    """

    kind = "rerank"

    def __init__(
        self,
        name: str | None = None,
        *,
        resource_key: str | Sequence[str] | None = None,
        fallback: str | Sequence[str] = (),
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limit | str | list[Limit | str] | None = None,
        cache: str | Path | bool | None = None,
        version: str | None = None,
        priority: int = 0,
        **unknown: Value,
    ) -> None:
        refuse_unknown("RerankNode", unknown, _ARGUMENTS, _request.__annotations__)
        names = () if resource_key is None else keys_of("RerankNode", "resource_key", resource_key)
        if not names:
            raise UsageError(
                'RerankNode(...) misses resource_key=: the model that it asks, such as resource_key="best".'
            )
        uses = Uses(
            category="rerank",
            names=names,
            ratios=None,
            fallback=keys_of("RerankNode", "fallback", fallback),
            serve=_serve,
            key=dict,
            tokens=_expected,
            outputs=_OUTPUTS,
            asked=lambda request, resource: asked(resource, {"top_n": request["top_n"]}),
            retry=PATIENT,
        )
        super().__init__(
            name,
            fn=_request,
            inputs=inputs,
            outputs=outputs,
            timeout_s=timeout_s,
            on_error=on_error,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            uses=uses,
            suggested="rerank",
        )


async def _serve(request: Mapping[str, Any], client: RerankClient, serving: Serving) -> Mapping[str, Any]:
    documents = request["documents"]
    told: dict[str, Any] = {"model_used": serving.resource.name, "attempts": serving.attempts}
    if not documents:
        return {
            "results": [],
            "documents": [],
            "scores": [],
            "indexes": [],
            "usage": usage_given([]),
            "cost": 0.0,
            **told,
        }
    found = await client.rerank(request["query"], documents, top_n=request["top_n"])
    if found.hold_s is not None:
        serving.hold_s(found.hold_s)
    serving.answered(lambda: about(serving.resource, found.usage, found.model))
    results = [{"index": one.index, "score": one.score, "document": documents[one.index]} for one in found.results]
    return {
        "results": results,
        "documents": [one["document"] for one in results],
        "scores": [one["score"] for one in results],
        "indexes": [one["index"] for one in results],
        "usage": usage_given([found.usage]),
        "cost": serving.resource.cost(found.usage, found.model),
        **told,
    }


def _expected(request: Mapping[str, Any], resource: Any) -> Mapping[str, int]:
    asked = rough_tokens(request["query"])
    return {"input_tokens": sum(rough_tokens(one) + asked for one in request["documents"])}
