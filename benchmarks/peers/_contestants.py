"""Who takes part, in the order of the table's columns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """Somebody's way to do the work: the module ``benchmarks.peers.<module>`` and what it needs."""

    name: str  # the column
    module: str
    imports: str  # what a user of it writes first, and what the row on importing times
    distribution: str | None = None  # on PyPI; none: it runs in the project's own environment
    also: tuple[str, ...] = ()  # distributions that it needs besides for some rows


HUSH = Contestant("hush", "by_hush", "import hush.core")
BY_HAND = Contestant("by hand", "by_hand", "import asyncio")
PEERS = (
    Contestant("pocketflow", "by_pocketflow", "import pocketflow", "pocketflow"),
    Contestant("pydantic-graph", "by_pydantic_graph", "import pydantic_graph", "pydantic-graph"),
    Contestant("haystack", "by_haystack", "from haystack import Pipeline, component", "haystack-ai"),
    Contestant("langgraph", "by_langgraph", "import langgraph.graph", "langgraph", ("langchain-openai",)),
    Contestant("hush-icore", "by_hush_icore", "import hush.core", "hush-icore"),
    Contestant("aiometer", "by_aiometer", "import aiometer", "aiometer"),
    Contestant("litellm", "by_litellm", "import litellm", "litellm"),
    Contestant("aiostream", "by_aiostream", "from aiostream import pipe, stream", "aiostream"),
)
ALL = (HUSH, BY_HAND, *PEERS)


def called(name: str) -> Contestant:
    """The contestant of that name."""
    return next(each for each in ALL if each.name == name)
