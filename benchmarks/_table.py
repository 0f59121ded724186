"""The table: what was measured, as Markdown, with the machine, the versions and the date; and where it is kept."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import hush
from benchmarks._row import AtLeast, AtMost, Goal, Line, Over, Times

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
HEAD = (
    "| work | unit | hush | by hand | goal | |",
    "|---|---|---:|---|---|---|",
)


def render(lines: Iterable[Line], *, quick: bool) -> str:
    """The table and where it comes from."""
    effort = "; **few repetitions** (`--quick`)" if quick else ""
    versions = f"{platform.python_implementation()} {platform.python_version()}, hush {hush.__version__}"
    origin = f"{datetime.now(UTC):%Y-%m-%d}: {machine()}; {versions}{effort}."
    return "\n".join([origin, "", *HEAD, *map(render_line, lines)])


def render_line(line: Line) -> str:
    """One line of the table."""
    hands = ", ".join(f"{number(figure)} ({label})" for label, figure in line.hands.items())
    goal = goal_text(line.goal)
    hush_figure = number(line.hush) if line.hush == line.hush else ""
    return f"| {line.work} | {line.unit} | {hush_figure} | {hands or '–'} | {goal} | {verdict(line)} |"


def verdict(line: Line) -> str:
    """``reached`` or ``missed``, with what was compared where the goal is a relation."""
    if line.broken is not None:
        return f"**missed**: {line.broken}"
    match line.goal:
        case None:
            return "no goal"
        case AtMost(limit):
            met, shown = line.hush <= limit, ""
        case AtLeast(limit):
            met, shown = line.hush >= limit, ""
        case Times(limit, than):
            ratio = line.hush / (min(line.hands.values()) if than is None else line.hands[than])
            met, shown = ratio <= limit, f": {ratio:.2f} ×"
        case Over(limit, than):
            extra = line.hush - line.hands[than]
            met, shown = extra <= limit, f": {extra:+.3g}"
        case _:
            assert_never(line.goal)
    return f"reached{shown}" if met else f"**missed**{shown}"


def goal_text(goal: Goal | None) -> str:
    """The goal, as one reads it."""
    match goal:
        case None:
            return "–"
        case AtMost(limit):
            return f"≤ {number(limit)}"
        case AtLeast(limit):
            return f"≥ {number(limit)}"
        case Times(limit, than):
            return f"≤ {limit:g} × {than or 'the fastest by hand'}"
        case Over(limit, than):
            return f"≤ {limit:g} over {than}"
        case _:
            assert_never(goal)


def number(figure: float) -> str:
    """Three digits that count."""
    if figure >= 100:
        return f"{figure:,.0f}"
    decimals = 2 if figure >= 0.1 else 3
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.{decimals}f}"


def write(table: str, opening: str = BEGIN, closing: str = END) -> None:
    """Put the table between two of the page's markers; the rest of the page stays."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise SystemExit(f"{PAGE} needs the lines {opening} and {closing}: the table goes between them.")
    PAGE.write_text(f"{before}{opening}\n\n{table}\n\n{closing}{after}", encoding="utf-8")


def machine() -> str:
    """What it was measured on."""
    return f"{_cpu()}, {_cores()} cores, {platform.system()}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
