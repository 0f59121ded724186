"""Exporters that do what exporters may do, and runs that are told without an engine."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFinished,
    NodeRan,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._exporter import ExportError
from hush.observability._recorder import RunRecorder
from hush.observability._span import Batch, RunRecord, Span
from hush.observability._tracer import SpanTracer

PATIENCE_S = 60.0
"""Only a test that fails waits for so long."""


class Fake:
    """Takes what it is given, or does what it is told: ``refuse`` gives an error for a batch, or ``None``."""

    def __init__(
        self, refuse: Callable[[Batch], BaseException | None] = lambda _: None, *, live: bool = True, most: int = 500
    ) -> None:
        self.live, self.most, self.refuse = live, most, refuse
        self.batches: list[Batch] = []
        self.closed = 0
        self.calls = 0
        self.threads: set[int] = set()

    def __call__(self) -> Fake:
        return self

    def export(self, batch: Batch, /) -> None:
        self.calls += 1
        self.threads.add(threading.get_ident())
        assert len(batch.ended) <= self.most
        error = self.refuse(batch)
        if error is not None:
            raise error
        self.batches.append(batch)

    def close(self) -> None:
        self.closed += 1

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.batches for span in batch.ended]

    @property
    def runs(self) -> dict[str, RunRecord]:
        """The last that was told of each."""
        return {record.trace: record for batch in self.batches for record in batch.runs}


class Gate(Fake):
    """Blocks until it is opened."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.entered, self.open = threading.Event(), threading.Event()

    def export(self, batch: Batch, /) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        super().export(batch)


def again(_: Batch) -> ExportError:
    return ExportError("not now", again=True)


def never(_: Batch) -> ExportError:
    return ExportError("no", again=False)


_numbers = itertools.count(1)


class Told:
    """One run, told to a recorder as an engine would."""

    def __init__(self, to: SpanTracer | RunRecorder, run: str = "r") -> None:
        self.recorder = to.for_run() if isinstance(to, SpanTracer) else to
        self.run, self.at_ns = run, 1_000
        self.emit(RunStarted(run, "g", None, next(_numbers), 10**18, inputs={}, kinds={"g/a": "code", "g/m": "map"}))

    def emit(self, event: Any) -> None:
        self.at_ns += 1_000
        if type(event) is NodeRan:
            self.recorder.ran(*event)
        else:
            self.recorder.emit(event)

    def quick(self, count: int = 1, **outputs: Any) -> Told:
        for _ in range(count):
            at_ns = self.at_ns
            self.emit(NodeRan(self.run, "g/a", None, at_ns + 500, (), at_ns, at_ns, {"x": 1}, outputs or {"y": 2}))
        return self

    def slow(self, count: int) -> Told:
        """Calls of a second, all at once: none of them is left out because there is little room."""
        for _ in range(count):
            at_ns = self.at_ns
            self.emit(NodeRan(self.run, "g/a", None, at_ns + 10**9, (), at_ns, at_ns, {"x": 1}, {"y": 2}))
        return self

    def map(self, count: int, failing: Callable[[int], bool] = lambda _: False) -> Told:
        """A map whose items have one node each."""
        run = self.run
        self.emit(NodeStarted(run, "g/m", None, self.at_ns))
        self.emit(MapStarted(run, "g/m", None, self.at_ns, count))
        failed = 0
        for item in range(count):
            at_ns = self.at_ns
            self.emit(NodeRan(run, "g/m/n", item, at_ns + 900, (), at_ns, at_ns, {}, {}))
            if failing(item):
                failed += 1
                self.emit(ItemFailed(run, "g/m", item, self.at_ns, ValueError(f"item {item}")))
            else:
                self.emit(ItemFinished(run, "g/m", item, self.at_ns))
        self.emit(MapFinished(run, "g/m", None, self.at_ns, count, failed, (), count))
        self.emit(NodeFinished(run, "g/m", None, self.at_ns))
        return self

    def end(self, **more: Any) -> Told:
        self.emit(RunFinished(self.run, "g", None, self.at_ns, "ok", 1.0, **more))
        return self


def flushed(tracer: SpanTracer) -> None:
    assert tracer.flush(PATIENCE_S)
