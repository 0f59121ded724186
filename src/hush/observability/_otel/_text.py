"""Values and failures as the text that attributes hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.observability._span import Failure

_INT64 = 2**63


def as_json(value: Any) -> str:
    """``value``, plain data, as JSON. What is no plain data after all is shown as its type."""
    import json

    try:
        text = json.dumps(value, ensure_ascii=False, default=_other)
    except (TypeError, ValueError, RecursionError) as error:
        text = json.dumps(f"<{type(value).__name__}: {type(error).__name__}>")
    return encodable(text)


def _other(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else f"<{type(value).__name__}>"


def encodable(text: str) -> str:
    """``text`` without halves of characters, which UTF-8 cannot hold and which would cost the whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def scalar(value: Any) -> str | bool | int | float:
    """``value`` as the wire takes it by itself: whole numbers have 64 bits there; all else becomes JSON."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    return encodable(value) if isinstance(value, str) else as_json(value)


def stacktrace(failure: Failure) -> str:
    """``failure`` in the order of Python's tracebacks, causes first, without lines of source."""
    return encodable("\n".join(_lines(failure, 0)))


def _lines(failure: Failure, depth: int) -> list[str]:
    lines: list[str] = []
    if depth < 10:
        for cause in reversed(failure.causes):
            lines += [*_lines(cause, depth + 1), "", "The above led to:", ""]
    if failure.frames:
        lines.append("Traceback (most recent call last):")
        lines += [f'  File "{frame.file}", line {frame.line}, in {frame.function}' for frame in failure.frames]
    lines.append(f"{failure.type}: {failure.message}" if failure.message else failure.type)
    return [*lines, *failure.notes]
