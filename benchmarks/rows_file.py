"""A file that goes through two streaming maps in batches, as in ``examples/big_file_pipeline.py``, beside a plain loop.

Each side has a process of its own. The file is made once, in a folder that is removed at the end.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from examples.big_file_pipeline import BATCH, build, generate, parse, writer

from benchmarks._measure import Effort
from benchmarks._processes import Record, alternate, peak_mb
from benchmarks._row import Line, Row

MEGABYTES = 100


def hush_file(path: str, folder: str) -> Record:
    """The example: batches are parsed in threads, and what is odd is written while the next ones are read."""
    with Path(path).open(encoding="utf-8") as lines:
        engine = build(lines, _written(folder))
        few_mb, begun = peak_mb(), perf_counter()
        found = asyncio.run(_ran(engine))
        return _record(path, found, few_mb, perf_counter() - begun)


async def _ran(engine: Any) -> Mapping[str, Any]:
    return dict(await engine.run())


def loop_file(path: str, folder: str) -> Record:
    """The same functions, one batch after the other."""
    with Path(path).open(encoding="utf-8") as lines:
        write = writer(_written(folder))
        few_mb, begun = peak_mb(), perf_counter()
        totals: Counter[str] = Counter()
        rows = broken = odd = 0
        while batch := list(islice(lines, BATCH)):
            part = parse(batch)
            totals += part["totals"]
            rows += part["rows"]
            broken += part["broken"]
            odd += write(part["odd"])["written"]
        found = {"totals": dict(totals), "rows": rows, "broken": broken, "odd": odd}
        return _record(path, found, few_mb, perf_counter() - begun)


def _written(folder: str) -> Path:
    path = Path(folder) / "odd.csv"
    path.unlink(missing_ok=True)  # the side before wrote it, too
    return path


def _record(path: str, found: Mapping[str, Any], few_mb: float, seconds: float) -> Record:
    size_mb = Path(path).stat().st_size / 1e6
    return {"MB/s": size_mb / seconds, "MB": peak_mb() - few_mb, "result": found}


@dataclass(frozen=True)
class FromFile:
    """Both figures come from the same runs; memory is what is added to that of the process before the run."""

    name: str = "file"
    work: str = f"a file of {MEGABYTES} MB through two streaming maps, {BATCH:,} lines at a time"

    def measure(self, effort: Effort) -> list[Line]:
        """Megabytes a second, then memory."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "orders.csv"
            generate(path, MEGABYTES)
            taken = alternate({"hush": hush_file, "a loop": loop_file}, effort.heavy, str(path), folder)
        speed, mb = (
            {label: median([record[key] for record in records]) for label, records in taken.items()}
            for key in ("MB/s", "MB")
        )
        return [
            Line(work=self.work, unit="MB/s", hush=speed.pop("hush"), hands=speed),
            Line(work="its peak memory, over that before the run", unit="MB", hush=mb.pop("hush"), hands=mb),
        ]


ROWS: tuple[Row, ...] = (FromFile(),)
