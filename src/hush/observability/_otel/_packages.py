"""Whether the packages of the extra are there."""

from __future__ import annotations

from importlib.util import find_spec

_NEEDED = (
    ("opentelemetry.sdk.trace", "opentelemetry-sdk"),
    ("opentelemetry.exporter.otlp.proto.common.trace_encoder", "opentelemetry-exporter-otlp-proto-http"),
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
