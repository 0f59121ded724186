"""What random cases are drawn with: for each a generator of its own, of whose seed alone hypothesis knows.

Drawn choice by choice, a case is some hundreds of choices, and hypothesis, which keeps and mends and mutates them all,
takes three times as long as drawing and running the case. It would only pay where hypothesis made the failing case
smaller, which for these cases the kit does itself (`kit.smaller`, `kit.pipelines_smaller`).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Chance:
    """The few ways of drawing that all else is made of."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def up_to(self, most: int) -> int:
        """Any of 0 to `most`."""
        return self.random.randrange(most + 1)

    def one_in(self, many: int) -> bool:
        """Once in so many times."""
        return self.up_to(many - 1) == many - 1

    def pick(self, options: list[Any] | tuple[Any, ...]) -> Any:
        """One of the options."""
        return options[self.up_to(len(options) - 1)]


def seeded(make: Callable[[Random], T]) -> st.SearchStrategy[T]:
    """What `make` makes, of one seed after the other."""
    # Up to 24 bits hypothesis draws evenly; of larger numbers mostly small ones.
    return st.integers(0, (1 << 24) - 1).map(lambda seed: make(Random(seed)))
