"""How much of the values of a run is kept."""

from __future__ import annotations

from typing import NamedTuple


class Bounds(NamedTuple):
    """How much of a value is kept.

    Attributes:
        text: Characters of one text.
        items: Values in one list, or in one mapping.
        depth: How deep they nest.
        total: Characters of everything together, about.
    """

    text: int
    items: int
    depth: int
    total: int


PREVIEW = Bounds(text=2_000, items=20, depth=6, total=8_000)
BRIEF = Bounds(text=200, items=5, depth=2, total=400)
"""For the items of a run that has many, of which few are kept."""
EVERYTHING = Bounds(text=1_000_000, items=100_000, depth=50, total=4_000_000)
"""All of it; there is a bound nevertheless, so that a table in memory does not become one in the trace."""
