"""Bars of a run's timeline: what a span did in each stretch of the run, as one character a stretch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from hush.observability._span import Span
from hush.observability._time_spent import CONTAINERS

Phase: TypeAlias = Literal["call", "wait", "retry", "hold"]
"""``hold``: it has nodes in it, which have bars of their own."""


class Glyphs(NamedTuple):
    """What is drawn with: characters, each one cell wide."""

    call: str
    wait: str
    retry: str
    hold: str
    failed: str
    partial: str
    skipped: str
    running: str
    crashed: str
    ok: str
    fork: str
    last: str
    line: str
    more: str
    bar: str


UNICODE = Glyphs("█", "░", "▒", "━", "✗", "!", "–", "▶", "☠", "✓", "├─ ", "└─ ", "│  ", "…", "━")
ASCII = Glyphs("#", ".", "~", "-", "x", "!", "-", ">", "X", "+", "|- ", "`- ", "|  ", "...", "=")


class Stretch(NamedTuple):
    """A part of a span's time."""

    phase: Phase
    began_ns: int
    ended_ns: int


def stretches(span: Span, attempts: Sequence[Span], until_ns: int) -> list[Stretch]:
    """What a span did, first what lies under the rest. ``attempts`` are its spans for these, in order."""
    ended_ns = until_ns if span.ended_ns is None else span.ended_ns
    found: list[Stretch] = []
    if span.ready_ns is not None and span.ready_ns < span.started_ns:
        found.append(Stretch("wait", span.ready_ns, span.started_ns))
    if span.status == "skipped":
        return []
    found.append(Stretch("hold" if span.kind in CONTAINERS else "call", span.started_ns, ended_ns))
    for before, after in pairwise(attempts):
        if before.ended_ns is not None:
            found.append(Stretch("retry", before.ended_ns, after.started_ns))
    found += [
        Stretch("wait", wait.queued_ns, ended_ns if wait.admitted_ns is None else wait.admitted_ns)
        for wait in span.waits
    ]
    return found


def cells(parts: Sequence[Stretch], began_ns: int, ended_ns: int, width: int) -> list[Phase | None]:
    """For each of ``width`` stretches of the time between two instants, what took most of it.

    Later parts go over earlier ones, and all over what only holds them. Whatever is shown takes at least one cell.
    """
    found: list[Phase | None] = [None] * width
    if not width:
        return found
    each = max(1, ended_ns - began_ns) / width
    least: list[tuple[int, Phase]] = []
    taken = [0.0] * width
    for phase, first_ns, last_ns in parts:
        first, last = (first_ns - began_ns) / each, (last_ns - began_ns) / each
        start, end = max(0, min(width - 1, int(first))), max(0, min(width - 1, int(last)))
        least.append((start, phase))
        for cell in range(start, end + 1):
            much = min(last, cell + 1) - max(first, cell)
            if much >= 0.5 or (much > 0 and (much >= taken[cell] or found[cell] == "hold")):
                found[cell], taken[cell] = phase, max(much, taken[cell])
    if parts and not any(found):
        start, phase = least[-1]
        found[start] = phase
    return found
