"""How a step is started: what the compiler asks for each step, and the policies around a leaf, composed once.

Around a leaf stand, from outside in and always in this order: cache, retry, admission, timeout, executor, function. One
that resources serve has its choice among them between cache and retry, and a resource in place of the function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hush.core._expr._record import replace
from hush.core._plan._model import Gate, StepPlan
from hush.core._runtime._calls import Attempt, Begin, Try, awaited, in_thread, in_thread_once, inline_or_in_thread
from hush.core._runtime._compound import run_hosted
from hush.core._runtime._frame import Frame
from hush.core._runtime._gate import INLINE_GATE, PINNED_GATE, gate_of
from hush.core._runtime._strand import Strand
from hush.core._spec._limits import NO_LIMITS, NamedLimits
from hush.core._spec._model import BranchSpec, CallSpec, MapSpec, Step
from hush.core._spec._policies import NO_POLICIES

if TYPE_CHECKING:
    from hush.core._runtime._opened import Services


def policies(
    spec: Step, path: str, *, handled: bool, limits: NamedLimits = NO_LIMITS, services: Services | None = None
) -> tuple[Gate | None, Begin | None]:
    """The gate and the start of one step. ``services`` is there where a leaf names a resource."""
    if isinstance(spec, MapSpec):
        return None, _run_map() if spec.executor is None else partial(_run_map(), apart=policies_in_process)
    if isinstance(spec, BranchSpec):
        return PINNED_GATE, None
    if not isinstance(spec, CallSpec):
        return None, run_hosted if handled or spec.timeout_s is not None else None
    if spec.policies is not NO_POLICIES:
        if spec.policies.uses is not None:
            assert services is not None
            from hush.core._runtime._routing import served_by

            return None, _begin(served_by(spec, limits, services))
        return None, _guarded(spec, limits)
    if spec.executor == "process":
        return None, _in_process()
    if spec.signature.awaited:
        return None, None if spec.timeout_s is None else awaited
    if spec.executor == "inline":
        return PINNED_GATE, None
    if spec.executor == "thread" or spec.timeout_s is not None:
        return None, in_thread
    assert spec.fn is not None
    return gate_of(spec.fn), in_thread_once


def policies_in_process(spec: Step, path: str, *, handled: bool) -> tuple[Gate | None, Begin | None]:
    """As ``policies``, in a worker process: no further process is needed there, and threads only where asked for."""
    if isinstance(spec, MapSpec):
        return None, _run_map()
    if isinstance(spec, CallSpec):
        if spec.policies.retry is None and not spec.policies.limits and spec.policies.cache is None:
            spec = replace(spec, policies=NO_POLICIES)  # which is known by its identity
        if spec.timeout_s is None and spec.executor in ("auto", "process") and not spec.signature.awaited:
            if spec.policies is NO_POLICIES:
                return INLINE_GATE, None
            return None, _guarded(spec, NO_LIMITS, inline_or_in_thread(INLINE_GATE))
        if spec.timeout_s is None and spec.executor == "process":
            spec = replace(spec, executor="auto")
    return policies(spec, path, handled=handled)


def _run_map() -> Callable[..., Awaitable[Any]]:
    """What runs a map, imported with the first: it is a tenth of the engine."""
    from hush.core._runtime._worker import run_map

    return run_map


def _in_process() -> Callable[..., Awaitable[Any]]:
    """What calls in worker processes, imported only where something is to."""
    from hush.core._runtime._in_process import in_process

    return in_process


def _guarded(spec: CallSpec, limits: NamedLimits, call: Try | None = None) -> Begin:
    """The start of a leaf that has policies, which are wrapped around its call from the inside out."""
    call = call or _call(spec)
    named = limits.of(spec) if spec.policies.limits else []
    if named:
        from hush.core._runtime._admitting import admitted  # most graphs name no limit

        call = admitted(call, spec, named)
    if spec.policies.retry is not None:
        from hush.core._runtime._retrying import retried

        call = retried(spec.policies.retry, call, waits=bool(spec.policies.limits))
    if spec.policies.cache is not None:
        from hush.core._runtime._cached_call import CachedCall

        call = CachedCall(spec.policies.cache, [limit for _, limit in named], spec, call).outputs
    return _begin(call)


def _begin(call: Try) -> Begin:
    def begin(strand: Strand, frame: Frame, step: StepPlan) -> Awaitable[Any]:
        return call(strand, frame, step, Attempt())

    return begin


def _call(spec: CallSpec) -> Try:
    """How the function of a leaf is called once: timeout, executor, function."""
    if spec.executor == "process":
        return _in_process()
    if spec.signature.awaited or spec.executor == "inline":
        return awaited
    if spec.executor == "thread" or spec.timeout_s is not None:
        return in_thread
    assert spec.fn is not None
    return inline_or_in_thread(gate_of(spec.fn))
