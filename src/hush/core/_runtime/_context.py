"""Whether a node has set a context variable in the task that it ran in."""

from __future__ import annotations

from contextvars import Context, copy_context
from operator import is_


def restore(before: Context) -> None:
    """Set variables back to what they were. Those that had no value before keep theirs: Python cannot take it away."""
    now = copy_context()
    if not unchanged(before, now):
        for variable, value in before.items():
            if now.get(variable) is not value:
                variable.set(value)


def unchanged(before: Context, now: Context) -> bool:
    """Whether two contexts hold the same objects. Their own ``==`` would ask the values, which may say anything."""
    count = len(before)
    if count != len(now):
        return False
    return not count or (all(map(is_, before, now)) and all(map(is_, before.values(), now.values())))
