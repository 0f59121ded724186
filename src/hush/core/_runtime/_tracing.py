"""``Tracing``: tells a run's tracers what happens, in order. Without a tracer there is none, and no event is made."""

from __future__ import annotations

import asyncio
import logging
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Sequence
from time import monotonic_ns
from typing import Any

from hush.core import events
from hush.core._plan._model import StepPlan
from hush.core._runtime._frame import Frame, Ready
from hush.core.events import Event
from hush.core.protocols import Tracer

log = logging.getLogger("hush.tracing")


class Tracing:
    """The tracers of one run."""

    __slots__ = ("_loop", "_run", "_tracers")

    def __init__(self, run_id: str, tracers: Sequence[Tracer], loop: asyncio.AbstractEventLoop) -> None:
        self._run = run_id
        self._tracers = list(tracers)
        self._loop = loop

    def tell(self, event: Event) -> None:
        """Hand ``event`` to every tracer; one that raises is dropped for the rest of the run and logged."""
        hidden = _get_running_loop() is None
        if hidden:
            _set_running_loop(self._loop)
        try:
            for tracer in tuple(self._tracers):
                try:
                    tracer.emit(event)
                except Exception:  # a border: a tracer must not harm the run
                    self._tracers.remove(tracer)
                    log.exception("the tracer %r raised; it hears no more of run %s", tracer, self._run)
        finally:
            if hidden:
                _set_running_loop(None)

    def node_started(self, frame: Frame, step: StepPlan) -> None:
        """``step`` is about to be called."""
        self.tell(_node(events.NodeStarted, self._run, frame, step))

    def node_finished(self, frame: Frame, step: StepPlan, ready: Ready) -> None:
        """``step`` ended well: settle it, and tell what became ready."""
        self.tell(_node(events.NodeFinished, self._run, frame, step))
        before = len(ready)
        frame.finish(step, ready)
        self._became_ready(ready, before)

    def node_failed(self, frame: Frame, step: StepPlan, error: BaseException, *, handled: bool, ready: Ready) -> None:
        """``step`` raised: settle it if the graph goes on."""
        item, outer = _place(frame)
        self.tell(events.NodeFailed(self._run, step.path, item, monotonic_ns(), error, handled, outer))
        if handled:
            before = len(ready)
            frame.fail(step, error, ready)
            self._became_ready(ready, before)

    def node_skipped(self, frame: Frame, step: StepPlan, ready: Ready) -> None:
        """``step`` does not run."""
        self.tell(_node(events.NodeSkipped, self._run, frame, step))
        before = len(ready)
        frame.skip(step, ready)
        self._became_ready(ready, before)

    def frame_started(self, frame: Frame, ready: Ready) -> None:
        """A graph or an item begins."""
        before = len(ready)
        frame.start(ready)
        self._became_ready(ready, before)

    def map_started(self, frame: Frame, step: StepPlan, total: int | None) -> None:
        """A map begins to pull."""
        item, outer = _place(frame)
        self.tell(events.MapStarted(self._run, step.path, item, monotonic_ns(), total, outer))

    def map_finished(self, frame: Frame, step: StepPlan, done: int, failed: int) -> None:
        """A map ended."""
        item, outer = _place(frame)
        self.tell(events.MapFinished(self._run, step.path, item, monotonic_ns(), done, failed, outer))

    def item_finished(self, step: StepPlan, item: tuple[int, ...]) -> None:
        """An item ended well."""
        self.tell(events.ItemFinished(self._run, step.path, item[-1], monotonic_ns(), item[:-1]))

    def item_failed(self, step: StepPlan, item: tuple[int, ...], error: Any) -> None:
        """An item failed."""
        self.tell(events.ItemFailed(self._run, step.path, item[-1], monotonic_ns(), error, item[:-1]))

    def _became_ready(self, ready: Ready, before: int) -> None:
        for frame, step in reversed(ready[before:]):
            if frame.runs(step):
                self.tell(_node(events.NodeReady, self._run, frame, step))


def _place(frame: Frame) -> tuple[int | None, tuple[int, ...]]:
    item = frame.item
    return (item[-1], item[:-1]) if item else (None, ())


def _node(kind: Any, run: str, frame: Frame, step: StepPlan) -> Event:
    item = frame.item
    made: Event
    if item:
        made = kind(run, step.path, item[-1], monotonic_ns(), item[:-1])
    else:
        made = kind(run, step.path, None, monotonic_ns())
    return made
