"""What ``Each`` goes through, and what it refuses with advice."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Set
from typing import Any


def refusal(value: Any) -> tuple[str, str] | None:
    """Why ``value`` cannot be gone through item by item, and what to write instead; ``None`` if it can."""
    kind = type(value).__name__
    if value is None:
        return "Each got None: the source gave nothing", "Return an empty list for no items."
    if isinstance(value, str | bytes | bytearray):
        return (
            f"Each got a {kind}, which would be cut into characters",
            "Write Each([text]), or Each(text.splitlines()).",
        )
    if isinstance(value, Mapping):
        message = "Each got a mapping, whose items could be keys, values or pairs"
        return message, "Write Each(list(d.items())) or Each(list(d.values()))."
    if isinstance(value, Set):
        return "Each got a set, which has no order", "Write Each(sorted(the_set))."
    if hasattr(value, "iterrows") or hasattr(value, "iter_rows"):
        message = f"Each got a {kind}, whose iteration gives columns"
        return message, "Go through its rows: df.to_dict('records'), or df.to_dicts()."
    if callable(value) and getattr(getattr(value, "__code__", None), "co_flags", 0) & 0x220:
        return "Each got a generator function", "Call it: Each(rows())."
    if isinstance(value, Iterable | AsyncIterable) or hasattr(value, "__getitem__"):
        return None
    mend = f"Write Each(range({value!r}))." if type(value) is int else "Give a list, or any other iterable."
    return f"Each got a value of type {kind}, which cannot be iterated over", mend
