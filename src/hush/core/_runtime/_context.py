"""Whether a node has set a context variable in the task that it ran in."""

from __future__ import annotations

from contextvars import Context
from operator import is_


def unchanged(before: Context, now: Context) -> bool:
    """Whether two contexts hold the same objects. Their own ``==`` would ask the values, which may say anything."""
    count = len(before)
    if count != len(now):
        return False
    return not count or (all(map(is_, before, now)) and all(map(is_, before.values(), now.values())))
