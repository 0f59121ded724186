"""Numbers and names as ``hush show`` and ``hush traces`` write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from json import dumps
from typing import Any

from hush.cli._safe import safe, shortened

NARROWEST, WIDEST = 40, 9_999
"""So many columns a report takes at least, and at most."""


def duration(seconds: float) -> str:
    """Three digits that mean something: ``40 µs``, ``3.1 ms``, ``312 ms``, ``8.31 s``, ``2:05 min``, ``1:02:05 h``."""
    seconds = max(0.0, seconds)
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs" if seconds >= 0.0000005 else "0 s"
    if seconds < 0.00995:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def counted(number: int, what: str, many: str = "") -> str:
    """``1 item``, ``1,000 items``."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"


def share(part: float) -> str:
    """A share in per cent, with one digit behind the point below ten."""
    if 0 < part < 0.001:
        return "<0.1 %"
    return f"{part * 100:.1f} %" if part < 0.0995 else f"{part * 100:.0f} %"


def money(dollars: float) -> str:
    """What something cost, in the currency of the prices, which is the dollar."""
    if 0 < dollars < 0.00005:
        return "<$0.0001"  # it was not for nothing
    return f"${dollars:,.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"


def when(at_ns: int) -> str:
    """An instant, in local time."""
    try:
        return datetime.fromtimestamp(at_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a trace that is damaged
        return "?"


def place(items: Sequence[int]) -> str:
    """Which item it is: ``12``, and in nested maps ``3.12``, as in messages."""
    return ".".join(str(one) for one in items)


def item(items: Sequence[int], key: str | None) -> str:
    """An item with what its map calls it: ``12 (SKU-7)``."""
    return place(items) if key is None else f"{place(items)} ({shortened(key, 40)})"


def value(given: Any, most: int) -> str:
    """A value of a preview in one line."""
    try:
        text = dumps(given, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        text = str(given)
    return shortened(text, most)


def name(text: str, most: int = 60) -> str:
    """A name that somebody chose, in one line that steers no terminal; a path loses its front rather than its end."""
    line = safe(text)
    return line if len(line) <= most else f"…{line[-most + 1 :]}"
