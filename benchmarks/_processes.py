"""Work that needs a process of its own: a very first run, a peak of memory, an import.

``python -m benchmarks._processes MODULE FUNCTION ARGUMENT...`` calls the function with the arguments, all strings, and
prints what it gives as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._measure import must_agree

ROOT = Path(__file__).parents[1]
TIME_LIMIT_S = 300
Record = dict[str, Any]


def python(*arguments: str) -> str:
    """Run this Python at the root of the project; what it printed."""
    # Without compiled files every import would compile, and an import is what one row times.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"python {' '.join(arguments[:4])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def in_fresh_process(function: Callable[..., Any], *arguments: str) -> Any:
    """What a function of a module gives in a process that has done nothing yet."""
    return json.loads(python("-m", "benchmarks._processes", function.__module__, function.__name__, *arguments))


def alternate(sides: Mapping[str, Callable[..., Record]], samples: int, *arguments: str) -> dict[str, list[Record]]:
    """The records of each side in fresh processes, turn by turn; their ``result`` must agree each time.

    All sides are called with ``arguments``.
    """
    records: dict[str, list[Record]] = {label: [] for label in sides}
    for _ in range(samples):
        for label, side in sides.items():
            records[label].append(in_fresh_process(side, *arguments))
        must_agree({label: taken[-1]["result"] for label, taken in records.items()})
    return records


def peak_mb() -> float:
    """The most memory that this process has had resident, in MB of 10⁶ bytes."""
    # On Linux ru_maxrss starts at what the parent held when it forked; VmHWM belongs to this program alone.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    module, name, *rest = sys.argv[1:]
    print(json.dumps(getattr(import_module(module), name)(*rest)))
