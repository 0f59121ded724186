"""Values that show when they die: proved with weak references, with the garbage collector off."""

from __future__ import annotations

import weakref


class Payload:
    """Something big."""


class Watch:
    """Makes payloads, and says how many of them are alive, and how many were so at most."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[Payload] = weakref.WeakSet()
        self.most = 0

    def make(self) -> Payload:
        """One more."""
        made = Payload()
        self.alive.add(made)
        self.most = max(self.most, len(self.alive))
        return made

    def count(self) -> int:
        """How many are alive."""
        return len(self.alive)
