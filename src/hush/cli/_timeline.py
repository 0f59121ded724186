"""Bars of a run's timeline: what a span did in each stretch of the run, as one character a stretch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from hush.observability._node_use import is_leaf
from hush.observability._span import Span

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
    found.append(Stretch("call" if is_leaf(span) or span.kind == "attempt" else "hold", span.started_ns, ended_ns))
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

    Later parts go over earlier ones, and calls over what only holds them. Whatever is shown takes at least one cell.
    """
    found: list[Phase | None] = [None] * width
    if not width or not parts:
        return found
    each = max(1, ended_ns - began_ns) / width
    took: dict[int, dict[Phase, float]] = {}
    instants = sorted({at_ns for part in parts for at_ns in (part.began_ns, part.ended_ns)})
    for first_ns, last_ns in pairwise(instants):
        over: list[Phase] = [one.phase for one in parts if one.began_ns <= first_ns and one.ended_ns >= last_ns]
        if not over:
            continue
        phase = over[-1]
        first, last = (first_ns - began_ns) / each, (last_ns - began_ns) / each
        for cell in range(max(0, int(first)), min(width, int(last) + 1)):
            much = min(last, cell + 1) - max(first, cell)
            if much > 0:
                of_cell = took.setdefault(cell, {})
                of_cell[phase] = of_cell.get(phase, 0.0) + much
    for cell, phases in took.items():
        if "call" in phases or "retry" in phases:
            phases.pop("hold", None)
        found[cell] = max(phases, key=phases.__getitem__)
    if not took:
        found[max(0, min(width - 1, int((parts[-1].began_ns - began_ns) / each)))] = parts[-1].phase
    return found
