"""``spare``: which calls a crowded trace can spare: the quick ones that ended well, outside items and rounds.

Of items and rounds it is decided when they end, whole. A run of many small nodes has none: of it these are left out, so
that there is room for what tells more.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from hush.observability._crowding import FILLING, ROOMY
from hush.observability._span import CONTAINERS, Span

QUICK_NS = 1_000_000
"""While there is still room those are spared that took less than this."""

_LASTING = CONTAINERS | {"run"}


def spare(spans: list[Span], level: int, hung: Set[str], untold_ns: int) -> list[Span]:
    """Of spans that have ended, those that can be spared.

    Args:
        spans: What lies in a span stands before it.
        level: How crowded it is, as ``Crowding.level`` says.
        hung: The ids of spans under which hang those of somebody else.
        untold_ns: What took less has not been told of as being under way.
    """
    if level == ROOMY:
        return []
    most_ns = QUICK_NS if level == FILLING else untold_ns
    lasts = lasting(spans)
    return [span for span in spans if span.id not in lasts and span.id not in hung and _says_little(span, most_ns)]


def _says_little(span: Span, most_ns: int) -> bool:
    return (
        span.status in ("ok", "skipped")
        and span.kind != "attempt"
        and span.ended_ns is not None
        and span.ended_ns - span.started_ns < most_ns
        and span.attempts == 1
        and span.generation is None
        and not span.rerouted
    )


def lasting(spans: Iterable[Span]) -> set[str]:
    """The ids of spans that are dropped last: what failed, what holds others together, what is in items and rounds.

    Of the last it was decided how much there is room for.
    """
    inside: set[str | None] = set()  # of rounds, and what lies in them
    found: set[str] = set()
    for span in reversed(list(spans)):
        if span.kind == "round" or span.parent in inside:
            inside.add(span.id)
        elif not (span.items or span.failure is not None or span.kind in _LASTING):
            continue
        found.add(span.id)
    return found
