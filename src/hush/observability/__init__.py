"""What listens to runs: ``tracer=`` objects that show or record what happens in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.observability._local._problems import TraceError
    from hush.observability._local._pruning import Pruned
    from hush.observability._local._reader import TraceStore
    from hush.observability._local_tracer import LocalTracer
    from hush.observability._progress import ConsoleProgress

__all__ = ("ConsoleProgress", "LocalTracer", "Pruned", "TraceError", "TraceStore")

# Each needs a library of its own, which is loaded, and missed, only where it is used.
_MODULES = {
    "ConsoleProgress": "_progress",
    "LocalTracer": "_local_tracer",
    "Pruned": "_local._pruning",
    "TraceError": "_local._problems",
    "TraceStore": "_local._reader",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
