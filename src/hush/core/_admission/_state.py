"""``LimitState``: how a limit stands at one instant, for people who ask why nothing goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitState:
    """How a limit stands.

    Attributes:
        name: What the limit is called.
        waiting: How many calls wait for it.
        in_use: How many calls go on under it.
        most: How many may, where that is a fixed number.
        next_s: In how many seconds the next may be admitted: 0 for now, ``None`` if some call must end first.
        closed_s: For how many seconds more a ``Retry-After`` keeps everybody out; ``None`` if none does.
    """

    name: str
    waiting: int
    in_use: int
    most: int | None
    next_s: float | None
    closed_s: float | None = None

    def __str__(self) -> str:
        of = "" if self.most is None else f" of {self.most}"
        said = [f"{self.waiting} waiting", f"{self.in_use}{of} in use"]
        if self.closed_s is not None:
            said.append(f"closed for {self.closed_s:.1f} s more (Retry-After)")
        elif self.next_s is None:
            said.append("the next when a call ends")
        elif self.next_s > 0:
            said.append(f"the next in {self.next_s:.1f} s")
        return f"limit {self.name}: {', '.join(said)}"
