"""A file of a gigabyte goes through three maps at flat memory: parse it in batches, write what is odd, add up the rest.

python examples/big_file_pipeline.py                    makes the file first, in a folder that is removed at the end
python examples/big_file_pipeline.py --megabytes 20     a smaller one
python examples/big_file_pipeline.py --file orders.csv  your own: id,customer,country,amount

Nothing is ever held as a whole. `parse` gets lists of 20,000 lines as they are read, `odd` streams from it and writes
in the order of the file, and each of them takes only so much ahead: when writing is slow, reading waits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

BATCH = 20_000
COUNTRIES = ("DE", "FR", "VN", "BR", "IN", "US", "JP", "KE")


def parse(lines: list[str]) -> dict[str, Any]:
    """Add up the amounts of a batch by country; keep the rows that are odd, and count those that are no rows."""
    totals: Counter[str] = Counter()
    odd: list[str] = []
    broken = 0
    for line in lines:
        try:
            _, _, country, amount = line.split(",")
            totals[country] += int(amount)
        except ValueError:
            broken += 1
        else:
            if len(amount) > 5:  # 10,000 and more: the line break counts
                odd.append(line)
    return {"totals": totals, "odd": odd, "rows": len(lines) - broken, "broken": broken}


def writer(path: Path) -> Any:
    """A function that adds rows to the file at ``path``."""

    def write(rows: list[str]) -> dict[str, int]:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(rows)
        return {"written": len(rows)}

    return write


def add_up(parts: list[Counter[str]], rows: list[int], broken: list[int], written: list[int]) -> dict[str, Any]:
    """One sum of all batches."""
    totals = sum(parts, Counter[str]())
    return {"totals": dict(totals), "rows": sum(rows), "broken": sum(broken), "odd": sum(written)}


def build(lines: Iterable[str], out: Path) -> Hush:
    with GraphNode(name="orders") as graph:
        with MapNode(name="parse", inputs={"lines": Each(lines)}, batch=BATCH, max_concurrency=2, window=4) as parsed:
            START >> CodeNode(code_fn=parse, inputs={"lines": PARENT["lines"]}, outputs={"*": PARENT}) >> END
        with MapNode(name="odd", inputs={"rows": Each(parsed["odd"])}, max_concurrency=1) as odd:
            START >> CodeNode(name="write", code_fn=writer(out), inputs={"*": PARENT}, outputs={"*": PARENT}) >> END
        CodeNode(
            code_fn=add_up,
            inputs={
                "parts": parsed["totals"],
                "rows": parsed["rows"],
                "broken": parsed["broken"],
                "written": odd["written"],
            },
            outputs={"*": PARENT},
        )
        START >> parsed
    return Hush(graph)


def generate(path: Path, megabytes: int) -> None:
    """Write orders until the file has its size: the same ones each time."""
    block, first, state = 5_000, 0, 1
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            lines: list[str] = []
            for number in range(first, first + block):
                state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
                amount = "n/a" if state % 9_973 == 0 else state % 10_007
                lines.append(f"{number:09},customer-{state % 65_537:05},{COUNTRIES[state % 8]},{amount}\n")
            file.writelines(lines)
            first += block


@contextmanager
def orders(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """The file to read, and a folder for what is written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.csv" if args.file is None else args.file
        if args.file is None:
            print(f"making {args.megabytes} MB of orders ...", file=sys.stderr)
            generate(path, args.megabytes)
        yield path, Path(folder)


def peak_mb() -> float:
    """The most memory that this process has had, where the system tells."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def progress() -> Any:
    """A bar, where rich is installed; it shows nothing on a pipe."""
    try:
        from hush.observability import ConsoleProgress

        return ConsoleProgress()
    except ImportError:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000, help="the size of the file that is made")
    parser.add_argument("--file", type=Path, help="a file of your own, which is only read")
    args = parser.parse_args()
    with orders(args) as (source, folder), source.open(encoding="utf-8") as lines:
        before_mb = peak_mb()
        engine = build(lines, folder / "odd.csv")
        engine.show()
        began = perf_counter()
        result = engine.run_sync(tracer=progress())
        seconds = perf_counter() - began
        size_mb = source.stat().st_size / 1e6
        print(f"{result['rows']:,} rows, {result['broken']:,} broken lines, {result['odd']:,} odd ones written")
        print(", ".join(f"{country} {total:,}" for country, total in sorted(result["totals"].items())))
        print(f"{size_mb:,.0f} MB in {seconds:.1f} s; memory grew by {peak_mb() - before_mb:.0f} MB", file=sys.stderr)
