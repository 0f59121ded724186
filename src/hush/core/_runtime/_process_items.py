"""The work of a process map, in a worker process: the map's body, compiled there, runs for one item after the other.

Each item is a failure domain, as in the parent. A ``def`` under ``"auto"`` runs inline: there is nothing else to do.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from time import perf_counter_ns
from typing import Any, NamedTuple

from hush.core._plan._compile import Policies, compile_body
from hush.core._plan._model import Plan
from hush.core._runtime._chunks import ENOUGH_NS
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain, combined
from hush.core._runtime._frame import Frame
from hush.core._runtime._parcels import ErrorParcel, Unloadable, pack_error, unpack
from hush.core._runtime._pass import pass_of
from hush.core._runtime._process_main import FLUSH_NS, not_back, not_there
from hush.core._runtime._rows import pack_rows
from hush.core._runtime._run import Run
from hush.core._runtime._strand import HostStrand
from hush.core._spec._portable import PortableBody


class Given(NamedTuple):
    """What all items of one activation of a map are given, and what is to be told of them.

    Attributes:
        inputs: By name; ``imports`` by the step around the map and the key that is read of it.
        around: Where the map stands in the maps around it.
        each: Whether each item is told of as it ends, because it has a deadline.
        wanted: The keys of an item's output that somebody reads; ``None`` for all.
        timed: Whether somebody asks how long each item took, and when.
    """

    inputs: dict[str, Any]
    imports: dict[Any, Any]
    around: tuple[int, ...]
    run_id: str
    each: bool
    wanted: frozenset[str] | None
    timed: bool


class Items:
    """The body of a map, compiled for this process, with what one activation of the map has given it."""

    def __init__(self, spec: PortableBody, policies: Policies, loop: asyncio.AbstractEventLoop) -> None:
        self.path = spec.path
        self.plan: Plan = compile_body(spec.body, spec.path, policies, spec.around)
        self.loop = loop
        self._each = [self.plan.inputs.get(name) for name in spec.each]
        self.slot = self._each[0] if len(self._each) == 1 else None
        self.base: list[Any] = []
        self.given = Given({}, {}, (), "", False, None, False)

    def _take(self, given: Given) -> None:
        self.given = given
        slots = self.plan.template.copy()
        for key, value in given.inputs.items():
            if key in self.plan.inputs:
                slots[self.plan.inputs[key]] = value
        for source, value in given.imports.items():
            if source in self.plan.imports:
                slots[self.plan.imports[source]] = value
        self.base = slots

    def slots(self, values: Any) -> list[Any]:
        """The first slots of an item."""
        slots = self.base.copy()
        slots[0] = {}
        if self.slot is not None:
            slots[self.slot] = values
        elif len(self._each) > 1:
            for slot, value in zip(self._each, values, strict=True):
                if slot is not None:
                    slots[slot] = value
        return slots

    def do(self, request: tuple[Any, ...], tell: Callable[..., None]) -> None:
        """Run a chunk: ``("items", base, indexes, data, ends, whether to tell of each item as it ends)``."""
        _, base, indexes, data, ends, each = request
        if base is not None:
            (given,) = unpack(base, [len(base)])
            if isinstance(given, Unloadable):
                error = not_there(f"the inputs of {self.path}", given.error)
                tell("broken", pack_error(error), last=True)
                return
            self._take(given)
        chunk = _Chunk(self, indexes, unpack(data, ends), tell, each=each or self.given.each)
        if not indexes:
            chunk.tell()
        while chunk.left:
            self.loop.run_until_complete(chunk.run())


class _Chunk:
    """Items that are being run, one after the other; each is a failure domain, of which the task at hand is the host.

    Its strand asks it for the next item whenever the steps of one have run, as that of a worker in the parent does.

    Attributes:
        left: How many items there are still to run.
    """

    _task: asyncio.Task[Any]
    _domain: Domain
    _strand: HostStrand

    def __init__(
        self, items: Items, indexes: Sequence[int], values: Any, tell: Callable[..., None], *, each: bool
    ) -> None:
        self._items = items
        self._run = Run(items.path, items.loop, pass_of(items.loop), 1.0, items.given.run_id)
        self._values: Iterator[tuple[int, Any]] = zip(indexes, values, strict=True)
        self._tell = tell
        self._each = each
        self._timed = items.given.timed
        self._frame: Frame | None = None
        self.left = len(indexes)
        self._done = self._work_ns = 0
        self._took_ns: list[int] = []  # of those done, without a gap between them up to ``_ended_ns``
        self._ended_ns = 0
        self._outs: list[dict[str, Any]] = []
        self._errors: dict[int, ErrorParcel] = {}
        self._began_ns = self._told_ns = self._before_ns = perf_counter_ns()

    async def run(self) -> None:
        """Run items until there are none, or one has set a context variable in this task: the next must not see it."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        budget, context = self._run.budget, copy_context()
        self._renew()
        while True:
            spent = not self._strand.drive()
            if spent and self._domain.errors and not self._domain.dropped:
                self._settle(combined(self._domain.errors))
                self._domain.reset()
            if self._strand.pending or self._domain.dropped:
                await self._await_item()
                if not unchanged(context, copy_context()):
                    return
            elif not spent:
                return
            if budget.must_wait(perf_counter_ns()):
                await budget.turn(served=spent)  # what items have left behind in the loop is to have its turn

    def _renew(self) -> None:
        self._domain = Domain(self._run.loop, self._task)
        self._strand = HostStrand(self._run, self._domain, self._task, self._domain.floor)
        self._strand.more = self._next_item

    def _next_item(self) -> bool:
        """Note what has become of the item at hand, and make the next ready; ``False`` if one is to be awaited."""
        items, strand, domain = self._items, self._strand, self._domain
        if strand.pending or domain.dropped:
            return False
        frame, spare = self._frame, None
        plan = items.plan
        if frame is not None:
            if domain.errors:
                self._settle(combined(domain.errors))
                domain.reset()
            else:
                self._frame, spare = None, frame
                plain = frame.marks is None and not plan.several_writers
                self._outs.append(frame.slots[0] if plain else frame.outputs())
                self._ended()
        while self.left:
            index, values = next(self._values)
            if type(values) is Unloadable:
                self._errors[self._done] = pack_error(not_there(f"item {index} of {items.path}", values.error))
                self._ended()
                continue
            if spare is None:
                frame = Frame(plan, items.slots(values), None, (*items.given.around, index))
            else:
                frame = spare
                frame.slots = items.slots(values)
                frame.countdowns = plan.countdowns.copy()
                frame.left = plan.ends
                frame.marks = None
                frame.item = (*items.given.around, index)
            self._frame = frame
            for step in plan.first:
                strand.ready.append((frame, step))
            return True
        return False

    async def _await_item(self) -> None:
        """Host the rest of the item, in which something is to be awaited."""
        self._strand.more = None
        try:
            failure = await self._domain.conduct(self._strand.work)
        except CancelledError as exc:
            failure = exc  # nobody cancels this task but what runs in it
        while self._task.uncancel():
            pass
        self._renew()
        self._settle(failure)

    def _settle(self, failure: BaseException | None) -> None:
        frame, self._frame = self._frame, None
        assert frame is not None
        if failure is None:
            self._outs.append(frame.outputs())
        else:
            self._errors[self._done] = pack_error(failure)
        self._ended()

    def _ended(self) -> None:
        """One item more has ended. Tell of those that have if it is time; hand the rest back if they take too long."""
        self.left -= 1
        self._done += 1
        now_ns = perf_counter_ns()
        if self._timed:
            self._took_ns.append(now_ns - self._before_ns)
            self._before_ns = self._ended_ns = now_ns
        if now_ns - self._began_ns > ENOUGH_NS:
            self.left = 0
        if self._each or not self.left or now_ns - self._told_ns > FLUSH_NS:
            self._work_ns += now_ns - self._told_ns
            self.tell()
            self._told_ns = self._before_ns = perf_counter_ns()

    def tell(self) -> None:
        """Tell what has been done since the last time."""
        done, outs, errors = self._done, self._outs, self._errors
        work_ns, times = self._work_ns, (self._ended_ns, self._took_ns) if self._took_ns else None
        self._done, self._work_ns, self._took_ns, self._outs, self._errors = 0, 0, [], [], {}
        rows, refused = pack_rows(outs, self._items.given.wanted)
        if refused:
            places = [place for place in range(done) if place not in errors]
            for number in refused:
                errors[places[number]] = pack_error(not_back(outs[number], self._items.path))
        told = told_of(self._run)
        spent_ns = perf_counter_ns() - self._began_ns
        self._tell("items", done, work_ns, spent_ns, times, errors, rows, told, last=not self.left)


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
    return failures, partial, sorted((*place, tag) for tag, place in (tags or {}).items())
