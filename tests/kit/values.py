"""What leaves compute: pure functions that the engine's run and the reference share."""

from __future__ import annotations

import zlib
from typing import Any

# Of `iteration_metrics`, what does not depend on a clock.
COUNTS = ("total_iterations", "success_count", "error_count")


class Counts(dict[str, Any]):
    """In place of `iteration_metrics` where the reference stands: the keys that it vouches for, all others are free."""


def mix(*values: Any) -> int:
    """What all leaves compute: an int below 100 of any values. All exceptions are the same to it."""
    return zlib.crc32(repr(_plain(values)).encode()) % 100


def is_fussy_about(*values: Any) -> bool:
    """Whether the leaf that does "fussy" fails on them."""
    return mix(*values) % 2 == 0


def flag(*values: Any) -> int | None:
    """The `error` that the leaf that does "flagged" gives beside its value."""
    return mix("flag", *values) if mix(*values) % 2 else None


def spread(count: int, *values: Any) -> list[int | None]:
    """The list that the leaf that does "many" gives; `None` is an item like any other."""
    numbers = [mix(place, *values) for place in range(count)]
    return [None if each % 7 == 0 else each for each in numbers]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return [value[key] for key in COUNTS]
    return value if value is None or isinstance(value, (int, str)) else "an error"
