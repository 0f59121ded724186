"""Reads how many permits are free in whatever holds permits: semaphores, locks, limiters, or a function that says."""

from __future__ import annotations

from typing import Any

from hush.testing._left import Leak

# What the kinds in use call their count; the semaphores of asyncio and threading have no public name for it.
_COUNTS = ("available_tokens", "value", "_value")


def free_permits(name: str, permit: Any) -> float:
    """How many are free.

    Raises:
        TypeError: It does not look like anything that holds permits.
    """
    for attribute in _COUNTS:
        found = getattr(permit, attribute, None)
        if isinstance(found, int | float):
            return found
    locked = getattr(permit, "locked", None)
    if callable(locked):
        return 0 if locked() else 1
    if callable(permit):
        found = permit()
        if isinstance(found, int | float):
            return found
    raise TypeError(
        f"the permit {name!r}: {permit!r} is no semaphore, lock or limiter. "
        "Give a function that returns how many permits are free."
    )


def compared(name: str, before: float, now: float) -> list[Leak]:
    """What the difference between two counts means."""
    if now < before:
        what = f"{before - now:g} of {name!r} not given back ({now:g} free, {before:g} before)"
        return [Leak("permit", what, mend="Hold it in a block: async with semaphore: ...")]
    if now > before:
        what = f"{now - before:g} of {name!r} given back that nobody took ({now:g} free, {before:g} before)"
        return [Leak("permit", what, mend="Release once for each time it was taken; a block does: async with ...")]
    return []
