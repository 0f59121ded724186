"""Load: a SQLite warehouse and a JSON cache, both made aside and put in place together once both are whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from _etl_parts.definitions import DoesNotParse, Row

SCHEMA = """
    CREATE TABLE runs (run TEXT PRIMARY KEY, definitions INTEGER, failed INTEGER);
    CREATE TABLE definitions (
        id INTEGER PRIMARY KEY, file TEXT, module TEXT, name TEXT, kind TEXT, line INTEGER, lines INTEGER,
        own_lines INTEGER, code_lines INTEGER, longest_line INTEGER, documented INTEGER, branches INTEGER, digest TEXT,
        area TEXT, team TEXT, status TEXT, minutes REAL
    );
    CREATE TABLE failed (file TEXT PRIMARY KEY, reason TEXT);
"""


def write_warehouse(
    rows: Sequence[Row | None], errors: Sequence[BaseException | None], folder: Path, run: str
) -> dict[str, object]:
    """Write every definition, and every file that does not parse, to a new SQLite database."""
    made = folder / "warehouse.db"
    good = [row for row in rows if row is not None]
    failed = failures(errors)
    with closing(sqlite3.connect(made)) as db:
        db.executescript(SCHEMA)
        with db:
            db.execute("INSERT INTO runs VALUES (?, ?, ?)", (run, len(good), len(failed)))
            places = ", ".join("?" * len(Row._fields))
            db.executemany(f"INSERT INTO definitions ({', '.join(Row._fields)}) VALUES ({places})", good)
            db.executemany("INSERT INTO failed VALUES (?, ?)", failed.items())
    return {"made": made}


def write_cache(
    rows: Sequence[Row | None], errors: Sequence[BaseException | None], folder: Path, run: str
) -> dict[str, object]:
    """Write what a page about one module would show: its numbers, ready to read."""
    made = folder / "cache.json"
    modules: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row is not None:
            facts = {"area": row.area, "team": row.team, "status": row.status}
            module = modules.setdefault(row.module, {**facts, "definitions": 0, "branches": 0, "minutes": 0.0})
            module["definitions"] += 1
            module["branches"] += row.branches
            module["minutes"] = round(module["minutes"] + row.minutes, 3)
    content = {
        "run": run,
        "modules": modules,
        "failed": failures(errors),
    }
    made.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return {"made": made}


def publish(warehouse: Path, cache: Path, folder: Path) -> dict[str, object]:
    """Put both results in place of the old ones: each is replaced as a whole, and names the run that it is of."""
    targets = [(made, folder / made.name) for made in (warehouse, cache)]
    for _, target in targets:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder; the result cannot take its place")
    for made, target in targets:
        made.replace(target)
    return {"warehouse": folder / warehouse.name, "cache": folder / cache.name}


def failures(errors: Iterable[BaseException | None]) -> dict[str, str]:
    """The files that do not parse, with the reason. Any other error of an item is a fault of this program: raised."""
    found: dict[str, str] = {}
    for error in errors:
        if isinstance(error, DoesNotParse):
            found[error.file] = error.reason
        elif error is not None:
            raise error
    return found
