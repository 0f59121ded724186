"""``signal_of``: what a failure says to those who would try again: whether that may help, and when."""

from __future__ import annotations

from typing import NamedTuple


class Signal(NamedTuple):
    """What a failure says.

    Attributes:
        retryable: Whether the same call may succeed later.
        overloaded: Whether it failed because there was too much at once.
        retry_after_s: Seconds before which it is not to be tried again, if it says so.
    """

    retryable: bool
    overloaded: bool
    retry_after_s: float | None


def signal_of(error: BaseException) -> Signal:
    """What ``error`` says by its attribute ``retry_after_s``."""
    after_s = getattr(error, "retry_after_s", None)
    if isinstance(after_s, bool) or not isinstance(after_s, int | float) or not 0 <= after_s < float("inf"):
        return Signal(False, False, None)
    return Signal(True, True, float(after_s))
