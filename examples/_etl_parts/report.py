"""What the example prints: read back from the warehouse, so that it shows what was really loaded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

FAILED_SHOWN = 10
NAME_WIDTH = 62

TEAMS = """
    SELECT team, count(*), sum(own_lines), avg(documented) * 100, sum(minutes) / 60 AS hours
    FROM definitions GROUP BY team ORDER BY hours DESC, team
"""
BRANCHIEST = "SELECT branches, lines, file, name FROM definitions ORDER BY branches DESC, id LIMIT 5"
LONGEST = "SELECT lines, code_lines, file, name FROM definitions WHERE kind != 'class' ORDER BY lines DESC, id LIMIT 5"
COPIED = """
    SELECT count(*) AS copies, lines, min(file), name FROM definitions WHERE lines >= 5
    GROUP BY digest HAVING copies > 1 ORDER BY copies * lines DESC, digest LIMIT 5
"""


def report(warehouse: Path, cache: Path) -> list[str]:
    """The lines to print, at most 100 columns wide."""
    with closing(sqlite3.connect(warehouse)) as db:
        count, failed = db.execute("SELECT definitions, failed FROM runs").fetchone()
        kinds = dict(db.execute("SELECT kind, count(*) FROM definitions GROUP BY kind"))
        split = ", ".join([f"{kinds.get(kind, 0):,} {kind}" for kind in ("class", "def", "async def")])
        lines = [f"{count:,} definitions measured: {split}.", f"{failed:,} files do not parse{':' if failed else '.'}"]
        shown = db.execute("SELECT file, reason FROM failed ORDER BY file LIMIT ?", (FAILED_SHOWN,))
        lines += [_cut(f"  {file}: {reason}", 100) for file, reason in shown]
        if failed > FAILED_SHOWN:
            lines.append(f"  and {failed - FAILED_SHOWN:,} more, in the warehouse's table failed")
        lines += ["", f"{'Who reviews it':20}{'definitions':>12}{'lines':>12}{'with docstring':>16}{'hours':>10}"]
        for team, number, text, documented, hours in db.execute(TEAMS):
            lines.append(f"  {team:18}{number:12,}{text:12,}{documented:14.0f} %{hours:10,.1f}")
        lines += _top("Most branches", ("branches", "lines"), db.execute(BRANCHIEST).fetchall())
        lines += _top("Longest functions", ("lines", "of code"), db.execute(LONGEST).fetchall())
        lines += _top("Most copied", ("copies", "lines"), db.execute(COPIED).fetchall())
    modules = json.loads(cache.read_text(encoding="utf-8"))["modules"]
    leaving = {name: module for name, module in modules.items() if module["status"] == "leaving"}
    numbers = f"{sum([module['definitions'] for module in leaving.values()]):,}"
    lines += ["", f"{numbers} definitions in {len(leaving)} modules are leaving Python, says the API."]
    return lines


def _top(title: str, numbers: tuple[str, str], rows: Sequence[tuple[int, int, str, str]]) -> list[str]:
    head = f"{title:{NAME_WIDTH + 2}}{numbers[0]:>12}{numbers[1]:>12}"
    return [
        "",
        head,
        *[f"  {_cut(f'{file} {name}', NAME_WIDTH):{NAME_WIDTH}}{a:12,}{b:12,}" for a, b, file, name in rows],
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
