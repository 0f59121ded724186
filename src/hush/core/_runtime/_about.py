"""``about``: what a record of the log is about, as its fields."""

from __future__ import annotations

from typing import Any


def about(run: str | None, path: str, item: tuple[int, ...]) -> dict[str, Any]:
    """The fields, for ``extra=``: the run's id, the node's path, and of the indexes that ``item`` is the innermost."""
    return {"run": run, "node": path, "item": item[-1] if item else None}
