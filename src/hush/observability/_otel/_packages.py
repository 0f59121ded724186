"""Whether the packages of the extra are there, and which Hush this is."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

_USED = (
    "hush.observability._otel._encode",
    "opentelemetry.sdk.resources",
    "requests",
    "urllib3",
)
_NEEDED = (
    ("opentelemetry.sdk.trace", "opentelemetry-sdk"),
    ("opentelemetry.proto.collector.trace.v1", "opentelemetry-exporter-otlp-proto-http"),
    ("requests", "requests"),
)


def needed(who: str) -> None:
    """Raise an ``ImportError`` that names the extra if one of them is missing. None of them is imported."""
    for module, package in _NEEDED:
        if not _is_there(module):
            raise ImportError(f"{who} needs the package {package}: pip install 'hushflow[otel]'", name=package)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
    except ValueError:  # it is imported, and was made by hand, as tests do
        return True


def load() -> None:
    """Import all that sending spans takes."""
    for module in _USED:
        import_module(module)


@cache
def hush_version() -> str:
    """The version of what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hushflow")
    except PackageNotFoundError:
        return "0"
