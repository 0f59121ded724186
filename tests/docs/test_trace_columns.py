"""The pages on tracing name all columns that a file of traces has: people ask it with SQL."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.observability import LocalTracer

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["tracing.md", "vi/tracing.md"])
def test_all_columns_are_on_the_page(page, tmp_path):
    with GraphNode(name="one") as graph:
        CodeNode(name="step", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    tracer = LocalTracer(tmp_path / "traces.db")
    Hush(graph).run_sync({"x": 1}, tracer=tracer)
    tracer.flush()
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` \| (.*)$", text, re.MULTILINE)
    rows = {table: set(re.findall(r"`(\w+)`", row)) for table, row in found}
    with sqlite3.connect(tmp_path / "traces.db") as file:
        for table in ("runs", "spans", "processes"):
            columns = {row[1] for row in file.execute(f"PRAGMA table_xinfo({table})")}
            assert columns <= rows[table], table
        of_view = {row[1] for row in file.execute("PRAGMA table_xinfo(calls)")}
        assert of_view <= rows["calls"] | rows["spans"]
        assert rows["calls"] <= of_view | {"kind"}
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
