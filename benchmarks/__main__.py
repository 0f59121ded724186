"""``python -m benchmarks``: measure every row, print the table, and with ``--write`` keep it in docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import traceback
from time import perf_counter

from benchmarks import (
    _table,
    rows_beside,
    rows_compile,
    rows_engine,
    rows_file,
    rows_first,
    rows_graphs,
    rows_import,
    rows_limits,
    rows_llm,
    rows_maps,
    rows_million,
    rows_processes,
    rows_silent,
    rows_streams,
    rows_tracing,
)
from benchmarks._measure import FULL, QUICK, Effort
from benchmarks._row import Line, Row
from benchmarks.peers import __main__ as peers

ROWS: tuple[Row, ...] = (
    *rows_graphs.ROWS,
    *rows_maps.ROWS,
    *rows_million.ROWS,
    *rows_streams.ROWS,
    *rows_file.ROWS,
    *rows_limits.ROWS,
    *rows_llm.ROWS,
    *rows_processes.ROWS,
    *rows_compile.ROWS,
    *rows_engine.ROWS,
    *rows_tracing.ROWS,
    *rows_silent.ROWS,
    *rows_beside.ROWS,
    *rows_import.ROWS,
    *rows_first.ROWS,
)


def main() -> int:
    """Measure what is asked for; 1 if a row could not be measured, while a missed goal is a result like any."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what Hush costs against hand-written asyncio, and print a table.",
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions: does it work, and about how fast")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--peers", action="store_true", help="measure other engines too: a table of its own")
    asked = parser.parse_args()
    if asked.write and asked.only:
        parser.error("--write keeps the whole table: leave --only out")
    if asked.peers:
        if asked.only:
            parser.error("its rows have names of their own: python -m benchmarks.peers run --only ...")
        flags = [flag for flag in ("--quick", "--write") if getattr(asked, flag[2:])]
        return peers.main(["run", *flags])

    lines: list[Line] = []
    failed: list[str] = []
    for row in ROWS:
        if not asked.only or row.name in asked.only:
            measured = _measure(row, QUICK if asked.quick else FULL)
            lines += measured or [Line(work=row.work, broken="not measured")]
            failed += [] if measured else [row.name]
    table = _table.render(lines, quick=asked.quick)
    print(table)
    if failed:
        print(f"Could not be measured: {', '.join(failed)}.", file=sys.stderr)
    elif asked.write:
        _table.write(table)
    return 1 if failed else 0


def _measure(row: Row, effort: Effort) -> list[Line]:
    """The lines of a row; none if it breaks: the others can still be measured."""
    print(f"{row.name} ...", end="", flush=True, file=sys.stderr)
    begun = perf_counter()
    try:
        lines = row.measure(effort)
    except Exception:
        print(file=sys.stderr)
        traceback.print_exc()
        return []
    print(f" {perf_counter() - begun:.1f} s", file=sys.stderr)
    return lines


if __name__ == "__main__":
    sys.exit(main())
