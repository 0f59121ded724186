"""What a tracer costs nodes that wait: 50,000 of a millisecond, and a server that never answers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from statistics import median
from threading import Thread
from time import perf_counter
from typing import Any

from benchmarks._measure import Effort, WrongResultError
from benchmarks._row import Line, Row, Times
from benchmarks.rows_maps import mapped
from hush.core import Hush
from hush.observability import LocalTracer, OTelTracer

NODES = 50_000
AT_ONCE = 16  # what a map does without ``max_concurrency=``
ALONE = 5_000  # one after the other: a tenth of the nodes, or the row would take ten minutes
NODE_S = 0.001


async def wait(x: int) -> dict[str, int]:
    """A node of a millisecond."""
    await asyncio.sleep(NODE_S)
    return {"y": x}


@contextmanager
def silence() -> Iterator[str]:
    """The address of a server that never answers."""
    held: list[Any] = []
    with create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept())
            except OSError:
                return  # it was closed

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
    for connection, _ in held:
        connection.close()


@dataclass(frozen=True)
class SilentServer:
    """The run must not notice its tracer."""

    name: str = "silent-server"
    work: str = f"{NODES:,} nodes of {NODE_S * 1e3:.0f} ms, the tracer's server never answers"

    def measure(self, effort: Effort) -> list[Line]:
        """Two lines for each tracer: as many nodes at once as is usual, and one after the other."""
        with tempfile.TemporaryDirectory() as folder, silence() as address:
            silent = OTelTracer(address, timeout_s=2.0)
            tracers = {"hush": silent, "SQLite": LocalTracer(Path(folder) / "traces.db"), "no tracer": None}
            lines = []
            for at_once, nodes in ((AT_ONCE, NODES), (1, ALONE)):
                # The goal is nearer than the hours of a machine are to each other: two rounds more than usual.
                samples = effort.heavy + 2 if effort.heavy > 1 else 1
                taken = asyncio.run(self._seconds(tracers, at_once, nodes, samples))
                hush, file, none = (taken[label] for label in ("hush", "SQLite", "no tracer"))
                work = f"{nodes:,} nodes of {NODE_S * 1e3:.0f} ms, {at_once} at a time, traced to"
                for where, seconds in (("a server that never answers", hush), ("SQLite", file)):
                    goal = Times(1.05, "no tracer")
                    lines.append(
                        Line(work=f"{work} {where}", unit="s", goal=goal, hush=seconds, hands={"no tracer": none})
                    )
            counts = silent.counts
            if counts.exported or counts.produced != counts.left_out + counts.dropped + counts.pending:
                raise WrongResultError(f"spans are missing: {counts}")
            return lines

    async def _seconds(self, tracers: dict[str, Any], at_once: int, nodes: int, samples: int) -> dict[str, float]:
        """The median of each side's runs, turn by turn."""
        engine = Hush(mapped(wait, at_once))
        taken: dict[str, list[float]] = {label: [] for label in tracers}
        labels = list(tracers)
        for number in range(samples):
            for label in labels[number % len(labels) :] + labels[: number % len(labels)]:  # none always comes first
                tracer = tracers[label]
                begun = perf_counter()
                found = await engine.run(inputs={"xs": range(nodes)}, tracer=tracer)
                taken[label].append(perf_counter() - begun)
                if len(found["y"]) != nodes:
                    raise WrongResultError(f"{len(found['y']):,} of {nodes:,} items")
                if isinstance(tracer, LocalTracer):
                    await asyncio.to_thread(tracer.flush, 60.0)  # what is left of it is not the next run's time
        return {label: median(each) for label, each in taken.items()}


ROWS: tuple[Row, ...] = (SilentServer(),)
