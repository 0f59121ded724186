"""An ETL in earnest: how long would a review of Python's standard library take, and whose job is it?

    python examples/etl.py                    the real thing: ten thousand definitions and more
    python examples/etl.py --limit-files 50   a quick look
    python examples/etl.py --break api        what a broken source looks like
    python examples/etl.py --show             and what was recorded of the run, as `hush show` shows it

Extract, in parallel: a SQLite database (which team reviews which module, and how fast), an HTTP API (the status of each
module; a small server on loopback, in a process that ends with this one) and the sources of the running Python.
Transform: every function and class is measured, as one item of a map. Load, in parallel: a SQLite warehouse and a JSON
cache, which take the place of the old ones only once both are whole.
"""

from __future__ import annotations

import argparse
import io
import logging
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _etl_parts import server
from _etl_parts.definitions import measure, merge_data
from _etl_parts.loads import publish, write_cache, write_warehouse
from _etl_parts.report import report
from _etl_parts.sources import BrokenSource, fetch_from_api, fetch_from_db, make_database, read_from_files
from _etl_parts.timeline import Timeline

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import LocalTracer

DEFAULT_WORKDIR = Path(".hush-demo", "etl")
TRACES = "traces.db"
STDLIB = Path(sysconfig.get_paths()["stdlib"])

with GraphNode(name="etl-pipeline") as graph:
    # Extract from several sources in parallel: plain blocking functions, each in a thread of its own.
    extract_db = CodeNode(
        name="extract_db",
        code_fn=fetch_from_db,
        inputs={"database": PARENT["database"]},
    )
    extract_api = CodeNode(
        name="extract_api",
        code_fn=fetch_from_api,
        inputs={"api": PARENT["api"]},
    )
    extract_file = CodeNode(
        name="extract_file",
        code_fn=read_from_files,
        inputs={"folder": PARENT["folder"], "limit": PARENT["limit"]},
    )

    # Combine what was extracted.
    combine = CodeNode(
        name="combine",
        code_fn=merge_data,
        inputs={
            "areas": extract_db["areas"],
            "statuses": extract_api["statuses"],
            "files": extract_file["files"],
        },
    )

    # Transform: every definition by itself, so one that fails does not touch the others.
    with MapNode(
        name="transform",
        inputs={"definition": Each(combine["definitions"]), "modules": combine["modules"]},
        max_concurrency=16,
    ) as transform:
        measured = CodeNode(
            name="measure",
            code_fn=measure,
            inputs={"definition": PARENT["definition"], "modules": PARENT["modules"]},
        )
        measured["row"] >> PARENT["row"]
        START >> measured >> END

    # Load to several destinations in parallel, aside; then put both in place.
    to_load = {"rows": transform["row"], "errors": transform["error"], "folder": PARENT["aside"], "run": PARENT["run"]}
    load_warehouse = CodeNode(name="load_warehouse", code_fn=write_warehouse, inputs=to_load)
    load_cache = CodeNode(name="load_cache", code_fn=write_cache, inputs=to_load)
    put_in_place = CodeNode(
        name="publish",
        code_fn=publish,
        inputs={
            "warehouse": load_warehouse["made"],
            "cache": load_cache["made"],
            "folder": PARENT["workdir"],
        },
        outputs=PARENT,
    )

    # Parallel extract
    START >> [extract_db, extract_api, extract_file]
    [extract_db, extract_api, extract_file] >> combine

    # Transform, item by item
    combine >> transform

    # Parallel load
    transform >> [load_warehouse, load_cache]
    [load_warehouse, load_cache] >> put_in_place >> END


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; gives the exit code of the process."""
    options = _options(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # sources may hold what the terminal cannot show
    logging.getLogger("hush").setLevel(logging.ERROR)  # it warns of items that failed; the report names them all
    for category in (SyntaxWarning, DeprecationWarning):
        warnings.simplefilter("ignore", category)  # what the parser thinks of the sources that are measured
    try:
        code = _run_and_tell(options)
        recorded = options.workdir / TRACES
        if options.show:
            print(flush=True)
            subprocess.run([sys.executable, "-m", "hush", "show", "--traces", str(recorded)], check=False)
        else:
            print(f"\nRecorded: hush show --traces {recorded}")
        return code
    except KeyboardInterrupt:
        print("\nStopped. What an earlier run loaded stands as it was.", file=sys.stderr)
        return 130


def _run_and_tell(options: argparse.Namespace) -> int:
    timeline = Timeline()
    blocks = _shows_blocks()
    result: Any = None
    failures: list[BaseException] = []
    try:
        result = _run(options, timeline)
    except* (BrokenSource, OSError, sqlite3.Error) as group:  # catches one failure, and several at once
        failures += _leaves(group)
    if failures:
        if timeline.spans:
            print("What ran until it failed", *timeline.lines(blocks=blocks), sep="\n", flush=True)
        for failure in failures:
            where = getattr(failure, "hush", None)  # where in the graph; the engine's note on every failure of a node
            print(f"\nFailed{f' in {where.path}' if where else ''}: {failure}", file=sys.stderr)
        print("What an earlier run loaded stands as it was.", file=sys.stderr)
        return 1
    print(*report(result["warehouse"], result["cache"]), sep="\n")
    print(f"\nWhat ran when ({result.seconds:.1f} s)", *timeline.lines(blocks=blocks), sep="\n")
    print("\nIts beginning, closer", *timeline.lines(blocks=blocks, until="combine"), sep="\n")
    print(f"\nWarehouse: {result['warehouse']}\nCache:     {result['cache']}")
    return 0


def _run(options: argparse.Namespace, timeline: Timeline) -> Any:
    """Run the graph, with the API's server beside it and a folder for what is not whole yet."""
    workdir: Path = options.workdir.absolute()
    workdir.mkdir(parents=True, exist_ok=True)
    if options.workdir == DEFAULT_WORKDIR:
        (workdir / ".gitignore").write_text("*\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=workdir) as aside:
        database = workdir / "source.db"
        make_database(database)
        if options.broken == "db":
            database = Path(aside, "broken.db")
            database.write_text("This is no database.", encoding="utf-8")
        with server.running(broken=options.broken == "api") as api:
            print(f"Extracting from {database.name}, {api} and {options.sources} ...\n", flush=True)
            run = uuid.uuid4().hex
            inputs = {
                "database": database,
                "api": api,
                "folder": options.sources / "not-there" if options.broken == "files" else options.sources,
                "limit": options.limit_files,
                "aside": Path(aside),
                "workdir": workdir,
                "run": run,
            }
            tracer = LocalTracer(workdir / TRACES)
            try:
                return Hush(graph).run_sync(inputs, tracer=[timeline, tracer], request_id=run)
            finally:
                tracer.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, default=DEFAULT_WORKDIR, help="where the results go (%(default)s)")
    parser.add_argument(
        "--sources", type=Path, default=STDLIB, help="the folder to review (the standard library's: %(default)s)"
    )
    parser.add_argument("--limit-files", type=_count, metavar="N", help="take the first N files only")
    parser.add_argument("--show", action="store_true", help="show the run by what was recorded of it: `hush show`")
    parser.add_argument("--break", dest="broken", choices=["db", "api", "files"], help="break a source, to see it fail")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("it is at least 1")
    return count


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _shows_blocks() -> bool:
    try:
        "█▁".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
