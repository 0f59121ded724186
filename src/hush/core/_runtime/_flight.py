"""``Flight``: one call of a cached leaf, shared by all on this loop that want the same at the same time.

A flight has a task of its own, so that each of those who wait for it can be cancelled by itself: it goes on as long as
one of them is left, and the last to leave ends it and waits for that, so nothing of it outlives those who wait. It is
made with what the first of them has: its run's limits and grace, its context variables, its inputs.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Hashable, Mapping
from copy import copy
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from hush.core._cache._values import Packed, unpack
from hush.core._plan._model import StepPlan
from hush.core._runtime._calls import Attempt
from hush.core._runtime._domain import Domain, EndTold
from hush.core._runtime._frame import Frame
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._strand import HostStrand, Strand


class Fetched(NamedTuple):
    """What a flight brought: a failure; or outputs, packed to be made again, and as they were unless they were kept.

    Of a failure, ``attempt`` is the number of its attempt, and ``bound`` what kept it from being tried again.
    """

    error: BaseException | None = None
    packed: Packed | None = None
    outputs: Mapping[Any, Any] | None = None
    attempt: int = 1
    bound: str = ""


Fetch: TypeAlias = Callable[[Strand, Frame, StepPlan], Awaitable[Fetched]]
Flights: TypeAlias = "dict[Hashable, Flight]"

_under_way: WeakKeyDictionary[asyncio.AbstractEventLoop, Flights] = WeakKeyDictionary()


async def shared(place: Hashable, fetch: Fetch, strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
    """What the flight at ``place`` gives; ``fetch`` makes it if none is under way there."""
    loop = strand.run.loop
    flights = _under_way.get(loop)
    if flights is None:
        flights = _under_way[loop] = {}
    flight = flights.get(place)
    first = flight is None
    if flight is None:
        flight = flights[place] = Flight(place, fetch, flights, strand.run)
        flight.start(frame, step)
    return await flight.join(strand, frame, step, attempt, first=first)


class FlightStrand(HostStrand):
    """The strand in a flight's task. A call that is late tells those who wait at once, and has its grace then."""

    __slots__ = ("flight",)

    held_back = False  # one run's reader does not hold up the others

    def __init__(self, flight: Flight, run: Run, domain: Domain, task: asyncio.Task[Any]) -> None:
        super().__init__(run, domain, task, domain.floor)
        self.flight = flight

    def fail_early(self, frame: Frame, step: StepPlan, exc: BaseException, attempt: int, bound: str) -> bool:
        self.run.locate(exc, frame.item, step, attempt, bound)
        self.flight.settle(Fetched(exc, attempt=attempt, bound=bound))
        return True


