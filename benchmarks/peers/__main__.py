"""``python -m benchmarks.peers make`` makes the environments, ``... run`` measures and ``... show`` prints again."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from time import perf_counter
from typing import Any

from benchmarks._llm import WHERE, llm_server
from benchmarks.peers import _environments, _page, _rows, _runner
from benchmarks.peers._contestants import ALL, PEERS, Contestant
from benchmarks.peers._runner import FULL, QUICK, Effort, Way, say

LAST = _environments.FOLDER / "last-run.json"
FRESH = {_rows.IMPORTED.name, _rows.CHAIN_COLD.name, _rows.BLOCKING.name}


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked for; 1 if something that it takes is missing."""
    asked = _parser().parse_args(arguments)
    contestants = _page.columns(asked.peer)
    if asked.do == "make":
        _environments.make(each for each in contestants if each.distribution is not None)
        return 0
    if asked.do == "show":
        if not LAST.exists():
            say("There was no whole run yet.")
            return 1
        table = _shown(json.loads(LAST.read_text(encoding="utf-8")))
    else:
        if missing := [each.name for each in contestants if not _environments.stands(each)]:
            say(f"No environment for {', '.join(missing)}. First: {sys.executable} -m benchmarks.peers make")
            return 1
        if asked.write and (asked.only or asked.peer):
            say("--write keeps the whole table: leave --only and --peer out")
            return 1
        with llm_server() as os.environ[WHERE]:
            table = _measured(contestants, QUICK if asked.quick else FULL, set(asked.only or ()))
    print(table)
    if asked.write:
        _page.write(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("do", choices=("make", "run", "show"), help="environments, a run, or the last whole run again")
    parser.add_argument("--quick", action="store_true", help="few repetitions: does it work, and about how fast")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    names = [row.name for row in _rows.ALL]
    parser.add_argument("--only", action="append", choices=names, metavar="ROW", help=f"one of {', '.join(names)}")
    peers = [each.name for each in PEERS]
    parser.add_argument("--peer", action="append", choices=peers, metavar="PEER", help=f"one of {', '.join(peers)}")
    return parser


def _measured(contestants: list[Contestant], effort: Effort, only: set[str]) -> str:
    begun = perf_counter()
    warm = _runner.Warm(contestants, effort)
    ways: list[Way] = []
    try:
        for row in _rows.WARM:
            if not only or row.name in only:
                row_begun = perf_counter()
                ways += warm.measure(row)
                say(f"  {perf_counter() - row_begun:.1f} s")
    finally:
        warm.stop()
    if not only or only & {_rows.MILLION_S.name, _rows.MILLION_MB.name}:
        ways += _runner.millions(
            contestants, lambda name: warm.hellos[name]["ways"].get(_rows.MILLION_S.name, ()), effort
        )
    if not only or only & FRESH:
        ways += _runner.first_runs(contestants, effort)
    say(f"all: {perf_counter() - begun:.0f} s")
    names = [each.name for each in contestants]
    record = {"names": names, "hellos": warm.hellos, "effort": asdict(effort), "ways": [asdict(way) for way in ways]}
    if not only and len(contestants) == len(ALL):  # a part does not displace a whole run
        LAST.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return _shown(record)


def _shown(record: dict[str, Any]) -> str:
    contestants = [each for each in _page.columns(None) if each.name in record["names"]]
    ways = [Way(**each) for each in record["ways"]]
    return _page.render(contestants, record["hellos"], ways, Effort(**record["effort"]))


if __name__ == "__main__":
    sys.exit(main())
