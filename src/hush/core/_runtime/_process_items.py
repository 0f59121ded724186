"""The work of a process map, in a worker process: the map's body, compiled there, runs for one item after the other.

Each item is a failure domain, as in the parent. A ``def`` under ``"auto"`` runs inline: there is nothing else to do.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from time import perf_counter_ns
from typing import Any

from hush.core._plan._compile import Policies, compile_body
from hush.core._plan._model import Plan
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain
from hush.core._runtime._frame import Frame
from hush.core._runtime._parcels import ErrorParcel, Unloadable, pack_error, unpack
from hush.core._runtime._pass import pass_of
from hush.core._runtime._process_main import FLUSH_NS, not_there, parcel_of
from hush.core._runtime._run import Run
from hush.core._runtime._strand import HostStrand
from hush.core._spec._portable import PortableBody


class Items:
    """The body of a map, compiled for this process, with what one activation of the map has given it."""

    def __init__(self, spec: PortableBody, policies: Policies, loop: asyncio.AbstractEventLoop) -> None:
        self._path = spec.path
        self._each = spec.each
        self._plan: Plan = compile_body(spec.body, spec.path, policies, spec.around)
        self._loop = loop
        self._base: list[Any] = []
        self._around: tuple[int, ...] = ()
        self._run_id = ""
        self._always = False

    def take_base(self, given: tuple[Any, ...]) -> None:
        """What every item of one activation is given."""
        inputs, imports, self._around, self._run_id, self._always = given
        slots = self._plan.template.copy()
        for table, values in ((self._plan.inputs, inputs), (self._plan.imports, imports)):
            for key, value in values.items():
                if key in table:
                    slots[table[key]] = value
        self._base = slots

    def do(self, request: tuple[Any, ...], tell: Callable[..., None]) -> None:
        """Run a chunk: ``("items", base, indexes, data, ends, whether to tell of each item as it ends)``."""
        _, base, indexes, data, ends, each = request
        if base is not None:
            (given,) = unpack(base, [len(base)])
            if isinstance(given, Unloadable):
                error = not_there(f"the inputs of {self._path}", given.error)
                tell("broken", pack_error(error), last=True)
                return
            self.take_base(given)
        run = Run(self._path, self._loop, pass_of(self._loop), 1.0, self._run_id)
        chunk = _Chunk(run, deque(zip(indexes, unpack(data, ends), strict=True)), each=each or self._always)
        if not indexes:
            tell("items", [], b"", [], None, last=True)
        while chunk.left:
            self._loop.run_until_complete(self._run(chunk, tell))

    async def _run(self, chunk: _Chunk, tell: Callable[..., None]) -> None:
        """Run items until there are none, or one has set a context variable in this task: the next must not see it."""
        task = asyncio.current_task()
        assert task is not None
        host = _Host(chunk.run, task)
        before_ns = perf_counter_ns()
        while chunk.left and not host.touched:
            index, values = chunk.left.popleft()
            parcel: ErrorParcel | None = None
            if isinstance(values, Unloadable):
                parcel = pack_error(not_there(f"item {index} of {self._path}", values.error))
            else:
                out, failure = await self._run_item(host, index, values)
                if failure is None:
                    chunk.outs.append(out)
                else:
                    parcel = pack_error(failure)
                del out, failure
            now_ns = perf_counter_ns()
            chunk.outcomes.append((now_ns - before_ns, parcel))
            before_ns = now_ns
            if chunk.each or now_ns - chunk.flushed_ns > FLUSH_NS or not chunk.left:
                self._flush(chunk, tell)
                before_ns = chunk.flushed_ns = perf_counter_ns()

    async def _run_item(self, host: _Host, index: int, values: Any) -> tuple[Any, BaseException | None]:
        plan = self._plan
        slots = self._base.copy()
        slots[0] = {}
        for name, value in zip(self._each, values if len(self._each) > 1 else (values,), strict=True):
            slot = plan.inputs.get(name)
            if slot is not None:
                slots[slot] = value
        frame = Frame(plan, slots, None, (*self._around, index))
        failure = await host.run_frame(frame)
        if failure is not None:
            return None, failure
        return frame.outputs(), None

    def _flush(self, chunk: _Chunk, tell: Callable[..., None]) -> None:
        """Tell what has been done since the last time."""
        outcomes, outs, chunk.outcomes, chunk.outs = chunk.outcomes, chunk.outs, [], []
        parcel, errors = parcel_of(outs, self._path)
        if errors:
            places = [place for place, (_, error) in enumerate(outcomes) if error is None]
            for number, error in errors.items():
                place = places[number]
                outcomes[place] = (outcomes[place][0], error)
        ends = [end for number, end in enumerate(parcel.ends) if number not in errors]
        tell("items", outcomes, parcel.data, ends, told_of(chunk.run), last=not chunk.left)


class _Chunk:
    """Items that are being run: what is left of them, and what has been done and not told yet.

    Attributes:
        each: Whether each item is told of as it ends.
        outcomes: How long each item took, and its error; ``outs`` are the outputs of those without.
    """

    def __init__(self, run: Run, left: deque[tuple[int, Any]], *, each: bool) -> None:
        self.run = run
        self.each = each
        self.left = left
        self.outcomes: list[tuple[int, ErrorParcel | None]] = []
        self.outs: list[Any] = []
        self.flushed_ns = perf_counter_ns()


class _Host:
    """Hosts items, one after the other, each as a failure domain; most are over before anything is awaited.

    Attributes:
        touched: Whether one has set a context variable in the task.
    """

    def __init__(self, run: Run, task: asyncio.Task[Any]) -> None:
        self._run = run
        self._task = task
        self._context = copy_context()
        self.touched = False
        self._renew()

    def _renew(self) -> None:
        self._domain = Domain(self._run.loop, self._task)
        self._strand = HostStrand(self._run, self._domain, self._task, self._domain.floor)

    async def run_frame(self, frame: Frame) -> BaseException | None:
        """Run what is to be run in ``frame``; give what failed."""
        domain, strand, task = self._domain, self._strand, self._task
        for step in frame.plan.first:
            strand.ready.append((frame, step))
        if strand.drive() and not (strand.pending or domain.errors or domain.dropped):
            return None
        self._renew()
        try:
            failure = await domain.conduct(strand.work)
        except CancelledError as exc:
            failure = exc  # nobody cancels this task but what runs in it
            while task.uncancel():
                pass
        self.touched = not unchanged(self._context, copy_context())
        return failure


def told_of(run: Run) -> tuple[Any, ...] | None:
    """What the run has noted besides since it was asked last: failures that it went on without, and tags."""
    collected, tags = run._collected, run._tags
    if collected is None and tags is None:
        return None
    run._collected = run._tags = None
    partial, run.partial = run.partial, False
    failures = [
        (path, [(item, pack_error(error)) for item, _, error in found.kept], found.total)
        for path, found in (collected or {}).items()
    ]
    return failures, partial, sorted(tags or ())