class Flight:
    """One call under way. ``fetched`` is there once it has settled."""

    __slots__ = (
        "_fetch",
        "_first_left",
        "_flights",
        "_notes",
        "_place",
        "_run",
        "_strand",
        "_task",
        "_waiting",
        "fetched",
    )

    def __init__(self, place: Hashable, fetch: Fetch, flights: Flights, run: Run) -> None:
        self._run = run
        self._first_left = False
        self._place = place
        self._fetch = fetch
        self._flights = flights
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self._strand: FlightStrand | None = None
        self._task: asyncio.Task[None]
        self._notes: list[str] = []
        self.fetched: Fetched | None = None

    # --- those who wait -----------------------------------------------------------------------------------
    async def join(self, strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt, *, first: bool) -> Any:
        """Wait for what it brings: the outputs, or the failure to be told.

        Cancelling this cancels nobody else; the last to leave waits until the call has ended.
        """
        told = None if strand.spawned else strand.domain.host_cancelled
        waiter = strand.run.loop.create_future()
        self._waiting[waiter] = None
        try:
            if self.fetched is None:  # an eager task may have ended before it was given here
                await waiter
        except CancelledError:
            self._waiting.pop(waiter, None)
            if first:
                self._quiet()
            if self.fetched is None:
                if self._waiting:
                    raise
                self._forget()
                self._task.cancel()
            if not self._task.done():
                if told is not None:
                    told()
                await self._ended(told)
            error = None if self.fetched is None else self._error(strand, frame, step, first=first)
            if error is None or isinstance(error, CancelledError):
                raise
            return Raised(error)  # one that comes while it is cancelled is not lost
        self._waiting.pop(waiter, None)
        assert self.fetched is not None
        error = self._error(strand, frame, step, first=first)
        if error is None:
            return self._outputs(strand, frame, step, first=first)
        if not self._task.done():
            early = attempt.last and strand.fail_early(frame, step, error, self.fetched.attempt, self.fetched.bound)
            await self._ended(told)
            if early:
                raise EndTold  # its domain has been told
        return Raised(error)

    def _outputs(self, strand: Strand, frame: Frame, step: StepPlan, *, first: bool) -> Mapping[Any, Any]:
        """Who had the call made gets what it returned, the others copies of their own."""
        assert self.fetched is not None
        packed, outputs = self.fetched.packed, self.fetched.outputs
        assert packed is not None
        if first and outputs is not None:
            self.fetched = Fetched(None, packed, {})
            return outputs
        if strand.run.tracing is not None:
            strand.run.tracing.node_cached(frame, step, joined=outputs is not None)
        return unpack(packed.data, packed.types)

    def _error(self, strand: Strand, frame: Frame, step: StepPlan, *, first: bool) -> BaseException | None:
        """The failure, for each who waits an object of its own: where it came from is noted on it."""
        assert self.fetched is not None
        error = self.fetched.error
        if error is not None:
            if not first:
                error = copied(error, self._notes)
                if strand.run.tracing is not None and not isinstance(error, CancelledError):
                    strand.run.tracing.node_cached(frame, step, joined=True)
            strand.run.locate(error, frame.item, step, self.fetched.attempt, self.fetched.bound)
        return error

    async def _ended(self, told: Callable[[], None] | None) -> None:
        """Wait for the task, which is ending, whatever cancellations come meanwhile."""
        while not self._task.done():
            try:
                await asyncio.wait([self._task])
            except CancelledError:
                if told is not None:
                    told()  # the request itself stays in task.cancelling()

    def _quiet(self) -> None:
        """The run that it was made in goes on without it, or ends: its tracers hear no more."""
        self._first_left = True
        self._run = copy(self._run)
        self._run.tracing = None
        if self._strand is not None:
            self._strand.run = self._run

    # --- the call -----------------------------------------------------------------------------------------
    def start(self, frame: Frame, step: StepPlan) -> None:
        """Begin, in a task of its own."""
        self._task = self._run.loop.create_task(self._fly(frame, step), name=step.path)

    def settle(self, fetched: Fetched) -> None:
        """It has ended, or is too late: whoever comes now looks into the cache, or makes a call anew."""
        if self.fetched is not None:
            return
        self.fetched = fetched
        self._forget()
        if fetched.error is not None:
            self._notes = self._run.notes_before(fetched.error)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _forget(self) -> None:
        if self._flights.get(self._place) is self:
            del self._flights[self._place]

    async def _fly(self, frame: Frame, step: StepPlan) -> None:
        task = asyncio.current_task()
        assert task is not None
        domain = Domain(self._run.loop, task)
        self._strand = strand = FlightStrand(self, self._run, domain, task)
        fetched: Fetched | None = None

        async def work() -> None:
            nonlocal fetched
            fetched = await self._fetch(strand, frame, step)

        try:
            failure = await domain.conduct(work)
            fetched = Fetched(failure) if fetched is None else fetched
        except CancelledError as exc:  # ours, since nobody waits any more, or the function's own
            fetched = Fetched(exc) if fetched is None else fetched
        self._strand = None
        processes = self._run.processes if self._first_left else None
        if processes and step.path in processes:
            await processes[step.path].close()  # the run that would have ended them may have ended before
        self.settle(fetched)
        fetched = failure = None  # a failure keeps this frame, and must not be kept by it


def copied(error: BaseException, notes: list[str]) -> BaseException:
    """Another object that is the same error with ``notes``; the same object where none can be made."""
    kind = type(error)
    made: Any
    try:
        made = copy(error)
        if type(made) is not kind or made is error:
            raise TypeError
    except Exception:  # its constructor takes something else than its args
        try:
            made = kind.__new__(kind, *error.args)
            made.args = error.args
            made.__dict__.update(error.__dict__)
        except Exception:
            return error
    made.__dict__.pop("hush", None)
    made.__dict__["__notes__"] = list(notes)
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    made.__traceback__ = error.__traceback__
    same: BaseException = made
    return same
