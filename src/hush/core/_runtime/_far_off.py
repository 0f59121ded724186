"""Refusals that say to come back when nobody waits for that any more: tomorrow, when a day's allowance starts anew.

Who is told so fails. Those who wait for the same limits would wait until tomorrow to hear it: they fail with the same
refusal, without asking, for two minutes. Then one asks again, since allowances are raised.
"""

from __future__ import annotations

from copy import copy
from weakref import WeakKeyDictionary

from hush.core._admission._lane import Lane

LONGEST_S = 1800.0
"""Nobody waits longer than this for a limit that was closed by a refusal."""
KEPT_S = 120.0

_refusals: WeakKeyDictionary[Lane, tuple[float, Exception]] = WeakKeyDictionary()


def is_far_off(retry_after_s: float | None) -> bool:
    """Whether nobody waits that long."""
    return retry_after_s is not None and retry_after_s > LONGEST_S


def remember(lane: Lane, error: Exception, now_s: float) -> None:
    """A call through ``lane`` was refused so."""
    _refusals[lane] = now_s + KEPT_S, _again(error)


def refusal_of(lane: Lane, now_s: float) -> Exception | None:
    """The refusal that a call through ``lane`` would meet, as an error of its own; ``None`` if it may ask."""
    found = _refusals.get(lane) if _refusals else None
    if found is None:
        return None
    if now_s >= found[0]:
        _refusals.pop(lane, None)
        return None
    error = _again(found[1])
    error.add_note("Hush: this one was not asked for: another call was refused so, less than two minutes before.")
    return error


def _again(error: Exception) -> Exception:
    try:
        made = copy(error)
    except Exception:  # its class wants other arguments than those that it passes on
        made = type(error).__new__(type(error), *error.args)
        made.__dict__.update(error.__dict__)
    made.__traceback__ = made.__cause__ = made.__context__ = None
    for name in ("__notes__", "hush"):
        made.__dict__.pop(name, None)
    return made
