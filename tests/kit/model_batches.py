"""Batches of questions to a scripted model in virtual time, and what its server counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, ResourceHub
from hush.providers import LLMNode
from hush.testing import ScriptedLLM, run_virtual


class Batch(NamedTuple):
    """What became of it.

    Attributes:
        answers: One place for each question.
        errors: The same.
        seconds: How long it took, in virtual time.
    """

    answers: list[Any]
    errors: list[Any]
    seconds: float

    @property
    def answered(self) -> int:
        return sum(answer is not None for answer in self.answers)


def batch_graph(max_concurrency: int = 64, inputs: dict[str, Any] | None = None, **given: Any) -> GraphNode:
    """One question an item: inputs ``questions`` and, for what ``inputs`` reads, ``more``."""
    each: dict[str, Any] = {"question": Each(PARENT["questions"])}
    if inputs:
        each["more"] = Each(PARENT["more"])
    with GraphNode(name="batch") as graph:
        with MapNode(name="each", inputs=each, max_concurrency=max_concurrency) as asked:
            LLMNode(
                name="llm",
                inputs={"messages": PARENT["question"], **(inputs or {})},
                outputs={"content": PARENT["answer"]},
                **{"resource_key": "m", **given},
            )
        asked["answer"] >> PARENT["answers"]
        asked["error"] >> PARENT["errors"]
    return graph


def batch(
    hub: ResourceHub | ScriptedLLM,
    questions: int | Sequence[str],
    *,
    seed: int = 0,
    more: Sequence[Any] | None = None,
    then: Callable[[], Any] = lambda: None,
    **given: Any,
) -> Batch:
    """Ask all questions in virtual time. ``given`` is for ``batch_graph``; ``then`` makes what is awaited then."""
    if isinstance(hub, ScriptedLLM):
        hub = ResourceHub({"llm:m": hub})
    asked = [f"question {number}" for number in range(questions)] if isinstance(questions, int) else list(questions)
    engine = Hush(batch_graph(**given), resources=hub)

    async def main() -> Batch:
        inputs: dict[str, Any] = {"questions": asked}
        if more is not None:
            inputs["more"] = list(more)
        result = await engine.run(inputs)
        found = Batch(result["answers"], result["errors"], asyncio.get_running_loop().time())
        after = then()
        if after is not None:
            await after
        return found

    return run_virtual(main, seed=seed, max_passes=10_000_000)
