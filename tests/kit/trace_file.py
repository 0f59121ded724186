"""A file of traces from outside: looked at and changed through SQLite alone, and programs that write one."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import hush

_PLACES = (Path(hush.__file__).parents[1], Path(__file__).parents[1])
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _PLACES))}
"""Of programs that import Hush and the kit."""


def assert_whole(file: Path) -> None:
    """Nothing in it is damaged."""
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def change(file: Path, statement: str) -> None:
    """Change it behind everybody's back."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(statement)
    connection.close()


def take_for_dead(file: Path) -> None:
    """Let it say that the process which wrote it began at another time than the one that has its number now."""
    change(file, "UPDATE processes SET began = '1'")
