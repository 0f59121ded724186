"""The records of what was left behind, and the error that lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that outlived the code that made it.

    Attributes:
        kind: ``"task"``, ``"async generator"``, ``"permit"``, ``"file"``, ``"event loop"``, ``"thread"``, or
            ``"complaint"`` for what an event loop's exception handler was told.
        what: Which one.
        where: The places in the code that are known: where it was made, where it stands.
        mend: What to do about it.
    """

    kind: str
    what: str
    where: str = ""
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + (f"; {self.where}" if self.where else "")


class LeftOver(AssertionError):
    """Something was left behind. ``leaks`` has a record for each thing; the message lists them with their mends."""

    def __init__(self, leaks: Iterable[Leak], head: str = "") -> None:
        self.leaks = tuple(leaks)
        lines = [head or f"left behind: {len(self.leaks)}"]
        for number, leak in enumerate(self.leaks, 1):
            lines.append(f"  {number}. {leak}")
            if leak.mend:
                lines.append(f"     {leak.mend}")
        super().__init__("\n".join(lines))
