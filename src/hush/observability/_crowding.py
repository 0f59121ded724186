"""``Crowding``: how many spans are in memory, and so what is kept of an item, or of a round, that ends.

An exporter that is slower than its runs is no fault, and costs a trace nothing that is worth a look: the fuller the
memory becomes, the fewer of the items that ended well are kept, and those that failed are kept last.
"""

from __future__ import annotations

import sys

ROOMY = 0
"""All is kept that the rule keeps."""
FILLING = 1
"""From half of the room on: of the items that ended well the slowest and those drawn, but not the first ones."""
FULL = 2
"""From all of it on: the slowest until now in the place of faster ones, and none besides of those that ended well. What
failed, and what holds others together, has as much room again."""
OVERFULL = 3
"""From the half of that on: of an item that failed only what failed in it, and what that lies in."""


class Crowding:
    """What one run knows of it.

    Attributes:
        held: Spans of the run that may yet be kept or left out: in items under way, and of slow ones.
        others: Spans in memory besides, as of the last look: what waits for the exporter, and what other runs hold.
        most: How many may be there.
    """

    __slots__ = ("held", "most", "others")

    def __init__(self) -> None:
        self.held = self.others = 0
        self.most = sys.maxsize

    def level(self, more: int) -> int:
        """How crowded it is, with so many more."""
        there, most = 2 * (self.held + self.others + more), self.most
        if there < most:
            return ROOMY
        return FILLING if there < 2 * most else FULL if there < 3 * most else OVERFULL
