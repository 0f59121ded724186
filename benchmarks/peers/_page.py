"""The table of all contestants, as Markdown, and its place in docs/performance.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks import _table
from benchmarks.peers import _rows
from benchmarks.peers._contestants import ALL, HUSH, Contestant
from benchmarks.peers._runner import FULL, Effort, Way

NOTHING = "–"
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def render(contestants: list[Contestant], hellos: Mapping[str, Any], ways: list[Way], effort: Effort) -> str:
    """The table, where it comes from, and its notes."""
    notes: list[str] = []
    rows = [row for row in _rows.ALL if any(way.row == row.name for way in ways)]
    lines = [_line(row, contestants, hellos, ways, notes) for row in rows]
    names = [each.name for each in contestants]
    head = [f"| work | unit | {' | '.join(names)} |", f"|---|---|{'---:|' * len(names)}"]
    numbered = [f"{place}. {note}" for place, note in enumerate(notes, 1)]
    return "\n".join([_origin(contestants, hellos, effort), "", *head, *lines, "", *numbered]).strip()


def write(table: str) -> None:
    """Put it between the page's markers."""
    _table.write(table, BEGIN, END)


def _origin(contestants: list[Contestant], hellos: Mapping[str, Any], effort: Effort) -> str:
    import hush

    versions = [
        f"{each.name} {hellos[each.name]['version'] or hush.__version__}"
        for each in contestants
        if each is HUSH or each.distribution is not None
    ]
    rounds = f"{effort.rounds} rounds, {effort.fresh} fresh processes, {effort.heavy} maps over a million"
    quick = "" if effort == FULL else "; **few repetitions** (`--quick`)"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}: {_table.machine()}; {python}; {', '.join(versions)}; {rounds}{quick}."


def _line(
    row: _rows.Row, contestants: list[Contestant], hellos: Mapping[str, Any], ways: list[Way], notes: list[str]
) -> str:
    cells = []
    for contestant in contestants:
        mine = [way for way in ways if way.contestant == contestant.name and way.row == row.name]
        hello = hellos[contestant.name]
        text = _figures(mine) or hello["cannot"].get(row.name, NOTHING)
        if mine and (note := hello["notes"].get(row.name)):
            text += f" <sup>{_number(f'{contestant.name}: {note}.', notes)}</sup>"
        cells.append(text)
    return f"| {row.work} | {row.unit} | {' | '.join(cells)} |"


def _figures(ways: list[Way]) -> str:
    texts = []
    for way in ways:
        text = way.verdict or _table.number(way.figure)
        texts.append(f"{text} ({way.label})" if way.label and text != NOTHING else text)
    return "<br>".join(dict.fromkeys(texts))


def _number(note: str, notes: list[str]) -> int:
    if note not in notes:
        notes.append(note)
    return notes.index(note) + 1


def columns(names: list[str] | None) -> list[Contestant]:
    """Those that are asked for, in the order of the table; the project's own sides always are."""
    return [each for each in ALL if not names or each.distribution is None or each.name in names]
