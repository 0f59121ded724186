"""What listens to runs: ``tracer=`` objects that show or record what happens in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.observability._local._problems import TraceError
    from hush.observability._local._pruning import Pruned
    from hush.observability._local._reader import TraceStore
    from hush.observability._local_tracer import LocalTracer
    from hush.observability._otel._langfuse import LangfuseTracer
    from hush.observability._otel._tracer import OTelTracer
    from hush.observability._otel._tracer import OTelTracer as OTELTracer
    from hush.observability._progress import ConsoleProgress
    from hush.observability._sampling import Sampling

__all__ = (
    "ConsoleProgress",
    "LangfuseTracer",
    "LocalTracer",
    "OTELTracer",
    "OTelTracer",
    "Pruned",
    "Sampling",
    "TraceError",
    "TraceStore",
)

# Each needs a library of its own, which is loaded, and missed, only where it is used.
_MODULES = {
    "ConsoleProgress": "_progress",
    "LangfuseTracer": "_otel._langfuse",
    "LocalTracer": "_local_tracer",
    "OTelTracer": "_otel._tracer",
    "Pruned": "_local._pruning",
    "Sampling": "_sampling",
    "TraceError": "_local._problems",
    "TraceStore": "_local._reader",
}
_SPELLINGS = {"OTELTracer": "OTelTracer"}


def __getattr__(name: str) -> Any:
    known = _SPELLINGS.get(name, name)
    if known not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[known]}"), known)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
