"""Admission by limits, as a wrapper around the call of a leaf: it waits on the loop, and gives back what it took.

The state of all limits of the process is one ``Admission``, whose clock is ``time.monotonic``: runs on any loop, in any
thread, share it. A loop of the test kit has one of its own with its own time, so that tests never see each other.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import CancelledError
from asyncio.events import _get_running_loop
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from hush.core._admission._admission import Admission
from hush.core._admission._lane import WAITING, Lane, Ticket, Waker
from hush.core._admission._limiter import BROKEN, NOT_KNOWN, WELL, End, Tokens
from hush.core._admission._state import LimitState
from hush.core._admission._usage import tokens_expected, tokens_told
from hush.core._plan._model import StepPlan
from hush.core._runtime._calls import Attempt, TooLate, Try
from hush.core._runtime._far_off import is_far_off, refusal_of, remember
from hush.core._runtime._frame import Frame
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._signals import signal_of
from hush.core._runtime._strand import Strand
from hush.core._spec._model import CallSpec
from hush.core._spec._policies import Limit
from hush.core._spec._serving import Resource
from hush.core._spec._signature import signature_of
from hush.core.errors import OutputError

if TYPE_CHECKING:
    from hush.core._runtime._threads import Job

_process = Admission(monotonic)
_of_test_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Admission] = WeakKeyDictionary()
_wakers: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWaker] = WeakKeyDictionary()


def _after_fork() -> None:
    global _process  # noqa: PLW0603  # the one place that makes it anew
    _process = Admission(monotonic)  # in the child nobody is left to give back what the parent's threads hold
    _wakers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def admission_of(loop: asyncio.AbstractEventLoop) -> Admission:
    """The limits as runs on ``loop`` see them."""
    if getattr(loop, "runs_inline", None) is None:
        return _process
    found = _of_test_loops.get(loop)
    if found is None:
        found = _of_test_loops[loop] = Admission(partial(_time_of, ref(loop)))
    return found


def _time_of(loop: ReferenceType[asyncio.AbstractEventLoop]) -> float:
    found = loop()  # whom the loop's own state must not keep
    return 0.0 if found is None else found.time()


def limit_state(limit: Limit, loop: asyncio.AbstractEventLoop, name: str | None = None) -> LimitState:
    """How ``limit`` stands now, for runs on ``loop``. From any thread."""
    return admission_of(loop).state(limit, name)


class LoopWaker(Waker):
    """Wakes those that wait on one loop, and has at most one timer on it."""

    __slots__ = ("_admission", "_at_s", "_loop", "_own_time", "_timer")

    def __init__(self, admission: Admission, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._admission = admission
        self._loop = ref(loop)
        self._own_time = admission is not _process
        self._timer: asyncio.TimerHandle | None = None
        self._at_s = 0.0

    def wake(self, ticket: Ticket) -> bool:
        future: asyncio.Future[None] = ticket.future
        loop = future.get_loop()
        try:
            if _get_running_loop() is loop:
                _resolve(future)
            else:
                loop.call_soon_threadsafe(_resolve, future)
        except RuntimeError:
            return False  # the loop is closed
        return True

    def arm(self, at_s: float) -> None:
        loop = self._loop()
        if loop is None:
            return
        if _get_running_loop() is loop:
            self._set(at_s)
            return
        try:
            loop.call_soon_threadsafe(self._set, at_s)
        except RuntimeError:
            pass  # it is closed: whoever else waits has a timer too

    def rest(self) -> None:
        """Someone has stopped waiting: without any other the timer has nothing to call for."""
        if self._timer is not None and not self.lanes:
            self._timer.cancel()
            self._timer = None
            self._admission.disarm(self)

    def _set(self, at_s: float) -> None:
        if not self.lanes:
            self._admission.disarm(self)
            return
        if self._timer is not None:
            if self._at_s <= at_s:
                return
            self._timer.cancel()
        loop = self._loop()
        assert loop is not None  # it is calling
        self._at_s = at_s
        if self._own_time:
            self._timer = loop.call_at(at_s, self._ring)
        else:
            self._timer = loop.call_later(max(0.0, at_s - monotonic()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._admission.tick(self)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _waker_of(admission: Admission, loop: asyncio.AbstractEventLoop) -> LoopWaker:
    found = _wakers.get(loop)
    if found is None:
        found = _wakers[loop] = LoopWaker(admission, loop)
    return found


def admitted(call: Try, spec: CallSpec, limits: Sequence[tuple[str, Limit]], resource: Resource | None = None) -> Try:
    """``call``, made when all of ``limits`` admit it, each of which comes with what it is called.

    ``resource`` is what serves it, if anything does.
    """
    if not limits:
        return call
    names = tuple([name for name, _ in limits])
    priority = spec.policies.priority
    counts_tokens = any(
        limit.tokens_per_minute or limit.input_tokens_per_minute or limit.output_tokens_per_minute
        for _, limit in limits
    )
    estimate = _estimate_of(spec, resource) if counts_tokens else None
    place: tuple[Admission, Lane] | None = None

    def lane_in(admission: Admission) -> Lane:
        nonlocal place
        found = place
        if found is None or found[0] is not admission:
            place = found = admission, admission.lane([limit for _, limit in limits])
        return found[1]

    async def admit(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        run = strand.run
        admission = admission_of(run.loop)
        lane = lane_in(admission)
        tokens = NOT_KNOWN if estimate is None else estimate(frame, step, attempt)
        ticket = admission.enter(lane, tokens)
        if ticket is None:
            about = None if run.tracing is None else (frame, step, names, attempt.number)
            ticket = await _wait(admission, lane, run, priority, tokens, attempt.start_by_s, about)
        if resource is not None:
            _refuse_if_far_off(admission, lane, ticket)
        admission.begin(ticket)
        began_s = run.loop.time()

        end = BROKEN
        failed = False
        left: list[Job] = []
        attempt.left_behind = left.append
        try:
            if run.tracing is not None:
                waited_s = ticket.admitted_s - ticket.asked_s
                run.tracing.node_admitted(frame, step, names, waited_s, attempt.number)
            out = await call(strand, frame, step, attempt)
            if type(out) is Raised:
                end, failed = _end_after(out.error, admission, lane, resource, attempt, run.loop.time() - began_s), True
            else:
                end = End(tokens_told(out)) if counts_tokens else WELL
                if attempt.hold_s is not None:
                    end = end._replace(retry_after_s=attempt.hold_s)
            return out
        except BaseException as exc:
            end, failed = _end_after(exc, admission, lane, resource, attempt, run.loop.time() - began_s), True
            raise
        finally:
            if left:
                _give_back_later(admission, ticket, end, left[0], run, (frame.item, step, names, attempt.number))
            else:
                admission.give_back(ticket, end)
                if failed:
                    attempt.shut = admission.is_shut(lane)
                if run.tracing is not None:
                    run.tracing.node_released(frame.item, step, names, attempt.number)

    return admit


async def _wait(
    admission: Admission,
    lane: Lane,
    run: Run,
    priority: int,
    tokens: Tokens,
    until_s: float | None,
    about: tuple[Frame, StepPlan, tuple[str, ...], int] | None,
) -> Ticket:
    """Wait until a call is admitted, or raise ``TooLate``. Whoever is cancelled at any moment has not been admitted."""
    waker = _waker_of(admission, run.loop)
    future = run.loop.create_future()
    ticket = admission.queue(lane, waker, future, priority=priority, tokens=tokens)
    timer = None
    try:
        if ticket.state == WAITING:
            if about is not None and run.tracing is not None:
                run.tracing.node_queued(*about)
            if until_s is not None:
                timer = run.loop.call_at(until_s, _resolve, future)
            await future
            if ticket.state == WAITING:
                raise TooLate
    except BaseException:
        admission.give_back(ticket)  # withdrawn, or given on to the next if it had been admitted just now
        raise
    finally:
        if timer is not None:
            timer.cancel()
        waker.rest()
    return ticket


def _refuse_if_far_off(admission: Admission, lane: Lane, ticket: Ticket) -> None:
    refusal = refusal_of(lane, admission.clock())
    if refusal is not None:
        admission.give_back(ticket)
        raise refusal


def _end_after(
    error: BaseException, admission: Admission, lane: Lane, resource: Resource | None, attempt: Attempt, took_s: float
) -> End:
    """What a failed call tells its limits, where others wait for them."""
    end = _end_of(error, resource, took_s)
    if resource is not None and isinstance(error, Exception) and is_far_off(end.retry_after_s):
        remember(lane, error, admission.clock())
        return BROKEN  # nobody is held back: the others shall hear it as well
    if end.overloaded and attempt.give_up_s is not None and admission.refused_for_s(lane) > attempt.give_up_s:
        attempt.hopeless = True
        return BROKEN  # as above
    return end


_SOON_S = 3.0
"""Who has failed after a longer time says nothing of those that are called now."""


def _end_of(error: BaseException, resource: Resource | None, took_s: float) -> End:
    """What a failed call tells its limits. A call that was cancelled tells them nothing."""
    if isinstance(error, CancelledError) or not isinstance(error, Exception):
        return BROKEN
    signal = signal_of(error)
    # Of what users call themselves nobody knows whether it is one server, so that others will fare no better.
    down = resource is not None and signal.retryable and not signal.overloaded and took_s < _SOON_S
    return End(failed=True, overloaded=signal.overloaded, retry_after_s=signal.retry_after_s, down=down)


def _give_back_later(
    admission: Admission,
    ticket: Ticket,
    end: End,
    job: Job,
    run: Run,
    about: tuple[tuple[int, ...], StepPlan, tuple[str, ...], int],
) -> None:
    """A call was left behind in its thread: it keeps its place until it returns, even if the loop is closed by then."""
    job.when_over(partial(admission.give_back, ticket, end))
    before = job.late

    def late(result: Any) -> None:
        if before is not None:
            before(result)
        if run.tracing is not None:
            run.tracing.node_released(*about)

    job.late = late


# --- tokens -----------------------------------------------------------------------------------------------
def _estimate_of(spec: CallSpec, resource: Resource | None) -> Callable[[Frame, StepPlan, Attempt], Tokens] | None:
    """How many tokens a call is expected to take, where the node says it, or its request does."""
    expected, uses = spec.policies.tokens, spec.policies.uses
    if expected is None:
        if uses is None:
            return None
        count = uses.tokens
        return lambda frame, step, attempt: tokens_expected(count(attempt.request, resource)) or NOT_KNOWN
    if not callable(expected):
        known = expected, expected, expected
        return lambda frame, step, attempt: known
    estimate = expected
    parameters = spec.signature.names()
    takes = signature_of(estimate)
    wanted = None if takes.open or not takes.known else frozenset(takes.names())

    note = f"Hush: raised by tokens= of {spec.name}, which estimates what a call takes"

    def ask(frame: Frame, step: StepPlan, attempt: Attempt) -> Tokens:
        assert step.bind is not None
        call: Any = step.bind(frame.slots)  # a partial: what the node's function is called with
        inputs = {**dict(zip(parameters, call.args, strict=False)), **call.keywords}
        if wanted is not None:
            inputs = {name: value for name, value in inputs.items() if name in wanted}
        try:
            found = copy_context().run(partial(estimate, **inputs))
        except Exception as exc:
            if note not in getattr(exc, "__notes__", ()):
                exc.add_note(note)
            raise
        tokens = tokens_expected(found)
        if tokens is None:
            raise OutputError(
                f"tokens= of {step.path} gave {found!r} ({step.where}). It gives a number of tokens, 0 or more, or a "
                'dict such as {"input_tokens": 900, "output_tokens": 100}.'
            )
        return tokens

    return ask
