"""``import hush.core``, in fresh processes: milliseconds over ``import asyncio``, and what it loads."""

from __future__ import annotations

import compileall
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import hush
from benchmarks._measure import Effort
from benchmarks._processes import python
from benchmarks._row import Line, Over, Row

IMPORT = """
import sys, time
before = set(sys.modules)
begun = time.perf_counter()
import {module}
ms = (time.perf_counter() - begun) * 1000
import json
print(json.dumps([ms, sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})]))
"""
MODULES = ("asyncio", "hush.core")


def _import(module: str) -> tuple[float, Sequence[str]]:
    ms, loaded = json.loads(python("-c", IMPORT.format(module=module)))
    return ms, loaded


@dataclass(frozen=True)
class Imported:
    """Both are measured inside the process, so that the start of Python is in neither."""

    name: str = "import"
    work: str = "`import hush.core`, no third-party module"

    def measure(self, effort: Effort) -> list[Line]:
        """One line."""
        compileall.compile_dir(hush.__path__[0], quiet=2)  # as after an install, whatever PYTHONDONTWRITEBYTECODE says
        _, loaded = _import("hush.core")
        foreign = [name for name in loaded if name not in sys.stdlib_module_names and name != "hush"]
        times: dict[str, list[float]] = {module: [] for module in MODULES}
        for _ in range(effort.samples):
            for module in MODULES:
                times[module].append(_import(module)[0])
        return [
            Line(
                work=self.work,
                unit="ms",
                goal=Over(25.0, "import asyncio"),
                hush=median(times["hush.core"]),
                hands={"import asyncio": median(times["asyncio"])},
                broken=f"loads {', '.join(foreign)}" if foreign else None,
            )
        ]


ROWS: tuple[Row, ...] = (Imported(),)
