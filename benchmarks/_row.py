"""What a row of the table is made of: the lines that it measures, and the goals that they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from benchmarks._measure import Effort


@dataclass(frozen=True)
class AtMost:
    """The figure is no higher than ``limit``."""

    limit: float


@dataclass(frozen=True)
class AtLeast:
    """The figure is no lower than ``limit``."""

    limit: float


@dataclass(frozen=True)
class Times:
    """The figure is at most ``limit`` times that of the hand-written ``than``, or of the fastest one."""

    limit: float
    than: str | None = None


@dataclass(frozen=True)
class Over:
    """The figure is at most ``limit`` above that of ``than``."""

    limit: float
    than: str


Goal: TypeAlias = AtMost | AtLeast | Times | Over


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: medians in ``unit``, or why there are none."""

    work: str
    unit: str = ""
    goal: Goal | None = None
    hush: float = float("nan")
    hands: Mapping[str, float] = field(default_factory=dict)
    broken: str | None = None  # the goal is missed, whatever the figures are


class Row(Protocol):
    """One subject of the table."""

    @property
    def name(self) -> str:
        """What ``--only`` calls it."""
        ...

    @property
    def work(self) -> str:
        """What is done, for people."""
        ...

    def measure(self, effort: Effort) -> list[Line]:
        """Check that all sides give the same result, then time them."""
        ...
