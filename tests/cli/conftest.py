"""A folder of the user's to run the command in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from kit.command import modules_kept

Write = Callable[..., Path]

START = """\
from hush.core import *

def double(n):
    return {"twice": n * 2}

with GraphNode(name="g") as graph:
    CodeNode(name="double", code_fn=double, inputs={"n": PARENT["n"]}, outputs=PARENT)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder: nothing of the machine's own settings is seen."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HUSH_CONFIG", "HUSH_RESOURCES", "HUSH_TRACES_DB"):
        monkeypatch.delenv(name, raising=False)
    with modules_kept():
        yield work


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file; without a text, a small graph."""

    def writes(name: str = "graph.py", text: str = START) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return writes
