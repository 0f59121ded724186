"""Hush: say what depends on what, and it runs everything that can run at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hush.core._engine import Hush, why_on_signal
from hush.core._resources._hub import ResourceHub
from hush.core._spec._policies import Limit, Retry
from hush.core.errors import (
    CacheError,
    FailureInfo,
    GraphError,
    HushError,
    InputError,
    MissingKeyError,
    NoCaseMatched,
    NodeTimeout,
    OutputError,
    Problem,
    ReportedError,
    ResourceError,
    RunTimeout,
    SourceError,
    TooManyFailures,
    TooManyIterations,
    TransportError,
    UsageError,
    WorkerDied,
)
from hush.core.nodes import (
    END,
    PARENT,
    START,
    Branch,
    BranchNode,
    CodeNode,
    Each,
    ForLoopNode,
    GraphNode,
    MapNode,
    Tolerate,
    WhileLoopNode,
    code_node,
)

if TYPE_CHECKING:  # loaded when they are first asked for, or when a run first has a tracer
    from hush.core.events import (
        Event,
        ItemFailed,
        ItemFinished,
        ItemsRan,
        MapFinished,
        MapProgressed,
        MapStarted,
        NodeAdmitted,
        NodeAnswered,
        NodeCached,
        NodeCalled,
        NodeCancelled,
        NodeChunk,
        NodeFailed,
        NodeFinished,
        NodeQueued,
        NodeRan,
        NodeReady,
        NodeReleased,
        NodeRerouted,
        NodeRetrying,
        NodeSkipped,
        NodeStarted,
        RoundFinished,
        RunFinished,
        RunStarted,
    )

__all__ = (
    "END",
    "PARENT",
    "START",
    "Branch",
    "BranchNode",
    "CacheError",
    "CodeNode",
    "Each",
    "Event",
    "FailureInfo",
    "ForLoopNode",
    "GraphError",
    "GraphNode",
    "Hush",
    "HushError",
    "InputError",
    "ItemFailed",
    "ItemFinished",
    "ItemsRan",
    "Limit",
    "MapFinished",
    "MapNode",
    "MapProgressed",
    "MapStarted",
    "MissingKeyError",
    "NoCaseMatched",
    "NodeAdmitted",
    "NodeAnswered",
    "NodeCached",
    "NodeCalled",
    "NodeCancelled",
    "NodeChunk",
    "NodeFailed",
    "NodeFinished",
    "NodeQueued",
    "NodeRan",
    "NodeReady",
    "NodeReleased",
    "NodeRerouted",
    "NodeRetrying",
    "NodeSkipped",
    "NodeStarted",
    "NodeTimeout",
    "OutputError",
    "Problem",
    "ReportedError",
    "ResourceError",
    "ResourceHub",
    "Retry",
    "RoundFinished",
    "RunFinished",
    "RunStarted",
    "RunTimeout",
    "SourceError",
    "Tolerate",
    "TooManyFailures",
    "TooManyIterations",
    "TransportError",
    "UsageError",
    "WhileLoopNode",
    "WorkerDied",
    "code_node",
    "why_on_signal",
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hush.core import events

    found = globals()[name] = getattr(events, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
