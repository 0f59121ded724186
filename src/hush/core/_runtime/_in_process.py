"""A leaf with ``executor="process"``: each call in a worker process of the node's own, which a cancellation kills."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from time import monotonic_ns
from typing import Any

from hush.core import events
from hush.core._plan._model import StepPlan
from hush.core._runtime._calls import Attempt, awaited_if_need_be
from hush.core._runtime._compound import timed_out
from hush.core._runtime._frame import Frame
from hush.core._runtime._parcels import culprit, dumps, pack, pack_error, reason, unpack_error
from hush.core._runtime._process_main import Calls
from hush.core._runtime._process_pool import ProcessPool, pool_of
from hush.core._runtime._processes import Died, Talk, Unfit, WorkerProcess
from hush.core._runtime._run import Raised
from hush.core._runtime._strand import Strand
from hush.core._runtime._telling import place_of
from hush.core._spec._portable import cpu_count
from hush.core.errors import TransportError, WorkerDied

PROCESSES = ("worker processes",)
"""What calls hold, and wait for when all of their node's processes are at work, as tracers are told."""


async def in_process(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt | None = None) -> Any:
    """Call the function in a worker process; an ``async def`` is run there, in an event loop of that process.

    The node has as many processes in a run as there are processors, at most; who finds them at work waits in line.
    Tracers are told of that as of a limit. Cancelling the call, or its deadline, kills its process and no other.
    """
    run, tracing, number = strand.run, strand.run.tracing, 1 if attempt is None else attempt.number
    assert step.bind is not None
    call: Any = step.bind(frame.slots)
    told: Callable[[], None] | None = None
    if tracing is not None and tracing.sees_calls:
        told = partial(_tell_called, strand, frame, step, call, number)
    if run.inline_only:
        if told is not None:
            told()
        return await awaited_if_need_be(strand, step, copy_context().run(call))
    pool = pool_of(run, step.path, cpu_count(), partial(_setup, call.func, step))
    item, queued_s = frame.item, run.loop.time()
    worker = pool.take_free()
    if worker is None:
        if tracing is not None:
            tracing.node_queued(frame, step, PROCESSES, number)
        worker = await pool.take()
    if tracing is not None:
        tracing.node_admitted(frame, step, PROCESSES, run.loop.time() - queued_s, number)
    try:
        return await _served(strand, frame, step, call, pool, worker, told)
    finally:
        if tracing is not None:
            tracing.node_released(item, step, PROCESSES, number)


async def _served(
    strand: Strand,
    frame: Frame,
    step: StepPlan,
    call: Any,
    pool: ProcessPool,
    worker: WorkerProcess,
    told: Callable[[], None] | None,
) -> Any:
    """The call in ``worker``, and in others if that dies before it has begun."""
    run = strand.run
    if told is not None:
        told()
    while True:
        talk = Talk(run.loop, worker, partial(_request, call.args, call.keywords, step))
        try:
            reply = await _reply(strand, step, talk)
        except Died as exc:
            pool.drop(worker)
            if exc.begun or not pool.may_start_again():
                when = "while it ran the call" if exc.begun else "before it could begin"
                return Raised(
                    WorkerDied(
                        f"the worker process of {step.path} {exc.how()} {when} ({step.where})",
                        exc.exit_code,
                    )
                )
        except Unfit as exc:
            await _discard(pool, worker, talk, strand)
            return Raised(unfit(step, exc.error))
        except TransportError as exc:
            pool.give_back(worker)
            return Raised(exc)
        except TimeoutError:
            await _discard(pool, worker, talk, strand)
            return Raised(timed_out(step))
        except BaseException:  # it is cancelled, or no process can be started
            await _discard(pool, worker, talk, strand)
            raise
        else:
            pool.give_back(worker)
            _, data, parcel, _, _ = reply
            if parcel is not None:
                return Raised(unpack_error(parcel))
            return data
        worker = await pool.take()


def _tell_called(strand: Strand, frame: Frame, step: StepPlan, call: Any, attempt: int) -> None:
    """Tell what the function is called with; no tracer can prepare the context there."""
    run = strand.run
    assert run.tracing is not None
    names = () if step.signature is None else step.signature.names()
    inputs = {**dict(zip(names, call.args, strict=False)), **call.keywords}
    item, outer = place_of(frame.item)
    run.tracing.tell(events.NodeCalled(run.id, step.path, item, monotonic_ns(), inputs, attempt, None, outer))


async def _reply(strand: Strand, step: StepPlan, talk: Talk) -> tuple[Any, ...]:
    """What has come back. Raises ``TimeoutError`` if it takes longer than ``timeout_s`` from when the call began."""
    reply: tuple[Any, ...] = ()
    timeout_s = None
    talk.hear = partial(_loaded, step.path)
    while (message := await talk.next(timeout_s)) is not None:
        if message[0] == "begun":
            timeout_s = step.timeout_s
        else:
            reply = message
            timeout_s = None
    return reply


def _loaded(path: str, message: tuple[Any, ...]) -> tuple[Any, ...]:
    if message[0] != "done" or message[1] is None:
        return message
    try:
        return ("done", pickle.loads(message[1]), *message[2:])
    except Exception as exc:  # whatever a __setstate__ or an import raises
        error = TransportError(f"what {path} gave cannot be loaded here, back from its worker process: {reason(exc)}")
        return ("done", None, pack_error(error), *message[3:])


async def _discard(pool: ProcessPool, worker: WorkerProcess, talk: Talk, strand: Strand) -> None:
    told = None if strand.spawned else strand.domain.host_cancelled
    try:
        await talk.kill(strand.run.grace_s, told)
    finally:
        pool.drop(worker)


def _setup(fn: Callable[..., Any], step: StepPlan) -> bytes:
    try:
        return dumps(partial(Calls, fn, step.path))
    except Exception as exc:
        raise TransportError(
            f"the function of {step.path} cannot be sent to a worker process: {reason(exc)} ({step.where})"
        ) from exc


def _request(args: tuple[Any, ...], keywords: dict[str, Any], step: StepPlan) -> tuple[Any, ...]:
    parcel = pack([(args, keywords)])
    if parcel.refused:
        named = {**{str(number): value for number, value in enumerate(args)}, **keywords}
        raise TransportError(
            f"{step.path} cannot send its inputs to a worker process: {culprit(named, 'input')} ({step.where})"
        )
    return "call", parcel.data, parcel.ends


def unfit(step: StepPlan, error: BaseException) -> BaseException:
    """The error of a step whose worker processes cannot be set up."""
    if isinstance(error, TransportError):
        return error
    hint = ""
    if isinstance(error, ImportError | AttributeError):
        hint = " A worker process imports modules by their names, from the same sys.path."
    found = TransportError(
        f"what {step.path} runs cannot be loaded in a worker process: {reason(error)}.{hint} ({step.where})"
    )
    found.__cause__ = error
    return found
