"""``SlotSigns``: what points to a server that is limited by calls at a time, and not by calls in a time.

A refused call that had more beside it than any served one lately is a sign of slots. If it proves wrong, it takes 2, 4,
8 such signs in a row to come back to it.

Where refusals ask for a pause, being wrong costs one. There it takes one sign more, and slots that were held well are
not given up because of one call that got through by chance.
"""

from __future__ import annotations

PROVEN_S = 2.0  # in full use without a refusal: they are slots
MOST = 8  # signs
LEAST_SERVED = 8  # calls in an episode, before its refusal can be a sign


class SlotSigns:
    """The signs, for the controller that acts on them.

    Attributes:
        rate: The rate to go back to, if slots prove wrong.
    """

    __slots__ = ("_in_row", "_needed", "_proven", "_safe", "_safe_at_s", "_safe_new", "rate")

    def __init__(self) -> None:
        self.rate = 0.0
        self._in_row = 0
        self._needed = 1
        self._proven = False
        # The most that were in flight at the start of a call that was served: since when, and before that one.
        self._safe = self._safe_new = 0
        self._safe_at_s = 0.0

    def begin(self, now_s: float) -> None:
        """An episode begins: what was served before it tells nothing any more."""
        self._safe = self._safe_new = 0
        self._safe_at_s = now_s

    def served(self, at_s: float, beside: int, refusal_s: float) -> None:
        """A call was served that started at ``at_s`` with so many in flight, itself among them."""
        if at_s - self._safe_at_s > 2 * refusal_s:
            self._safe, self._safe_new = max(self._safe, self._safe_new), 0
            self._safe_at_s = at_s
        if beside > self._safe_new:
            self._safe_new = beside

    def is_safe(self, beside: int) -> bool:
        """Whether a call with so many in flight was served in this episode."""
        return beside <= max(self._safe, self._safe_new)

    def is_sign(self, beside: int, served: int) -> bool:
        """Whether a refusal is a sign, of a call with so many in flight, after so many were served in the episode."""
        return beside > self._safe > 0 and served >= max(LEAST_SERVED, self._safe)

    def note(self, sign: bool, *, held_s: float | None, costly: bool) -> None:
        """Count a refusal.

        Args:
            sign: What ``is_sign`` says of it.
            held_s: For how long slots were in full use without a refusal, if it was slots that were assumed.
            costly: Whether it asks for a pause.
        """
        held = held_s is not None and held_s >= PROVEN_S
        if sign:
            self._in_row = min(MOST, self._in_row + 1)
        else:
            self._in_row = self._in_row // 2 if held and costly else 0
        if held_s is not None:
            self.judge(held_s, refuted=not sign)

    def judge(self, held_s: float, *, refuted: bool) -> bool:
        """Whether slots, held for so long, were the right reading. If not, it may take more to come back to them."""
        held = held_s >= PROVEN_S
        if held:
            self._proven = True
            self._needed = 1
        elif refuted:
            if not self._proven:
                self._in_row = 0
                self._needed = min(MOST, 2 * self._needed)
            self._proven = False
        return held

    def suffice(self, *, costly: bool) -> bool:
        """Whether the signs in a row are enough, where refusals ask for a pause or do not."""
        return self._in_row >= min(MOST, self._needed + costly)
