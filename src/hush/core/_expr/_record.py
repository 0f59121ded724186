"""``record``: a slotted dataclass that is frozen for type checkers, and costs nothing for that at run time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, eq_default=False)
def record(cls: type[T]) -> type[T]:
    """Make ``cls`` a slotted dataclass without ``==`` and ``repr``, whose fields nobody assigns.

    Both type checkers refuse an assignment. ``dataclass(frozen=True)`` would do so at run time too, at the price of a
    call for each field: it is most of what making a plan of 20 fields costs, and a graph has one for each node.
    """
    return dataclass(slots=True, eq=False, repr=False)(cls)
