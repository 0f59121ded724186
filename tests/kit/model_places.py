"""The places where one scripted model can be asked by nodes: in process, and over real sockets as each vendor is.

The clock of real sockets is the machine's: tests over them wait for nothing longer than a moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from hush.core import PARENT, GraphNode, Hush, ResourceHub, Retry
from hush.providers import LLMNode
from hush.testing import ScriptedLLM, llm_server

PLACES = ("in process", "openai", "azure", "anthropic")
SOCKETS = PLACES[1:]

SOON = Retry(backoff_s=0.001, max_attempts=4)
"""As patient as tests over real sockets can be."""

KEY = "hk-9c1f5e72d04b"


def settings_of(place: str, url: str, **more: Any) -> dict[str, Any]:
    """What stands in ``resources.yaml`` for a model that is asked at ``place``."""
    match place:
        case "openai":
            return {"type": "openai", "base_url": f"{url}/v1", "api_key": KEY, "model": "m", **more}
        case "azure":
            return {"type": "azure", "base_url": url, "api_key": KEY, "deployment": "m", **more}
        case "anthropic":
            return {"type": "anthropic", "base_url": url, "api_key": KEY, "model": "m", **more}
    raise ValueError(place)


@asynccontextmanager
async def served(place: str, **models: ScriptedLLM) -> AsyncIterator[dict[str, Any]]:
    """Settings of ``llm:name`` for each model, all at one kind of place, while the block runs."""
    if place == "in process":
        yield {f"llm:{name}": {"type": "scripted", "llm": llm, "model": "m"} for name, llm in models.items()}
        return
    settings: dict[str, Any] = {}

    @asynccontextmanager
    async def among(left: list[tuple[str, ScriptedLLM]]) -> AsyncIterator[dict[str, Any]]:
        if not left:
            yield settings
            return
        (name, llm), *rest = left
        async with llm_server(llm) as url:
            settings[f"llm:{name}"] = settings_of(place, url)
            async with among(rest) as found:
                yield found

    async with among(list(models.items())) as found:
        yield found


def asking(key: Any = "m", inputs: Mapping[str, Any] | None = None, **given: Any) -> GraphNode:
    """A graph of one ``LLMNode``, which gives all that the node does. Its input is ``messages``."""
    with GraphNode(name="asking") as graph:
        LLMNode(
            name="llm",
            resource_key=key,
            inputs={"messages": PARENT["messages"], **(inputs or {})},
            outputs=PARENT,
            **given,
        )
    return graph


async def asked(settings: Any, *, messages: Any = "?", key: Any = "m", streams: bool = False, **given: Any) -> Any:
    """What one node answers. ``given`` are its arguments, and ``inputs``."""
    given.setdefault("retry", SOON)
    async with Hush(asking(key, **given), resources=hub_of(settings)) as engine:
        if not streams:
            return await engine.run({"messages": messages})
        result: Any = None
        async for event in engine.stream({"messages": messages}):
            result = event
        return result.result


def hub_of(settings: Any) -> ResourceHub:
    """A hub of its own, so that nothing is known of the models from before."""
    return settings if isinstance(settings, ResourceHub) else ResourceHub(settings)
