"""What tracing costs: a chain to SQLite, the same with a plain OpenTelemetry SDK, a map of a million items."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks._measure import Effort, WrongResultError
from benchmarks._processes import Record, alternate, peak_mb
from benchmarks._row import Line, Over, Row
from benchmarks._work import LONG, MILLION, MILLION_AT_ONCE, WARM_ITEMS, add_one, double
from benchmarks.rows_graphs import chain
from benchmarks.rows_maps import mapped
from hush.core import Hush
from hush.observability import LocalTracer

RUNS = 20  # in one sample: 2,000 nodes, then a flush that is not the runs' time

Run = Callable[[], Awaitable[object]]
Flush = Callable[[], object]


async def _sampled(sides: Mapping[str, tuple[Run, Flush]], samples: int) -> dict[str, tuple[float, float]]:
    """Of each side: median seconds of a run, and of processor time until it is flushed, turn by turn."""
    taken: dict[str, list[tuple[float, float]]] = {label: [] for label in sides}
    for number in range(samples + 3):
        for label, (run, flush) in sides.items():
            gc.collect()
            used, begun = process_time(), perf_counter()
            for _ in range(RUNS):
                await run()
            seconds = perf_counter() - begun
            flush()
            if number >= 3:
                taken[label].append((seconds / RUNS, (process_time() - used) / RUNS))
    return {
        label: (median([seconds for seconds, _ in each]), median([used for _, used in each]))
        for label, each in taken.items()
    }


# ── A chain ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_opentelemetry() -> tuple[Callable[[], Awaitable[int]], Flush]:
    """The same calls by hand, each in a span of the OpenTelemetry SDK, in batches to an exporter that drops them."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    tracer = provider.get_tracer("by hand")

    async def run() -> int:
        with tracer.start_as_current_span("run"):
            x = 0
            for number in range(LONG):
                with tracer.start_as_current_span(f"n{number}") as span:
                    span.set_attribute("x", x)
                    x = add_one(x)["x"]
            return x

    return run, provider.force_flush


@dataclass(frozen=True)
class TracedChain:
    """What the run itself takes longer, and the processor time until all of it is in the file."""

    name: str = "traced-chain"
    work: str = f"chain of {LONG} sync nodes, traced to SQLite: the run"

    def measure(self, effort: Effort) -> list[Line]:
        """Two lines."""
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(self._lines(effort, Path(folder) / "traces.db"))

    async def _lines(self, effort: Effort, file: Path) -> list[Line]:
        engine, tracer = Hush(chain(add_one)), LocalTracer(file)
        sides: dict[str, tuple[Run, Flush]] = {
            "hush": (lambda: engine.run(inputs={"x": 0}, tracer=tracer), tracer.flush),
            "no tracer": (lambda: engine.run(inputs={"x": 0}), lambda: None),
            "opentelemetry SDK": by_opentelemetry(),
        }
        taken = await _sampled(sides, effort.samples)
        counts = tracer.counts
        if counts.produced != counts.exported or counts.produced != (effort.samples + 3) * RUNS * (LONG + 1):
            raise WrongResultError(f"spans are missing: {counts}")
        micros = {label: tuple(1e6 / LONG * one for one in figures) for label, figures in taken.items()}
        run = {label: figures[0] for label, figures in micros.items()}
        used = {label: figures[1] for label, figures in micros.items()}
        return [
            Line(work=self.work, unit="µs a node", goal=Over(3.0, "no tracer"), hush=run.pop("hush"), hands=run),
            Line(
                work="of it, processor time until it is in the file",
                unit="µs a node",
                goal=Over(10.0, "no tracer"),
                hush=used.pop("hush"),
                hands=used,
            ),
        ]


# ── A million items ──────────────────────────────────────────────────────────────────────────────────────────────────


def traced_million() -> Record:
    """The map with a tracer, until all is in the file."""
    with tempfile.TemporaryDirectory() as folder:
        tracer = LocalTracer(Path(folder) / "traces.db")
        record = asyncio.run(_million(tracer, lambda: tracer.flush(120.0)))
        produced, exported, left_out, dropped, pending = tracer.counts
        if pending or dropped or produced != exported + left_out or produced < 2 * MILLION:
            raise WrongResultError(f"spans are missing: {tracer.counts}")
        return record


def plain_million() -> Record:
    """The same without."""
    return asyncio.run(_million(None, lambda: None))


async def _million(tracer: Any, flush: Flush) -> Record:
    engine = Hush(mapped(double, MILLION_AT_ONCE))
    await engine.run(inputs={"xs": range(WARM_ITEMS)})
    begun = perf_counter()
    found = (await engine.run(inputs={"xs": range(MILLION)}, tracer=tracer))["y"]
    flush()
    seconds = perf_counter() - begun
    return {"seconds": seconds, "mb": peak_mb(), "result": [len(found), sum(found)]}


@dataclass(frozen=True)
class TracedMillion:
    """Every span is counted: exported, or left out by sampling."""

    name: str = "traced-million"
    work: str = f"map over {MILLION:,}, {MILLION_AT_ONCE} at a time, traced to SQLite, until it is in the file"

    def measure(self, effort: Effort) -> list[Line]:
        """Seconds, then memory."""
        taken = alternate({"hush": traced_million, "no tracer": plain_million}, effort.heavy)
        seconds, mb = (
            {label: median([record[key] for record in records]) for label, records in taken.items()}
            for key in ("seconds", "mb")
        )
        return [
            Line(work=self.work, unit="s", hush=seconds["hush"], hands={"no tracer": seconds["no tracer"]}),
            Line(
                work="its peak memory",
                unit="MB",
                goal=Over(100.0, "no tracer"),
                hush=mb["hush"],
                hands={"no tracer": mb["no tracer"]},
            ),
        ]


ROWS: tuple[Row, ...] = (TracedChain(), TracedMillion())
