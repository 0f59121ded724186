"""How much of the values of a run is kept."""

from __future__ import annotations

from typing import NamedTuple

SHORT = 100
"""Characters of a short text."""


class Bounds(NamedTuple):
    """How much of a value is kept.

    Attributes:
        text: Characters of one text.
        items: Values in one list, or in one mapping.
        depth: How deep they nest.
        total: Characters of everything together, about.
        few: Of so many values or fewer the numbers and short texts are shown without counting what they add up to.
    """

    text: int
    items: int
    depth: int
    total: int
    few: int = 0


PREVIEW = Bounds(text=2_000, items=20, depth=6, total=8_000, few=20)
BRIEF = Bounds(text=200, items=5, depth=2, total=400, few=5)
"""For the items of a run that has many, of which few are kept."""
EVERYTHING = Bounds(text=1_000_000, items=100_000, depth=50, total=4_000_000, few=20)
"""All of it; there is a bound nevertheless, so that a table in memory does not become one in the trace."""
